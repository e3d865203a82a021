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
