/// A date and a time of day as ISO 8601 writes them, with or without an offset from UTC: `2026-03-29T03:00:00+02:00`.
public struct ISOTime: Hashable, Sendable {
  /// What the clock shows.
  public var civil: CivilTime
  /// 0…999.
  public var milliseconds: Int
  /// Seconds east of UTC; nil where the text says none, so that it is a local time of whatever zone its reader means.
  public var offset: Int32?

  /// All of it.
  public init(civil: CivilTime, milliseconds: Int = 0, offset: Int32? = nil) {
    self.civil = civil
    self.milliseconds = milliseconds
    self.offset = offset
  }

  /// An instant as the clocks of a zone show it.
  public init(seconds: Int64, in zone: ZoneRules) {
    let offset = zone.offset(at: seconds)
    self.init(civil: CivilTime(localSeconds: seconds + Int64(offset)), offset: offset)
  }

  /// The instant, in seconds since 1970 UTC; nil without an offset.
  public var seconds: Int64? { offset.map { civil.localSeconds - Int64($0) } }

  /// Reads `YYYY-MM-DD`, `T` or a blank, `hh:mm`, and if they are there: `:ss`, a fraction of which three digits count, and `Z`, `±hh:mm` or `±hhmm`.
  /// A date alone is its midnight, without an offset.
  ///
  /// Nil for anything else, for dates that do not exist, for 24:00 and for leap seconds.
  public init?(_ text: String) {
    var digits = DigitReader(bytes: Array(text.utf8))
    guard let year = digits.number(4), digits.take("-"), let month = digits.number(2), digits.take("-"),
      let day = digits.number(2)
    else { return nil }
    if digits.isAtEnd {
      let midnight = CivilTime(year: year, month: month, day: day)
      guard midnight.isValid else { return nil }
      self.init(civil: midnight)
      return
    }
    guard digits.take("T") || digits.take("t") || digits.take(" "), let hour = digits.number(2), digits.take(":"),
      let minute = digits.number(2)
    else { return nil }
    var second = 0
    var milliseconds = 0
    if digits.take(":") {
      guard let number = digits.number(2) else { return nil }
      second = number
      if digits.take(".") || digits.take(",") {
        guard let fraction = digits.fraction() else { return nil }
        milliseconds = fraction
      }
    }
    let civil = CivilTime(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    guard civil.isValid else { return nil }
    if digits.isAtEnd {
      self.init(civil: civil, milliseconds: milliseconds)
    } else if digits.take("Z") || digits.take("z") {
      guard digits.isAtEnd else { return nil }
      self.init(civil: civil, milliseconds: milliseconds, offset: 0)
    } else {
      let isWest = digits.take("-")
      guard isWest || digits.take("+"), let hours = digits.number(2), hours < 24 else { return nil }
      _ = digits.take(":")
      guard let minutes = digits.number(2), minutes < 60, digits.isAtEnd else { return nil }
      let offset = Int32(hours * 3_600 + minutes * 60)
      self.init(civil: civil, milliseconds: milliseconds, offset: isWest ? -offset : offset)
    }
  }
}

extension ISOTime: CustomStringConvertible {
  /// What `init(_:)` reads; the fraction only if there is one. Offsets with seconds, as zones had them long ago, get `±hh:mm:ss`.
  public var description: String {
    var text = padded(civil.year, 4)
    for (mark, number) in [("-", civil.month), ("-", civil.day), ("T", civil.hour), (":", civil.minute)] {
      text += mark + padded(number, 2)
    }
    text += ":" + padded(civil.second, 2)
    if milliseconds != 0 { text += "." + padded(milliseconds, 3) }
    guard let offset else { return text }
    if offset == 0 { return text + "Z" }
    let distance = Int(offset.magnitude)
    text += (offset < 0 ? "-" : "+") + padded(distance / 3_600, 2) + ":" + padded(distance / 60 % 60, 2)
    return distance % 60 == 0 ? text : text + ":" + padded(distance % 60, 2)
  }

  private func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number.magnitude)
    return (number < 0 ? "-" : "") + String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}

/// Numbers of a fixed number of digits.
private struct DigitReader {
  let bytes: [UInt8]
  var position = 0

  var isAtEnd: Bool { position == bytes.count }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  mutating func digit() -> Int? {
    guard position < bytes.count, 48...57 ~= bytes[position] else { return nil }
    position += 1
    return Int(bytes[position - 1] - 48)
  }

  mutating func number(_ count: Int) -> Int? {
    var number = 0
    for _ in 0..<count {
      guard let digit = digit() else { return nil }
      number = number * 10 + digit
    }
    return number
  }

  /// Thousandths; what is finer is cut off.
  mutating func fraction() -> Int? {
    guard var thousandths = digit() else { return nil }
    thousandths *= 100
    var place = 10
    while let digit = digit() {
      thousandths += digit * place
      place /= 10
    }
    return thousandths
  }
}
