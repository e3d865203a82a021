import NuvomCommandLine
import ArgumentParser
import MessagePack
import NuvomClient

struct DequeueCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dequeue", abstract: "Take jobs under a lease; print id, token and payload.",
    discussion: """
      Until its lease is over a job is yours: settle it with ack, nack or release, or ask for more time with extend; otherwise it is \
      delivered again. Exit status 1 if there is nothing to take.
      """)

  @Option(
    name: .customLong("queue"),
    help: ArgumentHelp("A queue; may be repeated, taken from in this order. Default: default.", valueName: "name"))
  var queues: [String] = []
  @Option(name: .customLong("max"), help: ArgumentHelp("At most so many jobs.", valueName: "n")) var maximum = 1
  @Option(
    help: ArgumentHelp("Wait so long for a job, up to 1h. Default: 0.", valueName: "duration"),
    transform: DurationText.read)
  var wait: Duration = .zero
  @Option(
    help: ArgumentHelp("How long the lease lasts, up to 1d. Default: 30s.", valueName: "duration"),
    transform: DurationText.read)
  var lease: Duration = .seconds(30)
  @OptionGroup var client: ClientOptions

  func run() async throws {
    let (queues, maximum, wait, lease) = (queues.isEmpty ? ["default"] : queues, maximum, wait, lease)
    let jobs = try await client.withClient {
      try await $0.dequeue(queues: queues, maximum: maximum, wait: wait, lease: lease).jobs
    }
    let rows = jobs.map { job in
      [
        "\(job.id)", "\(job.token.rawValue)", "\(job.attempt)/\(job.maximumAttempts)", DurationText.write(job.lease),
        job.queue, job.task, Output.payload(job.payload, limit: 2_000),
      ]
    }
    try client.output.answer(
      ["jobs": .array(jobs.map(\.document))],
      jobs.isEmpty ? [] : Output.table(["ID", "TOKEN", "ATTEMPT", "LEASE", "QUEUE", "TASK", "PAYLOAD"], rows))
    if jobs.isEmpty {
      Output.remark("nuvom: nothing to dequeue from \(queues.joined(separator: ", ")); wait for a job with --wait 30s")
      throw ExitCode(ExitStatus.refused.rawValue)
    }
  }
}

/// A job and the token under which it is held.
struct LeaseArguments: ParsableArguments {
  @Argument(help: "The job's id.", transform: ClientOptions.jobID) var id: JobID
  @Argument(help: "The token that dequeue printed with it.", transform: ClientOptions.token) var token: LeaseToken
  @OptionGroup var client: ClientOptions

  /// Settles, and says so.
  func settle(
    _ word: String, _ body: @escaping @Sendable (NuvomClient, Lease) async throws -> Void
  ) async throws {
    let lease = Lease(id: id, token: token)
    try await client.withClient { try await body($0, lease) }
    try client.output.answer(["id": .id(id), .string(word): true], ["\(id) \(word)"])
  }
}

struct AckCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ack", abstract: "Say that a job is done.",
    discussion: "The result is kept for the job's retention (enqueue --retention), and shown by get and wait.")

  @OptionGroup var lease: LeaseArguments
  @Option(
    help: ArgumentHelp("Result: any JSON value, kept as MessagePack.", valueName: "json"), transform: JSONText.read)
  var result: MessageValue?
  @Option(help: ArgumentHelp("Result: the bytes of a file; - is standard input.", valueName: "file"))
  var resultFile: String?

  func validate() throws {
    if result != nil && resultFile != nil { throw ValidationError("give the result once: --result or --result-file") }
  }

  func run() async throws {
    let bytes = try resultFile.map(InputFile.read) ?? result?.encoded()
    try await lease.settle("acked") { try await $0.ack($1, result: bytes) }
  }
}

struct NackCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nack", abstract: "Say that a job failed: it is tried again, or becomes a dead letter.")

  @OptionGroup var lease: LeaseArguments
  @Option(help: ArgumentHelp("What happened.", valueName: "text")) var message = ""
  @Option(help: ArgumentHelp("The kind of error.", valueName: "name")) var type = ""
  @Flag(help: "Do not try it again: it becomes a dead letter at once.") var noRetry = false
  @Option(
    help: ArgumentHelp("Try it again after so long, whatever its own rules say.", valueName: "duration"),
    transform: DurationText.read)
  var delay: Duration?

  func validate() throws {
    if noRetry && delay != nil {
      throw ValidationError("--no-retry and --delay contradict each other; give one of them")
    }
  }

  func run() async throws {
    let reason = NackReason(type: type, message: message, delay: delay, retry: !noRetry)
    try await lease.settle("nacked") { try await $0.nack($1, reason) }
  }
}

struct ReleaseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "release", abstract: "Give a job back: to the front of its queue, the attempt not counted.")

  @OptionGroup var lease: LeaseArguments
  @Option(help: ArgumentHelp("Ready again after so long.", valueName: "duration"), transform: DurationText.read)
  var delay: Duration = .zero

  func run() async throws {
    let delay = delay
    try await lease.settle("released") { try await $0.release($1, delay: delay) }
  }
}

struct ExtendCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "extend", abstract: "Make a lease last longer, from now.")

  @OptionGroup var lease: LeaseArguments
  @Option(
    help: ArgumentHelp("How long from now, up to 1d. Default: as long as the lease was.", valueName: "duration"),
    transform: DurationText.read)
  var to: Duration?

  func run() async throws {
    let length = to
    try await lease.settle("extended") { try await $0.extend($1, to: length) }
  }
}

struct ProgressCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "progress", abstract: "Say how far a job is; get shows it.",
    discussion:
      "It replaces what was said before, and is forgotten when the lease ends. It does not make the lease longer.")

  @OptionGroup var lease: LeaseArguments
  @Option(help: ArgumentHelp("How much is done, 0 to 100.", valueName: "n")) var percent: Int?
  @Option(help: ArgumentHelp("What is being done, up to 255 bytes.", valueName: "text")) var message: String?

  func validate() throws {
    if percent == nil && message == nil { throw ValidationError("say something: --percent, --message or both") }
    if let percent, !(0...100).contains(percent) {
      throw ValidationError("--percent is from 0 to 100, not \(percent)")
    }
  }

  func run() async throws {
    let (percent, message) = (percent, message)
    try await lease.settle("reported") { try await $0.reportProgress($1, percent: percent, message: message) }
  }
}
