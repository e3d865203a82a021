import NuvomModel
import Testing

@testable import NuvomEngine

@Test("multi takes effect as a whole")
func multi() {
  let world = EngineWorld()
  world.enqueue("a")
  world.enqueue("b")
  world.dequeue()
  let reply = world.say(.multi) {
    $0.settlements = [world.settlement(.ack, "j1")]
    $0.jobs = [world.job("c"), world.job("d")]
    $0.ids = [world.id("j2")]
    $0.operations = [
      .init(method: .enqueue, items: 0..<1), .init(method: .ack, items: 0..<1), .init(method: .cancel, items: 0..<1),
      .init(method: .enqueue, items: 1..<2),
    ]
  }
  #expect(reply.text == "[j3; ok; cancelled j2; j4]")
  #expect(world.dequeue(max: 9) == "j3 t2 a1 c, j4 t3 a1 d")
  world.check()
}

@Test("a multi with one refusal changes nothing, and says which operation it was")
func refusedMulti() {
  let world = EngineWorld { $0.memoryLimit = 64 << 20 }
  world.enqueue("a")
  world.enqueue("b")
  world.dequeue()
  let stale = world.settlement(.ack, "j1", token: 9)
  let good = world.settlement(.ack, "j1")
  let rows: [([Request.Operation], [Settlement], [JobID], room: Int, answer: String)] = [
    (
      [.init(method: .enqueue, items: 0..<1), .init(method: .ack, items: 0..<1)], [stale], [], .max,
      "LEASE_LOST operation 1"
    ),
    (
      [.init(method: .ack, items: 0..<1), .init(method: .cancel, items: 0..<1)], [good], [JobID(rawValue: 9)], .max,
      "NOT_FOUND operation 1"
    ),
    (
      [.init(method: .ack, items: 0..<1), .init(method: .cancel, items: 0..<1)], [good], [good.id], .max,
      "BAD_PARAMS operation 1"
    ),
    (
      [.init(method: .ack, items: 0..<1), .init(method: .enqueue, items: 0..<1)], [good], [], 0,
      "DISK_FULL operation 1 retry"
    ),
  ]
  let before = world.engine.digest()
  for row in rows {
    world.diskRoom = row.room
    let reply = world.say(.multi) {
      $0.jobs = [world.job("never")]
      $0.operations = row.0
      $0.settlements = row.1
      $0.ids = row.2
    }
    #expect(reply.text == row.answer)
    #expect(world.engine.digest() == before)
  }
  world.check()
}

@Test("a purge drops ready and delayed jobs, at most as many as asked, and nothing else")
func purge() {
  let world = EngineWorld()
  #expect(world.purge("none") == "NOT_FOUND")
  for index in 0..<6 {
    world.enqueue("\(index)") { $0.start = .after(milliseconds: index.isMultiple(of: 2) ? 0 : 9_000) }
  }
  world.enqueue("other", queue: "other") { $0.start = .after(milliseconds: 9_000) }
  world.dequeue()
  #expect(world.purge(limit: 3) == "purged 3 more")
  #expect(world.purge() == "purged 2")
  #expect(world.get("j1").hasPrefix("j1 leased"))
  #expect(world.get("j7").hasPrefix("j7 delayed"))
  world.check()
}

@Test("dead letters are listed oldest first, by filter and page")
func deadList() {
  let world = EngineWorld()
  for index in 0..<5 { world.enqueue("\(index)", queue: index < 3 ? "a" : "b") }
  world.dequeue("a", "b", max: 9)
  for index in [3, 1, 5, 2] { world.nack("j\(index)", retry: false) }
  world.enqueue("expired") { $0.expiry = .at(milliseconds: 1) }
  world.advance(seconds: 1)
  #expect(world.dead(.deadList) == "j3 j1 j5 j2 j6")
  #expect(world.dead(.deadList, limit: 2) == "j3 j1 next j1")
  #expect(world.dead(.deadList, limit: 2) { $0.afterID = world.id("j1") } == "j5 j2 next j2")
  #expect(world.dead(.deadList) { $0.queue = world.bytes("b") } == "j5")
  #expect(world.dead(.deadList) { $0.reason = .expired } == "j6")
  #expect(world.dead(.deadList) { $0.task = world.bytes("none") } == "")
  #expect(world.dead(.deadDelete) { $0.queue = world.bytes("b") } == "deleted 1")
  #expect(world.dead(.deadDelete, "j3", "j4") == "deleted 1 refused j4 NOT_FOUND")
  #expect(world.dead(.deadList) { $0.afterID = world.id("j3") } == "NOT_FOUND")
  #expect(world.dead(.deadReplay, limit: 1) == "replayed 1 more")
  #expect(world.dead(.deadList) == "j2 j6")
  world.check()
}

@Test("a replayed dead letter has a new allowance, its attempts go on, and its expiry is over")
func replayedAttempts() {
  let world = EngineWorld()
  world.enqueue("x") { $0.maximumAttempts = 2 }
  world.enqueue("late") { $0.expiry = .at(milliseconds: 1) }
  for _ in 0..<2 {
    world.dequeue()
    world.nack("j1", delay: 0)
  }
  world.advance(seconds: 1)
  #expect(world.dead(.deadReplay) == "replayed 2")
  #expect(world.dequeue(max: 2) == "j2 t3 a1 late, j1 t4 a3 x")
  world.restart()
  #expect(world.nack("j1", delay: 0) == "ok")
  #expect(world.dequeue() == "j1 t5 a4 x")
  #expect(world.nack("j1", delay: 0) == "ok")
  #expect(world.get("j1") == "j1 dead attempt 4 failed errors [1, 2, 3, 4]")
  world.check()
}

@Test("dead letters have a cap and a retention, and what these drop is counted")
func deadLetterLimits() {
  let world = EngineWorld {
    $0.deadLetterLimit = 2
    $0.deadLetterRetentionMilliseconds = 10_000
  }
  for index in 1...4 {
    world.enqueue("\(index)")
    world.dequeue()
    world.nack("j\(index)", retry: false)
  }
  #expect(world.dead(.deadList) == "j3 j4")
  #expect(world.engine.statistics().deadDropped == 2)
  world.check()
  world.restart(awaySeconds: 5)
  world.advance(milliseconds: 5_001)
  #expect(world.dead(.deadList) == "")
  #expect(world.engine.statistics().deadDropped == 4)
  world.check()
}

@Test("queues are told in the order of their first use, by pages")
func queues() {
  let world = EngineWorld()
  for name in ["c", "a", "b"] { world.enqueue("x", queue: name) }
  world.pause("a")
  func page(after: String, limit: Int) -> String {
    world.say(.queues) {
      $0.filter.afterName = world.bytes(after)
      $0.filter.limit = limit
    }.text
  }
  #expect(page(after: "", limit: 2) == "c 1/0/0/0, a paused 1/0/0/0 next a")
  #expect(page(after: "a", limit: 2) == "b 1/0/0/0")
  #expect(page(after: "none", limit: 2) == "NOT_FOUND")
  world.advance(seconds: 3)
  #expect(
    world.say(.queue) { $0.queues = [world.bytes("c")] }.text == "ready 1 delayed 0 leased 0 waiting 0 oldest 3000")
  #expect(world.say(.queue) { $0.queues = [world.bytes("none")] }.text == "NOT_FOUND")
}

@Test("over its memory limit the engine refuses new jobs, while all else goes on")
func memoryLimit() {
  let world = EngineWorld { $0.memoryLimit = 16 << 20 }
  let large = String(repeating: "x", count: 200_000)
  var accepted = 0
  while world.enqueue(large) != "MEMORY_FULL retry", accepted < 200 { accepted += 1 }
  #expect((40...90).contains(accepted))
  var finished = 0
  while case let taken = world.take(max: accepted).taken, !taken.isEmpty {
    for job in taken { #expect(world.ack(world.name(job.id)) == "ok") }
    finished += taken.count
  }
  #expect(finished == accepted)
  #expect(world.enqueue(large).hasPrefix("j"))
  #expect(world.enqueue(String(repeating: "y", count: 16 << 20)) == "MEMORY_FULL retry")
  world.check()
}

@Test("on a full disk the engine refuses new jobs and long results; what has room reserved goes on")
func diskFull() {
  let world = EngineWorld()
  for _ in 0..<6 { world.enqueue("x") { $0.retentionMilliseconds = 9_000 } }
  world.enqueue("unkept")
  world.diskRoom = 0
  #expect(world.enqueue("y") == "DISK_FULL retry")
  #expect(world.dequeue(max: 7).hasPrefix("j1 t1"))
  let long = String(repeating: "r", count: 1_025)
  #expect(world.ack("j1", result: String(repeating: "r", count: 1_024)) == "ok")
  #expect(world.ack("j2", result: long) == "refused j2 DISK_FULL")
  #expect(world.ack("j7", result: long) == "ok")
  #expect(world.extend("j2") == "ok")
  #expect(world.release("j3") == "ok")
  let before = world.log.count
  #expect(world.nack("j4", message: String(repeating: "m", count: 4_096)) == "ok")
  #expect(world.log[before].count < 1_200)
  #expect(world.cancel("j5") == "cancelled j5 leased j5")
  #expect(world.dequeue() == "j3 t8 a1 x")
  world.check()
}

@Test("room is counted for the jobs that are there as well as for those that come")
func reservedRoom() {
  let world = EngineWorld()
  world.diskRoom = 4_000
  #expect(world.enqueue("a") == "j1")
  #expect(world.enqueue("b") == "j2")
  #expect(world.enqueue("c") == "j3")
  #expect(world.enqueue("d") == "DISK_FULL retry")
  world.dequeue()
  world.ack("j1")
  #expect(world.enqueue("d") == "j4")
}

@Test("a page of large dead letters ends before it would not fit a frame")
func largeDeadLetters() {
  let world = EngineWorld()
  let large = String(repeating: "x", count: 3 << 20)
  for index in 1...4 {
    world.enqueue(large)
    world.dequeue()
    world.nack("j\(index)", retry: false)
  }
  #expect(world.dead(.deadList) == "j1 j2 next j2")
  #expect(world.dead(.deadList) { $0.afterID = world.id("j2") } == "j3 j4")
}
