import NuvomModel

/// A schedule in the engine's table: what changes while it lives. 80 bytes; its definition is a `ScheduleBody` in the arena.
///
/// Times are milliseconds of the wall clock.
struct ScheduleRecord: BitwiseCopyable {
  var hash: UInt64
  var body: ArenaReference
  /// Interval: the time that its due times are counted from. Finished: since when.
  var stamp: Int64
  /// The next due time, without jitter, or `none`.
  var next: Int64
  /// The last due time that was fired, skipped or missed, or `none`. No due time up to it ever fires again.
  var last = Self.none
  /// The due time of the fire that waits for `lastJob`, or `none`.
  var buffered = Self.none
  /// The id of the last job that was enqueued, or 0.
  var lastJob: UInt64 = 0
  var fired: UInt32 = 0
  var missed: UInt32 = 0
  var skipped: UInt32 = 0
  var triggered: UInt32 = 0
  /// The pending timer, or `JobRecord.noTimer`.
  var timer = JobRecord.noTimer
  /// The number of the zone of a cron expression, or `noZone`.
  var zone: UInt16
  private var stateByte = ScheduleState.active.rawValue

  /// No such time.
  static let none = Int64.min
  static let noZone = UInt16.max

  init(hash: UInt64, body: ArenaReference, stamp: Int64, next: Int64, zone: UInt16) {
    self.hash = hash
    self.body = body
    self.stamp = stamp
    self.next = next
    self.zone = zone
  }

  var state: ScheduleState {
    get { ScheduleState(rawValue: stateByte) ?? .finished }
    set { stateByte = newValue.rawValue }
  }

  /// Whether the bits name a state, and times with which one can reckon: asked once, of records read from a snapshot.
  var isValid: Bool {
    func isTime(_ time: Int64) -> Bool { time == Self.none || (0...1 << 50).contains(time) }
    return ScheduleState(rawValue: stateByte) != nil && isTime(next) && isTime(last) && isTime(buffered)
      && (-1 << 50...1 << 50).contains(stamp)
  }
}
