import MessagePack
import NuvomClient
import NuvomCommandLine
import NuvomSchedule
import Testing

@testable import nuvom

@Suite struct ScheduleFileTests {
  private func read(_ text: String) throws -> ScheduleFile { try ScheduleFile(text: text, zones: TimeZones()) }

  /// The only thing wrong in a text.
  private func problem(_ text: String) -> ScheduleFileProblem? {
    let problems = #expect(throws: ScheduleFileProblems.self) { try read(text) }?.problems ?? []
    #expect(problems.count == 1, "\(problems)")
    return problems.first
  }

  @Test("A definition says all that create can say, in the words of its options")
  func everything() throws {
    let file = try read(
      """
      schedules:
        nightly:
          task: report
          queue: reports
          args: [pdf, 3]
          kwargs: {draft: no, since: 2026-01-01}
          cron: "30 2 * * mon-fri"
          timezone: Europe/Berlin
          dst-gap: skip
          dst-fold: both
          start: 2026-01-01T00:00
          end: 2027-01-01T00:00:00Z
          max-fires: 100
          jitter: 10m
          misfire: skip
          catch-up: 5m
          overlap: cancel-previous
          metadata: {team: billing, page: 7}
          known-for: 1d
          expires-in: 1h
          priority: 0
          max-attempts: 7
          backoff: 20m
          timeout: 1m
          lease: 2m
          retention: 3h
          tags: [mail, daily]
      """)
    var job = Job(task: "report", queue: "reports")
    job.payload = try (["args": ["pdf", 3], "kwargs": ["draft": "no", "since": "2026-01-01"]] as MessageValue).encoded()
    job.expiry = .after(.seconds(3_600))
    job.priority = 0
    job.maximumAttempts = 7
    job.backoff = .exponential(base: .seconds(1_200), cap: .seconds(1_200))
    job.timeout = .seconds(60)
    job.lease = .seconds(120)
    job.retention = .seconds(10_800)
    job.tags = ["mail", "daily"]
    var schedule = Schedule(
      "nightly", .cron("30 2 * * mon-fri", timeZone: "Europe/Berlin", gap: .skip, fold: .both), job: job)
    schedule.startAtMilliseconds = UInt64(try instant("2026-01-01T00:00:00+01:00"))
    schedule.endAtMilliseconds = UInt64(try instant("2027-01-01T00:00:00Z"))
    schedule.maximumFires = 100
    schedule.jitter = .seconds(600)
    schedule.misfire = .skip
    schedule.catchUp = .seconds(300)
    schedule.overlap = .cancelPrevious
    schedule.metadata = ["team": "billing", "page": "7"]
    schedule.retention = .seconds(86_400)
    #expect(file.definitions == [.init(line: 2, schedule: schedule)] && file.remarks.isEmpty)
  }

  @Test("A definition that says little has the defaults of create")
  func little() throws {
    let file = try read(
      "schedules:\n  a: {task: t, every: 30s}\n  b:\n    task: t\n    at: 2027-01-31T18:30:00Z\n    payload: hello\n")
    #expect(file.definitions.map(\.schedule.name) == ["a", "b"])
    #expect(file.definitions[0].schedule == schedule(.every(.seconds(30)), named: "a"))
    let time = UInt64(try instant("2027-01-31T18:30:00Z"))
    #expect(
      file.definitions[1].schedule
        == schedule(.at(millisecondsSince1970: time), named: "b") { $0.job.payload = Array("hello".utf8) })
  }

  @Test("Defaults are for what a definition does not say")
  func defaults() throws {
    let file = try read(
      """
      defaults: {task: t, queue: q, timezone: Asia/Tokyo}
      schedules:
        a: {cron: "0 0 * * *"}
        b: {queue: other, every: 5s}
      """)
    #expect(file.definitions[0].schedule.times == .cron("0 0 * * *", timeZone: "Asia/Tokyo"))
    #expect(file.definitions[0].schedule.job.queue == "q" && file.definitions[1].schedule.job.queue == "other")
    #expect(file.definitions[1].schedule.times == .every(.seconds(5)))
  }

  @Test("A time without an offset is one of the zone; without a zone it is taken for UTC, which is said")
  func localTimes() throws {
    let berlin = try read("schedules:\n  a: {task: t, at: 2026-07-01T12:00, timezone: Europe/Berlin}\n")
    #expect(
      berlin.definitions[0].schedule.times == .at(millisecondsSince1970: UInt64(try instant("2026-07-01T10:00:00Z"))))
    #expect(berlin.remarks.isEmpty)
    let nowhere = try read("schedules:\n  a: {task: t, at: 2026-07-01T12:00}\n")
    #expect(
      nowhere.definitions[0].schedule.times == .at(millisecondsSince1970: UInt64(try instant("2026-07-01T12:00:00Z"))))
    #expect(nowhere.remarks == ["a: at: 2026-07-01T12:00 names no time zone; taken for UTC"])
    let gap = try read("schedules:\n  a: {task: t, at: 2026-03-29T02:30, timezone: Europe/Berlin}\n")
    #expect(
      gap.remarks == ["a: at: 2026-03-29T02:30 does not exist in Europe/Berlin; taken for 2026-03-29T03:00:00+02:00"])
    let fold = try read("schedules:\n  a: {task: t, at: 2026-10-25T02:30, timezone: Europe/Berlin}\n")
    #expect(
      fold.remarks == ["a: at: 2026-10-25T02:30 comes twice in Europe/Berlin; taken for 2026-10-25T02:30:00+02:00"])
  }

  @Test(
    "What is wrong is told with line, schedule and field, and what would be right",
    arguments: [
      ("task: t\n    evry: 5s", 4, nil, "did you mean `every`?"),
      ("task: t\n    every: 5s\n    max_fires: 3", 5, nil, "did you mean `max-fires`?"),
      ("task: t\n    every: 5s\n    frobnicate: 3", 5, nil, "known are task, queue"),
      ("task: t\n    in: 5s", 4, nil, "write `at`"), ("every: 5s", 2, nil, "`task` is missing"),
      ("task: t", 2, nil, "write `at`, `every` or `cron`"),
      ("task: t\n    every: 5s\n    cron: '* * * * *'", 2, nil, "contradict each other"),
      ("task: t\n    cron: '61 * * * *'", 4, "cron", "61 is out of range"),
      ("task: t\n    cron: '0 0 31 2 *'", 4, "cron", "day-of-month"),
      ("task: t\n    cron: '* * * * *'\n    timezone: Europe/Berlim", 5, "timezone", "no time zone \"Europe/Berlim\""),
      ("task: t\n    every: 5", 4, "every", "write a duration"), ("task: t\n    every: 0", 4, "every", "1ms at least"),
      ("task: t\n    every: 5s\n    jitter: 2d", 5, "jitter", "1d at most"),
      ("task: t\n    at: tomorrow", 4, "at", "ISO 8601"), ("task: t\n    every: [5s]", 4, "every", "write a text"),
      ("task: t\n    every: 5s\n    misfire: never", 5, "misfire", "once, skip, all"),
      ("task: t\n    every: 5s\n    overlap: buffer", 5, "overlap", "allow, skip, buffer-one, cancel-previous"),
      ("task: t\n    every: 5s\n    priority: 256", 5, "priority", "from 0 to 255"),
      ("task: t\n    every: 5s\n    max-fires: -1", 5, "max-fires", "from 1 to"),
      ("task: t\n    every: 5s\n    dst-gap: skip", 5, nil, "are for `cron`"),
      ("task: t\n    every: 5s\n    backoff: 100d", 5, "backoff", "at most"),
      (
        "task: t\n    every: 5s\n    metadata: {a: \(String(repeating: "x", count: 4_096))}", 5, "metadata",
        "4096 are allowed"
      ),
      ("task: t\n    every: 5s\n    args: {a: 1}", 5, "args", "write a list"),
      ("task: t\n    every: 5s\n    kwargs: [1]", 5, "kwargs", "write a map"),
      ("task: t\n    every: 5s\n    tags: mail", 5, "tags", "write a list"),
      ("task: t\n    every: 5s\n    tags:\n      - a\n      - [b]", 7, "tags", "write a text"),
      ("task: t\n    every: 5s\n    args: [1]\n    payload: x", 6, "payload", "give the payload once"),
      ("task: \"\\x07\"\n    every: 5s", 3, "task", "no control characters"),
      (
        "task: t\n    every: 5s\n    start: 2027-01-01T00:00:00Z\n    end: 2026-01-01T00:00:00Z", 6, "end",
        "before `start`"
      ),
      (
        "task: t\n    cron: '0 0 29 2 *'\n    start: 2026-01-01T00:00:00Z\n    end: 2026-12-31T00:00:00Z", 2, nil,
        "no due time lies between"
      ),
    ] as [(String, Int, String?, String)])
  func problems(_ definition: String, _ line: Int, _ field: String?, _ words: String) {
    let problem = problem("schedules:\n  a:\n    \(definition)\n")
    #expect(
      problem?.line == line && problem?.field == field && problem?.schedule == "a", "\(String(describing: problem))")
    #expect(problem?.message.contains(words) == true, "\(String(describing: problem))")
  }

  @Test(
    "A file is a map of schedules, and nothing else",
    arguments: [
      ("", nil, "empty"), ("- a\n", 1, "is a map"), ("schedules:\n", 1, "`schedules: {}` if there are none"),
      ("schedule: {}\nschedules: {}\n", 1, "did you mean `schedules`?"),
      ("defaults: {task: t}\n", nil, "`schedules` is missing"),
      ("schedules:\n  a: 5\n", 2, "below it"), ("defaults: {tsk: t}\nschedules: {}\n", 1, "did you mean `task`?"),
      ("schedules:\n  a: {task: t, every: 5s}\n  a: {task: t, every: 6s}\n", 3, "a is there twice, first in line 2;"),
      (
        "schedules:\n  b:\n    task: t\n    every: 5s\n# a:\n  a-b: {task: t, every: 5s}\n\n  \"b\" :\n    task: t\n",
        8, "b is there twice, first in line 2;"
      ),
      ("schedules:\n  a: {task: t, task: u, every: 5s}\n  b: {task: t, every: 5s}\n", 2, "task is there twice;"),
      ("schedules:\n  a:\n    {task: t, task: u}\n  b:\n    task: u\n", 3, "task is there twice;"),
      ("defaults:\n  at: 2027-01-31T18:30:00Z\nschedules: {}\n", 2, "`at` is each schedule's own"),
      ("defaults:\n  task: t\n  every: 5s\nschedules:\n  a: {}\n", 3, "`every` is each schedule's own"),
      ("defaults: {cron: '* * * * *'}\nschedules:\n  a: {task: t}\n", 1, "`cron` is each schedule's own"),
      ("schedules:\n  \"\": {task: t, every: 5s}\n", 2, "1 to 255 bytes"),
    ] as [(String, Int?, String)])
  func shape(_ text: String, _ line: Int?, _ words: String) {
    let problems = #expect(throws: ScheduleFileProblems.self) { try read(text) }?.problems ?? []
    #expect(problems.contains { $0.line == line && $0.message.contains(words) }, "\(problems)")
  }

  @Test("A name that does not begin with the prefix for which the file speaks is wrong")
  func prefix() throws {
    let text = "schedules:\n  x.a: {task: t, every: 5s}\n  y: {task: t, every: 5s}\n  x: {task: t, every: 5s}\n"
    let problems =
      #expect(throws: ScheduleFileProblems.self) {
        try ScheduleFile(text: text, prefix: "x.", zones: TimeZones())
      }?.problems ?? []
    #expect(problems.map(\.line) == [3, 4] && problems.map(\.schedule) == ["y", "x"], "\(problems)")
    #expect(problems.allSatisfy { $0.message.contains("--prefix x.") }, "\(problems)")
    let inside = try ScheduleFile(text: text, prefix: "", zones: TimeZones())
    #expect(inside.definitions.count == 3)
  }

  @Test("No schedules are a file, too")
  func none() throws {
    let file = try read("schedules: {}\n")
    #expect(file.definitions.isEmpty)
  }

  @Test("What is wrong in the defaults is told once")
  func wrongDefaults() {
    let problem = problem(
      "defaults: {timezone: X/Y}\nschedules:\n  a: {task: t, every: 5s}\n  b: {task: t, every: 5s}\n")
    #expect(problem?.line == 1 && problem?.field == "timezone")
  }

  @Test("All that is wrong is told at once")
  func all() {
    let text = "schedules:\n  a: {task: t, every: x, priority: 300}\n  b: {task: t, every: 5s}\n  c: {every: 5s}\n"
    let problems = #expect(throws: ScheduleFileProblems.self) { try read(text) }?.problems ?? []
    #expect(
      problems.map { $0.words(file: "f.yml").prefix(14) } == ["f.yml:2: a: pr", "f.yml:2: a: ev", "f.yml:4: c: `t"],
      "\(problems)")
  }
}

@Suite struct ScheduleDifferenceTests {
  private let base = schedule(.cron("0 * * * *"), named: "a")

  @Test(
    "A change is named as the protocol names the field",
    arguments: [
      (schedule(.cron("5 * * * *"), named: "a"), ["cron"]), (schedule(.every(.seconds(5)), named: "a"), ["every_ms"]),
      (
        schedule(.cron("0 * * * *", timeZone: "Asia/Tokyo", gap: .skip, fold: .last), named: "a"),
        ["time_zone", "gap", "fold"]
      ),
      (schedule(.cron("0 * * * *"), named: "a") { $0.maximumFires = 3 }, ["max_fires"]),
      (schedule(.cron("0 * * * *"), named: "a") { $0.job.queue = "q" }, ["job.queue"]),
      (schedule(.cron("0 * * * *"), named: "a") { $0.job.payload = [1] }, ["job.payload"]),
      (schedule(.cron("0 * * * *"), named: "a") { $0.job.tags = ["x"] }, ["job.tags"]),
      (schedule(.cron("0 * * * *"), named: "a") { $0.job.headers = ["h": "x"] }, ["job.headers"]),
      (schedule(.cron("0 * * * *"), named: "a") { $0.job.maximumAttempts = 9 }, ["job.options"]),
      (schedule(.cron("0 * * * *"), named: "a") { $0.misfire = .skip }, ["misfire"]),
      (
        schedule(.cron("0 * * * *"), named: "a") {
          $0.misfire = .skip
          $0.catchUp = .seconds(5)
        }, ["misfire", "catch_up_ms"]
      ),
      (schedule(.cron("0 * * * *"), named: "a") { $0.metadata = ["k": "v"] }, ["metadata"]),
      (schedule(.cron("0 * * * *"), named: "a"), []),
    ])
  func changes(_ new: Schedule, _ fields: [String]) {
    #expect(ScheduleDifference.changes(from: base, to: new).map(\.field) == fields)
  }

  @Test("A window that the broker shows and a definition leaves out is the same if it is the policy's own")
  func windows() {
    let shown = schedule(.cron("0 * * * *"), named: "a") {
      $0.misfire = .all
      $0.catchUp = .seconds(3_600)
    }
    let written = schedule(.cron("0 * * * *"), named: "a") { $0.misfire = .all }
    #expect(ScheduleDifference.changes(from: shown, to: written).isEmpty)
  }

  @Test("Each schedule is created, updated, unchanged, over, or not in the file")
  func fates() {
    let changed = schedule(.cron("5 * * * *"), named: "a")
    let past = schedule(.at(millisecondsSince1970: 999), named: "past")
    let ended = schedule(.every(.seconds(5)), named: "ended") { $0.endAtMilliseconds = 500 }
    let now = schedule(.at(millisecondsSince1970: 1_000), named: "now")
    let same = schedule(.every(.seconds(5)), named: "same")
    let difference = ScheduleDifference(
      [changed, past, ended, now, same], present: ["a": base, "same": same, "past": past], finished: ["past"],
      others: ["z", "y"], now: 1_000)
    let change = ScheduleDifference.Change(field: "cron", old: "0 * * * *", new: "5 * * * *")
    #expect(difference.fates.map(\.name) == ["a", "past", "ended", "now", "same", "y", "z"])
    #expect(
      difference.fates.map(\.fate) == [
        .updated([change]), .over(at: 999), .over(at: 500), .created, .unchanged, .other, .other,
      ])
  }

  @Test(
    "What is over in the file and goes on at the broker is ended: by an update, or by deleting what an update would fire"
  )
  func ended() {
    let past = schedule(.at(millisecondsSince1970: 999), named: "past")
    let ended = schedule(.every(.seconds(5)), named: "ended") { $0.endAtMilliseconds = 500 }
    func fate(_ definition: Schedule, _ present: Schedule, finished: Set<String> = []) -> ScheduleDifference.Fate? {
      ScheduleDifference(
        [definition], present: [definition.name: present], finished: finished, others: [], now: 1_000
      ).fates.first?.fate
    }
    let endless = schedule(.every(.seconds(5)), named: "ended")
    #expect(fate(ended, endless) == .updated([.init(field: "end_at_ms", old: .null, new: 500)]))
    #expect(fate(ended, endless, finished: ["ended"]) == .over(at: 500))
    #expect(fate(past, schedule(.at(millisecondsSince1970: 5_000), named: "past")) == .ended(at: 999))
    #expect(fate(past, schedule(.every(.seconds(5)), named: "past")) == .ended(at: 999))
    // It is about to fire, or paused.
    #expect(fate(past, past) == .unchanged)
  }

  @Test("Definitions go in as few requests as take their payloads")
  func batches() {
    let large = schedule(.every(.seconds(5))) { $0.job.payload = Array(repeating: 0, count: 100_000) }
    #expect([large, large, large].batches(ofBytes: 250_000).map(\.count) == [2, 1])
    #expect([large, large, large].batches(ofBytes: 1).map(\.count) == [1, 1, 1])
    #expect([large, large, large].batches(elements: 150).map(\.count) == [2, 1])
    #expect([Schedule]().batches().isEmpty)
    let text = String(repeating: "x", count: 100_000)
    let wordy = [
      schedule(.every(.seconds(5))) { $0.metadata = ["k": text] },
      schedule(.every(.seconds(5))) { $0.metadata = [text: "v"] },
      schedule(.every(.seconds(5))) { $0.job.tags = [text] },
      schedule(.every(.seconds(5))) { $0.job.headers = ["k": .text(text)] },
      schedule(.every(.seconds(5))) { $0.job.headers = [text: .bytes([])] },
    ]
    #expect(wordy.batches(ofBytes: 250_000).map(\.count) == [2, 2, 1])
  }
}
