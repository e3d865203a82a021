import ArgumentParser
import MessagePack
import NuvomClient
import NuvomCommandLine
import NuvomSchedule

struct ScheduleCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "schedule", abstract: "Have the broker enqueue jobs by itself: once, every so often, by cron.",
    discussion: """
      The broker fires a schedule exactly once for each due time, also through crashes: nothing else need run. `create` and `apply` may be repeated: \
      the same definition again changes nothing.
      """,
    subcommands: [],
    groupedSubcommands: [
      CommandGroup(
        name: "Definitions",
        subcommands: [
          ScheduleCreateCommand.self, ScheduleUpdateCommand.self, ScheduleApplyCommand.self, ScheduleDeleteCommand.self,
        ]),
      CommandGroup(
        name: "Control",
        subcommands: [
          ScheduleListCommand.self, ScheduleShowCommand.self, SchedulePauseCommand.self, ScheduleResumeCommand.self,
          ScheduleTriggerCommand.self,
        ]),
      CommandGroup(name: "Forecast", subcommands: [SchedulePreviewCommand.self, ScheduleLoadCommand.self]),
    ])
}

struct ScheduleCreateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Create a schedule, or update the one of its name to this definition.",
    discussion: """
      Prints whether it was created, updated (and what changed) or unchanged, and when it is due next. Options that are not given have their \
      defaults, also if the schedule was there: `update` changes only what is given.
      """)

  @Argument(help: "What the schedule is known by.") var name: String
  @Option(help: "The task: the name of the handler that is to do the jobs.") var task: String
  @OptionGroup var definition: DefinitionOptions
  @OptionGroup var client: ClientOptions

  func validate() throws {
    guard definition.kinds == 1 else { throw ValidationError("say when: --at, --in, --every or --cron") }
  }

  func run() async throws {
    var schedule = Schedule(name, .in(.zero), job: Job(task: task))
    let zones = TimeZones()
    for remark in try definition.remarks(applyingTo: &schedule, zones: zones) { Output.remark("nuvom: \(remark)") }
    let created = schedule
    let receipts = try await client.withClient { try await $0.define([created]) }
    try client.output.answer(receipts[0].document(created.name), [receipts[0].line(created, zones)])
  }
}

struct ScheduleUpdateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Change what is given of a schedule's definition; the rest stays.",
    discussion: """
      Fetches the definition, changes it and sends it back. `--start none`, `--end none` and `--max-fires 0` take a limit away, `--metadata KEY=` a key. \
      --tag replaces all tags; --args leaves the named arguments as they are, and --kwargs the positional ones.
      """)

  @OptionGroup var schedule: ScheduleArgument
  @Option(help: "The task: the name of the handler that is to do the jobs.") var task: String?
  @OptionGroup var definition: DefinitionOptions

  func run() async throws {
    let (name, options, task) = (schedule.name, definition, task)
    let zones = TimeZones()
    let present = try await schedule.client.withClient { try await $0.status(ofSchedule: name) }.schedule
    var changed = present
    if let task { changed.job.task = task }
    for remark in try options.remarks(applyingTo: &changed, zones: zones) { Output.remark("nuvom: \(remark)") }
    let definition = changed
    let receipts = try await schedule.client.withClient { try await $0.define([definition]) }
    try schedule.client.output.answer(receipts[0].document(name), [receipts[0].line(definition, zones)])
  }
}

/// The schedule that a command is about.
struct ScheduleArgument: ParsableArguments {
  @Argument(help: "The schedule's name.") var name: String
  @OptionGroup var client: ClientOptions
}

/// The schedules that a command is about.
struct ScheduleArguments: ParsableArguments {
  @Argument(help: "The schedules' names.") var names: [String]
  @OptionGroup var client: ClientOptions

  /// Changes them, each by itself, and says which were and which were refused.
  func change(
    _ word: String, _ body: @Sendable ([String], NuvomClient) async throws -> [ScheduleRefusal]
  ) async throws {
    let names = names
    let refused = try await client.withClient { try await body(names, $0) }
    let missing = Set(refused.map(\.name))
    let changed = names.filter { !missing.contains($0) }
    try client.output.answer(
      [.string(word): .array(changed.map { .string($0) }), "refused": .array(refused.map(\.document))],
      changed.map { "\(Output.printable($0)) \(word)" })
    try refused.report()
  }
}

struct SchedulePauseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause", abstract: "Let schedules not fire until they are resumed, also after a restart.")

  @OptionGroup var schedules: ScheduleArguments

  func run() async throws { try await schedules.change("paused") { try await $1.pauseSchedules($0) } }
}

struct ScheduleResumeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "End the pause of schedules.",
    discussion: "What becomes of the due times that passed is for each schedule's --misfire to say.")

  @OptionGroup var schedules: ScheduleArguments

  func run() async throws { try await schedules.change("resumed") { try await $1.resumeSchedules($0) } }
}

struct ScheduleDeleteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Forget schedules. Jobs that they enqueued stay.")

  @OptionGroup var schedules: ScheduleArguments

  func run() async throws { try await schedules.change("deleted") { try await $1.deleteSchedules($0) } }
}

struct ScheduleTriggerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trigger", abstract: "Enqueue the jobs of schedules now; print their ids.",
    discussion: "Whatever their state or overlap policy. Their due times stay as they are.")

  @OptionGroup var schedules: ScheduleArguments

  func run() async throws {
    let names = schedules.names
    let triggers = try await schedules.client.withClient { try await $0.triggerSchedules(names) }
    let missing = Set(triggers.refused.map(\.name))
    let jobs = zip(names.filter { !missing.contains($0) }, triggers.jobs)
    try schedules.client.output.answer(
      [
        "triggered": .array(jobs.map { ["name": .string($0), "id": .id($1)] }),
        "refused": .array(triggers.refused.map(\.document)),
      ],
      jobs.map { "\(Output.printable($0)) enqueued \($1)" })
    try triggers.refused.report()
  }
}

struct ScheduleShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Show everything the broker knows of a schedule.",
    discussion: "Times are those of the schedule's own zone; of one without a zone, of UTC.")

  @OptionGroup var schedule: ScheduleArgument

  func run() async throws {
    let name = schedule.name
    let status = try await schedule.client.withClient { try await $0.status(ofSchedule: name) }
    try schedule.client.output.answer(status.document(hasPayload: true), status.lines(TimeZones()))
  }
}

/// Which schedules are meant.
struct ScheduleFilterOptions: ParsableArguments {
  @Option(help: "Only those whose names begin so.") var prefix: String?
  @Option(help: "Only those whose jobs go to this queue.") var queue: String?
  @Option(help: "Only those of this task.") var task: String?

  var filter: ScheduleFilter { ScheduleFilter(prefix: prefix, queue: queue, task: task) }
}

struct ScheduleListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List schedules and when each is due next.",
    discussion: "In no order that means anything, each once; those of one answer by name.")

  @OptionGroup var which: ScheduleFilterOptions
  @Option(help: ArgumentHelp("At most so many.", valueName: "n")) var limit = 100
  @Option(help: ArgumentHelp("Begin after this one: the next page.", valueName: "name")) var after: String?
  @OptionGroup var client: ClientOptions

  func validate() throws {
    if limit < 1 { throw ValidationError("--limit must be 1 at least") }
  }

  func run() async throws {
    let (filter, limit, after) = (which.filter, limit, after)
    let (schedules, next) = try await client.withClient { client in
      var schedules: [ScheduleStatus] = []
      var next = after
      repeat {
        let page = try await client.schedulePage(filter, after: next, limit: min(1_000, limit - schedules.count))
        schedules += page.schedules
        next = page.next
      } while next != nil && schedules.count < limit
      return (schedules.sorted { $0.schedule.name < $1.schedule.name }, next)
    }
    let zones = TimeZones()
    let rows = schedules.map { status in
      let schedule = status.schedule
      let zone = schedule.zone(zones)
      return [
        schedule.name, schedule.words(in: zone), schedule.job.task, schedule.job.queue,
        status.dueAtMilliseconds.map { "\(ISOTime(milliseconds: $0, in: zone))" } ?? "-",
        "\(status.fired)", status.state == .active ? "" : status.state.rawValue,
      ]
    }
    var lines =
      schedules.isEmpty
      ? ["no schedules"] : Output.table(["NAME", "TIMES", "TASK", "QUEUE", "NEXT DUE", "FIRED", ""], rows)
    if let next { lines.append("more with --after '\(Output.printable(next))'") }
    try client.output.answer(
      .fields([
        "schedules": .array(schedules.map { $0.document(hasPayload: false) }), "next": next.map { .string($0) },
      ]), lines)
  }
}

extension ScheduleReceipt {
  func document(_ name: String) -> MessageValue {
    .fields([
      "name": .string(name), "status": .string(status.rawValue),
      "changed": status == .updated ? .array(changed.map { .string($0) }) : nil,
      "due_at_ms": dueAtMilliseconds.map { .uint($0) },
    ])
  }

  /// What to do with a schedule that was there, has finished, and so does nothing.
  static let finishedWords = "finished; trigger it, or delete it first"

  /// Whether the same definition was there, and is over.
  var isFinished: Bool { status == .unchanged && dueAtMilliseconds == nil }

  /// What became of a schedule, and when it is due.
  func line(_ schedule: Schedule, _ zones: TimeZones) -> String {
    if isFinished { return "\(Output.printable(schedule.name)) unchanged, \(Self.finishedWords)" }
    let what = status == .updated && !changed.isEmpty ? " (\(changed.joined(separator: ", ")))" : ""
    let due =
      dueAtMilliseconds.map { "due \(ISOTime(milliseconds: $0, in: schedule.zone(zones)))" } ?? "never due again"
    return "\(Output.printable(schedule.name)) \(status.rawValue)\(what), \(due)"
  }
}
