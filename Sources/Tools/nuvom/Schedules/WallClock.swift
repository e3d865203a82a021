import Foundation

/// The time of day, for what is reckoned from now.
enum WallClock {
  /// Milliseconds since 1970 UTC.
  static var milliseconds: UInt64 { UInt64(max(0, Date().timeIntervalSince1970) * 1_000) }
}
