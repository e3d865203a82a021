import MessagePack
import NuvomModel

/// The fire of a schedule that enqueued a job.
public struct ScheduledFire: Hashable, Sendable {
  /// The schedule's name.
  public var name: String
  /// For which of its due times, in milliseconds since 1970-01-01 UTC: the time that the job is about, whenever it runs. Of a triggered one, when
  /// it was triggered.
  public var dueAtMilliseconds: UInt64

  /// A fire of a schedule.
  public init(name: String, dueAtMilliseconds: UInt64) {
    self.name = name
    self.dueAtMilliseconds = dueAtMilliseconds
  }
}

/// What became of a schedule that was handed to the broker.
public struct ScheduleReceipt: Hashable, Sendable {
  /// What the broker did.
  public enum Status: String, Hashable, Sendable, CaseIterable {
    /// There was none of its name.
    case created
    /// There was one of its name, with another definition.
    case updated
    /// The same was there: nothing happened.
    case unchanged
  }

  /// What the broker did.
  public var status = Status.unchanged
  /// What differs from the definition that was there, as Protocol.md names it: `cron`, `job.payload`, …
  public var changed: [String] = []
  /// The next due time, in milliseconds since 1970-01-01 UTC; nil: it is finished.
  public var dueAtMilliseconds: UInt64?
}

/// A schedule of a request that was refused, beside others that were not.
public struct ScheduleRefusal: Hashable, Sendable {
  /// The schedule's name.
  public var name = ""
  /// Why.
  public var code = NuvomError.Code(rawValue: "")
  /// For a person.
  public var message = ""
}

/// What became of triggers.
public struct ScheduleTriggers: Hashable, Sendable {
  /// The jobs that were enqueued, in the order of the names that were not refused.
  public var jobs: [JobID] = []
  /// Not there (`NOT_FOUND`).
  public var refused: [ScheduleRefusal] = []
}

/// Everything the broker knows of a schedule. Times are milliseconds since 1970-01-01 UTC.
public struct ScheduleStatus: Hashable, Sendable {
  /// Where it is in its life.
  public enum State: String, Hashable, Sendable, CaseIterable {
    /// It fires when it is due.
    case active
    /// It does not fire until it is resumed.
    case paused
    /// It has no due time any more, and is forgotten when its retention is over.
    case finished
  }

  /// Its definition. In a list its job has no payload.
  public var schedule: Schedule
  /// Where it is in its life.
  public var state = State.active
  /// When it was created.
  public var createdAtMilliseconds: UInt64 = 0
  /// When its definition last changed.
  public var updatedAtMilliseconds: UInt64 = 0
  /// The next due time; nil: there is none.
  public var dueAtMilliseconds: UInt64?
  /// The next due time with the schedule's jitter.
  public var firesAtMilliseconds: UInt64?
  /// The last due time that was fired or counted.
  public var lastDueAtMilliseconds: UInt64?
  /// The last job that was enqueued.
  public var lastJob: JobID?
  /// The due time of the fire that waits for the last job to finish (``Schedule/OverlapPolicy/bufferOne``).
  public var bufferedDueAtMilliseconds: UInt64?
  /// Due times that enqueued a job.
  public var fired: UInt64 = 0
  /// Due times that passed without a fire: see ``Schedule/misfire``.
  public var missed: UInt64 = 0
  /// Due times at which the job of the one before was not finished: see ``Schedule/overlap``.
  public var skipped: UInt64 = 0
  /// Jobs that were enqueued by hand.
  public var triggered: UInt64 = 0
}

extension NuvomError {
  init(_ refusal: ScheduleRefusal) { self.init(refusal.code, refusal.message) }
}

extension MessageCursor {
  /// A delivery's or job's `schedule`.
  mutating func scheduledFire() throws(UnexpectedResult) -> ScheduledFire {
    var fire = ScheduledFire(name: "", dueAtMilliseconds: 0)
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "name": fire.name = try cursor.text()
      case "due_at_ms": fire.dueAtMilliseconds = try cursor.number()
      default: return false
      }
      return true
    }
    return fire
  }

  mutating func scheduleReceipt() throws(UnexpectedResult) -> ScheduleReceipt {
    var receipt = ScheduleReceipt()
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "status": receipt.status = try cursor.named()
      case "changed":
        receipt.changed = try cursor.elements { cursor throws(UnexpectedResult) in try cursor.text() }
      case "due_at_ms": receipt.dueAtMilliseconds = try cursor.number()
      default: return false
      }
      return true
    }
    return receipt
  }

  /// What was refused of a request that named these schedules.
  mutating func refusals(of names: [String]) throws(UnexpectedResult) -> [ScheduleRefusal] {
    try elements { cursor throws(UnexpectedResult) in
      var refusal = ScheduleRefusal()
      try cursor.fields { key, cursor throws(UnexpectedResult) in
        switch key {
        case "index":
          let index = try cursor.count()
          guard names.indices.contains(index) else { throw UnexpectedResult(wanted: "a name's index") }
          refusal.name = names[index]
        case "code": refusal.code = NuvomError.Code(rawValue: try cursor.text())
        case "message": refusal.message = try cursor.text()
        default: return false
        }
        return true
      }
      return refusal
    }
  }

  mutating func scheduleStatus() throws(UnexpectedResult) -> ScheduleStatus {
    var status = ScheduleStatus(schedule: Schedule("", .in(.zero), job: Job(task: "")))
    var times = ReadTimes()
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "state": status.state = try cursor.named()
      case "created_at_ms": status.createdAtMilliseconds = try cursor.number()
      case "updated_at_ms": status.updatedAtMilliseconds = try cursor.number()
      case "due_at_ms": status.dueAtMilliseconds = try cursor.number()
      case "fires_at_ms": status.firesAtMilliseconds = try cursor.number()
      case "last_due_at_ms": status.lastDueAtMilliseconds = try cursor.number()
      case "last_job": status.lastJob = try cursor.jobID()
      case "buffered_due_at_ms": status.bufferedDueAtMilliseconds = try cursor.number()
      case "fired_total": status.fired = try cursor.number()
      case "missed_total": status.missed = try cursor.number()
      case "skipped_total": status.skipped = try cursor.number()
      case "triggered_total": status.triggered = try cursor.number()
      default:
        if try times.read(key, from: &cursor) { return true }
        return try status.schedule.read(key, from: &cursor)
      }
      return true
    }
    status.schedule.times = try times.value()
    // The broker shows the policy's own window, too: written back beside another policy it would stay.
    status.schedule.catchUp = status.schedule.chosenCatchUp
    return status
  }

  fileprivate mutating func metadata() throws(UnexpectedResult) -> ReceivedMetadata {
    var metadata = ReceivedMetadata(encoded: [UInt8](rawBytes))
    guard let count = readMapHeader() else { throw UnexpectedResult(wanted: "a map of metadata") }
    for _ in 0..<count {
      let (name, value) = (try metadataText(), try metadataText())
      metadata.texts[name.text] = value.text
      if !name.isText || !value.isText { metadata.others.insert(name.text) }
    }
    return metadata
  }

  private mutating func metadataText() throws(UnexpectedResult) -> (text: String, isText: Bool) {
    if let text = readString() { return (text, true) }
    guard let raw = readRaw(), let value = try? MessageValue(decoding: raw) else {
      throw UnexpectedResult(wanted: "a value of the metadata")
    }
    return ("\(value)", false)
  }

  /// A definition's job: an enqueue's fields.
  fileprivate mutating func job() throws(UnexpectedResult) -> Job {
    var job = Job(task: "")
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "task": job.task = try cursor.text()
      case "queue": job.queue = try cursor.text()
      case "payload": job.payload = try cursor.bytes()
      case "headers": job.headers = try cursor.headers()
      case "tags": job.tags = try cursor.tags()
      case "priority": job.priority = UInt8(clamping: try cursor.number())
      case "expires_in_ms": job.expiry = .after(try cursor.duration())
      case "max_attempts": job.maximumAttempts = try cursor.count()
      case "backoff": job.backoff.isExponential = try cursor.text() == "exponential"
      case "backoff_base_ms": job.backoff.base = try cursor.duration()
      case "backoff_cap_ms": job.backoff.cap = try cursor.duration()
      case "jitter_percent": job.backoff.jitterPercent = try cursor.count()
      case "timeout_ms": job.timeout = try cursor.durationUnlessZero()
      case "lease_ms": job.lease = try cursor.durationUnlessZero()
      case "retention_ms": job.retention = try cursor.duration()
      default: return false
      }
      return true
    }
    return job
  }

  /// Nil for zero, which the protocol writes for "not said".
  private mutating func durationUnlessZero() throws(UnexpectedResult) -> Duration? {
    let duration = try duration()
    return duration == .zero ? nil : duration
  }
}

/// A definition's times, whose fields come in any order.
private struct ReadTimes {
  private var once: Schedule.Times?
  private var cron: String?
  private var timeZone = "UTC"
  private var gap = Schedule.GapPolicy.shift
  private var fold = Schedule.FoldPolicy.first

  mutating func read(_ key: MessageKey, from cursor: inout MessageCursor) throws(UnexpectedResult) -> Bool {
    switch key {
    case "at_ms": once = .at(millisecondsSince1970: try cursor.number())
    case "in_ms": once = .in(try cursor.duration())
    case "every_ms": once = .every(try cursor.duration())
    case "cron": cron = try cursor.text()
    case "time_zone": timeZone = try cursor.text()
    case "gap": gap = try cursor.named()
    case "fold": fold = try cursor.named()
    default: return false
    }
    return true
  }

  func value() throws(UnexpectedResult) -> Schedule.Times {
    if let cron { return .cron(cron, timeZone: timeZone, gap: gap, fold: fold) }
    guard let once else { throw UnexpectedResult(wanted: "a schedule's times") }
    return once
  }
}

extension Schedule {
  fileprivate mutating func read(
    _ key: MessageKey, from cursor: inout MessageCursor
  ) throws(UnexpectedResult) -> Bool {
    switch key {
    case "name": name = try cursor.text()
    case "start_at_ms": startAtMilliseconds = try cursor.number()
    case "end_at_ms": endAtMilliseconds = try cursor.number()
    case "max_fires":
      let maximum = try cursor.count()
      maximumFires = maximum == 0 ? nil : maximum
    case "jitter_ms": jitter = try cursor.duration()
    case "misfire": misfire = try cursor.named()
    case "catch_up_ms": catchUp = try cursor.duration()
    case "overlap": overlap = try cursor.named()
    case "metadata":
      let received = try cursor.metadata()
      metadata = received.texts
      receivedMetadata = received.isPlain ? nil : received
    case "retention_ms": retention = try cursor.duration()
    case "job": job = try cursor.job()
    default: return false
    }
    return true
  }
}
