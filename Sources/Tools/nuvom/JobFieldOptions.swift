import NuvomCommandLine
import ArgumentParser
import NuvomClient

/// What a job has beside its task and its times: for a job that is enqueued now, and for one that a schedule will enqueue.
struct JobFieldOptions: ParsableArguments {
  @Option(help: "The queue. Default: default.") var queue: String?
  @OptionGroup var payload: PayloadOptions
  @Option(
    help: ArgumentHelp("A dead letter if it was not started so long after its enqueue.", valueName: "duration"),
    transform: DurationText.read)
  var expiresIn: Duration?
  @Option(help: ArgumentHelp("0 to 255, lower first. Default: 5.", valueName: "n")) var priority: UInt8?
  @Option(help: ArgumentHelp("How often it is tried before it is a dead letter. Default: 3.", valueName: "n"))
  var maxAttempts: Int?
  @Option(
    help: ArgumentHelp("Wait before the second attempt; it doubles with each, to 10m.", valueName: "duration"),
    transform: DurationText.read)
  var backoff: Duration?
  @Option(
    help: ArgumentHelp("Time that one attempt may take, for the worker to hold.", valueName: "duration"),
    transform: DurationText.read)
  var timeout: Duration?
  @Option(
    help: ArgumentHelp("How long its leases last, whatever the worker asks.", valueName: "duration"),
    transform: DurationText.read)
  var lease: Duration?
  @Option(
    help: ArgumentHelp("How long the finished job and its result are kept. Default: 0.", valueName: "duration"),
    transform: DurationText.read)
  var retention: Duration?
  @Option(name: .customLong("tag"), help: ArgumentHelp("A tag; may be repeated.", valueName: "text"))
  var tags: [String] = []

  /// Gives a job what was given here; the rest of it stays.
  func apply(to job: inout Job) throws {
    if let queue { job.queue = queue }
    if let bytes = try payload.bytes(replacing: job.payload) { job.payload = bytes }
    if let expiresIn { job.expiry = .after(expiresIn) }
    if let priority { job.priority = priority }
    if let maxAttempts { job.maximumAttempts = maxAttempts }
    if let backoff { job.backoff = .doubling(from: backoff) }
    if let timeout { job.timeout = timeout }
    if let lease { job.lease = lease }
    if let retention { job.retention = retention }
    if !tags.isEmpty { job.tags = tags }
  }
}

extension Job.Backoff {
  /// A wait that doubles with each attempt, up to ten minutes, or to itself if it is longer.
  static func doubling(from base: Duration) -> Job.Backoff { .exponential(base: base, cap: max(base, .seconds(600))) }
}
