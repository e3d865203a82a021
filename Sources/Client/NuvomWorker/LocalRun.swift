import Logging
package import NuvomTasks

/// Runs one job here, without a broker, as a worker would: with its task's timeout, retries, waits and hooks.
package struct LocalRun: Sendable {
  /// An attempt that failed.
  package struct Failure: Sendable {
    /// Which, from 1.
    package let attempt: Int
    /// What the broker would be told.
    package let reason: NackReason
    /// The wait before the next; nil: it was the last.
    package let wait: Duration?
  }

  /// How a job ended.
  package struct End: Sendable {
    /// How many attempts it took.
    package let attempts: Int
    /// The encoded result; nil if it failed, or gave none.
    package let result: [UInt8]?
    /// Why it failed.
    package let failure: NackReason?
    /// Jobs that would be enqueued with its ack.
    package let following: [Job]
  }

  private let executor: any JobExecutor
  private let clock: WorkerClock
  private let logger: Logger
  private let reportProgress: @Sendable (JobProgress) -> Void
  private let failed: @Sendable (Failure) -> Void

  /// A run.
  ///
  /// - Parameters:
  ///   - reportProgress: is told what the handler reports.
  ///   - failed: is told of each attempt that failed, before the wait.
  package init(
    _ executor: any JobExecutor, clock: any Clock<Duration> = ContinuousClock(), logger: Logger,
    reportProgress: @escaping @Sendable (JobProgress) -> Void, failed: @escaping @Sendable (Failure) -> Void
  ) {
    self.executor = executor
    self.clock = WorkerClock(clock)
    self.logger = logger
    self.reportProgress = reportProgress
    self.failed = failed
  }

  /// Runs the job; nil if no task has its name.
  ///
  /// - Parameters:
  ///   - retries: how often it is tried again; nil: as often as its task says.
  ///   - waits: whether the waits between attempts are held.
  /// - Throws: `CancellationError`.
  package func run(_ given: LeasedJob, retries: Int? = nil, waits: Bool = true) async throws -> End? {
    guard let policy = executor.policy(forTask: given.task) else { return nil }
    var job = given
    job.queue = policy.queue
    job.tags = policy.tags
    job.maximumAttempts = (retries ?? policy.retries) + 1
    job.timeout = given.timeout ?? policy.timeout
    job.attempt = 1
    job.lease = WorkerConfiguration().lease
    while true {
      job.token = LeaseToken(rawValue: UInt64(job.attempt))
      let (result, following) = await attempt(job)
      let failure: any Error
      switch result {
      case .success(let result):
        return End(
          attempts: job.attempt, result: policy.storeResult ? result : nil, failure: nil, following: following)
      case .failure(let error): failure = error
      }
      if failure is JobTimedOut, policy.timeoutPolicy == .ignore {
        return End(attempts: job.attempt, result: policy.storeResult ? [0xC0] : nil, failure: nil, following: [])
      }
      var reason = AttemptFailure(failure, in: WorkerConfiguration()).reason
      if failure is JobTimedOut, policy.timeoutPolicy == .fail { reason.retry = false }
      guard reason.retry, job.attempt < job.maximumAttempts else {
        failed(Failure(attempt: job.attempt, reason: reason, wait: nil))
        return End(attempts: job.attempt, result: nil, failure: reason, following: [])
      }
      let wait = waits ? reason.delay ?? policy.backoff.wait(afterAttempt: job.attempt) : .zero
      failed(Failure(attempt: job.attempt, reason: reason, wait: wait))
      if wait > .zero { try await clock.sleep(wait) }
      job.attempt += 1
    }
  }

  private func attempt(_ job: LeasedJob) async -> (Result<[UInt8]?, any Error>, following: [Job]) {
    let attempt = Attempt(job, logger: logger)
    let context = JobContext(
      job: job, deadline: job.timeout.map { .now + $0 }, logger: attempt.logger,
      reportProgress: { reportProgress($0) })
    let watch = Task {
      guard let timeout = job.timeout else { return }
      try await clock.sleep(timeout)
      attempt.finish(.failure(JobTimedOut(timeout: timeout)))
    }
    defer { watch.cancel() }
    return await JobContext.$current.withValue(context) {
      do {
        return (.success(try await attempt.run { try await executor.run(context) }), context.jobsToEnqueue)
      } catch {
        if let error = error as? JobTimedOut {
          await executor.stop(context, error)
          await executor.timedOut(context, error)
        }
        return (.failure(error), [])
      }
    }
  }
}

extension Job.Backoff {
  /// The longest that the broker waits after an attempt that failed: its jitter makes it shorter.
  fileprivate func wait(afterAttempt attempt: Int) -> Duration {
    var wait = base
    if isExponential {
      for _ in 1..<max(attempt, 1) where wait < cap { wait *= 2 }
    }
    return min(wait, cap)
  }
}
