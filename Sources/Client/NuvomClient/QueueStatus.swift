import MessagePack

/// How many jobs a queue holds in which state.
public struct QueueSummary: Hashable, Sendable {
  /// The queue.
  public var name = ""
  /// Whether nothing is dequeued from it.
  public var isPaused = false
  /// May be dequeued.
  public var ready = 0
  /// Wait for their time.
  public var delayed = 0
  /// Held by workers.
  public var leased = 0
  /// Dead letters.
  public var dead = 0
}

/// Everything the broker knows of a queue. Totals count since its log began.
public struct QueueStatus: Hashable, Sendable {
  /// How many jobs are in which state.
  public var summary = QueueSummary()
  /// Kept after they succeeded.
  public var succeeded = 0
  /// Kept after they were cancelled.
  public var cancelled = 0
  /// Dequeues that wait for a job.
  public var waiting = 0
  /// How long the next job has been ready.
  public var oldestReady = Duration.zero
  /// What happened to its jobs.
  public var totals = Totals()
  /// Over about the last ten seconds.
  public var enqueuedPerSecond = 0.0
  /// Over about the last ten seconds.
  public var ackedPerSecond = 0.0
}

/// How many durations were how long.
public struct Histogram: Hashable, Sendable {
  /// The upper bound of each count but the last, rising.
  public var bounds: [Duration] = []
  /// How many were at most as long as the bound of the same index, and longer than the one before; the last: longer than all bounds.
  public var counts: [UInt64] = []
  /// All together.
  public var sum = Duration.zero
}

/// The broker in numbers.
public struct BrokerStatistics: Hashable, Sendable {
  /// The broker's version.
  public var version = ""
  /// How long it runs.
  public var uptime = Duration.zero
  /// How the log is synced: `always`, `interval:MS`, `never`, `ephemeral`.
  public var fsync = ""
  /// What happened to jobs, over all queues.
  public var totals = Totals()
  /// How late the fires of schedules came since the broker started.
  public var fireLateness = Histogram()
  /// All numbers by their names on the wire, also those that this version does not know: Protocol.md, stats.
  public var numbers: [String: UInt64] = [:]
}

extension MessageCursor {
  mutating func queueSummary() throws(UnexpectedResult) -> QueueSummary {
    var queue = QueueSummary()
    try fields { key, cursor throws(UnexpectedResult) in try queue.read(key, from: &cursor) }
    return queue
  }

  mutating func queueStatus() throws(UnexpectedResult) -> QueueStatus {
    var queue = QueueStatus()
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "succeeded": queue.succeeded = try cursor.count()
      case "cancelled": queue.cancelled = try cursor.count()
      case "waiting": queue.waiting = try cursor.count()
      case "oldest_ready_ms": queue.oldestReady = try cursor.duration()
      case "enqueued_per_second": queue.enqueuedPerSecond = try cursor.float()
      case "acked_per_second": queue.ackedPerSecond = try cursor.float()
      default:
        if try queue.summary.read(key, from: &cursor) { return true }
        return try queue.totals.read(key, from: &cursor)
      }
      return true
    }
    return queue
  }

  mutating func brokerStatistics() throws(UnexpectedResult) -> BrokerStatistics {
    var statistics = BrokerStatistics()
    try fields { key, cursor throws(UnexpectedResult) in
      var copy = cursor
      _ = try statistics.totals.read(key, from: &copy)
      switch key {
      case "version": statistics.version = try cursor.text()
      case "fsync": statistics.fsync = try cursor.text()
      case "fire_lateness": statistics.fireLateness = try cursor.histogram()
      default:
        guard let number = cursor.readUInt() else { return false }
        if key == "uptime_ms" { statistics.uptime = Duration(wireMilliseconds: number) }
        statistics.numbers[String(decoding: key.bytes, as: UTF8.self)] = number
      }
      return true
    }
    return statistics
  }

  private mutating func histogram() throws(UnexpectedResult) -> Histogram {
    var histogram = Histogram()
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "le_ms": histogram.bounds = try cursor.elements { cursor throws(UnexpectedResult) in try cursor.duration() }
      case "counts": histogram.counts = try cursor.elements { cursor throws(UnexpectedResult) in try cursor.number() }
      case "sum_ms": histogram.sum = try cursor.duration()
      default: return false
      }
      return true
    }
    return histogram
  }
}

extension QueueSummary {
  fileprivate mutating func read(
    _ key: MessageKey, from cursor: inout MessageCursor
  ) throws(UnexpectedResult) -> Bool {
    switch key {
    case "queue": name = try cursor.text()
    case "paused": isPaused = try cursor.flag()
    case "ready": ready = try cursor.count()
    case "delayed": delayed = try cursor.count()
    case "leased": leased = try cursor.count()
    case "dead": dead = try cursor.count()
    default: return false
    }
    return true
  }
}

extension Totals {
  fileprivate mutating func read(
    _ key: MessageKey, from cursor: inout MessageCursor
  ) throws(UnexpectedResult) -> Bool {
    switch key {
    case "enqueued_total": enqueued = try cursor.number()
    case "delivered_total": delivered = try cursor.number()
    case "acked_total": acked = try cursor.number()
    case "nacked_total": nacked = try cursor.number()
    case "released_total": released = try cursor.number()
    case "lease_expired_total": leaseExpired = try cursor.number()
    case "expired_total": expired = try cursor.number()
    case "cancelled_total": cancelled = try cursor.number()
    case "dead_total": dead = try cursor.number()
    default: return false
    }
    return true
  }
}
