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
