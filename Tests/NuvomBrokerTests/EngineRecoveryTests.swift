import Foundation
import NuvomEngine
import NuvomModel
import NuvomWAL
import Testing

@testable import NuvomBroker
@testable import NuvomStorage

/// A directory of its own for one test, removed with this value.
private final class LogDirectory {
  let path = NSTemporaryDirectory() + "nuvom-broker-\(UInt64.random(in: .min ... .max))"
  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// A broker on the log in a directory, as a start after a crash finds it.
private func start(_ directory: LogDirectory, _ clock: PlayedClock, _ transport: BrokerWorld) throws -> (
  Broker, WALStorage
) {
  let recovery = EngineRecovery(EngineConfiguration(), now: clock.time)
  var options = WALOptions()
  options.segmentBytes = 64 << 10
  options.placement = .inline
  let (storage, _) = try WALStorage.open(
    directory.path, options: options, at: LogTime(clock.time), handler: recovery, completion: { _ in })
  let engine = try recovery.finished()
  engine.resume(at: clock.time)
  let broker = Broker(
    engine: engine, storage: storage,
    configuration: BrokerConfiguration(server: "nuvom/test", fsync: "always"), transport: transport,
    clock: { clock.time }, notify: { _ in })
  return (broker, storage)
}

@Test("what was told before a crash is there after it, from a log on disk")
func realLog() throws {
  let directory = LogDirectory()
  let clock = PlayedClock()
  var connection = ConnectionID(rawValue: 0)
  do {
    let world = BrokerWorld()
    let (broker, storage) = try start(directory, clock, world)
    connection = try #require(broker.connect())
    let requests =
      frame(world.hello("me"))
      + frame([0, 1, "enqueue", ["jobs": [["task": "t"], ["task": "t"], ["task": "t"]]]])
      + frame([0, 2, "dequeue", ["max": 2]])
    let used = requests.withUnsafeBytes { broker.receive($0, from: connection) }
    #expect(used == requests.count)
    #expect(world.heard(connection) == [])
    broker.endTurn()
    #expect(world.heard(connection) == ["0 ok", "1 ok", "2 took t1 t2"])
    storage.close()
  }
  clock.pass(1_000_000)
  let world = BrokerWorld()
  let (broker, storage) = try start(directory, clock, world)
  connection = try #require(broker.connect())
  let requests =
    frame(world.hello("me")) + frame([0, 1, "enqueue", ["jobs": [["task": "t"], ["task": "t"], ["task": "t"]]]])
    + frame([0, 3, "dequeue", ["max": 9]])
  _ = requests.withUnsafeBytes { broker.receive($0, from: connection) }
  broker.endTurn()
  // The retried enqueue is not done again, so one job is left, and its token is above those from before.
  #expect(world.heard(connection) == ["0 ok", "1 ok", "3 took t3"])
  storage.close()
}

@Test("a log that does not follow from what is before it is refused, with the batch's number")
func inconsistentLog() throws {
  let directory = LogDirectory()
  let clock = PlayedClock()
  var options = WALOptions()
  options.placement = .inline
  let empty = EngineRecovery(EngineConfiguration(), now: clock.time)
  let (storage, _) = try WALStorage.open(
    directory.path, options: options, at: LogTime(clock.time), handler: empty, completion: { _ in })
  var batch = BatchBuffer()
  // An ack of a job that is not there.
  batch.append(UInt8(9))
  batch.append(UInt16(0x0101))
  _ = storage.submit(&batch, at: LogTime(clock.time), isBusy: false)
  let number = storage.lastSequence
  storage.close()
  let recovery = EngineRecovery(EngineConfiguration(), now: clock.time)
  let error = #expect(throws: EngineRecovery.Inconsistency.self) {
    _ = try WALStorage.open(
      directory.path, options: options, at: LogTime(clock.time), handler: recovery, completion: { _ in })
  }
  #expect(error?.description.contains("batch \(number) ") == true)
}

@Test("a damaged snapshot leaves nothing of itself behind when the whole log is read instead", arguments: [200, -30])
func rejectedSnapshot(place: Int) throws {
  let directory = LogDirectory()
  let clock = PlayedClock()
  do {
    let world = BrokerWorld()
    let (broker, storage) = try start(directory, clock, world)
    let connection = try #require(broker.connect())
    let requests = frame(world.hello("me")) + frame([0, 1, "enqueue", ["jobs": [["task": "t"], ["task": "t"]]]])
    _ = requests.withUnsafeBytes { broker.receive($0, from: connection) }
    broker.endTurn()
    storage.close()
  }
  // A snapshot that was just written when its sectors went bad: the segments that it replaces are still there.
  let recovery = EngineRecovery(EngineConfiguration(), now: clock.time)
  let report = try WALStorage.verify(directory.path, giving: recovery)
  let engine = try recovery.finished()
  let last = try #require(report.segments.last?.lastSequence)
  let segment = try FileManager.default.contentsOfDirectory(atPath: directory.path).first { $0.hasSuffix(".wal") }
  let log = try Data(contentsOf: URL(fileURLWithPath: "\(directory.path)/\(try #require(segment))"))
  let header = try log.withUnsafeBytes { try SegmentHeader.decode($0) }
  var bytes = try snapshotFile(of: engine, logID: header.logID, sequence: last)
  bytes[place < 0 ? bytes.count + place : place] ^= 1
  let digits = String(last)
  let name = String(repeating: "0", count: 20 - digits.count) + digits + ".snapshot"
  try Data(bytes).write(to: URL(fileURLWithPath: "\(directory.path)/\(name)"))
  let world = BrokerWorld()
  let (broker, storage) = try start(directory, clock, world)
  let connection = try #require(broker.connect())
  let requests = frame(world.hello("me")) + frame([0, 2, "dequeue", ["max": 9]])
  _ = requests.withUnsafeBytes { broker.receive($0, from: connection) }
  broker.endTurn()
  #expect(world.heard(connection) == ["0 ok", "2 took t1 t2"])
  storage.close()
}

/// A snapshot's file as a storage writes it.
private func snapshotFile(of engine: Engine, logID: UInt64, sequence: UInt64) throws -> [UInt8] {
  let header = SnapshotHeader(
    logID: logID, partition: 0, sequence: sequence, time: LogTime(bootMicroseconds: 1, wallMicroseconds: 2))
  var bytes = [UInt8](repeating: 0, count: SnapshotHeader.size)
  bytes.withUnsafeMutableBytes { header.encode(into: $0) }
  var parts = [(SnapshotChunkKind.header, engine.beginSnapshot())]
  while let chunk = engine.nextSnapshotChunk(pages: 16) {
    let encoder = chunk.encoder()
    while let part = encoder.next() { parts.append((.table, part)) }
  }
  engine.endSnapshot()
  var buffer = BatchBuffer()
  for (index, (kind, part)) in parts.enumerated() {
    buffer.removeAll()
    part.withUnsafeBytes { buffer.append($0) }
    bytes += buffer.sealChunk(kind: kind.rawValue, index: UInt32(index), seed: header.seed)
  }
  buffer.removeAll()
  buffer.append(UInt64(parts.count))
  buffer.append(UInt64(bytes.count))
  bytes += buffer.sealChunk(kind: ChunkHeader.footerKind, index: UInt32(parts.count), seed: header.seed)
  return bytes
}
