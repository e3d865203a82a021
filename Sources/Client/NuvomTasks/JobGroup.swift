/// Jobs that were enqueued together.
public struct JobGroup<Output: Codable & Sendable>: Sendable, RandomAccessCollection {
  private let handles: [JobHandle<Output>]

  /// Jobs in their order.
  public init(_ handles: [JobHandle<Output>]) { self.handles = handles }

  /// 0.
  public var startIndex: Int { handles.startIndex }
  /// How many there are.
  public var endIndex: Int { handles.endIndex }
  /// A job, in the order of the inputs.
  public subscript(index: Int) -> JobHandle<Output> { handles[index] }

  /// Waits for all jobs, and returns what they returned, in their order.
  ///
  /// - Parameter timeout: how long to wait for each; they are waited for at the same time.
  /// - Throws: the first failure among them; see ``JobHandle/result(timeout:)``.
  public func results(timeout: Duration = .seconds(30)) async throws -> [Output] {
    // A connection may have 1,024 requests that wait.
    let atOnce = 256
    return try await withThrowingTaskGroup(of: (Int, Output).self) { group in
      var outputs = [Output?](repeating: nil, count: count)
      for (index, handle) in handles.enumerated() {
        if index >= atOnce, let (index, output) = try await group.next() { outputs[index] = output }
        group.addTask { (index, try await handle.result(timeout: timeout)) }
      }
      for try await (index, output) in group { outputs[index] = output }
      return outputs.compactMap(\.self)
    }
  }
}
