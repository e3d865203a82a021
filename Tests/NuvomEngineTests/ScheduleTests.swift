import NuvomModel
import NuvomSchedule
import Testing

@testable import NuvomEngine

// What schedules do as time goes by. How they are defined, changed and looked at: ScheduleDefinitionTests.

// MARK: Kinds

@Test("a schedule for a time fires once, at that time, and is finished")
func scheduledAt() {
  let world = EngineWorld()
  #expect(world.once("report", at: 10_000) == "created in 10000 ms")
  world.advance(milliseconds: 9_984)
  #expect(world.runs() == [])
  world.advance(milliseconds: 16)
  #expect(world.runs() == ["report 10000"])
  #expect(world.show("report") == "report finished last 0 ms ago fired 1")
  world.advance(seconds: 1_000)
  #expect(world.runs() == [])
  world.check()
}

@Test("a schedule for a time that is past fires at once, for that time")
func scheduledInThePast() {
  let world = EngineWorld()
  #expect(world.once("late", at: -3_600_000) == "created in -3600000 ms")
  world.fireTimers()
  #expect(world.runs() == ["late -3600000"])
  // It was asked for after its time, so the broker is not late.
  #expect(world.engine.statistics().scheduleTotals.late == 0)
  world.restart()
  world.fireTimers()
  #expect(world.runs() == [])
  world.check()
}

@Test("a schedule in so long fires once, so long after it was made")
func scheduledIn() {
  let world = EngineWorld()
  world.advance(milliseconds: 160)
  #expect(world.once("soon", after: 10_000) == "created in 10000 ms")
  world.restart()
  world.advance(milliseconds: 9_984)
  #expect(world.runs() == [])
  world.advance(milliseconds: 16)
  #expect(world.runs() == ["soon 10160"])
  #expect(world.show("soon").hasPrefix("soon finished"))
  world.check()
}

@Test("an interval fires first after one whole interval, then again and again")
func scheduledInterval() {
  let world = EngineWorld()
  #expect(world.every("tick", 10_000) == "created in 10000 ms")
  world.fireTimers()
  #expect(world.runs() == [])
  world.advance(seconds: 30)
  #expect(world.runs() == ["tick 10000", "tick 20000", "tick 30000"])
  #expect(world.show("tick") == "tick active in 10000 ms last 0 ms ago fired 3")
  world.check()
}

@Test("an interval with a start fires at the start and so long after it; a start that is past gives the rhythm alone")
func intervalFromStart() {
  let world = EngineWorld()
  let ahead = world.every("ahead", 10_000) { $0.startMilliseconds = EngineWorld.wall(16_000) }
  #expect(ahead == "created in 16000 ms")
  let behind = world.every("behind", 10_000) { $0.startMilliseconds = EngineWorld.wall(-96_000) }
  #expect(behind == "created in 4000 ms")
  let now = world.every("now", 10_000) { $0.startMilliseconds = EngineWorld.wall(0) }
  #expect(now == "created in 0 ms")
  world.advance(seconds: 26)
  #expect(
    world.runs() == [
      "now 0", "behind 4000", "now 10000", "behind 14000", "ahead 16000", "now 20000", "behind 24000", "ahead 26000",
    ])
  world.check()
}

@Test("a cron expression fires at its times, also with seconds")
func cronTimes() throws {
  let world = EngineWorld()
  try world.begin(at: "2026-03-02T10:00:00Z")
  world.cron("minutes", "*/20 * * * *")
  world.cron("seconds", "30 59 10 * * *") { $0.job.queue = world.bytes("s") }
  world.advance(seconds: 3_600)
  #expect(
    world.instants() == [
      "2026-03-02T10:00:00Z", "2026-03-02T10:20:00Z", "2026-03-02T10:40:00Z", "2026-03-02T11:00:00Z",
    ])
  #expect(world.take(["s"]).taken.map { $0.dueMilliseconds % 3_600_000 } == [3_570_000])
  world.check()
}

@Test(
  "a local time that does not exist is shifted to the first instant after the gap, or skipped",
  arguments: [
    (GapPolicy.shift, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
    (.skip, ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"]),
  ])
func scheduledGap(policy: GapPolicy, expected: [String]) throws {
  let world = EngineWorld()
  try world.begin(at: "2026-03-28T00:00:00Z")
  world.give(try centralEurope(), of: "Europe/Berlin")
  world.cron("nightly", "30 2 * * *", zone: "Europe/Berlin", gap: policy)
  for _ in 0..<6 {
    world.advance(seconds: 43_200)
    world.restart()
  }
  world.fireTimers()
  #expect(world.instants() == expected)
  world.check()
}

@Test(
  "a local time that comes twice fires the first time, the last time, or both",
  arguments: [
    (FoldPolicy.first, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
    (.last, ["2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]),
    (.both, ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]),
  ])
func scheduledFold(policy: FoldPolicy, expected: [String]) throws {
  let world = EngineWorld()
  try world.begin(at: "2026-10-24T12:00:00Z")
  world.give(try centralEurope(), of: "Europe/Berlin")
  world.cron("nightly", "30 2 * * *", zone: "Europe/Berlin", fold: policy)
  world.advance(seconds: 46_800)
  world.restart()
  world.advance(seconds: 90_000)
  #expect(world.instants() == expected)
  world.check()
}

@Test("an expression that begins with a star, and an interval, keep their rhythm through summer time")
func scheduledRhythm() throws {
  let world = EngineWorld()
  try world.begin(at: "2026-10-25T00:00:00Z")
  world.give(try centralEurope(), of: "Europe/Berlin")
  world.cron("half hours", "*/30 * * * *", zone: "Europe/Berlin", gap: .skip, fold: .first)
  world.every("interval", 1_800_000) { $0.job.queue = world.bytes("i") }
  world.advance(seconds: 7_200)
  #expect(
    world.instants() == [
      "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z",
      "2026-10-25T02:00:00Z",
    ])
  #expect(world.take(["i"], max: 100).taken.count == 4)
  world.check()
}

// MARK: Bounds

@Test("nothing is due before the start or after the end; then the schedule is finished")
func startAndEnd() {
  let world = EngineWorld()
  let receipt = world.every("bounded", 10_000) {
    $0.startMilliseconds = EngineWorld.wall(20_000)
    $0.endMilliseconds = EngineWorld.wall(40_000)
  }
  #expect(receipt == "created in 20000 ms")
  world.cron("cron", "*/20 * * * * *") {
    $0.startMilliseconds = EngineWorld.wall(20_000)
    $0.endMilliseconds = EngineWorld.wall(59_000)
    $0.job.queue = world.bytes("c")
  }
  world.advance(seconds: 200)
  #expect(world.runs() == ["bounded 20000", "bounded 30000", "bounded 40000"])
  #expect(world.runs("c") == ["cron 20000", "cron 40000"])
  #expect(world.show("bounded").hasPrefix("bounded finished") && world.show("cron").hasPrefix("cron finished"))
  world.check()
}

@Test("after its number of fires a schedule is finished; triggers do not count")
func scheduledMaximumFires() {
  let world = EngineWorld()
  world.every("thrice", 10_000) { $0.maximumFires = 3 }
  world.change(.scheduleTrigger, "thrice")
  world.advance(seconds: 20)
  world.restart()
  world.advance(seconds: 100)
  #expect(world.runs() == ["thrice 0", "thrice 10000", "thrice 20000", "thrice 30000"])
  #expect(world.show("thrice") == "thrice finished last 90000 ms ago fired 3 triggered 1")
  #expect(world.change(.scheduleTrigger, "thrice") == "j5")
  world.check()
}

@Test("jitter makes a fire later than its due time, the same each time, less than its window, and spreads schedules")
func jittered() {
  let world = EngineWorld()
  var offsets: Set<Int64> = []
  for index in 0..<40 {
    let name = "s\(index)"
    world.every(name, 60_000) {
      $0.jitterMilliseconds = 30_000
      $0.maximumFires = 2
    }
    let details = world.schedule(name)
    let offset = (details?.firesAtMilliseconds ?? 0) - (details?.dueMilliseconds ?? 0)
    #expect((0..<30_000).contains(offset))
    offsets.insert(offset)
  }
  #expect(offsets.count > 35)
  let first = world.schedule("s0")
  let due = (first?.firesAtMilliseconds ?? 0) - EngineWorld.beginning
  #expect(due > 60_000)
  world.restart()
  world.advance(milliseconds: due - 2)
  #expect(world.schedule("s0")?.fired == 0)
  world.advance(milliseconds: 3)
  #expect(world.schedule("s0")?.fired == 1)
  let second = world.schedule("s0")
  #expect((second?.firesAtMilliseconds ?? 0) - (first?.firesAtMilliseconds ?? 0) == 60_000)
  world.advance(seconds: 200)
  let runs = world.runs()
  #expect(runs.count == 80 && runs.allSatisfy { $0.hasSuffix(" 60000") || $0.hasSuffix(" 120000") })
  #expect(world.engine.statistics().scheduleTotals.late == 0, "jitter is not lateness")
  world.check()
}

// MARK: Misfires

/// How due times come to pass without the schedule being able to fire.
enum Absence: CaseIterable { case restart, pause, clock }

extension EngineWorld {
  /// Makes so many seconds pass on the wall clock while `name` cannot fire.
  fileprivate func miss(_ name: String, seconds: Int64, _ absence: Absence) {
    switch absence {
    case .restart: restart(awaySeconds: seconds)
    case .pause:
      change(.schedulePause, name)
      advance(seconds: seconds)
      check()
      change(.scheduleResume, name)
    case .clock: time.wall += seconds * 1_000_000
    }
    fireTimers()
  }
}

@Test("of due times that passed the last fires, however late it is", arguments: Absence.allCases)
func misfireOnce(absence: Absence) {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.miss("tick", seconds: 95, absence)
  #expect(world.runs() == ["tick 90000"])
  #expect(world.show("tick") == "tick active in 5000 ms last 5000 ms ago fired 1 missed 8")
  world.check()
}

@Test("of due times that passed the last fires, or none if it is too late", arguments: Absence.allCases)
func misfireSkip(absence: Absence) {
  let world = EngineWorld()
  world.every("seldom", 200_000) { $0.misfire = .skip }
  world.every("often", 10_000) { $0.misfire = .skip }
  world.every("strict", 10_000) {
    $0.misfire = .skip
    $0.catchUpMilliseconds = 2_000
  }
  for name in ["seldom", "often", "strict"] where absence == .pause { world.change(.schedulePause, name) }
  world.miss("seldom", seconds: 275, absence)
  if absence == .pause {
    for name in ["often", "strict"] { world.change(.scheduleResume, name) }
    world.fireTimers()
  }
  #expect(world.runs() == ["often 270000"])
  #expect(world.show("seldom") == "seldom active in 125000 ms last 75000 ms ago fired 0 missed 1")
  #expect(world.show("often") == "often active in 5000 ms last 5000 ms ago fired 1 missed 26")
  #expect(world.show("strict") == "strict active in 5000 ms last 5000 ms ago fired 0 missed 27")
  #expect(world.engine.statistics().scheduleTotals.missed == 54)
  world.check()
}

@Test("each due time that passed fires, but for those that are too late", arguments: Absence.allCases)
func misfireAll(absence: Absence) {
  let world = EngineWorld()
  world.every("tick", 10_000) {
    $0.misfire = .all
    $0.catchUpMilliseconds = 30_000
  }
  world.miss("tick", seconds: 95, absence)
  #expect(world.runs() == ["tick 70000", "tick 80000", "tick 90000"])
  #expect(world.show("tick") == "tick active in 5000 ms last 5000 ms ago fired 3 missed 6")
  world.check()
}

@Test("a due time that is too late is not replaced by one that is still to come", arguments: Absence.allCases)
func noFireBeforeItsTime(absence: Absence) {
  let world = EngineWorld()
  world.every("hourly", 3_600_000) {
    $0.misfire = .all
    $0.catchUpMilliseconds = 60_000
  }
  world.miss("hourly", seconds: 5_400, absence)
  #expect(world.runs() == [])
  #expect(world.show("hourly") == "hourly active in 1800000 ms last 1800000 ms ago fired 0 missed 1")
  world.advance(seconds: 1_800)
  #expect(world.runs() == ["hourly 7200000"])
  world.check()
}

@Test("no due time is lost or counted twice where more have passed than one step goes through", arguments: 0...2)
func manyPassed(kind: Int) {
  let world = EngineWorld()
  let misfire = MisfirePolicy.allCases[kind]
  world.cron("each second", "* * * * * *") {
    $0.misfire = misfire
    $0.catchUpMilliseconds = misfire == .all ? 5_000 : nil
  }
  world.fireTimers()
  #expect(world.runs() == ["each second 0"])
  world.restart(awaySeconds: 12_346)
  // In the middle of the steps the broker crashes once more.
  #expect(!world.fireTimers(limit: 3))
  #expect(world.schedule("each second")?.missed == 1_000, "what many due times take is counted to the turn")
  world.check()
  world.restart()
  world.fireTimers()
  let expected = misfire == .all ? (12_341...12_346).map { "each second \($0)000" } : ["each second 12346000"]
  #expect(world.runs() == expected)
  let details = world.schedule("each second")
  #expect(Int(details?.fired ?? 0) + Int(details?.missed ?? 0) == 12_347)
  world.check()
}

@Test(
  "a clock that is set forward by a lifetime counts what it passed over, up to what can be counted", arguments: 0...2)
func farForward(kind: Int) {
  let world = EngineWorld()
  world.every("fast", 1) {
    $0.misfire = MisfirePolicy.allCases[kind]
    if kind != 0 { $0.catchUpMilliseconds = 1 }
    $0.endMilliseconds = EngineWorld.wall(90 * 365 * 86_400_000)
  }
  world.stepWall(seconds: 89 * 365 * 86_400)
  #expect(world.schedule("fast")?.missed == .max)
  #expect(world.runs().count == (kind == 2 ? 2 : 1))
  world.check()
}

// MARK: Clock steps

@Test("a clock that is set back fires nothing twice, and nothing until the next due time comes again")
func scheduledSetBack() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.advance(seconds: 20)
  #expect(world.runs() == ["tick 10000", "tick 20000"])
  world.stepWall(seconds: -3_600)
  #expect(world.engine.statistics().clockSteps == 1)
  world.advance(seconds: 3_600)
  world.check()
  #expect(world.runs() == [])
  world.restart()
  world.advance(milliseconds: 9_984)
  #expect(world.runs() == [])
  world.advance(milliseconds: 16)
  #expect(world.runs() == ["tick 30000"])
  #expect(world.show("tick") == "tick active in 10000 ms last 0 ms ago fired 3")
  world.check()
}

@Test("a clock that is set back while the broker is down fires nothing twice")
func setBackWhileDown() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.cron("cron", "*/20 * * * * *") { $0.job.queue = world.bytes("c") }
  world.advance(seconds: 40)
  #expect(world.runs().count == 4 && world.runs("c") == ["cron 0", "cron 20000", "cron 40000"])
  world.restart(awaySeconds: -35)
  world.advance(seconds: 40)
  #expect(world.runs() == [] && world.runs("c") == [])
  world.advance(seconds: 20)
  #expect(world.runs() == ["tick 50000", "tick 60000"] && world.runs("c") == ["cron 60000"])
  world.check()
}

@Test("a clock that is set forward and back again fires no due time twice, and those between only once")
func thereAndBack() {
  let world = EngineWorld()
  world.every("tick", 10_000) { $0.misfire = .all }
  world.stepWall(seconds: 50)
  #expect(world.runs().count == 5)
  world.stepWall(seconds: -50)
  world.advance(seconds: 50)
  #expect(world.runs() == [])
  world.advance(seconds: 10)
  #expect(world.runs() == ["tick 60000"])
  let steps = world.engine.statistics().clockSteps
  #expect(steps == 2)
  world.check()
}

@Test("what changes a schedule's times while the clock is set back never fires a due time again")
func updatedWhileSetBack() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.advance(seconds: 50)
  #expect(world.runs().count == 5)
  world.stepWall(seconds: -50)
  #expect(world.every("tick", 5_000) == "updated every_ms in 55000 ms")
  world.advance(seconds: 54)
  #expect(world.runs() == [])
  world.advance(seconds: 6)
  #expect(world.runs() == ["tick 55000", "tick 60000"])
  world.check()
}

// MARK: No room

@Test("a fire that finds the memory full is late, not lost")
func scheduledMemoryFull() {
  let world = EngineWorld { $0.memoryLimit = 4 << 20 }
  world.every("tick", 10_000) { $0.maximumFires = 1 }
  let payload = String(repeating: "x", count: 500_000)
  while world.enqueue(payload, queue: "big") != "MEMORY_FULL retry" {}
  world.advance(seconds: 13)
  #expect(world.runs() == [] && world.schedule("tick")?.fired == 0)
  #expect(world.engine.statistics().firesPostponed >= 3)
  #expect(world.every("other", 1_000) == "MEMORY_FULL retry")
  #expect(world.change(.scheduleTrigger, "tick") == "MEMORY_FULL retry")
  world.check()
  world.purge("big")
  while world.engine.compactOnce() {}
  world.advance(seconds: 2)
  #expect(world.runs() == ["tick 10000"])
  #expect(world.engine.statistics().scheduleTotals.late == 1)
  world.check()
}

@Test("schedules are triggered only as often as the memory allows, all or none")
func triggersOnFullMemory() {
  let world = EngineWorld { $0.memoryLimit = 16 << 20 }
  world.every("big", 1_000_000) { $0.job.payload = world.bytes(String(repeating: "x", count: 1_000_000)) }
  let names = Array(repeating: "big", count: 50)
  #expect(world.say(.scheduleTrigger) { $0.names = names.map { world.bytes($0) } }.text == "MEMORY_FULL retry")
  #expect(world.engine.statistics().ready == 0 && world.engine.memoryBytes < 16 << 20)
  #expect(world.change(.scheduleTrigger, "big", "big", "nobody") == "j1 j2 refused 2 NOT_FOUND")
  world.check()
}

@Test("a fire that finds the disk full is late, not lost; neither is one that waited for a job")
func scheduledDiskFull() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.overlapping(.bufferOne)
  world.every("other", 10_000) {
    $0.overlap = .bufferOne
    $0.job.queue = world.bytes("other")
  }
  world.advance(seconds: 10)
  _ = world.take(["other"], lease: 86_400_000)
  world.advance(seconds: 10)
  #expect(world.schedule("other")?.bufferedDueMilliseconds != nil)
  world.diskRoom = 100
  #expect(world.every("new", 10_000) == "DISK_FULL retry")
  #expect(world.change(.scheduleTrigger, "tick") == "DISK_FULL retry")
  let fired = world.engine.statistics().scheduleTotals.fired
  for job in world.jobs.keys { world.ack(job) }
  world.advance(seconds: 5)
  world.check()
  #expect(world.engine.statistics().scheduleTotals.fired == fired, "nothing fires on a full disk")
  world.diskRoom = .max
  world.advance(seconds: 1)
  #expect(world.runs("other") == ["other 30000"])
  world.check()
}

@Test(
  "a fire that waited for a job, and then for room, comes at once after a restart with room", arguments: [false, true])
func postponedAndRestarted(fromSnapshot: Bool) {
  let world = EngineWorld()
  world.overlapping(.bufferOne)
  world.advance(seconds: 10)
  world.diskRoom = 100
  world.ack("j1")
  #expect(world.schedule("tick")?.fired == 1 && world.engine.statistics().firesPostponed == 1)
  world.check()
  if fromSnapshot { world.takeSnapshot() }
  world.diskRoom = .max
  world.restartFromSnapshot()
  world.fireTimers()
  #expect(world.runs() == ["tick 20000"])
  world.check()
}

@Test("a fire that waited for a job, and then for room, is not forgotten by an update", arguments: [false, true])
func postponedAndUpdated(isMoved: Bool) throws {
  let world = EngineWorld()
  try world.begin(at: "2026-07-01T00:00:00Z")
  world.give(try centralEurope(), of: "Europe/Berlin")
  func define(_ priority: UInt8) {
    world.cron("noon", "0 12 * * *", zone: "Europe/Berlin") {
      $0.overlap = .bufferOne
      $0.job.priority = priority
    }
  }
  define(5)
  world.advance(seconds: 36_000)
  let held = world.take(lease: 86_400_000).taken
  world.advance(seconds: 85_000)
  world.ack(world.name(held[0].id))
  #expect(world.schedule("noon")?.bufferedDueMilliseconds == nil)
  world.advance(seconds: 1_400)
  let second = world.take(lease: 86_400_000).taken
  world.advance(seconds: 86_000)
  world.extend(world.name(second[0].id), lease: 86_400_000)
  // The third waits for the second.
  world.advance(seconds: 400)
  #expect(world.schedule("noon")?.bufferedDueMilliseconds != nil)
  world.diskRoom = 100
  #expect(world.ack(world.name(second[0].id)) == "ok")
  #expect(world.engine.statistics().firesPostponed == 1)
  world.diskRoom = .max
  if isMoved { world.give(try zone("CET-1"), of: "Europe/Berlin") } else { define(6) }
  world.fireTimers()
  #expect(world.instants().count == 1)
  world.check()
}

@Test("a fire that is postponed, after which the clock is set back, waits for its due time to come again")
func postponedAndSetBack() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.diskRoom = 100
  world.advance(seconds: 10)
  #expect(world.engine.statistics().firesPostponed == 1)
  world.diskRoom = .max
  world.stepWall(seconds: -100)
  world.advance(seconds: 50)
  #expect(world.runs() == [])
  world.check()
  world.advance(seconds: 50)
  #expect(world.runs() == ["tick 10000"])
  world.check()
}

// MARK: What jobs know

@Test("a job's expiry counts from the fire")
func expiryFromFire() {
  let world = EngineWorld()
  world.every("tick", 100_000) {
    $0.job.expiry = .after(milliseconds: 5_000)
    $0.job.headers = world.bytes([0x81, 0xA1, 0x61, 0xA1, 0x62])
    $0.job.maximumAttempts = 7
  }
  world.advance(milliseconds: 104_992)
  #expect(world.engine.statistics().ready == 1)
  world.check()
  world.advance(milliseconds: 16)
  #expect(world.engine.statistics().dead == 1)
  world.advance(milliseconds: 94_992)
  #expect(world.take().taken.map(\.schedule) == ["tick"])
  let job = world.schedule("tick")?.lastJob.flatMap { world.engine.details(of: $0) }
  #expect(job?.headers == [0x81, 0xA1, 0x61, 0xA1, 0x62] && job?.maximumAttempts == 7)
  world.check()
}

@Test("a job tells which schedule enqueued it and for which due time, also when the schedule is gone")
func jobsTell() {
  let world = EngineWorld()
  world.every("tick", 10_000) { $0.job.retentionMilliseconds = 600_000 }
  world.enqueue("by hand")
  world.advance(seconds: 10)
  world.change(.scheduleDelete, "tick")
  world.takeSnapshot()
  for restart in 0...2 {
    if restart == 1 { world.restart() }
    if restart == 2 { world.restartFromSnapshot() }
    let taken = world.take(max: 2)
    #expect(taken.taken.map(\.schedule) == ["", "tick"])
    #expect(taken.taken.map(\.dueMilliseconds) == [0, EngineWorld.beginning + 10_000])
    let details = taken.taken.map { world.engine.details(of: $0.id)?.fire }
    #expect(
      details == [nil, FireDetails(schedule: Array("tick".utf8), dueMilliseconds: EngineWorld.beginning + 10_000)])
    world.check()
    world.giveBack(taken.taken)
  }
}

@Test("a job of a schedule is a job: it fails, is tried again, dies and is replayed")
func jobsLife() {
  let world = EngineWorld()
  world.every("tick", 10_000) {
    $0.maximumFires = 1
    $0.job.maximumAttempts = 2
  }
  world.advance(seconds: 10)
  #expect(world.dequeue() == "j1 t1 a1 tick")
  world.nack("j1", delay: 0)
  #expect(world.dequeue() == "j1 t2 a2 tick")
  world.nack("j1")
  #expect(world.dead(.deadReplay, "j1") == "replayed 1")
  world.restart()
  #expect(world.take().taken.map(\.schedule) == ["tick"])
  world.check()
}

@Test("a waiting dequeue gets a job as its schedule fires, and as it is triggered")
func waitingForFires() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  #expect(world.dequeue(wait: 60_000) == "…")
  world.advance(seconds: 10)
  #expect(world.heard == ["j1 t1 a1 tick"])
  #expect(world.dequeue(wait: 60_000) == "…")
  world.change(.scheduleTrigger, "tick")
  #expect(world.heard == ["j2 t2 a1 tick"])
  world.check()
}

@Test("lateness is told as a histogram, and fires that are more than a second late are counted")
func scheduledLateness() {
  let world = EngineWorld()
  world.every("tick", 10_000)
  world.advance(seconds: 10)
  let onTime = world.engine.statistics().fireLateness
  #expect(onTime.counts[0] == 1 && onTime.sumMicroseconds == 0)
  world.time = Time(boot: world.time.boot + 10_999_000, wall: world.time.wall + 10_999_000)
  world.fireTimers()
  world.restart(awaySeconds: 3_600 * 3 + 3)
  world.fireTimers()
  let statistics = world.engine.statistics()
  #expect(statistics.fireLateness.counts.reduce(0, +) == 1, "since the broker started")
  #expect(statistics.scheduleTotals.late == 1 && statistics.scheduleTotals.fired == 3)
  world.check()
}

// MARK: The length of a turn

extension EngineWorld {
  /// Schedules that fire a large job at 10,000 and then again and again, and time up to then without a turn.
  fileprivate func large(_ count: Int, bytes size: Int, _ change: (inout NewSchedule) -> Void = { _ in }) {
    let payload = bytes(String(repeating: "x", count: size))
    for index in 0..<count {
      every("large\(index)", 10_000) {
        $0.job.payload = payload
        change(&$0)
      }
    }
    pass(seconds: 10)
  }

  /// Lets time go by without doing what becomes due.
  fileprivate func pass(seconds: Int64) {
    time = Time(boot: time.boot + seconds * 1_000_000, wall: time.wall + seconds * 1_000_000)
  }

  fileprivate var fired: UInt64 { engine.statistics().scheduleTotals.fired }
}

@Test("fires of large jobs count for a turn as the bytes that they copy")
func turnOfLargeFires() {
  let world = EngineWorld()
  world.large(100, bytes: 80 << 10)
  // The first turns deal timers out.
  while world.fired == 0, !world.fireTimers(limit: 128) {}
  #expect(1...12 ~= world.fired, "a MiB is the time of 128 timers, and not \(world.fired) fires of 80 KiB")
  world.fireTimers()
  #expect(world.fired == 100)
  world.check()
}

@Test("due times that are passed over count for a turn also where the fire was postponed")
func turnOfPostponedFires() {
  let world = EngineWorld()
  for index in 0..<10 { world.cron("c\(index)", "* * * * * *") }
  world.diskRoom = 100
  world.advance(milliseconds: 500)
  #expect(world.engine.statistics().firesPostponed == 10)
  world.diskRoom = .max
  world.pass(seconds: 5_000)
  while world.engine.statistics().scheduleTotals.missed == 0, !world.fireTimers(limit: 60) {}
  let missed = world.engine.statistics().scheduleTotals.missed
  #expect(1...2_000 ~= missed, "\(missed) due times were passed over in the time of 60 timers")
  world.fireTimers()
  #expect(world.fired == 10)
  world.check()
}

@Test(
  "fires that waited for jobs are as many in a turn as its time allows; the rest comes in the next",
  arguments: [(300, 10, 128), (30, 80 << 10, 12)])
func turnOfReleasedFires(count: Int, size: Int, most: UInt64) {
  let world = EngineWorld()
  world.large(count, bytes: size) { $0.overlap = .bufferOne }
  world.fireTimers()
  let taken = world.take(max: count, lease: 86_400_000).taken
  world.pass(seconds: 10)
  world.fireTimers()
  let before = world.fired
  #expect(before == UInt64(count) && taken.count == count)
  let settlements = taken.map { Settlement(kind: .ack, id: $0.id, token: $0.token) }
  world.say(.ack) { $0.settlements = settlements }
  #expect(1...most ~= world.fired - before)
  #expect(world.engine.nextDeadline.boot == world.time.boot, "it wants to go on at once")
  _ = world.fireTimers(limit: 128)
  #expect(world.fired - before <= 2 * most)
  world.fireTimers()
  #expect(world.fired - before == UInt64(count))
  world.check()
}

@Test("one request triggers 64 MiB of jobs at most, all or none")
func triggerLimit() {
  let world = EngineWorld()
  world.every("big", 1_000_000) { $0.job.payload = world.bytes(String(repeating: "x", count: 1 << 20)) }
  func trigger(_ count: Int) -> String {
    world.say(.scheduleTrigger) { $0.names = Array(repeating: world.bytes("big"), count: count) }.text
  }
  #expect(trigger(64) == "LIMIT_EXCEEDED")
  #expect(world.schedule("big")?.triggered == 0)
  #expect(trigger(63).hasPrefix("j1 j2"))
  #expect(world.schedule("big")?.triggered == 63)
}

@Test("fires of one turn do not go over the memory limit by more than one of them")
func memoryWithinTurn() {
  let world = EngineWorld { $0.memoryLimit = 16 << 20 }
  world.large(20, bytes: 500_000)
  _ = world.fireTimers(limit: 100_000)
  #expect(world.engine.memoryBytes < 18 << 20 && world.engine.statistics().firesPostponed > 0)
  #expect(world.fired > 2)
  world.check()
}

@Test("fires of one turn count against the disk's room with what the next snapshot will have of them")
func diskWithinTurn() {
  let world = EngineWorld()
  world.large(20, bytes: 500_000)
  world.diskRoom = 2_300_000
  _ = world.fireTimers(limit: 100_000)
  #expect(world.fired == 4 && world.engine.statistics().firesPostponed == 16)
  world.check()
}

@Test("a dequeue that is asked again, and finds that a job has expired, is given the fire that waited for it")
func repeatedDequeue() {
  let world = EngineWorld()
  world.connect(client: "c")
  world.enqueue("x", queue: "other")
  world.every("tick", 10_000) {
    $0.overlap = .bufferOne
    $0.job.expiry = .after(milliseconds: 15_000)
  }
  world.advance(seconds: 20)
  #expect(world.schedule("tick")?.bufferedDueMilliseconds != nil)
  let lost = world.settlement(.ack, "j1", token: 99)
  world.pause()
  #expect(world.take(id: 500, settling: [lost]).taken == [])
  world.resume()
  world.pass(seconds: 6)
  let again = world.take(wait: 60_000, id: 500, settling: [lost])
  #expect(again.taken.map(\.dueMilliseconds) == [EngineWorld.beginning + 20_000])
  world.check()
}
