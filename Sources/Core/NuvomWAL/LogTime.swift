/// The moment of a batch or snapshot on both clocks, as the broker's loop read them for that turn.
@frozen
public struct LogTime: Sendable, Equatable {
  /// Microseconds since the machine's boot (suspended time included); starts again at a reboot.
  public var bootMicroseconds: Int64
  /// Microseconds since 1970-01-01 UTC; may step when the clock is set.
  public var wallMicroseconds: Int64

  /// A moment from the two clocks' readings, both in microseconds.
  @inlinable
  public init(bootMicroseconds: Int64, wallMicroseconds: Int64) {
    self.bootMicroseconds = bootMicroseconds
    self.wallMicroseconds = wallMicroseconds
  }
}
