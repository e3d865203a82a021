import NuvomModel
import Testing

@testable import NuvomEngine

@Test("what a worker says of a job's progress is shown by get, until it says something else")
func progressIsShown() {
  let world = EngineWorld()
  world.enqueue("x")
  world.dequeue()
  #expect(world.report("j1", percent: 0, message: "unpacking") == "ok")
  #expect(world.get("j1") == "j1 leased attempt 1 left 30000 ms t1 progress 0 unpacking")
  world.advance(milliseconds: 500)
  #expect(world.report("j1", percent: 100) == "ok")
  #expect(world.get("j1") == "j1 leased attempt 1 left 29500 ms t1 progress 100")
  #expect(world.report("j1", message: "packing") == "ok")
  #expect(world.get("j1") == "j1 leased attempt 1 left 29500 ms t1 progress packing")
  world.advance(milliseconds: 500)
  #expect(world.report("j1") == "ok")
  let details = world.say(.get) { $0.ids = [world.id("j1")] }.details
  #expect(details?.progress == JobProgress(percent: nil, message: [], atMilliseconds: world.time.wallMilliseconds))
  world.check()
}

@Test("of several reports each stands alone, and of one job's the last counts")
func severalReports() {
  let world = EngineWorld()
  for payload in ["a", "b", "c"] { world.enqueue(payload) }
  world.dequeue(max: 2)
  let reply = world.say(.progress) {
    let said: [(String, UInt8)] = [("j1", 1), ("j3", 2), ("j2", 3), ("j1", 4)]
    $0.reports = said.map { name, percent in
      var report = ProgressReport(id: world.id(name), token: world.tokens[world.id(name)] ?? LeaseToken(rawValue: 9))
      report.percent = percent
      return report
    }
  }
  #expect(reply.text == "refused j3 LEASE_LOST")
  #expect(world.get("j1").hasSuffix("progress 4") && world.get("j2").hasSuffix("progress 3"))
  #expect(world.engine.statistics().refused == 1)
  world.check()
}

@Test("the longest message is kept to its last byte, and one that follows it is not mixed with it")
func longestMessage() {
  let world = EngineWorld()
  world.enqueue("x")
  world.dequeue()
  for message in [String(repeating: "m", count: 254) + "!", "short", ""] {
    #expect(world.report("j1", message: message) == "ok")
    let kept = world.say(.get) { $0.ids = [world.id("j1")] }.details?.progress?.message
    #expect(kept == Array(message.utf8))
  }
}

@Test("progress does not make the lease longer")
func progressIsNoExtension() {
  let world = EngineWorld()
  world.enqueue("x")
  world.dequeue(lease: 1_000)
  world.advance(milliseconds: 900)
  world.report("j1", percent: 90)
  world.advance(milliseconds: 101)
  #expect(world.get("j1") == "j1 delayed attempt 1 in 1599 ms lost 1 errors [1]")
}

@Test(
  "progress is forgotten with its lease, however that ends",
  arguments: ["ack", "nack", "reject", "release", "postpone", "cancel", "run out", "give back"])
func progressEndsWithTheLease(ending: String) {
  let world = EngineWorld()
  world.enqueue("x") { $0.retentionMilliseconds = 60_000 }
  world.enqueue("other")
  let taken = world.take(max: 2, lease: 5_000).taken
  world.report("j1", percent: 50, message: "half")
  world.report("j2", percent: 10)
  world.advance(milliseconds: 4_900)
  world.extend("j2")
  switch ending {
  case "ack": world.ack("j1", result: "r")
  case "nack": world.nack("j1", delay: 0)
  case "reject": world.nack("j1", retry: false)
  case "release": world.release("j1")
  case "postpone": world.release("j1", delay: 1)
  case "cancel": world.cancel("j1")
  case "give back": world.giveBack(Array(taken.prefix(1)))
  default: world.advance(milliseconds: 101)
  }
  let held = world.engine.progress.count
  #expect(held == 1)
  #expect(!world.get("j1").contains("progress") && world.get("j2").hasSuffix("progress 10"))
  world.dead(.deadReplay)
  world.advance(milliseconds: 2_000)
  if world.dequeue().hasPrefix("j1") { #expect(!world.get("j1").contains("progress")) }
  world.check()
}

@Test("progress under a token that is not the job's, or of a cancelled job, is refused as an extend is")
func refusedProgress() {
  let world = EngineWorld()
  world.enqueue("x")
  world.dequeue(lease: 1_000)
  #expect(world.report("j1", token: 7, percent: 1) == "refused j1 LEASE_LOST")
  world.advance(milliseconds: 1_001)
  #expect(world.report("j1", percent: 1) == "refused j1 LEASE_LOST")
  world.advance(milliseconds: 1_600)
  world.dequeue()
  #expect(world.report("j1", token: 1, percent: 1) == "refused j1 LEASE_LOST")
  #expect(world.report("j1", percent: 2) == "ok")
  world.cancel("j1")
  #expect(world.report("j1", percent: 3) == "refused j1 CANCELLED")
  #expect(world.report("j1", token: 1, percent: 3) == "refused j1 LEASE_LOST")
  #expect(world.report("j9", token: 1, percent: 3) == "refused j2 LEASE_LOST")
  let held = world.engine.progress.count
  #expect(held == 0)
  world.check()
}

@Test("progress is neither in the log nor in a snapshot: after a restart it is unknown until it is told again")
func progressIsVolatile() {
  let world = EngineWorld()
  world.enqueue("x")
  world.dequeue()
  let digest = world.engine.digest()
  let batches = world.log.count
  world.takeSnapshot()
  let parts = world.snapshot?.parts
  world.report("j1", percent: 50, message: "a message that nothing else has")
  #expect(world.log.count == batches)
  #expect(world.engine.digest() == digest)
  world.takeSnapshot()
  #expect(world.snapshot?.parts == parts)
  for isFromSnapshot in [false, true] {
    if isFromSnapshot { world.restartFromSnapshot() } else { world.restart() }
    #expect(world.get("j1") == "j1 leased attempt 1 left 30000 ms t1")
    #expect(world.report("j1", percent: 51) == "ok")
    #expect(world.get("j1") == "j1 leased attempt 1 left 30000 ms t1 progress 51")
  }
  world.check()
}

@Test("who waits for a job sees its progress at the time limit, and none when it is finished")
func progressInWait() {
  for ending in ["ack", "cancel", "time"] {
    let world = EngineWorld()
    world.enqueue("x")
    world.dequeue()
    #expect(world.wait("j1", milliseconds: 1_600) == "…")
    world.report("j1", percent: 5)
    switch ending {
    case "ack": world.ack("j1")
    case "cancel": world.cancel("j1")
    default: world.advance(milliseconds: 1_601)
    }
    let expected = [
      "ack": "j1 succeeded attempt 1", "cancel": "j1 cancelled attempt 1",
      "time": "j1 leased attempt 1 left 28400 ms t1 progress 5",
    ]
    #expect(world.heard == [expected[ending]])
  }
}

@Test("a hundred thousand jobs with progress leave nothing behind")
func progressIsBounded() {
  let world = EngineWorld()
  var before = 0
  for round in 0..<100 {
    world.say(.enqueue) { $0.jobs = (0..<1_000).map { world.job("\($0)") } }
    let taken = world.take(max: 1_000).taken
    for message in ["first", "second"] {
      let reply = world.say(.progress) {
        $0.reports = taken.map { job in
          var report = ProgressReport(id: job.id, token: job.token)
          report.message = world.bytes(message)
          return report
        }
      }
      #expect(reply.text == "ok")
    }
    let held = (world.engine.progress.count, world.engine.progress.bytes)
    #expect(held.0 == 1_000 && held.1 < 1 << 20)
    world.say(.ack) { $0.settlements = taken.map { Settlement(kind: .ack, id: $0.id, token: $0.token) } }
    let left = world.engine.progress.count
    #expect(left == 0)
    if round == 0 { before = world.engine.memoryBytes }
  }
  #expect(world.engine.memoryBytes <= before)
}

@Test("what is kept of progress counts to the memory limit; over it a report is refused, and the job goes on")
func progressAndMemory() {
  let world = EngineWorld { $0.memoryLimit = 8 << 20 }
  for _ in 0..<40 { world.say(.enqueue) { $0.jobs = (0..<1_000).map { world.job("\($0)") } } }
  var accepted = 0
  var last = ""
  while case let taken = world.take(max: 1_000, lease: 60_000).taken, !taken.isEmpty {
    let before = world.engine.memoryBytes
    last = world.say(.progress) { $0.reports = taken.map { ProgressReport(id: $0.id, token: $0.token) } }.text
    if last != "ok" { break }
    #expect(world.engine.memoryBytes >= before)
    accepted += 1
  }
  #expect(last == "MEMORY_FULL retry" && accepted > 0)
  let held = world.engine.progress.count
  #expect(held == accepted * 1_000)
  #expect(world.enqueue("one more") == "MEMORY_FULL retry")
  #expect(world.extend("j1") == "ok" && world.ack("j1") == "ok")
  world.engine.checkInvariants("over the limit")
}
