import Logging
import NuvomClient
import NuvomConnection
public import NuvomTasks
import NuvomWorker

// Tasks that run where they are enqueued.
extension TestBroker {
  /// Runs `body` with tasks that are run at once by whoever enqueues their jobs: when `delay` returns, the job is done, and its handle has
  /// the result. For tests that do not care for queues.
  ///
  /// ```swift
  /// try await TestBroker.inline(tasks: [greet]) { broker in
  ///   let handle = try await greet.delay("Ada")
  ///   #expect(try await handle.status().state == .succeeded)
  /// }
  /// ```
  /// The job goes through the broker all the same: its arguments and result are encoded and decoded, hooks run, what a handler enqueues is done
  /// too. A failed attempt is repeated at once while the task's policy allows it, and then the handle's result throws. Jobs with a delay stay
  /// where they are until ``ManualClock/advance(by:)`` has made them ready and something else is enqueued. Timeouts are not held.
  ///
  /// - Throws: what `body` throws; `WorkerError` if two tasks have one name.
  @discardableResult
  public static func inline<Result: Sendable>(
    tasks: [any RunnableTask], clock: ManualClock = ManualClock(),
    _ body: @Sendable (TestBroker) async throws -> Result
  ) async throws -> Result {
    let logger = Logger(label: "nuvom.testkit") { _ in SwiftLogNoOpLogHandler() }
    let executor = try InlineExecutor(tasks, logger: logger)
    return try await run(TestBroker(clock: clock) { InlineLink(link: $0, executor: executor, logger: logger) }, body)
  }
}

/// Carries requests to the broker, and runs what they made ready before it answers.
private struct InlineLink: ClientLink {
  let link: InProcessLink
  let executor: InlineExecutor
  let logger: Logger

  func run() async throws { try await link.run() }
  func shutDown() { link.shutDown() }

  func perform(_ frame: RequestFrame) async throws -> [UInt8] {
    let result = try await link.perform(frame)
    switch frame.method {
    case .enqueue, .multi, .deadReplay, .resume, .schedule, .scheduleResume, .scheduleTrigger: try await runReady()
    default: break
    }
    return result
  }

  private func runReady() async throws {
    let client = NuvomClient(link: link)
    while true {
      let queues = try await client.queues().filter { $0.ready > 0 && !$0.isPaused }.map(\.name)
      if queues.isEmpty { return }
      // A lease that no clock of a test outlasts: nobody extends it.
      let dequeued = try await client.dequeue(queues: Array(queues.prefix(64)), lease: .seconds(86_400))
      guard let job = dequeued.jobs.first else { return }
      try await run(job, client)
    }
  }

  private func run(_ job: LeasedJob, _ client: NuvomClient) async throws {
    guard let policy = executor.policy(forTask: job.task) else {
      let message = "no task named \(job.task) was given to TestBroker.inline"
      return try await client.nack(job, NackReason(type: "UNKNOWN_TASK", message: message, retry: false))
    }
    let context = JobContext(
      job: job, deadline: nil, logger: logger,
      reportProgress: { progress in
        try await client.reportProgress(job, percent: progress.percent, message: progress.message)
      })
    let result: [UInt8]?
    do {
      result = try await JobContext.$current.withValue(context) {
        try await PropagatedContext.$current.withValue(PropagatedContext(headers: job.headers)) {
          try await executor.run(context)
        }
      }
    } catch {
      if Task.isCancelled { throw error }
      var reason = AttemptFailure(error, in: WorkerConfiguration()).reason
      reason.delay = .zero
      return try await client.nack(job, reason)
    }
    let following = context.jobsToEnqueue
    try await client.multi { operations in
      if !following.isEmpty { operations.enqueue(following) }
      operations.ack(job, result: policy.storeResult ? result : nil)
    }
  }
}
