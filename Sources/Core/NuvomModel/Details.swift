/// An attempt that did not succeed.
public struct AttemptError: Hashable, Sendable {
  /// Which attempt, from 1.
  public var attempt: UInt32
  /// Milliseconds since 1970.
  public var atMilliseconds: Int64
  /// The error's type; `LeaseExpired` for a lease that ran out.
  public var type: [UInt8]
  /// The error's message.
  public var message: [UInt8]
  /// Where it happened.
  public var trace: [UInt8]
  /// All of it.
  public init(attempt: UInt32, atMilliseconds: Int64, type: [UInt8], message: [UInt8], trace: [UInt8]) {
    self.attempt = attempt
    self.atMilliseconds = atMilliseconds
    self.type = type
    self.message = message
    self.trace = trace
  }
}

/// How far the worker of a leased job has said it is.
public struct JobProgress: Hashable, Sendable {
  /// 0…100, if it was said.
  public var percent: UInt8?
  /// UTF-8, up to 255 bytes; empty is none.
  public var message: [UInt8]
  /// When it was said, in milliseconds since 1970.
  public var atMilliseconds: Int64
  /// All of it.
  public init(percent: UInt8?, message: [UInt8], atMilliseconds: Int64) {
    self.percent = percent
    self.message = message
    self.atMilliseconds = atMilliseconds
  }
}

/// Everything known of a job (Protocol.md, get).
public struct JobDetails: Hashable, Sendable {
  /// The job.
  public var id = JobID(rawValue: 0)
  /// Where it is in its life.
  public var state = JobState.ready
  /// Its queue's name.
  public var queue: [UInt8] = []
  /// The handler's name.
  public var task: [UInt8] = []
  /// As enqueued.
  public var payload: [UInt8] = []
  /// One encoded map, or nothing.
  public var headers: [UInt8] = []
  /// One encoded array, or nothing.
  public var tags: [UInt8] = []
  /// Lower first.
  public var priority: UInt8 = 5
  /// That of the present or last delivery; 0 before the first.
  public var attempt: UInt32 = 0
  /// As enqueued.
  public var maximumAttempts: UInt16 = 3
  /// Milliseconds since 1970.
  public var enqueuedAtMilliseconds: Int64 = 0
  /// delayed: when it becomes ready, in milliseconds since 1970.
  public var dueAtMilliseconds: Int64?
  /// leased: until the lease ends.
  public var leaseMillisecondsLeft: Int64?
  /// leased: the lease's token.
  public var token: LeaseToken?
  /// leased: what its worker last reported under this lease.
  public var progress: JobProgress?
  /// The schedule that enqueued it.
  public var fire: FireDetails?
  /// Finished: when, in milliseconds since 1970.
  public var finishedAtMilliseconds: Int64?
  /// succeeded: what the ack brought, while it is kept.
  public var result: [UInt8]?
  /// dead: why.
  public var deadReason: DeadReason?
  /// Attempts that ended with a lease that ran out.
  public var expiredLeases: UInt32 = 0
  /// How often in a row it was released with a delay.
  public var postponed: UInt32 = 0
  /// The last attempts that did not succeed, oldest first.
  public var errors: [AttemptError] = []
  /// Nothing known yet.
  public init() {}
}

/// How many jobs a queue holds in which state.
public struct QueueSummary: Hashable, Sendable {
  /// The queue's name.
  public var name: [UInt8] = []
  /// Whether nothing is dequeued from it.
  public var isPaused = false
  /// Jobs that may be dequeued.
  public var ready = 0
  /// Jobs that wait for their time.
  public var delayed = 0
  /// Jobs that workers hold.
  public var leased = 0
  /// Dead letters.
  public var dead = 0
  /// An empty queue without a name.
  public init() {}
}

/// What happened to jobs, counted since the log began.
@frozen
public struct Totals: Hashable, Sendable, BitwiseCopyable {
  /// Jobs taken in.
  public var enqueued: UInt64 = 0
  /// Deliveries.
  public var delivered: UInt64 = 0
  /// Deliveries that were acked.
  public var acked: UInt64 = 0
  /// Deliveries that were nacked.
  public var nacked: UInt64 = 0
  /// Deliveries that were given back.
  public var released: UInt64 = 0
  /// Deliveries whose lease ran out.
  public var leaseExpired: UInt64 = 0
  /// Jobs that were not started in time.
  public var expired: UInt64 = 0
  /// Jobs that were cancelled or purged.
  public var cancelled: UInt64 = 0
  /// Jobs that became dead letters.
  public var dead: UInt64 = 0
  /// Nothing happened.
  @inlinable public init() {}
}

/// Everything known of a queue (Protocol.md, queue).
public struct QueueDetails: Hashable, Sendable {
  /// What a list of queues shows.
  public var summary = QueueSummary()
  /// Jobs kept with their results.
  public var succeeded = 0
  /// Cancelled jobs that are kept.
  public var cancelled = 0
  /// Dequeues that wait.
  public var waiting = 0
  /// How long the next job has been ready.
  public var oldestReadyMilliseconds: Int64 = 0
  /// What happened to its jobs.
  public var totals = Totals()
  /// Over about the last ten seconds.
  public var enqueuedPerSecond = 0.0
  /// Over about the last ten seconds.
  public var ackedPerSecond = 0.0
  /// An empty queue without a name.
  public init() {}
}

/// The broker in numbers (Protocol.md, stats). The engine fills in what it knows, the broker the rest.
public struct Statistics: Hashable, Sendable {
  /// Since the broker serves.
  public var uptimeMilliseconds: Int64 = 0
  /// Open now.
  public var connections = 0
  /// Clients whose answers are remembered.
  public var clients = 0
  /// Queues known.
  public var queues = 0
  /// Jobs that may be dequeued.
  public var ready = 0
  /// Jobs that wait for their time.
  public var delayed = 0
  /// Jobs that workers hold.
  public var leased = 0
  /// Jobs kept with their results.
  public var succeeded = 0
  /// Cancelled jobs that are kept.
  public var cancelled = 0
  /// Dead letters.
  public var dead = 0
  /// What happened to jobs.
  public var totals = Totals()
  /// Dead letters dropped by age or by their limit.
  public var deadDropped: UInt64 = 0
  /// Schedules known, finished ones too.
  public var schedules = 0
  /// What happened to schedules.
  public var scheduleTotals = ScheduleTotals()
  /// How late fires were since the start.
  public var fireLateness = FireLateness()
  /// Fires that waited for memory or disk since the start, once for each try.
  public var firesPostponed: UInt64 = 0
  /// How often since the start the wall clock was set, by more than a second.
  public var clockSteps: UInt64 = 0
  /// Requests and settlements refused since the start.
  public var refused: UInt64 = 0
  /// The engine's own blocks.
  public var memoryBytes = 0
  /// Above it no job is taken in.
  public var memoryLimitBytes = 0
  /// always, interval:MS, never, ephemeral.
  public var fsync = ""
  /// Written to the log since the start.
  public var walBytes: UInt64 = 0
  /// Syncs of the log since the start.
  public var walSyncs: UInt64 = 0
  /// Batches written since the start.
  public var walBatches: UInt64 = 0
  /// All of the log's files.
  public var diskBytes: UInt64 = 0
  /// Snapshots taken since the start.
  public var snapshots: UInt64 = 0
  /// The server's version.
  public var version = ""
  /// Nothing counted yet.
  public init() {}
}
