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
    case every(Rhythm)
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
        kind = .every(Rhythm(first: next - passed * milliseconds, interval: milliseconds))
      } else {
        kind = .every(Rhythm(first: stated ?? creation + milliseconds, interval: milliseconds))
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
    case .every(let rhythm): due = Due(milliseconds: rhythm.next(after: instant))
    case .cron(let expression, let zone, let gap, let fold):
      due = expression.nextDue(afterMilliseconds: instant, in: zone, gap: gap, fold: fold).map {
        Due(milliseconds: $0.milliseconds, oddity: $0.oddity)
      }
    }
    return due.flatMap { $0.milliseconds <= end ? $0 : nil }
  }

  /// How often it fires from an instant up to, not including, another.
  func fires(from first: Int64, to last: Int64) -> Int {
    if case .every(let rhythm) = kind {
      let first = rhythm.next(after: max(first - delay, start) - 1)
      let last = min(last - delay, end == .max ? .max : end + 1)
      return first < last ? Int((last - 1 - first) / rhythm.interval) + 1 : 0
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
