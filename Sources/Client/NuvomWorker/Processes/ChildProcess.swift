import Logging
import NuvomTasks
import Subprocess
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A process of this program's executable that runs one job at a time, seen from the worker.
final class ChildProcess: Sendable {
  /// How a run in it ended.
  enum RunEnd: Sendable {
    case finished(JobOutcome)
    case crashed(WorkerCrashed)
    /// The job never reached it; why.
    case notStarted(String)
  }

  private struct Run {
    let number: Int
    let order: [UInt8]
    let context: JobContext
    let continuation: CheckedContinuation<RunEnd, Never>
    /// Whether the process has the job.
    var hasBegun = false
  }

  private struct State {
    /// While it may be signalled: from its start until it is reaped.
    var process: pid_t?
    var isReady = false
    var patience: Task<Void, any Error>?
    var mustDie = false
    /// Whether its end is wanted.
    var mayEnd = false
    var runs = 0
    var run: Run?
    var output = OutputTail()
    var end: String?
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())
  private let orders: AsyncStream<[UInt8]>.Continuation
  private let cancellationGrace: Duration
  private let logger: Logger

  /// Starts a process. What goes wrong with it is told by ``run(_:_:)``.
  init(_ configuration: ChildConfiguration, cancellationGrace: Duration, logger: Logger) throws {
    let (stream, orders) = AsyncStream<[UInt8]>.makeStream()
    self.orders = orders
    self.cancellationGrace = cancellationGrace
    self.logger = logger
    orders.yield(try ChildFrame.encode(ChildOrder.configure(configuration)))
    Task { await live(stream) }
    let patience = Task {
      try await Task.sleep(for: Self.patience)
      logger.error("a job's process did not become ready; it is killed", metadata: ["after": "\(Self.patience)"])
      kill()
    }
    let isOver = state.withLock { state in
      state.patience = patience
      return state.isReady || state.end != nil
    }
    if isOver { patience.cancel() }
  }

  /// How long a program may take to come to its ``ProcessExecutor/serveIfChild(_:logger:)``.
  private static let patience = Duration.seconds(60)

  /// Whether it can take no more jobs.
  var hasEnded: Bool { state.withLock { $0.end != nil || $0.mustDie } }

  // MARK: Running

  /// Runs a job. When the Swift task is cancelled the job is told, and the process killed if it does not end soon after; this returns only
  /// when the process is free or dead.
  func run(_ assignment: Assignment, _ context: JobContext) async throws -> RunEnd {
    let order = try ChildFrame.encode(ChildOrder.run(assignment))
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let refusal: String? = state.withLock { state in
          if let end = state.end { return end }
          if Task.isCancelled { return "the attempt was over before its process had it" }
          state.runs += 1
          state.run = Run(number: state.runs, order: order, context: context, continuation: continuation)
          if state.isReady { begin(&state) }
          return nil
        }
        if let refusal { continuation.resume(returning: .notStarted(refusal)) }
      }
    } onCancel: {
      cancelRun()
    }
  }

  private func begin(_ state: inout State) {
    guard let run = state.run else { return }
    state.run?.hasBegun = true
    state.output = OutputTail()
    orders.yield(run.order)
  }

  private func cancelRun() {
    let number: Int? = state.withLock { state in
      guard let run = state.run else { return nil }
      // Who knows what holds up a process that is not ready yet.
      guard run.hasBegun, let order = try? ChildFrame.encode(ChildOrder.cancel) else {
        kill(&state)
        return nil
      }
      orders.yield(order)
      return run.number
    }
    guard let number else { return }
    Task {
      try? await Task.sleep(for: cancellationGrace)
      state.withLock { state in
        if state.run?.number == number { kill(&state) }
      }
    }
  }

  // MARK: Ending

  /// Kills the process and all that it started.
  func kill() { state.withLock { kill(&$0) } }

  private func kill(_ state: inout State) {
    state.mustDie = true
    state.mayEnd = true
    // It leads its own process group. Until it is reaped nothing else has its number.
    if let process = state.process { _ = signalGroup(process, SIGKILL) }
  }

  /// Lets the process end; kills it if it does not within so long.
  func end(within limit: Duration) async {
    state.withLock { $0.mayEnd = true }
    orders.finish()
    let killing = Task {
      try await Task.sleep(for: limit)
      kill()
    }
    await withCheckedContinuation { continuation in
      let hasEnded = state.withLock { state in
        if state.end == nil { state.waiting.append(continuation) }
        return state.end != nil
      }
      if hasEnded { continuation.resume() }
    }
    killing.cancel()
  }

  // MARK: Living

  /// The process from its start to its end.
  private func live(_ stream: AsyncStream<[UInt8]>) async {
    let end: Result<TerminationStatus, any Error>
    do {
      end = .success(
        try await Subprocess.run(Self.thisProgram, input: .inputWriter, output: .sequence, error: .sequence) {
          process in
          state.withLock { state in
            state.process = process.processIdentifier.value
            if state.mustDie { kill(&state) }
          }
          await withTaskGroup { group in
            group.addTask { await self.write(stream, to: process.standardInputWriter) }
            group.addTask { await self.passOn(process.standardError) }
            await self.read(process.standardOutput)
            // It has nothing more to say; what it started goes with it.
            self.state.withLock { state in
              let mayEnd = state.mayEnd
              self.kill(&state)
              state.mayEnd = mayEnd
            }
            self.orders.finish()
          }
          state.withLock { $0.process = nil }
        }.terminationStatus)
    } catch {
      end = .failure(error)
    }
    ended(end)
  }

  private static var thisProgram: Configuration {
    var options = PlatformOptions()
    // The terminal's signals are the worker's to answer.
    options.processGroupID = 0
    let name = CommandLine.arguments.first
    // On Linux also when the file was replaced since: worker and child must be the same build.
    #if os(Linux)
      let executable = Executable.path("/proc/self/exe")
    #else
      let executable = Executable.name(name ?? "")
    #endif
    return Configuration(
      executable: executable,
      arguments: Arguments(executablePathOverride: name, remainingValues: Array(CommandLine.arguments.dropFirst())),
      environment: .inherit.updating([ChildRole.variable: "1", "SWIFT_BACKTRACE": backtrace]), platformOptions: options)
  }

  /// If Swift prints where a program crashed, then what helps comes into the job's error, unless the user's settings say otherwise.
  private static var backtrace: String {
    let settings = getenv("SWIFT_BACKTRACE").map { "," + String(cString: $0) } ?? ""
    return "threads=crashed,registers=none,images=none,color=no,interactive=no" + settings
  }

  private func write(_ stream: AsyncStream<[UInt8]>, to writer: StandardInputWriter) async {
    do {
      for await order in stream { _ = try await writer.write(order) }
      try await writer.finish()
    } catch {
      // It ends, and how is told then.
      logger.debug("a job's process takes no more orders", metadata: ["error": "\(error)"])
    }
  }

  private func passOn(_ output: SubprocessOutputSequence) async {
    do {
      for try await buffer in output { buffer.withUnsafeBytes { passOn($0) } }
    } catch {
      logger.warning("cannot read what a job's process says", metadata: ["error": "\(error)"])
    }
  }

  private func passOn(_ bytes: UnsafeRawBufferPointer) {
    state.withLock { $0.output.append(bytes) }
    // Nobody is left to be told that standard error is closed.
    _ = StandardStreams.write(bytes, to: STDERR_FILENO)
  }

  private func read(_ output: SubprocessOutputSequence) async {
    var reader = ChildFrameReader()
    var isMarkFound = false
    do {
      for try await buffer in output {
        buffer.withUnsafeBytes { reader.append($0) }
        if !isMarkFound {
          let (printed, isFound) = reader.takeBeforeMark()
          printed.withUnsafeBytes { passOn($0) }
          isMarkFound = isFound
        }
        guard isMarkFound else { continue }
        while let report = try reader.next(ChildReport.self) { take(report) }
      }
    } catch {
      logger.error("a job's process does not speak as it should; it is killed", metadata: ["error": "\(error)"])
    }
  }

  private func take(_ report: ChildReport) {
    switch report {
    case .ready:
      state.withLock { state in
        state.isReady = true
        state.patience?.cancel()
        begin(&state)
      }
    case .progress(let number, let percent, let message):
      let context = state.withLock { $0.run?.context }
      Task { await tell(context, number, percent, message) }
    case .finished(let outcome):
      let run = state.withLock { state in
        defer { state.run = nil }
        return state.run
      }
      run?.continuation.resume(returning: .finished(outcome))
    }
  }

  /// Passes a report on to the broker, and what came of it back.
  private func tell(_ context: JobContext?, _ number: Int, _ percent: Int?, _ message: String?) async {
    var refusal: ChildOrder.Refused?
    do {
      guard let context else { throw NuvomError(.leaseLost, "the job has ended") }
      try await context.report(percent: percent, message)
    } catch let error as NuvomError {
      refusal = ChildOrder.Refused(code: error.code.rawValue, message: error.message)
    } catch {
      refusal = ChildOrder.Refused(code: NuvomError.Code.closed.rawValue, message: "\(error)")
    }
    do {
      orders.yield(try ChildFrame.encode(ChildOrder.progressTold(number: number, refusal: refusal)))
    } catch {
      logger.error("a job's process cannot be answered", metadata: ["error": "\(error)"])
    }
  }

  private func ended(_ status: Result<TerminationStatus, any Error>) {
    let (description, crash): (String, WorkerCrashed.End?) =
      switch status {
      case .success(.signaled(let number)):
        ("it was ended by \(SignalName.nameAndNumber(number))", .signal(number))
      case .success(.exited(let status)): ("it exited with status \(status)", .exit(status))
      case .failure(let error): ("it could not be started: \(error)", nil)
      }
    let (run, output, waiting, mayEnd) = state.withLock { state in
      defer { (state.run, state.waiting) = (nil, []) }
      state.end = description
      state.patience?.cancel()
      state.process = nil
      return (state.run, state.output.text, state.waiting, state.mayEnd)
    }
    if let run {
      if run.hasBegun, let crash {
        run.continuation.resume(returning: .crashed(WorkerCrashed(end: crash, output: output)))
      } else {
        run.continuation.resume(returning: .notStarted(output.isEmpty ? description : "\(description)\n\(output)"))
      }
    } else if !mayEnd {
      logger.warning("a process that waited for jobs has ended", metadata: ["how": "\(description)"])
    }
    for continuation in waiting { continuation.resume() }
  }
}

/// kill(2), which ``ChildProcess`` has a method's name for.
private func signalGroup(_ leader: pid_t, _ signal: Int32) -> Int32 { kill(-leader, signal) }

/// The last of what a process wrote.
struct OutputTail {
  private static let limit = 12_288
  private var bytes: [UInt8] = []

  mutating func append(_ new: UnsafeRawBufferPointer) {
    bytes.append(contentsOf: new)
    // Not at each append: moving bytes is only worth it for many.
    if bytes.count > 2 * Self.limit { bytes.removeFirst(bytes.count - Self.limit) }
  }

  /// Whole lines, as far as there are any.
  var text: String {
    var end = bytes.suffix(Self.limit)
    if end.count < bytes.count, let newline = end.firstIndex(of: UInt8(ascii: "\n")) { end = end[(newline + 1)...] }
    return String(decoding: end, as: UTF8.self)
  }
}
