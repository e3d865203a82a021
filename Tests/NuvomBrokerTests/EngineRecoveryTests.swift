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
