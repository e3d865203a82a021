// Schedules as they are asked for and told of. Field meanings, ranges and defaults: Protocol.md, schedule.

/// What becomes of a local time that does not exist, because clocks are set forward over it.
@frozen
public enum GapPolicy: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  /// The first instant after the gap stands for it.
  case shift = 0
  /// Nothing is due.
  case skip = 1

  /// The policy as it travels on the wire.
  public var wireName: StaticString {
    switch self {
    case .shift: "shift"
    case .skip: "skip"
    }
  }
}

/// Which instant a local time means that comes twice, because clocks are set back over it.
@frozen
public enum FoldPolicy: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  case first = 0
  case last = 1
  case both = 2

  /// The policy as it travels on the wire.
  public var wireName: StaticString {
    switch self {
    case .first: "first"
    case .last: "last"
    case .both: "both"
    }
  }
}

/// What becomes of due times that passed without a fire.
@frozen
public enum MisfirePolicy: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  /// One fire, for the last of them.
  case once = 0
  /// One fire for the last of them, if that is hardly late.
  case skip = 1
  /// A fire for each.
  case all = 2

  /// The policy as it travels on the wire.
  public var wireName: StaticString {
    switch self {
    case .once: "once"
    case .skip: "skip"
    case .all: "all"
    }
  }

  /// How late a due time may still fire unless the schedule says so itself, in milliseconds.
  public var catchUpMilliseconds: UInt64 {
    switch self {
    case .once: ProtocolLimits.durationMilliseconds
    case .skip: 60_000
    case .all: 3_600_000
    }
  }
}

/// What a fire does while the job of the one before is not finished.
@frozen
public enum OverlapPolicy: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  /// It enqueues its job beside it.
  case allow = 0
  /// It enqueues nothing.
  case skip = 1
  /// It waits until the other is finished; of several that wait the last stays.
  case bufferOne = 2
  /// It cancels the other.
  case cancelPrevious = 3

  /// The policy as it travels on the wire.
  public var wireName: StaticString {
    switch self {
    case .allow: "allow"
    case .skip: "skip"
    case .bufferOne: "buffer_one"
    case .cancelPrevious: "cancel_previous"
    }
  }
}

/// When a schedule is due.
@frozen
public enum ScheduleTimes: BitwiseCopyable {
  /// Once, in milliseconds since 1970.
  case at(milliseconds: UInt64)
  /// Once, so long after the schedule was made.
  case after(milliseconds: UInt64)
  /// Again and again, so long after each other.
  case every(milliseconds: UInt64)
  /// By a cron expression, which was found to be one, in a time zone by its name.
  case cron(BorrowedBytes, zone: BorrowedBytes, GapPolicy, FoldPolicy)
}

/// A schedule as its owner defines it.
@frozen
public struct NewSchedule: BitwiseCopyable {
  /// UTF-8, 1…255 bytes.
  public var name: BorrowedBytes = .none
  /// When it is due.
  public var times = ScheduleTimes.at(milliseconds: 0)
  /// No due time is before, in milliseconds since 1970.
  public var startMilliseconds: UInt64?
  /// No due time is after, in milliseconds since 1970.
  public var endMilliseconds: UInt64?
  /// Fires after which it is finished; 0 is no limit.
  public var maximumFires: UInt32 = 0
  /// Fires are spread over so long.
  public var jitterMilliseconds: UInt64 = 0
  /// What becomes of due times that passed.
  public var misfire = MisfirePolicy.once
  /// How late a due time may still fire; nil is what the policy says.
  public var catchUpMilliseconds: UInt64?
  /// What a fire does beside an unfinished job.
  public var overlap = OverlapPolicy.allow
  /// One encoded map, or nothing.
  public var metadata: BorrowedBytes = .none
  /// How long the finished schedule is known.
  public var retentionMilliseconds: UInt64 = 604_800_000
  /// What a fire enqueues. It has no start, no unique key, and an expiry only from the fire on.
  public var job = NewJob()

  /// A schedule with the protocol's defaults, and no name, times or job yet.
  @inlinable public init() {}
}

/// A field of a schedule's definition that an update changed. The raw values are bits' places in a remembered answer.
@frozen
public enum ScheduleField: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  case at = 0
  case after, every, cron, timeZone, gap, fold, start, end, maximumFires, jitter, misfire, catchUp, overlap, metadata
  case retention, queue, task, payload, headers, tags, priority, options

  /// The field as an answer names it.
  public var wireName: StaticString {
    switch self {
    case .at: "at_ms"
    case .after: "in_ms"
    case .every: "every_ms"
    case .cron: "cron"
    case .timeZone: "time_zone"
    case .gap: "gap"
    case .fold: "fold"
    case .start: "start_at_ms"
    case .end: "end_at_ms"
    case .maximumFires: "max_fires"
    case .jitter: "jitter_ms"
    case .misfire: "misfire"
    case .catchUp: "catch_up_ms"
    case .overlap: "overlap"
    case .metadata: "metadata"
    case .retention: "retention_ms"
    case .queue: "job.queue"
    case .task: "job.task"
    case .payload: "job.payload"
    case .headers: "job.headers"
    case .tags: "job.tags"
    case .priority: "job.priority"
    case .options: "job.options"
    }
  }
}

/// What a definition did.
@frozen
public struct ScheduleReceipt: Hashable, Sendable, BitwiseCopyable {
  /// What a definition did.
  @frozen
  public enum Status: UInt8, Sendable, CaseIterable, BitwiseCopyable {
    case created = 1
    case updated = 2
    case unchanged = 3

    /// The status as it travels on the wire.
    public var wireName: StaticString {
      switch self {
      case .created: "created"
      case .updated: "updated"
      case .unchanged: "unchanged"
      }
    }
  }

  /// Whether there was a schedule of the name, and a different one.
  public var status: Status
  /// The fields that changed, as bits by `ScheduleField`.
  public var changed: UInt32
  /// The next due time in milliseconds since 1970; nil if there is none.
  public var dueMilliseconds: Int64?

  /// All of it.
  @inlinable public init(status: Status, changed: UInt32, dueMilliseconds: Int64?) {
    self.status = status
    self.changed = changed
    self.dueMilliseconds = dueMilliseconds
  }
}

/// A name of a request that was refused, beside others that were not.
@frozen
public struct NameRefusal: Sendable, BitwiseCopyable {
  /// The name's place among those of the request.
  public var index: Int
  /// Why.
  public var code: ErrorCode
  /// A refusal.
  @inlinable public init(index: Int, code: ErrorCode) {
    self.index = index
    self.code = code
  }
}

/// Whether a schedule fires.
@frozen
public enum ScheduleState: UInt8, Sendable, CaseIterable, BitwiseCopyable {
  case active, paused, finished

  /// The state as it travels on the wire.
  public var wireName: StaticString {
    switch self {
    case .active: "active"
    case .paused: "paused"
    case .finished: "finished"
    }
  }
}

/// The times of a schedule, as they are told.
public enum ScheduleTimesDetails: Hashable, Sendable {
  case at(milliseconds: UInt64)
  case after(milliseconds: UInt64)
  case every(milliseconds: UInt64)
  case cron([UInt8], zone: [UInt8], GapPolicy, FoldPolicy)
}

/// Everything known of a schedule (Protocol.md, schedule_get).
public struct ScheduleDetails: Hashable, Sendable {
  /// Its name.
  public var name: [UInt8] = []
  /// Whether it fires.
  public var state = ScheduleState.active
  /// When it is due.
  public var times = ScheduleTimesDetails.at(milliseconds: 0)
  /// As defined.
  public var startMilliseconds: UInt64?
  /// As defined.
  public var endMilliseconds: UInt64?
  /// As defined.
  public var maximumFires: UInt32 = 0
  /// As defined.
  public var jitterMilliseconds: UInt64 = 0
  /// As defined.
  public var misfire = MisfirePolicy.once
  /// As defined, or what the policy says.
  public var catchUpMilliseconds: UInt64 = 0
  /// As defined.
  public var overlap = OverlapPolicy.allow
  /// One encoded map, or nothing.
  public var metadata: [UInt8] = []
  /// As defined.
  public var retentionMilliseconds: UInt64 = 0
  /// What a fire enqueues.
  public var job = ScheduledJobDetails()
  /// Milliseconds since 1970.
  public var createdAtMilliseconds: Int64 = 0
  /// Milliseconds since 1970.
  public var updatedAtMilliseconds: Int64 = 0
  /// The next due time, in milliseconds since 1970.
  public var dueMilliseconds: Int64?
  /// The same with its jitter.
  public var firesAtMilliseconds: Int64?
  /// The last due time that was fired or counted.
  public var lastDueMilliseconds: Int64?
  /// The last job that was enqueued.
  public var lastJob: JobID?
  /// The fire that waits for the last job.
  public var bufferedDueMilliseconds: Int64?
  /// Fires, without triggers.
  public var fired: UInt32 = 0
  /// Due times that passed without a fire.
  public var missed: UInt32 = 0
  /// Fires that enqueued nothing beside an unfinished job.
  public var skipped: UInt32 = 0
  /// Jobs enqueued by hand.
  public var triggered: UInt32 = 0
  /// Nothing known yet.
  public init() {}
}

/// The job of a schedule's fires, as it is told.
public struct ScheduledJobDetails: Hashable, Sendable {
  /// Its queue's name.
  public var queue: [UInt8] = []
  /// The handler's name.
  public var task: [UInt8] = []
  /// As defined; nil in a list of schedules.
  public var payload: [UInt8]?
  /// One encoded map, or nothing.
  public var headers: [UInt8] = []
  /// One encoded array, or nothing.
  public var tags: [UInt8] = []
  /// Lower first.
  public var priority: UInt8 = 5
  /// From the fire; nil is never.
  public var expiresInMilliseconds: UInt64?
  /// 1…65,535.
  public var maximumAttempts: UInt16 = 3
  /// The wait before the next attempt.
  public var backoff = Backoff()
  /// For the worker; 0 is none.
  public var timeoutMilliseconds: UInt32 = 0
  /// 0 is what the dequeue asks.
  public var leaseMilliseconds: UInt32 = 0
  /// How long the finished job is kept.
  public var retentionMilliseconds: UInt64 = 0
  /// Nothing known yet.
  public init() {}
}

/// Which schedule enqueued a job, and for which due time.
public struct FireDetails: Hashable, Sendable {
  /// The schedule's name.
  public var schedule: [UInt8]
  /// Milliseconds since 1970.
  public var dueMilliseconds: Int64
  /// A fire.
  public init(schedule: [UInt8], dueMilliseconds: Int64) {
    self.schedule = schedule
    self.dueMilliseconds = dueMilliseconds
  }
}

/// What happened to schedules, counted since the log began.
@frozen
public struct ScheduleTotals: Hashable, Sendable, BitwiseCopyable {
  /// Fires that enqueued a job.
  public var fired: UInt64 = 0
  /// Due times that passed without a fire.
  public var missed: UInt64 = 0
  /// Fires that enqueued nothing beside an unfinished job.
  public var skipped: UInt64 = 0
  /// Fires more than a second after due time and jitter.
  public var late: UInt64 = 0
  /// Jobs enqueued by hand.
  public var triggered: UInt64 = 0
  /// Nothing happened.
  @inlinable public init() {}
}

/// How late fires were, as a histogram.
public struct FireLateness: Hashable, Sendable {
  /// Upper bounds in milliseconds; one more count is of all above.
  public static let boundsMilliseconds: [UInt64] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000, 60_000, 3_600_000,
  ]
  /// How many fires were at most so late, and later than the bound before.
  public private(set) var counts = [UInt64](repeating: 0, count: boundsMilliseconds.count + 1)
  /// The sum of all, in microseconds.
  public private(set) var sumMicroseconds: UInt64 = 0
  /// No fire yet.
  public init() {}

  /// Adds a fire that came so late.
  public mutating func add(microseconds: Int64) {
    let late = UInt64(max(0, microseconds))
    let place = Self.boundsMilliseconds.firstIndex { late <= $0 * 1_000 } ?? Self.boundsMilliseconds.count
    counts[place] += 1
    sumMicroseconds &+= late
  }
}
