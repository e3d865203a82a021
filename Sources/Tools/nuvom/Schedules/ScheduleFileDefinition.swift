import MessagePack
import NuvomClient
import NuvomCommandLine
import NuvomModel
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

/// Reads one definition, and gathers what is wrong in it.
struct ScheduleFileDefinition {
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
    // The protocol has 32 bits for these milliseconds.
    let longest = Duration.milliseconds(Int64(UInt32.max))
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
    if job.payload.count > Job.maximumPayloadBytes {
      problems.append(
        ScheduleFileProblem(
          schedule: name, message: "its payload has \(job.payload.count) bytes; \(Job.maximumPayloadBytes) are allowed")
      )
    }
    job.priority = value(.priority) { UInt8(try number($0, in: 0...255)) } ?? job.priority
    job.maximumAttempts = value(.maxAttempts) { try number($0, in: 1...65_535) } ?? job.maximumAttempts
    job.backoff = value(.backoff) { .doubling(from: try duration($0, upTo: longest)) } ?? job.backoff
    job.timeout = value(.timeout) { try duration($0, upTo: longest) }
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
  guard text.isName else {
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
  try checkSize(.array(texts.map { .string($0) }), upTo: ProtocolLimits.tagBytes, node)
  return texts
}

private func map(_ node: Node) throws(FileProblem) -> [String: String] {
  guard case .mapping(let mapping) = node else {
    throw FileProblem(line: node.mark?.line, message: "write a map, as `{team: billing}`")
  }
  var map: [String: String] = [:]
  for (key, value) in mapping { map[try text(key)] = try text(value) }
  try checkSize(.map(map.map { (.string($0.key), .string($0.value)) }), upTo: ProtocolLimits.metadataBytes, node)
  return map
}

private func checkSize(_ value: MessageValue, upTo limit: Int, _ node: Node) throws(FileProblem) {
  if let bytes = try? value.encoded(), bytes.count > limit {
    throw FileProblem(
      line: node.mark?.line, message: "it has \(bytes.count) bytes in MessagePack; \(limit) are allowed")
  }
}

extension String {
  /// Whether it can be the name of a schedule, a queue or a task.
  var isName: Bool {
    (1...ProtocolLimits.nameBytes).contains(utf8.count)
      && !unicodeScalars.contains { $0.properties.generalCategory == .control }
  }
}
