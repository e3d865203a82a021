import NuvomModel
import NuvomSchedule
import Testing

@testable import NuvomEngine

// How schedules are defined, changed, controlled and looked at. What they do as time goes by: ScheduleTests.

// MARK: Defining

@Test("the same definition again changes nothing, whatever became of the schedule")
func definedAgain() {
  let world = EngineWorld()
  let define = { world.every("tick", 10_000) { $0.maximumFires = 2 } }
  #expect(define() == "created in 10000 ms")
  let before = (world.log.count, world.engine.digest())
  #expect(define() == "unchanged in 10000 ms")
  #expect(world.log.count == before.0 && world.engine.digest() == before.1)
  world.advance(seconds: 10)
  #expect(define() == "unchanged in 10000 ms")
  world.change(.schedulePause, "tick")
  #expect(define() == "unchanged in 10000 ms")
  #expect(world.schedule("tick")?.state == .paused)
  world.change(.scheduleResume, "tick")
  world.restart()
  world.advance(seconds: 20)
  #expect(define() == "unchanged")
  #expect(world.runs() == ["tick 10000", "tick 20000"])
  world.advance(seconds: 100)
  #expect(world.runs() == [])
  world.check()
}

/// What is changed, and by which names an answer must tell.
private struct Change: Sendable, CustomStringConvertible {
  let description: String
  let make: @Sendable (EngineWorld, inout NewSchedule) -> Void
}

private let changes: [Change] = [
  Change(description: "start_at_ms") { $1.startMilliseconds = EngineWorld.wall(500) },
  Change(description: "end_at_ms") { $1.endMilliseconds = EngineWorld.wall(500_000) },
  Change(description: "max_fires") { $1.maximumFires = 10 },
  Change(description: "jitter_ms") { $1.jitterMilliseconds = 1 },
  Change(description: "misfire") { $1.misfire = .skip },
  Change(description: "misfire catch_up_ms") { (_, schedule) in
    (schedule.misfire, schedule.catchUpMilliseconds) = (.all, 7)
  },
  Change(description: "catch_up_ms") { $1.catchUpMilliseconds = 0 },
  Change(description: "overlap") { $1.overlap = .cancelPrevious },
  Change(description: "metadata") { $1.metadata = $0.bytes([0x81, 0xA1, 0x61, 0x01]) },
  Change(description: "retention_ms") { $1.retentionMilliseconds = 0 },
  Change(description: "job.queue") { $1.job.queue = $0.bytes("another") },
  Change(description: "job.task") { $1.job.task = $0.bytes("another") },
  Change(description: "job.payload") { $1.job.payload = $0.bytes("another") },
  Change(description: "job.headers") { $1.job.headers = $0.bytes([0x81, 0xA1, 0x61, 0xA1, 0x62]) },
  Change(description: "job.tags") { $1.job.tags = $0.bytes([0x91, 0xA1, 0x61]) },
  Change(description: "job.priority") { $1.job.priority = 0 },
  Change(description: "job.options") { $1.job.maximumAttempts = 9 },
  Change(description: "job.options") { $1.job.backoff.jitterPercent = 9 },
  Change(description: "job.options") { $1.job.timeoutMilliseconds = 9 },
  Change(description: "job.options") { $1.job.leaseMilliseconds = 9 },
  Change(description: "job.options") { $1.job.retentionMilliseconds = 9 },
  Change(description: "job.options") { $1.job.expiry = .after(milliseconds: 9) },
  Change(description: "every_ms") { $1.times = .every(milliseconds: 20_000) },
  Change(description: "at_ms") { $1.times = .at(milliseconds: EngineWorld.wall(1_000)) },
  Change(description: "in_ms") { $1.times = .after(milliseconds: 10_000) },
  Change(description: "cron") { $1.times = .cron($0.bytes("@daily"), zone: $0.bytes("UTC"), .shift, .first) },
]

@Test(
  "an update says which fields it changed, and is there after a restart; back again says the same", arguments: changes)
private func whatChanged(change: Change) {
  let world = EngineWorld()
  world.every("tick", 10_000)
  let made = world.schedule("tick")
  world.advance(milliseconds: 160)
  let updated = world.every("tick", 10_000) { change.make(world, &$0) }
  #expect(updated.hasPrefix("updated \(change) in "))
  #expect(world.every("tick", 10_000) { change.make(world, &$0) }.hasPrefix("unchanged in "))
  let shown = world.schedule("tick")
  #expect(shown?.createdAtMilliseconds == made?.createdAtMilliseconds)
  #expect(shown?.updatedAtMilliseconds == EngineWorld.beginning + 160)
  world.takeSnapshot()
  world.restart()
  #expect(world.schedule("tick") == shown)
  world.restartFromSnapshot()
  #expect(world.schedule("tick") == shown)
  let isKind = ["at_ms", "in_ms", "cron"].contains(change.description)
  #expect(world.every("tick", 10_000).hasPrefix("updated \(isKind ? "every_ms" : change.description) in "))
  world.check()
}

@Test("of a cron expression the expression, its zone and both policies are told apart")
func whatChangedOfCron() throws {
  let world = EngineWorld()
  world.give(try centralEurope(), of: "Europe/Berlin")
  world.cron("c", "0 12 * * *")
  #expect(world.cron("c", "0 13 * * *").hasPrefix("updated cron in"))
  #expect(world.cron("c", "0 13 * * *", zone: "Europe/Berlin").hasPrefix("updated time_zone in"))
  #expect(world.cron("c", "0 13 * * *", zone: "Europe/Berlin", gap: .skip).hasPrefix("updated gap in"))
  #expect(world.cron("c", "0 13 * * *", zone: "Europe/Berlin", gap: .skip, fold: .both).hasPrefix("updated fold in"))
  #expect(world.cron("c", "0 14 * * *").hasPrefix("updated cron time_zone gap fold in"))
  world.check()
}

@Test("several are defined at once, in order; the same name twice is an update")
func severalAtOnce() {
  let world = EngineWorld()
  world.every("b", 10_000)
  let reply = world.say(.schedule) {
    $0.schedules = [
      world.definition("a") { $0.times = .every(milliseconds: 1_000) },
      world.definition("b") { $0.times = .every(milliseconds: 10_000) },
      world.definition("a") { $0.times = .every(milliseconds: 2_000) },
    ]
  }
  #expect(reply.text == "created in 1000 ms, unchanged in 10000 ms, updated every_ms in 2000 ms")
  world.check()
}

@Test("a definition that is refused refuses all of its request, and changes nothing")
func refusedDefinitions() throws {
  let world = EngineWorld()
  world.every("there", 10_000)
  let before = (world.log.count, world.engine.digest())
  func refuse(_ change: @escaping (inout NewSchedule) -> Void) -> String {
    world.say(.schedule) {
      $0.schedules = [
        world.definition("there") { $0.times = .every(milliseconds: 5_000) },
        world.definition("good") {
          $0.times = .every(milliseconds: 1_000)
          $0.job.queue = world.bytes("new")
        },
        world.definition("bad", change),
      ]
    }.text
  }
  let unknown = refuse { $0.times = .cron(world.bytes("@daily"), zone: world.bytes("Atlantis"), .shift, .first) }
  #expect(unknown == "UNKNOWN_TIME_ZONE operation 2")
  let rows: [(ScheduleTimes, start: Int64?, end: Int64?)] = [
    (.every(milliseconds: 1_000), 20_000, 10_000),
    (.every(milliseconds: 60_000), nil, 59_999),
    (.every(milliseconds: 60_000), -30_000, 29_999),
    (.every(milliseconds: 1_000), nil, -1),
    (.at(milliseconds: EngineWorld.wall(5_000)), 5_001, nil),
    (.at(milliseconds: EngineWorld.wall(5_000)), nil, 4_999),
    (.after(milliseconds: 5_000), 5_001, nil),
    (.after(milliseconds: 5_000), nil, 4_999),
    (.cron(world.bytes("0 0 29 2 *"), zone: world.bytes("UTC"), .shift, .first), nil, 86_400_000),
    (.cron(world.bytes("* * * * *"), zone: world.bytes("UTC"), .shift, .first), 41_000, 99_999),
  ]
  for (times, start, end) in rows {
    let answer = refuse {
      $0.times = times
      $0.startMilliseconds = start.map(EngineWorld.wall)
      $0.endMilliseconds = end.map(EngineWorld.wall)
    }
    #expect(answer == "NEVER_DUE operation 2", "\(times) \(start ?? 0) \(end ?? 0)")
  }
  #expect(world.log.count == before.0 && world.engine.digest() == before.1)
  // A millisecond more, and each is due.
  for (times, start, end) in rows.dropFirst(1) where end != -1 {
    if case .cron(let text, _, _, _) = times, text[4] == UInt8(ascii: "2") { continue }
    let answer = world.define("good") {
      $0.times = times
      $0.startMilliseconds = start.map { EngineWorld.wall($0 == 41_000 || $0 < 0 ? $0 : $0 - 1) }
      $0.endMilliseconds = end.map { EngineWorld.wall($0 + 1) }
    }
    #expect(answer.hasPrefix("created in "), "\(times) \(start ?? 0) \(end ?? 0)")
    world.change(.scheduleDelete, "good")
  }
  world.check()
}

@Test("definitions are refused that would name more queues or tasks than there may be")
func tooManyNames() {
  let world = EngineWorld()
  for first in stride(from: 0, to: 99_000, by: 9_000) {
    _ = world.say(.enqueue) { request in
      request.jobs = (first..<first + 9_000).map { index in world.job("", queue: "q\(index)") }
    }
  }
  for index in 99_000..<100_000 { world.enqueue("", queue: "q\(index)") }
  #expect(world.every("new", 1_000) { $0.job.queue = world.bytes("one more") } == "LIMIT_EXCEEDED")
  #expect(world.every("new", 1_000) { $0.job.queue = world.bytes("q7") } == "created in 1000 ms")
}

// MARK: Updating

@Test("an update of something else leaves the due times as they are")
func updatedElsewhere() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.advance(seconds: 14)
  #expect(world.every("tick", 10_000) { $0.job.payload = world.bytes("new") } == "updated job.payload in 6000 ms")
  world.advance(seconds: 6)
  #expect(world.take(max: 5).taken.map(\.payload) == ["tick", "new"])
  world.check()
}

@Test("an interval that is changed begins anew with its first whole length; one that is bounded keeps its rhythm")
func updatedInterval() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.advance(seconds: 14)
  #expect(world.every("tick", 60_000) == "updated every_ms in 60000 ms")
  world.advance(seconds: 30)
  #expect(
    world.every("tick", 60_000) { $0.endMilliseconds = EngineWorld.wall(200_000) } == "updated end_at_ms in 30000 ms")
  world.advance(seconds: 200)
  #expect(world.runs() == ["tick 10000", "tick 74000", "tick 134000", "tick 194000"])
  #expect(world.schedule("tick")?.state == .finished)
  // Over, and it may go on: in the same rhythm.
  #expect(world.every("tick", 60_000) == "updated end_at_ms in 10000 ms")
  world.check()
  world.advance(seconds: 10)
  #expect(world.runs() == ["tick 254000"])
  world.check()
}

@Test("a schedule in so long counts from when it was said; an update of something else leaves that")
func updatedAfter() {
  let world = EngineWorld()
  world.once("soon", after: 60_000)
  world.advance(seconds: 20)
  #expect(
    world.once("soon", after: 60_000) { $0.endMilliseconds = EngineWorld.wall(900_000) }
      == "updated end_at_ms in 40000 ms"
  )
  #expect(world.once("soon", after: 30_000) == "updated in_ms end_at_ms in 30000 ms")
  world.advance(seconds: 30)
  #expect(world.runs() == ["soon 50000"])
  #expect(world.once("soon", after: 30_000) { $0.endMilliseconds = EngineWorld.wall(900_000) } == "updated end_at_ms")
  #expect(world.once("soon", after: 30_000) { $0.job.priority = 1 } == "updated end_at_ms job.priority")
  world.advance(seconds: 900)
  #expect(world.runs() == [])
  world.check()
}

@Test("a schedule that is finished goes on when it may fire more often, and never for a due time that was")
func updatedFinished() {
  let world = EngineWorld()
  world.every("tick", 10_000) { $0.maximumFires = 1 }
  world.advance(seconds: 14)
  #expect(world.runs() == ["tick 10000"])
  #expect(world.every("tick", 10_000) { $0.maximumFires = 3 } == "updated max_fires in 6000 ms")
  world.advance(seconds: 100)
  #expect(world.runs() == ["tick 20000", "tick 30000"])
  world.once("at", at: 200_000)
  world.advance(seconds: 100)
  #expect(world.runs() == ["at 200000"])
  #expect(world.once("at", at: 200_000) { $0.job.priority = 9 } == "updated job.priority")
  #expect(world.once("at", at: 100_000) == "updated at_ms job.priority")
  #expect(world.once("at", at: 210_000) == "updated at_ms in -4000 ms")
  world.advance(seconds: 1)
  #expect(world.runs() == ["at 210000"])
  world.check()
}

@Test("fewer fires than there were make a schedule finished")
func updatedToFewer() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.advance(seconds: 30)
  #expect(world.every("tick", 10_000) { $0.maximumFires = 2 } == "updated max_fires")
  #expect(world.schedule("tick")?.state == .finished)
  world.check()
}

@Test("an update of other times leaves a due time that waits for its jitter one, if it still is one")
func updateAmidJitter() throws {
  let world = EngineWorld()
  world.every("tick", 60_000) { $0.jitterMilliseconds = 3_600_000 }
  let wait = try #require(world.schedule("tick")?.firesAtMilliseconds) - EngineWorld.beginning - 60_000
  #expect(wait > 60_000, "the name has a jitter that is long enough for this story")
  // The minute is over, its fire is to come.
  world.advance(milliseconds: 61_000)
  #expect(world.runs() == [])
  let update = world.every("tick", 60_000) {
    $0.jitterMilliseconds = 3_600_000
    $0.endMilliseconds = EngineWorld.wall(100_000)
  }
  #expect(update == "updated end_at_ms in -1000 ms")
  world.advance(milliseconds: wait)
  #expect(world.runs() == ["tick 60000"])
  #expect(world.schedule("tick")?.missed == 0)
  world.check()
}

@Test("due times that passed in a pause, and are none of the new definition's, are counted as missed")
func updateAmidPause() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.change(.schedulePause, "tick")
  world.advance(seconds: 35)
  world.check()
  #expect(world.every("tick", 50_000) == "updated every_ms in 50000 ms")
  #expect(world.schedule("tick")?.missed == 3)
  world.check()
  world.change(.scheduleResume, "tick")
  world.advance(seconds: 51)
  #expect(world.runs() == ["tick 85000"])
  #expect(world.engine.statistics().scheduleTotals.missed == 3)
  world.check()
}

@Test("a cron whose only times lie in gaps that are skipped is never due, and refused as soon as it is looked at")
func dueOnlyInGaps() throws {
  let world = EngineWorld()
  world.give(try centralEurope(), of: "Europe/Berlin")
  #expect(world.cron("gap", "30 2 * 3 0L", zone: "Europe/Berlin", gap: .skip) == "NEVER_DUE operation 0")
  #expect(world.cron("gap", "30 2 * 3 0L", zone: "Europe/Berlin").hasPrefix("created in"))
  world.check()
}

@Test("an update of a paused schedule leaves it paused")
func updatedPaused() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.change(.schedulePause, "tick")
  #expect(world.every("tick", 20_000) == "updated every_ms in 20000 ms")
  world.advance(seconds: 50)
  #expect(world.runs() == [] && world.schedule("tick")?.state == .paused)
  world.change(.scheduleResume, "tick")
  world.fireTimers()
  #expect(world.runs() == ["tick 40000"])
  world.check()
}

// MARK: Control

@Test("pause, resume, trigger and delete say which names they do not know, and do the others")
func unknownNames() {
  let world = EngineWorld()
  world.every("a", 10_000)
  world.every("b", 10_000)
  #expect(world.change(.schedulePause, "a", "nobody", "b", "nobody") == "refused 1 NOT_FOUND refused 3 NOT_FOUND")
  #expect(world.change(.scheduleResume, "nobody", "a") == "refused 0 NOT_FOUND")
  #expect(world.change(.scheduleTrigger, "b", "nobody", "a", "b") == "j1 j2 j3 refused 1 NOT_FOUND")
  #expect(world.change(.scheduleDelete, "a", "a", "nobody") == "refused 1 NOT_FOUND refused 2 NOT_FOUND")
  #expect(world.show("a") == "NOT_FOUND" && world.schedule("b")?.state == .paused)
  world.check()
}

@Test("to pause what is paused, and to resume what is not, is nothing; a finished schedule refuses both")
func controlTwice() {
  let world = EngineWorld()
  world.every("a", 10_000) { $0.maximumFires = 1 }
  #expect(world.change(.schedulePause, "a") == "ok")
  let batches = world.log.count
  #expect(world.change(.schedulePause, "a") == "ok" && world.log.count == batches)
  world.restart()
  #expect(world.schedule("a")?.state == .paused)
  #expect(world.change(.scheduleResume, "a") == "ok")
  #expect(world.change(.scheduleResume, "a") == "ok")
  world.advance(seconds: 10)
  #expect(world.change(.schedulePause, "a") == "refused 0 FINISHED")
  #expect(world.change(.scheduleResume, "a") == "refused 0 FINISHED")
  world.check()
}

@Test("a trigger enqueues now, whatever the schedule's state and overlap policy, and leaves the due times")
func triggered() {
  let world = EngineWorld()
  world.every("tick", 100_000) {
    $0.overlap = .skip
    $0.maximumFires = 1
  }
  world.advance(seconds: 16)
  #expect(world.change(.scheduleTrigger, "tick", "tick") == "j1 j2")
  world.change(.schedulePause, "tick")
  #expect(world.change(.scheduleTrigger, "tick") == "j3")
  #expect(world.runs() == ["tick 16000", "tick 16000", "tick 16000"])
  world.change(.scheduleResume, "tick")
  #expect(world.show("tick") == "tick active in 84000 ms fired 0 triggered 3")
  world.advance(seconds: 84)
  #expect(world.runs() == ["tick 100000"])
  #expect(world.change(.scheduleTrigger, "tick") == "j5")
  #expect(world.engine.statistics().scheduleTotals.triggered == 4)
  world.check()
}

@Test("a schedule that was deleted is forgotten, and may be made anew; its jobs stay")
func deleted() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.advance(seconds: 10)
  #expect(world.change(.scheduleDelete, "tick") == "ok")
  world.advance(seconds: 50)
  #expect(world.runs() == ["tick 10000"])
  #expect(world.every("tick", 10_000) == "created in 10000 ms")
  #expect(world.show("tick") == "tick active in 10000 ms fired 0")
  world.takeSnapshot()
  world.check()
  world.restartFromSnapshot()
  world.advance(seconds: 10)
  #expect(world.runs() == ["tick 70000"])
  world.check()
}

// MARK: Retention

@Test("a finished schedule is known for its retention; with none it is gone at once")
func scheduleRetention() {
  let world = EngineWorld()
  world.once("none", at: 10_000) { $0.retentionMilliseconds = 0 }
  world.once("minute", at: 10_000) { $0.retentionMilliseconds = 60_000 }
  world.once("week", at: 10_000)
  world.advance(seconds: 10)
  #expect(world.show("none") == "NOT_FOUND")
  world.advance(seconds: 40)
  world.restart(awaySeconds: 10)
  world.check()
  world.advance(milliseconds: 9_984)
  #expect(world.show("minute").hasPrefix("minute finished"))
  #expect(world.once("minute", at: 10_000) { $0.retentionMilliseconds = 60_000 } == "unchanged")
  world.advance(milliseconds: 32)
  #expect(world.show("minute") == "NOT_FOUND")
  world.takeSnapshot()
  world.restartFromSnapshot(awaySeconds: 6 * 86_400)
  world.fireTimers()
  #expect(world.once("week", at: 10_000) == "unchanged")
  world.advance(seconds: 86_400)
  #expect(world.show("week") == "NOT_FOUND")
  #expect(world.runs().count == 3)
  world.check()
}

@Test("an update may finish a schedule that nobody is to know any more; nothing of it stays")
func updatedToNothing() {
  let world = EngineWorld()
  for index in 0..<100 { world.every("s\(index)", 10_000) }
  world.advance(seconds: 10)
  for index in 0..<100 {
    let updated = world.every("s\(index)", 10_000) {
      $0.maximumFires = 1
      $0.retentionMilliseconds = 0
    }
    #expect(updated == "updated max_fires retention_ms")
  }
  #expect(world.engine.statistics().schedules == 0)
  world.check()
}

@Test("an update that leaves a finished schedule finished does not take it out of memory before its time")
func retentionAfterUpdate() {
  let world = EngineWorld()
  let start = EngineWorld.wall(-30 * 86_400_000)
  world.every("over", 10_000) {
    $0.startMilliseconds = start
    $0.maximumFires = 1
  }
  world.advance(seconds: 10)
  #expect(world.schedule("over")?.state == .finished)
  let updated = world.every("over", 10_000) {
    $0.startMilliseconds = start + 1
    $0.endMilliseconds = EngineWorld.wall(5_000)
  }
  #expect(updated == "updated start_at_ms end_at_ms max_fires")
  world.advance(seconds: 86_400)
  #expect(world.schedule("over")?.state == .finished)
  world.restart()
  world.fireTimers()
  #expect(world.schedule("over")?.state == .finished)
  world.advance(seconds: 6 * 86_400)
  #expect(world.show("over") == "NOT_FOUND")
  world.check()
}

// MARK: Retries

@Test("a request that was done is answered again and not done again", arguments: [0, 1, 2])
func scheduleRetries(restart: Int) {
  let world = EngineWorld()
  world.connect(client: "c")
  func again() {
    if restart == 1 { world.restart() }
    if restart == 2 {
      world.takeSnapshot()
      world.restartFromSnapshot()
    }
    if restart > 0 { world.connect(client: "c") }
  }
  let tick: (inout NewSchedule) -> Void = { $0.times = .every(milliseconds: 100_000) }
  #expect(world.define("tick", id: 1, tick) == "created in 100000 ms")
  #expect(world.define("tick", id: 2) { $0.times = .every(milliseconds: 50_000) } == "updated every_ms in 50000 ms")
  again()
  #expect(world.define("tick", id: 1, tick) == "created in 100000 ms")
  #expect(world.define("tick", id: 2, tick) == "updated every_ms in 50000 ms")
  #expect(world.change(.scheduleTrigger, "tick", "nobody", "tick", id: 3) == "j1 j2 refused 1 NOT_FOUND")
  again()
  #expect(world.change(.scheduleTrigger, "tick", "nobody", "tick", id: 3) == "j1 j2 refused 1 NOT_FOUND")
  #expect(world.schedule("tick")?.triggered == 2)
  #expect(world.change(.scheduleDelete, "tick", "nobody", id: 4) == "refused 1 NOT_FOUND")
  again()
  #expect(world.change(.scheduleDelete, "tick", "nobody", id: 4) == "refused 1 NOT_FOUND")
  #expect(world.define("tick", id: 5, tick) == "created in 100000 ms")
  #expect(world.change(.scheduleDelete, "tick", id: 6) == "ok")
  again()
  #expect(world.change(.scheduleDelete, "tick", id: 6) == "ok")
  // What is finished has no due time in its receipt.
  let over: (inout NewSchedule) -> Void = {
    $0.times = .every(milliseconds: 10)
    $0.maximumFires = 1
  }
  world.define("over", id: 7, over)
  world.advance(seconds: 1)
  #expect(world.define("over", id: 8, over) == "unchanged")
  again()
  #expect(world.define("over", id: 8, over) == "unchanged")
  world.check()
}

@Test("a definition that was refused is not remembered, and may come again with its id")
func refusedDefinitionIsNotRemembered() throws {
  let world = EngineWorld()
  world.connect(client: "c")
  func define() -> String {
    world.define("c", id: 9) {
      $0.times = .cron(world.bytes("0 0 * * *"), zone: world.bytes("Europe/Berlin"), .shift, .first)
    }
  }
  #expect(define() == "UNKNOWN_TIME_ZONE operation 0")
  world.give(try centralEurope(), of: "Europe/Berlin")
  #expect(define().hasPrefix("created in "))
  #expect(define().hasPrefix("created in "))
  world.check()
}

// MARK: Looking

@Test("everything of a definition is told, with the defaults of what was not said")
func details() {
  let world = EngineWorld()
  world.advance(milliseconds: 160)
  world.every("plain", 10_000)
  let plain = world.schedule("plain")
  #expect(plain?.times == .every(milliseconds: 10_000))
  #expect(plain?.misfire == .once && plain?.overlap == .allow && plain?.maximumFires == 0)
  #expect(plain?.catchUpMilliseconds == ProtocolLimits.durationMilliseconds)
  #expect(plain?.retentionMilliseconds == 604_800_000)
  #expect(plain?.startMilliseconds == nil && plain?.endMilliseconds == nil && plain?.lastDueMilliseconds == nil)
  #expect(plain?.lastJob == nil && plain?.bufferedDueMilliseconds == nil)
  #expect(plain?.createdAtMilliseconds == EngineWorld.beginning + 160)
  #expect(plain?.job.queue == Array("q".utf8) && plain?.job.payload == Array("plain".utf8))
  let limit = ProtocolLimits.durationMilliseconds
  world.cron("full", "1 2 3 4 5", gap: .skip, fold: .last) {
    $0.startMilliseconds = 5
    $0.endMilliseconds = ProtocolLimits.timeMilliseconds
    $0.maximumFires = .max
    $0.jitterMilliseconds = 86_400_000
    $0.misfire = .all
    $0.catchUpMilliseconds = limit
    $0.overlap = .bufferOne
    $0.metadata = world.bytes([0x80])
    $0.retentionMilliseconds = limit
    $0.job.headers = world.bytes([0x80])
    $0.job.tags = world.bytes([0x90])
    $0.job.priority = 255
    $0.job.expiry = .after(milliseconds: limit)
    $0.job.maximumAttempts = .max
    $0.job.backoff = Backoff(growth: .exponential, baseMilliseconds: .max, capMilliseconds: .max, jitterPercent: 100)
    $0.job.timeoutMilliseconds = .max
    $0.job.leaseMilliseconds = 86_400_000
    $0.job.retentionMilliseconds = limit
  }
  for restart in 0...2 {
    if restart == 1 { world.restart() }
    if restart == 2 {
      world.takeSnapshot()
      world.restartFromSnapshot()
    }
    let full = world.schedule("full")
    #expect(full?.times == .cron(Array("1 2 3 4 5".utf8), zone: Array("UTC".utf8), .skip, .last))
    #expect(full?.startMilliseconds == 5 && full?.endMilliseconds == ProtocolLimits.timeMilliseconds)
    #expect(full?.maximumFires == .max && full?.jitterMilliseconds == 86_400_000 && full?.misfire == .all)
    #expect(full?.catchUpMilliseconds == limit && full?.overlap == .bufferOne && full?.metadata == [0x80])
    #expect(full?.retentionMilliseconds == limit && full?.job.headers == [0x80] && full?.job.tags == [0x90])
    #expect(full?.job.priority == 255 && full?.job.expiresInMilliseconds == limit)
    #expect(full?.job.maximumAttempts == .max && full?.job.timeoutMilliseconds == .max)
    #expect(full?.job.leaseMilliseconds == 86_400_000 && full?.job.retentionMilliseconds == limit)
    #expect(full?.job.backoff.baseMilliseconds == .max && full?.job.backoff.jitterPercent == 100)
  }
  world.check()
}

@Test("schedules are listed by prefix, queue and task, page by page, each once")
func listing() {
  let world = EngineWorld()
  #expect(world.list() == "")
  for index in 0..<10 {
    world.every("mail.\(index)", 10_000) { $0.job.queue = world.bytes("q\(index % 2)") }
    world.every("other.\(index)", 10_000) { $0.job.task = world.bytes("t\(index % 2)") }
  }
  func all(limit: Int, _ filter: (inout Request.Filter) -> Void) -> [String] {
    var names: [String] = []
    var after: String?
    for _ in 0..<30 {
      let words = world.list(limit: limit) {
        filter(&$0)
        $0.afterName = after.map { world.bytes($0) } ?? .none
      }.split(separator: " ").map(String.init)
      guard let next = words.firstIndex(of: "next") else { return names + words }
      names += words[..<next]
      after = words[next + 1]
    }
    return names
  }
  let mails = (0..<10).map { "mail.\($0)" }
  for limit in [1, 3, 10, 100] {
    #expect(all(limit: limit) { _ in }.count == 20)
    #expect(all(limit: limit) { $0.prefix = world.bytes("mail.") }.sorted() == mails)
    #expect(all(limit: limit) { $0.prefix = world.bytes("mail.7") } == ["mail.7"])
    #expect(all(limit: limit) { $0.queue = world.bytes("q1") }.count == 5)
    #expect(all(limit: limit) { $0.task = world.bytes("t0") }.count == 5)
    #expect(all(limit: limit) { $0.task = world.bytes("nothing") } == [])
  }
  #expect(world.list { $0.prefix = world.bytes("mail.7 and much more than that") } == "")
  #expect(world.list { $0.afterName = world.bytes("gone") } == "NOT_FOUND")
  let page = world.say(.schedules) { $0.filter.limit = 3 }.text
  #expect(page == "mail.0 other.0 mail.1 next mail.1")
  world.change(.scheduleDelete, "mail.1")
  #expect(world.list { $0.afterName = world.bytes("mail.1") } == "NOT_FOUND")
  world.check()
}

// MARK: Time zones

@Test("when the rules of a zone change, the due times that are to come change with them")
func changedRules() throws {
  let world = EngineWorld()
  try world.begin(at: "2026-07-01T00:00:00Z")
  world.give(try centralEurope(), of: "Europe/Berlin")
  world.give(try zone("EST5EDT,M3.2.0,M11.1.0"), of: "America/New_York")
  world.cron("berlin", "0 12 * * *", zone: "Europe/Berlin")
  world.cron("paused", "0 12 * * *", zone: "Europe/Berlin") { $0.job.queue = world.bytes("p") }
  world.change(.schedulePause, "paused")
  world.cron("york", "0 12 * * *", zone: "America/New_York") { $0.job.queue = world.bytes("y") }
  world.every("interval", 36_000_000) { $0.job.queue = world.bytes("i") }
  let interval = world.schedule("interval")?.dueMilliseconds
  let york = world.schedule("york")?.dueMilliseconds
  #expect(world.schedule("berlin")?.dueMilliseconds.map { $0 % 86_400_000 } == 36_000_000)
  // Summer time is given up.
  world.give(try zone("CET-1"), of: "Europe/Berlin")
  world.fireTimers()
  #expect(world.schedule("berlin")?.dueMilliseconds.map { $0 % 86_400_000 } == 39_600_000)
  #expect(world.schedule("paused")?.dueMilliseconds.map { $0 % 86_400_000 } == 39_600_000)
  #expect(world.schedule("interval")?.dueMilliseconds == interval && world.schedule("york")?.dueMilliseconds == york)
  world.check()
  let batches = world.log.count
  world.give(try zone("CET-1"), of: "Europe/Berlin")
  world.fireTimers()
  #expect(world.log.count == batches, "the same rules again are nothing new")
  world.advance(seconds: 39_600)
  #expect(world.instants() == ["2026-07-01T11:00:00Z"])
  world.restart()
  world.fireTimers()
  #expect(world.schedule("berlin")?.dueMilliseconds.map { $0 % 86_400_000 } == 39_600_000)
  world.check()
}

@Test("rules that changed while the broker was down move the due times after the start")
func changedWhileDown() throws {
  let world = EngineWorld()
  try world.begin(at: "2026-07-01T00:00:00Z")
  world.give(try centralEurope(), of: "Europe/Berlin")
  world.cron("berlin", "0 12 * * *", zone: "Europe/Berlin")
  world.takeSnapshot()
  for isSnapshot in [false, true] {
    world.give(try zone(isSnapshot ? "CET-2" : "CET-1"), of: "Europe/Berlin")
    if isSnapshot { world.restartFromSnapshot() } else { world.restart() }
    world.fireTimers()
    let due = world.schedule("berlin")?.dueMilliseconds.map { $0 % 86_400_000 }
    #expect(due == (isSnapshot ? 36_000_000 : 39_600_000))
    world.check()
  }
}

@Test("a change of rules that many schedules follow is worked off in portions, also over a crash and another change")
func longSweep() throws {
  let world = EngineWorld()
  try world.begin(at: "2026-07-01T00:00:00Z")
  world.give(try centralEurope(), of: "Europe/Berlin")
  let count = 100
  for index in 0..<count { world.cron("s\(index)", "0 12 * * *", zone: "Europe/Berlin") }
  func moved(to hour: Int64) -> Int {
    (0..<count).count { world.schedule("s\($0)")?.dueMilliseconds.map { $0 % 86_400_000 } == hour * 3_600_000 }
  }
  #expect(moved(to: 10) == count)
  world.give(try zone("CET-1"), of: "Europe/Berlin")
  #expect(!world.fireTimers(limit: 30))
  #expect(moved(to: 11) == 30)
  world.check()
  world.restart()
  #expect(!world.fireTimers(limit: 40))
  #expect((30..<count).contains(moved(to: 11)))
  world.check()
  world.takeSnapshot()
  world.restartFromSnapshot()
  world.fireTimers()
  #expect(moved(to: 11) == count)
  world.check()
  // Changed, and before that was worked off changed back.
  world.give(try zone("CET-3"), of: "Europe/Berlin")
  _ = world.fireTimers(limit: 50)
  #expect(moved(to: 9) == 50)
  world.give(try zone("CET-3"), of: "Europe/Berlin")
  _ = world.fireTimers(limit: 10)
  #expect(moved(to: 9) == 60, "the same rules again do not begin anew")
  world.give(try zone("CET-1"), of: "Europe/Berlin")
  world.fireTimers()
  #expect(moved(to: 11) == count)
  world.check()
  let batches = world.log.count
  world.fireTimers()
  #expect(world.log.count == batches)
}

@Test("new rules neither lose a due time that has passed without a decision, nor fire one again")
func changedRulesAndPassedTimes() throws {
  let world = EngineWorld()
  try world.begin(at: "2026-07-01T00:00:00Z")
  world.give(try centralEurope(), of: "Europe/Berlin")
  world.cron("berlin", "0 12 * * *", zone: "Europe/Berlin")
  world.advance(seconds: 11 * 3_600)
  #expect(world.instants() == ["2026-07-01T10:00:00Z"])
  world.change(.schedulePause, "berlin")
  world.advance(seconds: 24 * 3_600 + 1_800)
  // The update would be behind the due time that waits.
  world.cron("berlin", "0 12 * * *", zone: "Europe/Berlin") { $0.job.priority = 7 }
  world.give(try zone("CET-1"), of: "Europe/Berlin")
  world.fireTimers()
  world.check()
  world.change(.scheduleResume, "berlin")
  world.advance(seconds: 60)
  #expect(world.instants() == ["2026-07-02T11:00:00Z"])
  world.check()
}

@Test("the zones in use are told, so that the broker can give their rules")
func zonesInUse() throws {
  let world = EngineWorld()
  world.give(try centralEurope(), of: "Europe/Berlin")
  world.give(try zone("GMT0BST,M3.5.0/1,M10.5.0"), of: "Europe/London")
  world.every("interval", 1_000)
  #expect(world.engine.zonesInUse == [])
  world.cron("a", "@daily", zone: "Europe/Berlin")
  world.cron("b", "@daily")
  #expect(world.engine.zonesInUse == ["Europe/Berlin", "UTC"])
  #expect(world.engine.knowsZone(world.bytes("Europe/London")) && !world.engine.knowsZone(world.bytes("Mars/Utopia")))
  world.restart()
  #expect(world.engine.zonesInUse == ["Europe/Berlin", "UTC"])
  world.change(.scheduleDelete, "a")
  #expect(world.engine.zonesInUse == ["UTC"])
  world.check()
}
