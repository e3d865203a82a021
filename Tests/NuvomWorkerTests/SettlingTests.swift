import BrokerProcess
import Logging
import NuvomTestKit
@testable import NuvomWorker
import Synchronization
import Testing

@Suite("How an attempt ended", .timeLimit(.minutes(1)))
struct SettlingTests {
  @Test("The lease is kept until the broker was told, not only while the handler runs")
  func leaseOutlivesHandler() async throws {
    struct Slow: WorkerMiddleware {
      let handled: Signal
      let end: Signal
      func handle(_ context: JobContext, next: @Sendable () async throws -> [UInt8]?) async throws -> [UInt8]? {
        let result = try await next()
        await handled.happen()
        await end.wait()
        return result
      }
    }
    let (handled, end) = (Signal(), Signal())
    let task = TaskDefinition("t", .init(lease: .seconds(1))) { (_: Int) in }
    try await TestBroker.run { broker in
      try await broker.withWorker(tasks: [task], middleware: [Slow(handled: handled, end: end)]) {
        let handle = try await task.delay(1)
        await handled.wait()
        await broker.clock.advance(by: .seconds(10))
        #expect(broker.events(of: handle.id).count { $0.kind == .extended } >= 10)
        await end.happen()
        _ = try await handle.result()
        #expect(!broker.events(of: handle.id).contains { $0.kind == .leaseExpired })
      }
    }
  }

  @Test("A worker outlives a broker that is away for longer than a request may take, and takes jobs again")
  func brokerAway() async throws {
    let broker = try BrokerProcess()
    var configuration = NuvomClient.Configuration(
      address: BrokerAddress(host: "127.0.0.1", port: Int(broker.port)))
    configuration.requestTimeout = .milliseconds(50)
    let (started, end, failed) = (Signal(), Signal(), Signal())
    let runs = Mutex(0)
    let logger = Logger(label: "test") { _ in
      Listening(for: "the broker did not take how an attempt ended", happening: failed)
    }
    let task = TaskDefinition("t", .init(retries: 0, lease: .seconds(3_600))) { (_: Int) in
      runs.withLock { $0 += 1 }
      await started.happen()
      await end.wait()
    }
    let client = NuvomClient(configuration: configuration)
    let patient = NuvomClient(configuration: .init(address: configuration.address))
    async let connected: Void = client.run()
    async let alsoConnected: Void = patient.run()
    let worker = try Worker(client: client, tasks: [task], logger: logger)
    async let running: Void = worker.run()

    _ = try await task.delay(1, on: patient)
    await started.wait()
    broker.kill()
    await end.happen()
    await failed.wait()
    try broker.start()
    _ = try await task.delay(2, on: patient).result()
    #expect(runs.withLock { $0 } == 2)
    worker.drain()
    try await running
    client.shutDown()
    patient.shutDown()
    _ = try await (connected, alsoConnected)
  }

  @Test("Jobs that are refused with an ack make their parent a dead letter that says so")
  func refusedFollowers() async throws {
    let task = TaskDefinition("t") { (_: Int) in
      JobContext.current?.enqueueWithAck(Job(task: "child", queue: String(repeating: "q", count: 300)))
    }
    try await withWorker([task]) { _, _ in
      let failure = await #expect(throws: JobFailure.self) { try await task.delay(1).result() }
      #expect(failure?.reason == .rejected && failure?.type == "NuvomError")
      #expect(failure?.message.contains("refused: BAD_PARAMS") == true)
    }
  }

  @Test("While the broker is over its memory limit, a parent and its child wait for room")
  func memoryFull() async throws {
    let (started, end, failed) = (Signal(), Signal(), Signal())
    let logger = Logger(label: "test") { _ in Listening(for: "cannot tell how an attempt ended", happening: failed) }
    let child = TaskDefinition("child", .init(queue: "children")) { (_: Int) in 7 }
    let parent = TaskDefinition("parent") { (_: Int) in
      JobContext.current?.enqueueWithAck(try child.job(1))
      await started.happen()
      await end.wait()
    }
    try await withBroker(memoryLimit: 8 << 20) { client in
      let worker = try Worker(client: client, tasks: [parent, child], logger: logger)
      async let running: Void = worker.run()
      let handle = try await parent.delay(1)
      await started.wait()
      try await client.fillMemory()
      await end.happen()
      await failed.wait()
      #expect(try await handle.status().state == .leased)
      try await client.purge("filler")
      _ = try await handle.result()
      while try await client.queue("children").totals.acked < 1 { await Task.yield() }
      worker.drain()
      try await running
    }
  }

  @Test("A worker that is stopped does not wait for a broker that is full")
  func stoppedWhileFull() async throws {
    let (started, end, failed) = (Signal(), Signal(), Signal())
    let logger = Logger(label: "test") { _ in Listening(for: "cannot tell how an attempt ended", happening: failed) }
    let child = TaskDefinition("child", .init(queue: "children")) { (_: Int) in 7 }
    let parent = TaskDefinition("parent") { (_: Int) in
      JobContext.current?.enqueueWithAck(try child.job(1))
      await started.happen()
      await end.wait()
    }
    try await withBroker(memoryLimit: 8 << 20) { client in
      let worker = try Worker(
        client: client, tasks: [parent], configuration: .init(gracePeriod: .zero), logger: logger)
      async let running: Void = worker.run()
      let handle = try await parent.delay(1)
      await started.wait()
      try await client.fillMemory()
      await end.happen()
      await failed.wait()
      worker.drain()
      try await running
      #expect(try await handle.status().state == .leased)
    }
  }

  @Test("What a handler asks for beyond the protocol's bounds costs it nothing but the excess")
  func bounds() async throws {
    let task = TaskDefinition("t") { (_: Int) in throw RetryLater(after: .seconds(1_000_000_000_000), "later") }
    try await withWorker([task]) { client, _ in
      let handle = try await task.delay(1)
      let status = try await handle.settledStatus(client)
      #expect(status.state == .delayed && status.errors.map(\.message) == ["later"])
    }
    let long = String(repeating: "é", count: 20_000)
    let failure = AttemptFailure(
      RemoteError(type: long, message: long, trace: long, delay: .seconds(-5)), in: WorkerConfiguration())
    #expect(failure.reason.type.utf8.count == 254 && failure.reason.message.utf8.count == 4_096)
    #expect(failure.reason.trace.utf8.count == 16_384 && failure.reason.delay == .zero)
    #expect(failure.bytes == 254 + 4_096 + 16_384)
  }

  @Test("An attempt that was given up before its handler was called does not call it")
  func notBegun() async throws {
    let attempt = Attempt(LeasedJob(), logger: silent)
    attempt.finish(.failure(AttemptGivenUp(.workerStopped)))
    let isCalled = Mutex(false)
    await #expect(throws: AttemptGivenUp.self) {
      try await attempt.run {
        isCalled.withLock { $0 = true }
        return nil
      }
    }
    for _ in 0..<1_000 { await Task.yield() }
    #expect(!isCalled.withLock { $0 })
  }

  @Test("A cancellation ends the grace period")
  func cancelledInGracePeriod() async throws {
    let (end, started, clock) = (Signal(), Started(), StandingClock())
    let task = TaskDefinition("t") { (_: Int) in await end.wait() }
    try await withBroker { client in
      let worker = try Worker(
        client: client, tasks: [task], configuration: .init(gracePeriod: .seconds(3_600)), middleware: [started],
        clock: clock, logger: silent)
      let running = Task { try await worker.run() }
      let handle = try await task.delay(1)
      _ = await started.next()
      worker.drain()
      // Nothing is fetched any more: it waits for what runs.
      while !clock.hasSleeper(for: .seconds(3_600)) { await Task.yield() }
      running.cancel()
      try await running.value
      #expect(try await handle.status().state == .ready)
      await end.happen()
    }
  }
}

extension NuvomClient {
  /// Enqueues until the broker is over its memory limit.
  fileprivate func fillMemory() async throws {
    let job = Job(task: "t", queue: "filler", payload: [UInt8](repeating: 1, count: 1 << 18))
    do {
      while true { _ = try await enqueue(job) }
    } catch let error as NuvomError where error.code == .memoryFull {}
  }
}

/// A log that tells when it gets a message.
struct Listening: LogHandler {
  let message: String
  let happening: Signal
  var metadata: Logger.Metadata = [:]
  var logLevel = Logger.Level.debug

  init(for message: String, happening: Signal) {
    self.message = message
    self.happening = happening
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    if "\(event.message)".contains(message) { Task { await happening.happen() } }
  }
}
