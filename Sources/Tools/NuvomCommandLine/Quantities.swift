import Foundation

/// A value that was written in a way that cannot be read; the description says how to write it.
package struct Unreadable: Error, CustomStringConvertible {
  package let description: String

  /// What is to be written instead.
  package init(description: String) { self.description = description }
}

/// Durations as people write them: `250ms`, `5s`, `1.5h`.
package enum DurationText {
  private static let units: [(name: String, milliseconds: Double)] = [
    ("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
  ]

  /// Reads a number with its unit, from 0 to 100 years; 0 needs no unit.
  package static func read(_ text: String) throws -> Duration {
    if text == "0" { return .zero }
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard let unit = units.first(where: { $0.name == text.dropFirst(digits.count) }), let number = Double(digits),
      number * unit.milliseconds <= 3_155_760_000_000
    else {
      throw Unreadable(
        description: "write a duration as a number and ms, s, m, h or d, as in 500ms or 1.5h; up to 100 years")
    }
    return .milliseconds(Int64((number * unit.milliseconds).rounded(.up)))
  }

  /// The largest unit that leaves a whole number, or seconds with a fraction.
  package static func write(_ duration: Duration) -> String {
    let milliseconds = Self.milliseconds(duration)
    if milliseconds == 0 { return "0s" }
    for unit in units.reversed() where milliseconds % Int64(unit.milliseconds) == 0 {
      return "\(milliseconds / Int64(unit.milliseconds))\(unit.name)"
    }
    return "\(milliseconds)ms"
  }

  /// For people who want to know how long, not how exactly: the two largest units.
  package static func writeRoughly(_ duration: Duration) -> String {
    let milliseconds = Self.milliseconds(duration)
    if milliseconds < 1_000 { return "\(milliseconds)ms" }
    let seconds = milliseconds / 1_000
    switch seconds {
    case ..<60: return "\(seconds)s"
    case ..<3_600: return "\(seconds / 60)m \(seconds % 60)s"
    case ..<86_400: return "\(seconds / 3_600)h \(seconds / 60 % 60)m"
    default: return "\(seconds / 86_400)d \(seconds / 3_600 % 24)h"
    }
  }

  /// Whole milliseconds.
  package static func milliseconds(_ duration: Duration) -> Int64 {
    duration.components.seconds * 1_000 + duration.components.attoseconds / 1_000_000_000_000_000
  }
}

/// Amounts of memory and disk as people write them: `512MiB`, `2GiB`, plain bytes.
package enum SizeText {
  private static let units = ["KiB", "MiB", "GiB", "TiB"]

  /// Reads bytes.
  package static func read(_ text: String) throws -> Int {
    var scale = 1
    var digits = text[...]
    for (index, unit) in units.enumerated() where text.hasSuffix(unit) {
      scale = 1 << (10 * (index + 1))
      digits = text.dropLast(unit.count)
    }
    guard let number = Int(digits), number >= 0, !number.multipliedReportingOverflow(by: scale).overflow else {
      throw Unreadable(description: "write a size as bytes or with KiB, MiB, GiB or TiB, as in 512MiB")
    }
    return number * scale
  }

  /// The largest unit that leaves at least one, with one digit after the point.
  package static func write(_ bytes: some BinaryInteger) -> String {
    var value = Double(bytes)
    var name = "B"
    for unit in units where value >= 1_024 {
      value /= 1_024
      name = unit
    }
    return name == "B" ? "\(bytes) B" : String(format: "%.1f %@", value, name)
  }
}

/// Clock times in ISO 8601.
package enum TimeText {
  /// Reads a time with its zone into milliseconds since 1970-01-01 UTC.
  package static func read(_ text: String) throws -> UInt64 {
    let styles = [Date.ISO8601FormatStyle(), Date.ISO8601FormatStyle(includingFractionalSeconds: true)]
    guard let date = styles.lazy.compactMap({ try? $0.parse(text) }).first, date.timeIntervalSince1970 >= 0 else {
      throw Unreadable(
        description: "write a time in ISO 8601 with its zone, as in 2027-01-31T18:30:00Z or 2027-01-31T19:30:00+01:00")
    }
    return UInt64((date.timeIntervalSince1970 * 1_000).rounded())
  }

  /// Writes milliseconds since 1970-01-01 UTC.
  package static func write(_ milliseconds: UInt64) -> String {
    Date(timeIntervalSince1970: Double(milliseconds) / 1_000)
      .formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }
}
