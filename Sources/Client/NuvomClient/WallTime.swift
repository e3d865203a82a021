/// A time of the wall clock. `NuvomFoundationCompat` makes `Date` one; without Foundation there is ``UnixTime``.
public protocol WallTime: Sendable {
  /// Milliseconds since 1970-01-01 UTC. What is before 1970 counts as 1970; after the year 9999 the broker refuses it (`BAD_PARAMS`).
  var millisecondsSince1970: Int64 { get }
}

/// A time of the wall clock as a number.
public struct UnixTime: WallTime, Hashable {
  /// Milliseconds since 1970-01-01 UTC.
  public var millisecondsSince1970: Int64

  /// A time in milliseconds since 1970-01-01 UTC; what `Int64` cannot say is the nearest that it can.
  public init(millisecondsSince1970: some BinaryInteger) {
    self.millisecondsSince1970 = Int64(clamping: millisecondsSince1970)
  }
}

extension WallTime where Self == UnixTime {
  /// A time in milliseconds since 1970-01-01 UTC.
  /// ```swift
  /// try await report.schedule("launch", at: .millisecondsSince1970(1_800_000_000_000))
  /// ```
  public static func millisecondsSince1970(_ milliseconds: some BinaryInteger) -> UnixTime {
    UnixTime(millisecondsSince1970: milliseconds)
  }
}

extension Job.Time {
  /// A clock time; before 1970 it counts as 1970.
  public static func at(_ time: some WallTime) -> Job.Time {
    .at(millisecondsSince1970: UInt64(clamping: time.millisecondsSince1970))
  }
}

extension Schedule.Times {
  /// Once, at this time; at once if it is past. Before 1970 it counts as 1970.
  public static func at(_ time: some WallTime) -> Schedule.Times {
    .at(millisecondsSince1970: UInt64(clamping: time.millisecondsSince1970))
  }
}
