public import NuvomClient
import Tracing

/// How a task's schedule behaves, beside when it is due and its task's policy. Meanings and ranges: `Schedule`.
public struct ScheduleOptions: Hashable, Sendable {
  /// No due time is before this, in milliseconds since 1970-01-01 UTC; nil: no limit.
  public var startAtMilliseconds: UInt64?
  /// No due time is after this, in milliseconds since 1970-01-01 UTC; nil: no limit.
  public var endAtMilliseconds: UInt64?
  /// It is finished after so many fires, at least one; nil: no limit.
  public var maximumFires: Int?
  /// Each fire comes a part of this later than its due time, always the same part, at most a day.
  public var jitter: Duration
  /// What becomes of due times that passed while the broker was down, the schedule was paused, or the clock was set forward.
  public var misfire: Schedule.MisfirePolicy
  /// A due time that passed longer ago than this is counted and not fired; nil: what the misfire policy says.
  public var catchUp: Duration?
  /// What a fire does while the job of the one before is not finished.
  public var overlap: Schedule.OverlapPolicy
  /// A job becomes a dead letter if it was not delivered so long after its fire; nil: never.
  public var expiry: Duration?
  /// Of each job, beside those of ``PropagatedContext``; up to 64 KiB in all.
  public var headers: [String: HeaderValue]
  /// For people and tools, not sent with the jobs; up to 4 KiB encoded.
  public var metadata: [String: String]
  /// How long the schedule is known when it has finished; nil: a week if it was given a name, else not at all.
  public var retention: Duration?

  /// By default nothing special.
  public init(
    startAtMilliseconds: UInt64? = nil, endAtMilliseconds: UInt64? = nil, maximumFires: Int? = nil,
    jitter: Duration = .zero, misfire: Schedule.MisfirePolicy = .once, catchUp: Duration? = nil,
    overlap: Schedule.OverlapPolicy = .allow, expiry: Duration? = nil, headers: [String: HeaderValue] = [:],
    metadata: [String: String] = [:], retention: Duration? = nil
  ) {
    self.startAtMilliseconds = startAtMilliseconds
    self.endAtMilliseconds = endAtMilliseconds
    self.maximumFires = maximumFires
    self.jitter = jitter
    self.misfire = misfire
    self.catchUp = catchUp
    self.overlap = overlap
    self.expiry = expiry
    self.headers = headers
    self.metadata = metadata
    self.retention = retention
  }
}

// A task's schedule is due in exactly one of four ways, each with a function of its own.
extension EnqueueableTask {
  /// Has the broker enqueue a job of the task once, at a time; at once if it is past. The schedule is on the broker's disk when this returns.
  ///
  /// - Parameters:
  ///   - time: a `Date` with `NuvomFoundationCompat`, or `.millisecondsSince1970(_:)`; what is before 1970 counts as 1970.
  ///   - name: 1…255 bytes, what the schedule is known by: the same call again changes nothing, another definition of the name replaces it. Nil: a
  ///     random one, forgotten when it has finished.
  ///   - client: by default `NuvomClient.current`.
  /// - Throws: `EncodingError`; what `NuvomClient.schedule` throws.
  @discardableResult
  public func schedule(
    _ input: Input, at time: some WallTime, named name: String? = nil,
    options: ScheduleOptions = ScheduleOptions(), on client: NuvomClient? = nil
  ) async throws -> ScheduleHandle<Output> {
    try await schedule(input, times: .at(time), named: name, options: options, on: client)
  }

  /// Has the broker enqueue a job of the task once, so long after it took the schedule. Otherwise as for a time.
  @discardableResult
  public func schedule(
    _ input: Input, in delay: Duration, named name: String? = nil, options: ScheduleOptions = ScheduleOptions(),
    on client: NuvomClient? = nil
  ) async throws -> ScheduleHandle<Output> {
    try await schedule(input, times: .in(delay), named: name, options: options, on: client)
  }

  /// Has the broker enqueue a job of the task again and again: at ``ScheduleOptions/startAtMilliseconds`` and every so long after it, at least 1 ms; without
  /// that, the first time after one whole interval. Otherwise as for a time.
  @discardableResult
  public func schedule(
    _ input: Input, every interval: Duration, named name: String? = nil, options: ScheduleOptions = ScheduleOptions(),
    on client: NuvomClient? = nil
  ) async throws -> ScheduleHandle<Output> {
    try await schedule(input, times: .every(interval), named: name, options: options, on: client)
  }

  /// Has the broker enqueue a job of the task at the times of a cron expression (Protocol.md, "Cron expressions"). Otherwise as for a time.
  /// ```swift
  /// try await report.schedule("sales", cron: "0 9 * * mon-fri", timeZone: "Europe/Berlin", named: "report.sales")
  /// ```
  /// - Parameters:
  ///   - timeZone: the IANA zone in which the expression is read.
  ///   - gap: what becomes of a local time that does not exist, since summer time begins.
  ///   - fold: what becomes of a local time that comes twice, since summer time ends.
  /// - Throws: also `BAD_PARAMS` for a wrong expression, its message naming the column; `UNKNOWN_TIME_ZONE`; `NEVER_DUE`.
  @discardableResult
  public func schedule(
    _ input: Input, cron expression: String, timeZone: String = "UTC", gap: Schedule.GapPolicy = .shift,
    fold: Schedule.FoldPolicy = .first, named name: String? = nil, options: ScheduleOptions = ScheduleOptions(),
    on client: NuvomClient? = nil
  ) async throws -> ScheduleHandle<Output> {
    try await schedule(
      input, times: .cron(expression, timeZone: timeZone, gap: gap, fold: fold), named: name, options: options,
      on: client)
  }

  /// Has the broker enqueue a job of the task once, at a time; at once if it is past. The schedule is on the broker's disk when this returns.
  ///
  /// - Parameters:
  ///   - time: a `Date` with `NuvomFoundationCompat`, or `.millisecondsSince1970(_:)`; what is before 1970 counts as 1970.
  ///   - name: 1…255 bytes, what the schedule is known by: the same call again changes nothing, another definition of the name replaces it. Nil: a
  ///     random one, forgotten when it has finished.
  ///   - client: by default `NuvomClient.current`.
  /// - Throws: `EncodingError`; what `NuvomClient.schedule` throws.
  @discardableResult
  public func schedule<each Argument>(
    _ arguments: repeat each Argument, at time: some WallTime, named name: String? = nil,
    options: ScheduleOptions = ScheduleOptions(), on client: NuvomClient? = nil
  ) async throws -> ScheduleHandle<Output> where Input == Arguments<repeat each Argument> {
    try await schedule(
      Arguments(repeat each arguments), times: .at(time), named: name, options: options,
      on: client)
  }

  /// Has the broker enqueue a job of the task once, so long after it took the schedule. Otherwise as for a time.
  @discardableResult
  public func schedule<each Argument>(
    _ arguments: repeat each Argument, in delay: Duration, named name: String? = nil,
    options: ScheduleOptions = ScheduleOptions(), on client: NuvomClient? = nil
  ) async throws -> ScheduleHandle<Output> where Input == Arguments<repeat each Argument> {
    try await schedule(Arguments(repeat each arguments), times: .in(delay), named: name, options: options, on: client)
  }

  /// Has the broker enqueue a job of the task again and again: at ``ScheduleOptions/startAtMilliseconds`` and every so long after it, at least 1 ms; without
  /// that, the first time after one whole interval. Otherwise as for a time.
  @discardableResult
  public func schedule<each Argument>(
    _ arguments: repeat each Argument, every interval: Duration, named name: String? = nil,
    options: ScheduleOptions = ScheduleOptions(), on client: NuvomClient? = nil
  ) async throws -> ScheduleHandle<Output> where Input == Arguments<repeat each Argument> {
    try await schedule(
      Arguments(repeat each arguments), times: .every(interval), named: name, options: options, on: client)
  }

  /// Has the broker enqueue a job of the task at the times of a cron expression (Protocol.md, "Cron expressions"). Otherwise as for a time.
  /// ```swift
  /// try await report.schedule("sales", cron: "0 9 * * mon-fri", timeZone: "Europe/Berlin", named: "report.sales")
  /// ```
  /// - Parameters:
  ///   - timeZone: the IANA zone in which the expression is read.
  ///   - gap: what becomes of a local time that does not exist, since summer time begins.
  ///   - fold: what becomes of a local time that comes twice, since summer time ends.
  /// - Throws: also `BAD_PARAMS` for a wrong expression, its message naming the column; `UNKNOWN_TIME_ZONE`; `NEVER_DUE`.
  @discardableResult
  public func schedule<each Argument>(
    _ arguments: repeat each Argument, cron expression: String, timeZone: String = "UTC",
    gap: Schedule.GapPolicy = .shift,
    fold: Schedule.FoldPolicy = .first, named name: String? = nil, options: ScheduleOptions = ScheduleOptions(),
    on client: NuvomClient? = nil
  ) async throws -> ScheduleHandle<Output> where Input == Arguments<repeat each Argument> {
    try await schedule(
      Arguments(repeat each arguments), times: .cron(expression, timeZone: timeZone, gap: gap, fold: fold), named: name,
      options: options, on: client)
  }

  /// The schedule that `schedule` would hand to the broker: for `NuvomClient.schedule`, which takes many, all or none. Its jobs carry the present
  /// ``PropagatedContext``, but not the present trace: a schedule outlives it, and each job begins one of its own.
  ///
  /// - Parameter name: 1…255 bytes; nil: a random one.
  /// - Throws: `EncodingError`; `BAD_PARAMS`.
  public func scheduleDefinition(
    _ input: Input, times: Schedule.Times, named name: String? = nil, options: ScheduleOptions = ScheduleOptions()
  ) throws -> Schedule {
    var job = try job(input, headers: options.headers)
    job.expiry = options.expiry.map { .after($0) }
    var schedule = Schedule(name ?? .randomScheduleName(), times, job: job)
    schedule.startAtMilliseconds = options.startAtMilliseconds
    schedule.endAtMilliseconds = options.endAtMilliseconds
    schedule.maximumFires = options.maximumFires
    schedule.jitter = options.jitter
    schedule.misfire = options.misfire
    schedule.catchUp = options.catchUp
    schedule.overlap = options.overlap
    schedule.metadata = options.metadata
    schedule.retention = options.retention ?? (name == nil ? .zero : Schedule.standardRetention)
    return schedule
  }

  /// The schedule that `schedule` would hand to the broker.
  public func scheduleDefinition<each Argument>(
    _ arguments: repeat each Argument, times: Schedule.Times, named name: String? = nil,
    options: ScheduleOptions = ScheduleOptions()
  ) throws -> Schedule where Input == Arguments<repeat each Argument> {
    try scheduleDefinition(Arguments(repeat each arguments), times: times, named: name, options: options)
  }

  private func schedule(
    _ input: Input, times: Schedule.Times, named name: String?, options: ScheduleOptions, on client: NuvomClient?
  ) async throws -> ScheduleHandle<Output> {
    let client = try NuvomClient.required(client)
    let schedule = try scheduleDefinition(input, times: times, named: name, options: options)
    return try await withSpan("schedule \(reference.name)", ofKind: .producer) { _ in
      ScheduleHandle(schedule.name, receipt: try await client.schedule(schedule), client: client)
    }
  }
}

extension String {
  /// 128 random bits in hexadecimal digits.
  fileprivate static func randomScheduleName() -> String {
    (0..<2).map { _ in
      let digits = String(UInt64.random(in: 0...UInt64.max), radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
