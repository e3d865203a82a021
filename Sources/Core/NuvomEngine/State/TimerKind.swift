/// What a timer of the engine means when it fires. Its subject is a job's id, or a slot.
enum TimerKind {
  /// A delayed job's time has come (boot or wall clock).
  static let start: UInt8 = 1
  /// A job was not started in time (wall clock).
  static let expiry: UInt8 = 2
  /// A lease has run out (boot).
  static let lease: UInt8 = 3
  /// A finished job was kept long enough (boot).
  static let retention: UInt8 = 4
  /// A unique key's window is over (boot); the subject is the key's slot.
  static let keyWindow: UInt8 = 5
  /// A client was away too long (boot); the subject is the client's slot.
  static let clientAway: UInt8 = 6
  /// A waiting dequeue or wait has reached its limit (boot, volatile); the subject is the waiter's slot.
  static let waiter: UInt8 = 7
  /// A schedule is due (wall clock); the subject is the schedule's slot, as below.
  static let schedule: UInt8 = 8
  /// A fire that found no room is tried again (boot).
  static let schedulePostponed: UInt8 = 9
  /// A finished schedule was known long enough (boot).
  static let scheduleRetention: UInt8 = 10
}

/// Set in a record's timer number if the timer is in the wheel of the wall clock.
let wallTimerBit: UInt32 = 1 << 31
