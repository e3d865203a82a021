public import Logging
public import NuvomTasks
import Synchronization
import Tracing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Runs each job in a process of its own, so that a crash, a hang that heeds no cancellation or memory without end costs one job and never
/// the worker.
/// ```swift
/// await ProcessExecutor.serveIfChild([greet, resize])  // first in main
/// let worker = try Worker(client: client, executor: ProcessExecutor([greet, resize], client: broker))
/// ```
/// A process is this program's executable, started again with the same arguments, when a job needs one: what `main` does before
/// ``serveIfChild(_:logger:)`` is done in each. It runs one job after another until
/// it ends, and there are never more of them than jobs run at once. What a handler prints goes to standard error. When an attempt's
/// timeout has passed its process is killed at once; when it is over for another reason, soon after its Swift task was cancelled. With
/// it goes what it started in its process group. The slot, and the job, are free when the process is free or dead. A process that ends
/// by itself amid a job is a failed attempt, ``WorkerCrashed``. When the worker's process dies, so do these.
public final class ProcessExecutor: JobExecutor {
  private struct Run {
    let child: ChildProcess
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private struct State {
    var idle: [ChildProcess] = []
    var runs: [LeaseToken: Run] = [:]
  }

  private let tasks: InlineExecutor
  private let configuration: ChildConfiguration
  private let cancellationGrace: Duration
  private let logger: Logger
  private let state = Mutex(State())

  /// An executor of tasks.
  ///
  /// - Parameters:
  ///   - tasks: those that the children have.
  ///   - client: the broker that handlers reach as `NuvomClient.current`; a process connects when it first asks something.
  ///   - memoryLimit: how many bytes of memory a process may take for itself beyond what it starts with, from 1 to 2^50; nil: no limit. What
  ///     asks for more crashes.
  ///   - cancellationGrace: how long a job that was cancelled may take to end before its process is killed.
  /// - Throws: ``WorkerError`` if two tasks have one name, for a limit out of range, or in a process that is such a child: ``serveIfChild(_:logger:)`` was not called.
  public init(
    _ tasks: [any RunnableTask], client: NuvomClient.Configuration = NuvomClient.Configuration(),
    memoryLimit: Int? = nil, cancellationGrace: Duration = .seconds(1), logger: Logger = Logger(label: "nuvom.worker")
  ) throws {
    // Else every child would be a worker with children.
    guard !ChildRole.isOurs else {
      throw WorkerError(
        .badConfiguration, "call ProcessExecutor.serveIfChild first in main: this process was started to run jobs")
    }
    if let memoryLimit, !(1...1 << 50).contains(memoryLimit) {
      throw WorkerError(.badConfiguration, "a memory limit is from 1 byte to 2^50, not \(memoryLimit)")
    }
    // Who writes to a process that has just died is told by the write.
    signal(SIGPIPE, SIG_IGN)
    self.tasks = try InlineExecutor(tasks, logger: logger)
    configuration = ChildConfiguration(
      host: client.address.host, port: client.address.port, clientName: client.name, memoryLimit: memoryLimit)
    self.cancellationGrace = cancellationGrace
    self.logger = logger
  }

  /// Call it first in `main`: in a process that a worker started to run jobs, it runs them and never returns; else it returns at once.
  ///
  /// - Parameters:
  ///   - tasks: the same as the executor's.
  ///   - logger: for the contexts of jobs.
  public static func serveIfChild(_ tasks: [any RunnableTask], logger: Logger = Logger(label: "nuvom.worker")) async {
    guard ChildRole.isOurs else { return }
    await ChildRole.serve(tasks, logger: logger)
  }

  /// The queues that its tasks name.
  public var queues: [String] { tasks.queues }

  /// The policy of its definition.
  public func policy(forTask name: String) -> TaskPolicy? { tasks.policy(forTask: name) }

  /// Runs the handler and its hooks in a process.
  /// - Throws: what the handler threw, as a ``RemoteError``; ``WorkerCrashed``; ``AttemptGivenUp`` if no process could be started.
  public func run(_ context: JobContext) async throws -> [UInt8]? {
    let token = context.job.token
    var trace: [String: HeaderValue] = [:]
    if let span = ServiceContext.current {
      InstrumentationSystem.instrument.inject(span, into: &trace, using: TraceHeaders())
    }
    let assignment = Assignment(
      job: LeasedJobMessage(context.job), timeLeft: context.deadline.map { $0 - .now },
      trace: trace.mapValues(HeaderMessage.init))
    while true {
      let (child, isNew) = try takeChild(for: token)
      let end: ChildProcess.RunEnd
      do {
        end = try await child.run(assignment, context)
      } catch {
        giveBack(child, from: token)
        throw error
      }
      giveBack(child, from: token)
      switch end {
      case .finished(let outcome): return try result(of: outcome, context)
      case .crashed(let crash):
        // Who was cancelled has nobody left to tell it to. Else the hook is told here, off the slot, since its own process is gone.
        if !Task.isCancelled { Task { await tasks.failed(context, crash) } }
        throw crash
      case .notStarted(let reason):
        try Task.checkCancellation()
        // One that died while it had nothing to do says nothing about the next.
        guard isNew else { continue }
        context.logger.error("no process could be started for a job", metadata: ["reason": "\(reason)"])
        throw AttemptGivenUp(.notStarted)
      }
    }
  }

  private func result(of outcome: JobOutcome, _ context: JobContext) throws -> [UInt8]? {
    if let failure = outcome.failure {
      throw RemoteError(
        type: failure.type, message: failure.message, trace: failure.trace, delay: failure.delay, retry: failure.retry)
    }
    for job in outcome.following { context.enqueueWithAck(job.job) }
    return outcome.result
  }

  /// Kills the process of an attempt whose timeout has passed. Returns when it is dead, or free for the next job.
  public func stop(_ context: JobContext, _ reason: any Error) async {
    let token = context.job.token
    // In the lock: later the process may have another job.
    if reason is JobTimedOut { state.withLock { $0.runs[token]?.child.kill() } }
    await withCheckedContinuation { continuation in
      let isRunning = state.withLock { state in
        state.runs[token]?.waiting.append(continuation)
        return state.runs[token] != nil
      }
      if !isRunning { continuation.resume() }
    }
  }

  /// Runs the hook, in the worker's process: that of the job is killed.
  public func timedOut(_ context: JobContext, _ error: JobTimedOut) async { await tasks.failed(context, error) }

  /// Lets all processes end.
  public func shutDown() async {
    let idle = state.withLock { state in
      defer { state.idle = [] }
      return state.idle
    }
    await withTaskGroup { group in
      for child in idle { group.addTask { await child.end(within: .seconds(5)) } }
    }
  }

  // MARK: Processes

  private func takeChild(for token: LeaseToken) throws -> (ChildProcess, isNew: Bool) {
    try state.withLock { state in
      // In the lock: an attempt that was cancelled before is not there for `stop`, so it must not come to be there.
      try Task.checkCancellation()
      state.idle.removeAll { $0.hasEnded }
      let idle = state.idle.popLast()
      let child = try idle ?? ChildProcess(configuration, cancellationGrace: cancellationGrace, logger: logger)
      state.runs[token] = Run(child: child)
      return (child, idle == nil)
    }
  }

  private func giveBack(_ child: ChildProcess, from token: LeaseToken) {
    let waiting = state.withLock { state in
      if !child.hasEnded { state.idle.append(child) }
      return state.runs.removeValue(forKey: token)?.waiting ?? []
    }
    for continuation in waiting { continuation.resume() }
  }
}
