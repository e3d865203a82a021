import NuvomModel
import Testing

@testable import NuvomEngine

@Test("a job goes from enqueue over dequeue to ack, and is gone")
func straightThrough() {
  let world = EngineWorld()
  #expect(world.enqueue("hello") == "j1")
  #expect(world.dequeue() == "j1 t1 a1 hello")
  #expect(world.get("j1") == "j1 leased attempt 1 left 30000 ms t1")
  #expect(world.dequeue() == "nothing")
  #expect(world.ack("j1") == "ok")
  #expect(world.get("j1") == "NOT_FOUND")
  world.check()
}

@Test("with retention a job and its result are kept for that time after the ack")
func retention() {
  let world = EngineWorld()
  world.enqueue("a") { $0.retentionMilliseconds = 5_000 }
  world.dequeue()
  #expect(world.ack("j1", result: "42") == "ok")
  #expect(world.get("j1") == "j1 succeeded attempt 1 result 42")
  world.check()
  world.advance(milliseconds: 4_000)
  world.restart(awaySeconds: 0)
  #expect(world.get("j1") == "j1 succeeded attempt 1 result 42")
  world.advance(milliseconds: 1_001)
  #expect(world.get("j1") == "NOT_FOUND")
  world.check()
}

@Test("jobs come first in, first out within a priority, the lower number first")
func order() {
  let world = EngineWorld()
  world.enqueue("late") { $0.priority = 9 }
  world.enqueue("first") { $0.priority = 1 }
  world.enqueue("second") { $0.priority = 1 }
  world.enqueue("urgent") { $0.priority = 0 }
  #expect(world.dequeue(max: 3) == "j4 t1 a1 urgent, j2 t2 a1 first, j3 t3 a1 second")
  #expect(world.dequeue(max: 3) == "j1 t4 a1 late")
  world.check()
}

@Test("several queues are taken from in the order asked for")
func queueOrder() {
  let world = EngineWorld()
  world.enqueue("in a", queue: "a")
  world.enqueue("in b", queue: "b")
  #expect(world.dequeue("b", "none", "a", max: 2) == "j2 t1 a1 in b, j1 t2 a1 in a")
  world.check()
}

@Test("a delayed job is not delivered before its time, by either clock")
func delays() {
  let world = EngineWorld()
  let start = UInt64(world.time.wallMilliseconds)
  world.enqueue("relative") { $0.start = .after(milliseconds: 2_000) }
  world.enqueue("absolute") { $0.start = .at(milliseconds: start + 3_000) }
  world.enqueue("past") { $0.start = .at(milliseconds: 1) }
  #expect(world.dequeue(max: 9) == "j3 t1 a1 past")
  #expect(world.get("j1") == "j1 delayed attempt 0 in 2000 ms")
  world.check()
  world.advance(milliseconds: 1_999)
  #expect(world.dequeue() == "nothing")
  world.advance(milliseconds: 2)
  #expect(world.dequeue() == "j1 t2 a1 relative")
  world.advance(milliseconds: 1_000)
  #expect(world.dequeue() == "j2 t3 a1 absolute")
  world.check()
}

@Test("the wall clock moves absolute times, and never relative delays")
func wallSteps() {
  let world = EngineWorld()
  let start = UInt64(world.time.wallMilliseconds)
  world.enqueue("relative") { $0.start = .after(milliseconds: 60_000) }
  world.enqueue("absolute") { $0.start = .at(milliseconds: start + 60_000) }
  world.stepWall(seconds: 61)
  #expect(world.dequeue(max: 2) == "j2 t1 a1 absolute")
  world.ack("j2")
  world.stepWall(seconds: -3_600)
  world.enqueue("again") { $0.start = .at(milliseconds: start + 1_000) }
  world.advance(seconds: 60)
  #expect(world.dequeue(max: 2) == "j1 t2 a1 relative")
  world.ack("j1")
  #expect(world.get("j3") == "j3 delayed attempt 0 in 3480000 ms")
  world.advance(milliseconds: 3_480_001)
  #expect(world.dequeue(max: 2) == "j3 t3 a1 again")
  world.check()
}

@Test("a failed attempt is retried after the backoff, and after the last one the job is dead")
func attempts() {
  let world = EngineWorld()
  world.enqueue("x") { $0.maximumAttempts = 2 }
  world.dequeue()
  #expect(world.nack("j1") == "ok")
  #expect(world.get("j1") == "j1 delayed attempt 1 in 1600 ms errors [1]")
  world.advance(milliseconds: 1_601)
  #expect(world.dequeue() == "j1 t2 a2 x")
  #expect(world.nack("j1") == "ok")
  #expect(world.get("j1") == "j1 dead attempt 2 failed errors [1, 2]")
  world.check()
}

@Test("a nack may set its own delay, or forbid the retry")
func nackOverrides() {
  let world = EngineWorld()
  world.enqueue("a")
  world.enqueue("b")
  world.enqueue("c")
  world.dequeue(max: 3)
  world.nack("j1", delay: 0)
  world.nack("j2", delay: 500)
  world.nack("j3", retry: false)
  #expect(world.dequeue(max: 9) == "j1 t4 a2 a")
  world.advance(milliseconds: 501)
  #expect(world.dequeue(max: 9) == "j2 t5 a2 b")
  #expect(world.get("j3") == "j3 dead attempt 1 rejected errors [1]")
  world.check()
}

@Test("backoff doubles up to its cap, and jitter only shortens")
func backoff() {
  let id = JobID(partition: 0, generation: 1, slot: 7)
  let rows: [(Backoff, attempt: Int, wait: ClosedRange<UInt64>)] = [
    (Backoff(growth: .fixed, baseMilliseconds: 100, capMilliseconds: 1_000, jitterPercent: 0), 9, 100...100),
    (Backoff(growth: .exponential, baseMilliseconds: 100, capMilliseconds: 1_000, jitterPercent: 0), 1, 100...100),
    (Backoff(growth: .exponential, baseMilliseconds: 100, capMilliseconds: 1_000, jitterPercent: 0), 4, 800...800),
    (Backoff(growth: .exponential, baseMilliseconds: 100, capMilliseconds: 1_000, jitterPercent: 0), 5, 1_000...1_000),
    (Backoff(growth: .fixed, baseMilliseconds: 900, capMilliseconds: 300, jitterPercent: 0), 1, 300...300),
    (
      Backoff(growth: .exponential, baseMilliseconds: .max, capMilliseconds: .max, jitterPercent: 0), 65_536,
      4_294_967_295...4_294_967_295
    ),
    (Backoff(growth: .exponential, baseMilliseconds: 0, capMilliseconds: 0, jitterPercent: 100), 3, 0...0),
    (
      Backoff(growth: .exponential, baseMilliseconds: 1, capMilliseconds: .max, jitterPercent: 100), 65_536,
      0...4_294_967_295
    ),
    (Backoff(growth: .fixed, baseMilliseconds: 1_000, capMilliseconds: 1_000, jitterPercent: 10), 2, 900...1_000),
  ]
  for (policy, attempt, wait) in rows {
    #expect(wait.contains(policy.milliseconds(afterAttempt: attempt, of: id)), "\(policy) after attempt \(attempt)")
  }
}

@Test("a lease that runs out uses the attempt up; the old token is then worth nothing")
func leaseExpiry() {
  let world = EngineWorld()
  world.enqueue("x")
  world.dequeue(lease: 1_000)
  world.advance(milliseconds: 999)
  #expect(world.get("j1") == "j1 leased attempt 1 left 1 ms t1")
  world.advance(milliseconds: 2)
  #expect(world.get("j1") == "j1 delayed attempt 1 in 1599 ms lost 1 errors [1]")
  #expect(world.ack("j1") == "refused j1 LEASE_LOST")
  world.advance(milliseconds: 1_600)
  #expect(world.dequeue() == "j1 t2 a2 x")
  #expect(world.ack("j1", token: 1) == "refused j1 LEASE_LOST")
  #expect(world.nack("j1", token: 1) == "refused j1 LEASE_LOST")
  #expect(world.release("j1", token: 1) == "refused j1 LEASE_LOST")
  #expect(world.extend("j1", token: 1) == "refused j1 LEASE_LOST")
  #expect(world.ack("j1", token: 2) == "ok")
  #expect(world.ack("j1", token: 2) == "refused j1 LEASE_LOST")
  world.check()
}

@Test("a job whose workers keep dying goes to the dead letters")
func leaseExpiryToDead() {
  let world = EngineWorld()
  world.enqueue("x") { $0.maximumAttempts = 1 }
  world.dequeue(lease: 1_000)
  world.advance(milliseconds: 1_001)
  #expect(world.get("j1") == "j1 dead attempt 1 lease_expired lost 1 errors [1]")
  world.check()
}

@Test("extend runs the lease anew from now; a job's own lease wins over the dequeue's")
func extending() {
  let world = EngineWorld()
  world.enqueue("x")
  world.enqueue("own") { $0.leaseMilliseconds = 7_000 }
  #expect(world.take(max: 2, lease: 1_000).taken.map(\.lease) == [1_000, 7_000])
  world.advance(milliseconds: 900)
  #expect(world.extend("j1") == "ok")
  world.advance(milliseconds: 900)
  #expect(world.extend("j1", lease: 5_000) == "ok")
  world.advance(milliseconds: 4_900)
  #expect(world.get("j1") == "j1 leased attempt 1 left 100 ms t1")
  world.check()
}

@Test("release gives a job back to the front, its attempt not counted, or to a delay")
func releasing() {
  let world = EngineWorld()
  for payload in ["a", "b", "c"] { world.enqueue(payload) }
  world.dequeue(max: 2)
  #expect(world.release("j2") == "ok")
  #expect(world.get("j2") == "j2 ready attempt 1")
  #expect(world.release("j1", delay: 1_000) == "ok")
  #expect(world.dequeue(max: 9) == "j2 t3 a1 b, j3 t4 a1 c")
  world.advance(milliseconds: 1_001)
  #expect(world.dequeue() == "j1 t5 a1 p1 a")
  world.check()
}

@Test("jobs released together come out again in the order given")
func releasingMany() {
  let world = EngineWorld()
  for payload in ["a", "b", "c", "d"] { world.enqueue(payload) }
  world.dequeue(max: 3)
  let all = ["j1", "j2", "j3"].map { world.settlement(.release, $0) }
  #expect(world.take(max: 9, settling: all).text == "j1 t4 a1 a, j2 t5 a1 b, j3 t6 a1 c, j4 t7 a1 d")
  world.check()
}

@Test("deliveries that did not leave are given back in the order in which they were taken")
func givingBack() {
  let world = EngineWorld()
  for payload in ["a", "b", "c", "d"] { world.enqueue(payload) }
  let taken = world.take(max: 3).taken
  world.ack("j2")
  world.giveBack(taken)
  #expect(world.dequeue(max: 9) == "j1 t4 a1 a, j3 t5 a1 c, j4 t6 a1 d")
  world.giveBack(taken)
  #expect(world.dequeue() == "nothing")
  world.check()
}

@Test("a job that is not started in time is dead, and one that was delivered once is not")
func expiry() {
  let world = EngineWorld()
  world.enqueue("late") { $0.expiry = .after(milliseconds: 1_000) }
  world.enqueue("started") { $0.expiry = .after(milliseconds: 1_000) }
  world.enqueue("past") { $0.expiry = .at(milliseconds: 1) }
  world.enqueue("delayed beyond") {
    $0.expiry = .after(milliseconds: 1_000)
    $0.start = .after(milliseconds: 2_000)
  }
  #expect(world.dequeue(max: 1) == "j1 t1 a1 late")
  world.release("j1")
  #expect(world.dequeue(max: 1) == "j1 t2 a1 late")
  world.check()
  world.advance(milliseconds: 1_001)
  world.release("j1")
  #expect(world.get("j2") == "j2 dead attempt 0 expired")
  #expect(world.get("j3") == "j3 dead attempt 0 expired")
  #expect(world.get("j1") == "j1 ready attempt 1")
  world.advance(milliseconds: 1_000)
  #expect(world.get("j4") == "j4 dead attempt 0 expired")
  world.check()
}

@Test("a cancelled job is never delivered; a leased one's worker is told")
func cancelling() {
  let world = EngineWorld()
  world.enqueue("ready")
  world.enqueue("leased") { $0.priority = 0 }
  world.enqueue("delayed") { $0.start = .after(milliseconds: 1_000) }
  world.enqueue("kept") { $0.retentionMilliseconds = 9_000 }
  world.dequeue(lease: 5_000)
  #expect(world.cancel("j1", "j2", "j3", "j4", "j9") == "cancelled j1 j2 j3 j4 leased j2 refused j5 NOT_FOUND")
  #expect(world.cancel("j4", "j2") == "cancelled  refused j4 FINISHED refused j2 FINISHED")
  #expect(world.get("j1") == "NOT_FOUND")
  #expect(world.get("j2") == "j2 cancelled attempt 1")
  #expect(world.get("j4") == "j4 cancelled attempt 0")
  #expect(world.extend("j2") == "refused j2 CANCELLED")
  #expect(world.ack("j2") == "refused j2 CANCELLED")
  #expect(world.ack("j2", token: 7) == "refused j2 LEASE_LOST")
  #expect(world.dequeue(max: 9) == "nothing")
  world.check()
  world.restart()
  #expect(world.ack("j2") == "refused j2 CANCELLED")
  world.advance(milliseconds: 5_001)
  #expect(world.ack("j2") == "refused j2 LEASE_LOST")
  #expect(world.get("j2") == "NOT_FOUND")
  world.advance(milliseconds: 4_000)
  #expect(world.get("j4") == "NOT_FOUND")
  world.check()
}

@Test("a unique key answers the first job for its window, whatever became of the job")
func uniqueKeys() {
  let world = EngineWorld()
  func enqueue(_ payload: String) -> String {
    world.enqueue(payload) {
      $0.uniqueKey = world.bytes("key")
      $0.uniqueMilliseconds = 10_000
    }
  }
  #expect(enqueue("a") == "j1")
  #expect(enqueue("b") == "j1=")
  world.dequeue()
  world.ack("j1")
  world.restart()
  #expect(enqueue("c") == "j1=")
  world.check()
  world.advance(milliseconds: 10_000)
  #expect(enqueue("d") == "j2")
  let reply = world.say(.enqueue) {
    $0.jobs = ["x", "y"].map { world.job($0) { $0.uniqueKey = world.bytes("other") } }
  }
  #expect(reply.text == "j3 j3=")
  world.check()
}

@Test("ids are never used twice, and tokens rise, also across restarts")
func idsAndTokens() {
  let world = EngineWorld()
  var ids: Set<JobID> = []
  var last: UInt64 = 0
  for round in 0..<40 {
    for _ in 0..<70 { world.enqueue("x") }
    let taken = world.take(max: 100).taken
    for job in taken {
      #expect(ids.insert(job.id).inserted, "\(job.id)")
      #expect(job.token.rawValue > last)
      last = job.token.rawValue
      world.ack(world.name(job.id))
    }
    switch round % 8 {
    case 3: world.restart()
    case 5: world.takeSnapshot()
    case 7: world.restartFromSnapshot()
    default: break
    }
  }
  #expect(ids.count == 2_800)
  world.check()
}
