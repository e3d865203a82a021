import NuvomCommandLine
import ArgumentParser
import MessagePack
import NuvomClient

struct DeadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dead", abstract: "List, replay or delete dead letters: jobs that nobody will try again by itself.",
    subcommands: [DeadListCommand.self, DeadReplayCommand.self, DeadDeleteCommand.self])
}

/// Which dead letters are meant.
struct DeadFilterOptions: ParsableArguments {
  @Option(help: "Only those of this queue.") var queue: String?
  @Option(help: "Only those of this task.") var task: String?
  @Option(
    help: ArgumentHelp(
      "Only those that died for this reason: \(DeadReason.allCases.map { "\($0.wireName)" }.joined(separator: ", ")).",
      valueName: "reason"),
    transform: readReason)
  var reason: DeadReason?

  var filter: DeadLetterFilter { DeadLetterFilter(queue: queue, task: task, reason: reason) }

  private static func readReason(_ text: String) throws -> DeadReason {
    let names = DeadReason.allCases.map { "\($0.wireName)" }
    guard let index = names.firstIndex(of: text) else {
      throw Unreadable(description: "write one of \(names.joined(separator: ", "))")
    }
    return DeadReason.allCases[index]
  }
}

struct DeadListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "List dead letters, oldest first.")

  @OptionGroup var which: DeadFilterOptions
  @Option(help: ArgumentHelp("At most so many.", valueName: "n")) var limit = 100
  @Option(
    help: ArgumentHelp("Begin after this one: the next page.", valueName: "id"), transform: ClientOptions.jobID)
  var after: JobID?
  @OptionGroup var client: ClientOptions

  func validate() throws {
    if limit < 1 { throw ValidationError("--limit must be 1 at least") }
  }

  func run() async throws {
    let (filter, limit, after) = (which.filter, limit, after)
    let (jobs, next) = try await client.withClient { client in
      var jobs: [JobStatus] = []
      var next = after
      repeat {
        let page = try await client.deadLetterPage(filter, after: next, limit: min(1_000, limit - jobs.count))
        jobs += page.jobs
        next = page.next
      } while next != nil && jobs.count < limit
      return (jobs, next)
    }
    let rows = jobs.map { job in
      [
        "\(job.id)", job.queue, job.task, job.deadReason.map { "\($0.wireName)" } ?? "", "\(job.attempt)",
        job.finishedAtMilliseconds.map(TimeText.write) ?? "", job.errors.last?.message ?? "",
      ]
    }
    var lines =
      jobs.isEmpty
      ? ["no dead letters"] : Output.table(["ID", "QUEUE", "TASK", "REASON", "ATTEMPT", "DIED", "LAST ERROR"], rows)
    if let next { lines.append("more with --after \(next)") }
    try client.output.answer(
      .fields(["jobs": .array(jobs.map(\.document)), "next": next.map { .id($0) }]), lines)
  }
}

/// What replay and delete have in common: ids, or a filter, or all.
struct DeadChangeOptions: ParsableArguments {
  @Argument(help: "The dead letters' ids.", transform: ClientOptions.jobID) var ids: [JobID] = []
  @OptionGroup var which: DeadFilterOptions
  @Flag(help: "All dead letters there are.") var all = false
  @OptionGroup var client: ClientOptions

  func validate() throws {
    let ways = [!ids.isEmpty, which.filter != DeadLetterFilter(), all]
    guard ways.count(where: { $0 }) == 1 else {
      throw ValidationError("say which dead letters: their ids, or --queue, --task, --reason, or --all")
    }
  }

  /// Changes them, many with a request, and says how many it were.
  func change(
    _ word: String, ids byID: @escaping @Sendable (NuvomClient, [JobID]) async throws -> DeadLetterChange,
    filter byFilter: @escaping @Sendable (NuvomClient, DeadLetterFilter, Int) async throws -> DeadLetterChange
  ) async throws {
    let (ids, filter) = (ids, which.filter)
    let (count, refused) = try await client.withClient { client in
      var count = 0
      if !ids.isEmpty {
        let change = try await byID(client, ids)
        return (change.count, change.refused)
      }
      // No more than there are now: what is replayed may die again meanwhile, and would be replayed for ever.
      let queues = try await client.queues().filter { $0.name == filter.queue || filter.queue == nil }
      let present = queues.reduce(0) { $0 + $1.dead }
      while count < present {
        let change = try await byFilter(client, filter, min(1_000, present - count))
        count += change.count
        if !change.hasMore { break }
      }
      return (count, [])
    }
    try client.output.answer(
      [.string(word): .count(count), "refused": .array(refused.map(\.document))], ["\(count) \(word)"])
    try refused.report()
  }
}

struct DeadReplayCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "replay", abstract: "Make dead letters ready again, with a new allowance of attempts.")

  @OptionGroup var options: DeadChangeOptions

  func run() async throws {
    try await options.change("replayed") {
      try await $0.replayDeadLetters($1)
    } filter: {
      try await $0.replayDeadLetters($1, limit: $2)
    }
  }
}

struct DeadDeleteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete dead letters. There is no way back.")

  @OptionGroup var options: DeadChangeOptions

  func run() async throws {
    try await options.change("deleted") {
      try await $0.deleteDeadLetters($1)
    } filter: {
      try await $0.deleteDeadLetters($1, limit: $2)
    }
  }
}
