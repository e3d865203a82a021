import Glibc
import Subprocess

/// One run of a shell command, from its start to the end of all processes in its group.
struct CommandProcess: Sendable {
  /// How a process ended.
  enum End: Equatable {
    case exit(Int32)
    case signal(Int32)
  }

  /// What a run left behind.
  struct Ended {
    let end: End
    /// All that came on standard output; nil if it was more than allowed, for which the command was killed.
    let output: [UInt8]?
    /// The last that came on standard error.
    let errorOutput: [UInt8]
  }

  /// Given to `/bin/sh -c`.
  let command: String
  /// Beside those of this process.
  let environment: [String: String]
  /// Bytes of standard output.
  let outputLimit: Int
  /// How long it may take to end after SIGTERM, when its Swift task is cancelled.
  let patience: Duration

  /// Runs it. When the Swift task is cancelled its process group gets SIGTERM, and what is left of it after `patience`, or after the
  /// end of the shell, SIGKILL: nothing runs when this returns.
  ///
  /// - Throws: `SubprocessError` if it cannot be started; `CancellationError`.
  func run(input: [UInt8]) async throws -> Ended {
    var options = PlatformOptions()
    options.processGroupID = 0
    options.teardownSequence = [.send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: patience)]
    var group: ProcessGroup?
    // What the command left in the background holds its output open, and would outlive its job.
    defer { group?.kill() }
    let changes = environment.map { name, value -> (Environment.Key, String?) in
      (Environment.Key(stringLiteral: name), value)
    }
    let result = try await Subprocess.run(
      .path("/bin/sh"), arguments: ["-c", command],
      environment: .inherit.updating(Dictionary(changes) { $1 }), platformOptions: options, input: .inputWriter,
      output: .sequence, error: .sequence
    ) { execution in
      let running = ProcessGroup(id: execution.processIdentifier.value)
      group = running
      async let errorOutput = Self.end(of: execution.standardError)
      async let written: Void = Self.write(input, to: execution.standardInputWriter)
      var output: [UInt8]? = []
      for try await buffer in execution.standardOutput {
        guard let count = output?.count else { continue }
        if count + buffer.count > outputLimit {
          output = nil
          running.kill()
        } else {
          buffer.withUnsafeBytes { output?.append(contentsOf: $0) }
        }
      }
      try await written
      return Ended(end: .exit(0), output: output, errorOutput: try await errorOutput)
    }
    try Task.checkCancellation()
    let end: End
    switch result.terminationStatus {
    case .exited(let status): end = .exit(status)
    case .signaled(let number): end = .signal(number)
    }
    return Ended(end: end, output: result.closureResult.output, errorOutput: result.closureResult.errorOutput)
  }

  /// A command need not read what it is given: that its input was closed is no failure.
  private static func write(_ input: [UInt8], to writer: StandardInputWriter) async throws {
    do {
      _ = try await writer.write(input)
    } catch let error where error.code == .failedToWriteToSubprocess {}
    try await writer.finish()
  }

  private static func end(of sequence: SubprocessOutputSequence) async throws -> [UInt8] {
    let kept = 16 << 10
    var bytes: [UInt8] = []
    for try await buffer in sequence {
      buffer.withUnsafeBytes { bytes.append(contentsOf: $0) }
      if bytes.count > 2 * kept { bytes.removeFirst(bytes.count - kept) }
    }
    return Array(bytes.suffix(kept))
  }
}

/// The processes that a command started and that did not leave its group.
private struct ProcessGroup {
  let id: pid_t

  /// That none is left is what is wanted.
  func kill() { _ = Glibc.kill(-id, SIGKILL) }
}
