import Logging
import NuvomTasks
import Synchronization

/// One delivery being run: the first thing that ends it counts, whether that is its handler, its timeout, its lease or the worker's end.
final class Attempt: Sendable {
  let job: LeasedJob
  let logger: Logger

  private struct State {
    var result: Result<[UInt8]?, any Error>?
    var continuation: CheckedContinuation<[UInt8]?, any Error>?
    var handler: Task<Void, Never>?
  }

  private let state = Mutex(State())

  init(_ job: LeasedJob, logger: Logger) {
    self.job = job
    self.logger = logger.about(job)
  }

  /// Whether it has ended.
  var isOver: Bool { state.withLock { $0.result != nil } }

  /// Runs the handler in a Swift task of its own, and returns when the attempt has ended: perhaps before the handler has. What had ended
  /// before is not begun.
  func run(_ handler: @escaping @Sendable () async throws -> [UInt8]?) async throws -> [UInt8]? {
    if let result = state.withLock(\.result) { return try result.get() }
    let task = Task(executorPreference: TaskPlacement.executor) { [self] in
      let result: Result<[UInt8]?, any Error>
      do { result = .success(try await handler()) } catch { result = .failure(error) }
      if !finish(result) { logger.debug("a handler ended after its attempt was given up") }
    }
    let isOver = state.withLock { state in
      state.handler = task
      return state.result != nil
    }
    if isOver { task.cancel() }
    return try await withCheckedThrowingContinuation { continuation in
      let result = state.withLock { state in
        if state.result == nil { state.continuation = continuation }
        return state.result
      }
      if let result { continuation.resume(with: result) }
    }
  }

  /// Ends the attempt.
  /// - Returns: false if it had ended: nothing is changed.
  @discardableResult
  func finish(_ result: Result<[UInt8]?, any Error>) -> Bool {
    let (isFirst, continuation, handler) = state.withLock { state in
      guard state.result == nil else {
        return (false, nil as CheckedContinuation<[UInt8]?, any Error>?, nil as Task<Void, Never>?)
      }
      state.result = result
      defer { state.continuation = nil }
      return (true, state.continuation, state.handler)
    }
    guard isFirst else { return false }
    handler?.cancel()
    continuation?.resume(with: result)
    return true
  }
}

extension Logger {
  /// A logger that says which job, attempt, task and schedule it is about.
  func about(_ job: LeasedJob) -> Logger {
    var logger = self
    logger[metadataKey: "job"] = "\(job.id)"
    logger[metadataKey: "task"] = "\(job.task)"
    logger[metadataKey: "attempt"] = "\(job.attempt)"
    if let schedule = job.schedule { logger[metadataKey: "schedule"] = "\(schedule.name)" }
    return logger
  }
}
