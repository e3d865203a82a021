/// The methods of Protocol.md.
@frozen
public enum Method: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  case hello, ping, enqueue, dequeue, ack, nack, release, extend, progress, cancel, get, wait, multi
  case queues, queue, pause, resume, purge, deadList, deadReplay, deadDelete, stats
  case schedule, scheduleGet, schedules, schedulePause, scheduleResume, scheduleTrigger, scheduleDelete

  /// The method as it travels on the wire.
  public var wireName: StaticString {
    switch self {
    case .hello: "hello"
    case .ping: "ping"
    case .enqueue: "enqueue"
    case .dequeue: "dequeue"
    case .ack: "ack"
    case .nack: "nack"
    case .release: "release"
    case .extend: "extend"
    case .progress: "progress"
    case .cancel: "cancel"
    case .get: "get"
    case .wait: "wait"
    case .multi: "multi"
    case .queues: "queues"
    case .queue: "queue"
    case .pause: "pause"
    case .resume: "resume"
    case .purge: "purge"
    case .deadList: "dead_list"
    case .deadReplay: "dead_replay"
    case .deadDelete: "dead_delete"
    case .stats: "stats"
    case .schedule: "schedule"
    case .scheduleGet: "schedule_get"
    case .schedules: "schedules"
    case .schedulePause: "schedule_pause"
    case .scheduleResume: "schedule_resume"
    case .scheduleTrigger: "schedule_trigger"
    case .scheduleDelete: "schedule_delete"
    }
  }
}

/// How long a failed job waits before its next attempt.
@frozen
public struct Backoff: Hashable, Sendable, BitwiseCopyable {
  /// How the wait grows with the attempts.
  @frozen
  public enum Growth: UInt8, Sendable, BitwiseCopyable {
    case fixed, exponential

    /// The growth as it travels on the wire.
    public var wireName: StaticString {
      switch self {
      case .fixed: "fixed"
      case .exponential: "exponential"
      }
    }
  }

  /// How the wait grows.
  public var growth: Growth
  /// Milliseconds before the second attempt.
  public var baseMilliseconds: UInt32
  /// Milliseconds that no wait exceeds.
  public var capMilliseconds: UInt32
  /// Each wait is shortened by up to this part of it (0…100), derived from job and attempt.
  public var jitterPercent: UInt8

  /// One second, doubling, ten minutes at most, shortened by up to a tenth: the protocol's defaults.
  @inlinable public init(
    growth: Growth = .exponential, baseMilliseconds: UInt32 = 1_000, capMilliseconds: UInt32 = 600_000,
    jitterPercent: UInt8 = 10
  ) {
    self.growth = growth
    self.baseMilliseconds = baseMilliseconds
    self.capMilliseconds = capMilliseconds
    self.jitterPercent = jitterPercent
  }

  /// Written out, because one that the compiler adds is called and not inlined in other modules.
  @inlinable public static func == (one: Backoff, other: Backoff) -> Bool {
    one.growth == other.growth && one.baseMilliseconds == other.baseMilliseconds
      && one.capMilliseconds == other.capMilliseconds && one.jitterPercent == other.jitterPercent
  }
}

/// A point in time that is given as "so long from now" or as a clock time.
@frozen
public enum Moment: Hashable, Sendable, BitwiseCopyable {
  /// Not given: at once for a start, never for an expiry.
  case unspecified
  /// Milliseconds from now, on the clock that never steps.
  case after(milliseconds: UInt64)
  /// Milliseconds since 1970-01-01 UTC.
  case at(milliseconds: UInt64)
}

/// A job as a producer describes it. Field meanings, ranges and defaults: Protocol.md, enqueue.
@frozen
public struct NewJob: BitwiseCopyable {
  /// UTF-8, 1…255 bytes.
  public var queue: BorrowedBytes = .none
  /// UTF-8, 1…255 bytes.
  public var task: BorrowedBytes = .none
  /// Opaque.
  public var payload: BorrowedBytes = .none
  /// One encoded MessagePack map, or nothing.
  public var headers: BorrowedBytes = .none
  /// One encoded MessagePack array, or nothing.
  public var tags: BorrowedBytes = .none
  /// 1…255 bytes, or nothing.
  public var uniqueKey: BorrowedBytes = .none
  /// The key's window.
  public var uniqueMilliseconds: UInt64 = 3_600_000
  /// When it may be delivered first.
  public var start: Moment = .unspecified
  /// When it is dropped to the dead letters if it was not delivered.
  public var expiry: Moment = .unspecified
  /// How long the finished job is kept.
  public var retentionMilliseconds: UInt64 = 0
  /// For the worker; 0 is none.
  public var timeoutMilliseconds: UInt32 = 0
  /// 0 is what the dequeue asks.
  public var leaseMilliseconds: UInt32 = 0
  /// The wait before the next attempt.
  public var backoff = Backoff()
  /// 1…65,535.
  public var maximumAttempts: UInt16 = 3
  /// Lower first.
  public var priority: UInt8 = 5

  /// A job with the protocol's defaults and no queue or task yet.
  @inlinable public init() {}
}

/// One ack, nack, release or extend.
@frozen
public struct Settlement: BitwiseCopyable {
  /// What is done with the delivery.
  @frozen
  public enum Kind: UInt8, Sendable, BitwiseCopyable { case ack, nack, release, extend }

  /// What is done with the delivery.
  public var kind: Kind
  /// The job.
  public var id: JobID
  /// The lease under which the caller holds it.
  public var token: LeaseToken
  /// ack: the result, if one was given (`hasResult`).
  public var result: BorrowedBytes = .none
  /// ack: tells an empty result from none.
  public var hasResult = false
  /// nack: false sends the job to the dead letters at once.
  public var retry = true
  /// nack: instead of the backoff, if `hasDelay`. release: before it is ready again.
  public var delayMilliseconds: UInt64 = 0
  /// nack: whether a delay was given.
  public var hasDelay = false
  /// extend: the lease's new length from now; 0 keeps its length.
  public var leaseMilliseconds: UInt32 = 0
  /// nack: UTF-8.
  public var errorType: BorrowedBytes = .none
  /// nack: UTF-8.
  public var errorMessage: BorrowedBytes = .none
  /// nack: UTF-8.
  public var errorTrace: BorrowedBytes = .none

  /// A settlement with nothing but the lease.
  @inlinable public init(kind: Kind, id: JobID, token: LeaseToken) {
    self.kind = kind
    self.id = id
    self.token = token
  }
}

/// How far a worker is with a job that it holds. Field meanings and ranges: Protocol.md, progress.
@frozen
public struct ProgressReport: BitwiseCopyable {
  /// The job.
  public var id: JobID
  /// The lease under which the caller holds it.
  public var token: LeaseToken
  /// 0…100, if one was given.
  public var percent: UInt8?
  /// UTF-8, up to 255 bytes; empty is none.
  public var message: BorrowedBytes = .none

  /// A report that says no more than that the job is worked on.
  @inlinable public init(id: JobID, token: LeaseToken) {
    self.id = id
    self.token = token
  }
}

/// Why a job is a dead letter.
@frozen
public enum DeadReason: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  /// Its attempts were used up, the last by a nack.
  case failed = 1
  /// A nack forbade the retry.
  case rejected = 2
  /// Its attempts were used up, the last by a lease that ran out.
  case leaseExpired = 3
  /// It was not started in time.
  case expired = 4

  /// The reason as it travels on the wire.
  public var wireName: StaticString {
    switch self {
    case .failed: "failed"
    case .rejected: "rejected"
    case .leaseExpired: "lease_expired"
    case .expired: "expired"
    }
  }
}

/// The states of a job (Protocol.md, "Life of a job").
@frozen
public enum JobState: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  case delayed = 1
  case ready = 2
  case leased = 3
  case succeeded = 4
  case dead = 5
  case cancelled = 6

  /// The state as it travels on the wire.
  public var wireName: StaticString {
    switch self {
    case .delayed: "delayed"
    case .ready: "ready"
    case .leased: "leased"
    case .succeeded: "succeeded"
    case .dead: "dead"
    case .cancelled: "cancelled"
    }
  }

  /// Whether nothing will happen to the job any more unless somebody replays it.
  @inlinable public var isFinished: Bool { self == .succeeded || self == .dead || self == .cancelled }
}

/// One request, decoded: which method, and its parameters in the lists that the method uses.
///
/// A broker keeps one and decodes every frame into it, so that its arrays keep their room and decoding allocates nothing. The bytes
/// inside are the frame's and live as long as it.
public struct Request: ~Copyable {
  /// One operation of a multi: a method and its part of the lists below.
  @frozen
  public struct Operation {
    /// enqueue, ack, nack, release, extend or cancel.
    public var method: Method
    /// The index range in `jobs`, `settlements` or `ids`, by the method.
    public var items: Range<Int>
    /// A method and the range of its items.
    @inlinable public init(method: Method, items: Range<Int>) {
      self.method = method
      self.items = items
    }
  }

  /// Which dead letters (and, for `queues`, which page) are meant.
  @frozen
  public struct Filter: BitwiseCopyable {
    /// Only this queue, if not empty.
    public var queue: BorrowedBytes = .none
    /// Only this task, if not empty.
    public var task: BorrowedBytes = .none
    /// Only this reason, if given.
    public var reason: DeadReason?
    /// The page begins after this job.
    public var afterID: JobID?
    /// The page begins after this queue, if not empty.
    public var afterName: BorrowedBytes = .none
    /// Only schedules whose names begin so.
    public var prefix: BorrowedBytes = .none
    /// At most so many.
    public var limit = 0
    /// Everything, with no limit yet.
    @inlinable public init() {}
  }

  /// What a client says of itself.
  @frozen
  public struct Hello: BitwiseCopyable {
    /// The protocol version.
    public var version: UInt64 = 0
    /// Empty: no safe retries.
    public var clientID: BorrowedBytes = .none
    /// For people.
    public var name: BorrowedBytes = .none
    /// For people.
    public var host: BorrowedBytes = .none
    /// Nothing said yet.
    @inlinable public init() {}
  }

  /// The request's number.
  public var id = RequestID(rawValue: 0)
  /// What is asked.
  public var method = Method.ping
  /// hello.
  public var hello = Hello()
  /// enqueue, multi.
  public var jobs: [NewJob] = []
  /// ack, nack, release, extend, multi, and those that ride on a dequeue.
  public var settlements: [Settlement] = []
  /// progress.
  public var reports: [ProgressReport] = []
  /// cancel, multi, get and wait (the first), dead_replay and dead_delete (if given).
  public var ids: [JobID] = []
  /// multi.
  public var operations: [Operation] = []
  /// dequeue; the one queue of queue, pause, resume and purge.
  public var queues: [BorrowedBytes] = []
  /// dequeue.
  public var maximum = 1
  /// dequeue and wait.
  public var waitMilliseconds: UInt64 = 0
  /// dequeue.
  public var leaseMilliseconds: UInt32 = 30_000
  /// dead_list, dead_replay, dead_delete, queues, purge, schedules.
  public var filter = Filter()
  /// schedule.
  public var schedules: [NewSchedule] = []
  /// schedule_get (the first), schedule_pause, schedule_resume, schedule_trigger, schedule_delete.
  public var names: [BorrowedBytes] = []

  /// An empty request.
  public init() {}

  /// Forgets everything but the room of its arrays.
  @inlinable public mutating func removeAll() {
    hello = Hello()
    jobs.forgetAll()
    settlements.forgetAll()
    reports.forgetAll()
    ids.forgetAll()
    operations.forgetAll()
    queues.forgetAll()
    maximum = 1
    waitMilliseconds = 0
    leaseMilliseconds = 30_000
    filter = Filter()
    if !schedules.isEmpty || !names.isEmpty { removeSchedules() }
  }

  @inline(never) @usableFromInline
  mutating func removeSchedules() {
    schedules.removeAll(keepingCapacity: true)
    names.removeAll(keepingCapacity: true)
  }

  /// Whether the answer to it is remembered for a client that retries (Protocol.md, "Retrying requests safely").
  @inlinable public var isRemembered: Bool {
    switch method {
    case .enqueue, .ack, .nack, .release, .cancel, .multi, .schedule, .scheduleTrigger, .scheduleDelete: true
    case .dequeue: !settlements.isEmpty
    default: false
    }
  }
}
