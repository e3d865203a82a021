import NuvomModel

/// The broker's clocks, made of a manual one.
///
/// A broker's timers fire at ticks of 128 µs, up to a tick after they are due. A test that advances by exactly a job's delay wants the job, so
/// the broker's clocks are put forward to a tick that is less than 128 µs ahead, and stay so: a thousand timers put them forward by 0.13 s at
/// most, and nothing is ever late.
final class BrokerTime {
  private static let tick: Int64 = 128
  private static let boot: Int64 = 1_000_000_000
  private let clock: ManualClock
  /// Microseconds since 1970, when the manual clock is at zero.
  private let wall: Int64
  private var ahead: Int64 = 0

  init(_ clock: ManualClock, wallMilliseconds: Int64) {
    self.clock = clock
    wall = wallMilliseconds * 1_000
  }

  /// Microseconds of the manual clock.
  var elapsed: Int64 { Self.microseconds(clock.now) }

  var now: Time {
    let passed = elapsed + ahead
    return Time(boot: Self.boot + passed, wall: wall + passed)
  }

  /// When the manual clock should stop for a deadline of the boot clock; nil if that is after `target`. At a whole millisecond if there is one:
  /// that is how durations travel.
  func stop(for deadline: Int64, by target: Int64) -> Int64? {
    let latest = deadline - Self.boot - ahead
    let earliest = latest - (Self.tick - 1)
    if earliest > target { return nil }
    let whole = latest / 1_000 * 1_000
    return max(elapsed, whole >= earliest && whole <= target ? whole : min(latest, target))
  }

  /// Whether a deadline is reached; then the clocks stand at it, at least.
  func reach(_ deadline: Int64) -> Bool {
    let left = deadline - now.boot
    if left >= Self.tick { return false }
    if left > 0 { ahead += left }
    return true
  }

  static func microseconds(_ instant: ManualClock.Instant) -> Int64 {
    let (seconds, attoseconds) = instant.sinceStart.components
    return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
  }
}
