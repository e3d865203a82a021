public import NuvomModel

/// Why a request or a connection failed: what the broker said, or what the client found itself.
public struct Failure: Hashable, Sendable {
  /// A code of Protocol.md, or one of those below. Programs go by it alone.
  public var code: String
  /// For a person: what happened and what to do.
  public var message: String
  /// The parameter at fault, if the broker named one.
  public var field: String?
  /// The index of the operation at fault in a multi.
  public var operation: Int?
  /// After how many milliseconds it is worth to try again; nil: the broker did not say.
  public var retryAfterMilliseconds: UInt64?
  /// What lies behind it, for a person.
  public var cause: String?

  /// A failure with a code and a message; the rest where it is known.
  public init(
    code: String, message: String, field: String? = nil, operation: Int? = nil, retryAfterMilliseconds: UInt64? = nil,
    cause: String? = nil
  ) {
    self.code = code
    self.message = message
    self.field = field
    self.operation = operation
    self.retryAfterMilliseconds = retryAfterMilliseconds
    self.cause = cause
  }

  /// One of the protocol's errors, found by the client before or instead of the broker.
  public init(_ code: ErrorCode, _ message: String? = nil, field: String? = nil) {
    self.init(code: "\(code.wireName)", message: message ?? "\(code.message)", field: field)
  }

  /// Whether it is the protocol's error of this code.
  public func isCode(_ other: ErrorCode) -> Bool { code == "\(other.wireName)" }
}

// The codes that only a client gives.
extension Failure {
  /// The time limit passed without an answer, on a connection that stands.
  public static let timeoutCode = "TIMEOUT"
  /// The time limit passed without a connection, or the only attempt to connect failed.
  public static let unreachableCode = "UNREACHABLE"
  /// The client is closed, or is closing.
  public static let closedCode = "CLOSED"
  /// The broker sent what Protocol.md does not allow.
  public static let brokerProtocolCode = "BROKER_PROTOCOL"

  static func closed(cause: String? = nil) -> Failure {
    Failure(code: closedCode, message: "the client is closed; make a new one to send requests", cause: cause)
  }

  static func brokerProtocol(_ message: String) -> Failure {
    Failure(
      code: brokerProtocolCode,
      message: "\(message); check that the address is a Nuvom broker's and that client and broker fit together")
  }
}
