import MessagePack
@testable import NuvomClient
import NuvomConnection
import NuvomModel
import Testing

private let emptyJob: MessageValue = ["queue": "default", "task": "t", "payload": .binary([])]

@Suite("Schedules on the wire")
struct ScheduleMethodTests {
  @Test("A schedule writes every field that differs from its default, and its receipt is read")
  func schedule() async throws {
    var job = Job(task: "t", queue: "q", payload: [0xC0])
    job.expiry = .after(.seconds(9))
    var full = Schedule("s", .cron("0 9 * * 1", timeZone: "Europe/Berlin", gap: .skip, fold: .both), job: job)
    full.startAtMilliseconds = 1
    full.endAtMilliseconds = 2
    full.maximumFires = 3
    full.jitter = .seconds(4)
    full.misfire = .all
    full.catchUp = .zero
    full.overlap = .bufferOne
    full.metadata = ["b": "2", "a": "1"]
    full.retention = .zero
    let schedules = [full, Schedule("plain", .every(.milliseconds(5)), job: Job(task: "t"))]
    let written: MessageValue = [
      "name": "s", "cron": "0 9 * * 1", "time_zone": "Europe/Berlin", "gap": "skip", "fold": "both", "start_at_ms": 1,
      "end_at_ms": 2, "max_fires": 3, "jitter_ms": 4_000, "misfire": "all", "catch_up_ms": 0, "overlap": "buffer_one",
      "metadata": ["a": "1", "b": "2"], "retention_ms": 0,
      "job": ["queue": "q", "task": "t", "payload": .binary([0xC0]), "expires_in_ms": 9_000],
    ]
    let receipts = try await exchange(
      "schedule "
        + "\(["schedules": [written, ["name": "plain", "every_ms": 5, "job": emptyJob]]] as MessageValue)",
      [
        "schedules": [
          ["status": "updated", "changed": ["cron", "job.payload"], "due_at_ms": 7], ["status": "created"],
        ]
      ]
    ) { try await $0.schedule(schedules) }
    #expect(
      receipts == [
        ScheduleReceipt(status: .updated, changed: ["cron", "job.payload"], dueAtMilliseconds: 7),
        ScheduleReceipt(status: .created),
      ])
  }

  @Test(
    "Each way to be due has a field of its own; a delay of zero is one like others",
    arguments: [
      (.at(millisecondsSince1970: 8), ["at_ms": 8]), (.in(.zero), ["in_ms": 0]),
      (.every(.seconds(1)), ["every_ms": 1_000]),
      (.cron("@daily"), ["cron": "@daily", "time_zone": "UTC", "gap": "shift", "fold": "first"]),
    ] as [(Schedule.Times, MessageValue)])
  func times(times: Schedule.Times, fields: MessageValue) async throws {
    guard case .map(let pairs) = fields else { return }
    let written = MessageValue.map([("name", "s")] + pairs + [("job", emptyJob)])
    let receipt = try await exchange(
      "schedule \(["schedules": [written]] as MessageValue)", ["schedules": [["status": "unchanged"]]]
    ) { try await $0.schedule(Schedule("s", times, job: Job(task: "t"))) }
    #expect(receipt == ScheduleReceipt())
  }

  @Test("What a schedule's job cannot have is refused before it is sent, and the field is named")
  func refusedHere() async throws {
    let plain = Schedule("s", .in(.zero), job: Job(task: "t"))
    var (started, unique, expiring, never) = (plain, plain, plain, plain)
    started.job.start = .after(.zero)
    unique.job.uniqueKey = Job.UniqueKey("k")
    expiring.job.expiry = .at(millisecondsSince1970: 1)
    never.maximumFires = 0
    let client = NuvomClient()
    for (schedule, field) in [
      (started, "job.start"), (unique, "job.uniqueKey"), (expiring, "job.expiry"), (never, "max_fires"),
    ] {
      let error = await #expect(throws: NuvomError.self) { try await client.schedule(schedule) }
      #expect(error?.code == .badParameters && error?.field == field)
    }
  }

  @Test("The broker's word about a wrong schedule reaches its caller, with the field and the code")
  func refusal() async throws {
    let message = "column 3: minute 61 is not from 0 to 59"
    let errors: [MessageValue] = [
      ["code": "BAD_PARAMS", "message": .string(message), "field": "schedules[0].cron"],
      ["code": "UNKNOWN_TIME_ZONE", "message": "install tzdata", "field": "schedules[0]"],
      ["code": "NEVER_DUE", "message": "see its end", "field": "schedules[0]"],
    ]
    let wanted = [
      NuvomError(.badParameters, message, field: "schedules[0].cron"),
      NuvomError(.unknownTimeZone, "install tzdata", field: "schedules[0]"),
      NuvomError(.neverDue, "see its end", field: "schedules[0]"),
    ]
    try await FakeBroker.withBroker { broker in
      let address = BrokerAddress(host: "127.0.0.1", port: broker.port)
      try await NuvomClient.withClient(configuration: .init(address: address)) { client in
        // A first request makes the connection.
        async let pong: Void = client.ping()
        let connection = try await broker.welcome()
        connection.result(try await connection.next(), [:])
        try await pong
        for (error, wanted) in zip(errors, wanted) {
          let receipt = Task { try await client.schedule(Schedule("s", .cron("61 * * * *"), job: Job(task: "t"))) }
          connection.refuse(try await connection.next(), error)
          await #expect(throws: wanted) { try await receipt.value }
        }
      }
    }
  }

  private static let status: MessageValue = [
    "name": "s", "state": "paused", "time_zone": "Asia/Tokyo", "fold": "last", "gap": "skip", "cron": "@daily",
    "start_at_ms": 1, "end_at_ms": 2, "max_fires": 3, "jitter_ms": 4, "misfire": "skip", "catch_up_ms": 60_000,
    "overlap": "cancel_previous", "metadata": ["a": "1", "n": 2, 3: [true]], "retention_ms": 5, "unknown": [1],
    "job": [
      "queue": "q", "task": "t", "payload": .binary([1]), "headers": ["h": "v"], "tags": ["y"], "priority": 1,
      "expires_in_ms": 9_000, "max_attempts": 7, "backoff": "fixed", "backoff_base_ms": 8, "backoff_cap_ms": 9,
      "jitter_percent": 10, "timeout_ms": 11, "lease_ms": 0, "retention_ms": 12,
    ],
    "created_at_ms": 20, "updated_at_ms": 21, "due_at_ms": 22, "fires_at_ms": 23, "last_due_at_ms": 24, "last_job": 25,
    "buffered_due_at_ms": 26, "fired_total": 27, "missed_total": 28, "skipped_total": 29, "triggered_total": 30,
  ]

  @Test("Everything that is known of a schedule is read, its definition too, whatever the order of its fields")
  func get() async throws {
    let got = try await exchange("schedule_get {\"name\": \"s\"}", Self.status) { try await $0.schedule(named: "s") }
    var job = Job(task: "t", queue: "q", payload: [1])
    (job.headers, job.tags, job.priority, job.maximumAttempts) = (["h": "v"], ["y"], 1, 7)
    job.expiry = .after(.seconds(9))
    job.backoff = Job.Backoff.fixed(.milliseconds(8))
    job.backoff.cap = .milliseconds(9)
    (job.timeout, job.lease, job.retention) = (.milliseconds(11), nil, .milliseconds(12))
    var schedule = Schedule("s", .cron("@daily", timeZone: "Asia/Tokyo", gap: .skip, fold: .last), job: job)
    (schedule.startAtMilliseconds, schedule.endAtMilliseconds, schedule.maximumFires) = (1, 2, 3)
    (schedule.jitter, schedule.misfire, schedule.catchUp) = (.milliseconds(4), .skip, nil)
    (schedule.overlap, schedule.retention) = (.cancelPrevious, .milliseconds(5))
    schedule.metadata = ["a": "1", "n": "2", "3": "[true]"]
    #expect(got.schedule.receivedMetadata?.others == ["n", "3"])
    schedule.receivedMetadata = got.schedule.receivedMetadata
    var wanted = ScheduleStatus(schedule: schedule)
    wanted.state = .paused
    (wanted.createdAtMilliseconds, wanted.updatedAtMilliseconds) = (20, 21)
    (wanted.dueAtMilliseconds, wanted.firesAtMilliseconds, wanted.lastDueAtMilliseconds) = (22, 23, 24)
    (wanted.lastJob, wanted.bufferedDueAtMilliseconds) = (JobID(rawValue: 25), 26)
    (wanted.fired, wanted.missed, wanted.skipped, wanted.triggered) = (27, 28, 29, 30)
    #expect(got == wanted)
  }

  @Test("What the protocol writes for no limit is nil")
  func noLimits() async throws {
    let encoded: MessageValue = [
      "name": "s", "state": "active", "every_ms": 1, "max_fires": 0, "misfire": "once",
      "catch_up_ms": 3_155_760_000_000, "job": ["queue": "default", "task": "t", "timeout_ms": 0],
    ]
    let got = try await exchange("schedule_get {\"name\": \"s\"}", encoded) { try await $0.schedule(named: "s") }
    #expect(got.schedule == Schedule("s", .every(.milliseconds(1)), job: Job(task: "t")))
  }

  @Test(
    "A catch-up window that is the policy's own is nil, so that a change of the policy does not keep it",
    arguments: [
      ("once", 3_155_760_000_000, nil), ("once", 60_000, .seconds(60)), ("skip", 60_000, nil),
      ("skip", 3_600_000, .seconds(3_600)), ("all", 3_600_000, nil), ("all", 60_000, .seconds(60)),
    ] as [(String, Int, Duration?)])
  func catchUp(misfire: String, milliseconds: Int, wanted: Duration?) async throws {
    let encoded: MessageValue = [
      "name": "s", "every_ms": 1, "catch_up_ms": .int(Int64(milliseconds)), "misfire": .string(misfire),
      "job": emptyJob,
    ]
    let got = try await exchange("schedule_get {\"name\": \"s\"}", encoded) { try await $0.schedule(named: "s") }
    #expect(got.schedule.catchUp == wanted)
  }

  @Test("Metadata that another client wrote is sent back as it was, and refused only where a change would make it text")
  func foreignMetadata() async throws {
    let metadata: MessageValue = ["z": "text", "n": 2, "a": [true, nil]]
    let status: MessageValue = ["name": "s", "every_ms": 1, "metadata": metadata, "job": emptyJob]
    let got = try await exchange("schedule_get {\"name\": \"s\"}", status) { try await $0.schedule(named: "s") }
    func isSent(_ schedule: Schedule, with metadata: MessageValue) async throws {
      let written: MessageValue = ["name": "s", "every_ms": 1, "metadata": metadata, "job": emptyJob]
      let receipt = try await exchange(
        "schedule \(["schedules": [written]] as MessageValue)", ["schedules": [["status": "unchanged"]]]
      ) { try await $0.schedule(schedule) }
      #expect(receipt == ScheduleReceipt())
    }
    try await isSent(got.schedule, with: metadata)
    var changed = got.schedule
    changed.metadata["z"] = "other"
    let edited = changed
    let error = await #expect(throws: NuvomError.self) { try await NuvomClient().schedule(edited) }
    #expect(error?.code == .badParameters && error?.field == "metadata" && error?.message.contains("a, n") == true)
    changed.metadata["n"] = "two"
    changed.metadata["a"] = nil
    try await isSent(changed, with: ["n": "two", "z": "other"])
  }

  @Test(
    "A schedule of the wrong shape is an error, not a crash",
    arguments: [
      7, [:], ["name": "s", "state": "active", "job": emptyJob], ["every_ms": 1, "state": "asleep"],
      ["every_ms": 1, "overlap": "push"], ["every_ms": 1, "metadata": [1]], ["every_ms": -1],
    ] as [MessageValue])
  func wrongShapes(result: MessageValue) async throws {
    let error = await #expect(throws: NuvomError.self) {
      try await exchange("schedule_get {\"name\": \"s\"}", result) { try await $0.schedule(named: "s") }
    }
    #expect(error?.code == .brokerProtocol)
  }

  @Test("Schedules are fetched page by page, with what is asked of them")
  func pages() async throws {
    try await FakeBroker.withBroker { broker in
      let address = BrokerAddress(host: "127.0.0.1", port: broker.port)
      try await NuvomClient.withClient(configuration: .init(address: address)) { client in
        let filter = ScheduleFilter(prefix: "a.", queue: "q", task: "t")
        let names = Task { try await client.schedules(filter).reduce(into: []) { $0.append($1.schedule.name) } }
        let connection = try await broker.welcome()
        func element(_ name: String) -> MessageValue { ["name": .string(name), "every_ms": 1] }
        let first = try await connection.next()
        #expect(first.method == "schedules")
        #expect(first.parameters == ["prefix": "a.", "queue": "q", "task": "t", "limit": 100])
        connection.result(first, ["schedules": [element("a.1"), element("a.2")], "next": "a.2"])
        let second = try await connection.next()
        #expect(second.parameters == ["prefix": "a.", "queue": "q", "task": "t", "after": "a.2", "limit": 100])
        connection.result(second, ["schedules": [], "next": "b"])
        connection.result(try await connection.next(), ["schedules": [element("a.3")]])
        #expect(try await names.value == ["a.1", "a.2", "a.3"])
      }
    }
  }

  private static let refused: MessageValue = [
    "refused": [["index": 1, "code": "NOT_FOUND", "message": "m"]], "ids": [4],
  ]
  private static let refusedOne: MessageValue = ["refused": [["index": 0, "code": "NOT_FOUND", "message": "m"]]]
  private static let refusal = ScheduleRefusal(name: "b", code: .notFound, message: "m")

  @Test("Several are paused, resumed, triggered and deleted, each by itself")
  func several() async throws {
    let names = ["a", "b"]
    let given = "{\"names\": [\"a\", \"b\"]}"
    let paused = try await exchange("schedule_pause \(given)", Self.refused) { try await $0.pauseSchedules(names) }
    let resumed = try await exchange("schedule_resume \(given)", Self.refused) { try await $0.resumeSchedules(names) }
    let deleted = try await exchange("schedule_delete \(given)", Self.refused) { try await $0.deleteSchedules(names) }
    let triggers = try await exchange("schedule_trigger \(given)", Self.refused) {
      try await $0.triggerSchedules(names)
    }
    #expect(paused == [Self.refusal] && resumed == [Self.refusal] && deleted == [Self.refusal])
    #expect(triggers == ScheduleTriggers(jobs: [JobID(rawValue: 4)], refused: [Self.refusal]))
  }

  @Test("One is paused, resumed and triggered, or throws why not")
  func one() async throws {
    let given = "{\"names\": [\"b\"]}"
    let refused = Self.refusedOne
    try await exchange("schedule_pause \(given)", [:]) { try await $0.pauseSchedule(named: "b") }
    try await exchange("schedule_resume \(given)", [:]) { try await $0.resumeSchedule(named: "b") }
    let job = try await exchange("schedule_trigger \(given)", ["ids": [4]]) {
      try await $0.triggerSchedule(named: "b")
    }
    #expect(job.rawValue == 4)
    await #expect(throws: NuvomError(.notFound, "m")) {
      try await exchange("schedule_pause \(given)", refused) { try await $0.pauseSchedule(named: "b") }
    }
    await #expect(throws: NuvomError(.notFound, "m")) {
      try await exchange("schedule_resume \(given)", refused) { try await $0.resumeSchedule(named: "b") }
    }
    await #expect(throws: NuvomError(.notFound, "m")) {
      try await exchange("schedule_trigger \(given)", refused) { try await $0.triggerSchedule(named: "b") }
    }
  }

  @Test("A refusal of a name that was not given is an error, not a crash")
  func foreignRefusal() async throws {
    let error = await #expect(throws: NuvomError.self) {
      try await exchange("schedule_pause {\"names\": [\"b\"]}", Self.refused) { try await $0.pauseSchedules(["b"]) }
    }
    #expect(error?.code == .brokerProtocol)
  }

  @Test("Cancelling says whether there was a schedule")
  func cancel() async throws {
    let given = "schedule_delete {\"names\": [\"b\"]}"
    let was = try await exchange(given, [:]) { try await $0.cancelSchedule(named: "b") }
    let wasNot = try await exchange(given, Self.refusedOne) { try await $0.cancelSchedule(named: "b") }
    #expect(was && !wasNot)
  }

  @Test("Schedules, triggers and deletions are numbered for safe retries; what may be repeated is not")
  func retries() {
    let numbered = Set<NuvomModel.Method>([.schedule, .scheduleTrigger, .scheduleDelete])
    for method in [.schedulePause, .scheduleResume, .scheduleGet, .schedules] + numbered {
      #expect(RequestFrame(method).changes == numbered.contains(method), "\(method)")
    }
  }

  @Test("A delivery and a job's status say which schedule enqueued it, and for which due time")
  func fire() async throws {
    let fire: MessageValue = ["name": "s", "due_at_ms": 9, "later": 1]
    let dequeued = try await exchange(
      "dequeue {\"queues\": [\"default\"], \"max\": 1, \"wait_ms\": 0, \"lease_ms\": 30000}",
      ["jobs": [["id": 1, "token": 2, "schedule": fire], ["id": 3, "token": 4]]]
    ) { try await $0.dequeue() }
    #expect(dequeued.jobs.map(\.schedule) == [ScheduledFire(name: "s", dueAtMilliseconds: 9), nil])
    let status = try await exchange("get {\"id\": 8}", ["id": 8, "schedule": fire]) {
      try await $0.get(JobID(rawValue: 8))
    }
    #expect(status.schedule == ScheduledFire(name: "s", dueAtMilliseconds: 9))
  }

  @Test("stats tell how late fires were")
  func lateness() async throws {
    let lateness: MessageValue = ["le_ms": [1, 5], "counts": [7, 2, 1], "sum_ms": 30]
    let statistics = try await exchange("stats {}", ["fires_total": 10, "fire_lateness": lateness]) {
      try await $0.statistics()
    }
    #expect(statistics.numbers == ["fires_total": 10])
    #expect(
      statistics.fireLateness
        == Histogram(bounds: [.milliseconds(1), .milliseconds(5)], counts: [7, 2, 1], sum: .milliseconds(30)))
  }
}
