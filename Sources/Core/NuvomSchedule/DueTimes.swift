public import NuvomModel

/// An instant at which something is due.
public struct DueTime: Hashable, Sendable {
  /// What is unusual about an instant, for people who look.
  public enum Oddity: UInt8, Sendable, CaseIterable {
    case none = 0
    /// Also a local time is due here that does not exist.
    case shiftedFromGap = 1
    /// Its local time comes again.
    case firstOfFold = 2
    /// Its local time was there before.
    case lastOfFold = 3
  }

  /// Since 1970 UTC.
  public var seconds: Int64
  /// Whether clocks are changed here.
  public var oddity: Oddity

  /// Both.
  public init(seconds: Int64, oddity: Oddity = .none) {
    self.seconds = seconds
    self.oddity = oddity
  }
}

extension CronExpression {
  /// The first instant after `seconds` (since 1970 UTC, exclusive) at which it is due; nil if that would be after the year 9999. Never before 1970.
  ///
  /// The zone's periods of constant offset are walked: within each, local times are plain arithmetic; at the beginning of one, what lay in the gap before
  /// it is due. An expression that keeps its rhythm ignores both policies.
  public func nextDue(after seconds: Int64, in zone: ZoneRules, gap: GapPolicy, fold: FoldPolicy) -> DueTime? {
    let gap = keepsRhythm ? .skip : gap
    let fold = keepsRhythm ? .both : fold
    guard seconds < CivilTime.lastSecond else { return nil }
    var instant = max(seconds, -1) + 1
    let horizon = min(instant + Self.horizon, CivilTime.lastSecond)
    while instant <= horizon {
      let period = zone.period(at: instant)
      if gap == .shift, instant == period.start, isDueInGap(before: period, in: zone) {
        return DueTime(seconds: instant, oddity: .shiftedFromGap)
      }
      var local = instant + Int64(period.offset)
      while true {
        guard let match = nextMatch(from: local) else { return nil }
        local = match
        guard local < period.localEnd else { break }
        let due = local - Int64(period.offset)
        let earlier = zone.period(showing: local, before: period, near: due)
        let later = zone.period(showing: local, after: period, near: due)
        // The rest of what the other period shows is dropped at once.
        if fold == .first, let earlier {
          local = earlier.localEnd
        } else if fold == .last, let later {
          local = later.localEnd
        } else if due <= CivilTime.lastSecond {
          return DueTime(seconds: due, oddity: earlier != nil ? .lastOfFold : later != nil ? .firstOfFold : .none)
        } else {
          return nil
        }
        guard local < period.localEnd else { break }
      }
      // Nothing is due before the local time `local`. If that is far away, so are the instants that may show it; but what comes next may show what
      // was before `instant` again.
      instant = max(
        period.end, period.end - instant > ZoneRules.widestShift ? local - ZoneRules.widestShift : period.end)
    }
    return nil
  }

  /// What is due at all is due within 40 years: the 29th of February on a certain weekday, over a year 2100 without one. What lies further ahead is not
  /// looked for, so that an expression all of whose times are in gaps that are skipped costs microseconds, not a walk to the year 9999.
  static let horizon: Int64 = 41 * 366 * 86_400

  /// Whether it is due at a local time that no clock shows, because it lies in the gap at the beginning of a period.
  private func isDueInGap(before period: OffsetPeriod, in zone: ZoneRules) -> Bool {
    guard period.start > -ZoneRules.farthest else { return false }
    let previous = zone.period(at: period.start - 1)
    var local = previous.localEnd
    while local < period.localStart, let match = nextMatch(from: local), match < period.localStart {
      // Where transitions are close to each other, what one jumps over another may show.
      guard
        let showing = zone.period(showing: match, before: period, near: period.start)
          ?? zone.period(showing: match, after: period, near: period.start)
      else { return true }
      local = showing.localEnd
    }
    return false
  }

  /// The first local time that matches, from one on, in seconds; nil if there is none up to the year 9999.
  func nextMatch(from local: Int64) -> Int64? {
    let today = Int(floorDivision(local, Calendar.secondsPerDay))
    let secondOfDay = Int(local - Int64(today) * Calendar.secondsPerDay)
    var (year, month, day) = Calendar.date(ofDay: today)
    /// The day before the month's first.
    var eve = today - day

    // The months that are left of this year, then all of the next.
    var monthsLeft = months & ~0 << month
    var isFirst = months >> month & 1 == 1
    while year < 10_000 {
      guard monthsLeft != 0 else {
        monthsLeft = months
        year += 1
        continue
      }
      let next = monthsLeft.trailingZeroBitCount
      monthsLeft &= monthsLeft - 1
      if !isFirst {
        month = next
        eve = Calendar.day(year: year, month: month, day: 1) - 1
      }
      var matching = days(
        ofMonthWithLength: Calendar.length(ofMonth: month, year: year),
        firstWeekday: Calendar.weekday(ofDay: eve + 1))
      if isFirst {
        isFirst = false
        if matching >> (day - 1) & 1 == 1, let time = nextTime(from: secondOfDay) {
          return Int64(today) * Calendar.secondsPerDay + Int64(time)
        }
        // From tomorrow on.
        matching &= ~0 << day
      }
      if matching != 0 {
        day = matching.trailingZeroBitCount + 1
        return Int64(eve + day) * Calendar.secondsPerDay + Int64(firstTime)
      }
    }
    return nil
  }

  /// The first second of a day that matches.
  private var firstTime: Int {
    hours.trailingZeroBitCount * 3_600 + minutes.trailingZeroBitCount * 60 + seconds.trailingZeroBitCount
  }

  /// The first second of a day that matches, from one on.
  private func nextTime(from secondOfDay: Int) -> Int? {
    let hour = secondOfDay / 3_600
    let minute = secondOfDay / 60 % 60
    if hours >> hour & 1 == 1 {
      if minutes >> minute & 1 == 1 {
        let left = seconds & ~0 << (secondOfDay % 60)
        if left != 0 { return hour * 3_600 + minute * 60 + left.trailingZeroBitCount }
      }
      let left = minutes & ~0 << (minute + 1)
      if left != 0 { return hour * 3_600 + left.trailingZeroBitCount * 60 + seconds.trailingZeroBitCount }
    }
    let left = hours & ~0 << (hour + 1)
    if left == 0 { return nil }
    return left.trailingZeroBitCount * 3_600 + minutes.trailingZeroBitCount * 60 + seconds.trailingZeroBitCount
  }
}

extension ZoneRules {
  /// The last of the periods before one that also shows a local time; `near` is an instant that would show it.
  func period(showing local: Int64, before period: OffsetPeriod, near instant: Int64) -> OffsetPeriod? {
    var period = period
    while instant - period.start <= Self.widestShift, period.start > -Self.farthest {
      period = self.period(at: period.start - 1)
      if period.localStart <= local, local < period.localEnd { return period }
    }
    return nil
  }

  /// The first of the periods after one that also shows a local time.
  func period(showing local: Int64, after period: OffsetPeriod, near instant: Int64) -> OffsetPeriod? {
    var period = period
    while period.end - instant <= Self.widestShift, period.end < Self.farthest {
      period = self.period(at: period.end)
      if period.localStart <= local, local < period.localEnd { return period }
    }
    return nil
  }

  /// The instants at which clocks show a local time, given as its seconds since 1970 as if in UTC; at most two count: the first and the last.
  private func instants(showing local: Int64) -> (first: Int64, last: Int64)? {
    let middle = period(at: local)
    var found: (first: Int64, last: Int64)?
    func look(_ period: OffsetPeriod) {
      guard period.localStart <= local, local < period.localEnd else { return }
      let instant = local - Int64(period.offset)
      found = (min(found?.first ?? instant, instant), max(found?.last ?? instant, instant))
    }
    look(middle)
    var period = middle
    while local - period.start <= Self.widestShift, period.start > -Self.farthest {
      period = self.period(at: period.start - 1)
      look(period)
    }
    period = middle
    while period.end - local <= Self.widestShift, period.end < Self.farthest {
      period = self.period(at: period.end)
      look(period)
    }
    return found
  }

  /// The instant of a local time by the policies; nil where it does not exist and gaps are skipped. One instant is meant: `both` is as `first`.
  public func instant(ofLocal local: CivilTime, gap: GapPolicy, fold: FoldPolicy) -> DueTime? {
    let local = local.localSeconds
    if let instants = instants(showing: local) {
      if instants.first == instants.last { return DueTime(seconds: instants.first) }
      return fold == .last
        ? DueTime(seconds: instants.last, oddity: .lastOfFold)
        : DueTime(seconds: instants.first, oddity: .firstOfFold)
    }
    guard gap == .shift else { return nil }
    // The first transition that jumps over it: there is one, since clocks show less long before and more long after.
    var period = period(at: local - Self.widestShift)
    while period.end < Self.farthest {
      let next = self.period(at: period.end)
      if period.localEnd <= local, local < next.localStart { break }
      period = next
    }
    return DueTime(seconds: period.end, oddity: .shiftedFromGap)
  }
}
