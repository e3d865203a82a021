import Logging
import NuvomTasks
import Tracing

// The life of one delivery in a worker: run, kept alive, settled.
extension Worker {
  func perform(_ attempt: Attempt) async {
    let job = attempt.job
    guard let policy = executor.policy(forTask: job.task) else {
      await settleUnknown(attempt)
      return
    }
    let timeout = job.timeout ?? policy.timeout ?? configuration.defaultTimeout
    let context = JobContext(
      job: job, deadline: timeout.map { .now + $0 }, logger: attempt.logger,
      reportProgress: { [client] progress in
        do {
          try await client.reportProgress(job, percent: progress.percent, message: progress.message)
        } catch let error as NuvomError where error.code == .memoryFull {
          // Not kept now, which does not concern the job.
          attempt.logger.debug("progress was not kept", metadata: ["error": "\(error)"])
        } catch let error as NuvomError {
          if let lost = AttemptGivenUp(refusal: error.code) { attempt.finish(.failure(lost)) }
          throw error
        }
      })
    let watch = Task(executorPreference: TaskPlacement.executor) { await self.watch(attempt, timeout: timeout) }
    defer { watch.cancel() }
    do {
      let result = try await run(attempt, context)
      try await ack(attempt, context, policy.storeResult ? result : nil)
    } catch {
      await settle(attempt, context, policy, error)
    }
  }

  /// Through the middleware to the executor.
  private func run(_ attempt: Attempt, _ context: JobContext) async throws -> [UInt8]? {
    var next: @Sendable () async throws -> [UInt8]? = { [executor] in
      do {
        return try await attempt.run { try await executor.run(context) }
      } catch {
        if error is JobTimedOut || error is AttemptGivenUp { await executor.stop(context, error) }
        throw error
      }
    }
    for middleware in middleware.reversed() {
      let inner = next
      next = { try await middleware.handle(context, next: inner) }
    }
    let outermost = next
    return try await within(context) { try await outermost() }
  }

  /// With everything set that a handler or hook can ask for.
  private func within<Value: Sendable>(
    _ context: JobContext, _ body: @Sendable () async throws -> Value
  ) async rethrows -> Value {
    try await JobContext.$current.withValue(context) {
      try await NuvomClient.$current.withValue(client) {
        try await PropagatedContext.$current.withValue(PropagatedContext(headers: context.job.headers)) {
          try await body()
        }
      }
    }
  }

  // MARK: Staying alive

  /// Keeps the lease until the broker was told how the attempt ended, and ends the attempt when the lease is lost or the timeout has passed.
  private func watch(_ attempt: Attempt, timeout: Duration?) async {
    let job = attempt.job
    let start = clock.now
    let deadline = timeout.map { start + $0 }
    let hold = LeaseHold(renewAt: start + job.lease / 3, endsAt: start + job.lease)
    while !Task.isCancelled {
      let limit = attempt.isOver ? nil : deadline
      let due = min(hold.nextDue, limit ?? .seconds(Int64.max / 2))
      do { try await clock.sleep(max(due - clock.now, .zero)) } catch { return }
      let now = clock.now
      if let timeout, let limit, now >= limit {
        attempt.finish(.failure(JobTimedOut(timeout: timeout)))
      } else if now >= hold.endsAt {
        attempt.finish(.failure(AttemptGivenUp(.leaseLost)))
        return
      } else if hold.beginRenewal(now: now, retryAfter: job.lease / 12) {
        // Not awaited: a connection that hangs must not delay the timeout.
        Task(executorPreference: TaskPlacement.executor) { [self] in await renew(attempt, hold, begun: now) }
      }
    }
  }

  private func renew(_ attempt: Attempt, _ hold: LeaseHold, begun: Duration) async {
    let job = attempt.job
    do {
      if let refusal = try await settler.settle(.extend(job), of: job) {
        if let lost = AttemptGivenUp(refusal: refusal.code) { attempt.finish(.failure(lost)) }
      } else {
        hold.renewed(endsAt: begun + job.lease, renewAt: begun + job.lease / 3)
      }
    } catch {
      attempt.logger.warning("cannot extend the lease; trying again", metadata: ["error": "\(error)"])
    }
  }

  // MARK: Settling

  private func ack(_ attempt: Attempt, _ context: JobContext, _ result: [UInt8]?) async throws {
    let job = attempt.job
    guard result?.count ?? 0 <= Job.maximumPayloadBytes else {
      throw PermanentError(
        "the result has \(result?.count ?? 0) bytes, 8 MiB are allowed: store it elsewhere and return where")
    }
    let following = context.jobsToEnqueue
    if following.isEmpty {
      await settle(attempt, .ack(job, result: result), bytes: result?.count ?? 0)
      return
    }
    let refusal = await untilTold(attempt) {
      try await self.client.multi { operations in
        operations.enqueue(following)
        operations.ack(job, result: result)
      }
      return nil
    }
    if let refusal, refusal.isForGood {
      throw PermanentError("the jobs that it enqueues with its ack were refused", cause: refusal)
    }
  }

  private func settle(_ attempt: Attempt, _ context: JobContext, _ policy: TaskPolicy, _ error: any Error) async {
    let job = attempt.job
    switch error {
    case let error as AttemptGivenUp:
      switch error.reason {
      case .leaseLost, .cancelled: break
      case .workerStopped: await settle(attempt, .release(job))
      case .notStarted: await settle(attempt, .release(job, delay: Self.postponement(job)))
      }
    case let error as JobTimedOut:
      Task(executorPreference: TaskPlacement.executor) { [self] in
        await within(context) { await executor.timedOut(context, error) }
      }
      switch policy.timeoutPolicy {
      case .ignore: await settle(attempt, .ack(job, result: policy.storeResult ? [0xC0] : nil))
      case .retry: await nack(attempt, AttemptFailure(error, in: configuration))
      case .fail:
        var failure = AttemptFailure(error, in: configuration)
        failure.reason.retry = false
        await nack(attempt, failure)
      }
    default:
      await nack(attempt, AttemptFailure(error, in: configuration))
    }
  }

  private func nack(_ attempt: Attempt, _ failure: AttemptFailure) async {
    await settle(attempt, .nack(attempt.job, failure.reason), bytes: failure.bytes)
  }

  /// A task that nobody here knows: perhaps another worker does, or a later version of this one. The job comes back after a growing wait,
  /// its attempt not counted, and is a dead letter after the tenth.
  private func settleUnknown(_ attempt: Attempt) async {
    let job = attempt.job
    guard job.postponed < 10 else {
      let message = "no worker knows a task named \(job.task): start one that does, then replay the dead letter"
      attempt.logger.error("no worker knows the task; the job is a dead letter")
      await settle(attempt, .nack(job, NackReason(type: "UNKNOWN_TASK", message: message, retry: false)))
      return
    }
    let delay = Self.postponement(job)
    attempt.logger.warning("this worker does not know the task; the job waits", metadata: ["wait": "\(delay)"])
    await settle(attempt, .release(job, delay: delay))
  }

  /// Grows with each time that the job was given back in a row.
  private static func postponement(_ job: LeasedJob) -> Duration { .seconds(min(60, 1 << min(job.postponed, 6))) }

  private func settle(_ attempt: Attempt, _ settlement: Settlement, bytes: Int = 0) async {
    await untilTold(attempt) {
      try await self.settler.settle(settlement, of: attempt.job, bytes: bytes).map { NuvomError($0.code, $0.message) }
    }
  }

  /// Tells the broker how the attempt ended, again and again while it is full; the lease is kept meanwhile. When the broker cannot be
  /// reached within the client's request timeout, or the worker is stopped, the job comes back when its lease is over.
  /// - Returns: why the broker refused it; nothing was done then.
  @discardableResult
  private func untilTold(_ attempt: Attempt, _ tell: () async throws -> NuvomError?) async -> NuvomError? {
    var failures = 0
    while true {
      do {
        let obstacle: NuvomError
        do {
          guard let refusal = try await tell() else { return nil }
          obstacle = refusal
        } catch let error as NuvomError {
          obstacle = error
        }
        failures += 1
        guard obstacle.isPassing, !isStopped else {
          attempt.logger.warning("the broker did not take how an attempt ended", metadata: ["error": "\(obstacle)"])
          return obstacle
        }
        attempt.logger.warning("cannot tell how an attempt ended; trying again", metadata: ["error": "\(obstacle)"])
        try await clock.sleep(obstacle.retryAfter ?? Self.backoff(failures))
      } catch {
        attempt.logger.error("the broker could not be told how an attempt ended", metadata: ["error": "\(error)"])
        return nil
      }
    }
  }
}

extension NuvomError {
  /// Whether the same would always be refused: it asks for what cannot be.
  fileprivate var isForGood: Bool { [.badParameters, .limitExceeded, .frameTooLarge, .crossPartition].contains(code) }

  /// Whether the same may be answered otherwise later: the broker is full.
  fileprivate var isPassing: Bool { code == .diskFull || code == .memoryFull }
}
