import MessagePack
@testable import NuvomClient
import Testing

/// Calls one method, looks at what goes over the wire, and answers it.
func exchange<Result: Sendable>(
  _ wanted: String, _ result: MessageValue, location: SourceLocation = #_sourceLocation,
  _ body: @escaping @Sendable (NuvomClient) async throws -> Result
) async throws -> Result {
  let box = Box<Result>()
  try await FakeBroker.withBroker { broker in
    let address = BrokerAddress(host: "127.0.0.1", port: broker.port)
    let answer = try await NuvomClient.withClient(configuration: .init(address: address)) { client in
      let task = Task { try await body(client) }
      let connection = try await broker.welcome()
      let request = try await connection.next()
      #expect("\(request.method) \(request.parameters)" == wanted, sourceLocation: location)
      connection.result(request, result)
      return try await task.value
    }
    await box.set(answer)
  }
  return try #require(await box.value)
}

private actor Box<Value: Sendable> {
  private(set) var value: Value?
  func set(_ value: Value) { self.value = value }
}

private let job = Lease(id: JobID(rawValue: 8), token: LeaseToken(rawValue: 3))

@Suite("Methods on the wire")
struct MethodTests {
  @Test("enqueue writes every field that differs from its default, and marks duplicates")
  func enqueue() async throws {
    var full = Job(task: "t", queue: "q", payload: [0xC0])
    full.headers = ["b": .bytes([1]), "a": "x"]
    full.tags = ["y"]
    full.priority = 0
    full.start = .after(.milliseconds(1_500))
    full.expiry = .at(millisecondsSince1970: 7)
    full.maximumAttempts = 9
    full.backoff = .fixed(.seconds(2), jitterPercent: 0)
    full.timeout = .seconds(3)
    full.lease = .seconds(4)
    full.retention = .seconds(5)
    full.uniqueKey = .init("k", window: .seconds(6))
    let jobs = [full, Job(task: "t")]
    let receipts = try await exchange(
      "enqueue " + "\(["jobs": [fullJob, ["queue": "default", "task": "t", "payload": .binary([])]]] as MessageValue)",
      ["ids": [1, 2], "duplicates": [1]]
    ) { try await $0.enqueue(jobs) }
    #expect(
      receipts == [
        EnqueueReceipt(id: JobID(rawValue: 1), isDuplicate: false),
        EnqueueReceipt(id: JobID(rawValue: 2), isDuplicate: true),
      ])
  }

  private let fullJob: MessageValue = [
    "queue": "q", "task": "t", "payload": .binary([0xC0]), "headers": ["a": "x", "b": .binary([1])], "tags": ["y"],
    "priority": 0, "delay_ms": 1_500, "expires_at_ms": 7, "max_attempts": 9, "backoff": "fixed",
    "backoff_base_ms": 2_000, "backoff_cap_ms": 2_000, "jitter_percent": 0, "timeout_ms": 3_000, "lease_ms": 4_000,
    "retention_ms": 5_000, "unique_key": .binary([0x6B]), "unique_ms": 6_000,
  ]

  @Test("dequeue settles, waits, and reads deliveries")
  func dequeue() async throws {
    let dequeued = try await exchange(
      "dequeue {\"queues\": [\"a\", \"b\"], \"max\": 2, \"wait_ms\": 100, \"lease_ms\": 1000, "
        + "\"ack\": [{\"id\": 8, \"token\": 3}], \"release\": [{\"id\": 8, \"token\": 3, \"delay_ms\": 0}]}",
      [
        "jobs": [
          [
            "id": 9, "token": 4, "attempt": 2, "lease_ms": 1_000, "queue": "b", "task": "t", "payload": .binary([5]),
            "headers": ["a": "x", "b": .binary([0xFF])], "tags": ["y", 1], "timeout_ms": 50, "max_attempts": 7,
            "postponed": 6, "unknown": [1, ["a": 2]],
          ]
        ], "refused": [["id": 8, "token": 3, "code": "LEASE_LOST", "message": "m"]],
      ]
    ) { client in
      try await client.dequeue(
        queues: ["a", "b"], maximum: 2, wait: .milliseconds(100), lease: .seconds(1),
        settling: [.release(job), .ack(job)])
    }
    let delivery = try #require(dequeued.jobs.first)
    #expect(delivery.id.rawValue == 9 && delivery.token.rawValue == 4 && delivery.attempt == 2)
    #expect(delivery.lease == .seconds(1) && delivery.timeout == .milliseconds(50) && delivery.maximumAttempts == 7)
    #expect(delivery.postponed == 6)
    #expect(delivery.queue == "b" && delivery.task == "t" && delivery.payload == [5])
    #expect(delivery.headers == ["a": "x", "b": .bytes([0xFF])] && delivery.tags == ["y"])
    #expect(dequeued.refused.map(\.code) == [.leaseLost])
  }

  @Test("ack, nack, release and extend carry what they are told")
  func settlements() async throws {
    try await exchange("ack {\"jobs\": [{\"id\": 8, \"token\": 3, \"result\": \(MessageValue.binary([1]))}]}", [:]) {
      try await $0.ack(job, result: [1])
    }
    try await exchange(
      "nack {\"jobs\": [{\"id\": 8, \"token\": 3, \"error_type\": \"E\", \"message\": \"m\", \"trace\": \"t\", "
        + "\"retry\": false, \"delay_ms\": 10}]}", [:]
    ) {
      try await $0.nack(job, NackReason(type: "E", message: "m", trace: "t", delay: .milliseconds(10), retry: false))
    }
    try await exchange("release {\"jobs\": [{\"id\": 8, \"token\": 3, \"delay_ms\": 1}]}", [:]) {
      try await $0.release(job, delay: .microseconds(1))
    }
    try await exchange("extend {\"jobs\": [{\"id\": 8, \"token\": 3, \"lease_ms\": 60000}]}", [:]) {
      try await $0.extend(job, to: .seconds(60))
    }
  }

  @Test("a settlement that is refused throws")
  func refusedSettlement() async throws {
    let refusal: MessageValue = ["refused": [["id": 8, "token": 3, "code": "CANCELLED", "message": "m"]]]
    await #expect(throws: NuvomError(.cancelled, "m")) {
      try await exchange("extend {\"jobs\": [{\"id\": 8, \"token\": 3}]}", refusal) { try await $0.extend(job) }
    }
  }

  @Test("a progress report carries what is said, and throws when it is refused")
  func progress() async throws {
    try await exchange(
      "progress {\"jobs\": [{\"id\": 8, \"token\": 3, \"percent\": 40, \"message\": \"m\"}]}", [:]
    ) { try await $0.reportProgress(job, percent: 40, message: "m") }
    try await exchange("progress {\"jobs\": [{\"id\": 8, \"token\": 3}]}", [:]) {
      try await $0.reportProgress(job)
    }
    for code in [NuvomError.Code.leaseLost, .cancelled] {
      let refusal: MessageValue = ["id": 8, "token": 3, "code": .string(code.rawValue), "message": "m"]
      await #expect(throws: NuvomError(code, "m")) {
        try await exchange(
          "progress {\"jobs\": [{\"id\": 8, \"token\": 3, \"percent\": 1}]}", ["refused": [refusal]]
        ) { try await $0.reportProgress(job, percent: 1) }
      }
    }
  }

  @Test("multi pairs results with operations")
  func multi() async throws {
    let results = try await exchange(
      "multi {\"operations\": [[\"ack\", {\"jobs\": [{\"id\": 8, \"token\": 3}]}], [\"enqueue\", {\"jobs\": "
        + "[{\"queue\": \"default\", \"task\": \"t\", \"payload\": \(MessageValue.binary([]))}]}], "
        + "[\"cancel\", {\"ids\": [4]}]]}",
      ["results": [[:], ["ids": [1]], ["cancelled": [4], "leased": [4]]]]
    ) { client in
      try await client.multi { operations in
        operations.ack(job)
        operations.enqueue(Job(task: "t"))
        operations.cancel([JobID(rawValue: 4)])
      }
    }
    let four = JobID(rawValue: 4)
    #expect(
      results == [
        .settled, .enqueued([EnqueueReceipt(id: JobID(rawValue: 1), isDuplicate: false)]),
        .cancelled(Cancellation(cancelled: [four], leased: [four], refused: [])),
      ])
  }

  @Test("cancel says whether a worker holds the job, and throws when it is over")
  func cancel() async throws {
    let isLeased = try await exchange("cancel {\"ids\": [8]}", ["cancelled": [8], "leased": [8]]) {
      try await $0.cancel(job.id)
    }
    #expect(isLeased)
    await #expect(throws: NuvomError(.finished, "m")) {
      try await exchange(
        "cancel {\"ids\": [8]}", ["cancelled": [], "refused": [["id": 8, "code": "FINISHED", "message": "m"]]]
      ) { try await $0.cancel(job.id) }
    }
  }

  @Test("get and wait read a job's status")
  func status() async throws {
    let encoded: MessageValue = [
      "id": 8, "state": "dead", "queue": "q", "task": "t", "payload": .binary([1]), "headers": nil, "priority": 1,
      "attempt": 3, "max_attempts": 3, "enqueued_at_ms": 10, "finished_at_ms": 20, "dead_reason": "lease_expired",
      "expired_leases": 1, "lease_ms_left": 5, "token": 6, "due_at_ms": 7, "postponed": 2,
      "progress": ["percent": 40, "message": "half", "at_ms": 9, "later": [1]], "result": .binary([0xA1, 0x78]),
      "tags": ["a"],
      "errors": [["attempt": 1, "at_ms": 15, "type": "E", "message": "m", "trace": "tr"]],
    ]
    let got = try await exchange("get {\"id\": 8}", encoded) { try await $0.get(job.id) }
    let waited = try await exchange("wait {\"id\": 8, \"wait_ms\": 2000}", encoded) {
      try await $0.wait(for: job.id, upTo: .seconds(2))
    }
    #expect(got == waited)
    #expect(got.state == .dead && got.deadReason == .leaseExpired && got.expiredLeases == 1 && got.priority == 1)
    #expect(got.attempt == 3 && got.enqueuedAtMilliseconds == 10 && got.finishedAtMilliseconds == 20)
    #expect(got.leaseLeft == .milliseconds(5) && got.token?.rawValue == 6 && got.dueAtMilliseconds == 7)
    #expect(got.progress == .init(percent: 40, message: "half", atMilliseconds: 9) && got.postponed == 2)
    #expect(got.errors.first?.trace == "tr" && got.tags == ["a"] && got.headers == [:])
    #expect(try got.decodeResult(String.self) == "x")
  }

  @Test("queue reads numbers, rates and totals")
  func queue() async throws {
    let queue = try await exchange(
      "queue {\"queue\": \"q\"}",
      [
        "queue": "q", "paused": true, "ready": 1, "delayed": 2, "leased": 3, "dead": 4, "succeeded": 5, "cancelled": 6,
        "waiting": 7, "oldest_ready_ms": 8, "enqueued_total": 9, "acked_total": 10, "enqueued_per_second": 1.5,
        "acked_per_second": 2,
      ]
    ) { try await $0.queue("q") }
    #expect(queue.summary.name == "q" && queue.summary.isPaused && queue.summary.ready == 1 && queue.summary.dead == 4)
    #expect(queue.waiting == 7 && queue.oldestReady == .milliseconds(8) && queue.totals.acked == 10)
    #expect(queue.enqueuedPerSecond == 1.5 && queue.ackedPerSecond == 2)
  }

  @Test("stats keep every number by its name, also one of a later version")
  func statistics() async throws {
    let statistics = try await exchange(
      "stats {}", ["version": "1", "fsync": "always", "uptime_ms": 5, "acked_total": 6, "new_total": 7, "other": "x"]
    ) { try await $0.statistics() }
    #expect(statistics.version == "1" && statistics.fsync == "always" && statistics.uptime == .milliseconds(5))
    #expect(statistics.totals.acked == 6 && statistics.numbers["new_total"] == 7 && statistics.numbers["other"] == nil)
  }

  @Test("what operators do to queues and dead letters")
  func operating() async throws {
    try await exchange("pause {\"queue\": \"q\"}", [:]) { try await $0.pause("q") }
    try await exchange("resume {\"queue\": \"q\"}", [:]) { try await $0.resume("q") }
    let purged = try await exchange("purge {\"queue\": \"q\"}", ["purged": 4, "more": false]) {
      try await $0.purge("q")
    }
    #expect(purged == 4)
    let filter = DeadLetterFilter(queue: "q", task: "t", reason: .rejected)
    let named = "\"queue\": \"q\", \"task\": \"t\", \"reason\": \"rejected\", \"limit\": 1000"
    let replayed = try await exchange("dead_replay {\(named)}", ["replayed": 2, "more": true]) {
      try await $0.replayDeadLetters(filter)
    }
    #expect(replayed == DeadLetterChange(count: 2, hasMore: true, refused: []))
    let deleted = try await exchange(
      "dead_delete {\"ids\": [8]}",
      ["deleted": 0, "more": false, "refused": [["id": 8, "code": "NOT_FOUND", "message": "m"]]]
    ) { try await $0.deleteDeadLetters([job.id]) }
    #expect(deleted.count == 0 && deleted.refused.map(\.code) == [.notFound])
  }

  @Test("queues and dead letters are fetched page by page")
  func pages() async throws {
    try await FakeBroker.withBroker { broker in
      let address = BrokerAddress(host: "127.0.0.1", port: broker.port)
      try await NuvomClient.withClient(configuration: .init(address: address)) { client in
        let names = Task { try await client.queues().map(\.name) }
        let connection = try await broker.welcome()
        connection.result(try await connection.next(), ["queues": [["queue": "a"], ["queue": "b"]], "next": "b"])
        let second = try await connection.next()
        #expect(second.parameters == ["after": "b"])
        connection.result(second, ["queues": [["queue": "c"]]])
        #expect(try await names.value == ["a", "b", "c"])

        let letters = Task { try await client.deadLetters().reduce(into: []) { $0.append($1.id.rawValue) } }
        connection.result(try await connection.next(), ["jobs": [["id": 1]], "next": 1])
        let empty = try await connection.next()
        #expect(empty.parameters == ["after": 1, "limit": 100])
        connection.result(empty, ["jobs": [], "next": 5])
        connection.result(try await connection.next(), ["jobs": [["id": 6]]])
        #expect(try await letters.value == [1, 6])
      }
    }
  }

  @Test(
    "a result of the wrong shape is an error, not a crash",
    arguments: [
      7, nil, [1], ["ids": 1], ["ids": [-1]], ["ids": ["a"]], ["ids": [1, 2]], ["ids": [1], "duplicates": [1]], [:],
      ["ids": [1], "duplicates": [.uint(.max)]], [3: 4],
    ] as [MessageValue])
  func wrongShapes(_ result: MessageValue) async throws {
    let error = await #expect(throws: NuvomError.self) {
      try await exchange(
        "enqueue {\"jobs\": [{\"queue\": \"default\", \"task\": \"t\", \"payload\": \(MessageValue.binary([]))}]}",
        result
      ) { try await $0.enqueue(Job(task: "t")) }
    }
    #expect(error?.code == .brokerProtocol)
  }

  @Test("durations that are negative or too long are refused before they are sent")
  func durations() async throws {
    let client = NuvomClient()
    var job = Job(task: "t")
    for duration in [Duration.seconds(-1), .nanoseconds(-1), .seconds(Int64.max)] {
      job.retention = duration
      let refused = job
      let error = await #expect(throws: NuvomError.self) { try await client.enqueue(refused) }
      #expect(error?.code == .badParameters && error?.field == "retention_ms")
    }
  }
}

@Suite("Values")
struct ValueTests {
  private struct Resize: Codable, Equatable {
    var path: String
    var width: Int
  }

  @Test("arguments travel as args and kwargs, and come back")
  func arguments() throws {
    let resize = Resize(path: "a.png", width: 80)
    let named = try Job(task: "t", arguments: resize)
    #expect(
      try MessageValue(decoding: named.payload) == ["args": [], "kwargs": ["path": "a.png", "width": 80]])
    #expect(try LeasedJob(payload: named.payload).arguments() == resize)
    let single = try Job(task: "t", arguments: 7)
    #expect(try MessageValue(decoding: single.payload) == ["args": [7], "kwargs": [:]])
    #expect(try LeasedJob(payload: single.payload).arguments() == 7)
    let list = try Job(task: "t", arguments: ["a", "b"])
    #expect(try LeasedJob(payload: list.payload).arguments() == ["a", "b"])
    let several = Job(task: "t", payload: try (["args": [1, 2], "kwargs": [:]] as MessageValue).encoded())
    #expect(try LeasedJob(payload: several.payload).arguments() == [1, 2])
    #expect(throws: ArgumentError.self) { try LeasedJob(payload: [0xC1]).arguments(as: Int.self) }
    #expect(throws: ArgumentError.self) { try LeasedJob().arguments(as: Int.self) }
  }

  @Test(
    "addresses",
    arguments: [
      ("localhost", "localhost:8866"), ("10.0.0.1:1", "10.0.0.1:1"), ("[::1]:70", "[::1]:70"), ("[::1]", "[::1]:8866"),
      ("::1", "[::1]:8866"), ("", nil), (":80", nil), ("a:0", nil), ("a:65536", nil), ("a:b", nil), ("[::1]x", nil),
      ("a:", nil),
    ] as [(String, String?)])
  func addresses(text: String, wanted: String?) {
    #expect((try? BrokerAddress(text))?.description == wanted)
  }
}
