import MessagePack
import NuvomModel
import NuvomWire
import Testing

private func plainJob(_ id: UInt64 = 1) -> JobDetails {
  var job = JobDetails()
  job.id = JobID(rawValue: id)
  job.queue = Array("q".utf8)
  job.task = Array("t".utf8)
  return job
}

@Test("A job of which little is known has the fields that are always there")
func plainJobShape() throws {
  let expected: MessageValue = [
    "id": 1, "state": "ready", "queue": "q", "task": "t", "payload": .binary([]), "priority": 5, "attempt": 0,
    "max_attempts": 3, "enqueued_at_ms": 0, "expired_leases": 0, "errors": [],
  ]
  #expect(try response(.job(plainJob())) == [1, 17, nil, expected])
}

@Test("A job of which everything is known has every field")
func completeJobShape() throws {
  var job = plainJob(.max)
  job.payload = [1]
  job.headers = [0x81, 0xA1, 0x61, 0xA1, 0x62]
  job.tags = [0x91, 0xA1, 0x63]
  job.priority = 0
  job.attempt = 2
  job.maximumAttempts = 65_535
  job.enqueuedAtMilliseconds = 1_800_000_000_000
  job.dueAtMilliseconds = 1
  job.leaseMillisecondsLeft = 2
  job.token = LeaseToken(rawValue: 3)
  job.fire = FireDetails(schedule: Array("nightly".utf8), dueMilliseconds: 7)
  job.progress = JobProgress(percent: 40, message: Array("é".utf8), atMilliseconds: 6)
  job.finishedAtMilliseconds = 4
  job.result = []
  job.expiredLeases = 5
  job.postponed = .max
  job.errors = [
    AttemptError(attempt: 1, atMilliseconds: 9, type: Array("E".utf8), message: Array("m".utf8), trace: Array("é".utf8))
  ]
  for state in JobState.allCases {
    job.state = state
    for reason in DeadReason.allCases {
      job.deadReason = reason
      let expected: MessageValue = [
        "id": .uint(.max), "state": .string("\(state.wireName)"), "queue": "q", "task": "t", "payload": .binary([1]),
        "headers": ["a": "b"], "tags": ["c"], "priority": 0, "attempt": 2, "max_attempts": 65_535,
        "enqueued_at_ms": 1_800_000_000_000, "due_at_ms": 1, "lease_ms_left": 2, "token": 3,
        "schedule": ["name": "nightly", "due_at_ms": 7],
        "progress": ["percent": 40, "message": "é", "at_ms": 6], "finished_at_ms": 4,
        "result": .binary([]), "dead_reason": .string("\(reason.wireName)"), "expired_leases": 5,
        "postponed": 4_294_967_295, "errors": [["attempt": 1, "at_ms": 9, "type": "E", "message": "m", "trace": "é"]],
      ]
      #expect(try response(.job(job)) == [1, 17, nil, expected])
    }
  }
}

@Test("Progress has what was said and when; what was not said is left out")
func progressShape() throws {
  let rows: [(JobProgress, MessageValue)] = [
    (JobProgress(percent: 0, message: [], atMilliseconds: 7), ["percent": 0, "at_ms": 7]),
    (JobProgress(percent: nil, message: Array("m".utf8), atMilliseconds: 7), ["message": "m", "at_ms": 7]),
    (JobProgress(percent: nil, message: [], atMilliseconds: 0), ["at_ms": 0]),
  ]
  for (progress, expected) in rows {
    var job = plainJob()
    job.progress = progress
    #expect(try response(.job(job))?[3]?["progress"] == expected)
  }
}

/// A job as large as the protocol allows one to be.
private func largestJob(_ id: UInt64, result: Int) -> JobDetails {
  var job = plainJob(id)
  job.queue = [UInt8](repeating: 0x61, count: ProtocolLimits.nameBytes)
  job.task = job.queue
  job.payload = [UInt8](repeating: 1, count: ProtocolLimits.payloadBytes)
  job.result = [UInt8](repeating: 2, count: result)
  let filler = [UInt8](repeating: 0x61, count: ProtocolLimits.headerBytes - 6)
  job.headers = [0x81, 0xA1, 0x61, 0xC5, UInt8(filler.count >> 8), UInt8(filler.count & 0xFF)] + filler
  let text = [UInt8](repeating: 0x62, count: ProtocolLimits.errorTraceBytes)
  job.errors = Array(
    repeating: AttemptError(
      attempt: .max, atMilliseconds: .max, type: Array(text[..<255]), message: Array(text[..<4_096]), trace: text),
    count: 10)
  return job
}

@Test("A job whose payload and result do not fit into one frame is told without its payload")
func largeJob() throws {
  let small = try #require(try response(.job(largestJob(1, result: 1 << 20)))?[3])
  #expect(small["payload"] != nil)
  let large = try #require(try response(.job(largestJob(1, result: ProtocolLimits.payloadBytes)))?[3])
  #expect(large["payload"] == nil)
  #expect(large["result"] == .binary([UInt8](repeating: 2, count: ProtocolLimits.payloadBytes)))
}

@Test("A page of dead letters that fits goes as it is")
func deadLetters() throws {
  #expect(try response(.jobs([], next: nil)) == [1, 17, nil, ["jobs": []]])
  #expect(try response(.jobs([], next: JobID(rawValue: 9))) == [1, 17, nil, ["jobs": [], "next": 9]])
  let page = try #require(try response(.jobs([plainJob(1), plainJob(2)], next: JobID(rawValue: 2)))?[3])
  #expect(page["jobs"]?[0]?["id"] == 1)
  #expect(page["jobs"]?[1]?["id"] == 2)
  #expect(page["jobs"]?[2] == nil)
  #expect(page["next"] == 2)
}

@Test("A page of dead letters that does not fit into a frame ends earlier, and the next begins behind it")
func longPage() throws {
  let one = largestJob(1, result: 0)
  let page = try #require(try response(.jobs([one, largestJob(2, result: 0), plainJob(3)], next: nil))?[3])
  #expect(page["jobs"]?[0]?["id"] == 1)
  #expect(page["jobs"]?[0]?["payload"] != nil)
  #expect(page["jobs"]?[1] == nil)
  #expect(page["next"] == 1)

  var half = largestJob(1, result: 0)
  half.payload.removeLast(1 << 20)
  let two = try #require(try response(.jobs([half, half, plainJob(3)], next: JobID(rawValue: 3)))?[3])
  #expect(two["jobs"]?[2]?["id"] == 3)
  #expect(two["next"] == 3)
}

@Test("Pages of queues, with the last name when there are more")
func queueSummaries() throws {
  var queue = QueueSummary()
  queue.name = Array("mail".utf8)
  queue.isPaused = true
  queue.ready = 1
  queue.delayed = 2
  queue.leased = 3
  queue.dead = 4
  let expected: MessageValue = ["queue": "mail", "paused": true, "ready": 1, "delayed": 2, "leased": 3, "dead": 4]
  #expect(try response(.queues([], next: nil)) == [1, 17, nil, ["queues": []]])
  #expect(try response(.queues([queue, queue], next: nil)) == [1, 17, nil, ["queues": [expected, expected]]])
  #expect(
    try response(.queues([queue], next: Array("mail".utf8))) == [1, 17, nil, ["queues": [expected], "next": "mail"]])
}

private func filledTotals() -> Totals {
  var totals = Totals()
  totals.enqueued = 101
  totals.delivered = 102
  totals.acked = 103
  totals.nacked = 104
  totals.released = 105
  totals.leaseExpired = 106
  totals.expired = 107
  totals.cancelled = 108
  totals.dead = 109
  return totals
}

private let totalPairs: [(MessageValue, MessageValue)] = [
  ("enqueued_total", 101), ("delivered_total", 102), ("acked_total", 103), ("nacked_total", 104),
  ("released_total", 105), ("lease_expired_total", 106), ("expired_total", 107), ("cancelled_total", 108),
  ("dead_total", 109),
]

/// The response to request 17 with a map of these pairs. Typed and in steps: as one expression it is a burden to the compiler.
private func responseMap(_ parts: [[(MessageValue, MessageValue)]]) -> MessageValue {
  let pairs: [(MessageValue, MessageValue)] = Array(parts.joined())
  let elements: [MessageValue] = [.uint(1), .uint(17), .null, .map(pairs)]
  return .array(elements)
}

@Test("Everything known of a queue has its field")
func queueDetails() throws {
  var queue = QueueDetails()
  queue.summary.name = Array("q".utf8)
  queue.summary.isPaused = true
  queue.summary.ready = 1
  queue.summary.delayed = 2
  queue.summary.leased = 3
  queue.succeeded = 4
  queue.cancelled = 5
  queue.summary.dead = 6
  queue.waiting = 7
  queue.oldestReadyMilliseconds = 8
  queue.totals = filledTotals()
  queue.enqueuedPerSecond = 9
  queue.ackedPerSecond = 10.5
  let first: [(MessageValue, MessageValue)] = [
    ("queue", "q"), ("paused", true), ("ready", 1), ("delayed", 2), ("leased", 3), ("succeeded", 4), ("cancelled", 5),
    ("dead", 6), ("waiting", 7), ("oldest_ready_ms", 8),
  ]
  let last: [(MessageValue, MessageValue)] = [
    ("enqueued_per_second", .double(9)), ("acked_per_second", .double(10.5)),
  ]
  #expect(try response(.queue(queue)) == responseMap([first, totalPairs, last]))
}

@Test("Everything known of the broker has its field")
func brokerStatistics() throws {
  var statistics = Statistics()
  statistics.version = "0.1.0"
  statistics.uptimeMilliseconds = 1
  statistics.connections = 2
  statistics.clients = 3
  statistics.queues = 4
  statistics.ready = 5
  statistics.delayed = 6
  statistics.leased = 7
  statistics.succeeded = 8
  statistics.cancelled = 9
  statistics.dead = 10
  statistics.totals = filledTotals()
  statistics.deadDropped = 11
  statistics.refused = 12
  statistics.memoryBytes = 13
  statistics.memoryLimitBytes = 14
  statistics.fsync = "always"
  statistics.walBytes = 15
  statistics.walSyncs = 16
  statistics.walBatches = 17
  statistics.diskBytes = 18
  statistics.snapshots = 19
  statistics.schedules = 20
  statistics.scheduleTotals.fired = 21
  statistics.scheduleTotals.missed = 22
  statistics.scheduleTotals.skipped = 23
  statistics.scheduleTotals.late = 24
  statistics.scheduleTotals.triggered = 25
  statistics.firesPostponed = 26
  statistics.clockSteps = 27
  for late: Int64 in [-5, 1_000, 1_001, 3_600_000_001] { statistics.fireLateness.add(microseconds: late) }
  let first: [(MessageValue, MessageValue)] = [
    ("version", "0.1.0"), ("uptime_ms", 1), ("connections", 2), ("clients", 3), ("queues", 4), ("ready", 5),
    ("delayed", 6), ("leased", 7), ("succeeded", 8), ("cancelled", 9), ("dead", 10),
  ]
  let last: [(MessageValue, MessageValue)] = [
    ("dead_dropped_total", 11), ("refused_total", 12), ("memory_bytes", 13), ("memory_limit_bytes", 14),
    ("fsync", "always"), ("wal_bytes_total", 15), ("wal_syncs_total", 16), ("wal_batches_total", 17),
    ("disk_bytes", 18), ("snapshots_total", 19),
  ]
  let bounds: MessageValue = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 60_000, 3_600_000]
  let counts: MessageValue = [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
  let lateness: MessageValue = ["le_ms": bounds, "counts": counts, "sum_ms": 3_600_002]
  let schedules: [(MessageValue, MessageValue)] = [
    ("schedules", 20), ("fires_total", 21), ("fires_missed_total", 22), ("fires_skipped_total", 23),
    ("fires_late_total", 24), ("fires_triggered_total", 25), ("fires_postponed_total", 26), ("clock_steps_total", 27),
    ("fire_lateness", lateness),
  ]
  #expect(try response(.statistics(statistics)) == responseMap([first, totalPairs, last, schedules]))
}
