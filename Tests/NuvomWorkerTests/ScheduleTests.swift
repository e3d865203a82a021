import NuvomTestKit
import NuvomWorker
import Synchronization
import Testing

/// The fires that handlers saw, in their order.
private final class Fires: Sendable {
  struct Fire: Equatable {
    let text: String
    let schedule: ScheduledFire?
  }

  private let seen = Mutex<[Fire]>([])
  var all: [Fire] { seen.withLock(\.self) }
  var texts: [String] { all.map(\.text) }
  /// The due times, in seconds since the beginning of 2026, where the clock of a test begins.
  var dueSeconds: [Int] {
    all.map { Int($0.schedule?.dueAtMilliseconds ?? 0) / 1_000 - Int(start) / 1_000 }
  }

  /// A task that notes what it is called with.
  var task: TaskDefinition<Arguments<String>, String> {
    TaskDefinition("greet", .init(retries: 0)) { [self] (name: String) in
      seen.withLock { $0.append(Fire(text: name, schedule: JobContext.current?.schedule)) }
      return "hello \(name)"
    }
  }
}

/// The beginning of 2026, a Thursday.
private let start: UInt64 = 1_767_225_600_000
private let day = 86_400

@Suite("Scheduled tasks")
struct ScheduleTests {
  private let fires = Fires()

  /// A broker with a worker of the task.
  private func run(
    _ body: @Sendable (TestBroker, TaskDefinition<Arguments<String>, String>) async throws -> Void
  ) async throws {
    let task = fires.task
    try await TestBroker.run(tasks: [task]) { broker in try await body(broker, task) }
  }

  // MARK: The four ways

  @Test("A schedule with a delay fires once, and its handler sees the schedule and the due time")
  func delayed() async throws {
    try await run { broker, greet in
      let schedule = try await greet.schedule("Ada", in: .seconds(60), named: "once")
      #expect(schedule.receipt?.status == .created && schedule.receipt?.dueAtMilliseconds == start + 60_000)
      await broker.clock.advance(by: .seconds(59))
      #expect(fires.all.isEmpty)
      await broker.clock.advance(by: .seconds(1))
      let fire = ScheduledFire(name: "once", dueAtMilliseconds: start + 60_000)
      #expect(fires.all == [.init(text: "Ada", schedule: fire)])
      #expect(try await schedule.lastJob()?.result() == "hello Ada")
      #expect(try await schedule.lastJob()?.status().schedule == fire)
      await broker.clock.advance(by: .seconds(3_600))
      let status = try await schedule.status()
      #expect(fires.all.count == 1 && status.state == .finished && status.fired == 1 && status.dueAtMilliseconds == nil)
    }
  }

  @Test("A delay of zero is a delay: the schedule fires at once")
  func zero() async throws {
    try await run { broker, greet in
      try await greet.schedule("Ada", in: .zero)
      await broker.clock.advance(by: .milliseconds(1))
      #expect(fires.texts == ["Ada"])
    }
  }

  @Test("A schedule for a time fires at it; one for a time that is past fires at once")
  func atTime() async throws {
    try await run { broker, greet in
      try await greet.schedule("later", at: .millisecondsSince1970(start + 10_000))
      try await greet.schedule("past", at: .millisecondsSince1970(-1))
      await broker.clock.advance(by: .milliseconds(9_999))
      #expect(fires.texts == ["past"])
      await broker.clock.advance(by: .milliseconds(1))
      #expect(fires.texts == ["past", "later"])
    }
  }

  @Test("An interval first fires after one interval, then after each; with a start at the start")
  func every() async throws {
    try await run { broker, greet in
      try await greet.schedule("tick", every: .seconds(5), named: "tick")
      await broker.clock.advance(by: .seconds(16))
      #expect(fires.dueSeconds == [5, 10, 15])
      try await greet.schedule(
        "tick", every: .seconds(5), named: "tick",
        options: ScheduleOptions(startAtMilliseconds: start + 17_000, maximumFires: 5))
      await broker.clock.advance(by: .seconds(60))
      #expect(fires.dueSeconds == [5, 10, 15, 17, 22])
      #expect(try await broker.client.schedule(named: "tick").state == .finished)
    }
  }

  /// The due times of the jobs that are ready, by the first argument; in minutes since a day of 2026 began.
  private func dueMinutes(_ broker: TestBroker, since first: Int) async throws -> [String] {
    try await broker.client.dequeue(maximum: 100).jobs.map { job in
      let due = Int(job.schedule?.dueAtMilliseconds ?? 0) - Int(start)
      return "\(try job.arguments(as: String.self)) \(due / 60_000 - first * day / 60)"
    }.sorted()
  }

  // Without a worker, which would ask for jobs through all of the year.

  @Test("A cron expression is read in its time zone, in winter and in summer")
  func cron() async throws {
    let (broker, greet) = (TestBroker(), fires.task)
    // Friday, two days before clocks go forward in Berlin.
    await broker.clock.advance(by: .seconds(85 * day))
    try await greet.schedule("nine", cron: "0 9 * * mon-fri", timeZone: "Europe/Berlin", on: broker.client)
    await broker.clock.advance(by: .seconds(day))
    #expect(try await dueMinutes(broker, since: 85) == ["nine \(8 * 60)"])
    await broker.clock.advance(by: .seconds(3 * day))
    #expect(try await dueMinutes(broker, since: 88) == ["nine \(7 * 60)"])
  }

  @Test("What becomes of a local time that does not exist, or comes twice, is for the schedule to say")
  func summerTime() async throws {
    let (broker, greet) = (TestBroker(), fires.task)
    func schedule(_ name: String, _ gap: Schedule.GapPolicy, _ fold: Schedule.FoldPolicy) async throws {
      try await greet.schedule(
        name, cron: "30 2 * * *", timeZone: "Europe/Berlin", gap: gap, fold: fold, named: name, on: broker.client)
    }
    // The 29th of March, when 2:30 does not exist in Berlin: the first instant after it is 3:00, which is 1:00 UTC.
    await broker.clock.advance(by: .seconds(86 * day + 12 * 3_600))
    for gap in Schedule.GapPolicy.allCases { try await schedule(gap.rawValue, gap, .first) }
    await broker.clock.advance(by: .seconds(day))
    #expect(try await dueMinutes(broker, since: 87) == ["shift 60"])
    try await broker.client.deleteSchedules(["shift", "skip"])
    // The 25th of October, when 2:30 comes twice: 0:30 and 1:30 UTC.
    await broker.clock.advance(by: .seconds(209 * day))
    for fold in Schedule.FoldPolicy.allCases { try await schedule(fold.rawValue, .shift, fold) }
    await broker.clock.advance(by: .seconds(day))
    #expect(try await dueMinutes(broker, since: 297) == ["both 30", "both 90", "first 30", "last 90"])
  }

  // MARK: Definitions

  @Test("The same schedule again changes nothing; a changed one says what changed")
  func again() async throws {
    try await run { broker, greet in
      let first = try await greet.schedule("Ada", every: .seconds(60), named: "s")
      await broker.clock.advance(by: .seconds(30))
      let same = try await greet.schedule("Ada", every: .seconds(60), named: "s")
      #expect(same.receipt?.status == .unchanged && same.receipt?.changed == [])
      #expect(same.receipt?.dueAtMilliseconds == first.receipt?.dueAtMilliseconds)
      let changed = try await greet.with { $0.priority = 1 }.schedule(
        "Grace", cron: "@hourly", named: "s", options: ScheduleOptions(overlap: .skip))
      #expect(changed.receipt?.status == .updated)
      let fields = Set(changed.receipt?.changed ?? [])
      #expect(fields.isSuperset(of: ["cron", "overlap", "job.payload", "job.priority"]), "\(fields)")
      #expect(changed.receipt?.dueAtMilliseconds == start + 3_600_000)
    }
  }

  @Test("A schedule without a name has one of its own, and is forgotten when it has finished")
  func unnamed() async throws {
    try await run { broker, greet in
      let schedules = [try await greet.schedule("a", in: .seconds(1)), try await greet.schedule("b", in: .seconds(1))]
      #expect(schedules[0].name != schedules[1].name)
      await broker.clock.advance(by: .seconds(2))
      #expect(Set(fires.texts) == ["a", "b"])
      for schedule in schedules {
        let error = await #expect(throws: NuvomError.self) { try await schedule.status() }
        #expect(error?.code == .notFound)
      }
    }
  }

  @Test("What is known of a schedule is its definition as it was given")
  func definition() async throws {
    try await run { broker, greet in
      var definition = try greet.scheduleDefinition(
        "Ada", times: .cron("0 9 * * *", timeZone: "Asia/Tokyo", gap: .skip, fold: .both), named: "s",
        options: ScheduleOptions(
          startAtMilliseconds: start + 1, endAtMilliseconds: start + 900_000_000, maximumFires: 7, jitter: .seconds(9),
          misfire: .all, catchUp: .seconds(60), overlap: .bufferOne, expiry: .seconds(5), headers: ["h": "v"],
          metadata: ["owner": "ops"], retention: .seconds(3_600)))
      try await broker.client.schedule(definition)
      let status = try await broker.client.schedule(named: "s")
      #expect(status.schedule == definition)
      #expect(status.state == .active && status.createdAtMilliseconds == start && status.lastJob == nil)
      definition.job.payload = []
      var listed: [Schedule] = []
      for try await status in broker.client.schedules(ScheduleFilter(prefix: "s", queue: "default", task: "greet")) {
        listed.append(status.schedule)
      }
      #expect(listed == [definition])
      for filter in [ScheduleFilter(prefix: "t"), ScheduleFilter(queue: "other"), ScheduleFilter(task: "other")] {
        #expect(try await broker.client.schedulePage(filter).schedules.isEmpty)
      }
    }
  }

  @Test("Many schedules are listed page by page, each once")
  func pages() async throws {
    try await run { broker, greet in
      let definitions = try (0..<250).map {
        try greet.scheduleDefinition("x", times: .every(.seconds(60)), named: "s\($0)")
      }
      let receipts = try await broker.client.schedule(definitions)
      #expect(receipts.count == 250 && receipts.allSatisfy { $0.status == .created })
      var names: [String] = []
      for try await status in broker.client.schedules() { names.append(status.schedule.name) }
      #expect(names.count == 250 && Set(names) == Set(definitions.map(\.name)))
    }
  }

  // MARK: Errors

  @Test("A wrong cron expression is refused with the column that is wrong, and the field")
  func wrongCron() async throws {
    try await run { _, greet in
      let error = await #expect(throws: NuvomError.self) { try await greet.schedule("Ada", cron: "0 25 * * *") }
      #expect(error?.code == .badParameters && error?.message.contains("hour") == true, "\(error?.description ?? "")")
      #expect(error?.field?.contains("cron") == true, "\(error?.description ?? "")")
    }
  }

  @Test("A time zone that nobody knows is refused with what to do about it")
  func wrongZone() async throws {
    try await run { _, greet in
      let error = await #expect(throws: NuvomError.self) {
        try await greet.schedule("Ada", cron: "@daily", timeZone: "Europe/Atlantis")
      }
      #expect(error?.code == .unknownTimeZone && error?.message.contains("tzdata") == true)
    }
  }

  @Test("A schedule that is never due is refused")
  func never() async throws {
    try await run { _, greet in
      let error = await #expect(throws: NuvomError.self) {
        try await greet.schedule(
          "Ada", in: .seconds(60), options: ScheduleOptions(endAtMilliseconds: start + 1_000))
      }
      #expect(error?.code == .neverDue)
    }
  }

  @Test("Of several schedules with a wrong one none is taken, and the error says which it is")
  func allOrNone() async throws {
    try await run { broker, greet in
      let good = try greet.scheduleDefinition("a", times: .every(.seconds(1)), named: "good")
      let bad = try greet.scheduleDefinition("b", times: .cron("* * *"), named: "bad")
      let error = await #expect(throws: NuvomError.self) { try await broker.client.schedule([good, bad]) }
      #expect(error?.field?.contains("1") == true, "\(error?.description ?? "")")
      #expect(try await broker.client.schedulePage().schedules.isEmpty)
    }
  }

  // MARK: Handles

  @Test("A paused schedule does not fire; resumed, it fires once for what it missed, and goes on")
  func pause() async throws {
    try await run { broker, greet in
      let schedule = try await greet.schedule("tick", every: .seconds(10), named: "s")
      try await schedule.pause()
      try await schedule.pause()
      await broker.clock.advance(by: .seconds(35))
      #expect(fires.all.isEmpty)
      #expect(try await schedule.status().state == .paused)
      try await schedule.resume()
      await broker.clock.advance(by: .seconds(1))
      #expect(fires.dueSeconds == [30])
      await broker.clock.advance(by: .seconds(4))
      #expect(fires.dueSeconds == [30, 40])
      #expect(try await schedule.status().missed == 2)
    }
  }

  @Test("A trigger enqueues the job now, also of a paused schedule, and leaves the due times as they are")
  func trigger() async throws {
    try await run { broker, greet in
      let schedule = try await greet.schedule("Ada", every: .seconds(60), named: "s")
      try await schedule.pause()
      await broker.clock.advance(by: .seconds(7))
      let job = try await schedule.trigger()
      #expect(try await job.result() == "hello Ada")
      #expect(fires.all.map(\.schedule) == [ScheduledFire(name: "s", dueAtMilliseconds: start + 7_000)])
      try await schedule.resume()
      await broker.clock.advance(by: .seconds(53))
      #expect(fires.dueSeconds == [7, 60])
      let status = try await schedule.status()
      #expect(status.triggered == 1 && status.fired == 1)
    }
  }

  @Test("A schedule that is cancelled fires no more; cancelling says whether there was one")
  func cancel() async throws {
    try await run { broker, greet in
      let schedule = try await greet.schedule("Ada", every: .seconds(10), named: "s")
      await broker.clock.advance(by: .seconds(10))
      #expect(try await schedule.cancel())
      await broker.clock.advance(by: .seconds(60))
      #expect(fires.texts == ["Ada"])
      #expect(try await !schedule.cancel())
      #expect(try await !broker.client.cancelSchedule(named: "never was"))
      let error = await #expect(throws: NuvomError.self) { try await schedule.pause() }
      #expect(error?.code == .notFound)
    }
  }

  @Test("Of several names those that are refused are named, the others are done")
  func several() async throws {
    try await run { broker, greet in
      for name in ["a", "c"] { try await greet.schedule("Ada", every: .seconds(10), named: name) }
      let names = ["a", "b", "c"]
      for refused in [
        try await broker.client.pauseSchedules(names), try await broker.client.resumeSchedules(names),
        try await broker.client.triggerSchedules(names).refused, try await broker.client.deleteSchedules(names),
      ] {
        #expect(refused.map(\.name) == ["b"] && refused.map(\.code) == [.notFound])
      }
      #expect(try await broker.client.schedulePage().schedules.isEmpty)
      try await broker.drain()
      #expect(fires.texts.count == 2)
    }
  }

  @Test("A schedule handed over, triggered and cancelled over connections that break is done once")
  func safeRetries() async throws {
    try await run { broker, greet in
      broker.faults.disconnect(on: .schedule)
      let schedule = try await greet.schedule("Ada", every: .seconds(10), named: "s")
      #expect(schedule.receipt?.status == .created)
      broker.faults.disconnect(on: .scheduleTrigger)
      let job = try await schedule.trigger()
      #expect(try await job.result() == "hello Ada")
      #expect(fires.texts == ["Ada"])
      broker.faults.disconnect(on: .scheduleDelete)
      #expect(try await schedule.cancel())
      #expect(broker.faults.pending == 0)
    }
  }

  // MARK: Jobs that are not finished

  @Test("A fire that meets an unfinished job does what the schedule says", arguments: Schedule.OverlapPolicy.allCases)
  func overlap(policy: Schedule.OverlapPolicy) async throws {
    let begun = Mutex(0)
    try await TestBroker.run { broker in
      // Longer than the interval, once.
      let slow = TaskDefinition("slow", .init(retries: 0)) { (_: Int) in
        let number = begun.withLock { count in
          count += 1
          return count
        }
        if number == 1 { try await broker.clock.sleep(for: .seconds(25)) }
      }
      try await broker.withWorker(tasks: [slow], configuration: WorkerConfiguration(concurrency: 4)) {
        let schedule = try await slow.schedule(
          1, every: .seconds(10), named: "s", options: ScheduleOptions(overlap: policy))
        await broker.clock.advance(by: .seconds(34))
        let status = try await schedule.status()
        // Due at 10, 20 and 30; the first job runs until 35.
        switch policy {
        case .allow: #expect(begun.withLock(\.self) == 3 && status.fired == 3)
        case .skip: #expect(begun.withLock(\.self) == 1 && status.fired == 1 && status.skipped == 2)
        case .bufferOne:
          #expect(begun.withLock(\.self) == 1 && status.bufferedDueAtMilliseconds == start + 30_000)
          await broker.clock.advance(by: .seconds(2))
          #expect(begun.withLock(\.self) == 2)
        case .cancelPrevious: #expect(begun.withLock(\.self) == 3 && status.fired == 3)
        }
      }
    }
  }
}
