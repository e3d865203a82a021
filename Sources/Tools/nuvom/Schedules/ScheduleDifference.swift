import MessagePack
import NuvomClient
import NuvomCommandLine

/// What applying a file of definitions changes, for each schedule.
struct ScheduleDifference: Equatable {
  /// A field that is another, and both its values.
  struct Change: Equatable {
    /// As Protocol.md names it.
    let field: String
    let old: MessageValue
    let new: MessageValue
  }

  /// What becomes of a schedule.
  enum Fate: Equatable {
    case created
    case updated([Change])
    case unchanged
    /// Its only time, or its end, is past, and the broker is not at it: sending it would fire it again, or be refused.
    case over(at: UInt64)
    /// The broker is at it, and its only time is now another, which is past: an update would fire at once.
    case ended(at: UInt64)
    /// The broker has it, the file has not.
    case other
  }

  /// What becomes of each, first those of the file in its order.
  let fates: [(name: String, fate: Fate)]
  private let finished: Set<String>

  /// - Parameters:
  ///   - definitions: what the file says.
  ///   - present: what the broker has of those names, with their payloads.
  ///   - finished: those of them that have finished.
  ///   - others: the names of what it has beside them.
  ///   - now: milliseconds since 1970 UTC.
  init(
    _ definitions: [Schedule], present: [String: Schedule], finished: Set<String> = [], others: [String], now: UInt64
  ) {
    self.finished = finished
    fates =
      definitions.map { schedule in
        let known = present[schedule.name]
        if let end = schedule.overSince(now) {
          guard let known, !finished.contains(schedule.name) else { return (schedule.name, .over(at: end)) }
          if case .at = schedule.times, schedule.times != known.times { return (schedule.name, .ended(at: end)) }
        }
        guard let known else { return (schedule.name, .created) }
        let changes = Self.changes(from: known, to: schedule)
        return (schedule.name, changes.isEmpty ? .unchanged : .updated(changes))
      } + others.sorted().map { ($0, .other) }
  }

  /// Whether the broker has it, and will not fire it again.
  func hasFinished(_ name: String) -> Bool { finished.contains(name) }

  static func == (first: Self, second: Self) -> Bool {
    first.fates.elementsEqual(second.fates) { $0.name == $1.name && $0.fate == $1.fate }
  }

  /// The fields that differ, by their names in Protocol.md, schedule.
  static func changes(from old: Schedule, to new: Schedule) -> [Change] {
    var changes: [Change] = []
    func compare(
      _ old: KeyValuePairs<String, MessageValue?>, _ new: KeyValuePairs<String, MessageValue?>,
      name: (String) -> String = { $0 }
    ) {
      for (key, value) in new {
        let before = old.first { $0.key == key }.flatMap(\.value)
        if before != value {
          changes.append(Change(field: name(key), old: before ?? .null, new: value ?? .null))
        }
      }
    }
    if let was = old.timeFields.first, let will = new.timeFields.first, was.key != will.key {
      changes.append(Change(field: will.key, old: [.string(was.key): was.value ?? .null], new: will.value ?? .null))
    } else {
      compare(old.timeFields, new.timeFields)
    }
    compare(old.ruleFields(catchUp: old.chosenCatchUp), new.ruleFields(catchUp: new.chosenCatchUp))
    compare(old.job.namedFields, new.job.namedFields) { "job.\($0)" }
    if old.job.payload != new.job.payload {
      changes.append(Change(field: "job.payload", old: .decoded(old.job.payload), new: .decoded(new.job.payload)))
    }
    if old.job.optionFields.map(\.value) != new.job.optionFields.map(\.value) {
      changes.append(
        Change(field: "job.options", old: .fields(old.job.optionFields), new: .fields(new.job.optionFields)))
    }
    return changes
  }
}

extension Schedule {
  /// When it ended, if it did: then there is nothing left to schedule.
  func overSince(_ now: UInt64) -> UInt64? {
    if case .at(let time) = times, time < now { return time }
    return endAtMilliseconds.flatMap { $0 < now ? $0 : nil }
  }
}
