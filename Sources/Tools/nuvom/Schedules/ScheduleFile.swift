import MessagePack
import NuvomClient
import NuvomCommandLine
import NuvomSchedule
import Yams

/// A field of a definition in a file: called like the option of `schedule create`.
enum ScheduleFileField: String, CaseIterable {
  case task, queue, args, kwargs, payload
  case at, every, cron, timezone
  case dstGap = "dst-gap"
  case dstFold = "dst-fold"
  case start, end
  case maxFires = "max-fires"
  case jitter, misfire
  case catchUp = "catch-up"
  case overlap, metadata
  case knownFor = "known-for"
  case expiresIn = "expires-in"
  case priority
  case maxAttempts = "max-attempts"
  case backoff, timeout, lease, retention, tags
}

/// Something wrong in a file of definitions.
struct ScheduleFileProblem: Equatable {
  /// From 1; nil if it is about no line.
  var line: Int?
  /// Nil if it is about the file as a whole.
  var schedule: String?
  /// Nil if it is about all of a schedule.
  var field: String?
  /// What is wrong, and what would be right.
  let message: String

  /// In one line, after the name of the file.
  func words(file: String) -> String {
    let place = "\(file):\(line.map { "\($0):" } ?? "")"
    let subject = [schedule, field].compactMap(\.self).map { "\(Output.printable($0)): " }.joined()
    return "\(place) \(subject)\(message)"
  }
}

/// All that is wrong in a file of definitions: nothing of it is sent.
struct ScheduleFileProblems: Error {
  let problems: [ScheduleFileProblem]
}

/// Schedules as a file of YAML defines them:
///
/// ```yaml
/// defaults:            # may be left out: for each schedule that does not say it itself
///   timezone: Europe/Berlin
/// schedules:
///   nightly-report:    # its name
///     task: report     # the rest is called like the options of `nuvom schedule create`
///     cron: "30 2 * * mon-fri"
/// ```
struct ScheduleFile {
  /// A schedule, and where it is.
  struct Definition: Equatable {
    let line: Int?
    let schedule: Schedule
  }

  /// In the file's order.
  let definitions: [Definition]
  /// What was taken for something, in one line each.
  let remarks: [String]

  /// Reads and checks a file; `-` is standard input.
  /// - Throws: ``ScheduleFileProblems``, which are told on standard error before it is thrown as a ``Failure``.
  init(path: String, zones: TimeZones) throws {
    let name = path == "-" ? "standard input" : path
    guard let text = String(validating: try InputFile.read(path), as: UTF8.self) else {
      throw Failure(.damaged, "\(name) is no text in UTF-8")
    }
    do {
      try self.init(text: text, zones: zones)
    } catch {
      for problem in error.problems.dropLast() { Output.remark("nuvom: \(problem.words(file: name))") }
      throw Failure(.damaged, error.problems.last?.words(file: name) ?? "\(name) is wrong")
    }
  }

  /// Reads and checks all of a text.
  init(text: String, zones: TimeZones) throws(ScheduleFileProblems) {
    var reader = ScheduleFileReader(zones: zones)
    do {
      try reader.read(text)
    } catch {
      reader.problems.append(ScheduleFileProblem(line: error.line, message: error.message))
    }
    guard reader.problems.isEmpty else { throw ScheduleFileProblems(problems: reader.problems) }
    definitions = reader.definitions
    remarks = reader.remarks
  }
}

/// Goes over a file's text once, and gathers what is wrong.
private struct ScheduleFileReader {
  private typealias Fields = [ScheduleFileField: Node]

  let zones: TimeZones
  var definitions: [ScheduleFile.Definition] = []
  var remarks: [String] = []
  var problems: [ScheduleFileProblem] = []

  init(zones: TimeZones) { self.zones = zones }

  mutating func read(_ text: String) throws(FileProblem) {
    guard let root = try YAMLText.read(text) else {
      throw FileProblem(message: "the file is empty; it needs a map `schedules`")
    }
    guard case .mapping(let mapping) = root else {
      throw FileProblem(
        line: root.mark?.line, message: "a file of definitions is a map with `schedules`, and `defaults` perhaps")
    }
    var defaults: Fields = [:]
    var schedules: Node?
    for (key, value) in mapping {
      switch key.scalar?.string {
      case "defaults": defaults = fields(value, of: "defaults")
      case "schedules": schedules = value
      default:
        problem(
          key, nil, unknown(key, among: ["defaults", "schedules"], what: "there are `defaults` and `schedules` here"))
      }
    }
    guard let schedules else { throw FileProblem(message: "`schedules` is missing: a map of names to definitions") }
    guard case .mapping(let named) = schedules else {
      throw FileProblem(
        line: schedules.mark?.line,
        message: "`schedules` is a map of names to definitions; `schedules: {}` if there are none")
    }
    for (key, value) in named { read(key, value, defaults: defaults) }
  }

  private mutating func read(_ key: Node, _ value: Node, defaults: Fields) {
    guard let name = key.scalar?.string else { return problem(key, nil, "a schedule's name is a text") }
    let before = problems.count
    if !Self.isName(name) { problem(key, name, "a name has 1 to 255 bytes and no control characters") }
    let own = fields(value, of: name)
    // One way to say when replaces another.
    let kinds: Set<ScheduleFileField> = [.at, .every, .cron]
    let inherited = own.keys.contains { kinds.contains($0) } ? defaults.filter { !kinds.contains($0.key) } : defaults
    var definition = DefinitionReader(
      name: name, fields: inherited.merging(own) { $1 }, isComplete: problems.count == before, zones: zones)
    let schedule = definition.schedule()
    problems += definition.problems.map { problem in
      var problem = problem
      problem.line = problem.line ?? key.mark?.line
      return problem
    }
    remarks += definition.remarks
    if problems.count == before {
      definitions.append(ScheduleFile.Definition(line: key.mark?.line, schedule: schedule))
    }
  }

  /// The fields of a map, each known.
  private mutating func fields(_ node: Node, of name: String) -> Fields {
    guard case .mapping(let mapping) = node else {
      problem(node, name, "write its fields below it, as `task: report`")
      return [:]
    }
    var fields: Fields = [:]
    for (key, value) in mapping {
      guard let field = key.scalar.flatMap({ ScheduleFileField(rawValue: $0.string) }) else {
        let known = ScheduleFileField.allCases.map(\.rawValue)
        problem(key, name, unknown(key, among: known, what: "known are \(known.joined(separator: ", "))"))
        continue
      }
      fields[field] = value
    }
    return fields
  }

  private func unknown(_ key: Node, among known: [String], what: String) -> String {
    let word = key.scalar?.string ?? "what is no text"
    if word == "in" {
      return "`in` counts from its creation, which a file that is applied again does not know; write `at`"
    }
    if word == "<<" { return "maps are not merged; write what schedules have in common below `defaults`" }
    let meant = Spelling.suggestion(for: word, among: known).map { "did you mean `\($0)`?" } ?? what
    return "there is no `\(Output.printable(word))`; \(meant)"
  }

  private mutating func problem(_ node: Node, _ schedule: String?, _ message: String) {
    problems.append(ScheduleFileProblem(line: node.mark?.line, schedule: schedule, message: message))
  }

  static func isName(_ text: String) -> Bool {
    (1...255).contains(text.utf8.count) && !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
  }
}

/// Reads one definition, and gathers what is wrong in it.
private struct DefinitionReader {
  let name: String
  let fields: [ScheduleFileField: Node]
  /// Whether all fields are known: of one that is not nobody can say that it is missing.
  let isComplete: Bool
  let zones: TimeZones
  var problems: [ScheduleFileProblem] = []
  var remarks: [String] = []

  init(name: String, fields: [ScheduleFileField: Node], isComplete: Bool, zones: TimeZones) {
    self.name = name
    self.fields = fields
    self.isComplete = isComplete
    self.zones = zones
  }

  mutating func schedule() -> Schedule {
    var schedule = Schedule(name, .in(.zero), job: job())
    // What cannot be read is told; a zone that is wrong must not make times wrong, too.
    let zone = value(.timezone) { [zones] node in (name: try text(node), rules: try zones.rules(of: try text(node))) }
    var times = LocalTimes(zone: zone)
    readTimes(of: &schedule, zone: zone?.name, &times)
    let isZoneKnown = zone != nil || fields[.timezone] == nil
    if isZoneKnown {
      schedule.startAtMilliseconds = time(.start, &times)
      schedule.endAtMilliseconds = time(.end, &times)
    }
    schedule.maximumFires = value(.maxFires) { try number($0, in: 1...Int(UInt32.max)) }
    schedule.jitter = value(.jitter) { try duration($0, upTo: .seconds(86_400)) } ?? schedule.jitter
    schedule.misfire = value(.misfire) { try ChoiceText.read(try text($0)) } ?? schedule.misfire
    schedule.catchUp = value(.catchUp) { try duration($0) }
    schedule.overlap = value(.overlap) { try ChoiceText.read(try text($0)) } ?? schedule.overlap
    schedule.metadata = value(.metadata) { try map($0) } ?? schedule.metadata
    schedule.retention = value(.knownFor) { try duration($0) } ?? schedule.retention
    remarks += times.remarks.map { "\(Output.printable(name)): \($0)" }
    if problems.isEmpty && isComplete { checkTimes(of: schedule) }
    return schedule
  }

  private mutating func readTimes(of schedule: inout Schedule, zone: String?, _ times: inout LocalTimes) {
    let kinds = [ScheduleFileField.at, .every, .cron].filter { fields[$0] != nil }
    if kinds.isEmpty && !isComplete { return }
    guard kinds.count == 1 else {
      let message =
        kinds.isEmpty
        ? "it is never due: write `at`, `every` or `cron`" : "`at`, `every` and `cron` contradict each other; leave one"
      problems.append(ScheduleFileProblem(schedule: name, message: message))
      return
    }
    let gap: Schedule.GapPolicy? = value(.dstGap) { try ChoiceText.read(try text($0)) }
    let fold: Schedule.FoldPolicy? = value(.dstFold) { try ChoiceText.read(try text($0)) }
    if let time = time(.at, &times) { schedule.times = .at(millisecondsSince1970: time) }
    if let interval = value(.every, { try duration($0, from: .milliseconds(1)) }) { schedule.times = .every(interval) }
    if let cron = value(.cron, { try cron($0) }) {
      schedule.times = .cron(cron, timeZone: zone ?? "UTC", gap: gap ?? .shift, fold: fold ?? .first)
    }
  }

  /// That it can be due at all.
  private mutating func checkTimes(of schedule: Schedule) {
    if let start = schedule.startAtMilliseconds, let end = schedule.endAtMilliseconds, end < start {
      problems.append(problem(.end, "it is before `start`"))
      return
    }
    do {
      // Created at its start, or long ago, it has all the times before it that it can ever have.
      if try DueTimes(schedule, creation: schedule.startAtMilliseconds ?? 0, zones: zones).next(after: -1) == nil {
        problems.append(
          ScheduleFileProblem(
            schedule: name, message: "it is never due: no due time lies between its start and its end"))
      }
    } catch {
      problems.append(ScheduleFileProblem(schedule: name, message: error.description))
    }
  }

  private mutating func job() -> Job {
    var job = Job(task: "")
    if fields[.task] == nil && isComplete {
      problems.append(ScheduleFileProblem(schedule: name, message: "`task` is missing: the name of what is to be done"))
    }
    job.task = value(.task) { try subject($0) } ?? job.task
    job.queue = value(.queue) { try subject($0) } ?? job.queue
    if fields[.payload] != nil && (fields[.args] != nil || fields[.kwargs] != nil) {
      problems.append(problem(.payload, "give the payload once: `payload`, or `args` and `kwargs`"))
    }
    let args = value(.args) { node in
      guard case .sequence = node else { throw FileProblem(message: "write a list, as `[1, two]`") }
      return try YAMLText.value(node)
    }
    let kwargs = value(.kwargs) { node in
      guard case .mapping = node else { throw FileProblem(message: "write a map, as `{width: 80}`") }
      return try YAMLText.value(node)
    }
    if let payload = value(.payload, { [UInt8](try text($0).utf8) }) { job.payload = payload }
    if args != nil || kwargs != nil {
      job.payload =
        value(args == nil ? .kwargs : .args) { _ in try PayloadOptions.bytes(args: args, kwargs: kwargs) } ?? []
    }
    job.expiry = value(.expiresIn) { .after(try duration($0)) }
    job.priority = value(.priority) { UInt8(try number($0, in: 0...255)) } ?? job.priority
    job.maximumAttempts = value(.maxAttempts) { try number($0, in: 1...65_535) } ?? job.maximumAttempts
    job.backoff = value(.backoff) { .doubling(from: try duration($0)) } ?? job.backoff
    job.timeout = value(.timeout) { try duration($0) }
    job.lease = value(.lease) { try duration($0, upTo: .seconds(86_400)) }
    job.retention = value(.retention) { try duration($0) } ?? job.retention
    job.tags = value(.tags) { try list($0) } ?? job.tags
    return job
  }

  // MARK: Values

  /// A field's value; nil if it is not there, or wrong, which is then told.
  private mutating func value<Value>(_ field: ScheduleFileField, _ read: (Node) throws -> Value) -> Value? {
    guard let node = fields[field] else { return nil }
    do {
      return try read(node)
    } catch let error as FileProblem {
      var problem = problem(field, error.message)
      problem.line = error.line ?? problem.line
      problems.append(problem)
    } catch {
      problems.append(problem(field, "\(error)"))
    }
    return nil
  }

  private func problem(_ field: ScheduleFileField, _ message: String) -> ScheduleFileProblem {
    ScheduleFileProblem(line: fields[field]?.mark?.line, schedule: name, field: field.rawValue, message: message)
  }

  private mutating func time(_ field: ScheduleFileField, _ times: inout LocalTimes) -> UInt64? {
    // A closure cannot take what is lent to this function.
    var read = times
    let milliseconds = value(field) { try read.milliseconds(try WrittenTime(try text($0)), field: field.rawValue) }
    times = read
    return milliseconds
  }
}

private func text(_ node: Node) throws(FileProblem) -> String {
  guard let scalar = node.scalar, !(scalar.style == .plain && scalar.string.isEmpty) else {
    throw FileProblem(line: node.mark?.line, message: "write a text")
  }
  return scalar.string
}

private func subject(_ node: Node) throws(FileProblem) -> String {
  let text = try text(node)
  guard ScheduleFileReader.isName(text) else {
    throw FileProblem(line: node.mark?.line, message: "a name has 1 to 255 bytes and no control characters")
  }
  return text
}

private func cron(_ node: Node) throws -> String {
  let text = try text(node)
  _ = try CronExpression(text)
  return text
}

private func number(_ node: Node, in range: ClosedRange<Int>) throws(FileProblem) -> Int {
  guard let number = Int(try text(node)), range.contains(number) else {
    throw FileProblem(line: node.mark?.line, message: "write a number from \(range.lowerBound) to \(range.upperBound)")
  }
  return number
}

private func duration(_ node: Node, from: Duration = .zero, upTo: Duration? = nil) throws -> Duration {
  let duration = try DurationText.read(try text(node))
  guard duration >= from else { throw FileProblem(message: "it is \(DurationText.write(from)) at least") }
  if let upTo, duration > upTo { throw FileProblem(message: "it is \(DurationText.write(upTo)) at most") }
  return duration
}

private func list(_ node: Node) throws(FileProblem) -> [String] {
  guard case .sequence(let sequence) = node else {
    throw FileProblem(line: node.mark?.line, message: "write a list, as `[mail, daily]`")
  }
  var texts: [String] = []
  for element in sequence { texts.append(try text(element)) }
  return texts
}

private func map(_ node: Node) throws(FileProblem) -> [String: String] {
  guard case .mapping(let mapping) = node else {
    throw FileProblem(line: node.mark?.line, message: "write a map, as `{team: billing}`")
  }
  var map: [String: String] = [:]
  for (key, value) in mapping { map[try text(key)] = try text(value) }
  return map
}
