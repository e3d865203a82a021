import ArgumentParser
import Foundation
import MessagePack
import NuvomCommandLine
import NuvomWorker

struct TestCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test", abstract: "Run one job here, without a broker: with its timeout, retries, waits and hooks.",
    discussion: """
      JOB.json is {"task": "resize", "args": ["logo.png"], "kwargs": {"width": 80}, "timeout_secs": 10, "retries": 2}; all but the \
      first may be left out, and then are the task's. Prints SUCCESS or FAILED, with the result or the error. Exit status 0 or 1. What the \
      job would enqueue with its ack is shown, not enqueued.
      """)

  @Argument(help: ArgumentHelp("A file; - is standard input.", valueName: "job.json")) var file: String
  @Flag(help: "Do not wait between attempts.") var noWait = false
  @Flag(name: .customLong("json"), help: "Print one JSON document.") var isJSON = false

  func run() async throws {
    let program = WorkerProgram.current
    let job = try JobFile(file)
    let logger = program.logger(nil)
    let executor: InlineExecutor
    do {
      executor = try InlineExecutor(program.tasks, logger: logger)
    } catch let error as WorkerError {
      throw Failure(.configuration, error.message, code: error.code.rawValue)
    }
    let local = LocalRun(
      executor, logger: logger,
      reportProgress: { progress in
        let parts = [progress.percent.map { "\($0) %" }, progress.message].compactMap(\.self)
        Output.remark("progress: \(Output.printable(parts.joined(separator: ", ")))")
      },
      failed: { failure in
        let next = failure.wait.map { "; again in \(DurationText.write($0))" } ?? ""
        Output.remark("attempt \(failure.attempt): \(Output.printable(failure.reason.line))\(next)")
      })
    guard let end = try await local.run(job.job, retries: job.retries, waits: !noWait) else {
      let names = program.tasks.map(\.name).sorted().joined(separator: ", ")
      throw Failure(.usage, "there is no task named \(job.job.task); there are: \(names)")
    }
    try tell(end)
    if end.failure != nil { throw ExitCode(ExitStatus.refused.rawValue) }
  }

  private func tell(_ end: LocalRun.End) throws {
    var fields: [(MessageValue, MessageValue)] = [
      ("status", end.failure == nil ? "SUCCESS" : "FAILED"), ("attempts", .int(Int64(end.attempts))),
    ]
    var lines: [(String, String)] = [("attempts", "\(end.attempts)")]
    let title: String
    if let failure = end.failure {
      fields += [("error", .string(failure.line)), ("trace", .string(failure.trace))]
      title = "❌ FAILED: \(Output.printable(failure.line))"
      if !failure.trace.isEmpty && failure.trace != failure.message { lines.append(("trace", failure.trace)) }
    } else {
      let result = try end.result.map { try MessageValue(decoding: $0) } ?? .null
      let following = end.following.map { "\($0.task) in \($0.queue)" }
      fields += [("result", result), ("would_enqueue", .array(following.map { .string($0) }))]
      title = "✅ SUCCESS: \(Output.printable(JSONText.write(result)))"
      if !following.isEmpty { lines.append(("would enqueue", following.joined(separator: ", "))) }
    }
    try Output(isJSON: isJSON).answer(.map(fields), [title] + Output.pairs(lines))
  }
}

extension NackReason {
  /// Type and message.
  fileprivate var line: String { [type, message].filter { !$0.isEmpty }.joined(separator: ": ") }
}

/// A job as a file describes it.
struct JobFile {
  private(set) var job: LeasedJob
  private(set) var retries: Int?

  /// Reads a file; `-` is standard input.
  init(_ path: String) throws {
    let data: Data?
    do {
      let handle = path == "-" ? FileHandle.standardInput : try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
      data = try handle.readToEnd()
    } catch {
      throw Failure(.missing, "\(path) cannot be read: \(error.localizedDescription)")
    }
    do {
      try self.init(text: String(decoding: data ?? Data(), as: UTF8.self))
    } catch let error as Unreadable {
      throw Failure(.damaged, "\(path) is no job: \(error)")
    }
  }

  /// Reads `{task, args, kwargs, timeout_secs?, retries?}`; `func_name` is another word for `task`.
  init(text: String) throws {
    guard case .map(let pairs) = try JSONText.read(text) else {
      throw Unreadable(description: "write a JSON object with task, args and kwargs")
    }
    var (task, arguments, named): (String?, MessageValue, MessageValue) = (nil, [], [:])
    var timeout: Duration?
    for (key, value) in pairs {
      switch (key, value) {
      case ("task", .string(let name)), ("func_name", .string(let name)): task = name
      case ("args", .array): arguments = value
      case ("kwargs", .map): named = value
      case ("timeout_secs", .null), ("retries", .null): break
      case ("timeout_secs", _): timeout = try Self.seconds(value)
      case ("retries", .uint(let count)) where count <= 65_534: retries = Int(count)
      default:
        throw Unreadable(
          description:
            "\(JSONText.write(key)): \(JSONText.write(value)) is not understood; write task (a string), args (an "
            + "array), kwargs (an object), timeout_secs (a number above 0), retries (0 to 65534)")
      }
    }
    guard let task else { throw Unreadable(description: "task is missing: the name of what is to be done") }
    let payload: MessageValue = ["args": arguments, "kwargs": named]
    job = LeasedJob(task: task, payload: try payload.encoded())
    job.timeout = timeout
  }

  private static func seconds(_ value: MessageValue) throws -> Duration {
    let seconds: Double? =
      switch value {
      case .uint(let number): Double(number)
      case .double(let number): number
      default: nil
      }
    guard let seconds, seconds > 0, seconds <= 3_155_760_000 else {
      throw Unreadable(description: "timeout_secs is a number of seconds, above 0 and up to 100 years")
    }
    return .seconds(seconds)
  }
}
