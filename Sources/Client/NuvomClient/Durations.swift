import NuvomModel

extension Duration {
  /// Whole microseconds, from 0 to what fits: for the client's own timers.
  var clampedMicroseconds: Int64 {
    let (seconds, attoseconds) = components
    if seconds < 0 || attoseconds < 0 { return 0 }
    let product = seconds.multipliedReportingOverflow(by: 1_000_000)
    if product.overflow { return .max }
    let sum = product.partialValue.addingReportingOverflow(attoseconds / 1_000_000_000_000)
    return sum.overflow ? .max : sum.partialValue
  }

  /// Milliseconds for the wire, a part of one counting whole: nothing is shortened to nothing.
  /// - Throws: `BAD_PARAMS` with the field, if it is negative or above the protocol's longest duration.
  func wireMilliseconds(_ field: String) throws(NuvomError) -> UInt64 {
    let (seconds, attoseconds) = components
    let longest = ProtocolLimits.durationMilliseconds
    guard seconds >= 0, attoseconds >= 0, UInt64(seconds) <= longest / 1_000 else {
      throw .badParameter(field, "a duration must be from 0 to 100 years, not \(self)")
    }
    return UInt64(seconds) * 1_000 + UInt64((attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
  }

  init(wireMilliseconds: UInt64) { self = .milliseconds(Int64(clamping: wireMilliseconds)) }
}
