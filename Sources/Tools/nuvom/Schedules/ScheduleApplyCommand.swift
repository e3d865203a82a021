import ArgumentParser
import MessagePack
import NuvomClient
import NuvomCommandLine
import NuvomSchedule

struct ScheduleApplyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apply", abstract: "Make the broker's schedules those of a file.",
    discussion: """
      The file is YAML: `schedules` is a map of names to definitions, whose fields are called like the options of `create` (docs/schedules.md). All of \
      it is checked before anything is sent. What the broker has and the file has not is named, and deleted only with --delete-others. A definition \
      whose `at` or `end` is past is over: it ends the schedule of its name, and is not sent if none goes on. Applied again, a file changes nothing.
      """)

  @Argument(help: "The file; - is standard input.") var file: String
  @Flag(help: "Only show what would change.") var dryRun = false
  @Flag(help: "Delete schedules that are not in the file.") var deleteOthers = false
  @Option(help: "The file speaks for schedules whose names begin so, and has no others: leave others alone.")
  var prefix: String?
  @OptionGroup var client: ClientOptions

  func run() async throws {
    let zones = TimeZones()
    let file = try ScheduleFile(path: file, prefix: prefix, zones: zones)
    for remark in file.remarks { Output.remark("nuvom: \(remark)") }
    let definitions = file.definitions.map(\.schedule)
    let (filter, now) = (ScheduleFilter(prefix: prefix), WallClock.milliseconds)
    let (isDryRun, deletes) = (dryRun, deleteOthers)
    let results = try await client.withClient { client in
      let named = Set(definitions.map(\.name))
      let others = try await client.gatherSchedules(filter, into: [String]()) { others, status in
        if !named.contains(status.schedule.name) { others.append(status.schedule.name) }
      }.sorted()
      // What is not over is sent whatever the broker has.
      let asked = definitions.filter { isDryRun || $0.overSince(now) != nil }
      let present = try await client.statuses(of: asked.map(\.name))
      let difference = ScheduleDifference(
        definitions, present: present.mapValues(\.schedule),
        finished: Set(present.values.filter { $0.state == .finished }.map(\.schedule.name)), others: others, now: now)
      if isDryRun { return difference.results(deletes: deletes) }
      let (live, ended) = difference.work(definitions)
      var receipts: [String: ScheduleReceipt] = [:]
      for batch in live.batches() {
        for (schedule, receipt) in zip(batch, try await client.define(Array(batch))) {
          receipts[schedule.name] = receipt
        }
      }
      try await client.forget(ended + (deletes ? others : []))
      return difference.results(deletes: deletes).map { result in
        receipts[result.name].map { AppliedSchedule(result.name, $0) } ?? result
      }
    }
    let schedules = Dictionary(definitions.map { ($0.name, $0) }) { first, _ in first }
    try client.output.answer(
      ["dry_run": .bool(dryRun), "schedules": .array(results.map(\.document))],
      results.map { $0.line(schedules[$0.name], zones) } + [results.summary(isDryRun: dryRun)])
  }
}

/// What applying a file did to a schedule, or would do.
struct AppliedSchedule: Sendable {
  let name: String
  /// `created`, `updated`, `unchanged`, `over`, `deleted`, or `other`: not in the file, and left alone.
  let word: String
  /// The fields that are another.
  var changed: [String] = []
  /// Their old and new values, where both are known.
  var changes: [ScheduleDifference.Change] = []
  var dueAtMilliseconds: UInt64?
  var overSince: UInt64?
  /// Whether it is unchanged, and has no due time any more.
  var isFinished = false

  var document: MessageValue {
    .fields([
      "name": .string(name), "status": .string(word),
      "changed": changed.isEmpty ? nil : .array(changed.map { .string($0) }),
      "changes": changes.isEmpty
        ? nil
        : .array(changes.map { ["field": .string($0.field), "old": $0.old, "new": $0.new] }),
      "due_at_ms": dueAtMilliseconds.map { .uint($0) },
    ])
  }

  func line(_ schedule: Schedule?, _ zones: TimeZones) -> String {
    let zone = schedule?.zone(zones) ?? .utc
    let sign = ["created": "+", "updated": "~", "unchanged": "=", "deleted": "-"][word] ?? " "
    var line = "\(sign) \(Output.printable(name)) \(word == "other" ? "is not in the file" : word)"
    if !changes.isEmpty {
      line +=
        " (" + changes.map { "\($0.field): \(Self.short($0.old)) → \(Self.short($0.new))" }.joined(separator: ", ")
        + ")"
    } else if !changed.isEmpty {
      line += " (\(changed.joined(separator: ", ")))"
    }
    if let dueAtMilliseconds { line += ", due \(ISOTime(milliseconds: dueAtMilliseconds, in: zone))" }
    if isFinished { line += ", \(ScheduleReceipt.finishedWords)" }
    if let overSince {
      let time = ISOTime(milliseconds: overSince, in: zone)
      line += word == "over" ? " since \(time), not sent" : ", over since \(time)"
    }
    return line
  }

  private static func short(_ value: MessageValue) -> String {
    let text = Output.printable(JSONText.write(value))
    return text.count <= 60 ? text : text.prefix(59) + "…"
  }
}

extension AppliedSchedule {
  init(_ name: String, _ receipt: ScheduleReceipt) {
    self.init(
      name: name, word: receipt.status.rawValue, changed: receipt.changed, dueAtMilliseconds: receipt.dueAtMilliseconds,
      isFinished: receipt.isFinished)
  }
}

extension [AppliedSchedule] {
  /// How many of each, in one line.
  fileprivate func summary(isDryRun: Bool) -> String {
    let words = ["created", "updated", "unchanged", "over", "deleted"].compactMap { word in
      let count = count { $0.word == word }
      return count == 0 ? nil : "\(count) \(word)"
    }
    let others = count { $0.word == "other" }
    let parts = words + (others == 0 ? [] : ["\(others) not in the file, left alone (--delete-others deletes)"])
    let summary = parts.isEmpty ? "nothing to do" : parts.joined(separator: ", ")
    return isDryRun ? "dry run, nothing is changed: \(summary)" : summary
  }
}

extension ScheduleDifference {
  /// What is to be sent of the definitions, and the names of those that are to be deleted.
  fileprivate func work(_ definitions: [Schedule]) -> (live: [Schedule], ended: [String]) {
    var (live, ended): ([Schedule], [String]) = ([], [])
    // The definitions are the first of the fates.
    for (schedule, fate) in zip(definitions, fates) {
      switch fate.fate {
      case .created, .updated, .unchanged: live.append(schedule)
      case .ended: ended.append(schedule.name)
      case .over, .other: break
      }
    }
    return (live, ended)
  }

  /// What would become of each schedule.
  func results(deletes: Bool) -> [AppliedSchedule] {
    fates.map { name, fate in
      switch fate {
      case .created: AppliedSchedule(name: name, word: "created")
      case .updated(let changes):
        AppliedSchedule(name: name, word: "updated", changed: changes.map(\.field), changes: changes)
      case .unchanged: AppliedSchedule(name: name, word: "unchanged", isFinished: hasFinished(name))
      case .over(let time): AppliedSchedule(name: name, word: "over", overSince: time)
      case .ended(let time): AppliedSchedule(name: name, word: "deleted", overSince: time)
      case .other: AppliedSchedule(name: name, word: deletes ? "deleted" : "other")
      }
    }
  }
}

extension [Schedule] {
  /// Pieces that fit into one request each, as few as may be.
  func batches(ofBytes byteLimit: Int = 8 << 20, elements elementLimit: Int = 250_000) -> [ArraySlice<Schedule>] {
    var batches: [ArraySlice<Schedule>] = []
    var (first, bytes, elements) = (0, 0, 0)
    for (index, schedule) in enumerated() {
      // Names and expressions have bounds of their own. Not more than 30 fields are written.
      let size = 2_048 + schedule.unboundedBytes
      let parts = 64 + 2 * (schedule.metadata.count + schedule.job.headers.count) + schedule.job.tags.count
      if index > first, bytes + size > byteLimit || elements + parts > elementLimit {
        batches.append(self[first..<index])
        (first, bytes, elements) = (index, 0, 0)
      }
      bytes += size
      elements += parts
    }
    if first < count { batches.append(self[first...]) }
    return batches
  }
}

extension Schedule {
  /// Not less than what takes the rest of a definition's bytes: each text and its length.
  fileprivate var unboundedBytes: Int {
    let metadata = metadata.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 10 }
    let headers = job.headers.reduce(0) { bytes, header in
      switch header.value {
      case .text(let text): bytes + header.key.utf8.count + text.utf8.count + 10
      case .bytes(let value): bytes + header.key.utf8.count + value.count + 10
      }
    }
    return job.payload.count + metadata + headers + job.tags.reduce(0) { $0 + $1.utf8.count + 5 }
  }
}

extension NuvomClient {
  /// Deletes schedules, however many.
  fileprivate func forget(_ names: [String]) async throws {
    for first in stride(from: 0, to: names.count, by: 10_000) {
      let refused = try await deleteSchedules(Array(names[first..<Swift.min(first + 10_000, names.count)]))
      // Gone is gone, whoever did it.
      if let other = refused.first(where: { $0.code != .notFound }) {
        throw Failure(ExitStatus(other.code), "\(other.name): \(other.message)", code: other.code.rawValue)
      }
    }
  }

  /// What the broker has of these names, with their payloads, which a list has not.
  fileprivate func statuses(of names: [String]) async throws -> [String: ScheduleStatus] {
    var statuses: [String: ScheduleStatus] = [:]
    for first in stride(from: 0, to: names.count, by: 256) {
      // Many at a time: each answer is awaited for a round trip.
      try await withThrowingTaskGroup(of: ScheduleStatus?.self) { group in
        for name in names[first..<Swift.min(first + 256, names.count)] {
          group.addTask {
            do {
              return try await self.schedule(named: name)
            } catch let error as NuvomError where error.code == .notFound {
              return nil
            }
          }
        }
        for try await status in group {
          if let status { statuses[status.schedule.name] = status }
        }
      }
    }
    return statuses
  }
}
