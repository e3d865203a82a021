/// A payload that does not fit its task: the job is a dead letter at once, since no retry would mend it.
public struct ArgumentError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Which argument, its name or position; nil if it is about all of them.
  public let argument: String?
  /// What is wrong, and what was wanted.
  public let message: String

  /// The message.
  public var description: String { message }

  init(_ argument: String? = nil, _ message: String) {
    self.argument = argument
    self.message = message
  }
}
