import MessagePack
import NuvomClient

/// A task: its name, what it does, and the policy of its jobs.
/// ```swift
/// let greet = TaskDefinition("greet", .init(retries: 3, timeout: .seconds(10))) { (name: String) in "hello \(name)" }
///
/// try await greet("Ada")                           // runs here and now
/// let handle = try await greet.delay("Ada")        // a worker runs it
/// try await greet.map(["Ada", "Grace"])            // one request, all or none
/// ```
/// Arguments and results are `Codable`. A handler learns about its job from ``JobContext/current``; it should end soon when its Swift task
/// is cancelled, which means that the timeout has passed or that the job is no longer this worker's.
public struct TaskDefinition<Input: TaskInput, Output: Codable & Sendable>: EnqueueableTask, RunnableTask {
  /// Its name and policy, for those who enqueue.
  public let reference: TaskReference<Input, Output>
  /// What happens around each attempt.
  public let hooks: TaskHooks<Output>
  private let handler: @Sendable (Input) async throws -> Output

  /// A task with an input of its own type.
  public init(
    _ name: String, _ policy: TaskPolicy = TaskPolicy(), hooks: TaskHooks<Output> = TaskHooks(),
    handler: @escaping @Sendable (Input) async throws -> Output
  ) {
    reference = TaskReference(name, policy)
    self.hooks = hooks
    self.handler = handler
  }

  /// A task whose input is the closure's parameters.
  public init<each Argument>(
    _ name: String, _ policy: TaskPolicy = TaskPolicy(), hooks: TaskHooks<Output> = TaskHooks(),
    _ handler: @escaping @Sendable (repeat each Argument) async throws -> Output
  ) where Input == Arguments<repeat each Argument> {
    self.init(name, policy, hooks: hooks, handler: { input in try await handler(repeat each input.values) })
  }

  /// A task that returns nothing.
  public init<each Argument>(
    _ name: String, _ policy: TaskPolicy = TaskPolicy(), hooks: TaskHooks<NoValue> = TaskHooks(),
    _ handler: @escaping @Sendable (repeat each Argument) async throws -> Void
  ) where Input == Arguments<repeat each Argument>, Output == NoValue {
    self.init(
      name, policy, hooks: hooks,
      handler: { input in
        try await handler(repeat each input.values)
        return NoValue()
      })
  }

  /// Runs the task here and now, without a broker, its hooks or its timeout.
  @discardableResult
  public func callAsFunction(_ input: Input) async throws -> Output { try await handler(input) }

  /// Runs the task here and now, without a broker, its hooks or its timeout.
  @discardableResult
  public func callAsFunction<each Argument>(_ arguments: repeat each Argument) async throws -> Output
  where Input == Arguments<repeat each Argument> {
    try await handler(Arguments(repeat each arguments))
  }

  /// What workers know it by.
  public var name: String { reference.name }
  /// How its jobs are queued, tried and kept.
  public var policy: TaskPolicy { reference.policy }

  /// Runs one attempt, with the hooks before and after it.
  public func run(payload: [UInt8], hookFailed: @Sendable (String, any Error) -> Void) async throws -> [UInt8] {
    var arguments = try ArgumentDecoder(payload)
    let input = try Input(from: &arguments)
    try arguments.finish()
    await attempt("beforeJob", hookFailed) { try await hooks.beforeJob?() }
    let output = try await handler(input)
    await attempt("afterJob", hookFailed) { try await hooks.afterJob?(output) }
    return try MessagePackEncoder().encode(output)
  }

  /// Runs the hook for an attempt that failed.
  public func failed(_ error: any Error, hookFailed: @Sendable (String, any Error) -> Void) async {
    await attempt("onError", hookFailed) { try await hooks.onError?(error) }
  }

  /// A hook's error is told, and nothing more: a job never fails by it.
  private func attempt(
    _ hook: String, _ hookFailed: @Sendable (String, any Error) -> Void, _ body: () async throws -> Void
  ) async {
    do { try await body() } catch { hookFailed(hook, error) }
  }
}

/// What happens around each attempt of a task. What a hook throws is logged; it never fails the job.
public struct TaskHooks<Output: Sendable>: Sendable {
  /// Before the handler.
  public var beforeJob: (@Sendable () async throws -> Void)?
  /// After the handler has returned, before the job is acked.
  public var afterJob: (@Sendable (Output) async throws -> Void)?
  /// After an attempt that failed: what the handler threw, a timeout, the end of its process.
  public var onError: (@Sendable (any Error) async throws -> Void)?

  /// By default nothing.
  public init(
    beforeJob: (@Sendable () async throws -> Void)? = nil, afterJob: (@Sendable (Output) async throws -> Void)? = nil,
    onError: (@Sendable (any Error) async throws -> Void)? = nil
  ) {
    self.beforeJob = beforeJob
    self.afterJob = afterJob
    self.onError = onError
  }
}

/// A task as a worker sees it, whatever its input and output: a ``TaskDefinition``.
public protocol RunnableTask: Sendable {
  /// What its jobs name.
  var name: String { get }
  /// How its jobs are queued, tried and kept.
  var policy: TaskPolicy { get }
  /// Runs one attempt, with the hooks before and after it.
  /// - Returns: the encoded result.
  /// - Throws: ``ArgumentError``; what the handler throws.
  func run(payload: [UInt8], hookFailed: @Sendable (String, any Error) -> Void) async throws -> [UInt8]
  /// Runs the hook for an attempt that failed.
  func failed(_ error: any Error, hookFailed: @Sendable (String, any Error) -> Void) async
}

/// An error that no retry would mend: throw it, and the job is a dead letter at once.
public struct PermanentError: Error, CustomStringConvertible {
  /// What happened.
  public let message: String
  /// The error behind it.
  public let cause: (any Error)?

  /// A failure for good.
  public init(_ message: String, cause: (any Error)? = nil) {
    self.message = message
    self.cause = cause
  }

  /// What happened, and the cause.
  public var description: String { cause.map { "\(message): \($0)" } ?? message }
}

/// An attempt that failed, to be followed by the next after a given wait instead of the policy's backoff.
public struct RetryLater: Error, CustomStringConvertible {
  /// The wait.
  public let delay: Duration
  /// Why.
  public let message: String

  /// A wait, and why.
  public init(after delay: Duration, _ message: String = "") {
    self.delay = delay
    self.message = message
  }

  /// Why.
  public var description: String { message.isEmpty ? "to be tried again after \(delay)" : message }
}
