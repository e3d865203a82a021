import Foundation
import NuvomEngine
import NuvomModel
import NuvomWAL
import Testing

@testable import NuvomBroker
@testable import NuvomStorage

/// What released versions wrote (`nuvom-proof golden`), each in a folder of its own.
private struct Golden: CustomTestStringConvertible, Sendable {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("golden")

  let version: String
  let part: String
  var testDescription: String { "\(part) of \(version)" }
  var url: URL { Self.folder.appendingPathComponent(version).appendingPathComponent(part) }

  static let all: [Golden] = {
    let versions = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return versions.sorted().flatMap { version in ["log", "snapshot"].map { Golden(version: version, part: $0) } }
  }()
}

@Test("there is a log and a snapshot of each version")
func goldenFiles() {
  #expect(Golden.all.contains { $0.version == "0.1.0" })
}

@Test(
  "a log and a snapshot of every released version are read, give the state that they had, and are gone on with",
  arguments: Golden.all)
private func goldenStates(_ golden: Golden) throws {
  let directory = NSTemporaryDirectory() + "nuvom-golden-\(UInt64.random(in: .min ... .max))"
  try FileManager.default.copyItem(at: golden.url, to: URL(fileURLWithPath: directory))
  defer { try? FileManager.default.removeItem(atPath: directory) }
  let state = try String(contentsOf: golden.url.appendingPathComponent("state.txt"), encoding: .utf8)
  let now = Time(boot: 1_000_000, wall: 1_800_000_000_000_000)
  let recovery = EngineRecovery(EngineConfiguration(hashSeed: 3), now: now)
  let (storage, report) = try WALStorage.open(
    directory, at: LogTime(now), handler: recovery, completion: { _ in })
  defer { storage.close() }
  #expect(report.torn == nil && (report.snapshot != nil) == (golden.part == "snapshot"))
  let engine = try recovery.finished()
  // Compared in words before it is by its digest, so that a difference can be seen.
  let told = engine.stateLines() + ["digest \(String(engine.digest(), radix: 16))", ""]
  #expect(told == state.components(separatedBy: "\n"))
  engine.resume(at: now)
  engine.beginTurn(now)
  var outcome = Outcome()
  for name in engine.zonesInUse {
    var name = name
    name.withUTF8 { engine.take(.utc, ofZone: BorrowedBytes($0)) }
  }
  while !engine.fireTimers(limit: 100, into: &outcome) {}
  var batch = BatchBuffer()
  batch.append(engine.eventBytes)
  let progress = storage.submit(&batch, at: LogTime(now), isBusy: false)
  if case .finished(.failed(let error)) = progress { Issue.record("\(error)") }
}

@Test("an event that this version does not know is refused as another version's, with the batch's number")
func unknownEvent() throws {
  let directory = NSTemporaryDirectory() + "nuvom-unknown-\(UInt64.random(in: .min ... .max))"
  defer { try? FileManager.default.removeItem(atPath: directory) }
  let now = Time(boot: 1_000_000, wall: 1_800_000_000_000_000)
  var options = WALOptions()
  options.placement = .inline
  func open() throws -> WALStorage {
    let recovery = EngineRecovery(EngineConfiguration(), now: now)
    return try WALStorage.open(directory, options: options, at: LogTime(now), handler: recovery, completion: { _ in })
      .storage
  }
  let storage = try open()
  var batch = BatchBuffer()
  batch.append(UInt8(25))
  batch.append(UInt8(200))
  _ = storage.submit(&batch, at: LogTime(now), isBusy: false)
  let number = storage.lastSequence
  storage.close()
  let error = #expect(throws: EngineRecovery.Inconsistency.self) { _ = try open() }
  #expect(error?.description.contains("batch \(number) ") == true && error?.description.contains("kind 200") == true)
}
