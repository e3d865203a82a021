import MessagePack
import NuvomModel
import NuvomWire
import Testing

private func plainSchedule(_ name: String = "s") -> ScheduleDetails {
  var schedule = ScheduleDetails()
  schedule.name = Array(name.utf8)
  schedule.times = .every(milliseconds: 60_000)
  schedule.catchUpMilliseconds = 1
  schedule.retentionMilliseconds = 2
  schedule.job.queue = Array("q".utf8)
  schedule.job.task = Array("t".utf8)
  return schedule
}

private let plainJob: [(MessageValue, MessageValue)] = [
  ("queue", "q"), ("task", "t"), ("priority", 5), ("max_attempts", 3), ("backoff", "exponential"),
  ("backoff_base_ms", 1_000), ("backoff_cap_ms", 600_000), ("jitter_percent", 10), ("timeout_ms", 0), ("lease_ms", 0),
  ("retention_ms", 0),
]

/// The response to request 17 with one map.
private func answer(_ pairs: [(MessageValue, MessageValue)]) -> MessageValue {
  .array([.uint(1), .uint(17), .null, .map(pairs)])
}

@Test("A receipt says what was done, what changed and when it is due next")
func receipts() throws {
  let bits = { (fields: [ScheduleField]) in fields.reduce(UInt32(0)) { $0 | 1 << UInt32($1.rawValue) } }
  let receipts = [
    ScheduleReceipt(status: .created, changed: 0, dueMilliseconds: 5),
    ScheduleReceipt(status: .created, changed: 0, dueMilliseconds: nil),
    ScheduleReceipt(status: .unchanged, changed: 0, dueMilliseconds: 253_402_300_799_999),
    ScheduleReceipt(status: .updated, changed: bits([.cron, .payload]), dueMilliseconds: nil),
    ScheduleReceipt(status: .updated, changed: bits(ScheduleField.allCases), dueMilliseconds: 0),
  ]
  let all: [MessageValue] = ScheduleField.allCases.map { .string("\($0.wireName)") }
  let expected: MessageValue = [
    "schedules": [
      ["status": "created", "due_at_ms": 5], ["status": "created"],
      ["status": "unchanged", "due_at_ms": 253_402_300_799_999],
      ["status": "updated", "changed": ["cron", "job.payload"]],
      ["status": "updated", "changed": .array(all), "due_at_ms": 0],
    ]
  ]
  #expect(try response(.scheduled(receipts)) == [1, 17, nil, expected])
}

@Test("Names that were refused are told by their places; what is empty is left out")
func named() throws {
  let refusals = [NameRefusal(index: 0, code: .notFound), NameRefusal(index: 9_999, code: .finished)]
  let told: MessageValue = [
    ["index": 0, "code": "NOT_FOUND", "message": .string("\(ErrorCode.notFound.message)")],
    ["index": 9_999, "code": "FINISHED", "message": .string("\(ErrorCode.finished.message)")],
  ]
  #expect(try response(.named([], ids: nil)) == [1, 17, nil, [:]])
  #expect(try response(.named(refusals, ids: nil)) == [1, 17, nil, ["refused": told]])
  #expect(try response(.named([], ids: [])) == [1, 17, nil, ["ids": []]])
  let ids = [JobID(rawValue: 1), JobID(rawValue: .max)]
  #expect(try response(.named(refusals, ids: ids)) == [1, 17, nil, ["ids": [1, .uint(.max)], "refused": told]])
}

@Test("A schedule of which little is known has the fields that are always there")
func plainScheduleShape() throws {
  let pairs: [(MessageValue, MessageValue)] = [
    ("name", "s"), ("state", "active"), ("every_ms", 60_000), ("max_fires", 0), ("jitter_ms", 0), ("misfire", "once"),
    ("catch_up_ms", 1), ("overlap", "allow"), ("retention_ms", 2), ("job", .map(plainJob)), ("created_at_ms", 0),
    ("updated_at_ms", 0), ("fired_total", 0), ("missed_total", 0), ("skipped_total", 0), ("triggered_total", 0),
  ]
  #expect(try response(.schedule(plainSchedule())) == answer(pairs))
  for (times, pair) in [
    (ScheduleTimesDetails.at(milliseconds: 7), ("at_ms", 7)), (.after(milliseconds: 8), ("in_ms", 8)),
  ] as [(ScheduleTimesDetails, (MessageValue, MessageValue))] {
    var schedule = plainSchedule()
    schedule.times = times
    var expected = pairs
    expected[2] = pair
    #expect(try response(.schedule(schedule)) == answer(expected))
  }
}

@Test("A schedule of which everything is known has every field")
func completeScheduleShape() throws {
  var schedule = plainSchedule()
  schedule.startMilliseconds = 11
  schedule.endMilliseconds = 12
  schedule.maximumFires = .max
  schedule.jitterMilliseconds = 14
  schedule.metadata = [0x81, 0xA1, 0x61, 0x07]
  schedule.createdAtMilliseconds = 15
  schedule.updatedAtMilliseconds = 16
  schedule.dueMilliseconds = 17
  schedule.firesAtMilliseconds = 18
  schedule.lastDueMilliseconds = 19
  schedule.lastJob = JobID(rawValue: .max)
  schedule.bufferedDueMilliseconds = 20
  schedule.fired = 21
  schedule.missed = 22
  schedule.skipped = 23
  schedule.triggered = .max
  schedule.job.payload = [1]
  schedule.job.headers = [0x81, 0xA1, 0x61, 0xA1, 0x62]
  schedule.job.tags = [0x91, 0xA1, 0x63]
  schedule.job.expiresInMilliseconds = 24
  schedule.job.backoff.growth = .fixed
  let job: [(MessageValue, MessageValue)] = [
    ("queue", "q"), ("task", "t"), ("payload", .binary([1])), ("headers", ["a": "b"]), ("tags", ["c"]), ("priority", 5),
    ("expires_in_ms", 24), ("max_attempts", 3), ("backoff", "fixed"), ("backoff_base_ms", 1_000),
    ("backoff_cap_ms", 600_000), ("jitter_percent", 10), ("timeout_ms", 0), ("lease_ms", 0), ("retention_ms", 0),
  ]
  for state in ScheduleState.allCases {
    for (gap, fold) in [(GapPolicy.shift, FoldPolicy.first), (.skip, .last), (.skip, .both)] {
      for misfire in MisfirePolicy.allCases {
        for overlap in OverlapPolicy.allCases {
          (schedule.state, schedule.misfire, schedule.overlap) = (state, misfire, overlap)
          schedule.times = .cron(Array("@daily".utf8), zone: Array("Europe/Berlin".utf8), gap, fold)
          let expected: [(MessageValue, MessageValue)] = [
            ("name", "s"), ("state", .string("\(state.wireName)")), ("cron", "@daily"), ("time_zone", "Europe/Berlin"),
            ("gap", .string("\(gap.wireName)")), ("fold", .string("\(fold.wireName)")), ("start_at_ms", 11),
            ("end_at_ms", 12), ("max_fires", 4_294_967_295), ("jitter_ms", 14),
            ("misfire", .string("\(misfire.wireName)")), ("catch_up_ms", 1),
            ("overlap", .string("\(overlap.wireName)")), ("metadata", ["a": 7]), ("retention_ms", 2),
            ("job", .map(job)),
            ("created_at_ms", 15), ("updated_at_ms", 16), ("due_at_ms", 17), ("fires_at_ms", 18),
            ("last_due_at_ms", 19), ("last_job", .uint(.max)), ("buffered_due_at_ms", 20), ("fired_total", 21),
            ("missed_total", 22), ("skipped_total", 23), ("triggered_total", 4_294_967_295),
          ]
          #expect(try response(.schedule(schedule)) == answer(expected))
        }
      }
    }
  }
}

@Test("A page of schedules that fits goes as it is, one that does not ends earlier, and the next begins behind it")
func schedulePages() throws {
  #expect(try response(.schedules([], next: nil)) == [1, 17, nil, ["schedules": []]])
  #expect(try response(.schedules([], next: Array("n".utf8))) == [1, 17, nil, ["schedules": [], "next": "n"]])
  let two = try #require(try response(.schedules([plainSchedule("a"), plainSchedule("b")], next: nil))?[3])
  #expect(two["schedules"]?[1]?["name"] == "b" && two["schedules"]?[2] == nil && two["next"] == nil)
  #expect(two["schedules"]?[0]?["job"]?["payload"] == nil)
  var large = plainSchedule("large")
  let filler = [UInt8](repeating: 0x61, count: ProtocolLimits.headerBytes - 6)
  large.job.headers = [0x81, 0xA1, 0x61, 0xC5, UInt8(filler.count >> 8), UInt8(filler.count & 0xFF)] + filler
  let many = Array(repeating: large, count: 300) + [plainSchedule("last")]
  let page = try #require(try response(.schedules(many, next: nil))?[3])
  guard case .array(let kept)? = page["schedules"] else { throw UnexpectedVerdict(words: "no page") }
  #expect((3..<300).contains(kept.count) && page["next"] == "large")
  let small = (0..<10_000).map { plainSchedule("\($0)") }
  let elements = try #require(try response(.schedules(small, next: nil))?[3])
  guard case .array(let some)? = elements["schedules"] else { throw UnexpectedVerdict(words: "no page") }
  #expect((1_000..<10_000).contains(some.count) && elements["next"] == .string("\(some.count - 1)"))
}

@Test("A page of schedules, and one of dead letters, ends where a frame has as many values as are allowed")
func pagesOfManyValues() throws {
  func values(_ message: MessageValue?) -> Int {
    switch message {
    case .array(let elements)?: elements.reduce(1) { $0 + values($1) }
    case .map(let pairs)?: pairs.reduce(1) { $0 + values($1.0) + values($1.1) }
    default: 1
    }
  }
  // A hundred headers in six bytes each: far from the bytes of a frame.
  let pair: [UInt8] = [0xA2, 0x61, 0x61, 0xA2, 0x61, 0x61]
  let headers: [UInt8] = [0xDE, 0, 100] + Array(repeatElement(pair, count: 100).joined())
  var schedule = plainSchedule("many")
  schedule.job.headers = headers
  let schedules = values(try response(.schedules(Array(repeating: schedule, count: 2_000), next: nil)))
  var job = JobDetails()
  job.headers = headers
  let jobs = values(try response(.jobs(Array(repeating: job, count: 2_000), next: nil)))
  #expect((200_000...ProtocolLimits.frameElements).contains(schedules))
  #expect((200_000...ProtocolLimits.frameElements).contains(jobs))
}

@Test("What the engine refuses of a definition names the schedule, and the field where it is one")
func refusedSchedules() throws {
  let zone = try #require(try response(.refused(.unknownTimeZone, operation: 3)))
  #expect(zone[2]?["code"] == "UNKNOWN_TIME_ZONE" && zone[2]?["field"] == "schedules[3].time_zone")
  #expect(zone[2]?["operation"] == nil)
  let never = try #require(try response(.refused(.neverDue, operation: 0)))
  #expect(never[2]?["code"] == "NEVER_DUE" && never[2]?["field"] == "schedules[0]")
  let other = try #require(try response(.refused(.leaseLost, operation: 2)))
  #expect(other[2]?["operation"] == 2 && other[2]?["field"] == nil)
}

@Test("A delivery of a schedule's job tells the schedule and the due time; another's has no such field")
func deliveredFires() throws {
  let name = Array("nightly".utf8)
  try name.withUnsafeBytes { name in
    var outcome = Outcome()
    for schedule in [BorrowedBytes.none, name] {
      outcome.deliveries.append(
        Delivery(
          id: JobID(rawValue: 1), token: LeaseToken(rawValue: 2), attempt: 1, leaseMilliseconds: 3,
          timeoutMilliseconds: 4, postponed: 5, maximumAttempts: 6, queue: name, task: name, payload: .none,
          headers: .none, tags: .none, schedule: schedule, dueMilliseconds: 7))
    }
    let answer = try #require(try response(.delivered(deliveries: 0..<2, refusals: 0..<0), outcome: outcome))
    let jobs = answer[3]?["jobs"]
    #expect(jobs?[0]?["schedule"] == nil && jobs?[0]?["max_attempts"] == 6)
    #expect(jobs?[1]?["schedule"] == ["name": "nightly", "due_at_ms": 7])
  }
}
