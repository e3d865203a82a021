import NuvomWorker
import Synchronization
import Testing

struct Broken: Error, CustomStringConvertible {
  var description: String { "it broke" }
}

@Suite("A worker")
struct WorkerTests {
  @Test("runs what was enqueued, and its result comes to who asks, without polling")
  func result() async throws {
    let greet = TaskDefinition("greet") { (name: String, times: Int) in
      Array(repeating: "hello \(name)", count: times).joined(separator: ", ")
    }
    try await withWorker([greet]) { _, _ in
      let handle = try await greet.delay("Ada", 2)
      #expect(try await handle.result() == "hello Ada, hello Ada")
    }
  }

  @Test("runs a job for each input of a map, and the results come in its order")
  func map() async throws {
    let square = TaskDefinition("square") { (number: Int) in number * number }
    try await withWorker([square]) { client, _ in
      let group = try await square.map(Array(1...600))
      #expect(try await group.results(timeout: .seconds(300)) == (1...600).map { $0 * $0 })
      #expect(try await client.queue("default").totals.acked == 600)
    }
  }

  @Test("enqueues none of a map if one input is refused")
  func mapRefused() async throws {
    let echo = TaskDefinition("echo") { (text: String) in text }
    try await withBroker { client in
      let huge = String(repeating: "x", count: 8 << 20)
      await #expect(throws: NuvomError.self) { try await echo.map(["a", huge]) }
      let statistics = try await client.statistics()
      #expect(statistics.numbers["enqueued_total"] == 0)
    }
  }

  @Test("keeps nothing as a result, and nil as one")
  func noValue() async throws {
    let silent = TaskDefinition("silent") { (_: Int) in }
    let absent = TaskDefinition("absent") { (_: Int) -> String? in nil }
    try await withWorker([silent, absent]) { _, _ in
      let (first, second) = (try await silent.delay(1), try await absent.delay(1))
      #expect(try await first.result() == NoValue())
      #expect(try await second.result() == nil)
    }
  }

  @Test("keeps no result if the policy says so, and who asks is told")
  func resultNotStored() async throws {
    let task = TaskDefinition("t", .init(storeResult: false)) { (number: Int) in number }
    try await withWorker([task]) { _, _ in
      let error = await #expect(throws: NuvomError.self) { try await task.delay(1).result() }
      #expect(error?.code == .resultNotStored)
    }
  }

  @Test(
    "retries a job that failed, with each attempt's error kept, until it is a dead letter whose error reaches who asks")
  func retries() async throws {
    let attempts = Mutex<[Int]>([])
    let task = TaskDefinition("t", .init(retries: 2, retryDelay: .zero)) { (_: Int) -> Int in
      attempts.withLock { $0.append(JobContext.current?.attempt ?? 0) }
      throw Broken()
    }
    try await withWorker([task], .init(name: "w-1")) { _, _ in
      let handle = try await task.delay(1)
      let failure = await #expect(throws: JobFailure.self) { try await handle.result() }
      #expect(failure?.reason == .failed && failure?.type == "Broken" && failure?.message == "it broke")
      #expect(failure?.errors.map(\.attempt) == [1, 2, 3])
      #expect(failure?.trace.contains("worker w-1") == true)
      #expect(attempts.withLock { $0 } == [1, 2, 3])
    }
  }

  @Test("does not tell of a failure while there are attempts left")
  func noEarlyFailure() async throws {
    let task = TaskDefinition("t", .init(retries: 1, retryDelay: .zero)) { (_: Int) -> String in
      if JobContext.current?.attempt == 1 { throw Broken() }
      return "second time"
    }
    try await withWorker([task]) { _, _ in
      let handle = try await task.delay(1)
      #expect(try await handle.result() == "second time")
      let status = try await handle.status()
      #expect(status.attempt == 2 && status.errors.count == 1)
    }
  }

  @Test("makes a dead letter at once of what no retry would mend")
  func permanent() async throws {
    let refuses = TaskDefinition("refuses") { (_: Int) in throw PermanentError("no such file", cause: Broken()) }
    let counts = TaskDefinition("counts") { (number: Int) in number }
    try await withWorker([refuses, counts]) { client, _ in
      let handle = try await refuses.delay(1)
      let failure = await #expect(throws: JobFailure.self) { try await handle.result() }
      #expect(failure?.reason == .rejected && failure?.errors.count == 1)
      #expect(failure?.type == "Broken" && failure?.message == "no such file: it broke")

      let wrong = try await client.enqueue(task: "counts", args: "three")
      let status = try await client.wait(for: wrong.id)
      #expect(status.deadReason == .rejected && status.errors.first?.type == "ArgumentError")
    }
  }

  @Test("retries an exhausted job on demand, under the policy it was enqueued with")
  func retryExhausted() async throws {
    let works = Mutex(false)
    let task = TaskDefinition("t", .init(retries: 0, timeout: .seconds(60))) { (_: Int) in
      guard works.withLock({ $0 }) else { throw Broken() }
    }
    try await withWorker([task]) { client, _ in
      let handle = try await task.delay(1)
      await #expect(throws: JobFailure.self) { try await handle.result() }
      works.withLock { $0 = true }
      try await handle.retry()
      _ = try await handle.result()
      #expect(try await handle.status().maximumAttempts == 1)
      let error = await #expect(throws: NuvomError.self) { try await client.retry(handle.id) }
      #expect(error?.code == .notFound)
    }
  }

  @Test("waits as long as the handler asks before the next attempt")
  func retryLater() async throws {
    let task = TaskDefinition("t") { (_: Int) in throw RetryLater(after: .seconds(3_600), "busy") }
    let ended = Signal()
    try await withWorker([task], middleware: [Ending(ended)]) { client, worker in
      let handle = try await task.delay(1)
      await ended.wait()
      worker.drain()
      let status = try await handle.settledStatus(client)
      #expect(status.state == .delayed && status.errors.first?.message == "busy")
      #expect(try #require(status.dueAtMilliseconds) >= status.enqueuedAtMilliseconds + 3_599_000)
    }
  }

  @Test("holds the timeout policy: retry", .timeLimit(.minutes(1)))
  func timeoutRetry() async throws {
    let failed = Mutex<[String]>([])
    let hooks = TaskHooks<String>(onError: { error in
      failed.withLock { $0.append("\(type(of: error)) in attempt \(JobContext.current?.attempt ?? 0)") }
    })
    let task = TaskDefinition(
      "t", .init(retryDelay: .zero, timeout: .milliseconds(20), timeoutPolicy: .retry), hooks: hooks
    ) { (_: Int) -> String in
      if JobContext.current?.attempt == 1 { try await Task.sleep(for: .seconds(3_600)) }
      return "second time"
    }
    try await withWorker([task]) { _, _ in
      let handle = try await task.delay(1)
      #expect(try await handle.result() == "second time")
      #expect(try await handle.status().errors.map(\.type) == ["Timeout"])
      #expect(failed.withLock { $0 } == ["JobTimedOut in attempt 1"])
    }
  }

  @Test("holds the timeout policy: fail, and ignore")
  func timeoutFailAndIgnore() async throws {
    func task(_ name: String, _ policy: TimeoutPolicy) -> TaskDefinition<Arguments<Int>, String?> {
      TaskDefinition(name, .init(timeout: .milliseconds(20), timeoutPolicy: policy)) { (_: Int) -> String? in
        try await Task.sleep(for: .seconds(3_600))
        return "never"
      }
    }
    let (fails, ignores) = (task("fails", .fail), task("ignores", .ignore))
    try await withWorker([fails, ignores]) { _, _ in
      let failure = await #expect(throws: JobFailure.self) { try await fails.delay(1).result() }
      #expect(failure?.reason == .rejected && failure?.type == "Timeout")
      let ignored = try await ignores.delay(1)
      #expect(try await ignored.result() == nil)
    }
  }

  @Test("frees the slot of a handler that does not heed its cancellation")
  func stubbornHandler() async throws {
    let end = Signal()
    let stubborn = TaskDefinition("stubborn", .init(timeout: .milliseconds(20), timeoutPolicy: .fail)) { (_: Int) in
      await end.wait()
    }
    let next = TaskDefinition("next") { (_: Int) in "ran" }
    try await withWorker([stubborn, next], .init(concurrency: 1)) { _, _ in
      let first = try await stubborn.delay(1)
      #expect(try await next.delay(1).result() == "ran")
      await #expect(throws: JobFailure.self) { try await first.result() }
      await end.happen()
    }
  }

  @Test("settles an attempt that is over when its executor has stopped it, where one can", .timeLimit(.minutes(1)))
  func stops() async throws {
    let end = Signal()
    let executor = StoppingExecutor(end: end)
    try await withBroker { client in
      let worker = try Worker(client: client, executor: executor, logger: silent)
      async let running: Void = worker.run()
      var job = Job(task: "endless")
      (job.timeout, job.maximumAttempts) = (.milliseconds(20), 1)
      let id = try await client.enqueue(job).id
      await executor.stopping.wait()
      #expect(try await client.get(id).state == .leased)
      await end.happen()
      #expect(try await client.wait(for: id).state == .dead)
      worker.drain()
      try await running
    }
  }

  /// Its work goes on until it is stopped and the test has said that it may end.
  private struct StoppingExecutor: JobExecutor {
    let queues = ["default"]
    let end: Signal
    let stopping = Signal()

    func policy(forTask name: String) -> TaskPolicy? { TaskPolicy() }
    func run(_ context: JobContext) async throws -> [UInt8]? {
      await end.wait()
      return nil
    }
    func timedOut(_ context: JobContext, _ error: JobTimedOut) async {}
    func stop(_ context: JobContext, _ reason: any Error) async {
      await stopping.happen()
      await end.wait()
    }
    func shutDown() async {}
  }

  @Test("takes no more jobs than it can run")
  func credit() async throws {
    let end = Signal()
    let started = Started()
    let task = TaskDefinition("t") { (_: Int) in await end.wait() }
    try await withWorker([task], .init(concurrency: 3), middleware: [started]) { client, worker in
      let group = try await task.map(Array(0..<10))
      for _ in 0..<3 { _ = await started.next() }
      try await client.ping()
      let queue = try await client.queue("default")
      #expect(queue.summary.leased == 3 && queue.summary.ready == 7 && worker.runningJobs == 3)
      await end.happen()
      _ = try await group.results()
    }
  }

  @Test("enqueues a job's followers together with its ack, and none if it fails")
  func followers() async throws {
    let ran = Mutex<[String]>([])
    let child = TaskDefinition("child", .init(queue: "children")) { (name: String) in ran.withLock { $0.append(name) } }
    let parent = TaskDefinition("parent", .init(retries: 1, retryDelay: .zero)) { (name: String) -> Int in
      let context = try #require(JobContext.current)
      context.enqueueWithAck(try child.job("\(name), attempt \(context.attempt)"))
      if context.attempt == 1 { throw Broken() }
      return 7
    }
    try await withWorker([parent, child]) { client, _ in
      let handle = try await parent.delay("p")
      #expect(try await handle.result() == 7)
      while try await client.queue("children").totals.acked < 1 { await Task.yield() }
      #expect(ran.withLock { $0 } == ["p, attempt 2"])
      #expect(try await client.queue("children").totals.enqueued == 1)
    }
  }

  @Test("shows a job's progress to who asks")
  func progress() async throws {
    let (reported, end) = (Signal(), Signal())
    let task = TaskDefinition("t") { (_: Int) in
      try await JobContext.current?.report(percent: 40, "resizing")
      await reported.happen()
      await end.wait()
    }
    try await withWorker([task]) { _, _ in
      let handle = try await task.delay(1)
      await reported.wait()
      let progress = try await handle.status().progress
      #expect(progress?.percent == 40 && progress?.message == "resizing")
      await end.happen()
      _ = try await handle.result()
    }
  }

  @Test("finishes what runs when it is drained, and takes nothing new")
  func drain() async throws {
    let (end, started) = (Signal(), Started())
    let task = TaskDefinition("t") { (number: Int) -> Int in
      await end.wait()
      return number
    }
    try await withBroker { client in
      let worker = try Worker(
        client: client, tasks: [task], configuration: .init(concurrency: 2), middleware: [started], logger: silent)
      async let running: Void = worker.run()
      let group = try await task.map([1, 2, 3])
      for _ in 0..<2 { _ = await started.next() }
      worker.drain()
      worker.drain()
      await end.happen()
      try await running
      #expect(try await group[0].result() == 1)
      #expect(try await group[1].result() == 2)
      #expect(try await group[2].status().state == .ready)
    }
  }

  @Test("gives back what did not finish in its grace period, the attempt not counted")
  func gracePeriod() async throws {
    let (end, started) = (Signal(), Started())
    let task = TaskDefinition("t", .init(retries: 0)) { (_: Int) in await end.wait() }
    try await withBroker { client in
      let worker = try Worker(
        client: client, tasks: [task], configuration: .init(gracePeriod: .milliseconds(20)), middleware: [started],
        logger: silent)
      async let running: Void = worker.run()
      let handle = try await task.delay(1)
      _ = await started.next()
      worker.drain()
      try await running
      let status = try await handle.status()
      #expect(status.state == .ready && status.errors.isEmpty && status.postponed == 0)
      let again = try #require(try await client.dequeue().jobs.first)
      #expect(again.id == handle.id && again.attempt == 1)
      await end.happen()
    }
  }

  @Test("makes a result that is too large a failure for good, with a remedy")
  func largeResult() async throws {
    let task = TaskDefinition("t") { (_: Int) in String(repeating: "x", count: 9 << 20) }
    try await withWorker([task]) { _, _ in
      let failure = await #expect(throws: JobFailure.self) { try await task.delay(1).result() }
      #expect(failure?.reason == .rejected && failure?.message.contains("store it elsewhere") == true)
    }
  }

  @Test("runs once, and with tasks of different names")
  func misuse() async throws {
    let task = TaskDefinition("t") { (_: Int) in }
    try await withWorker([task]) { client, worker in
      while worker.runningJobs > 0 { await Task.yield() }
      _ = try await task.delay(1).result()
      let again = await #expect(throws: WorkerError.self) { try await worker.run() }
      #expect(again?.code == .alreadyRun)
      let twice = #expect(throws: WorkerError.self) { try Worker(client: client, tasks: [task, task], logger: silent) }
      #expect(twice?.code == .duplicateTask)
      for configuration in [
        WorkerConfiguration(concurrency: 0), WorkerConfiguration(lease: .zero),
        WorkerConfiguration(queues: .inOrder([])),
        WorkerConfiguration(queues: .weighted(["a": 0])), WorkerConfiguration(queues: .inOrder(["a", "a"])),
      ] {
        let error = #expect(throws: WorkerError.self) {
          try Worker(client: client, tasks: [task], configuration: configuration, logger: silent)
        }
        #expect(error?.code == .badConfiguration)
      }
    }
  }
}

extension JobHandle {
  /// The status when no worker holds the job any more.
  func settledStatus(_ client: NuvomClient) async throws -> JobStatus {
    while true {
      let status = try await client.get(id)
      if ![.leased, .ready].contains(status.state) { return status }
      await Task.yield()
    }
  }
}

/// Tells when an attempt has ended.
struct Ending: WorkerMiddleware {
  let ended: Signal
  init(_ ended: Signal) { self.ended = ended }
  func handle(_ context: JobContext, next: @Sendable () async throws -> [UInt8]?) async throws -> [UInt8]? {
    do {
      let result = try await next()
      await ended.happen()
      return result
    } catch {
      await ended.happen()
      throw error
    }
  }
}

/// The deliveries that were begun, one after the other.
actor Started: WorkerMiddleware {
  private var jobs: [LeasedJob] = []
  private var waiting: CheckedContinuation<LeasedJob, Never>?

  func next() async -> LeasedJob {
    if !jobs.isEmpty { return jobs.removeFirst() }
    return await withCheckedContinuation { waiting = $0 }
  }

  private func begin(_ job: LeasedJob) {
    if let waiting {
      self.waiting = nil
      waiting.resume(returning: job)
    } else {
      jobs.append(job)
    }
  }

  nonisolated func handle(
    _ context: JobContext, next: @Sendable () async throws -> [UInt8]?
  ) async throws -> [UInt8]? {
    await begin(context.job)
    return try await next()
  }
}
