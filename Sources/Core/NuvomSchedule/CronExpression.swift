/// When something recurs, in the words of cron: `30 2 * * MON-FRI`.
///
/// Sets of bits of a fixed size. Reading one allocates nothing, so a schedule can keep its text and be read anew at each fire.
public struct CronExpression: Hashable, Sendable {
  /// The longest text, in bytes.
  public static let maximumBytes = 255

  // Bit n is second, minute or hour n.
  var seconds: UInt64 = 1
  var minutes: UInt64 = 0
  var hours: UInt64 = 0
  /// Bit n is month n, from 1.
  var months: UInt64 = 0

  // Days of the month. Bit n is day n + 1, or n days before the last.
  var days: UInt64 = 0
  var daysBeforeLast: UInt64 = 0
  var weekdaysNearest: UInt64 = 0
  var weekdaysNearestBeforeLast: UInt64 = 0

  // Days of the week. Bit n is weekday n, Sunday is 0.
  var weekdays: UInt64 = 0
  /// Bits 8·n … 8·n + 6: those weekdays of which only the one in the month's days 7·n + 1 … 7·n + 7 is meant.
  var weekdaysByWeek: UInt64 = 0
  /// Those of which only the month's last is meant.
  var weekdaysLast: UInt64 = 0

  /// Which of the fields for days begins with `*`, or is `?`.
  var isAnyDay = false
  var isAnyWeekday = false

  /// Whether its minute or hour field begins with `*`.
  ///
  /// Then it is due at each instant at which the clock shows a time that matches, whatever happens to the clock: what does not exist is not due, what comes twice is due
  /// twice. Otherwise it means fixed times of day, and the policies for gaps and folds apply.
  public internal(set) var keepsRhythm = false

  /// The days of a month on which it is due: bit n is day n + 1.
  ///
  /// Days of the month and days of the week both count if one of the fields begins with `*`, otherwise one of them is enough (as in Vixie's cron).
  func days(ofMonthWithLength length: Int, firstWeekday: Int) -> UInt64 {
    let month: UInt64 = (1 << length) - 1
    // Weekdays of the days 1 to 7, and that for each week: a multiplication copies them.
    let week = turned(weekdays, by: firstWeekday)
    var byWeekday = week &* 0x1020_4081
    if weekdaysByWeek | weekdaysLast != 0 {
      for number in 0..<5 {
        byWeekday |= turned(weekdaysByWeek >> (8 * number) & 0x7F, by: firstWeekday) << (7 * number)
      }
      byWeekday |= (turned(weekdaysLast, by: firstWeekday) &* 0x1020_4081) & (month & ~(month >> 7))
    }
    var byDay = days
    if daysBeforeLast | weekdaysNearest | weekdaysNearestBeforeLast != 0 {
      byDay |= unusualDays(length: length, firstWeekday: firstWeekday)
    }
    return (isAnyDay || isAnyWeekday ? byDay & byWeekday : byDay | byWeekday) & month
  }

  private func unusualDays(length: Int, firstWeekday: Int) -> UInt64 {
    var days = reversed(daysBeforeLast, length: length)
    var wanted = (weekdaysNearest | reversed(weekdaysNearestBeforeLast, length: length)) & ((1 << length) - 1)
    while wanted != 0 {
      let day = wanted.trailingZeroBitCount
      wanted &= wanted - 1
      // Never in another month: at its ends the weekday on the other side of the weekend is taken.
      switch (firstWeekday + day) % 7 {
      case 6: days |= 1 << (day == 0 ? 2 : day - 1)
      case 0: days |= 1 << (day == length - 1 ? day - 2 : day + 1)
      default: days |= 1 << day
      }
    }
    return days
  }

  /// The weekdays of days 1 to 7 of a month, of which the first is `firstWeekday`.
  private func turned(_ weekdays: UInt64, by firstWeekday: Int) -> UInt64 {
    (weekdays >> firstWeekday | weekdays << (7 - firstWeekday)) & 0x7F
  }

  private func reversed(_ days: UInt64, length: Int) -> UInt64 {
    var rest = days
    var reversed: UInt64 = 0
    while rest != 0 {
      let day = length - 1 - rest.trailingZeroBitCount
      if day >= 0 { reversed |= 1 << day }
      rest &= rest - 1
    }
    return reversed
  }

  /// Whether there is any day on which it is due: in 400 years each month begins on each weekday, in each of its lengths.
  var isEverDue: Bool {
    for month in 1...12 where months >> month & 1 == 1 {
      for length in Calendar.length(ofMonth: month, year: 2_001)...Calendar.length(ofMonth: month, year: 2_000) {
        for weekday in 0..<7 where days(ofMonthWithLength: length, firstWeekday: weekday) != 0 { return true }
      }
    }
    return false
  }
}
