public import Logging
public import NuvomClient
import Synchronization

/// The job that a handler is running: what it is, how long it may take, and what it can tell the broker meanwhile.
///
/// A handler finds it in ``current``; outside of a worker, when a task is called as a function, there is none.
public final class JobContext: Sendable {
  /// The job that the present Swift task runs, also in its child tasks.
  @TaskLocal public static var current: JobContext?

  /// The delivery: id, queue, task, headers, tags, schedule.
  public let job: LeasedJob
  /// When the attempt's timeout passes; nil: no limit.
  public let deadline: ContinuousClock.Instant?
  /// Says which job, attempt and task it is about.
  public let logger: Logger
  private let reportProgress: @Sendable (JobProgress) async throws -> Void
  private let following: Mutex<[Job]> = Mutex([])

  package init(
    job: LeasedJob, deadline: ContinuousClock.Instant?, logger: Logger,
    reportProgress: @escaping @Sendable (JobProgress) async throws -> Void
  ) {
    self.job = job
    self.deadline = deadline
    self.logger = logger
    self.reportProgress = reportProgress
  }

  /// The job's id, the same in every attempt: what makes a key for work that must be done once.
  public var id: JobID { job.id }
  /// Which attempt this is, from 1.
  public var attempt: Int { job.attempt }
  /// How many attempts the job has.
  public var maximumAttempts: Int { job.maximumAttempts }
  /// The schedule that enqueued the job, and for which of its due times; nil: it was enqueued by hand.
  public var schedule: ScheduledFire? { job.schedule }
  /// Rises with every delivery of the broker, also across restarts: a database that remembers the highest it has seen can refuse a
  /// worker that lost its lease without knowing.
  public var token: LeaseToken { job.token }

  /// Tells the broker how far the job is; `get` shows it until the attempt ends.
  ///
  /// - Parameters:
  ///   - percent: 0…100.
  ///   - message: for people, at most 255 bytes.
  /// - Throws: `LEASE_LOST`, `CANCELLED`: stop working on it.
  public func report(percent: Int? = nil, _ message: String? = nil) async throws {
    try await reportProgress(JobProgress(percent: percent, message: message))
  }

  /// Enqueues a job together with this one's ack, in one record of the broker's log: both happen, or neither. It is not enqueued if
  /// the attempt fails.
  /// ```swift
  /// try JobContext.current?.enqueueWithAck(publish.job(page))
  /// ```
  public func enqueueWithAck(_ job: Job) { following.withLock { $0.append(job) } }

  /// Jobs that are to be enqueued with the ack.
  package var jobsToEnqueue: [Job] { following.withLock { $0 } }
}

/// How far a job is.
public struct JobProgress: Hashable, Sendable {
  /// 0…100.
  public var percent: Int?
  /// For people.
  public var message: String?

  /// How far a job is.
  public init(percent: Int? = nil, message: String? = nil) {
    self.percent = percent
    self.message = message
  }
}
