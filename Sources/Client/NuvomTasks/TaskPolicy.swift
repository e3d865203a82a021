public import NuvomClient

/// What becomes of a job whose attempt takes longer than its timeout.
public enum TimeoutPolicy: String, Hashable, Sendable, CaseIterable {
  /// The attempt failed; the job is tried again while it has attempts.
  case retry
  /// The job is a dead letter at once.
  case fail
  /// The job counts as done, without a result.
  case ignore
}

/// How the jobs of a task are queued, tried and kept. Part of a ``TaskReference``, so that producers and workers agree on it; what
/// concerns the broker travels with each job.
public struct TaskPolicy: Hashable, Sendable {
  /// Where its jobs wait; 1…255 bytes.
  public var queue: String
  /// Lower first.
  public var priority: UInt8
  /// How often a job that failed is tried again, 0…65,534: it has one attempt more.
  public var retries: Int
  /// The wait before the next attempt.
  public var backoff: Job.Backoff
  /// How long one attempt may take, more than zero; nil: no limit.
  public var timeout: Duration?
  /// What becomes of a job whose attempt takes longer.
  public var timeoutPolicy: TimeoutPolicy
  /// Whether the broker keeps what the task returns. If not, nobody can ask for it.
  public var storeResult: Bool
  /// How long a finished job, with its result, is kept.
  public var retention: Duration
  /// How long its leases last between a worker's signs of life; nil: as long as the worker asks.
  public var lease: Duration?
  /// For people; up to 4 KiB encoded, they travel with each job.
  public var tags: [String]
  /// For people.
  public var description: String
  /// For people.
  public var category: String

  /// A policy; what is not said has the protocol's defaults.
  ///
  /// - Parameter retryDelay: the same wait before each attempt, instead of a `backoff`.
  public init(
    queue: String = "default", priority: UInt8 = 5, retries: Int = 2, retryDelay: Duration? = nil,
    backoff: Job.Backoff = .exponential(), timeout: Duration? = nil, timeoutPolicy: TimeoutPolicy = .retry,
    storeResult: Bool = true, retention: Duration = .seconds(3_600), lease: Duration? = nil, tags: [String] = [],
    description: String = "", category: String = "default"
  ) {
    self.queue = queue
    self.priority = priority
    self.retries = retries
    self.backoff = retryDelay.map { .fixed($0, jitterPercent: 0) } ?? backoff
    self.timeout = timeout
    self.timeoutPolicy = timeoutPolicy
    self.storeResult = storeResult
    self.retention = retention
    self.lease = lease
    self.tags = tags
    self.description = description
    self.category = category
  }

  /// - Throws: `BAD_PARAMS` for what would mean something else on the wire; all other ranges are the broker's to check.
  func check() throws(NuvomError) {
    if let timeout, timeout <= .zero {
      throw NuvomError(.badParameters, "a timeout must be longer than zero; nil is no limit")
    }
    guard (0...65_534).contains(retries) else {
      throw NuvomError(.badParameters, "retries must be from 0 to 65,534, not \(retries)")
    }
  }
}

/// What is to happen only for one job, beside its task's policy.
public struct JobOptions: Hashable, Sendable {
  /// When it may be delivered first; nil: at once.
  public var start: Job.Time?
  /// When it becomes a dead letter if it was not delivered; nil: never.
  public var expiry: Job.Time?
  /// If a job with this key was enqueued within its window, nothing is enqueued, and the handle is that job's.
  public var uniqueKey: Job.UniqueKey?
  /// Beside those of the trace and of ``PropagatedContext``; up to 64 KiB in all.
  public var headers: [String: HeaderValue]

  /// By default nothing special.
  public init(
    start: Job.Time? = nil, expiry: Job.Time? = nil, uniqueKey: Job.UniqueKey? = nil,
    headers: [String: HeaderValue] = [:]
  ) {
    self.start = start
    self.expiry = expiry
    self.uniqueKey = uniqueKey
    self.headers = headers
  }
}
