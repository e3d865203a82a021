import Logging
import MessagePack
import NuvomClient
import NuvomWorker

/// A job from a file, run here without a broker. What happens on the way goes to standard error, how it ended to standard output.
package struct JobTrial {
  private let executor: any JobExecutor
  private let logger: Logger
  private let output: Output

  package init(_ executor: any JobExecutor, logger: Logger, output: Output) {
    self.executor = executor
    self.logger = logger
    self.output = output
  }

  /// Runs it to its end.
  ///
  /// - Parameters:
  ///   - retries: how often it is tried again, if the file does not say; nil: as often as its task says.
  ///   - waits: whether the waits between attempts are held.
  /// - Returns: whether it succeeded; nil if the executor has no such task.
  package func run(_ file: JobFile, retries: Int? = nil, waits: Bool) async throws -> Bool? {
    let run = LocalRun(
      executor, logger: logger,
      reportProgress: { progress in
        let parts = [progress.percent.map { "\($0) %" }, progress.message].compactMap(\.self)
        Output.remark("progress: \(Output.printable(parts.joined(separator: ", ")))")
      },
      failed: { failure in
        let next = failure.wait.map { "; again in \(DurationText.write($0))" } ?? ""
        Output.remark("attempt \(failure.attempt): \(Output.printable(failure.reason.line))\(next)")
      })
    guard let end = try await run.run(file.job, retries: file.retries ?? retries, waits: waits) else { return nil }
    try tell(end)
    return end.failure == nil
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
    try output.answer(.map(fields), [title] + Output.pairs(lines))
  }
}

extension NackReason {
  /// Type and message.
  fileprivate var line: String { [type, message].filter { !$0.isEmpty }.joined(separator: ": ") }
}
