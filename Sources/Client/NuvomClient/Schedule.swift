import MessagePack
import NuvomModel

/// What the broker enqueues by itself, and when: once, at an interval, or by a cron expression. Ranges and defaults are those of Protocol.md,
/// schedule; the broker checks them.
///
/// ```swift
/// let job = try Job(task: "report", arguments: ["sales"])
/// try await client.schedule(Schedule("report.sales", .cron("0 9 * * mon-fri", timeZone: "Europe/Berlin"), job: job))
/// ```
public struct Schedule: Hashable, Sendable {
  /// When it is due, in one of four ways.
  public enum Times: Hashable, Sendable {
    /// Once, at this time in milliseconds since 1970-01-01 UTC; at once if it is past.
    case at(millisecondsSince1970: UInt64)
    /// Once, so long after it was created.
    case `in`(Duration)
    /// From ``Schedule/startAtMilliseconds`` on, and every so long after it; without that, the first time after one whole interval. At least 1 ms.
    case every(Duration)
    /// At the times of a cron expression (Protocol.md, "Cron expressions"), read in an IANA time zone.
    ///
    /// - Parameters:
    ///   - gap: what becomes of a local time that does not exist, since summer time begins.
    ///   - fold: what becomes of a local time that comes twice, since summer time ends.
    case cron(String, timeZone: String = "UTC", gap: GapPolicy = .shift, fold: FoldPolicy = .first)
  }

  /// What becomes of a due time that does not exist, since the clock was set forward over it.
  public enum GapPolicy: String, Hashable, Sendable, CaseIterable {
    /// The first instant after the gap.
    case shift
    /// None.
    case skip
  }

  /// What becomes of a due time that comes twice, since the clock was set back over it.
  public enum FoldPolicy: String, Hashable, Sendable, CaseIterable {
    /// The first of the two.
    case first
    /// The second of the two.
    case last
    /// Both.
    case both
  }

  /// What becomes of due times that passed while the broker was down, the schedule was paused, or the clock was set forward.
  public enum MisfirePolicy: String, Hashable, Sendable, CaseIterable {
    /// One fire for the last of them.
    case once
    /// One fire for the last of them, if it is not too late: see ``Schedule/catchUp``.
    case skip
    /// One fire for each.
    case all
  }

  /// What a fire does while the job of the one before is not finished.
  public enum OverlapPolicy: String, Hashable, Sendable, CaseIterable {
    /// Enqueues its job beside it.
    case allow
    /// Enqueues nothing, which is counted.
    case skip
    /// Enqueues its job when that one is finished; the latest such fire only.
    case bufferOne = "buffer_one"
    /// Cancels that one, and enqueues its job.
    case cancelPrevious = "cancel_previous"
  }

  /// What the schedule is known by, 1…255 bytes. One of the same name is replaced.
  public var name: String
  /// When it is due.
  public var times: Times
  /// What it enqueues: every field but ``Job/start`` and ``Job/uniqueKey``. An ``Job/expiry`` counts from the fire, so it must be `.after`.
  public var job: Job
  /// No due time is before this, in milliseconds since 1970-01-01 UTC; nil: no limit.
  public var startAtMilliseconds: UInt64?
  /// No due time is after this, in milliseconds since 1970-01-01 UTC; nil: no limit.
  public var endAtMilliseconds: UInt64?
  /// It is finished after so many fires, 1…4,294,967,295; nil: no limit.
  public var maximumFires: Int?
  /// Each fire comes a part of this later than its due time, at most a day. The part is derived from the name, so that it is always the same, and
  /// schedules of the same minute spread.
  public var jitter = Duration.zero
  /// What becomes of due times that passed without the broker.
  public var misfire = MisfirePolicy.once
  /// A due time that passed longer ago than this is counted and not fired; nil: a minute for ``MisfirePolicy/skip``, an hour for
  /// ``MisfirePolicy/all``, no limit for ``MisfirePolicy/once``.
  public var catchUp: Duration?
  /// What a fire does while the job of the one before is not finished.
  public var overlap = OverlapPolicy.allow
  /// For people and tools, not sent with the jobs; up to 4 KiB encoded. Of a schedule that came from the broker, values that are no text, which
  /// another client wrote, are shown as text; sent back they stay what they were, as long as the metadata is not changed beside them.
  public var metadata: [String: String] = [:]
  /// What the broker sent, if it is more than ``metadata`` says.
  var receivedMetadata: ReceivedMetadata?
  /// How long the schedule is known when it has finished. While it is, the same definition again fires nothing.
  public var retention = Schedule.standardRetention

  /// A schedule; what is not said has the protocol's defaults.
  public init(_ name: String, _ times: Times, job: Job) {
    self.name = name
    self.times = times
    self.job = job
  }

  /// How long a finished schedule is known unless it says otherwise: a week.
  public static let standardRetention = Duration.seconds(604_800)
}

extension Schedule.MisfirePolicy {
  /// The catch-up window of a definition that says none; for ``once`` the protocol's longest duration, which stands for no limit.
  package var standardCatchUp: Duration {
    switch self {
    case .once: Duration(wireMilliseconds: ProtocolLimits.durationMilliseconds)
    case .skip: .seconds(60)
    case .all: .seconds(3_600)
    }
  }
}

extension Schedule {
  /// The catch-up window, if it is another than the policy's own.
  package var chosenCatchUp: Duration? { catchUp == misfire.standardCatchUp ? nil : catchUp }
}

extension MessageWriter {
  mutating func write(_ schedule: Schedule) throws(NuvomError) {
    try schedule.check()
    // Only what differs from the protocol's defaults travels.
    let mark = ScheduleFields(schedule)
    mapHeader(mark.count)
    literal("name")
    string(schedule.name)
    switch schedule.times {
    case .at(let time):
      literal("at_ms")
      uint(time)
    case .in(let delay): try write("in_ms", delay)
    case .every(let interval): try write("every_ms", interval)
    case .cron(let expression, let timeZone, let gap, let fold):
      literal("cron")
      string(expression)
      literal("time_zone")
      string(timeZone)
      literal("gap")
      string(gap.rawValue)
      literal("fold")
      string(fold.rawValue)
    }
    if let time = schedule.startAtMilliseconds {
      literal("start_at_ms")
      uint(time)
    }
    if let time = schedule.endAtMilliseconds {
      literal("end_at_ms")
      uint(time)
    }
    if let maximum = schedule.maximumFires {
      literal("max_fires")
      int(Int64(maximum))
    }
    if mark.jitter { try write("jitter_ms", schedule.jitter) }
    if mark.misfire {
      literal("misfire")
      string(schedule.misfire.rawValue)
    }
    if let window = schedule.catchUp { try write("catch_up_ms", window) }
    if mark.overlap {
      literal("overlap")
      string(schedule.overlap.rawValue)
    }
    if mark.metadata {
      literal("metadata")
      if let received = try schedule.metadataToSend {
        received.encoded.withUnsafeBytes { raw($0) }
      } else {
        write(metadata: schedule.metadata)
      }
    }
    if mark.retention { try write("retention_ms", schedule.retention) }
    literal("job")
    try write(schedule.job)
  }
}

extension Schedule {
  /// What the wire cannot say, or would take for something else.
  fileprivate func check() throws(NuvomError) {
    if job.start != nil {
      throw .badParameter("job.start", "a schedule's job has no start of its own: the schedule says when")
    }
    if job.uniqueKey != nil {
      throw .badParameter("job.uniqueKey", "a schedule's job has no unique key: it is enqueued once for each due time")
    }
    if case .at = job.expiry {
      throw .badParameter("job.expiry", "the expiry of a schedule's job counts from each fire: give it with .after")
    }
    if let maximumFires, maximumFires < 1 {
      throw .badParameter("max_fires", "a schedule fires at least once, not \(maximumFires) times; nil is no limit")
    }
  }
}

/// Which fields of a schedule are written: their number comes first.
private struct ScheduleFields {
  let jitter: Bool
  let misfire: Bool
  let overlap: Bool
  let metadata: Bool
  let retention: Bool
  let count: Int

  init(_ schedule: Schedule) {
    jitter = schedule.jitter != .zero
    misfire = schedule.misfire != .once
    overlap = schedule.overlap != .allow
    metadata = !schedule.metadata.isEmpty
    retention = schedule.retention != Schedule.standardRetention
    let single = [
      schedule.startAtMilliseconds != nil, schedule.endAtMilliseconds != nil, schedule.maximumFires != nil, jitter,
      misfire, schedule.catchUp != nil, overlap, metadata, retention,
    ]
    let times = if case .cron = schedule.times { 4 } else { 1 }
    // Name, times and job are always there.
    count = 2 + times + single.count(where: { $0 })
  }
}
