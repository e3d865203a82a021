import Logging
import Metrics
public import NuvomTasks
import Synchronization
import Tracing

/// Wraps each attempt of a worker.
public protocol WorkerMiddleware: Sendable {
  /// Runs the attempt by calling `next` once, before or after which it does what it is for.
  ///
  /// - Returns: the encoded result, as `next` gave it or another.
  /// - Throws: what `next` threw, or another error, by which the attempt then fails. `next` throws also when the attempt is given up,
  ///   ``JobTimedOut`` or ``AttemptGivenUp``: those must go on as they are.
  func handle(_ context: JobContext, next: @Sendable () async throws -> [UInt8]?) async throws -> [UInt8]?
}

/// Logs how each attempt ended: success at debug level, failures as warnings.
public struct LoggingMiddleware: WorkerMiddleware {
  /// Nothing to set.
  public init() {}

  /// Logs how the attempt ended.
  public func handle(_ context: JobContext, next: @Sendable () async throws -> [UInt8]?) async throws -> [UInt8]? {
    let start = ContinuousClock.now
    do {
      let result = try await next()
      context.logger.debug("done", metadata: ["duration": "\(ContinuousClock.now - start)"])
      return result
    } catch {
      context.logger.warning(
        "failed",
        metadata: [
          "duration": "\(ContinuousClock.now - start)", "error": "\(error)", "of": "\(context.maximumAttempts)",
        ])
      throw error
    }
  }
}

/// Counts and times attempts with swift-metrics: `nuvom_worker_attempts_total` and `nuvom_worker_attempt_seconds` by task and outcome,
/// `nuvom_worker_running_jobs`.
public struct MetricsMiddleware: WorkerMiddleware {
  private let running = Meter(label: "nuvom_worker_running_jobs")
  private let made = Made()

  /// A backend looks its instruments up when they are made, under locks of its own: once for each task and outcome, not for each attempt.
  private final class Made: Sendable {
    private let all = Mutex<[[String]: (Counter, Metrics.Timer)]>([:])

    func instruments(task: String, outcome: String) -> (Counter, Metrics.Timer) {
      all.withLock { all in
        if let made = all[[task, outcome]] { return made }
        let dimensions = [("task", task), ("outcome", outcome)]
        let made = (
          Counter(label: "nuvom_worker_attempts_total", dimensions: dimensions),
          Metrics.Timer(label: "nuvom_worker_attempt_seconds", dimensions: dimensions)
        )
        all[[task, outcome]] = made
        return made
      }
    }
  }

  /// Nothing to set.
  public init() {}

  /// Counts and times the attempt.
  public func handle(_ context: JobContext, next: @Sendable () async throws -> [UInt8]?) async throws -> [UInt8]? {
    let start = ContinuousClock.now
    running.increment()
    defer { running.decrement() }
    do {
      let result = try await next()
      record(context, start, "succeeded")
      return result
    } catch {
      record(context, start, Self.outcome(error))
      throw error
    }
  }

  private func record(_ context: JobContext, _ start: ContinuousClock.Instant, _ outcome: String) {
    let duration = ContinuousClock.now - start
    let (counter, timer) = made.instruments(task: context.job.task, outcome: outcome)
    counter.increment()
    timer.record(duration: duration)
  }

  private static func outcome(_ error: any Error) -> String {
    switch error {
    case is JobTimedOut: "timed_out"
    case let error as AttemptGivenUp: error.reason.rawValue
    default: "failed"
    }
  }
}

/// Makes each attempt a span of the trace that its producer began, or of a new one if it has none, as the job of a schedule.
public struct TracingMiddleware: WorkerMiddleware {
  /// Nothing to set.
  public init() {}

  /// Runs the attempt in a span.
  public func handle(_ context: JobContext, next: @Sendable () async throws -> [UInt8]?) async throws -> [UInt8]? {
    var parent = ServiceContext.current ?? .topLevel
    InstrumentationSystem.instrument.extract(context.job.headers, into: &parent, using: TraceHeaders())
    return try await withSpan("run \(context.job.task)", context: parent, ofKind: .consumer) { span in
      span.attributes["messaging.system"] = "nuvom"
      span.attributes["messaging.destination.name"] = context.job.queue
      span.attributes["messaging.message.id"] = "\(context.id)"
      span.attributes["nuvom.attempt"] = context.attempt
      if let schedule = context.schedule { span.attributes["nuvom.schedule"] = schedule.name }
      return try await next()
    }
  }
}
