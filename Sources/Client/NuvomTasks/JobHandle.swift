import MessagePack
public import NuvomClient

/// A job that was enqueued, and what it will return.
public struct JobHandle<Output: Codable & Sendable>: Sendable {
  /// The job.
  public let id: JobID
  /// Whether a job with the same unique key was there, so that this is that one.
  public let isDuplicate: Bool
  private let client: NuvomClient

  /// A job known by its id, perhaps from another program.
  public init(_ id: JobID, isDuplicate: Bool = false, client: NuvomClient) {
    self.id = id
    self.isDuplicate = isDuplicate
    self.client = client
  }

  /// Waits on the broker, without polling, until the job is finished, and returns what its task returned.
  ///
  /// - Parameter timeout: how long to wait.
  /// - Throws: ``JobFailure`` if the job is a dead letter; `NuvomError` with `TIMEOUT` if it is not finished in time (ask again),
  ///   `CANCELLED`, `NOT_FOUND` if its retention is over, `RESULT_NOT_STORED` if its policy keeps no result; `DecodingError`.
  public func result(timeout: Duration = .seconds(30)) async throws -> Output {
    var left = timeout
    while true {
      // The broker waits an hour at most for one request.
      let part = min(left, .seconds(3_600))
      left -= part
      let status = try await client.wait(for: id, upTo: max(part, .zero))
      switch status.state {
      case .succeeded: return try Self.output(of: status)
      case .dead: throw JobFailure(status)
      case .cancelled: throw NuvomError(.cancelled, "job \(id) was cancelled: it has no result")
      case .delayed, .ready, .leased:
        if left <= .zero {
          throw NuvomError(
            .timeout, "job \(id) is \(status.state.wireName) after \(timeout): ask again, or give it more time")
        }
      }
    }
  }

  /// Everything the broker knows of the job.
  /// - Throws: `NOT_FOUND`: it finished, and its retention is over.
  public func status() async throws -> JobStatus { try await client.get(id) }

  /// Cancels the job: it is never delivered again.
  /// - Returns: whether a worker holds it; that worker stops at its next sign of life.
  /// - Throws: `NOT_FOUND`, `FINISHED`.
  @discardableResult
  public func cancel() async throws -> Bool { try await client.cancel(id) }

  /// Gives the job, which is a dead letter, a new allowance of attempts under the policy it was enqueued with.
  /// - Throws: `NOT_FOUND` if it is none.
  public func retry() async throws { try await client.retry(id) }

  private static func output(of status: JobStatus) throws -> Output {
    if let result = status.result { return try MessagePackDecoder().decode(Output.self, from: result) }
    if let nothing = NoValue() as? Output { return nothing }
    throw NuvomError(
      .resultNotStored,
      "job \(status.id) succeeded, and its result was not kept: let its policy have storeResult and a retention")
  }
}

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

/// A job that is a dead letter, and why: the error that its worker had.
public struct JobFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// The job.
  public let id: JobID
  /// Its task.
  public let task: String
  /// Why it is a dead letter.
  public let reason: DeadReason?
  /// The last attempts that failed, oldest first.
  public let errors: [JobStatus.AttemptError]

  /// The failure that a dead letter's status tells of.
  public init(_ status: JobStatus) {
    id = status.id
    task = status.task
    reason = status.deadReason
    errors = status.errors
  }

  /// The type of the last attempt's error.
  public var type: String { errors.last?.type ?? "" }
  /// The message of the last attempt's error.
  public var message: String { errors.last?.message ?? "" }
  /// The trace of the last attempt's error.
  public var trace: String { errors.last?.trace ?? "" }

  /// One line for people.
  public var description: String {
    let why = reason.map { "\($0.wireName)" } ?? "dead"
    let error = [type, message].filter { !$0.isEmpty }.joined(separator: ": ")
    return "job \(id) of task \(task) is a dead letter (\(why))\(error.isEmpty ? "" : ": \(error)")"
  }
}

/// What a task returns that returns nothing: nil on the wire.
public struct NoValue: Codable, Hashable, Sendable {
  /// The only value.
  public init() {}
  /// Any value will do.
  public init(from decoder: any Decoder) {}
  /// Writes nil.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encodeNil()
  }
}

extension NuvomError.Code {
  /// The job succeeded, and its result was not kept. Given by the client.
  public static let resultNotStored = NuvomError.Code(rawValue: "RESULT_NOT_STORED")
}

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
