import MessagePack

/// What proves to the broker that a worker holds a job.
public protocol Leased: Sendable {
  /// The job.
  var id: JobID { get }
  /// The lease under which it is held.
  var token: LeaseToken { get }
}

/// A job and the token under which it is held: all that is needed to settle it.
public struct Lease: Leased, Hashable {
  /// The job.
  public var id: JobID
  /// The lease under which it is held.
  public var token: LeaseToken

  /// A job and its token.
  public init(id: JobID, token: LeaseToken) {
    self.id = id
    self.token = token
  }
}

/// A job that the broker handed to this worker for a limited time.
public struct LeasedJob: Leased, Hashable {
  /// The job.
  public var id = JobID(rawValue: 0)
  /// Proof of the lease; rises with every delivery, so it may serve as a fencing token.
  public var token = LeaseToken(rawValue: 0)
  /// Which attempt this is, from 1.
  public var attempt = 1
  /// How many attempts it has.
  public var maximumAttempts = 3
  /// How often in a row it was released with a delay: for a worker that makes the delay grow.
  public var postponed = 0
  /// How long the lease lasts, from when the broker decided the delivery.
  public var lease = Duration.zero
  /// How long this attempt may take; nil: no limit.
  public var timeout: Duration?
  /// The queue it was taken from.
  public var queue = ""
  /// The name of the handler.
  public var task = ""
  /// As enqueued.
  public var payload: [UInt8] = []
  /// As enqueued.
  public var headers: [String: HeaderValue] = [:]
  /// As enqueued.
  public var tags: [String] = []
  /// The schedule that enqueued it, and for which due time; nil: it was enqueued by hand.
  public var schedule: ScheduledFire?

  /// A delivery that no broker made, for the tests of a handler.
  public init(task: String = "", payload: [UInt8] = []) {
    self.task = task
    self.payload = payload
  }

  /// The payload as a Swift value, from MessagePack.
  /// - Throws: `DecodingError`.
  public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
    try MessagePackDecoder().decode(type, from: payload)
  }

  /// The arguments in a payload of the form `{"args": […], "kwargs": {…}}`: the named ones if there are any, else the only
  /// positional one, else all positional ones as an array. The counterpart of ``Job/init(task:queue:arguments:)``.
  /// - Throws: ``ArgumentError``.
  public func arguments<Value: Decodable>(as type: Value.Type = Value.self) throws -> Value {
    var decoder = try ArgumentDecoder(payload)
    return try decoder.everything(as: type)
  }
}

extension MessageCursor {
  mutating func leasedJob() throws(UnexpectedResult) -> LeasedJob {
    var job = LeasedJob()
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "id": job.id = try cursor.jobID()
      case "token": job.token = try cursor.token()
      case "attempt": job.attempt = try cursor.count()
      case "max_attempts": job.maximumAttempts = try cursor.count()
      case "postponed": job.postponed = try cursor.count()
      case "lease_ms": job.lease = try cursor.duration()
      case "timeout_ms": job.timeout = try cursor.duration()
      case "queue": job.queue = try cursor.text()
      case "task": job.task = try cursor.text()
      case "payload": job.payload = try cursor.bytes()
      case "headers": job.headers = try cursor.headers()
      case "tags": job.tags = try cursor.tags()
      case "schedule": job.schedule = try cursor.scheduledFire()
      default: return false
      }
      return true
    }
    guard job.token.rawValue > 0 else { throw UnexpectedResult(wanted: "a delivery's token") }
    return job
  }

  mutating func headers() throws(UnexpectedResult) -> [String: HeaderValue] {
    var headers: [String: HeaderValue] = [:]
    guard let count = readMapHeader() else { throw UnexpectedResult(wanted: "a map of headers") }
    for _ in 0..<count {
      let name = try text()
      if let value = readString() { headers[name] = .text(value) } else { headers[name] = .bytes(try bytes()) }
    }
    return headers
  }

  /// Tags that are no strings were another client's doing; they are not worth a job.
  mutating func tags() throws(UnexpectedResult) -> [String] {
    try elements { cursor throws(UnexpectedResult) -> String? in
      if let tag = cursor.readString() { return tag }
      cursor.skip()
      return nil
    }.compactMap(\.self)
  }
}
