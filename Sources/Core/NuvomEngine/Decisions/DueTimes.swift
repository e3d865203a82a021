import NuvomModel
import NuvomSchedule

// When a schedule is due. Asked only when deciding: what comes of it is in the event, so a replay asks no zone rules.

extension Engine {
  /// The first due time of a definition after `floor` (`ScheduleBody.due`), by the rules of its zone as they are now.
  func due(_ content: ScheduleBody, after floor: Int64, stamp: Int64) -> Int64? {
    var rules: ZoneRules?
    if case .cron(_, let zone, _, _) = content.times { rules = zones.rules(zone) }
    return content.due(after: floor, stamp: stamp, rules: rules)
  }
}

extension ScheduleBody {
  /// The first due time after `floor`, all in milliseconds of the wall clock; nil if there is none.
  ///
  /// `stamp` is what an interval's due times are counted from, and the one due time of `after`; `rules` are those of a cron expression's zone.
  func due(after floor: Int64, stamp: Int64, rules: ZoneRules?) -> Int64? {
    let floor = max(floor, startMilliseconds.map { Int64($0) - 1 } ?? .min)
    let due: Int64?
    switch times {
    case .at(let milliseconds): due = milliseconds > floor ? milliseconds : nil
    case .after: due = stamp > floor ? stamp : nil
    case .every(let interval):
      due = Rhythm(first: stamp, interval: interval).next(after: floor)
    case .cron(let expression, _, let gap, let fold):
      guard let rules else {
        preconditionFailure("the broker gives the rules of every zone that schedules name before they are asked")
      }
      due = Self.cron(expression).nextDue(afterMilliseconds: floor, in: rules, gap: gap, fold: fold)?.milliseconds
    }
    guard let due, due <= endMilliseconds.map({ Int64($0) }) ?? .max else { return nil }
    return due <= Int64(ProtocolLimits.timeMilliseconds) ? due : nil
  }

  /// A cron expression that was found to be one.
  static func cron(_ expression: BorrowedBytes) -> CronExpression {
    do throws(CronError) {
      return try CronExpression(expression)
    } catch {
      preconditionFailure("a cron expression was checked when it came in")
    }
  }

  /// Whether its cron expression, if it has one, is one: asked once of what is read from a log.
  var isCronValid: Bool {
    guard case .cron(let expression, _, _, _) = times else { return true }
    do throws(CronError) {
      _ = try CronExpression(expression)
      return true
    } catch {
      return false
    }
  }

  /// Of an interval's due times from `due` on the last that is not after `limit`, and how many are before it: what a walk along them would find,
  /// in one step. Nil for other times.
  func last(from due: Int64, upTo limit: Int64) -> (due: Int64, passed: UInt64)? {
    guard case .every(let interval) = times, limit > due else { return nil }
    let end = min(limit, endMilliseconds.map { Int64($0) } ?? .max)
    let passed = max(0, end - due) / interval
    return (due + passed * interval, UInt64(passed))
  }

  /// How long after its due time a fire comes.
  var jitterOffset: Int64 {
    jitterMilliseconds == 0 ? 0 : Int64(jitter(of: name, windowMilliseconds: jitterMilliseconds))
  }

  /// When the fire of a due time should come. Of a time that was past when the schedule was defined: then.
  func fireTime(of due: Int64) -> Int64 { max(due + jitterOffset, updatedMilliseconds) }

  /// The fields that say what due times are counted from.
  var countedFrom: UInt32 {
    switch times {
    case .at, .cron: 0
    case .after: ScheduleField.after.bit
    case .every: ScheduleField.every.bit | ScheduleField.start.bit
    }
  }

  /// What the due times of a definition that is new, or has new times, are counted from.
  func stamp(at now: Int64) -> Int64 {
    switch times {
    case .at, .cron: now
    case .after(let milliseconds): now + milliseconds
    case .every(let interval): startMilliseconds.map { Int64($0) } ?? now + interval
    }
  }

  /// The time after which the first due time of such a definition is looked for. The one due time of a schedule that fires once counts also if it
  /// is past; those of others do not.
  func floor(at now: Int64) -> Int64 {
    switch times {
    case .at, .after: .min
    case .every, .cron: now - 1
    }
  }
}
