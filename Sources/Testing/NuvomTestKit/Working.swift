public import Logging
public import NuvomWorker

// A broker with a worker.
extension TestBroker {
  /// Runs `body` with a broker of its own and a worker for tasks, as ``run(clock:_:)`` does: what is enqueued is run, and
  /// ``drain(limit:)`` waits for it. The clock moves delays, retries, timeouts and leases.
  ///
  /// ```swift
  /// try await TestBroker.run(tasks: [greet]) { broker in
  ///   let handle = try await greet.delay("Ada")
  ///   #expect(try await handle.result() == "hello Ada")
  /// }
  /// ```
  /// - Throws: what `body` throws; `WorkerError`.
  @discardableResult
  public static func run<Result: Sendable>(
    tasks: [any RunnableTask], configuration: WorkerConfiguration = WorkerConfiguration(),
    clock: ManualClock = ManualClock(), _ body: @Sendable (TestBroker) async throws -> Result
  ) async throws -> Result {
    try await run(clock: clock) { broker in
      try await broker.withWorker(tasks: tasks, configuration: configuration) { try await body(broker) }
    }
  }

  /// Runs a worker while `body` runs, with a client of its own, on the broker's clock. At the end of the body it gives back what it still runs.
  ///
  /// - Throws: what `body` throws; `WorkerError`.
  @discardableResult
  public func withWorker<Result>(
    tasks: [any RunnableTask], configuration: WorkerConfiguration = WorkerConfiguration(),
    middleware: [any WorkerMiddleware] = [],
    logger: Logger = Logger(label: "nuvom.testkit") { _ in SwiftLogNoOpLogHandler() },
    _ body: () async throws -> Result
  ) async throws -> Result {
    let client = connect()
    let worker = try Worker(
      client: client, tasks: tasks, configuration: configuration, middleware: middleware, clock: clock, logger: logger)
    let scope = ManualClock.Scope()
    return try await withThrowingTaskGroup(of: Void.self) { group in
      TaskPlacement.$executor.withValue(executor) {
        ManualClock.Scope.$current.withValue(scope) {
          group.addTask(executorPreference: executor) { try await worker.run() }
        }
      }
      defer { client.shutDown() }
      let result: Result
      do {
        result = try await body()
      } catch {
        group.cancelAll()
        clock.end(scope)
        while await group.nextResult() != nil {}
        throw error
      }
      group.cancelAll()
      clock.end(scope)
      try await group.waitForAll()
      return result
    }
  }
}
