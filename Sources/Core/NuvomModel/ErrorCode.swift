/// Why a request was refused or a connection ended: the codes of Protocol.md.
@frozen
public enum ErrorCode: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  case malformedFrame = 1
  case frameTooLarge = 2
  case helloRequired = 3
  case unsupportedVersion = 4
  case replaced = 5
  case idleTimeout = 6
  case slowReader = 7
  case tooManyConnections = 8
  case shuttingDown = 9
  case storageUnknown = 10
  case unknownMethod = 11
  case badParameters = 12
  case limitExceeded = 13
  case notFound = 14
  case finished = 15
  case leaseLost = 16
  case cancelled = 17
  case memoryFull = 18
  case diskFull = 19
  case requestForgotten = 20
  case unauthorized = 21
  case crossPartition = 22
  case redirect = 23
  case unknownTimeZone = 24
  case neverDue = 25

  /// The code as it travels on the wire.
  public var wireName: StaticString {
    switch self {
    case .malformedFrame: "MALFORMED_FRAME"
    case .frameTooLarge: "FRAME_TOO_LARGE"
    case .helloRequired: "HELLO_REQUIRED"
    case .unsupportedVersion: "UNSUPPORTED_VERSION"
    case .replaced: "REPLACED"
    case .idleTimeout: "IDLE_TIMEOUT"
    case .slowReader: "SLOW_READER"
    case .tooManyConnections: "TOO_MANY_CONNECTIONS"
    case .shuttingDown: "SHUTTING_DOWN"
    case .storageUnknown: "STORAGE_UNKNOWN"
    case .unknownMethod: "UNKNOWN_METHOD"
    case .badParameters: "BAD_PARAMS"
    case .limitExceeded: "LIMIT_EXCEEDED"
    case .notFound: "NOT_FOUND"
    case .finished: "FINISHED"
    case .leaseLost: "LEASE_LOST"
    case .cancelled: "CANCELLED"
    case .memoryFull: "MEMORY_FULL"
    case .diskFull: "DISK_FULL"
    case .requestForgotten: "REQUEST_FORGOTTEN"
    case .unauthorized: "UNAUTHORIZED"
    case .crossPartition: "CROSS_PARTITION"
    case .redirect: "REDIRECT"
    case .unknownTimeZone: "UNKNOWN_TIME_ZONE"
    case .neverDue: "NEVER_DUE"
    }
  }

  /// What happened and what to do about it, in one sentence for a person.
  public var message: StaticString {
    switch self {
    case .malformedFrame:
      "the frame is not one MessagePack value of the request's shape; check the client's framing (Protocol.md, Frames)"
    case .frameTooLarge: "the frame is larger than allowed; split the batch"
    case .helloRequired: "the first request of a connection must be hello"
    case .unsupportedVersion: "this broker speaks protocol version 1; use a client that does too"
    case .replaced: "another connection said hello with the same client_id; give each client process an id of its own"
    case .idleTimeout: "the connection was silent too long; send ping to keep it, or reconnect"
    case .slowReader: "responses were not read for too long; read them as they come, then reconnect"
    case .tooManyConnections: "the broker has all the connections it allows; retry later or raise its limit"
    case .shuttingDown: "the broker is stopping; reconnect later"
    case .storageUnknown:
      "the broker's disk failed; whether the request was done is unknown: reconnect and send it again with the same id"
    case .unknownMethod: "this broker knows no such method"
    case .badParameters: "a parameter is missing, of the wrong type or out of range"
    case .limitExceeded: "more than the broker's limit of these; see Protocol.md, limits"
    case .notFound: "there is no such job, queue or schedule, or it is gone"
    case .finished: "the job or schedule has already finished"
    case .leaseLost: "the token is not the job's current lease; stop working on it"
    case .cancelled: "the job was cancelled; stop working on it"
    case .memoryFull: "the broker is over its memory limit; retry later, add workers, or raise --memory-limit"
    case .diskFull: "the broker's log has no room for more jobs; retry later, add workers, or give it more disk"
    case .requestForgotten: "the broker no longer remembers this request; ask for the state instead of retrying"
    case .unauthorized: "the credentials do not allow this"
    case .crossPartition: "the request names things that live in different partitions"
    case .redirect: "another broker serves this; connect to the address given"
    case .unknownTimeZone:
      "the broker's system has no rules for this time zone; correct the name (as in Europe/Berlin), or install tzdata there"
    case .neverDue: "the schedule is never due, between its start and end or within 40 years; see its times"
    }
  }

  /// Whether the connection ends with this error. `limitExceeded` is fatal only where a frame as a whole is refused.
  public var isFatal: Bool {
    switch self {
    case .malformedFrame, .frameTooLarge, .helloRequired, .unsupportedVersion, .replaced, .idleTimeout, .slowReader,
      .tooManyConnections, .storageUnknown:
      true
    default: false
    }
  }
}
