import MessagePack
import NuvomModel

/// Everything the broker knows of a job. Times are milliseconds since 1970-01-01 UTC.
public struct JobStatus: Hashable, Sendable {
  /// An attempt that did not succeed.
  public struct AttemptError: Hashable, Sendable {
    /// Which attempt, from 1.
    public var attempt = 0
    /// When it ended.
    public var atMilliseconds: UInt64 = 0
    /// The error's type; `LeaseExpired` for a lease that ran out.
    public var type = ""
    /// What happened.
    public var message = ""
    /// Where it happened.
    public var trace = ""
  }

  /// How far its worker has said it is with a leased job.
  public struct Progress: Hashable, Sendable {
    /// 0…100; nil if it did not say.
    public var percent: Int?
    /// What it said; nil if nothing.
    public var message: String?
    /// When it was said.
    public var atMilliseconds: UInt64 = 0
  }

  /// The job.
  public var id = JobID(rawValue: 0)
  /// Where it is in its life.
  public var state = JobState.ready
  /// Its queue.
  public var queue = ""
  /// The name of its handler.
  public var task = ""
  /// As enqueued.
  public var payload: [UInt8] = []
  /// As enqueued.
  public var headers: [String: HeaderValue] = [:]
  /// As enqueued.
  public var tags: [String] = []
  /// Lower first.
  public var priority: UInt8 = 5
  /// That of the present or last delivery; 0 before the first.
  public var attempt = 0
  /// As enqueued.
  public var maximumAttempts = 3
  /// When it was enqueued.
  public var enqueuedAtMilliseconds: UInt64 = 0
  /// When a delayed job becomes ready.
  public var dueAtMilliseconds: UInt64?
  /// How long a leased job's lease still lasts.
  public var leaseLeft: Duration?
  /// A leased job's token.
  public var token: LeaseToken?
  /// What a leased job's worker last said under this lease. A restart of the broker forgets it.
  public var progress: Progress?
  /// When it finished.
  public var finishedAtMilliseconds: UInt64?
  /// What it was acked with.
  public var result: [UInt8]?
  /// Why it is a dead letter.
  public var deadReason: DeadReason?
  /// How many of its leases ran out.
  public var expiredLeases = 0
  /// How often in a row it was released with a delay; an attempt that fails, or a replay, begins anew.
  public var postponed = 0
  /// The schedule that enqueued it, and for which due time; nil: it was enqueued by hand.
  public var schedule: ScheduledFire?
  /// The last ten attempts that failed, oldest first.
  public var errors: [AttemptError] = []

  /// The result as a Swift value, from MessagePack. Nil if there is none.
  /// - Throws: `DecodingError`.
  public func decodeResult<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value? {
    guard let result else { return nil }
    return try MessagePackDecoder().decode(type, from: result)
  }
}

extension MessageCursor {
  mutating func jobStatus() throws(UnexpectedResult) -> JobStatus {
    var job = JobStatus()
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "id": job.id = try cursor.jobID()
      case "state": job.state = try cursor.named(JobState.allCases, \.wireName)
      case "queue": job.queue = try cursor.text()
      case "task": job.task = try cursor.text()
      case "payload": job.payload = try cursor.bytes()
      case "headers": job.headers = try cursor.headers()
      case "tags": job.tags = try cursor.tags()
      case "priority": job.priority = UInt8(clamping: try cursor.number())
      case "attempt": job.attempt = try cursor.count()
      case "max_attempts": job.maximumAttempts = try cursor.count()
      case "enqueued_at_ms": job.enqueuedAtMilliseconds = try cursor.number()
      case "due_at_ms": job.dueAtMilliseconds = try cursor.number()
      case "lease_ms_left": job.leaseLeft = try cursor.duration()
      case "token": job.token = try cursor.token()
      case "progress": job.progress = try cursor.progress()
      case "finished_at_ms": job.finishedAtMilliseconds = try cursor.number()
      case "result": job.result = try cursor.bytes()
      case "dead_reason": job.deadReason = try cursor.named(DeadReason.allCases, \.wireName)
      case "expired_leases": job.expiredLeases = try cursor.count()
      case "postponed": job.postponed = try cursor.count()
      case "schedule": job.schedule = try cursor.scheduledFire()
      case "errors": job.errors = try cursor.attemptErrors()
      default: return false
      }
      return true
    }
    return job
  }

  /// A string that is one of these names.
  fileprivate mutating func named<Value>(
    _ values: [Value], _ name: (Value) -> StaticString
  ) throws(UnexpectedResult) -> Value {
    let text = try text()
    guard let value = values.first(where: { "\(name($0))" == text }) else {
      throw UnexpectedResult(wanted: "a known name instead of \"\(text)\"")
    }
    return value
  }

  private mutating func progress() throws(UnexpectedResult) -> JobStatus.Progress {
    var progress = JobStatus.Progress()
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "percent": progress.percent = try cursor.count()
      case "message": progress.message = try cursor.text()
      case "at_ms": progress.atMilliseconds = try cursor.number()
      default: return false
      }
      return true
    }
    return progress
  }

  private mutating func attemptErrors() throws(UnexpectedResult) -> [JobStatus.AttemptError] {
    try elements { cursor throws(UnexpectedResult) in
      var error = JobStatus.AttemptError()
      try cursor.fields { key, cursor throws(UnexpectedResult) in
        switch key {
        case "attempt": error.attempt = try cursor.count()
        case "at_ms": error.atMilliseconds = try cursor.number()
        case "type": error.type = try cursor.text()
        case "message": error.message = try cursor.text()
        case "trace": error.trace = try cursor.text()
        default: return false
        }
        return true
      }
      return error
    }
  }
}
