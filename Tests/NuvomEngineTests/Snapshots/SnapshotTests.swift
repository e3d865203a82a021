import NuvomModel
import SeededNumbers
import Testing

@testable import NuvomEngine

@Test("a snapshot is the state at its beginning, whatever changes while it is told", arguments: 1...4)
func exactWhileChanging(seed: Int) {
  var random = SeededNumbers(seed: UInt64(seed))
  let world = EngineWorld()
  world.connect(client: "c")
  var request: UInt64 = 0
  func change(_ steps: Int) {
    for _ in 0..<steps {
      request += 1
      switch random.below(11) {
      case 0..<4:
        world.enqueue("payload \(request)", queue: "q\(random.below(3))", id: request) {
          $0.priority = UInt8(random.below(3))
          $0.retentionMilliseconds = random.once(in: 2) ? 2_000 : 0
          if random.once(in: 5) { $0.uniqueKey = world.bytes("key \(request)") }
        }
      case 4:
        for job in world.take(["q0", "q1", "q2"], max: 4, lease: 900, id: request).taken {
          if random.once(in: 3) {
            world.nack(world.name(job.id), retry: false)
          } else {
            world.ack(world.name(job.id), result: "r")
          }
        }
      case 5: world.dequeue("q\(random.below(3))", max: 3, lease: 400)
      case 6: world.advance(milliseconds: Int64(random.below(300)))
      case 7:
        world.every("s\(random.below(90))", UInt64(100 + random.below(900))) {
          $0.overlap = OverlapPolicy.allCases[random.below(4)]
          $0.maximumFires = UInt32(random.below(9))
          $0.retentionMilliseconds = random.once(in: 2) ? 500 : 0
        }
      case 8: world.change(.scheduleTrigger, "s\(random.below(90))")
      case 9: world.change(.scheduleDelete, "s\(random.below(90))")
      default: world.dead(.deadReplay, limit: 1)
      }
    }
  }
  change(400)
  for _ in 0..<4 {
    let before = world.engine.digest()
    let batches = world.log.count
    world.beginSnapshot()
    for _ in 0..<40 {
      change(5)
      world.tellSnapshot()
    }
    while world.snapshot?.batches != batches { world.tellSnapshot() }
    guard let snapshot = world.snapshot else { return }
    let restored = EngineWorld.replica(
      world.configuration, snapshot: snapshot, log: Array(world.log[..<batches]), time: world.time)
    #expect(restored?.digest() == before)
    world.check()
    if random.once(in: 2) { world.restartFromSnapshot(awaySeconds: 1) } else { world.restart() }
    world.connect(client: "c")
  }
}

@Test("a snapshot that is given up leaves no trace")
func givenUp() {
  let world = EngineWorld()
  for index in 0..<300 { world.enqueue("\(index)") }
  _ = world.engine.beginSnapshot()
  _ = world.engine.nextSnapshotChunk(pages: 1)
  for _ in 0..<100 { world.ack(world.name(world.take().taken[0].id)) }
  world.engine.endSnapshot()
  world.engine.endSnapshot()
  #expect(world.engine.nextSnapshotChunk(pages: 1) == nil)
  world.check()
  world.takeSnapshot()
  world.check()
}

@Test("an empty engine's snapshot restores to an empty engine")
func emptySnapshot() {
  let world = EngineWorld()
  world.takeSnapshot()
  world.check()
  world.restartFromSnapshot()
  #expect(world.enqueue("x") == "j1")
  world.check()
}

/// A snapshot with something in every table.
private func fullSnapshot() -> (EngineWorld, EngineWorld.Snapshot)? {
  let world = EngineWorld()
  world.connect(client: "c")
  for index in 0..<80 {
    world.enqueue("payload \(index)", id: UInt64(index + 1)) {
      $0.uniqueKey = world.bytes("key \(index)")
      $0.retentionMilliseconds = 60_000
    }
  }
  for job in world.take(max: 30).taken { world.nack(world.name(job.id), retry: false) }
  _ = world.take(id: 200, settling: [world.settlement(.ack, "j99", token: 4)])
  world.cron("cron", "@daily")
  world.every("tick", 10_000) { $0.overlap = .bufferOne }
  world.advance(seconds: 30)
  world.takeSnapshot()
  return world.snapshot.map { (world, $0) }
}

@Test("a snapshot's part that was cut is refused, or found to be missing something, wherever it was cut")
func cutParts() throws {
  let (world, snapshot) = try #require(fullSnapshot())
  // What is in no table, seven tables, and what hangs on the records of five of them.
  #expect(snapshot.parts.count == 13)
  for (index, part) in snapshot.parts.enumerated() {
    for length in stride(from: 1, to: part.count, by: part.count > 2_000 ? 37 : 1) {
      let engine = Engine(world.configuration, now: world.time)
      let isRead = restore(snapshot.parts[..<index] + [Array(part[..<length])], into: engine)
      // A part of a table without pages is nothing; anything else must be whole.
      #expect(!(isRead && engine.isRestored) || (index > 0 && length == 1), "part \(index) cut to \(length)")
    }
  }
}

@Test("bytes that are no snapshot never crash a restore", arguments: 1...4)
func mutilatedParts(seed: Int) throws {
  var random = SeededNumbers(seed: UInt64(seed))
  let (world, snapshot) = try #require(fullSnapshot())
  for _ in 0..<250 {
    var parts = snapshot.parts
    let index = random.below(parts.count)
    for _ in 0..<1 + random.below(4) {
      let place = random.below(parts[index].count)
      parts[index][place] = random.once(in: 2) ? 0xFF : UInt8(truncatingIfNeeded: random.next())
    }
    _ = restore(parts[...index], into: Engine(world.configuration, now: world.time))
  }
  for _ in 0..<500 {
    let bytes = (0..<random.below(400)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let engine = Engine(world.configuration, now: world.time)
    _ = bytes.withUnsafeBytes { engine.restoreHeader($0) }
    let fresh = Engine(world.configuration, now: world.time)
    _ = restore([snapshot.parts[0], [UInt8(1 + random.below(7))] + bytes], into: fresh)
  }
}

private func restore(_ parts: ArraySlice<[UInt8]>, into engine: Engine) -> Bool {
  for (index, part) in parts.enumerated() {
    let isRead = part.withUnsafeBytes { index == 0 ? engine.restoreHeader($0) : engine.restoreChunk($0) }
    if !isRead { return false }
  }
  return true
}

@Test("a snapshot knows no later time than the log, so that a restart from either comes to the same")
func timeOfSnapshot() throws {
  let world = EngineWorld()
  world.enqueue("later") { $0.start = .after(milliseconds: 60_000) }
  // Turns in which nothing happens, and a clock that is set: of neither the log knows.
  world.advance(milliseconds: 10_000)
  world.time.wall += 5_000_000
  world.advance(milliseconds: 100)
  world.beginSnapshot()
  while world.snapshot == nil { world.tellSnapshot(pages: 1_000) }
  let snapshot = try #require(world.snapshot)
  let fromLog = try #require(EngineWorld.replica(world.configuration, log: world.log[...], time: world.time))
  let fromSnapshot = try #require(
    EngineWorld.replica(world.configuration, snapshot: snapshot, log: world.log, time: world.time))
  let later = Time(boot: world.time.boot + 1_000_000, wall: world.time.wall + 1_000_000)
  fromLog.resume(at: later)
  fromSnapshot.resume(at: later)
  #expect(fromLog.stateLines(withTimers: true) == fromSnapshot.stateLines(withTimers: true))
}

@Test("a snapshot whose records point where they must not is not gone on with")
func unsoundLinks() throws {
  let world = EngineWorld()
  world.connect(client: "c")
  for number in 0..<3 { world.enqueue("ready \(number)", id: UInt64(number) + 1) }
  for id: UInt64 in 10...11 {
    world.enqueue("dead", queue: "d", id: id)
    for job in world.take(["d"]).taken { world.nack(world.name(job.id), retry: false) }
  }
  let changes: [(Engine) -> Void] = [
    { $0.scalars.pointee.deadHead = JobRecord.noLink },
    { $0.jobs.mutable($0.scalars.pointee.deadHead).pointee.next = .max - 4 },
    { $0.jobs.mutable($0.scalars.pointee.deadTail).pointee.previous = JobRecord.noLink },
    { $0.jobs.mutable(1).pointee.next = 0 },
    { $0.queues.mutable(0).pointee.firstList = .max - 1 },
    { $0.queues.mutable(0).pointee.ready += 1 },
    { $0.scalars.pointee.counts.leased += 1 },
    { $0.clients.mutable(0).pointee.firstAnswer = JobRecord.noLink },
    { $0.clients.mutable(0).pointee.answerCount += 1 },
    { $0.scalars.pointee.totals.acked = .max },
    { $0.scalars.pointee.scheduleTotals.late = .max },
    { $0.scalars.pointee.deadDropped = .max },
    { $0.queues.mutable(0).pointee.totals.enqueued = .max },
  ]
  for (number, change) in changes.enumerated() {
    let engine = try #require(EngineWorld.replica(world.configuration, log: world.log[...], time: world.time))
    #expect(engine.isRestored)
    change(engine)
    #expect(!engine.isRestored, "change \(number)")
  }
}

@Test("a snapshot's time with which one cannot reckon is none")
func unsoundTimes() {
  var schedule = ScheduleRecord(hash: 1, body: .none, stamp: 0, next: 1, zone: 0)
  #expect(schedule.isValid)
  schedule.next = .max / 1_000
  #expect(!schedule.isValid)
  var job = JobRecord(body: .none, state: .delayed, queue: 0, priority: 0, flags: 0)
  #expect(job.isValid)
  job.stamp = .max >> 1
  #expect(!job.isValid)
}
