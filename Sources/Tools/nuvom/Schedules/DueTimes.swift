import NuvomClient
import NuvomCommandLine
import NuvomModel
import NuvomSchedule

/// When a schedule is due by its definition alone: what the broker reckons, here without one. Times are milliseconds since 1970 UTC.
struct DueTimes {
  /// An instant at which it is due.
  struct Due: Equatable {
    let milliseconds: Int64
    var oddity = DueTime.Oddity.none
  }

  private enum Kind {
    case once(Int64)
    /// At `anchor` and every so long after it; at the anchor itself only if it is stated.
    case every(Int64, anchor: Int64, isStated: Bool)
    case cron(CronExpression, ZoneRules, GapPolicy, FoldPolicy)
  }

  private let kind: Kind
  private let start: Int64
  private let end: Int64
  /// How much later than due it fires.
  let delay: Int64

  /// What a definition says.
  ///
  /// - Parameters:
  ///   - creation: when it was created, or is: from then on `in` and `every` count.
  ///   - next: when it is due next, if the broker has said so. What it counts from is not when it was created, if `in` or `every` changed later.
  /// - Throws: if its expression or its zone is none.
  init(_ schedule: Schedule, creation: UInt64, next: UInt64? = nil, zones: TimeZones) throws(Unreadable) {
    let creation = Int64(clamping: creation)
    let next = next.map { Int64(clamping: $0) }
    switch schedule.times {
    case .at(let time): kind = .once(Int64(clamping: time))
    case .in(let delay): kind = .once(next ?? creation + DurationText.milliseconds(delay))
    case .every(let interval):
      let milliseconds = DurationText.milliseconds(interval)
      guard milliseconds > 0 else { throw Unreadable(description: "an interval is 1ms at least") }
      let stated = schedule.startAtMilliseconds.map { Int64(clamping: $0) }
      if let next {
        // The same rhythm back to where it can have begun.
        let first = stated ?? creation + 1
        let passed = max(0, next - first) / milliseconds
        kind = .every(milliseconds, anchor: next - passed * milliseconds, isStated: true)
      } else {
        kind = .every(milliseconds, anchor: stated ?? creation, isStated: stated != nil)
      }
    case .cron(let text, let zone, let gap, let fold):
      let expression: CronExpression
      do {
        expression = try CronExpression(text)
      } catch {
        throw Unreadable(description: "the cron expression \"\(Output.printable(text))\" is wrong: \(error)")
      }
      kind = .cron(expression, try zones.rules(of: zone), gap.rule, fold.rule)
    }
    start = schedule.startAtMilliseconds.map { Int64(clamping: $0) } ?? 0
    end = schedule.endAtMilliseconds.map { Int64(clamping: $0) } ?? .max
    let window = UInt64(max(0, DurationText.milliseconds(schedule.jitter)))
    var name = schedule.name
    delay = name.withUTF8 { Int64(clamping: jitter(of: UnsafeRawBufferPointer($0), windowMilliseconds: window)) }
  }

  /// The first due time after an instant; nil if there is none.
  func next(after instant: Int64) -> Due? {
    let instant = max(instant, start - 1)
    let due: Due?
    switch kind {
    case .once(let time): due = time > instant ? Due(milliseconds: time) : nil
    case .every(let interval, let anchor, let isStated):
      let first = isStated ? anchor : anchor + interval
      due = Due(milliseconds: first > instant ? first : first + ((instant - first) / interval + 1) * interval)
    case .cron(let expression, let zone, let gap, let fold):
      // Due times are whole seconds, so that the last of them before the instant is no later than its second.
      let second = instant < 0 ? -1 : instant / 1_000
      due = expression.nextDue(after: second, in: zone, gap: gap, fold: fold).map {
        Due(milliseconds: $0.seconds * 1_000, oddity: $0.oddity)
      }
    }
    return due.flatMap { $0.milliseconds <= end ? $0 : nil }
  }

  /// How often it fires from an instant up to, not including, another.
  func fires(from first: Int64, to last: Int64) -> Int {
    if case .every(let interval, let anchor, let isStated) = kind {
      let first = max(first - delay, isStated ? anchor : anchor + interval, start)
      let last = min(last - delay, end == .max ? .max : end + 1)
      guard first < last else { return 0 }
      // Multiples of the interval, counted from the anchor, up to each of the two.
      return Int((last - 1 - anchor) / interval - (first - 1 - anchor).floored(by: interval))
    }
    var count = 0
    var instant = first - delay - 1
    while let due = next(after: instant), due.milliseconds + delay < last {
      count += 1
      instant = due.milliseconds
    }
    return count
  }
}

extension Int64 {
  /// Division that rounds down.
  fileprivate func floored(by divisor: Int64) -> Int64 {
    self < 0 ? (self + 1) / divisor - 1 : self / divisor
  }
}

extension Schedule.GapPolicy {
  /// The same in the words of what reckons with it.
  var rule: GapPolicy {
    switch self {
    case .shift: .shift
    case .skip: .skip
    }
  }
}

extension Schedule.FoldPolicy {
  /// The same in the words of what reckons with it.
  var rule: FoldPolicy {
    switch self {
    case .first: .first
    case .last: .last
    case .both: .both
    }
  }
}
