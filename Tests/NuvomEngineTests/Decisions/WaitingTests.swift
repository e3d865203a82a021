import NuvomModel
import Testing

@testable import NuvomEngine

@Test("a waiting dequeue is woken by what makes a job ready")
func wakes() {
  let world = EngineWorld()
  #expect(world.dequeue(wait: 60_000) == "…")
  world.enqueue("enqueued")
  #expect(world.heard == ["j1 t1 a1 enqueued"])
  #expect(world.dequeue(wait: 60_000) == "…")
  world.nack("j1", delay: 0)
  #expect(world.heard == ["j1 t2 a2 enqueued"])
  #expect(world.dequeue(wait: 60_000) == "…")
  world.release("j1")
  #expect(world.heard == ["j1 t3 a2 enqueued"])
  #expect(world.dequeue(wait: 60_000) == "…")
  world.nack("j1", delay: 1_000)
  world.advance(milliseconds: 1_001)
  #expect(world.heard == ["j1 t4 a3 enqueued"])
  world.nack("j1")
  #expect(world.dequeue(wait: 60_000) == "…")
  #expect(world.dead(.deadReplay, "j1") == "replayed 1")
  #expect(world.heard == ["j1 t5 a4 enqueued"])
  world.ack("j1")
  world.enqueue("leased")
  world.dequeue(lease: 1_000)
  #expect(world.dequeue(wait: 60_000) == "…")
  world.advance(milliseconds: 2_601)
  #expect(world.heard == ["j2 t7 a2 leased"])
  world.check()
}

@Test("waiting dequeues are served first come, first served, each up to what it asked for")
func fairness() {
  let world = EngineWorld()
  let first = world.connection
  #expect(world.dequeue("a", max: 2, wait: 60_000) == "…")
  world.connect()
  let second = world.connection
  #expect(world.dequeue("b", "a", max: 2, wait: 60_000) == "…")
  world.connect()
  let reply = world.say(.enqueue) { $0.jobs = ["1", "2", "3"].map { world.job($0, queue: "a") } }
  #expect(reply.text == "j1 j2 j3")
  #expect(world.late.map(\.connection) == [first, second])
  #expect(world.heard == ["j1 t1 a1 1, j2 t2 a1 2", "j3 t3 a1 3"])
  world.enqueue("nobody waits any more", queue: "b")
  #expect(world.heard == [])
  world.check()
}

@Test("a wait runs out, and is not answered twice")
func waitRunsOut() {
  let world = EngineWorld()
  #expect(world.dequeue("a", "b", wait: 1_000) == "…")
  world.advance(milliseconds: 999)
  #expect(world.heard == [])
  world.advance(milliseconds: 2)
  #expect(world.heard == ["nothing"])
  world.enqueue("x", queue: "b")
  #expect(world.heard == [])
  world.check()
}

@Test("a connection that is gone, or ending, is leased nothing")
func goneWaiters() {
  let world = EngineWorld()
  let gone = world.connection
  #expect(world.dequeue(wait: 60_000) == "…")
  world.connect()
  let ending = world.connection
  #expect(world.dequeue(wait: 60_000) == "…")
  world.connect()
  #expect(world.dequeue(wait: 60_000) == "…")
  world.disconnect(gone)
  world.engine.endWaits(of: ending)
  #expect(!world.engine.isWaiting(ending))
  world.enqueue("x")
  #expect(world.late.map(\.connection) == [world.connection])
  #expect(world.heard == ["j1 t1 a1 x"])
  world.check()
}

@Test("from a paused queue nothing is dequeued, and resume wakes who waits; also after a restart")
func pausing() {
  let world = EngineWorld()
  world.enqueue("x")
  #expect(world.pause() == "ok")
  #expect(world.pause() == "ok")
  #expect(world.dequeue() == "nothing")
  world.restart()
  #expect(world.dequeue(wait: 60_000) == "…")
  world.enqueue("y")
  #expect(world.heard == [])
  #expect(world.resume() == "ok")
  #expect(world.heard == ["j1 t1 a1 x"])
  world.check()
}

@Test("a paused queue does not hold up the others that a dequeue waits for")
func pausedBesideOthers() {
  let world = EngineWorld()
  world.pause("a")
  #expect(world.dequeue("a", "b", wait: 60_000) == "…")
  world.enqueue("x", queue: "a")
  #expect(world.heard == [])
  world.enqueue("y", queue: "b")
  #expect(world.heard == ["j2 t1 a1 y"])
  world.check()
}

@Test("settlements of a dequeue take effect at once, and what was refused is told with its answer")
func settlingDequeue() {
  let world = EngineWorld()
  world.enqueue("a")
  world.enqueue("b")
  world.dequeue(max: 2)
  let reply = world.take(
    wait: 60_000, settling: [world.settlement(.ack, "j1"), world.settlement(.ack, "j2", token: 99)])
  #expect(reply.text == "…")
  #expect(world.get("j1") == "NOT_FOUND")
  world.release("j2")
  #expect(world.heard == ["j2 t3 a1 b refused j2 LEASE_LOST"])
  world.check()
}

@Test(
  "wait answers when the job is finished, however that comes",
  arguments: [
    ("ack", "j1 succeeded attempt 1 result 42"), ("reject", "j1 dead attempt 1 rejected errors [1]"),
    ("cancel", "j1 cancelled attempt 1"), ("lease", "j1 dead attempt 1 lease_expired lost 1 errors [1]"),
    ("limit", "j1 leased attempt 1 left 30000 ms t1"),
  ])
func waitForJob(how: String, answer: String) {
  let world = EngineWorld()
  world.enqueue("x") { $0.maximumAttempts = 1 }
  world.dequeue(lease: how == "limit" ? 60_000 : 20_000)
  #expect(world.wait("j1", milliseconds: 30_000) == "…")
  #expect(world.wait("j1", milliseconds: 30_000) == "…")
  switch how {
  case "ack": world.ack("j1", result: "42")
  case "reject": world.nack("j1", retry: false)
  case "cancel": world.cancel("j1")
  default: world.advance(milliseconds: 30_000)
  }
  let heard = world.heard
  #expect(heard == [answer, answer])
  world.check()
}

@Test("wait answers for jobs that are purged or not started in time")
func waitForUnstarted() {
  let world = EngineWorld()
  world.enqueue("ready")
  world.enqueue("delayed") { $0.start = .after(milliseconds: 60_000) }
  world.enqueue("expires", queue: "other") { $0.expiry = .after(milliseconds: 1_000) }
  for job in ["j1", "j2", "j3"] { #expect(world.wait(job, milliseconds: 9_000) == "…") }
  #expect(world.purge() == "purged 2")
  #expect(world.heard == ["j1 cancelled attempt 0", "j2 cancelled attempt 0"])
  world.advance(milliseconds: 1_001)
  #expect(world.heard == ["j3 dead attempt 0 expired"])
  #expect(world.wait("j3", milliseconds: 9_000) == "j3 dead attempt 0 expired")
  #expect(world.wait("j1", milliseconds: 9_000) == "NOT_FOUND")
  world.check()
}

@Test("a connection has 1,024 waiting requests at most")
func waitingLimit() {
  let world = EngineWorld()
  world.enqueue("a")
  world.dequeue()
  for _ in 0..<1_024 { #expect(world.dequeue(wait: 60_000) == "…") }
  #expect(world.dequeue(wait: 60_000) == "LIMIT_EXCEEDED retry")
  // What it carried is done, so it is no error; it comes back with nothing.
  #expect(world.take(wait: 60_000, settling: [world.settlement(.ack, "j1")]).text == "nothing")
  #expect(world.get("j1") == "NOT_FOUND")
  #expect(world.dequeue() == "nothing")
  world.connect()
  #expect(world.dequeue(wait: 60_000) == "…")
  world.check()
}
