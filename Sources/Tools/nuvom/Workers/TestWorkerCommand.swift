import NuvomCommandLine
import ArgumentParser
import Foundation
import Logging
import MessagePack
import NuvomWorker

struct TestWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runtestworker", abstract: "Run one job here, without a broker.", subcommands: [TestRunCommand.self])
}

struct TestRunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run the job that a JSON file describes; print how it ended.",
    discussion: """
      The file: {"task": "resize", "args": [1], "kwargs": {"width": 80}, "timeout_secs": 5, "retries": 2}; all but the task may be left out. \
      With --exec the command is run by the rules of runworker; without, the worker of the Swift package in the working directory is built, and \
      runs it. An attempt that failed is followed by the next at once. Exit status: 0 it succeeded; 1 it failed.
      """)

  @Argument(help: "The file; - is standard input, with --exec.") var file: String
  @OptionGroup var command: CommandOptions
  @OptionGroup var package: PackageOptions
  @OptionGroup var broker: ConnectOptions
  @OptionGroup var form: OutputForm

  func validate() throws {
    if command.exec == nil {
      if let flag = command.formFlags.first { throw ValidationError("\(flag) belongs to --exec 'command'") }
      if form.isJSON { throw ValidationError("--json belongs to --exec 'command'") }
    } else if package.isGiven {
      throw ValidationError("--exec runs a command; --product and --configuration are for a package's worker")
    }
  }

  func run() async throws {
    guard var configuration = command.configuration() else {
      let path = URL(fileURLWithPath: file).path
      guard FileManager.default.fileExists(atPath: path) else { throw Failure(.missing, "there is no file \(file)") }
      try await PackageWorker(options: package, arguments: ["test", path], broker: broker.settings()).run(dev: false)
      return
    }
    let job = try TestJob(String(decoding: PayloadSource.file(file), as: UTF8.self))
    configuration.broker = try await broker.settings()[.connect].read(ClientOptions.address)
    let executor = CommandExecutor(configuration)
    for attempt in 1...job.maximumAttempts {
      do {
        let result = try await job.run(attempt, by: executor)
        let value = result.map { MessageValue.decoded($0) } ?? .null
        try form.output.answer(
          ["status": "SUCCESS", "attempts": .count(attempt), "result": value],
          ["✅ SUCCESS: \(Output.printable(JSONText.write(value)))"])
        return
      } catch {
        let (words, isLast) = Self.tell(error, isLast: attempt == job.maximumAttempts)
        if !isLast {
          Output.remark("nuvom: attempt \(attempt) of \(job.maximumAttempts) failed: \(Output.printable(words))")
          continue
        }
        try form.output.answer(
          ["status": "FAILED", "attempts": .count(attempt), "error": .string(words)],
          ["❌ FAILED: \(Output.printable(words))"])
        throw ExitCode(ExitStatus.refused.rawValue)
      }
    }
  }

  private static func tell(_ error: any Error, isLast: Bool) -> (words: String, isLast: Bool) {
    if let error = error as? RemoteError { return (error.description, isLast || !error.retry) }
    return ("\(error)", isLast)
  }
}

/// The job that a file describes.
struct TestJob {
  let job: LeasedJob
  let timeout: Duration?
  let maximumAttempts: Int

  /// Reads the file's text.
  /// - Throws: ``Failure`` that names the field.
  init(_ text: String) throws {
    let document: MessageValue
    do {
      document = try JSONText.read(text)
    } catch {
      throw Failure(.damaged, "the file is not a job: \(error)")
    }
    guard case .map(let pairs) = document else { throw Self.bad("it must be a JSON object, as {\"task\": \"resize\"}") }
    var (task, args, kwargs) = ("", MessageValue.array([]), MessageValue.map([]))
    var timeout: Duration?
    var retries = 0
    for (key, value) in pairs {
      switch (key, value) {
      case (.string("task"), .string(let name)), (.string("func_name"), .string(let name)): task = name
      case (.string("args"), .array): args = value
      case (.string("kwargs"), .map): kwargs = value
      case (.string("timeout_secs"), .null): timeout = nil
      case (.string("timeout_secs"), _):
        guard let seconds = Self.number(value), seconds > 0, seconds < 1e9 else {
          throw Self.bad("timeout_secs must be a number above 0")
        }
        timeout = .seconds(seconds)
      case (.string("retries"), .uint(let count)) where count <= 65_534: retries = Int(count)
      case (.string(let name), _):
        throw Self.bad("\(name) is unknown, or no value for it; known are task, args, kwargs, timeout_secs and retries")
      default: throw Self.bad("a key is no string")
      }
    }
    guard !task.isEmpty else { throw Self.bad("task is missing: the name of what is to be done") }
    job = LeasedJob(task: task, payload: try (["args": args, "kwargs": kwargs] as MessageValue).encoded())
    self.timeout = timeout
    maximumAttempts = retries + 1
  }

  /// Runs one attempt, to its end or its timeout.
  func run(_ attempt: Int, by executor: CommandExecutor) async throws -> [UInt8]? {
    var job = job
    job.attempt = attempt
    job.maximumAttempts = maximumAttempts
    job.queue = "default"
    job.lease = .seconds(30)
    let context = JobContext(
      job: job, deadline: timeout.map { .now + $0 }, logger: Logger(label: "nuvom.worker"), reportProgress: { _ in })
    return try await withThrowingTaskGroup(of: [UInt8]?.self) { group in
      group.addTask { try await executor.run(context) }
      if let timeout {
        group.addTask {
          try await Task.sleep(for: timeout)
          throw RemoteError(type: "Timeout", message: "the attempt took longer than its timeout of \(timeout)")
        }
      }
      defer { group.cancelAll() }
      return try await group.next() ?? nil
    }
  }

  private static func bad(_ reason: String) -> Failure { Failure(.damaged, "the file is not a job: \(reason)") }

  private static func number(_ value: MessageValue) -> Double? {
    switch value {
    case .uint(let number): Double(number)
    case .double(let number): number
    default: nil
    }
  }
}
