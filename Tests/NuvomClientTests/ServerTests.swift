import Logging
import NuvomClient
import NuvomServer
import ServiceLifecycle
import Testing

/// Runs a client against a real broker in this process, which keeps nothing.
private func withServer(_ body: @escaping @Sendable (NuvomClient) async throws -> Void) async throws {
  let (ports, listening) = AsyncStream<Int>.makeStream()
  var configuration = ServerConfiguration(version: "test")
  configuration.port = 0
  let server = NuvomServer(
    configuration: configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
  ) { _, port in listening.yield(port) }
  let group = ServiceGroup(
    configuration: .init(
      services: [.init(service: server)], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
  let running = Task { try await group.run() }
  for await port in ports.prefix(1) {
    let address = BrokerAddress(host: "127.0.0.1", port: port)
    try await NuvomClient.withClient(configuration: .init(address: address)) { client in try await body(client) }
  }
  await group.triggerGracefulShutdown()
  try await running.value
}

@Suite("The client and the server")
struct ServerTests {
  @Test("a job goes from enqueue to its result")
  func wholeLife() async throws {
    try await withServer { client in
      var job = try Job(task: "add", queue: "sums", arguments: [1, 2])
      job.retention = .seconds(60)
      job.headers = ["trace": "abc"]
      job.tags = ["x"]
      let receipt = try await client.enqueue(job)
      let leased = try #require(try await client.dequeue(queues: ["sums"]).jobs.first)
      #expect(leased.id == receipt.id && leased.attempt == 1 && leased.lease == .seconds(30))
      #expect(leased.headers == ["trace": "abc"] && leased.tags == ["x"])
      #expect(try leased.arguments(as: [Int].self) == [1, 2])
      try await client.extend(leased, to: .seconds(60))
      try await client.ack(leased, result: [3])
      let status = try await client.wait(for: receipt.id)
      #expect(status.state == .succeeded && status.result == [3] && status.attempt == 1)
      await #expect(throws: NuvomError.self) { try await client.ack(leased) }
    }
  }

  @Test("every option of a job is understood")
  func options() async throws {
    try await withServer { client in
      var job = Job(task: "t", payload: [1])
      job.start = .after(.seconds(60))
      job.expiry = .after(.seconds(120))
      job.priority = 1
      job.maximumAttempts = 7
      job.backoff = .fixed(.seconds(2))
      job.timeout = .seconds(3)
      job.lease = .seconds(4)
      job.uniqueKey = .init("key")
      let first = try await client.enqueue(job)
      let second = try await client.enqueue(job)
      #expect(!first.isDuplicate && second.id == first.id && second.isDuplicate)
      let status = try await client.get(first.id)
      #expect(status.state == .delayed && status.priority == 1 && status.maximumAttempts == 7)
      job.maximumAttempts = 0
      let refused = job
      let error = await #expect(throws: NuvomError.self) { try await client.enqueue(refused) }
      #expect(error?.code == .badParameters && error?.field == "jobs[0].max_attempts")
      #expect(try await !client.cancel(first.id))
    }
  }

  @Test("a waiting dequeue gets the job that comes, and settles what it carries")
  func waitingDequeue() async throws {
    try await withServer { client in
      _ = try await client.enqueue([Job(task: "a"), Job(task: "b")])
      let both = try await client.dequeue(maximum: 2).jobs
      #expect(both.map(\.task) == ["a", "b"])
      let settlements: [Settlement] = [.ack(both[0]), .nack(both[1], NackReason(type: "E", retry: false))]
      async let next = client.dequeue(queues: ["later"], wait: .seconds(60), settling: settlements)
      // Answered after the dequeue before it, so that the job finds it waiting.
      try await client.ping()
      _ = try await client.enqueue(Job(task: "c", queue: "later"))
      let dequeued = try await next
      #expect(dequeued.jobs.map(\.task) == ["c"] && dequeued.refused.isEmpty)
      let dead = try await client.deadLetters().reduce(into: []) { $0.append($1) }
      #expect(dead.map(\.id) == [both[1].id] && dead.first?.deadReason == .rejected)
      #expect(dead.first?.errors.first?.type == "E")
      #expect(try await client.replayDeadLetters().count == 1)
      let again = try #require(try await client.dequeue().jobs.first)
      #expect(again.attempt == 2)
      try await client.release(again)
      #expect(try await client.deleteDeadLetters([again.id]).refused.count == 1)
    }
  }

  @Test("a worker's progress is seen by others while it holds the job, and no longer")
  func progress() async throws {
    try await withServer { client in
      let id = try await client.enqueue(Job(task: "t")).id
      let leased = try #require(try await client.dequeue().jobs.first)
      #expect(try await client.get(id).progress == nil)
      try await client.reportProgress(leased, percent: 10, message: "begun")
      try await client.reportProgress(leased, percent: 40)
      let progress = try #require(try await client.get(id).progress)
      #expect(progress.percent == 40 && progress.message == nil && progress.atMilliseconds > 0)
      for (percent, message, field) in [(101, nil, "percent"), (-1, nil, "percent"), (1, 256, "message")] {
        let error = await #expect(throws: NuvomError.self) {
          try await client.reportProgress(
            leased, percent: percent, message: message.map { String(repeating: "m", count: $0) })
        }
        #expect(error?.code == .badParameters && error?.field == "jobs[0].\(field)")
      }
      try await client.release(leased)
      #expect(try await client.get(id).progress == nil)
      let lost = await #expect(throws: NuvomError.self) { try await client.reportProgress(leased, percent: 50) }
      #expect(lost?.code == .leaseLost)
      let again = try #require(try await client.dequeue().jobs.first)
      try await client.cancel(id)
      let cancelled = await #expect(throws: NuvomError.self) { try await client.reportProgress(again, percent: 50) }
      #expect(cancelled?.code == .cancelled)
    }
  }

  @Test("a job says how often in a row it was released with a delay")
  func postponed() async throws {
    try await withServer { client in
      let id = try await client.enqueue(Job(task: "t")).id
      for count in 0..<3 {
        let leased = try #require(try await client.dequeue(wait: .seconds(60)).jobs.first)
        #expect(leased.postponed == count && leased.attempt == 1)
        try await client.release(leased, delay: .milliseconds(1))
      }
      #expect(try await client.get(id).postponed == 3)
    }
  }

  @Test("multi does all, or names the operation that was refused")
  func multi() async throws {
    try await withServer { client in
      _ = try await client.enqueue(Job(task: "a"))
      let job = try #require(try await client.dequeue().jobs.first)
      let results = try await client.multi { operations in
        operations.ack(job)
        operations.enqueue(Job(task: "b"), Job(task: "c"))
      }
      #expect(results.count == 2 && results.first == .settled)
      let error = await #expect(throws: NuvomError.self) {
        try await client.multi { operations in
          operations.enqueue(Job(task: "d"))
          operations.ack(job)
        }
      }
      #expect(error?.code == .leaseLost && error?.operation == 1)
      #expect(try await client.queue("default").summary.ready == 2)
    }
  }

  @Test("operators see and steer queues")
  func operating() async throws {
    try await withServer { client in
      _ = try await client.enqueue([Job(task: "t", queue: "a"), Job(task: "t", queue: "b"), Job(task: "t", queue: "b")])
      #expect(try await client.queues().map(\.name) == ["a", "b"])
      try await client.pause("a")
      #expect(try await client.dequeue(queues: ["a"]).jobs.isEmpty)
      #expect(try await client.queue("a").summary.isPaused)
      try await client.resume("a")
      #expect(try await client.dequeue(queues: ["a"]).jobs.count == 1)
      #expect(try await client.purge("b") == 2)
      let statistics = try await client.statistics()
      #expect(statistics.totals.enqueued == 3 && statistics.fsync == "ephemeral" && statistics.numbers["queues"] == 2)
      await #expect(throws: NuvomError.self) { try await client.queue("none") }
    }
  }

  @Test("more changes than the window, from many tasks, each done once")
  func manyTasks() async throws {
    try await withServer { client in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 1...3_000 { group.addTask { _ = try await client.enqueue(Job(task: "t")) } }
        try await group.waitForAll()
      }
      #expect(try await client.queue("default").summary.ready == 3_000)
    }
  }
}
