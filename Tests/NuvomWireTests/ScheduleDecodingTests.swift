import MessagePack
import NuvomModel
import NuvomWire
import Testing

private let job: MessageValue = ["task": "t"]

/// A definition that is good, with other pairs before its own.
private func definition(_ pairs: MessageValue, times: MessageValue = ["every_ms": 1]) -> MessageValue {
  guard case .map(let others) = pairs, case .map(let times) = times else { return .null }
  let given = others.map(\.0)
  let own: [(MessageValue, MessageValue)] = [("name", "s"), ("job", job)]
  return .map(others + (own + times).filter { pair in !given.contains { $0 == pair.0 } })
}

@Test("A definition needs no more than a name, a job and one of four ways to say when")
func plainSchedules() throws {
  let at: MessageValue = ["name": "é", "at_ms": 253_402_300_799_999, "job": job]
  let after: MessageValue = ["job": job, "in_ms": 0, "name": "b"]
  let cron: MessageValue = ["name": "d", "cron": "@daily", "job": job]
  let every: MessageValue = ["name": "c", "every_ms": 3_155_760_000_000, "job": job, "unknown": [1, 2]]
  try withRequest("schedule", ["schedules": [at, after, every, cron]]) { request in
    #expect(request.isRemembered && request.jobs.isEmpty)
    #expect(request.schedules.map(\.name.text) == ["é", "b", "c", "d"])
    guard case .at(253_402_300_799_999) = request.schedules[0].times, case .after(0) = request.schedules[1].times,
      case .every(3_155_760_000_000) = request.schedules[2].times,
      case .cron(let expression, let zone, .shift, .first) = request.schedules[3].times
    else {
      Issue.record("other times")
      return
    }
    #expect(expression.text == "@daily" && zone.text == "UTC")
    let plain = request.schedules[0]
    #expect(plain.startMilliseconds == nil && plain.endMilliseconds == nil && plain.maximumFires == 0)
    #expect(plain.jitterMilliseconds == 0 && plain.misfire == .once && plain.catchUpMilliseconds == nil)
    #expect(plain.overlap == .allow && plain.metadata.isEmpty && plain.retentionMilliseconds == 604_800_000)
    #expect(plain.job.task.text == "t" && plain.job.queue.text == "default" && plain.job.priority == 5)
  }
}

@Test("Everything that a definition says arrives")
func fullSchedule() throws {
  let metadata: MessageValue = ["owner": ["team": 7]]
  let full: MessageValue = [
    "retention_ms": 9, "metadata": metadata, "overlap": "buffer_one", "catch_up_ms": 8, "misfire": "skip",
    "jitter_ms": 86_400_000, "max_fires": 4_294_967_295, "end_at_ms": 6, "start_at_ms": 5, "fold": "both",
    "gap": "skip", "time_zone": "Europe/Berlin", "cron": "0 2 * * *", "name": "s",
    "job": [
      "queue": "q", "task": "t", "payload": .binary([1]), "headers": ["a": "b"], "tags": ["c"], "priority": 0,
      "expires_in_ms": 3, "max_attempts": 1, "backoff": "fixed", "backoff_base_ms": 1, "backoff_cap_ms": 2,
      "jitter_percent": 0, "timeout_ms": 3, "lease_ms": 4, "retention_ms": 5,
    ],
  ]
  let encoded = try metadata.encoded()
  try withRequest("schedule", ["schedules": [full]]) { request in
    let schedule = request.schedules[0]
    guard case .cron(let expression, let zone, .skip, .both) = schedule.times else {
      Issue.record("other times")
      return
    }
    #expect(expression.text == "0 2 * * *" && zone.text == "Europe/Berlin")
    #expect(schedule.startMilliseconds == 5 && schedule.endMilliseconds == 6 && schedule.maximumFires == .max)
    #expect(schedule.jitterMilliseconds == 86_400_000 && schedule.misfire == .skip)
    #expect(schedule.catchUpMilliseconds == 8 && schedule.overlap == .bufferOne)
    #expect(Array(schedule.metadata) == encoded && schedule.retentionMilliseconds == 9)
    #expect(schedule.job.expiry == .after(milliseconds: 3) && schedule.job.maximumAttempts == 1)
    #expect(schedule.job.timeoutMilliseconds == 3 && schedule.job.leaseMilliseconds == 4)
    #expect(schedule.job.queue.text == "q" && Array(schedule.job.payload) == [1])
  }
}

@Test(
  "A field of a definition is taken at the ends of its range and refused by name beyond them, and of another type",
  arguments: [
    Row(["name": ""], "BAD_PARAMS schedules[0].name"),
    Row(["name": .string(bytes: 255)], "ok"),
    Row(["name": .string(bytes: 256)], "BAD_PARAMS schedules[0].name"),
    Row(["name": "a\u{7}"], "BAD_PARAMS schedules[0].name"),
    Row(["name": 1], "BAD_PARAMS schedules[0].name"),
    Row(["name": nil], "BAD_PARAMS schedules[0].name"),
    Row(["every_ms": 0], "BAD_PARAMS schedules[0].every_ms"),
    Row(["every_ms": 3_155_760_000_001], "BAD_PARAMS schedules[0].every_ms"),
    Row(["every_ms": 1.0], "BAD_PARAMS schedules[0].every_ms"),
    Row(["every_ms": -1], "BAD_PARAMS schedules[0].every_ms"),
    Row(["start_at_ms": 253_402_300_800_000], "BAD_PARAMS schedules[0].start_at_ms"),
    Row(["end_at_ms": "1"], "BAD_PARAMS schedules[0].end_at_ms"),
    Row(["max_fires": 4_294_967_295], "ok"),
    Row(["max_fires": 4_294_967_296], "BAD_PARAMS schedules[0].max_fires"),
    Row(["jitter_ms": 86_400_000], "ok"),
    Row(["jitter_ms": 86_400_001], "BAD_PARAMS schedules[0].jitter_ms"),
    Row(["misfire": "all"], "ok"),
    Row(["misfire": "never"], "BAD_PARAMS schedules[0].misfire"),
    Row(["misfire": 1], "BAD_PARAMS schedules[0].misfire"),
    Row(["catch_up_ms": 0], "ok"),
    Row(["catch_up_ms": 3_155_760_000_001], "BAD_PARAMS schedules[0].catch_up_ms"),
    Row(["overlap": "cancel_previous"], "ok"),
    Row(["overlap": "bufferOne"], "BAD_PARAMS schedules[0].overlap"),
    Row(["metadata": [:]], "ok"),
    Row(["metadata": []], "BAD_PARAMS schedules[0].metadata"),
    Row(["metadata": [1: 2]], "BAD_PARAMS schedules[0].metadata"),
    // With the map, the key and what says how long the text is: 4,096 bytes, and one more.
    Row(["metadata": ["a": .string(bytes: 4_090)]], "ok"),
    Row(["metadata": ["a": .string(bytes: 4_091)]], "BAD_PARAMS schedules[0].metadata"),
    Row(["retention_ms": 0], "ok"),
    Row(["retention_ms": 3_155_760_000_001], "BAD_PARAMS schedules[0].retention_ms"),
    Row(["job": nil], "BAD_PARAMS schedules[0].job"),
    Row(["job": 5], "BAD_PARAMS schedules[0].job"),
    Row(["job": [:]], "BAD_PARAMS schedules[0].job.task"),
    Row(["job": ["task": "t", "priority": 256]], "BAD_PARAMS schedules[0].job.priority"),
    Row(["job": ["task": "t", "delay_ms": 1]], "BAD_PARAMS schedules[0].job.delay_ms"),
    Row(["job": ["task": "t", "delay_ms": 0]], "BAD_PARAMS schedules[0].job.delay_ms"),
    Row(["job": ["task": "t", "delay_ms": nil, "unique_ms": nil, "unique_key": nil]], "ok"),
    Row(["job": ["task": "t", "start_at_ms": 1]], "BAD_PARAMS schedules[0].job.start_at_ms"),
    Row(["job": ["task": "t", "expires_at_ms": 1]], "BAD_PARAMS schedules[0].job.expires_at_ms"),
    Row(["job": ["task": "t", "unique_key": "k"]], "BAD_PARAMS schedules[0].job.unique_key"),
    Row(["job": ["task": "t", "unique_ms": 1]], "BAD_PARAMS schedules[0].job.unique_ms"),
    Row(["at_ms": 1], "BAD_PARAMS schedules[0].every_ms"),
    Row(["in_ms": 1], "BAD_PARAMS schedules[0].every_ms"),
    Row(["cron": "@daily"], "BAD_PARAMS schedules[0].cron"),
    Row(["time_zone": "UTC"], "BAD_PARAMS schedules[0].time_zone"),
    Row(["gap": "skip"], "BAD_PARAMS schedules[0].gap"),
    Row(["fold": "last"], "BAD_PARAMS schedules[0].fold"),
  ])
func scheduleFields(row: Row) throws {
  #expect(try verdict(on: "schedule", ["schedules": [definition(row.sent)]]) == row.result)
}

@Test(
  "When a schedule is due is said in one way, and a cron expression is one",
  arguments: [
    Row([:], "BAD_PARAMS schedules[0].cron"),
    Row(["cron": nil], "BAD_PARAMS schedules[0].cron"),
    Row(["at_ms": 0], "ok"),
    Row(["at_ms": -1], "BAD_PARAMS schedules[0].at_ms"),
    Row(["at_ms": 253_402_300_800_000], "BAD_PARAMS schedules[0].at_ms"),
    Row(["in_ms": 3_155_760_000_000], "ok"),
    Row(["in_ms": 3_155_760_000_001], "BAD_PARAMS schedules[0].in_ms"),
    Row(["at_ms": 1, "in_ms": 1], "BAD_PARAMS schedules[0].in_ms"),
    Row(["cron": "* * * * *", "at_ms": 1], "BAD_PARAMS schedules[0].cron"),
    Row(["cron": ""], "BAD_PARAMS schedules[0].cron"),
    Row(["cron": "* * * *"], "BAD_PARAMS schedules[0].cron"),
    Row(["cron": "0 0 31 2 *"], "BAD_PARAMS schedules[0].cron"),
    Row(["cron": .binary([0x2A])], "BAD_PARAMS schedules[0].cron"),
    Row(["cron": .string("0 0 \(String(repeating: "1,", count: 122))1 * *")], "ok"),
    Row(["cron": .string("0 0 \(String(repeating: "1,", count: 124))1 * *")], "BAD_PARAMS schedules[0].cron"),
    Row(["cron": "@daily", "time_zone": ""], "BAD_PARAMS schedules[0].time_zone"),
    Row(["cron": "@daily", "time_zone": .string(bytes: 256)], "BAD_PARAMS schedules[0].time_zone"),
    Row(["cron": "@daily", "time_zone": "../../etc/passwd"], "ok"),
    Row(["cron": "@daily", "gap": "both"], "BAD_PARAMS schedules[0].gap"),
    Row(["cron": "@daily", "fold": 1], "BAD_PARAMS schedules[0].fold"),
    Row(["cron": "@daily", "fold": "last", "gap": "shift"], "ok"),
  ])
func scheduleTimes(row: Row) throws {
  #expect(try verdict(on: "schedule", ["schedules": [definition([:], times: row.sent)]]) == row.result)
}

@Test("A wrong cron expression's refusal names the column in words, and the field of the schedule")
func cronMessage() throws {
  let wrong = definition([:], times: ["cron": "* 25 * * *"])
  let message: MessageValue = [0, 17, "schedule", ["schedules": [definition([:]), wrong]]]
  let frame = try message.encoded()
  var decoder = RequestDecoder()
  var request = Request()
  let frames = try frames { writer in
    frame.withUnsafeBytes { bytes in
      guard case .refused(let refusal) = decoder.decode(bytes, into: &request) else { return }
      ResponseEncoder.encode(refusal, into: &writer)
    }
  }
  #expect(frames.count == 1 && frames[0][2]?["code"] == "BAD_PARAMS")
  #expect(frames[0][2]?["field"] == "schedules[1].cron")
  guard case .string(let words)? = frames[0][2]?["message"] else { throw UnexpectedVerdict(words: "no message") }
  #expect(words.contains("hour") && words.contains("25"), "\(words)")
}

@Test(
  "Requests that name schedules have their parameters",
  arguments: [
    MethodRow("schedule", [:], "BAD_PARAMS schedules"),
    MethodRow("schedule", ["schedules": []], "BAD_PARAMS schedules"),
    MethodRow("schedule", ["schedules": definition([:])], "BAD_PARAMS schedules"),
    MethodRow("schedule", ["schedules": [definition([:]), 7]], "BAD_PARAMS schedules[1]"),
    MethodRow("schedule", ["schedules": definition([:]).repeated(10_000)], "ok"),
    MethodRow("schedule", ["schedules": definition([:]).repeated(10_001)], "BAD_PARAMS schedules"),
    MethodRow("schedule_get", [:], "BAD_PARAMS name"),
    MethodRow("schedule_get", ["name": ""], "BAD_PARAMS name"),
    MethodRow("schedule_get", ["name": .string(bytes: 256)], "BAD_PARAMS name"),
    MethodRow("schedule_get", ["other": 1, "name": "s"], "ok"),
    MethodRow("schedules", [:], "ok"),
    MethodRow("schedules", ["prefix": "", "queue": "q", "task": "t", "after": "a", "limit": 10_000], "ok"),
    MethodRow("schedules", ["limit": 0], "BAD_PARAMS limit"),
    MethodRow("schedules", ["limit": 10_001], "BAD_PARAMS limit"),
    MethodRow("schedules", ["after": ""], "BAD_PARAMS after"),
    MethodRow("schedules", ["queue": 1], "BAD_PARAMS queue"),
    MethodRow("schedules", ["task": ""], "BAD_PARAMS task"),
    MethodRow("schedules", ["prefix": .string(bytes: 256)], "BAD_PARAMS prefix"),
  ])
func scheduleRequests(row: MethodRow) throws {
  #expect(try verdict(on: row.method, row.sent) == row.result)
}

@Test(
  "Requests with names of schedules have 1 to 10,000 of them",
  arguments: ["schedule_pause", "schedule_resume", "schedule_trigger", "schedule_delete"])
func scheduleNames(method: String) throws {
  #expect(try verdict(on: method, [:]) == "BAD_PARAMS names")
  #expect(try verdict(on: method, ["names": []]) == "BAD_PARAMS names")
  #expect(try verdict(on: method, ["names": "s"]) == "BAD_PARAMS names")
  #expect(try verdict(on: method, ["names": ["s", ""]]) == "BAD_PARAMS names[1]")
  #expect(try verdict(on: method, ["names": ["s", 1]]) == "BAD_PARAMS names[1]")
  #expect(try verdict(on: method, ["names": MessageValue.string("s").repeated(10_000)]) == "ok")
  #expect(try verdict(on: method, ["names": MessageValue.string("s").repeated(10_001)]) == "BAD_PARAMS names")
  try withRequest(method, ["names": ["a", "é"]]) { request in
    #expect(request.names.map(\.text) == ["a", "é"])
    #expect(request.isRemembered == ["schedule_trigger", "schedule_delete"].contains(method))
  }
}

@Test("A request that is used again has nothing of the one before")
func usedAgain() throws {
  var decoder = RequestDecoder()
  var request = Request()
  let messages: [MessageValue] = [
    [0, 1, "schedule", ["schedules": [definition([:])]]], [0, 2, "schedule_delete", ["names": ["s"]]],
    [0, 3, "schedules", ["prefix": "s"]], [0, 4, "schedules", [:]],
  ]
  var counts: [[Int]] = []
  for message in messages {
    let frame = try message.encoded()
    frame.withUnsafeBytes { bytes in
      _ = decoder.decode(bytes, into: &request)
      counts.append([request.schedules.count, request.names.count, request.filter.prefix.count])
    }
  }
  #expect(counts == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
}
