import Glibc
import MessagePack
import NuvomCommandLine
import NuvomWorker
import Subprocess
import Synchronization

/// Runs a shell command for each job: the payload on its standard input, the result from its standard output; its exit status decides.
final class CommandExecutor: JobExecutor {
  struct Configuration {
    /// Given to `/bin/sh -c`.
    var command: String
    var input = CommandInput.json
    var output = CommandOutput.text
    /// The only tasks that it knows; none for all.
    var tasks: Set<String> = []
    /// What the command is told of the broker.
    var broker: BrokerAddress?
  }

  /// The queue of jobs that name none.
  let queues = ["default"]
  private let configuration: Configuration
  private let runProcess: @Sendable (CommandProcess, _ input: [UInt8]) async throws -> CommandProcess.Ended
  private let running = Mutex(Running())

  private struct Running {
    var jobs: Set<LeaseToken> = []
    var waiting: [LeaseToken: CheckedContinuation<Void, Never>] = [:]
  }

  init(
    _ configuration: Configuration,
    runProcess: @escaping @Sendable (CommandProcess, _ input: [UInt8]) async throws -> CommandProcess.Ended = {
      try await $0.run(input: $1)
    }
  ) {
    self.configuration = configuration
    self.runProcess = runProcess
    // A command that does not read its input must not end its worker.
    ProcessLimits.ignoreBrokenPipes()
  }

  func policy(forTask name: String) -> TaskPolicy? {
    configuration.tasks.isEmpty || configuration.tasks.contains(name) ? TaskPolicy() : nil
  }

  func run(_ context: JobContext) async throws -> [UInt8]? {
    running.withLock { _ = $0.jobs.insert(context.token) }
    defer {
      running.withLock { running in
        running.jobs.remove(context.token)
        return running.waiting.removeValue(forKey: context.token)
      }?.resume()
    }
    try Task.checkCancellation()
    let process = CommandProcess(
      command: configuration.command, environment: environment(context.job),
      outputLimit: Job.maximumPayloadBytes,
      // A lease that could not be renewed any more must still outlast the command.
      patience: min(.seconds(5), context.job.lease / 4))
    do {
      let ended = try await runProcess(process, configuration.input.bytes(of: context.job.payload))
      return try configuration.output.result(of: try CommandFailure.check(ended))
    } catch let error as Unreadable {
      throw RemoteError(type: "CommandData", message: error.description, retry: false)
    } catch let error as CommandNotStarted {
      context.logger.error("no process could be started for a job", metadata: ["reason": "\(error.cause)"])
      throw AttemptGivenUp(.notStarted)
    } catch let error as SubprocessError {
      throw RemoteError(type: "CommandNotRun", message: "the command cannot be run: \(error)")
    }
  }

  func timedOut(_ context: JobContext, _ error: JobTimedOut) async {}

  /// Returns when nothing of the command runs any more.
  func stop(_ context: JobContext, _ reason: any Error) async {
    await withCheckedContinuation { continuation in
      let isRunning = running.withLock { running in
        guard running.jobs.contains(context.token) else { return false }
        running.waiting[context.token] = continuation
        return true
      }
      if !isRunning { continuation.resume() }
    }
  }

  func shutDown() async {}

  /// What the command is told of its job.
  private func environment(_ job: LeasedJob) -> [String: String?] {
    var environment: [String: String?] = [
      "NUVOM_JOB_ID": "\(job.id)", "NUVOM_TASK": job.task, "NUVOM_QUEUE": job.queue, "NUVOM_ATTEMPT": "\(job.attempt)",
      "NUVOM_MAX_ATTEMPTS": "\(job.maximumAttempts)", "NUVOM_LEASE_TOKEN": "\(job.token.rawValue)",
    ]
    if let broker = configuration.broker { environment["NUVOM_CONNECT"] = "\(broker)" }
    // Nil for a job that no schedule enqueued: this worker may itself have been started by one that a schedule did.
    environment.updateValue(job.schedule?.name, forKey: "NUVOM_SCHEDULE")
    environment.updateValue(job.schedule.map { "\($0.dueAtMilliseconds)" }, forKey: "NUVOM_DUE_AT_MS")
    // Of two headers that differ only in what a variable's name cannot say, the first counts.
    for (name, value) in job.headers.sorted(by: { $0.key < $1.key }) {
      guard case .text(let text) = value else { continue }
      let safe = name.uppercased().unicodeScalars.map {
        $0.isASCII && $0.properties.isAlphabetic || ("0"..."9").contains($0) ? Character($0) : "_"
      }
      let variable = "NUVOM_HEADER_" + String(safe)
      if environment[variable] == nil { environment[variable] = text }
    }
    // No environment can hold them.
    return environment.mapValues { $0?.filter { $0 != "\0" } }
  }
}

/// What a command's end means.
enum CommandFailure {
  /// EX_USAGE, EX_DATAERR, EX_CONFIG of sysexits.h: the same job would fail again.
  static let lastingStatuses: Set<Int32> = [64, 65, 78]

  /// - Returns: the output of a command that succeeded.
  /// - Throws: `RemoteError`: why it did not.
  static func check(_ ended: CommandProcess.Ended) throws(RemoteError) -> [UInt8] {
    let trace = String(decoding: ended.errorOutput, as: UTF8.self)
    let lastLine = trace.split(whereSeparator: \.isNewline).last { $0.contains { !$0.isWhitespace } }
    func message(_ what: String) -> String { lastLine.map { "\(what): \($0)" } ?? what }
    guard let output = ended.output else {
      throw RemoteError(
        type: "CommandData",
        message: "the command wrote more than 8 MiB to standard output: store it elsewhere, and print where",
        trace: trace, retry: false)
    }
    switch ended.end {
    case .exit(0): return output
    case .exit(let status):
      // A shell tells so that what it ran was ended by a signal.
      let signal = status > 128 ? SignalName.names[status - 128].map { " (\($0))" } : nil
      throw RemoteError(
        type: "ExitStatus", message: message("exit status \(status)\(signal ?? "")"), trace: trace,
        retry: !lastingStatuses.contains(status))
    case .signal(let number):
      throw RemoteError(type: "Signal", message: message("ended by \(SignalName.name(number))"), trace: trace)
    }
  }
}
