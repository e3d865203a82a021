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
