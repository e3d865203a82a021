import NuvomModel
import Testing

@testable import NuvomEngine

@Test("after a restart an open lease runs its full length again", arguments: [nil, 5_000_000] as [Int64?])
func leasesRunAgain(boot: Int64?) {
  let world = EngineWorld()
  world.enqueue("x")
  world.dequeue(lease: 10_000)
  world.advance(seconds: 9)
  world.restart(awaySeconds: 3_600, boot: boot)
  #expect(world.get("j1") == "j1 leased attempt 1 left 10000 ms t1")
  world.advance(milliseconds: 9_999)
  #expect(world.extend("j1") == "ok")
  world.check()
}

@Test("the rest of a delay goes on by the wall clock, and is never more than it was")
func delaysGoOn() {
  let rows: [(away: Int64, boot: Int64?, left: Int64)] = [
    (0, nil, 90_000), (60, nil, 30_000), (60, 1_000_000, 30_000), (500, 1_000_000, 0), (-500, 1_000_000, 90_000),
    (60, 900_000_000_000_000, 30_000),
  ]
  for row in rows {
    let world = EngineWorld()
    world.enqueue("x") { $0.start = .after(milliseconds: 100_000) }
    world.advance(seconds: 10)
    // The log's last turn is the last word on how long the job had waited.
    world.enqueue("marks the time", queue: "other")
    world.restart(awaySeconds: row.away, boot: row.boot ?? world.time.boot + max(0, row.away) * 1_000_000)
    #expect(world.get("j1") == "j1 delayed attempt 0 in \(row.left) ms", "\(row)")
    world.advance(milliseconds: row.left + 1)
    #expect(world.dequeue() == "j1 t1 a1 x", "\(row)")
    world.check()
  }
}

@Test("a wall clock that is set forward while the broker is down ends no delay early")
func delaysDoNotJump() {
  let world = EngineWorld()
  world.enqueue("x") { $0.start = .after(milliseconds: 100_000) }
  world.restart(awaySeconds: 86_400, boot: world.time.boot + 60_000_000)
  #expect(world.get("j1") == "j1 delayed attempt 0 in 40000 ms")
  world.check()
}

@Test("how long a job has been ready survives a restart on another boot clock")
func readySince() {
  let world = EngineWorld()
  world.enqueue("x")
  world.restart(awaySeconds: 60, boot: 1_000)
  #expect(
    world.say(.queue) { $0.queues = [world.bytes("q")] }.text == "ready 1 delayed 0 leased 0 waiting 0 oldest 60000")
  world.restart(awaySeconds: 40, boot: 900_000_000_000_000)
  #expect(
    world.say(.queue) { $0.queues = [world.bytes("q")] }.text == "ready 1 delayed 0 leased 0 waiting 0 oldest 100000")
}

@Test("order, pauses, keys, answers and dead letters survive restarts from log and snapshot")
func everythingSurvives() {
  let world = EngineWorld()
  world.connect(client: "c")
  for index in 0..<200 {
    world.enqueue("\(index)", queue: "q\(index % 3)", id: UInt64(index + 1)) {
      $0.priority = UInt8(index % 4)
      $0.retentionMilliseconds = index % 5 == 0 ? 60_000 : 0
      if index % 7 == 0 { $0.uniqueKey = world.bytes("key \(index)") }
      if index % 11 == 0 { $0.start = .after(milliseconds: UInt64(index) * 100) }
      if index % 13 == 0 { $0.expiry = .after(milliseconds: 30_000) }
    }
  }
  let taken = world.take(["q0", "q1", "q2"], max: 60, id: 201).taken.map { world.name($0.id) }
  for (index, job) in taken.enumerated() {
    switch index % 6 {
    case 0: world.ack(job, result: "done")
    case 1: world.nack(job)
    case 2: world.nack(job, retry: false)
    case 3: world.release(job)
    case 4: world.cancel(job)
    default: break
    }
  }
  world.pause("q1")
  world.check()
  world.takeSnapshot()
  world.enqueue("behind the snapshot")
  world.check()
  world.restartFromSnapshot(awaySeconds: 5)
  world.check()
  world.advance(seconds: 12)
  world.check()
  world.restart(awaySeconds: 5, boot: 77)
  world.advance(seconds: 40)
  world.check()
}

@Test("the same events give the same state however often they are replayed in between")
func restartsInARow() {
  let world = EngineWorld()
  for index in 0..<50 {
    world.enqueue("\(index)") { $0.start = .after(milliseconds: UInt64(index) * 160) }
    world.dequeue(lease: 800)
    world.advance(milliseconds: 320)
    if index % 3 == 0 { world.restart(awaySeconds: Int64(index % 2)) }
    world.check()
  }
}

@Test("a turn is logged once, and only if something happened in it")
func turnsInTheLog() {
  let world = EngineWorld()
  let before = world.log.count
  world.advance(seconds: 5)
  world.dequeue()
  world.get("j1")
  #expect(world.log.count == before)
  let reply = world.say(.enqueue) { $0.jobs = [world.job("a"), world.job("b")] }
  #expect(reply.ids.count == 2)
  world.enqueue("the same time")
  #expect(world.log.count == before + 2)
  let turns = world.log[before...].map { batch in
    batch.withUnsafeBytes { bytes in
      var reader = EventReader(bytes)
      var count = 0
      while !reader.isAtEnd, let event = Event.read(from: &reader, partition: 0) {
        if case .turn = event { count += 1 }
      }
      return count
    }
  }
  #expect(turns == [1, 0])
}
