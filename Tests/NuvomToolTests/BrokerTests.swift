import NuvomCommandLine
import Foundation
import Glibc
import MessagePack
import Testing

@testable import nuvom

extension ProgramTests {
  @Suite struct BrokerTests {
    @Test("SIGTERM ends a broker with 0 and a sealed log; what it had is there again", arguments: [SIGTERM, SIGINT])
    func gracefulEnd(_ signal: Int32) throws {
      let workspace = try Workspace()
      let broker = try RunningBroker(workspace)
      let id = try broker.ask(["enqueue", "resize", "--payload", "hello"]).text("id")
      #expect(broker.end(signal) == 0, "\(broker.log)")
      #expect(try workspace.nuvom(["wal", "verify", "data", "--json"]).json().text("status") == "sealed")
      let again = try RunningBroker(workspace)
      #expect(try again.ask(["get", id]).text("state") == "ready")
    }

    @Test("A killed broker has everything that it had acknowledged")
    func kill() throws {
      let workspace = try Workspace()
      let broker = try RunningBroker(workspace)
      let ids = try (0..<3).map { try broker.ask(["enqueue", "task\($0)"]).text("id") }
      let taken = try #require(try broker.ask(["dequeue"])["jobs"]?[0])
      #expect(broker.end(SIGKILL) == -SIGKILL)
      let again = try RunningBroker(workspace)
      #expect(try ids.map { try again.ask(["get", $0]).text("state") } == ["leased", "ready", "ready"])
      guard case .uint(let token)? = taken["token"] else { return #expect(Bool(false), "\(taken)") }
      #expect(try again.run(["ack", ids[0], "\(token)"]).status == 0)
    }

    @Test("A broker whose log fails says so and ends; what it had acknowledged is safe")
    func failingLog() throws {
      let workspace = try Workspace()
      let broker = try RunningBroker(workspace)
      let id = try broker.ask(["enqueue", "first"]).text("id")
      try broker.limitFiles(to: 4_096)
      let ended = try broker.run(["enqueue", "second"])
      #expect(ended.status == 74 && ended.error.contains("STORAGE_UNKNOWN") && ended.output.isEmpty, "\(ended)")
      #expect(broker.wait() == 74)
      #expect(broker.log.contains("File too large") && broker.log.contains(".wal"), "\(broker.log)")
      #expect(try RunningBroker(workspace).ask(["get", id]).text("state") == "ready")
    }

    @Test("A directory is one broker's")
    func directoryInUse() throws {
      let workspace = try Workspace()
      let broker = try RunningBroker(workspace)
      let ended = try workspace.nuvom(["broker", "--listen", "127.0.0.1:0", "--data", "data"])
      #expect(ended.status == 74 && ended.error.contains("in use by the process with id") && ended.output.isEmpty)
      #expect(try broker.run(["ping"]).status == 0)
    }

    @Test("A directory that cannot be made is named")
    func noDirectory() throws {
      let workspace = try Workspace()
      try workspace.write("", to: "file")
      let ended = try workspace.nuvom(["broker", "--listen", "127.0.0.1:0", "--data", "file/data"])
      #expect(ended.status == 74 && ended.error.contains("file: mkdir failed: Not a directory"), "\(ended)")
    }

    @Test("An address is one broker's; a host that is none is named", arguments: [true, false])
    func cannotListen(_ isTaken: Bool) throws {
      let workspace = try Workspace()
      let broker = try RunningBroker(workspace, ["--ephemeral"])
      let address = isTaken ? broker.address : "no.such.host.invalid:1"
      let ended = try workspace.nuvom(["broker", "--ephemeral", "--insecure", "--listen", address])
      #expect(ended.status == 69 && ended.error.contains("cannot listen on \(address)"), "\(ended)")
    }

    @Test("An ephemeral broker writes nothing")
    func ephemeral() throws {
      let workspace = try Workspace()
      let broker = try RunningBroker(workspace, ["--ephemeral"])
      try broker.ask(["enqueue", "task"])
      #expect(try broker.ask(["stats"]).text("fsync") == "ephemeral")
      #expect(broker.end(SIGTERM) == 0)
      #expect(!workspace.exists("nuvom-data") && !workspace.exists("data"))
    }

    @Test("Settings reach the broker")
    func settings() throws {
      let workspace = try Workspace()
      let broker = try RunningBroker(
        workspace, ["--data", "elsewhere", "--fsync", "interval:50", "--memory-limit", "64MiB"], listen: "[::1]:0")
      #expect(broker.address.hasPrefix("[::1]:"))
      let statistics = try broker.ask(["stats"])
      #expect(try statistics.text("fsync") == "interval:50")
      #expect(statistics["memory_limit_bytes"] == .uint(64 << 20))
      #expect(workspace.exists("elsewhere/LOCK"))
    }

    @Test("Over its memory limit a broker asks to come back later")
    func memoryFull() throws {
      let workspace = try Workspace()
      let broker = try RunningBroker(workspace, ["--ephemeral", "--memory-limit", "16MiB"])
      let payload = String(repeating: "x", count: 7 << 20)
      for job in 1...3 {
        let ended = try broker.run(["enqueue", "big", "--payload-file", "-"], input: payload)
        if job < 3 {
          #expect(ended.status == 0, "\(ended)")
        } else {
          #expect(ended.status == 75 && ended.error.contains("MEMORY_FULL"), "\(ended)")
        }
      }
    }
  }
}
