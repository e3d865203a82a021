import MessagePack
import NuvomClient
import NuvomCommandLine
import NuvomSchedule
import Yams

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
  ///
  /// - Parameter prefix: what each name begins with; nil: with anything.
  /// - Throws: ``ScheduleFileProblems``, which are told on standard error before it is thrown as a ``Failure``.
  init(path: String, prefix: String? = nil, zones: TimeZones) throws {
    let name = path == "-" ? "standard input" : path
    guard let text = String(validating: try InputFile.read(path), as: UTF8.self) else {
      throw Failure(.damaged, "\(name) is no text in UTF-8")
    }
    do {
      try self.init(text: text, prefix: prefix, zones: zones)
    } catch {
      for problem in error.problems.dropLast() { Output.remark("nuvom: \(problem.words(file: name))") }
      throw Failure(.damaged, error.problems.last?.words(file: name) ?? "\(name) is wrong")
    }
  }

  /// Reads and checks all of a text.
  init(text: String, prefix: String? = nil, zones: TimeZones) throws(ScheduleFileProblems) {
    var reader = ScheduleFileReader(prefix: prefix, zones: zones)
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

  let prefix: String?
  let zones: TimeZones
  var definitions: [ScheduleFile.Definition] = []
  var remarks: [String] = []
  var problems: [ScheduleFileProblem] = []

  init(prefix: String?, zones: TimeZones) {
    self.prefix = prefix
    self.zones = zones
  }

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
      case "defaults": defaults = self.defaults(value)
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
    if !name.isName { problem(key, name, "a name has 1 to 255 bytes and no control characters") }
    if let prefix, !name.hasPrefix(prefix) {
      problem(key, name, "it does not begin with --prefix \(Output.printable(prefix)), for which the file speaks")
    }
    let own = fields(value, of: name)
    let fields = defaults.merging(own) { $1 }
    if fields[.cron] == nil, let policy = own[.dstGap] ?? own[.dstFold] {
      problem(policy, name, "`dst-gap` and `dst-fold` are for `cron`: no other schedule has local times")
    }
    var definition = ScheduleFileDefinition(
      name: name, fields: fields, isComplete: problems.count == before, zones: zones)
    let schedule = definition.schedule()
    for var problem in definition.problems {
      problem.line = problem.line ?? key.mark?.line
      // What is wrong in the defaults is wrong for each schedule: once is enough.
      let isTold = problems.contains {
        $0.line == problem.line && $0.field == problem.field && $0.message == problem.message
      }
      if !isTold { problems.append(problem) }
    }
    remarks += definition.remarks
    if problems.count == before && definition.problems.isEmpty {
      definitions.append(ScheduleFile.Definition(line: key.mark?.line, schedule: schedule))
    }
  }

  /// What all schedules may have in common.
  private mutating func defaults(_ node: Node) -> Fields {
    var fields = fields(node, of: "defaults")
    for kind in [ScheduleFileField.at, .every, .cron] {
      guard let value = fields.removeValue(forKey: kind) else { continue }
      problem(value, "defaults", "`\(kind.rawValue)` is each schedule's own; write it there")
    }
    return fields
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
}
