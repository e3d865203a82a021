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

extension NuvomError.Code {
  /// The job succeeded, and its result was not kept. Given by the client.
  public static let resultNotStored = NuvomError.Code(rawValue: "RESULT_NOT_STORED")
}
