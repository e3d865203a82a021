public import NuvomClient

/// A broker inside a test: the real engine, loop, codec and client, without process, socket or disk, on a clock that the test moves.
///
/// ```swift
/// try await TestBroker.run { broker in
///   let receipt = try await broker.client.enqueue(Job(task: "remind"))
///   let leased = try await broker.client.dequeue(lease: .seconds(30)).jobs
///   await broker.clock.advance(by: .seconds(30))
///   try await broker.expect(.leaseExpired, receipt.id)
/// }
/// ```
/// Nothing in it waits for the machine's time, so that an hour of retries takes milliseconds and goes the same way each time.
public final class TestBroker: Sendable {
  /// What the broker, and whoever was given this clock, lives by.
  public let clock: ManualClock
  /// A client of the broker. It needs no `run()`.
  public let client: NuvomClient
  private let broker: InProcessBroker

  /// A broker without jobs.
  ///
  /// - Parameters:
  ///   - clock: by default one of its own.
  ///   - millisecondsSince1970: the time of day when the clock is at zero; by default the beginning of 2026.
  public convenience init(
    clock: ManualClock = ManualClock(), startingAt millisecondsSince1970: UInt64 = 1_767_225_600_000
  ) {
    self.init(clock: clock, startingAt: millisecondsSince1970, patience: .seconds(30))
  }

  /// A broker whose client's link is wrapped in another.
  ///
  /// - Parameter patience: how long, in the machine's time, a test may wait for a job that nobody finishes.
  init(
    clock: ManualClock, startingAt millisecondsSince1970: UInt64 = 1_767_225_600_000, patience: Duration = .seconds(30),
    wrap: (InProcessLink) -> any ClientLink = { $0 }
  ) {
    self.clock = clock
    let broker = InProcessBroker(
      clock: clock, wallMilliseconds: Int64(clamping: millisecondsSince1970), patience: patience)
    self.broker = broker
    client = NuvomClient(link: wrap(InProcessLink(broker: broker, attachment: broker.attach())))
  }

  /// Runs `body` with a broker of its own. The body, and every task that is part of it (`async let`, task groups), runs one piece after
  /// the other, so that ``ManualClock/advance(by:)`` knows when all of them wait. The broker's client is
  /// `NuvomClient.current`.
  ///
  /// A `Task { }` that outlives its maker is not part of it; give it the broker's ``executor``.
  ///
  /// - Throws: what `body` throws.
  @discardableResult
  public static func run<Result: Sendable>(
    clock: ManualClock = ManualClock(), _ body: @Sendable (TestBroker) async throws -> Result
  ) async throws -> Result {
    try await run(TestBroker(clock: clock), body)
  }

  static func run<Result: Sendable>(
    _ broker: TestBroker, _ body: @Sendable (TestBroker) async throws -> Result
  ) async throws -> Result {
    try await withTaskExecutorPreference(broker.executor, isolation: nil) {
      try await NuvomClient.$current.withValue(broker.client) { try await body(broker) }
    }
  }

  /// What runs the tasks of ``run(clock:_:)``, for `Task(executorPreference:)`.
  public var executor: any TaskExecutor { clock.executor }

  /// Another client, with a connection of its own.
  public func connect() -> NuvomClient {
    NuvomClient(link: InProcessLink(broker: broker, attachment: broker.attach()))
  }

  /// What goes wrong, by the test's script.
  public var faults: Faults { Faults(broker: broker) }

  /// Ends a job's lease, and makes it ready without the wait before its next attempt.
  func endLease(of job: JobID) { _ = broker.endLease(of: job, isReadyAtOnce: true) }

  /// The time of day that the broker has.
  public var millisecondsSince1970: UInt64 { UInt64(clamping: broker.wallMilliseconds) }

  // MARK: What happens

  /// Everything that has happened to jobs, in the order of the broker's log.
  public var events: [BrokerEvent] { broker.progress.read(\.events) }

  /// What has happened to a job.
  public func events(of job: JobID) -> [BrokerEvent] { events.filter { $0.job == job } }

  /// Waits until something has happened, be it before this call or after.
  ///
  /// - Parameters:
  ///   - kind: what.
  ///   - job: to which job; nil: to any.
  ///   - times: how often it must have happened in all.
  ///   - limit: in the machine's time; only a test that would never end meets it.
  /// - Returns: the event that was the last needed.
  /// - Throws: ``TestBrokerError`` at the limit; `CancellationError`.
  @discardableResult
  public func expect(
    _ kind: BrokerEvent.Kind, _ job: JobID? = nil, times: Int = 1, limit: Duration = .seconds(30)
  ) async throws -> BrokerEvent {
    precondition(times > 0, "wait for something that happens at least once")
    let isMeant: @Sendable (BrokerEvent) -> Bool = { $0.kind == kind && (job == nil || $0.job == job) }
    try await broker.progress.wait(until: { $0.events.count(where: isMeant) >= times }, limit: limit) { progress in
      let subject = job.map { "job \($0)" } ?? "any job"
      let happened = progress.events.filter { job == nil || $0.job == job }.suffix(20).map(\.description)
      return "waited \(limit) for \(subject) to be \(kind.rawValue), \(times) times in all; what happened: "
        + (happened.isEmpty ? "nothing" : happened.joined(separator: ", "))
    }
    return events.filter(isMeant)[times - 1]
  }

  /// Waits until so many requests wait at the broker: dequeues and waits that were asked to.
  ///
  /// - Parameters:
  ///   - count: how many.
  ///   - limit: in the machine's time; only a test that would never end meets it.
  /// - Throws: ``TestBrokerError`` at the limit; `CancellationError`.
  public func waitingRequests(atLeast count: Int, limit: Duration = .seconds(30)) async throws {
    try await broker.progress.wait(until: { $0.waiting >= count }, limit: limit) { progress in
      "waited \(limit) for \(count) requests to wait at the broker; \(progress.waiting) do"
    }
  }

  /// Waits until workers have done everything that can be done without time passing: no job is ready or leased, and none is due.
  ///
  /// - Parameter limit: in the machine's time; only a test that would never end meets it.
  /// - Throws: ``TestBrokerError`` at the limit, when a job is ready that nobody takes, say, or a handler sleeps on the clock;
  ///   `CancellationError`.
  public func drain(limit: Duration = .seconds(30)) async throws {
    var isDone = false
    while !isDone {
      await clock.advance(by: .zero)
      try await broker.progress.wait(until: \.isIdle, limit: limit) { progress in
        "waited \(limit) for the jobs to be done: \(progress.ready) are ready and \(progress.leased) leased. "
          + "A ready job needs a worker of its queue; a leased one waits for its handler, which may sleep on the clock"
      }
      await clock.settle()
      isDone = broker.progress.read(\.isIdle)
    }
  }
}

extension BrokerProgress {
  var isIdle: Bool { ready == 0 && leased == 0 }
}
