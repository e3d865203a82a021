public import NuvomClient

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
