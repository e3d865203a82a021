/// The time of one turn of the broker's loop, read once and given to everything decided in it.
///
/// Leases and relative delays run on `boot`, which never steps; absolute times and expiry on `wall`, which may.
@frozen
public struct Time: Hashable, Sendable, BitwiseCopyable {
  /// Microseconds since the machine started, counting sleep (CLOCK_BOOTTIME).
  public var boot: Int64
  /// Microseconds since 1970-01-01 UTC.
  public var wall: Int64

  /// Both clocks, in microseconds.
  @inlinable public init(boot: Int64, wall: Int64) {
    self.boot = boot
    self.wall = wall
  }

  /// The wall clock in milliseconds, as it is written on the wire.
  @inlinable public var wallMilliseconds: Int64 { wall / 1_000 }
}
