import Glibc
import Subprocess
import Synchronization

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
  /// Beside those of this process; nil: without it, also if this process has it.
  let environment: [String: String?]
  /// Bytes of standard output.
  let outputLimit: Int
  /// How long it may take to end after SIGTERM, when its Swift task is cancelled.
  let patience: Duration

  /// Runs it. When the Swift task is cancelled its process group gets SIGTERM, and what is left of it after `patience`, or after the
  /// end of the shell, SIGKILL: nothing runs when this returns.
  ///
  /// - Throws: ``CommandNotStarted``; `SubprocessError` for what is wrong with the command; `CancellationError`.
  func run(input: [UInt8]) async throws -> Ended {
    let group = ProcessGroup()
    // A Swift task of its own, which is not cancelled: a command that says something while it ends must find its output open.
    let running = Task {
      do {
        return try await run(input, in: group)
      } catch let error as SubprocessError
        where !group.hasBegun && CommandNotStarted.shortages.contains(error.underlyingError?.rawValue ?? 0)
      {
        throw CommandNotStarted(cause: error)
      }
    }
    let ended = try await withTaskCancellationHandler {
      try await running.value
    } onCancel: {
      group.endSoon()
      Task {
        // Nobody cancels it.
        try? await Task.sleep(for: patience)
        group.kill()
      }
    }
    try Task.checkCancellation()
    return ended
  }

  private func run(_ input: [UInt8], in group: ProcessGroup) async throws -> Ended {
    var options = PlatformOptions()
    options.processGroupID = 0
    // What the command left in the background would outlive its job.
    defer { group.end() }
    let changes = environment.map { name, value in (Environment.Key(stringLiteral: name), value) }
    let result = try await Subprocess.run(
      .path("/bin/sh"), arguments: ["-c", command],
      environment: .inherit.updating(Dictionary(changes) { $1 }), platformOptions: options, input: .inputWriter,
      output: .sequence, error: .sequence
    ) { execution in
      group.begin(execution.processIdentifier.value)
      async let errorOutput = Self.end(of: execution.standardError)
      async let written: Void = Self.write(input, to: execution.standardInputWriter)
      var output: [UInt8]? = []
      for try await buffer in execution.standardOutput {
        guard let count = output?.count else { continue }
        if count + buffer.count > outputLimit {
          output = nil
          group.kill()
        } else {
          buffer.withUnsafeBytes { output?.append(contentsOf: $0) }
        }
      }
      try await written
      return (output: output, errorOutput: try await errorOutput)
    }
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

/// The machine has no process or descriptor left for a command, which says nothing about its job.
struct CommandNotStarted: Error {
  /// What passes; anything else, such as arguments that are too long, the same job would meet again.
  static let shortages: Set<Int32> = [EAGAIN, ENOMEM, EMFILE, ENFILE]

  let cause: any Error
}

/// The processes that a command started and that did not leave its group, while it runs.
private final class ProcessGroup: Sendable {
  private struct State {
    var id: pid_t?
    var isToEnd = false
  }

  private let state = Mutex(State())

  /// Whether the command was started.
  var hasBegun: Bool { state.withLock { $0.id != nil } }

  func begin(_ id: pid_t) {
    state.withLock { state in
      state.id = id
      if state.isToEnd { Self.send(SIGTERM, to: id) }
    }
  }

  /// Asks all to end, also if they are only about to begin.
  func endSoon() {
    state.withLock { state in
      state.isToEnd = true
      if let id = state.id { Self.send(SIGTERM, to: id) }
    }
  }

  func kill() {
    state.withLock { state in
      if let id = state.id { Self.send(SIGKILL, to: id) }
    }
  }

  /// Kills who is left. After it the number may be another's.
  func end() {
    state.withLock { state in
      if let id = state.id { Self.send(SIGKILL, to: id) }
      state.id = nil
    }
  }

  /// That there is none left is as good.
  private static func send(_ signal: Int32, to group: pid_t) { _ = Glibc.kill(-group, signal) }
}
