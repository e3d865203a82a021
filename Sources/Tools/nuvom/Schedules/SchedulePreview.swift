import MessagePack
import NuvomCommandLine
import NuvomSchedule

/// The next due times of a definition, and what is odd about each. Times are milliseconds since 1970 UTC.
struct SchedulePreview {
  /// A due time, as it is shown.
  struct Line: Equatable {
    let due: DueTimes.Due
    /// The due time with its jitter.
    let fires: Int64
    /// How many schedules of a list fire in the minute in which it does; nil without a list.
    var others: Int?
  }

  let lines: [Line]
  private let zone: ZoneRules

  /// - Parameter others: the schedules that it is compared with; nil: with none.
  init(
    _ times: DueTimes, after instant: Int64, count: Int, against others: [DueTimes]? = nil, zone: ZoneRules
  ) {
    var lines: [Line] = []
    var instant = instant
    while lines.count < count, let due = times.next(after: instant) {
      instant = due.milliseconds
      let fires = due.milliseconds + times.delay
      let minute = fires - fires % 60_000
      lines.append(
        Line(due: due, fires: fires, others: others?.count { $0.fires(from: minute, to: minute + 60_000) > 0 }))
    }
    self.lines = lines
    self.zone = zone
  }

  /// A due time a line, and why it is odd.
  var text: [String] {
    lines.map { line in
      var parts = [time(line.due.milliseconds)]
      if let words = line.due.oddity.words { parts.append(words) }
      if line.fires != line.due.milliseconds {
        let late = DurationText.write(.milliseconds(line.fires - line.due.milliseconds))
        parts.append("jitter: fires \(late) later, at \(time(line.fires))")
      }
      if let others = line.others { parts.append("\(others) of the list in this minute") }
      return parts.joined(separator: "  ")
    }
  }

  var document: MessageValue {
    .array(
      lines.map { line in
        .fields([
          "due_at_ms": .int(line.due.milliseconds), "due": .string(time(line.due.milliseconds)),
          "oddity": line.due.oddity.name.map { .string($0) },
          "fires_at_ms": line.fires == line.due.milliseconds ? nil : .int(line.fires),
          "fires": line.fires == line.due.milliseconds ? nil : .string(time(line.fires)),
          "schedules_in_minute": line.others.map { .count($0) },
        ])
      })
  }

  private func time(_ milliseconds: Int64) -> String {
    "\(ISOTime(milliseconds: UInt64(max(0, milliseconds)), in: zone))"
  }
}

extension DueTime.Oddity {
  /// What it is called in JSON; nil for nothing odd.
  fileprivate var name: String? {
    switch self {
    case .none: nil
    case .shiftedFromGap: "gap"
    case .firstOfFold: "fold_first"
    case .lastOfFold: "fold_last"
    }
  }

  /// What is to be said about it; nil for nothing odd.
  fileprivate var words: String? {
    switch self {
    case .none: nil
    case .shiftedFromGap: "gap: its local time does not exist, this is the first instant after it"
    case .firstOfFold: "fold: the first of two instants with this local time"
    case .lastOfFold: "fold: the last of two instants with this local time"
    }
  }
}
