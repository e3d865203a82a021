import Foundation
import MessagePack
import NuvomCommandLine
import NuvomSchedule
import Testing

@testable import nuvom

extension ProgramTests {
  @Suite struct ScheduleCommandTests {
    private let workspace: Workspace
    private let broker: RunningBroker

    init() throws {
      workspace = try Workspace()
      broker = try RunningBroker(workspace, ["--ephemeral"])
    }

    /// What a command prints that must succeed.
    @discardableResult
    private func say(_ arguments: [String], input: String = "") throws -> String {
      let ended = try broker.run(["schedule"] + arguments, input: input)
      try #require(ended.status == 0, "\(arguments): \(ended.error)\(broker.log)")
      return ended.output
    }

    /// The names that `list` shows, in order.
    private func names(_ arguments: [String] = []) throws -> [String] {
      guard case .array(let schedules)? = try broker.ask(["schedule", "list"] + arguments)["schedules"] else {
        return []
      }
      return try schedules.map { try $0.text("name") }
    }

    @Test("A schedule is created once; the same again changes nothing, another is an update that says what changed")
    func create() throws {
      let nightly = ["create", "nightly", "--task", "report", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin"]
      #expect(try say(nightly).contains(/^nightly created, due 20..-..-..T0(2:30|3:00):00\+0[12]:00\n$/))
      #expect(try say(nightly).hasPrefix("nightly unchanged, due "))
      #expect(
        try say(nightly + ["--queue", "reports", "--jitter", "5m"]).hasPrefix(
          "nightly updated (jitter_ms, job.queue), due "))
      let shown = try broker.ask(["schedule", "show", "nightly"])
      #expect(try shown.text("cron") == "30 2 * * *" && shown.text("time_zone") == "Europe/Berlin")
      #expect(try shown["jitter_ms"] == 300_000 && #require(shown["job"]).text("queue") == "reports")
      #expect(try shown.text("state") == "active" && shown["fired_total"] == 0 && shown["due_at_ms"] != nil)
      let lines = try say(["show", "nightly"])
      for words in [/times +30 2 \* \* \* Europe\/Berlin\n/, /jitter +up to 5m\n/, /next due +20.+\+0[12]:00\n/] {
        #expect(lines.contains(words), "\(lines)")
      }
    }

    @Test("An update changes what is given, and nothing else")
    func update() throws {
      try say([
        "create", "a", "--task", "t", "--cron", "0 0 * * *", "--timezone", "Asia/Tokyo", "--dst-gap", "skip", "--args",
        "[1]",
        "--max-attempts", "7", "--misfire", "skip", "--end", "2099-01-01T00:00", "--metadata", "team=billing",
        "--metadata", "page=7",
      ])
      #expect(
        try say(["update", "a", "--cron", "0 1 * * *", "--misfire", "all"]).hasPrefix("a updated (cron, misfire"))
      let shown = try broker.ask(["schedule", "show", "a"])
      #expect(
        try shown.text("cron") == "0 1 * * *" && shown.text("time_zone") == "Asia/Tokyo" && shown.text("gap") == "skip")
      #expect(shown["catch_up_ms"] == 3_600_000 && shown["end_at_ms"] == 4_070_876_400_000)
      #expect(shown["job"]?["payload"] == ["args": [1], "kwargs": [:]] && shown["job"]?["max_attempts"] == 7)
      try say(["update", "a", "--end", "none", "--metadata", "page=", "--task", "u"])
      let again = try broker.ask(["schedule", "show", "a"])
      #expect(again["end_at_ms"] == nil && again["metadata"] == ["team": "billing"] && again["job"]?["task"] == "u")
      #expect(try say(["update", "a", "--task", "u"]).hasPrefix("a unchanged, due "))
      let missing = try broker.run(["schedule", "update", "b", "--task", "u"])
      #expect(
        missing.status == 1 && missing.error.hasPrefix("nuvom: b: ") && missing.error.contains("NOT_FOUND"),
        "\(missing)")
    }

    @Test("An update of the positional arguments keeps the named ones, and the other way round")
    func updateArguments() throws {
      func payload() throws -> MessageValue? { try broker.ask(["schedule", "show", "a"])["job"]?["payload"] }
      try say(["create", "a", "--task", "t", "--every", "1h", "--args", "[1]", "--kwargs", "{\"k\": 2}"])
      try say(["update", "a", "--args", "[3]"])
      #expect(try payload() == ["args": [3], "kwargs": ["k": 2]])
      try say(["update", "a", "--kwargs", "{\"l\": 4}"])
      #expect(try payload() == ["args": [3], "kwargs": ["l": 4]])
      try say(["update", "a", "--payload", "text"])
      try say(["update", "a", "--args", "[5]"])
      #expect(try payload() == ["args": [5], "kwargs": [:]])
      try say(["create", "a", "--task", "t", "--every", "1h", "--kwargs", "{\"m\": 6}"])
      #expect(try payload() == ["args": [], "kwargs": ["m": 6]])
    }

    @Test("What was set of a schedule is shown; one that is not there is named")
    func show() throws {
      try say([
        "create", "a", "--task", "t", "--every", "1h", "--backoff", "5s", "--expires-in", "2h", "--known-for", "3d",
        "--timeout", "4s", "--lease", "6m", "--retention", "7h", "--tag", "x", "--max-fires", "8",
      ])
      let lines = try say(["show", "a"])
      for words in [
        /backoff +5s, doubling up to 10m, up to 10 % less\n/, /expires in +2h\n/, /known for +3d when finished\n/,
        /timeout +4s\n/, /lease +6m\n/, /retention +7h\n/, /tags +x\n/, /max fires +8\n/,
      ] { #expect(lines.contains(words), "\(lines)") }
      try say(["create", "b", "--task", "t", "--every", "1h"])
      let plain = try say(["show", "b"])
      for words in [/backoff/, /expires in/, /known for/] { #expect(!plain.contains(words), "\(plain)") }
      let missing = try broker.run(["schedule", "show", "nope"])
      #expect(missing.status == 1 && missing.error.hasPrefix("nuvom: nope: "), "\(missing)")
    }

    @Test("A schedule that is due fires by itself; its job says for which schedule and due time")
    func fires() throws {
      try say(["create", "now", "--task", "greet", "--at", "2020-01-01T00:00:00Z", "--args", "[\"Ada\"]"])
      let job = try #require(try broker.ask(["dequeue", "--wait", "30s"])["jobs"]?[0])
      #expect(try job.text("task") == "greet" && job["payload"]?["args"] == ["Ada"])
      #expect(job["schedule"] == ["name": "now", "due_at_ms": 1_577_836_800_000])
      let id = try job.text("id")
      #expect(try broker.ask(["get", id])["schedule"]?["name"] == "now")
      #expect(try broker.run(["get", id]).output.contains("now, due 2020-01-01T00:00:00Z\n"))
      let shown = try broker.ask(["schedule", "show", "now"])
      #expect(try shown.text("state") == "finished" && shown["fired_total"] == 1 && shown.text("last_job") == id)
      #expect(
        try say(["create", "now", "--task", "greet", "--at", "2020-01-01T00:00:00Z", "--args", "[\"Ada\"]"])
          == "now unchanged, finished; trigger it, or delete it first\n")
      try say(["create", "soon", "--task", "greet", "--in", "1ms"])
      #expect(try broker.ask(["dequeue", "--wait", "30s"])["jobs"]?[0]?["schedule"]?["name"] == "soon")
      let numbers = try broker.ask(["stats"])
      #expect(numbers["schedules"] == 2 && numbers["fires_total"] == 2 && numbers["fire_lateness"]?["counts"] != nil)
      #expect(try broker.run(["stats"]).output.contains(/fire_lateness +[12] up to [0-9]/))
    }

    @Test("Schedules are paused, resumed, triggered and deleted by name; those that are not there are told, and 1")
    func control() throws {
      for name in ["a", "b"] { try say(["create", name, "--task", "t", "--every", "1h"]) }
      let paused = try broker.run(["schedule", "pause", "a", "x", "b"])
      #expect(
        paused.status == 1 && paused.output == "a paused\nb paused\n" && paused.error.contains("nuvom: x: "),
        "\(paused)")
      #expect(try broker.ask(["schedule", "show", "a"]).text("state") == "paused")
      #expect(try say(["resume", "a"]) == "a resumed\n")
      let triggered = try broker.ask(["schedule", "trigger", "b", "a"])["triggered"]
      let job = try #require(try broker.ask(["dequeue"])["jobs"]?[0])
      #expect(try #require(triggered?[0]).text("name") == "b" && triggered?[0]?["id"] == job["id"])
      #expect(try say(["delete", "a"]) == "a deleted\n")
      #expect(try names() == ["b"] && broker.run(["schedule", "delete", "a"]).status == 1)
      #expect(try broker.run(["schedule", "show", "a"]).status == 1)
    }

    @Test("Schedules are listed by name, page by page, all or those that fit")
    func list() throws {
      #expect(try say(["list"]) == "no schedules\n")
      for (name, task, queue) in [("m.b", "t", "q"), ("m.a", "u", "q"), ("n", "t", "r")] {
        try say(["create", name, "--task", task, "--queue", queue, "--every", "1h"])
      }
      #expect(try names() == ["m.a", "m.b", "n"] && names(["--prefix", "m."]) == ["m.a", "m.b"])
      #expect(try names(["--task", "t"]) == ["m.b", "n"] && names(["--queue", "r"]) == ["n"])
      let page = try broker.ask(["schedule", "list", "--limit", "2"])
      let rest = try names(["--after", page.text("next")])
      guard case .array(let first)? = page["schedules"] else { return #expect(Bool(false), "\(page)") }
      #expect(try Set(first.map { try $0.text("name") } + rest) == ["m.a", "m.b", "n"] && rest.count == 1)
      #expect(try say(["list", "--prefix", "n"]).contains(/n +every 1h +t +r +20/))
    }

    @Test("A time without a zone is taken for UTC, which is said; with --timezone it is local")
    func localTimes() throws {
      let naive = try broker.run(["schedule", "create", "a", "--task", "t", "--at", "2099-07-01T12:00"])
      #expect(
        naive.status == 0 && naive.error.contains("2099-07-01T12:00 names no time zone; taken for UTC"), "\(naive)")
      #expect(naive.output == "a created, due 2099-07-01T12:00:00Z\n")
      let local = try broker.run([
        "schedule", "create", "a", "--task", "t", "--at", "2099-07-01T12:00", "--timezone", "Europe/Berlin",
      ])
      #expect(local.error.isEmpty && local.output == "a updated (at_ms), due 2099-07-01T10:00:00Z\n", "\(local)")
    }

    @Test(
      "What cannot be a schedule is refused, with what would be right",
      arguments: [
        (["create", "a", "--task", "t"], "say when: --at, --in, --every or --cron"),
        (["create", "a", "--task", "t", "--in", "5s", "--every", "5s"], "contradict each other"),
        (["create", "a", "--task", "t", "--cron", "61 * * * *"], "minute"),
        (
          ["create", "a", "--task", "t", "--cron", "* * * * *", "--timezone", "Europe/Berlim"],
          "nuvom: a: the broker's system has no rules"
        ),
        (["create", "a", "--task", "t", "--cron", "* * * * *", "--end", "2020-01-01T00:00:00Z"], "NEVER_DUE"),
        (["create", "a", "--task", "t", "--every", "5s", "--dst-gap", "skip"], "--dst-gap and --dst-fold are for"),
        (["create", "a", "--task", "t", "--every", "5s", "--timezone", "UTC"], "there is neither"),
        (["create", "a", "--task", "t", "--every", "5s", "--overlap", "never"], "buffer-one"),
        (["create", "a", "--task", "t", "--at", "2026-01-01T12:00", "--timezone", "X/Y"], "no time zone \"X/Y\""),
        (["create", "a", "--task", "t", "--every", "5s", "--max-fires", "-1"], "--max-fires"),
        (["create", "a", "--every", "5s"], "--task"), (["pause"], "names"),
        (["preview"], "give --cron or --every"), (["preview", "--cron", "* * * * *", "--jitter", "5s"], "--name"),
      ])
    func refused(_ arguments: [String], _ words: String) throws {
      let ended = try broker.run(["schedule"] + arguments)
      #expect(ended.status == 64 && ended.output.isEmpty && ended.error.contains(words), "\(ended)")
      #expect(try names().isEmpty)
    }

    @Test("A preview needs no broker: due times with their offsets, odd ones explained, as text and as JSON")
    func preview() throws {
      let arguments = [
        "schedule", "preview", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--after", "2026-03-27T12:00",
        "--count",
        "3",
      ]
      let text = try workspace.nuvom(arguments)
      #expect(text.status == 0 && text.error.isEmpty, "\(text)")
      #expect(
        text.output.split(separator: "\n").map { $0.prefix(30) } == [
          "2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00  gap", "2026-03-30T02:30:00+02:00",
        ])
      let due = try workspace.nuvom(arguments + ["--json"]).json()["due"]
      #expect(due?[1] == ["due_at_ms": 1_774_746_000_000, "due": "2026-03-29T03:00:00+02:00", "oddity": "gap"])
      let skipped = try workspace.nuvom(arguments + ["--dst-gap", "skip", "--json"]).json()["due"]
      #expect(skipped?[1]?["due"] == "2026-03-30T02:30:00+02:00")
      let every = try workspace.nuvom([
        "schedule", "preview", "--every", "90m", "--after", "2026-01-01T00:00:00Z", "--count", "2",
      ])
      #expect(every.output == "2026-01-01T01:30:00Z\n2026-01-01T03:00:00Z\n")
      try workspace.write("schedules:\n  a: {task: t, cron: \"30 * * * *\"}\n", to: "s.yml")
      let herd = try workspace.nuvom(arguments + ["--against", "s.yml", "--json"]).json()["due"]
      #expect(herd?[0]?["schedules_in_minute"] == 1 && herd?[1]?["schedules_in_minute"] == 0)
    }

    @Test("The load of a day is that of a file or of the broker's schedules that are not paused")
    func load() throws {
      try workspace.write(
        "schedules:\n  a: {task: t, cron: \"0 * * * *\"}\n  b: {task: t, cron: \"0 7 * * *\"}\n", to: "s.yml")
      try say(["apply", "s.yml"])
      try say(["create", "c", "--task", "t", "--cron", "0 7 * * *"])
      try say(["pause", "c"])
      for source in [["--file", "s.yml"], []] {
        let load = try broker.ask(["schedule", "load", "--date", "2099-06-01"] + source)
        #expect(load["schedules"] == 2 && load["fires"] == 25 && load["schedules_by_minute"]?[420] == 2)
        #expect(load["schedules_by_minute"]?[1_439] == 0 && load["schedules_by_minute"]?[1_440] == nil)
      }
      #expect(try say(["load", "--date", "2099-06-01"]).contains(/07:00 +2 +2\n/))
      let local = try say(["load", "--date", "2099-06-01", "--timezone", "Asia/Tokyo"])
      #expect(local.hasPrefix("2099-06-01 Asia/Tokyo: 2 schedules, 25 fires\n"), "\(local)")
    }

    @Test("An interval that was changed is counted in the load from when the broker says that it is due")
    func changedInterval() throws {
      try say(["create", "a", "--task", "t", "--every", "1h"])
      try say(["update", "a", "--every", "1d"])
      guard case .uint(let due)? = try broker.ask(["schedule", "show", "a"])["due_at_ms"] else {
        return #expect(Bool(false), "it is due")
      }
      let day = ISOTime(milliseconds: due + 86_400_000, in: .utc)
      let load = try broker.ask(["schedule", "load", "--date", String("\(day)".prefix(10))])
      let minute = Int(due % 86_400_000 / 60_000)
      #expect(load["fires"] == 1 && load["fires_by_minute"]?[minute] == 1 && load["time_zone"] == "UTC")
    }

    @Test("What a preview foretells is what the broker reckons, jitter included")
    func foretold() throws {
      for (number, cron) in ["0 0 1 1 *", "30 2 L 3 *", "15 4 29 2 *", "0 3 15W 6 *", "1 2 * 10 sun#5"].enumerated() {
        let zone = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"][number % 4]
        let definition = ["--cron", cron, "--timezone", zone, "--jitter", "1d"]
        let created = try broker.ask(["schedule", "create", "s\(number)", "--task", "t"] + definition)
        let shown = try broker.ask(["schedule", "show", "s\(number)"])
        let due = try broker.ask(["schedule", "preview", "--name", "s\(number)", "--count", "1"] + definition)["due"]?[
          0]
        #expect(due?["due_at_ms"] == created["due_at_ms"] && due?["due_at_ms"] == shown["due_at_ms"], "\(cron)")
        #expect(due?["fires_at_ms"] == shown["fires_at_ms"] && shown["fires_at_ms"] != shown["due_at_ms"], "\(cron)")
      }
    }

    @Test("No scheduler need run: the command says so, and what is due next, and has none of its options")
    func runScheduler() throws {
      #expect(try broker.run(["runscheduler"]).output.contains("no scheduler need run"))
      for number in 0..<12 { try say(["create", "s\(number)", "--task", "t", "--every", "\(60 - number)m"]) }
      guard case .array(let next)? = try broker.ask(["runscheduler"])["next"] else { return }
      #expect(try next.map { try $0.text("name") } == (2..<12).reversed().map { "s\($0)" })
      #expect(try broker.run(["runscheduler"]).output.contains(/s11 +every 49m +t +default\n/))
      for option in ["-p", "-b", "-j"] { #expect(try broker.run(["runscheduler", option, "1"]).status == 64) }
    }

    // MARK: A file

    /// The file's schedules and what became of each: `name status changed…`.
    private func apply(_ file: String, _ options: [String] = []) throws -> [String] {
      try workspace.write(file, to: "schedules.yml")
      guard case .array(let schedules)? = try broker.ask(["schedule", "apply", "schedules.yml"] + options)["schedules"]
      else {
        return []
      }
      return try schedules.map { schedule in
        var words = [try schedule.text("name"), try schedule.text("status")]
        if case .array(let changed)? = schedule["changed"] {
          words += changed.map { if case .string(let field) = $0 { field } else { "?" } }.sorted()
        }
        return words.joined(separator: " ")
      }
    }

    @Test(
      "A file is applied: once created, then unchanged, then what differs; a dry run says the same and does nothing")
    func apply() throws {
      let first = "schedules:\n  b: {task: t, cron: \"0 0 * * *\"}\n  a: {task: t, every: 1h, args: [1]}\n"
      #expect(try apply(first, ["--dry-run"]) == ["b created", "a created"])
      #expect(try names().isEmpty)
      #expect(try apply(first) == ["b created", "a created"])
      #expect(
        try apply(first) == ["b unchanged", "a unchanged"]
          && apply(first, ["--dry-run"]) == ["b unchanged", "a unchanged"])
      try say(["create", "other", "--task", "t", "--every", "1h"])
      let changes = [
        "b: {task: t, cron: \"0 0 * * *\", timezone: Asia/Tokyo, dst-gap: skip, dst-fold: both}",
        "b: {task: u, queue: q, every: 5m, tags: [x], priority: 3, max-attempts: 9, retention: 1h}",
        "b: {task: u, every: 6m, start: 2099-01-01T00:00:00Z, end: 2099-02-01T00:00:00Z, max-fires: 3, jitter: 5m}",
        "b: {task: u, every: 6m, misfire: all, overlap: skip, metadata: {k: v}, known-for: 1d}",
        "b: {task: u, every: 6m, misfire: skip, catch-up: 1h}", "b: {task: u, at: 2099-01-01T00:00:00Z}",
        "b: {task: u, cron: \"0 0 * * *\", payload: hello, expires-in: 1h, backoff: 5s, timeout: 5s, lease: 5s}",
      ]
      for change in changes {
        let file = "schedules:\n  \(change)\n  a: {task: t, every: 1h, args: [1]}\n"
        let dry = try apply(file, ["--dry-run"])
        let real = try apply(file)
        #expect(dry == real, "\(change)")
        #expect(
          real.count == 3 && real[0].hasPrefix("b updated ") && real[1...] == ["a unchanged", "other other"], "\(real)")
        #expect(try apply(file, ["--dry-run"]) == ["b unchanged", "a unchanged", "other other"])
      }
    }

    @Test("For people, a dry run shows old and new values, and what else there is")
    func dryRun() throws {
      _ = try apply("schedules:\n  a: {task: t, cron: \"0 * * * *\"}\n")
      try say(["create", "old", "--task", "t", "--every", "1h"])
      try workspace.write("schedules:\n  a: {task: t, cron: \"5 * * * *\"}\n  n: {task: t, every: 1h}\n", to: "s.yml")
      #expect(
        try say(["apply", "s.yml", "--dry-run"]) == """
          ~ a updated (cron: "0 * * * *" → "5 * * * *")
          + n created
            old is not in the file
          dry run, nothing is changed: 1 created, 1 updated, 1 not in the file, left alone (--delete-others deletes)

          """)
      #expect(try names() == ["a", "old"])
    }

    @Test("A file of very many schedules is applied in several requests")
    func many() throws {
      let names = (0..<4_000).map { "  s\($0): {task: t, every: 1h, metadata: {a: b, c: d}, tags: [x, y]}\n" }
      #expect(try Set(apply("schedules:\n" + names.joined()).map { $0.suffix(8) }) == [" created"])
      let again = try apply("schedules:\n" + names.dropFirst().joined(), ["--delete-others"])
      #expect(
        again.count == 4_000 && again.last == "s0 deleted" && again.dropLast().allSatisfy { $0.hasSuffix(" unchanged") }
      )
      #expect(try broker.ask(["stats"])["schedules"] == 3_999)
    }

    @Test("What is not in the file is deleted only when asked, and only what the prefix names")
    func deleteOthers() throws {
      for name in ["x.a", "x.b", "y"] { try say(["create", name, "--task", "t", "--every", "1h"]) }
      let file = "schedules:\n  x.a: {task: t, every: 1h}\n"
      #expect(try apply(file) == ["x.a unchanged", "x.b other", "y other"])
      #expect(try apply(file, ["--prefix", "x.", "--delete-others", "--dry-run"]) == ["x.a unchanged", "x.b deleted"])
      #expect(try names() == ["x.a", "x.b", "y"])
      #expect(try apply(file, ["--prefix", "x.", "--delete-others"]) == ["x.a unchanged", "x.b deleted"])
      #expect(try names() == ["x.a", "y"] && apply(file, ["--delete-others"]) == ["x.a unchanged", "y deleted"])
      #expect(try names() == ["x.a"])
    }

    @Test("With a prefix, a name of the file that does not begin with it is an error, and nothing is sent")
    func outsidePrefix() throws {
      try workspace.write("schedules:\n  x.a: {task: t, every: 1h}\n  y: {task: t, every: 1h}\n", to: "s.yml")
      let ended = try broker.run(["schedule", "apply", "s.yml", "--prefix", "x."])
      #expect(ended.status == 65 && ended.error.contains("nuvom: s.yml:3: y: it does not begin with"), "\(ended)")
      #expect(try names().isEmpty)
    }

    @Test("A definition that is over ends the schedule that goes on at the broker, without a fire")
    func ended() throws {
      let live = "schedules:\n  a: {task: t, every: 1h}\n  b: {task: t, at: 2099-01-01T00:00:00Z}\n"
      #expect(try apply(live) == ["a created", "b created"])
      let over =
        "schedules:\n  a: {task: t, every: 1h, end: 2020-01-01T00:00:00Z}\n  b: {task: t, at: 2020-01-01T00:00:00Z}\n"
      #expect(try apply(over, ["--dry-run"]) == ["a updated end_at_ms", "b deleted"])
      #expect(try names() == ["a", "b"] && broker.ask(["schedule", "show", "a"]).text("state") == "active")
      #expect(
        try say(["apply", "schedules.yml", "--dry-run"]).contains("- b deleted, over since 2020-01-01T00:00:00Z\n"))
      #expect(try apply(over) == ["a updated end_at_ms", "b deleted"])
      #expect(try names() == ["a"] && broker.ask(["schedule", "show", "a"]).text("state") == "finished")
      #expect(try broker.ask(["stats"])["fires_total"] == 0)
      #expect(try apply(over) == ["a over", "b over"])
    }

    @Test("Of a schedule that has finished, applying its definition again says what to do")
    func finished() throws {
      let file = "schedules:\n  a: {task: t, every: 1ms, max-fires: 1}\n"
      _ = try apply(file)
      _ = try #require(try broker.ask(["dequeue", "--wait", "30s"])["jobs"]?[0])
      for options in [[], ["--dry-run"]] {
        let lines = try say(["apply", "schedules.yml"] + options)
        #expect(lines.hasPrefix("= a unchanged, finished; trigger it, or delete it first\n"), "\(lines)")
      }
    }

    @Test("A definition whose time is past is over: it is not sent, and does not fire")
    func over() throws {
      let file =
        "schedules:\n  a: {task: t, at: 2020-01-01T00:00:00Z}\n  b: {task: t, every: 1h, end: 2020-01-01T00:00:00Z}\n"
      #expect(try apply(file) == ["a over", "b over"] && apply(file, ["--dry-run"]) == ["a over", "b over"])
      #expect(try names().isEmpty)
      #expect(try say(["apply", "schedules.yml"]).contains("  a over since 2020-01-01T00:00:00Z, not sent\n"))
    }

    @Test("A file with anything wrong changes nothing: each problem is a line with place, schedule and field, and 65")
    func wrongFile() throws {
      try workspace.write(
        "schedules:\n  a: {task: t, every: 1h}\n  b: {task: t, cron: \"61 * * * *\"}\n  c: {task: t, evry: 1h}\n",
        to: "s.yml")
      let ended = try broker.run(["schedule", "apply", "s.yml"])
      #expect(ended.status == 65 && ended.output.isEmpty, "\(ended)")
      #expect(ended.error.contains("nuvom: s.yml:3: b: cron: "), "\(ended)")
      #expect(ended.error.contains("nuvom: s.yml:4: c: there is no `evry`; did you mean `every`?\n"), "\(ended)")
      #expect(try names().isEmpty)
      let input = try broker.run(["schedule", "apply", "-"], input: "schedules: []\n")
      #expect(input.status == 65 && input.error.contains("nuvom: standard input:1: "), "\(input)")
      #expect(try broker.run(["schedule", "apply", "missing.yml"]).status == 66)
    }

    @Test("The commands of the documentation do what it says, and its file can be applied")
    func documentation() throws {
      let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "docs/schedules.md")
      let text = try String(contentsOf: page, encoding: .utf8)
      for block in text.matches(of: /(?s)```sh\n(.*?)```/) {
        #expect(try workspace.shell("set -e\n\(block.output.1)", broker: broker).status == 0, "\(block.output.1)")
      }
      for block in text.matches(of: /(?s)```\n\$ (.*?)\n(.*?)```/) {
        #expect(try workspace.shell(String(block.output.1), broker: broker).output == block.output.2)
      }
      let files = text.matches(of: /(?s)```yaml\n(.*?)```/).map { String($0.output.1) }
      try #require(!files.isEmpty)
      for file in files {
        let results = try apply(file, ["--delete-others"])
        #expect(results.contains { $0.hasSuffix("created") }, "\(results)")
        #expect(try apply(file).allSatisfy { $0.hasSuffix("unchanged") || $0.hasSuffix("over") })
      }
    }
  }
}
