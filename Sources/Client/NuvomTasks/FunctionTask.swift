/// What `@NuvomTask` makes of a function: a ``TaskDefinition`` that is called by the function's own labels.
public protocol FunctionTask<Input, Output>: EnqueueableTask, RunnableTask {
  /// The function, with its name and policy.
  var definition: TaskDefinition<Input, Output> { get }
}

extension FunctionTask {
  /// Its name and policy, for those who enqueue.
  public var reference: TaskReference<Input, Output> { definition.reference }
  /// What workers know it by.
  public var name: String { definition.name }
  /// How its jobs are queued, tried and kept.
  public var policy: TaskPolicy { definition.policy }

  /// Runs one attempt, with the hooks before and after it.
  public func run(payload: [UInt8], hookFailed: @Sendable (String, any Error) -> Void) async throws -> [UInt8] {
    try await definition.run(payload: payload, hookFailed: hookFailed)
  }

  /// Runs the hook for an attempt that failed.
  public func failed(_ error: any Error, hookFailed: @Sendable (String, any Error) -> Void) async {
    await definition.failed(error, hookFailed: hookFailed)
  }
}
