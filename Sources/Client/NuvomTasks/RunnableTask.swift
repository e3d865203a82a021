/// A task as a worker sees it, whatever its input and output: a ``TaskDefinition``.
public protocol RunnableTask: Sendable {
  /// What its jobs name.
  var name: String { get }
  /// How its jobs are queued, tried and kept.
  var policy: TaskPolicy { get }
  /// Runs one attempt, with the hooks before and after it.
  /// - Returns: the encoded result.
  /// - Throws: `ArgumentError`; what the handler throws.
  func run(payload: [UInt8], hookFailed: @Sendable (String, any Error) -> Void) async throws -> [UInt8]
  /// Runs the hook for an attempt that failed.
  func failed(_ error: any Error, hookFailed: @Sendable (String, any Error) -> Void) async
}
