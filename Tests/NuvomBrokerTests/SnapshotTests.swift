import NuvomEngine
import NuvomModel
import NuvomWAL
import Testing

@testable import NuvomBroker
@testable import NuvomStorage

/// The bytes of a recovered engine that matter: what a snapshot and the log behind it tell.
private func recovered(_ feed: ScriptedFeed, _ batches: [[UInt8]]) throws -> Statistics {
  let engine = Engine(EngineConfiguration(), now: Time(boot: 0, wall: 0))
  for (index, part) in feed.state.withLock({ $0.parts }).enumerated() {
    let isRead = part.withUnsafeBytes { index == 0 ? engine.restoreHeader($0) : engine.restoreChunk($0) }
    #expect(isRead)
  }
  #expect(engine.isRestored)
  for batch in batches[feed.batches...] {
    let isRead = batch.withUnsafeBytes { engine.replay($0) }
    #expect(isRead)
  }
  return engine.statistics()
}

@Test("a snapshot is told while turns go on, and with the log behind it gives the state", arguments: [false, true])
func snapshotWhileServing(isCommitting: Bool) throws {
  let world = BrokerWorld()
  let a = try world.client()
  for id in UInt64(1)...200 { world.enqueue(a, id) }
  world.storage.isSnapshotDue = true
  if isCommitting { world.storage.script = [.pending] }
  world.broker.endTurn()
  for id in UInt64(201)...300 {
    world.enqueue(a, id)
    if id.isMultiple(of: 3) { world.say(a, id + 1_000, "dequeue") }
    world.broker.endTurn()
    if isCommitting, id == 250 { world.broker.receive(.committed(.done(1))) }
  }
  let feed = try #require(world.storage.feeds.first)
  world.advance(milliseconds: 1)
  #expect(feed.state.withLock { $0.isFinished })
  let statistics = try recovered(feed, world.storage.batches)
  #expect(statistics.ready + statistics.leased == 300)
  #expect(statistics.leased == 34)
}

@Test("a blocked snapshot waits for room, and neither it nor a finished one keeps the broker busy")
func blockedSnapshot() throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.enqueue(a, 1)
  world.storage.isSnapshotDue = true
  world.broker.endTurn()
  let feed = try #require(world.storage.feeds.first)
  feed.state.withLock { $0.takes = 0 }
  world.advance(milliseconds: 1)
  #expect(world.broker.nextDeadline == nil)
  feed.state.withLock { $0.takes = 1 }
  world.broker.receive(.snapshotReady)
  world.advance(milliseconds: 1)
  #expect(world.broker.nextDeadline == nil)
  #expect(!feed.state.withLock { $0.isFinished })
  feed.state.withLock { $0.takes = .max }
  world.broker.receive(.snapshotReady)
  world.advance(milliseconds: 1)
  #expect(feed.state.withLock { $0.isFinished })
  #expect(world.broker.nextDeadline == nil)
  world.broker.receive(.snapshotEnded(.success(SnapshotInfo(sequence: 1, bytes: 1))))
  #expect(world.broker.nextDeadline == nil)
}

@Test("a snapshot that failed is tried again after ten seconds, not in the next turn")
func failedSnapshot() throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.enqueue(a, 1)
  world.storage.isSnapshotDue = true
  world.broker.endTurn()
  world.broker.receive(.snapshotEnded(.failure(StorageError(.diskFull, "no room", path: "snapshot"))))
  world.storage.isSnapshotDue = true
  world.enqueue(a, 2)
  world.broker.endTurn()
  #expect(world.storage.feeds.count == 1)
  world.advance(milliseconds: 10_001)
  world.enqueue(a, 3)
  world.broker.endTurn()
  #expect(world.storage.feeds.count == 2)
}

@Test("the end cancels a snapshot that is being told")
func snapshotAtTheEnd() throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.enqueue(a, 1)
  world.storage.isSnapshotDue = true
  world.broker.endTurn()
  let feed = try #require(world.storage.feeds.first)
  feed.state.withLock { $0.takes = 0 }
  world.broker.drain()
  world.broker.endTurn()
  try world.broker.seal()
  #expect(feed.state.withLock { $0.isCancelled })
}
