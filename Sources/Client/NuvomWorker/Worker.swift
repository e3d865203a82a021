public import Logging
public import NuvomTasks
public import ServiceLifecycle
import Synchronization

/// Takes jobs from a broker and runs them, so many at a time.
/// ```swift
/// let worker = try Worker(client: client, tasks: [greet, resize])
/// try await ServiceGroup(services: [client, worker], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger).run()
/// ```
/// It never takes more jobs than it can run at once. While a job runs, its lease is kept alive; the job's Swift task is cancelled
/// when the lease is lost, the job is cancelled or its timeout has passed, and then its slot is free, whether the handler heeds the
/// cancellation or not.
///
/// On a graceful shutdown it takes nothing new, lets what runs finish within ``WorkerConfiguration/gracePeriod``, and gives the rest
/// back to its queue, the attempt not counted.
public final class Worker: Service, Sendable {
  let client: NuvomClient
  let configuration: WorkerConfiguration
  let executor: any JobExecutor
  let middleware: [any WorkerMiddleware]
  let clock: WorkerClock
  let logger: Logger
  let settler: Settler
  private let slots: Slots
  private let state = Mutex(State())

  private struct State {
    var hasRun = false
    var isDraining = false
    /// Nobody waits for what runs any more.
    var isStopped = false
    var fetching: Task<Void, any Error>?
    var attempts: [LeaseToken: Attempt] = [:]
  }

  /// A worker for tasks, which it runs in its own process.
  ///
  /// - Parameters:
  ///   - client: the connection; it must run for as long as the worker does, and be shut down after it.
  ///   - tasks: what it can run.
  ///   - middleware: wraps each attempt, the first outermost.
  ///   - clock: for leases, timeouts and waits.
  /// - Throws: ``WorkerError`` if two tasks have one name.
  public convenience init(
    client: NuvomClient, tasks: [any RunnableTask], configuration: WorkerConfiguration = WorkerConfiguration(),
    middleware: [any WorkerMiddleware] = Worker.defaultMiddleware, clock: any Clock<Duration> = ContinuousClock(),
    logger: Logger = Logger(label: "nuvom.worker")
  ) throws {
    try self.init(
      client: client, executor: InlineExecutor(tasks, logger: logger), configuration: configuration,
      middleware: middleware, clock: clock, logger: logger)
  }

  /// A worker that runs its jobs by an executor.
  /// - Throws: ``WorkerError`` if the configuration names no queue or no slot.
  public init(
    client: NuvomClient, executor: any JobExecutor, configuration: WorkerConfiguration = WorkerConfiguration(),
    middleware: [any WorkerMiddleware] = Worker.defaultMiddleware, clock: any Clock<Duration> = ContinuousClock(),
    logger: Logger = Logger(label: "nuvom.worker")
  ) throws {
    var configuration = configuration
    configuration.queues = configuration.queues ?? .inOrder(executor.queues)
    try configuration.check()
    self.client = client
    self.executor = executor
    self.configuration = configuration
    self.middleware = middleware
    self.clock = WorkerClock(clock)
    self.logger = logger
    settler = Settler(client: client)
    slots = Slots(configuration.concurrency)
  }

  /// Logs, counts and traces each attempt.
  public static var defaultMiddleware: [any WorkerMiddleware] {
    [TracingMiddleware(), MetricsMiddleware(), LoggingMiddleware()]
  }

  /// Runs jobs until a graceful shutdown, ``drain()`` or a cancellation, which ends the grace period too. A broker that is away, however
  /// long, does not end it. May be called once.
  /// - Throws: `NuvomError` when the broker refuses this client for good; ``WorkerError``.
  public func run() async throws {
    guard state.withLock({ state in !exchange(&state.hasRun, true) }) else {
      throw WorkerError(.alreadyRun, "a worker runs once; make another")
    }
    let fetching = Task(executorPreference: TaskPlacement.executor) { [self] in try await fetch() }
    let isDraining = state.withLock { state in
      state.fetching = fetching
      return state.isDraining
    }
    if isDraining { fetching.cancel() }
    let end = await withTaskCancellationHandler {
      let end = await withGracefulShutdownHandler {
        await fetching.result
      } onGracefulShutdown: {
        self.drain()
      }
      await finish()
      return end
    } onCancel: {
      fetching.cancel()
      stop()
    }
    await executor.shutDown()
    if case .failure(let error) = end, !(error is CancellationError) { throw error }
  }

  /// Takes nothing new; ``run()`` ends when what runs has finished, or was given back. Called again it does nothing more.
  public func drain() {
    state.withLock { state in
      state.isDraining = true
      return state.fetching
    }?.cancel()
  }

  // MARK: Taking

  private func fetch() async throws {
    var order = FetchOrder(configuration.queues ?? .inOrder([]))
    var failures = 0
    while true {
      let free = try await slots.waitForFree()
      do {
        let dequeued = try await client.dequeue(
          queues: order.next(), maximum: min(free, 1_000), wait: .seconds(30), lease: configuration.lease)
        failures = 0
        for job in dequeued.jobs { start(job) }
        if Task.isCancelled { throw CancellationError() }
      } catch let error as NuvomError where error.isLasting {
        throw error
      } catch let error as NuvomError {
        failures += 1
        logger.warning("cannot take jobs; trying again", metadata: ["error": "\(error)"])
        try await clock.sleep(error.retryAfter ?? Self.backoff(failures))
      }
    }
  }

  private func start(_ job: LeasedJob) {
    slots.take()
    let attempt = Attempt(job, logger: logger)
    let isStopped = state.withLock { state in
      state.attempts[job.token] = attempt
      return state.isStopped
    }
    // It came while the worker was being stopped.
    if isStopped { attempt.finish(.failure(AttemptGivenUp(.workerStopped))) }
    Task(executorPreference: TaskPlacement.executor) { [self] in
      await perform(attempt)
      _ = state.withLock { $0.attempts.removeValue(forKey: job.token) }
      slots.giveBack()
    }
  }

  // MARK: Ending

  private func finish() async {
    let limit = Task(executorPreference: TaskPlacement.executor) { [self] in
      try await clock.sleep(configuration.gracePeriod)
      stop()
    }
    await slots.waitUntilAllFree()
    limit.cancel()
  }

  /// Gives up what runs.
  private func stop() {
    let attempts = state.withLock { state in
      state.isStopped = true
      return state.attempts.values.sorted { $0.job.token < $1.job.token }
    }
    for attempt in attempts { attempt.finish(.failure(AttemptGivenUp(.workerStopped))) }
  }

  /// Whether nobody waits for what runs any more.
  var isStopped: Bool { state.withLock(\.isStopped) }

  /// The wait after so many failures to reach the broker in a row.
  static func backoff(_ failures: Int) -> Duration { .milliseconds(min(5_000, 50 << min(failures, 10))) }

  /// Attempts that run now.
  public var runningJobs: Int { state.withLock { $0.attempts.count } }
}

/// An attempt that ended before its handler did, since the job is not this worker's any more. Middleware sees it; nothing is settled
/// by it, but a job of a worker that stops, or that could not be started, is given back, the attempt not counted.
public struct AttemptGivenUp: Error, Hashable, Sendable, CustomStringConvertible {
  /// Why.
  public enum Reason: String, Hashable, Sendable {
    /// The lease ran out, or nobody knows whether it did.
    case leaseLost = "lease_lost"
    /// The job was cancelled.
    case cancelled
    /// The worker's grace period is over.
    case workerStopped = "worker_stopped"
    /// No process could be started for it.
    case notStarted = "not_started"
  }

  /// Why.
  public let reason: Reason

  package init(_ reason: Reason) { self.reason = reason }

  /// What the broker's refusal means for the attempt; nil if nothing.
  init?(refusal code: NuvomError.Code) {
    switch code {
    case .leaseLost: self.init(.leaseLost)
    case .cancelled: self.init(.cancelled)
    default: return nil
    }
  }

  /// The reason in words.
  public var description: String {
    switch reason {
    case .leaseLost: "the lease is lost: another worker may have the job"
    case .cancelled: "the job was cancelled"
    case .workerStopped: "the worker stopped before the job was done"
    case .notStarted: "no process could be started for the job"
    }
  }
}

extension NuvomError {
  /// Whether trying again is of no use.
  fileprivate var isLasting: Bool {
    [.replaced, .unsupportedVersion, .unauthorized, .badParameters, .closed].contains(code)
  }
}

private func exchange(_ value: inout Bool, _ new: Bool) -> Bool {
  defer { value = new }
  return value
}
