/// Where a response goes.
@frozen
public struct Address: Hashable, Sendable, BitwiseCopyable {
  /// The connection that asked.
  public var connection: ConnectionID
  /// Its request's number.
  public var request: RequestID
  /// A request of a connection.
  @inlinable public init(connection: ConnectionID, request: RequestID) {
    self.connection = connection
    self.request = request
  }
}

/// A settlement or an id that was refused, beside others that were not.
@frozen
public struct Refusal: Sendable, BitwiseCopyable {
  /// The job.
  public var id: JobID
  /// The token that was shown; zero where none was asked for (cancel, dead letters).
  public var token: LeaseToken
  /// Why.
  public var code: ErrorCode
  /// A refusal.
  @inlinable public init(id: JobID, token: LeaseToken, code: ErrorCode) {
    self.id = id
    self.token = token
    self.code = code
  }
}

/// A job handed to a worker. Its bytes are the engine's, valid until the engine is called again.
@frozen
public struct Delivery: BitwiseCopyable {
  /// The job.
  public var id: JobID
  /// The lease under which the worker holds it.
  public var token: LeaseToken
  /// Which attempt this is, from 1.
  public var attempt: UInt32
  /// How long the lease lasts.
  public var leaseMilliseconds: UInt32
  /// For the worker; 0 is none.
  public var timeoutMilliseconds: UInt32
  /// How often in a row it was released with a delay.
  public var postponed: UInt32
  /// As enqueued.
  public var maximumAttempts: UInt16
  /// The queue's name.
  public var queue: BorrowedBytes
  /// The task's name.
  public var task: BorrowedBytes
  /// As enqueued.
  public var payload: BorrowedBytes
  /// One encoded map, or nothing.
  public var headers: BorrowedBytes
  /// One encoded array, or nothing.
  public var tags: BorrowedBytes
  /// The schedule that enqueued it, or nothing.
  public var schedule: BorrowedBytes
  /// For which due time of the schedule, in milliseconds since 1970.
  public var dueMilliseconds: Int64

  /// All of it.
  @inlinable public init(
    id: JobID, token: LeaseToken, attempt: UInt32, leaseMilliseconds: UInt32, timeoutMilliseconds: UInt32,
    postponed: UInt32 = 0, maximumAttempts: UInt16, queue: BorrowedBytes, task: BorrowedBytes, payload: BorrowedBytes,
    headers: BorrowedBytes, tags: BorrowedBytes, schedule: BorrowedBytes = .none, dueMilliseconds: Int64 = 0
  ) {
    self.id = id
    self.token = token
    self.attempt = attempt
    self.leaseMilliseconds = leaseMilliseconds
    self.timeoutMilliseconds = timeoutMilliseconds
    self.postponed = postponed
    self.maximumAttempts = maximumAttempts
    self.queue = queue
    self.task = task
    self.payload = payload
    self.headers = headers
    self.tags = tags
    self.schedule = schedule
    self.dueMilliseconds = dueMilliseconds
  }
}

/// What a request, or a thing that a request waited for, is answered with. Ranges are into the lists of the `Outcome`.
///
/// Plain numbers, and frozen, so that copying and forgetting an answer is copying its bytes or nothing. What needs arrays, and is rare, is a
/// `LargeAnswer`. (Only `Range`, which the standard library does not call `BitwiseCopyable`, keeps this from being called so.)
@frozen
public enum Answer: Sendable {
  /// An empty map.
  case done
  /// The ids, and the indexes of those that were there before.
  case enqueued(ids: Range<Int>, duplicates: Range<Int>)
  /// ack, nack, release, extend, progress.
  case settled(refusals: Range<Int>)
  /// dequeue.
  case delivered(deliveries: Range<Int>, refusals: Range<Int>)
  /// cancel; `leased` are those of `ids` that a worker holds.
  case cancelled(ids: Range<Int>, leased: Range<Int>, refusals: Range<Int>)
  /// The request was refused as a whole.
  case refused(ErrorCode, operation: Int? = nil, retryAfterMilliseconds: UInt32? = nil)
  /// purge.
  case purged(count: Int, more: Bool)
  /// dead_replay.
  case replayed(count: Int, more: Bool, refusals: Range<Int>)
  /// dead_delete.
  case deleted(count: Int, more: Bool, refusals: Range<Int>)
  /// The one of the `Outcome`'s large answers with this index.
  case large(Int)
}

/// An answer that holds arrays. Kept beside the others (`Outcome.add`), which each request has.
public enum LargeAnswer: Sendable {
  /// multi, an answer an operation.
  case results([Answer])
  /// get, wait.
  case job(JobDetails)
  /// dead_list.
  case jobs([JobDetails], next: JobID?)
  /// queues.
  case queues([QueueSummary], next: [UInt8]?)
  /// queue.
  case queue(QueueDetails)
  /// stats.
  case statistics(Statistics)
  /// schedule.
  case scheduled([ScheduleReceipt])
  /// schedule_get.
  case schedule(ScheduleDetails)
  /// schedules.
  case schedules([ScheduleDetails], next: [UInt8]?)
  /// schedule_pause, schedule_resume, schedule_delete; schedule_trigger, with the ids of its jobs.
  case named([NameRefusal], ids: [JobID]?)
}

/// What the engine tells after a command: to whom which answer. Kept and reused, so that its arrays keep their room.
public struct Outcome: ~Copyable {
  /// In the order in which they must leave.
  public var responses: [(address: Address, answer: Answer)] = []
  /// Job ids that answers refer to.
  public var ids: [JobID] = []
  /// Indexes that answers refer to.
  public var indexes: [Int] = []
  /// Refusals that answers refer to.
  public var refusals: [Refusal] = []
  /// Deliveries that answers refer to.
  public var deliveries: [Delivery] = []
  /// Large answers, by the index that `Answer.large` has.
  public private(set) var large: [LargeAnswer] = []

  /// Nothing to tell.
  public init() {}

  /// Keeps a large answer, until everything is forgotten; returns what stands for it.
  public mutating func add(_ answer: LargeAnswer) -> Answer {
    large.append(answer)
    return .large(large.count - 1)
  }

  /// Forgets everything but the room of its arrays.
  @inlinable public mutating func removeAll() {
    responses.forgetAll()
    ids.forgetAll()
    indexes.forgetAll()
    refusals.forgetAll()
    deliveries.forgetAll()
    if !large.isEmpty { removeLarge() }
  }

  @inline(never) @usableFromInline
  mutating func removeLarge() { large.removeAll(keepingCapacity: true) }
}
