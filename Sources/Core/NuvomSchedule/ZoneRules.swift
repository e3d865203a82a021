/// A stretch of time during which a zone's offset stays as it is.
public struct OffsetPeriod: Hashable, Sendable {
  /// Its first second, since 1970 UTC.
  public var start: Int64
  /// The first second after it.
  public var end: Int64
  /// Seconds east of UTC.
  public var offset: Int32

  /// What clocks show at its first second.
  @inline(__always) var localStart: Int64 { start + Int64(offset) }
  /// What clocks would show at the first second after it.
  @inline(__always) var localEnd: Int64 { end + Int64(offset) }
}

/// The rules of one time zone, as a value: each change of its offset, and a rule for all years after the last of them.
///
/// Where they come from is the caller's matter (a TZif file's bytes); when they change, `fingerprint` does. A class, so that handing it around is one pointer;
/// nothing in it ever changes.
public final class ZoneRules: Sendable {
  /// Coordinated Universal Time, whose offset never changes.
  public static let utc = ZoneRules(
    transitions: [], types: [], offsets: [0], abbreviations: ["UTC"], rule: nil, fingerprint: 0x55_5443)

  /// Says whether it was made from the same bytes.
  public let fingerprint: UInt64

  /// The seconds since 1970 at which the offset changes, ascending.
  let transitions: [Int64]
  /// Beside each transition, which of `offsets` and `abbreviations` holds from it on. The first of those holds before all transitions.
  let types: [UInt16]
  let offsets: [Int32]
  let abbreviations: [String]
  /// What holds from the last transition on; nil where nothing changes any more.
  let rule: YearlyRule?

  /// Periods without a beginning or an end end here, so that adding offsets never overflows.
  static let farthest: Int64 = 1 << 60
  /// No zone is farther from UTC (RFC 9636 allows −24:59:59 to +25:59:59).
  static let offsetRange: ClosedRange<Int32> = -89_999...93_599
  /// No two local times of one instant are farther apart, and no local time comes again after so long.
  static let widestShift: Int64 = 2 * 93_600

  init(
    transitions: [Int64], types: [UInt16], offsets: [Int32], abbreviations: [String], rule: YearlyRule?,
    fingerprint: UInt64
  ) {
    self.transitions = transitions
    self.types = types
    self.offsets = offsets
    self.abbreviations = abbreviations
    self.rule = rule
    self.fingerprint = fingerprint
  }

  /// Seconds east of UTC at an instant, given in seconds since 1970 UTC.
  public func offset(at seconds: Int64) -> Int32 { period(at: seconds).offset }

  /// What the zone's time is called at an instant: `CEST`, or `+03` where there is no name.
  public func abbreviation(at seconds: Int64) -> String {
    let next = nextTransition(after: seconds)
    if let rule, next == transitions.count {
      return rule.period(at: seconds).offset == rule.daylightOffset ? rule.daylightName : rule.standardName
    }
    return abbreviations[next == 0 ? 0 : Int(types[next - 1])]
  }

  /// The period that an instant lies in. Neighbours may have the same offset.
  public func period(at seconds: Int64) -> OffsetPeriod {
    let next = nextTransition(after: seconds)
    let start = next == 0 ? -Self.farthest : transitions[next - 1]
    if next == transitions.count {
      guard let rule else { return OffsetPeriod(start: start, end: Self.farthest, offset: offset(ofTransition: next)) }
      var period = rule.period(at: seconds)
      period.start = max(period.start, start)
      return period
    }
    return OffsetPeriod(start: start, end: transitions[next], offset: offset(ofTransition: next))
  }

  private func offset(ofTransition next: Int) -> Int32 { offsets[next == 0 ? 0 : Int(types[next - 1])] }

  /// The index of the first transition after an instant; `transitions.count` if there is none.
  private func nextTransition(after seconds: Int64) -> Int {
    // Who asks for the present is after the last one in most zones: their footer's rule covers it.
    guard let last = transitions.last, seconds < last else { return transitions.count }
    var low = 0
    var high = transitions.count - 1
    while low < high {
      let middle = (low + high) / 2
      if transitions[middle] <= seconds { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// When daylight saving time begins and ends in any year: the footer of a TZif file (POSIX, `CET-1CEST,M3.5.0,M10.5.0/3`).
struct YearlyRule: Hashable, Sendable {
  var standardOffset: Int32
  var standardName: String
  var daylightOffset: Int32
  var daylightName: String
  /// nil where there is no daylight saving time.
  var changes: Changes?

  struct Changes: Hashable, Sendable {
    var toDaylight: Change
    var toStandard: Change
  }

  /// A day of a year, and a time by the clock until then.
  struct Change: Hashable, Sendable {
    enum Day: Hashable, Sendable {
      /// 1…365; 29 February is not counted.
      case ofCommonYear(Int)
      /// 0…365.
      case ofYear(Int)
      /// The week is 1…5, where 5 is the last; Sunday is 0.
      case ofMonth(month: Int, week: Int, weekday: Int)
    }
    var day: Day
    /// Seconds since midnight; −167…167 hours.
    var time: Int32

    /// The local time, in seconds, by the clock as it was before.
    func localSeconds(in year: Int) -> Int64 {
      let date: Int
      switch day {
      case .ofCommonYear(let number):
        let leapDay = Calendar.isLeap(year) && number >= 60 ? 1 : 0
        date = Calendar.day(year: year, month: 1, day: number) + leapDay
      case .ofYear(let number):
        date = Calendar.day(year: year, month: 1, day: 1) + number
      case .ofMonth(let month, let week, let weekday):
        let first = Calendar.day(year: year, month: month, day: 1)
        var day = weekday - Calendar.weekday(ofDay: first)
        if day < 0 { day += 7 }
        day += (week - 1) * 7
        date = first + (day < Calendar.length(ofMonth: month, year: year) ? day : day - 7)
      }
      return Int64(date) * Calendar.secondsPerDay + Int64(time)
    }
  }

  /// The period of an instant, if the rule had always been there.
  func period(at seconds: Int64) -> OffsetPeriod {
    guard let changes else {
      return OffsetPeriod(start: -ZoneRules.farthest, end: ZoneRules.farthest, offset: standardOffset)
    }
    // Nobody asks for years far beyond 9999, but somebody might.
    let instant = min(max(seconds, -(1 << 50)), 1 << 50)
    var period = OffsetPeriod(start: -ZoneRules.farthest, end: ZoneRules.farthest, offset: standardOffset)
    let year = Calendar.date(ofDay: Int(floorDivision(instant, Calendar.secondsPerDay))).year
    // What a rule says of a year can lie in the one before or after, by offset and by its time.
    for year in [year, year - 1, year + 1] {
      if period.start > -ZoneRules.farthest, period.end < ZoneRules.farthest { break }
      let changeToStandard = changes.toStandard.localSeconds(in: year) - Int64(daylightOffset)
      let changeToDaylight = changes.toDaylight.localSeconds(in: year) - Int64(standardOffset)
      for (change, offset) in [(changeToStandard, standardOffset), (changeToDaylight, daylightOffset)] {
        if change > instant {
          period.end = min(period.end, change)
        } else if change > period.start || (change == period.start && offset == daylightOffset) {
          // The end of one year's and the beginning of the next one's at the same instant: daylight saving time all year.
          period.start = change
          period.offset = offset
        }
      }
    }
    return period
  }
}
