import NuvomCommandLine
import Foundation
import Glibc
import MessagePack
import Testing

@testable import NuvomWAL
@testable import nuvom

extension ProgramTests {
  @Suite struct VerifyTests {
    private static let segment = "data/00000000000000000001.wal"

    /// A log with a few batches that was not closed, and where its content ends.
    private func log() throws -> (workspace: Workspace, end: Int) {
      let workspace = try Workspace()
      let broker = try RunningBroker(workspace)
      for task in ["one", "two", "three"] { try broker.ask(["enqueue", task]) }
      broker.end(SIGKILL)
      guard case .uint(let end)? = try verify(workspace, 0)["segments"]?[0]?["bytes"] else {
        throw Unreadable(description: "no segment")
      }
      // The rest of the segment is zeros, which a debug build takes long to look through.
      try workspace.change(Self.segment) { $0 = $0.prefix(Int(end) + 4_096) }
      return (workspace, Int(end))
    }

    private func verify(_ workspace: Workspace, _ status: Int32) throws -> MessageValue {
      let ended = try workspace.nuvom(["wal", "verify", "data", "--json"])
      #expect(ended.status == status, "\(ended)")
      return try ended.json()
    }

    @Test("An intact log: 0, and how it was left")
    func intact() throws {
      let workspace = try Workspace()
      let broker = try RunningBroker(workspace)
      try broker.ask(["enqueue", "task"])
      let running = try verify(workspace, 0)
      #expect(try running.text("status") == "open" && running["in_use"] == true)
      broker.end(SIGTERM)
      let ended = try verify(workspace, 0)
      #expect(try ended.text("status") == "sealed" && ended["in_use"] == false)
      #expect(ended["torn"] == .null && ended["damage"] == .null)
      #expect(try workspace.nuvom(["wal", "verify", "data"]).output.contains("closed cleanly"))
    }

    @Test("A torn end: 3, with file and offset; the broker starts")
    func torn() throws {
      let (workspace, end) = try log()
      try workspace.change(Self.segment) { $0.replaceSubrange(end..<end + 3, with: [1, 2, 3]) }
      let report = try verify(workspace, 3)
      #expect(try report.text("status") == "torn")
      #expect(report["torn"]?["offset"] == .count(end) && report["torn"]?["path"] == .string(Self.segment))
      #expect(try workspace.nuvom(["wal", "verify", "data"]).output.contains("\(Self.segment) at offset \(end)"))
      let broker = try RunningBroker(workspace)
      #expect(broker.log.contains("the log's end was cut"))
      #expect(try broker.ask(["queues"])["queues"]?[0]?["ready"] == 3)
    }

    @Test("Damage: 65, with file and offset; the broker does not start")
    func damaged() throws {
      let (workspace, _) = try log()
      try workspace.change(Self.segment) { $0[SegmentHeader.size + 9] ^= 1 }
      let report = try verify(workspace, 65)
      #expect(try report.text("status") == "damaged")
      #expect(report["damage"]?["offset"] == .count(SegmentHeader.size))
      let ended = try workspace.nuvom(["broker", "--listen", "127.0.0.1:0", "--data", "data"])
      #expect(ended.status == 65 && ended.error.contains("\(Self.segment) at offset 4096"), "\(ended)")
      #expect(ended.output.isEmpty)
    }

    @Test(
      "Damage in the middle: verify tells what --recover would lose, --recover goes on without it and keeps the damaged files"
    )
    func salvaged() throws {
      let (workspace, _) = try log()
      try workspace.change(Self.segment) { bytes in
        let place = try #require(bytes.range(of: Data("two".utf8)))
        bytes[place.lowerBound] ^= 1
      }
      let damaged = try Data(contentsOf: URL(fileURLWithPath: workspace.file(Self.segment)))
      let report = try verify(workspace, 65)
      guard case .array(let gone)? = report["lost"]?["enqueued"], gone.count == 1, case .string(let lost) = gone[0]
      else {
        throw Unreadable(description: "\(report)")
      }
      #expect(report["lost"]?["salvageable"] == true && report["lost"]?["batches"] == 2)
      let told = try workspace.nuvom(["wal", "verify", "data"]).output
      #expect(
        told.contains("nuvom broker --recover") && told.contains("gone: \(lost)") && told.contains("delivered again"))
      let refused = try workspace.nuvom(["broker", "--listen", "127.0.0.1:0", "--data", "data"])
      #expect(refused.status == 65 && refused.error.contains("--recover"))
      let broker = try RunningBroker(workspace, ["--data", "data", "--recover"])
      for line in ["gone: \(lost)", "salvaged: everything up to batch", "data/damaged-1"] {
        #expect(broker.log.contains(line), "\(broker.log)")
      }
      #expect(try broker.ask(["queues"])["queues"]?[0]?["ready"] == 1)
      let new = try broker.ask(["enqueue", "four"])
      #expect("\(new)".contains(lost) == false)
      broker.end(SIGTERM)
      let kept = URL(fileURLWithPath: workspace.file("data/damaged-1/00000000000000000001.wal"))
      #expect(try Data(contentsOf: kept) == damaged)
      #expect(try verify(workspace, 0).text("status") == "sealed")
      let again = try RunningBroker(workspace, ["--data", "data", "--recover"])
      #expect(again.log.contains("nothing was to be salvaged"))
      #expect(try again.ask(["queues"])["queues"]?[0]?["ready"] == 2)
    }

    @Test("A log of a newer version: 65, from both")
    func newer() throws {
      let (workspace, _) = try log()
      try workspace.change(Self.segment) { bytes in
        bytes[8] = 9
        let sum = bytes.withUnsafeBytes { bytes in
          bytes.baseAddress.map { checksum($0, count: SegmentHeader.size - 4) } ?? 0
        }
        withUnsafeBytes(of: sum.littleEndian) {
          bytes.replaceSubrange(SegmentHeader.size - 4..<SegmentHeader.size, with: $0)
        }
      }
      for command in [["wal", "verify", "data"], ["broker", "--listen", "127.0.0.1:0", "--data", "data"]] {
        let ended = try workspace.nuvom(command)
        #expect(
          ended.status == 65 && ended.error.contains("version 9") && ended.error.contains("newer broker"), "\(ended)")
      }
    }

    @Test("No log: 66")
    func missing() throws {
      let workspace = try Workspace()
      try FileManager.default.createDirectory(atPath: workspace.file("empty"), withIntermediateDirectories: true)
      for directory in ["nowhere", "empty"] {
        let ended = try workspace.nuvom(["wal", "verify", directory])
        #expect(ended.status == 66 && ended.error.contains("no log in \(directory)"), "\(ended)")
      }
    }
  }
}
