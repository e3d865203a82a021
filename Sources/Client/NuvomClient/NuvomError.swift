import NuvomConnection
import NuvomModel

/// Why a request failed, or why the client stopped.
///
/// Programs go by ``code``; ``message`` says to a person what happened and what to do about it.
public struct NuvomError: Error, Hashable, Sendable {
  /// The codes of Protocol.md, and four that a client gives itself. A later broker may send others.
  public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// The code as it travels on the wire.
    public let rawValue: String
    /// Any code, also one that this version does not know.
    public init(rawValue: String) { self.rawValue = rawValue }
    /// The code as it travels on the wire.
    public var description: String { rawValue }

    init(_ code: ErrorCode) { rawValue = "\(code.wireName)" }

    /// The client sent what is no request: its fault.
    public static let malformedFrame = Code(.malformedFrame)
    /// The request has more bytes than allowed: split it.
    public static let frameTooLarge = Code(.frameTooLarge)
    /// The broker does not speak this client's protocol.
    public static let unsupportedVersion = Code(.unsupportedVersion)
    /// Another connection took over this client's identity.
    public static let replaced = Code(.replaced)
    /// The broker has all the connections that it allows.
    public static let tooManyConnections = Code(.tooManyConnections)
    /// The broker is stopping.
    public static let shuttingDown = Code(.shuttingDown)
    /// The broker's disk failed; whether the request was done is unknown.
    public static let storageUnknown = Code(.storageUnknown)
    /// The broker knows no such method.
    public static let unknownMethod = Code(.unknownMethod)
    /// A parameter is missing, of the wrong type or out of range; ``NuvomError/field`` names it.
    public static let badParameters = Code(.badParameters)
    /// More elements, queues or waiting requests than allowed.
    public static let limitExceeded = Code(.limitExceeded)
    /// There is no such job, queue or schedule, or it is gone.
    public static let notFound = Code(.notFound)
    /// The job, or the schedule, was already finished.
    public static let finished = Code(.finished)
    /// The token is not the job's current one: stop working on it.
    public static let leaseLost = Code(.leaseLost)
    /// The job was cancelled: stop working on it.
    public static let cancelled = Code(.cancelled)
    /// The broker is over its memory limit; see ``NuvomError/retryAfter``.
    public static let memoryFull = Code(.memoryFull)
    /// The broker's log has no room for more jobs; see ``NuvomError/retryAfter``.
    public static let diskFull = Code(.diskFull)
    /// The request was repeated after a lost connection, too late for the broker to know whether it was done.
    public static let requestForgotten = Code(.requestForgotten)
    /// The broker's system has no rules for a time zone of this name: install its time zone data, or correct the name.
    public static let unknownTimeZone = Code(.unknownTimeZone)
    /// A schedule has no due time between its start and its end.
    public static let neverDue = Code(.neverDue)
    /// The credentials do not allow this.
    public static let unauthorized = Code(.unauthorized)
    /// The request names things that live in different partitions.
    public static let crossPartition = Code(.crossPartition)
    /// Another broker serves this.
    public static let redirect = Code(.redirect)

    /// The client's: the time limit passed without an answer.
    public static let timeout = Code(rawValue: Failure.timeoutCode)
    /// The client's: there is no connection to the broker.
    public static let unreachable = Code(rawValue: Failure.unreachableCode)
    /// The client's: it is closed, or closing.
    public static let closed = Code(rawValue: Failure.closedCode)
    /// The client's: the broker answered what the protocol does not allow.
    public static let brokerProtocol = Code(rawValue: Failure.brokerProtocolCode)
  }

  /// What programs go by.
  public var code: Code
  /// What happened and what to do, for a person.
  public var message: String
  /// The parameter at fault, if known.
  public var field: String?
  /// The index of the operation at fault in ``NuvomClient/multi(_:)``.
  public var operation: Int?
  /// When it is worth to try again; nil: the broker did not say.
  public var retryAfter: Duration?
  /// What lies behind it, for a person.
  public var cause: String?

  /// An error with a code and a message; the rest where it is known.
  public init(
    _ code: Code, _ message: String, field: String? = nil, operation: Int? = nil, retryAfter: Duration? = nil,
    cause: String? = nil
  ) {
    self.code = code
    self.message = message
    self.field = field
    self.operation = operation
    self.retryAfter = retryAfter
    self.cause = cause
  }

  package init(_ failure: Failure) {
    self.init(
      Code(rawValue: failure.code), failure.message, field: failure.field, operation: failure.operation,
      retryAfter: failure.retryAfterMilliseconds.map { .milliseconds(Int64(clamping: $0)) }, cause: failure.cause)
  }

  static func badParameter(_ field: String, _ message: String) -> NuvomError {
    NuvomError(.badParameters, message, field: field)
  }
}

extension NuvomError: CustomStringConvertible {
  /// Code, message and what else is known, on one line.
  public var description: String {
    var text = "\(code): \(message)"
    if let field { text += " (field \(field))" }
    if let operation { text += " (operation \(operation))" }
    if let retryAfter { text += " (retry after \(retryAfter))" }
    if let cause { text += " (cause: \(cause))" }
    return text
  }
}
