public import NuvomClient

// What needs no definition of a task.
extension NuvomClient {
  /// Gives a dead letter a new allowance of attempts under the policy it was enqueued with; it is ready at once. Durable.
  /// - Throws: `NOT_FOUND` if there is no such dead letter.
  public func retry(_ id: JobID) async throws {
    let change = try await replayDeadLetters([id])
    if let refusal = change.refused.first { throw NuvomError(refusal.code, refusal.message) }
  }

  /// Enqueues a job of a task known by its name alone; what encodes as a map becomes named arguments, anything else the only one by
  /// position. Carries the present trace and ``PropagatedContext``.
  /// - Throws: as ``enqueue(_:)-(Job)``; `EncodingError`.
  @discardableResult
  public func enqueue<Value: Codable & Sendable>(
    task name: String, args: Value, policy: TaskPolicy = TaskPolicy()
  ) async throws -> EnqueueReceipt {
    try await enqueue(TaskReference<Arguments<Value>, NoValue>(name, policy).job(args))
  }
}
