import ArgumentParser
import NuvomClient
import NuvomCommandLine
import NuvomSchedule

/// One of a few words, as people write them: `buffer-one` for what the protocol calls `buffer_one`.
enum ChoiceText {
  /// Reads a word; `_` and `-` are the same.
  static func read<Choice: CaseIterable & RawRepresentable<String>>(_ text: String) throws -> Choice {
    guard let choice = Choice(rawValue: text.replacing("-", with: "_")) else {
      throw Unreadable(description: "write one of \(words(of: Choice.self))")
    }
    return choice
  }

  /// The word for a choice.
  static func write(_ choice: some RawRepresentable<String>) -> String { choice.rawValue.replacing("_", with: "-") }

  /// All words that there are.
  static func words<Choice: CaseIterable & RawRepresentable<String>>(of type: Choice.Type) -> String {
    Choice.allCases.map { write($0) }.joined(separator: ", ")
  }
}

/// A limit in time that may be taken away again.
enum TimeLimit: Equatable {
  case none
  case at(WrittenTime)

  /// Reads a time, or `none`.
  init(_ text: String) throws { self = text == "none" ? .none : .at(try WrittenTime(text)) }
}

/// A key and its value; no value takes the key away.
struct MetadataEntry: Equatable {
  let key: String
  let value: String?

  /// Reads `KEY=VALUE`.
  init(_ text: String) throws {
    guard let sign = text.firstIndex(of: "="), sign > text.startIndex else {
      throw Unreadable(description: "write KEY=VALUE, or KEY= to take the key away")
    }
    key = String(text[..<sign])
    let value = text[text.index(after: sign)...]
    self.value = value.isEmpty ? nil : String(value)
  }
}

/// How local times are read: what `create` and `preview` have in common.
struct ZoneOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The IANA time zone of --cron, and of times without an offset, as Europe/Berlin. Default: UTC.", valueName: "zone"
    ))
  var timezone: String?
  @Option(
    help: ArgumentHelp(
      "What becomes of a due time that does not exist when summer time begins: shift to the first instant after it (default), or skip.",
      valueName: "shift|skip"), transform: ChoiceText.read)
  var dstGap: Schedule.GapPolicy?
  @Option(
    help: ArgumentHelp(
      "Which counts of a due time that comes twice when summer time ends. Default: first.", valueName: "first|last|both"
    ),
    transform: ChoiceText.read)
  var dstFold: Schedule.FoldPolicy?
}

/// What a schedule's definition has beside its name, its task and its job.
struct DefinitionOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Once, at this time, as 2027-01-31T18:30:00Z; at once if it is past.", valueName: "time"),
    transform: WrittenTime.init)
  var at: WrittenTime?
  @Option(
    name: .customLong("in"), help: ArgumentHelp("Once, so long after its creation, as 90m.", valueName: "duration"),
    transform: DurationText.read)
  var delay: Duration?
  @Option(
    help: ArgumentHelp(
      "Every so long, first after one whole interval, or at --start if that is given.", valueName: "duration"),
    transform: DurationText.read)
  var every: Duration?
  @Option(
    help: ArgumentHelp(
      "At the times of a cron expression: minute, hour, day of month, month, day of week, as '30 2 * * mon-fri'; seconds before them if there are six.",
      valueName: "expr"))
  var cron: String?
  @OptionGroup var zone: ZoneOptions
  @Option(help: ArgumentHelp("No due time before this.", valueName: "time|none"), transform: TimeLimit.init)
  var start: TimeLimit?
  @Option(help: ArgumentHelp("No due time after this.", valueName: "time|none"), transform: TimeLimit.init)
  var end: TimeLimit?
  @Option(help: ArgumentHelp("Finished after so many fires. Default: 0, no limit.", valueName: "n")) var maxFires: Int?
  @Option(
    help: ArgumentHelp(
      "Fire a part of this later than due: the part is derived from the name, so schedules of the same minute spread.",
      valueName: "duration"), transform: DurationText.read)
  var jitter: Duration?
  @Option(
    help: ArgumentHelp(
      "What becomes of due times that passed while the broker was down or the schedule paused: one fire for the last of them (default), the same "
        + "but only if it is not too late, or one for each.", valueName: "once|skip|all"), transform: ChoiceText.read)
  var misfire: Schedule.MisfirePolicy?
  @Option(
    help: ArgumentHelp(
      "A due time that passed longer ago is counted, not fired. Default: 1m for skip, 1h for all, no limit for once.",
      valueName: "duration"), transform: DurationText.read)
  var catchUp: Duration?
  @Option(
    help: ArgumentHelp(
      "What a fire does while the job of the one before is not finished. Default: allow.",
      valueName: "allow|skip|buffer-one|cancel-previous"), transform: ChoiceText.read)
  var overlap: Schedule.OverlapPolicy?
  @Option(
    help: ArgumentHelp("For people and tools; may be repeated. KEY= takes a key away.", valueName: "key=value"),
    transform: MetadataEntry.init)
  var metadata: [MetadataEntry] = []
  @Option(
    help: ArgumentHelp("How long it is known when it has finished. Default: 7d.", valueName: "duration"),
    transform: DurationText.read)
  var knownFor: Duration?
  @OptionGroup var job: JobFieldOptions

  func validate() throws {
    guard kinds <= 1 else {
      throw ValidationError("--at, --in, --every and --cron contradict each other; give one of them")
    }
    if let maxFires, !(0...Int(UInt32.max)).contains(maxFires) {
      throw ValidationError("--max-fires is from 0 (no limit) to \(UInt32.max)")
    }
  }

  /// How many of the four ways to say when.
  var kinds: Int { [at != nil, delay != nil, every != nil, cron != nil].count { $0 } }

  /// Gives a definition what was given here; the rest of it stays.
  ///
  /// - Returns: what is to be said about times that were taken for something.
  func remarks(applyingTo schedule: inout Schedule, zones: TimeZones) throws -> [String] {
    var present = (zone: nil as String?, gap: Schedule.GapPolicy.shift, fold: Schedule.FoldPolicy.first)
    if case .cron(_, let zone, let gap, let fold) = schedule.times { present = (zone, gap, fold) }
    let zoneName = zone.timezone ?? present.zone
    var times = LocalTimes(zone: try hasLocalTime ? zoneName.map { ($0, try zones.rules(of: $0)) } : nil)

    if let at { schedule.times = .at(millisecondsSince1970: try times.milliseconds(at, field: "--at")) }
    if let delay { schedule.times = .in(delay) }
    if let every { schedule.times = .every(every) }
    if let cron { schedule.times = .cron(cron) }
    if case .cron(let text, _, _, _) = schedule.times {
      schedule.times = .cron(
        text, timeZone: zoneName ?? "UTC", gap: zone.dstGap ?? present.gap, fold: zone.dstFold ?? present.fold)
    } else if zone.dstGap != nil || zone.dstFold != nil {
      throw Failure(.usage, "--dst-gap and --dst-fold are for schedules with --cron: no other has local times")
    } else if zone.timezone != nil && !hasLocalTime {
      throw Failure(.usage, "--timezone is for --cron, and for times without an offset; there is neither")
    }

    if let start { schedule.startAtMilliseconds = try milliseconds(start, "--start", &times) }
    if let end { schedule.endAtMilliseconds = try milliseconds(end, "--end", &times) }
    if let maxFires { schedule.maximumFires = maxFires == 0 ? nil : maxFires }
    if let jitter { schedule.jitter = jitter }
    if let misfire { schedule.misfire = misfire }
    if let catchUp { schedule.catchUp = catchUp }
    if let overlap { schedule.overlap = overlap }
    for entry in metadata { schedule.metadata[entry.key] = entry.value }
    if let knownFor { schedule.retention = knownFor }
    try job.apply(to: &schedule.job)
    return times.remarks
  }

  /// Whether a time says no offset.
  private var hasLocalTime: Bool {
    let limits = [start, end].map { limit in if case .at(let time) = limit { time } else { nil as WrittenTime? } }
    return ([at] + limits).contains { $0?.isComplete == false }
  }

  private func milliseconds(_ limit: TimeLimit, _ field: String, _ times: inout LocalTimes) throws -> UInt64? {
    guard case .at(let time) = limit else { return nil }
    return try times.milliseconds(time, field: field)
  }
}
