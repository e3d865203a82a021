import NuvomCommandLine
import ArgumentParser
import MessagePack
import NuvomClient

struct StatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Say in one line how a job is.",
    discussion: """
      ✅ SUCCESS with its result, ❌ FAILED with its error, 🚫 CANCELLED, or 🕒 PENDING or RUNNING with its attempt. Exit status 0 for each; \
      1 if there is no such job: it was never enqueued, or its retention is over.
      """)

  @Argument(help: "The job's id.", transform: ClientOptions.jobID) var id: JobID
  @OptionGroup var client: ClientOptions

  func run() async throws {
    let id = id
    let job = try await client.withClient { try await $0.get(id) }
    try client.output.answer(
      .fields([
        "id": .id(id), "status": .string(job.headline.word), "attempt": .count(job.attempt),
        "max_attempts": .count(job.maximumAttempts),
        "result": job.state == .succeeded ? job.result.map { .decoded($0) } ?? .null : nil,
        "error": job.errors.last.map { .string($0.words) },
      ]), [job.headline.line])
  }
}

struct RetryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retry",
    abstract: "Give jobs that failed for good new attempts, by the rules they were enqueued with.",
    discussion: "The same as `dead replay` with ids: they are ready at once, and have all their attempts again.")

  @Argument(help: "The jobs' ids.", transform: ClientOptions.jobID) var ids: [JobID]
  @OptionGroup var client: ClientOptions

  func run() async throws {
    let ids = ids
    let change = try await client.withClient { try await $0.replayDeadLetters(ids) }
    let refused = Set(change.refused.map(\.id))
    let retried = ids.filter { !refused.contains($0) }
    try client.output.answer(
      ["retried": .array(retried.map { .id($0) }), "refused": .array(change.refused.map(\.document))],
      retried.map { "\($0) is ready again" })
    try change.refused.report()
  }
}

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show everything of a job, with the traces of its errors.",
    subcommands: [InspectJobCommand.self])
}

struct InspectJobCommand: AsyncParsableCommand {
  /// How it is shown.
  enum Form: String, CaseIterable, ExpressibleByArgument {
    case table, json, raw
  }

  static let configuration = CommandConfiguration(
    commandName: "job", abstract: "Show a job: table for people, json indented, raw in one line.")

  @Argument(help: "The job's id.", transform: ClientOptions.jobID) var id: JobID
  @Option(name: [.short, .long], help: "How it is shown.") var format = Form.table
  @OptionGroup var client: ClientOptions

  func run() async throws {
    let id = id
    let job = try await client.withClient { try await $0.get(id) }
    let lines =
      switch format {
      case .table: job.inspection
      case .json: [JSONText.write(job.document, indented: true)]
      case .raw: [JSONText.write(job.document)]
      }
    try client.output.answer(job.document, lines)
  }
}

extension JobStatus {
  /// What is to be said first.
  var headline: (word: String, line: String) {
    let tries = attempt == 0 ? "not tried yet" : "attempt \(attempt) of \(maximumAttempts)"
    switch state {
    case .succeeded:
      return ("SUCCESS", "✅ SUCCESS" + (result.map { ": \(Output.payload($0, limit: 2_000))" } ?? ""))
    case .dead:
      let reason = errors.last?.words ?? deadReason.map { "\($0.wireName)" } ?? "for a reason that is not known"
      return ("FAILED", "❌ FAILED: \(Output.printable(reason))")
    case .cancelled: return ("CANCELLED", "🚫 CANCELLED")
    case .leased:
      let said = progress.flatMap(\.said).map { ", \(Output.printable($0))" } ?? ""
      return ("RUNNING", "🕒 RUNNING (\(tries)\(said))")
    case .ready, .delayed:
      let failed = errors.last.map { ", failed: \(Output.printable($0.words))" } ?? ""
      let due = dueAtMilliseconds.map { ", next at \(TimeText.write($0))" } ?? ""
      return ("PENDING", "🕒 PENDING (\(tries)\(failed)\(due))")
    }
  }

  /// Name and value on each line, then the traces.
  fileprivate var inspection: [String] {
    let payload = MessageValue.decoded(payload)
    let error = state == .succeeded ? nil : errors.last?.words
    var pairs = [("job_id", "\(id)"), ("status", headline.word), ("func_name", task), ("queue", queue)]
    for name in ["args", "kwargs"] { pairs.append((name, payload[name].map { JSONText.write($0) } ?? "-")) }
    pairs.append(("result", result.map { Output.payload($0, limit: 2_000) } ?? "-"))
    pairs.append(("error", error ?? "-"))
    pairs.append(("retries_left", "\(max(0, maximumAttempts - attempt))"))
    pairs.append(("attempts", "\(attempt)"))
    if let schedule { pairs.append(("schedule", schedule.words)) }
    pairs.append(("created_at", TimeText.write(enqueuedAtMilliseconds)))
    pairs.append(("completed_at", finishedAtMilliseconds.map(TimeText.write) ?? "-"))
    if payload["args"] == nil { pairs.append(("payload", Output.payload(self.payload, limit: 2_000))) }
    var lines = Output.pairs(pairs)
    for error in errors where !error.trace.isEmpty {
      lines += ["", "traceback of attempt \(error.attempt), \(TimeText.write(error.atMilliseconds)):"]
      lines += error.trace.split(whereSeparator: \.isNewline).map { "  " + Output.printable(String($0)) }
    }
    return lines
  }
}

extension JobStatus.AttemptError {
  /// Type and message.
  fileprivate var words: String { [type, message].filter { !$0.isEmpty }.joined(separator: ": ") }
}
