/// A date and a time of day as calendar and clock on a wall show them: in which zone is not said.
///
/// The calendar is the Gregorian one, also before it was introduced. There are no leap seconds.
public struct CivilTime: Hashable, Sendable {
  /// Any year; 0 is the year before 1.
  public var year: Int
  /// 1…12.
  public var month: Int
  /// 1…31.
  public var day: Int
  /// 0…23.
  public var hour: Int
  /// 0…59.
  public var minute: Int
  /// 0…59.
  public var second: Int

  /// All of it. Whether such a day exists is not looked at; `isValid` says it.
  public init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    self.year = year
    self.month = month
    self.day = day
    self.hour = hour
    self.minute = minute
    self.second = second
  }

  /// What a clock shows that showed midnight, 1 January 1970, so many seconds ago.
  ///
  /// Local seconds, that is: those since 1970 in UTC plus the zone's offset.
  public init(localSeconds: Int64) {
    let days = floorDivision(localSeconds, Calendar.secondsPerDay)
    let rest = Int(localSeconds - days * Calendar.secondsPerDay)
    let date = Calendar.date(ofDay: Int(days))
    self.init(
      year: date.year, month: date.month, day: date.day, hour: rest / 3_600, minute: rest / 60 % 60, second: rest % 60)
  }

  /// The inverse of `init(localSeconds:)`.
  public var localSeconds: Int64 {
    let days = Int64(Calendar.day(year: year, month: month, day: day))
    return days * Calendar.secondsPerDay + Int64(hour * 3_600 + minute * 60 + second)
  }

  /// True of a date that exists, in the years 0…9999, with a time of day that does.
  public var isValid: Bool {
    guard 0...9_999 ~= year, 1...12 ~= month else { return false }
    return 1...Calendar.length(ofMonth: month, year: year) ~= day && 0...23 ~= hour && 0...59 ~= minute
      && 0...59 ~= second
  }

  /// The latest second that a due time may have: the end of the year 9999 in UTC.
  public static let lastSecond: Int64 = 253_402_300_799
}

/// Days and months of the Gregorian calendar. Days are numbered from 1 January 1970, which is 0.
enum Calendar {
  static let secondsPerDay: Int64 = 86_400

  static func isLeap(_ year: Int) -> Bool { year & 3 == 0 && (year % 100 != 0 || year % 400 == 0) }

  static func length(ofMonth month: Int, year: Int) -> Int {
    if month == 2 { return isLeap(year) ? 29 : 28 }
    // Long and short take turns, and begin anew in August.
    return 30 | ((month ^ (month >> 3)) & 1)
  }

  /// Years are counted from March here, so that the leap day is the last of its year and months have a plain formula; and in eras of 400
  /// years, after which the calendar repeats itself to the day of the week.
  static func day(year: Int, month: Int, day: Int) -> Int {
    let shifted = month > 2 ? year : year - 1
    let era = floorDivision(shifted, 400)
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  /// The inverse of `day(year:month:day:)`.
  static func date(ofDay day: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = day + 719_468
    let era = floorDivision(shifted, 146_097)
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (
      yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    )
  }

  /// 0 is Sunday. 1 January 1970 was a Thursday.
  static func weekday(ofDay day: Int) -> Int {
    let weekday = (day + 4) % 7
    return weekday < 0 ? weekday + 7 : weekday
  }
}

/// Rounds down, where `/` rounds towards zero.
@inline(__always)
func floorDivision<Number: FixedWidthInteger & SignedInteger>(_ number: Number, _ divisor: Number) -> Number {
  let quotient = number / divisor
  return number % divisor < 0 ? quotient - 1 : quotient
}
