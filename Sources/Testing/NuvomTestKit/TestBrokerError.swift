/// Why a wait of a test did not end: what it waited for, and what there was instead.
public struct TestBrokerError: Error, Hashable, Sendable, CustomStringConvertible {
  /// For a person.
  public let message: String

  init(_ message: String) { self.message = message }

  /// For a person.
  public var description: String { message }
}
