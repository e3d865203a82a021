import MessagePack
import NuvomTasks

/// What a worker tells its child. Both are the same build of one program: the messages have no versions.
enum ChildOrder: Codable, Sendable {
  /// The first: how to be.
  case configure(ChildConfiguration)
  /// Run a job, and answer with how it ended; one at a time.
  case run(Assignment)
  /// The attempt is over: end soon.
  case cancel
  /// What became of a report.
  case progressTold(number: Int, refusal: Refused?)

  /// The broker's or client's error.
  struct Refused: Codable, Sendable {
    let code: String
    let message: String
  }
}

/// What a child tells its worker.
enum ChildReport: Codable, Sendable {
  /// Jobs can come.
  case ready
  /// How far the job is; answered by the number.
  case progress(number: Int, percent: Int?, message: String?)
  /// The job has ended.
  case finished(JobOutcome)
}

/// How a child is to be.
struct ChildConfiguration: Codable, Sendable {
  /// The broker's, for the handlers' requests.
  let host: String
  let port: Int
  let clientName: String
  /// Bytes.
  let memoryLimit: Int?
}

/// A delivery for a child.
struct Assignment: Codable, Sendable {
  let job: LeasedJobMessage
  let timeLeft: Duration?
  /// The worker's span, as headers.
  let trace: [String: HeaderMessage]
}

/// How a job ended in a child.
struct JobOutcome: Codable, Sendable {
  /// Why it failed, as the broker is told.
  struct Failure: Codable, Sendable {
    let type: String
    let message: String
    let trace: String
    let delay: Duration?
    let retry: Bool
  }

  var result: [UInt8]?
  var failure: Failure?
  /// Jobs to enqueue with the ack.
  var following: [JobMessage] = []
}

/// A ``LeasedJob`` as it travels.
struct LeasedJobMessage: Codable, Sendable {
  private let id: UInt64
  private let token: UInt64
  private let attempt: Int
  private let maximumAttempts: Int
  private let postponed: Int
  private let lease: Duration
  private let timeout: Duration?
  private let queue: String
  private let task: String
  private let payload: [UInt8]
  private let headers: [String: HeaderMessage]
  private let tags: [String]
  private let schedule: String?
  private let scheduleDue: UInt64?

  init(_ job: LeasedJob) {
    id = job.id.rawValue
    token = job.token.rawValue
    attempt = job.attempt
    maximumAttempts = job.maximumAttempts
    postponed = job.postponed
    lease = job.lease
    timeout = job.timeout
    queue = job.queue
    task = job.task
    payload = job.payload
    headers = job.headers.mapValues(HeaderMessage.init)
    tags = job.tags
    schedule = job.schedule?.name
    scheduleDue = job.schedule?.dueAtMilliseconds
  }

  var job: LeasedJob {
    var job = LeasedJob(task: task, payload: payload)
    job.id = JobID(rawValue: id)
    job.token = LeaseToken(rawValue: token)
    job.attempt = attempt
    job.maximumAttempts = maximumAttempts
    job.postponed = postponed
    job.lease = lease
    job.timeout = timeout
    job.queue = queue
    job.headers = headers.mapValues(\.value)
    job.tags = tags
    if let schedule, let scheduleDue { job.schedule = ScheduledFire(name: schedule, dueAtMilliseconds: scheduleDue) }
    return job
  }
}

/// A ``Job`` as it travels.
struct JobMessage: Codable, Sendable {
  private enum Time: Codable {
    case after(Duration)
    case at(UInt64)

    init(_ time: Job.Time) {
      switch time {
      case .after(let delay): self = .after(delay)
      case .at(let milliseconds): self = .at(milliseconds)
      }
    }

    var value: Job.Time {
      switch self {
      case .after(let delay): .after(delay)
      case .at(let milliseconds): .at(millisecondsSince1970: milliseconds)
      }
    }
  }

  private struct Backoff: Codable {
    let isExponential: Bool
    let base: Duration
    let cap: Duration
    let jitterPercent: Int
  }

  private let task: String
  private let queue: String
  private let payload: [UInt8]
  private let headers: [String: HeaderMessage]
  private let tags: [String]
  private let priority: UInt8
  private let start: Time?
  private let expiry: Time?
  private let maximumAttempts: Int
  private let backoff: Backoff
  private let timeout: Duration?
  private let lease: Duration?
  private let retention: Duration
  private let uniqueKey: [UInt8]?
  private let uniqueWindow: Duration?

  init(_ job: Job) {
    task = job.task
    queue = job.queue
    payload = job.payload
    headers = job.headers.mapValues(HeaderMessage.init)
    tags = job.tags
    priority = job.priority
    start = job.start.map(Time.init)
    expiry = job.expiry.map(Time.init)
    maximumAttempts = job.maximumAttempts
    backoff = Backoff(
      isExponential: job.backoff.isExponential, base: job.backoff.base, cap: job.backoff.cap,
      jitterPercent: job.backoff.jitterPercent)
    timeout = job.timeout
    lease = job.lease
    retention = job.retention
    uniqueKey = job.uniqueKey?.bytes
    uniqueWindow = job.uniqueKey?.window
  }

  var job: Job {
    var job = Job(task: task, queue: queue, payload: payload)
    job.headers = headers.mapValues(\.value)
    job.tags = tags
    job.priority = priority
    job.start = start?.value
    job.expiry = expiry?.value
    job.maximumAttempts = maximumAttempts
    job.backoff = .exponential(base: backoff.base, cap: backoff.cap, jitterPercent: backoff.jitterPercent)
    job.backoff.isExponential = backoff.isExponential
    job.timeout = timeout
    job.lease = lease
    job.retention = retention
    if let uniqueKey, let uniqueWindow { job.uniqueKey = Job.UniqueKey(bytes: uniqueKey, window: uniqueWindow) }
    return job
  }
}

/// A ``HeaderValue`` as it travels: text, or else bytes.
struct HeaderMessage: Codable, Sendable {
  private let text: String?
  private let bytes: [UInt8]?

  init(_ value: HeaderValue) {
    switch value {
    case .text(let text): (self.text, bytes) = (text, nil)
    case .bytes(let bytes): (text, self.bytes) = (nil, bytes)
    }
  }

  var value: HeaderValue { text.map { .text($0) } ?? .bytes(bytes ?? []) }
}
