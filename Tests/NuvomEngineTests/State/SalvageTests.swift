import NuvomModel
import Testing

@testable import NuvomEngine

/// A life with many jobs that come and go in few slots, a batch a step; gives the ids and tokens of each batch.
private func busyWorld() -> EngineWorld {
  let world = EngineWorld()
  for number in 0..<150 {
    world.enqueue("job \(number)")
    let taken = world.take(max: 1).taken
    for job in taken where number % 3 != 0 { world.ack(world.name(job.id)) }
  }
  return world
}

private func given(_ log: ArraySlice<[UInt8]>) -> (ids: Set<JobID>, tokens: Set<UInt64>) {
  var ids: Set<JobID> = []
  var tokens: Set<UInt64> = []
  for batch in log {
    for event in batch.withUnsafeBytes({ JobEvent.all(in: $0) }) ?? [] {
      if event.kind == .enqueued { ids.insert(event.id) }
      if case .leased(let token) = event.kind { tokens.insert(token.rawValue) }
    }
  }
  return (ids, tokens)
}

@Test(
  "Whatever part of a log is lost, read or not, its ids and tokens are not given out again, also behind a snapshot",
  arguments: [false, true])
func idsAfterSalvage(isReadable: Bool) throws {
  let world = busyWorld()
  for kept in stride(from: 2, to: world.log.count, by: 23) {
    let lostPart = world.log[kept...]
    var lost = LostEvents()
    var unreadable = 0
    for batch in lostPart {
      if isReadable { batch.withUnsafeBytes { lost.add($0, partition: 0) } } else { unreadable += batch.count }
    }
    let engine = try #require(EngineWorld.replica(world.configuration, log: world.log[..<kept], time: world.time))
    let events = try #require(engine.salvage(lost, unreadableBytes: unreadable))
    // As the log has it from now on, told by a snapshot too.
    let salvaged = try #require(
      EngineWorld.replica(world.configuration, log: world.log[..<kept] + [events], time: world.time))
    #expect(salvaged.digest() == engine.digest())
    let restored = Engine(world.configuration, now: world.time)
    let header = salvaged.beginSnapshot()
    #expect(header.withUnsafeBytes { restored.restoreHeader($0) })
    while let chunk = salvaged.nextSnapshotChunk(pages: 4) {
      let encoder = chunk.encoder()
      while let part = encoder.next() {
        let isRead = part.withUnsafeBytes { restored.restoreChunk($0) }
        #expect(isRead)
      }
    }
    salvaged.endSnapshot()
    #expect(restored.isRestored && restored.digest() == engine.digest())
    let before = given(lostPart)
    for engine in [engine, restored] {
      let after = goOn(engine, world)
      #expect(after.ids.isDisjoint(with: before.ids) && after.ids.count > 100, "kept \(kept)")
      #expect((after.tokens.min() ?? 0) > (before.tokens.max() ?? 0), "kept \(kept)")
    }
  }
}

/// Finishes what is there and enqueues and takes many more; gives their ids and tokens.
private func goOn(_ engine: Engine, _ world: EngineWorld) -> (ids: Set<JobID>, tokens: Set<UInt64>) {
  var outcome = Outcome()
  var request = Request()
  engine.resume(at: world.time)
  engine.clearEvents()
  guard let connection = engine.connect() else { return ([], []) }
  func say(_ method: Method, _ fill: (inout Request) -> Void) {
    request.removeAll()
    request.method = method
    request.id = RequestID(rawValue: request.id.rawValue + 1)
    fill(&request)
    engine.beginTurn(world.time)
    engine.handle(request, from: connection, into: &outcome)
  }
  // Leases end, so that every slot is freed and taken again.
  let later = Time(boot: world.time.boot + 3_600_000_000, wall: world.time.wall + 3_600_000_000)
  engine.beginTurn(later)
  while !engine.fireTimers(limit: 100, into: &outcome) {}
  world.time = later
  for _ in 0..<150 {
    say(.enqueue) { $0.jobs = [world.job("new")] }
    outcome.removeAll()
    say(.dequeue) {
      $0.queues = [world.bytes("q")]
      $0.maximum = 2
    }
    let settled = outcome.deliveries.map { Settlement(kind: .ack, id: $0.id, token: $0.token) }
    outcome.removeAll()
    say(.ack) { $0.settlements = settled }
    outcome.removeAll()
  }
  let told = given([Array(engine.eventBytes)])
  engine.clearEvents()
  return told
}

@Test("So much that ids would run out is not salvaged, and changes nothing")
func tooMuchLost() throws {
  let engine = Engine(EngineConfiguration(), now: Time(boot: 0, wall: 0))
  let before = engine.digest()
  #expect(engine.salvage(LostEvents(), unreadableBytes: 1 << 30) == nil)
  #expect(engine.digest() == before)
  #expect(engine.salvage(LostEvents(), unreadableBytes: 1 << 25) != nil)
}

@Test("A slot that was used again and again does not keep a log from being salvaged")
func hotSlot() throws {
  let world = EngineWorld()
  let engine = Engine(EngineConfiguration(), now: world.time)
  let scratch = EventWriter(capacity: 64)
  JobBody.write(world.job("old"), task: 0, expiry: 0, to: scratch)
  let writer = EventWriter(capacity: 256)
  let hot = JobID(partition: 0, generation: Slab<JobRecord>.lastGeneration - 1_000, slot: 0)
  Event.queueNamed(0, world.bytes("q")).write(to: writer)
  Event.taskNamed(0, world.bytes("task")).write(to: writer)
  Event.enqueued(hot, queue: 0, priority: 5, start: .unspecified, body: scratch.bytes).write(to: writer)
  #expect(engine.replay(writer.bytes))
  #expect(engine.salvage(LostEvents(), unreadableBytes: 200) != nil)
  // One that has used up its generations is not given out any more, and limits nothing.
  let used = Engine(EngineConfiguration(), now: world.time)
  writer.removeAll()
  let last = JobID(partition: 0, generation: Slab<JobRecord>.lastGeneration, slot: 0)
  Event.queueNamed(0, world.bytes("q")).write(to: writer)
  Event.taskNamed(0, world.bytes("task")).write(to: writer)
  Event.enqueued(last, queue: 0, priority: 5, start: .unspecified, body: scratch.bytes).write(to: writer)
  #expect(used.replay(writer.bytes))
  #expect(used.salvage(LostEvents(), unreadableBytes: 1 << 25) != nil)
}
