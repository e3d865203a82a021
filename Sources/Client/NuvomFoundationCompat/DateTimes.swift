#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif
public import NuvomClient

/// A date is a time of the wall clock, to the nearest millisecond.
/// ```swift
/// try await report.schedule("launch", at: launch)
/// job.start = .at(launch)
/// ```
extension Date: WallTime {
  /// Rounded to the nearest; what `Int64` cannot say is the nearest that it can.
  public var millisecondsSince1970: Int64 {
    let milliseconds = (timeIntervalSince1970 * 1_000).rounded()
    return Int64(exactly: milliseconds) ?? (milliseconds < 0 ? .min : .max)
  }

  /// A time of the broker's, in milliseconds since 1970-01-01 UTC.
  public init(millisecondsSince1970 milliseconds: some BinaryInteger) {
    self.init(timeIntervalSince1970: Double(milliseconds) / 1_000)
  }
}
