import NuvomCommandLine
import ArgumentParser
import MessagePack
import NuvomClient

struct EnqueueCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enqueue", abstract: "Hand a job to the broker; print its id.",
    discussion:
      "When the id is printed the job is on the broker's disk (unless the broker was told otherwise with --fsync).")

  @Argument(help: "The task: the name of the handler that is to do the job.") var task: String
  @OptionGroup var fields: JobFieldOptions
  @Option(
    help: ArgumentHelp("Not before so long from now, as 5s.", valueName: "duration"), transform: DurationText.read)
  var delay: Duration?
  @Option(
    help: ArgumentHelp("Not before this time, as 2027-01-31T18:30:00Z.", valueName: "time"), transform: TimeText.read)
  var at: UInt64?
  @Option(help: ArgumentHelp("Enqueue nothing if a job with this key was enqueued lately.", valueName: "key"))
  var uniqueKey: String?
  @Option(
    help: ArgumentHelp("How long the key is known. Default: 1h.", valueName: "duration"), transform: DurationText.read)
  var uniqueFor: Duration?
  @OptionGroup var client: ClientOptions

  func validate() throws {
    if delay != nil && at != nil { throw ValidationError("--delay and --at contradict each other; give one of them") }
    if uniqueFor != nil && uniqueKey == nil {
      throw ValidationError("--unique-for says how long --unique-key is known; give both")
    }
  }

  func run() async throws {
    let job = try job()
    let receipt = try await client.withClient { try await $0.enqueue(job) }
    try client.output.answer(
      ["id": .id(receipt.id), "duplicate": .bool(receipt.isDuplicate)],
      [receipt.isDuplicate ? "\(receipt.id) duplicate" : "\(receipt.id)"])
  }

  private func job() throws -> Job {
    var job = Job(task: task)
    try fields.apply(to: &job)
    job.start = delay.map { .after($0) } ?? at.map { .at(millisecondsSince1970: $0) }
    job.uniqueKey = uniqueKey.map { Job.UniqueKey($0, window: uniqueFor ?? .seconds(3_600)) }
    return job
  }
}

struct GetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Show everything the broker knows of a job.",
    discussion: "A finished job is there for its retention (enqueue --retention); a dead letter stays longer.")

  @Argument(help: "The job's id.", transform: ClientOptions.jobID) var id: JobID
  @OptionGroup var client: ClientOptions

  func run() async throws {
    let id = id
    let job = try await client.withClient { try await $0.get(id) }
    try client.output.answer(job.document, job.lines)
  }
}

struct WaitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wait", abstract: "Wait until a job is finished; show it.",
    discussion: "Exit status: 0 it succeeded; 1 it is dead or cancelled; 75 it is not finished at the time limit.")

  @Argument(help: "The job's id.", transform: ClientOptions.jobID) var id: JobID
  @Option(
    help: ArgumentHelp("How long to wait, up to 1h. Default: 30s.", valueName: "duration"), transform: DurationText.read
  )
  var timeout: Duration = .seconds(30)
  @OptionGroup var client: ClientOptions

  func run() async throws {
    let (id, timeout) = (id, timeout)
    let job = try await client.withClient { try await $0.wait(for: id, upTo: timeout) }
    try client.output.answer(job.document, job.lines)
    switch job.state {
    case .succeeded: break
    case .dead, .cancelled: throw ExitCode(ExitStatus.refused.rawValue)
    case .delayed, .ready, .leased: throw ExitCode(ExitStatus.temporary.rawValue)
    }
  }
}

struct CancelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel", abstract: "Cancel jobs: they are never delivered again.",
    discussion: "A worker that holds one is told when it next extends its lease or settles the job.")

  @Argument(help: "The jobs' ids.", transform: ClientOptions.jobID) var ids: [JobID]
  @OptionGroup var client: ClientOptions

  func run() async throws {
    let ids = ids
    let result = try await client.withClient { try await $0.cancel(ids) }
    try client.output.answer(
      [
        "cancelled": .array(result.cancelled.map { .id($0) }), "leased": .array(result.leased.map { .id($0) }),
        "refused": .array(result.refused.map(\.document)),
      ],
      result.cancelled.map { id in "\(id) cancelled" + (result.leased.contains(id) ? ", a worker holds it" : "") })
    try result.refused.report()
  }
}

extension [Refusal] {
  /// Names each on standard error; the first decides the exit status.
  func report() throws {
    for refusal in self { Output.remark("nuvom: \(refusal.id): \(refusal.message) (\(refusal.code))") }
    if let first { throw ExitCode(ExitStatus(first.code).rawValue) }
  }
}
