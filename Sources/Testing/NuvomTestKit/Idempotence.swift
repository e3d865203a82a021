public import NuvomTasks
import NuvomWorker

/// A way in which a broker that delivers at least once delivers twice.
public enum DeliveryFault: Hashable, Sendable, CustomStringConvertible {
  /// The lease ran out while the handler ran, and the next worker begins when it has ended.
  case deliveredAgain
  /// The ack was lost; the job comes again when its lease has run out.
  case ackLost
  /// The lease ran out as soon as the handler began: two workers run the job at the same time.
  case deliveredAtOnce
  /// The handler was stopped for a while after so many of its steps, its lease ran out, another worker did the job, and then the first
  /// went on: what a token of the lease protects against.
  case overtaken(afterSteps: Int)
  /// The worker died after so many of the handler's steps, at the latest before the ack, and another did the job.
  case crashed(afterSteps: Int)

  /// In words.
  public var description: String {
    switch self {
    case .deliveredAgain: "delivered again, one after the other"
    case .ackLost: "its ack lost, and delivered again"
    case .deliveredAtOnce: "delivered to two workers at once"
    case .overtaken(let steps): "stopped after \(steps) of its steps, overtaken by a second worker, and going on"
    case .crashed(let steps): "crashed after \(steps) of its steps, and delivered again"
    }
  }
}

/// A task that does something else when its job is delivered twice.
public struct NotIdempotent: Error, Hashable, Sendable, CustomStringConvertible {
  /// What came of one fault.
  public struct Finding: Hashable, Sendable, CustomStringConvertible {
    /// What went wrong.
    public let fault: DeliveryFault
    /// What was observed then, in words.
    public let actual: String

    /// Fault and observation.
    public var description: String { "\(fault): \(actual)" }
  }

  /// The task.
  public let task: String
  /// What was observed after one clean run, in words.
  public let expected: String
  /// The faults under which something else was.
  public let findings: [Finding]

  /// One line for the clean run, and one for each fault.
  public var description: String {
    "task \(task) is not idempotent. One clean run: \(expected)" + findings.map { "\n- \($0)" }.joined()
  }
}

/// Runs a task's job under each way in which it can be delivered twice, and compares what came of it with what came of one clean run.
///
/// ```swift
/// try await checkIdempotence(of: charge, "order 7", observe: { await database.charges }, reset: { await database.clear() })
/// ```
/// The handler runs in the test's process, with its arguments encoded and decoded, under a real worker and broker on a manual clock. It is
/// stopped, overtaken and crashed at each of its steps, up to 32: from one real wait to the next. A call of an actor that is free is no wait; so a
/// database in memory should yield in its methods (`await Task.yield()`), or two workers never meet in the middle. A handler must not sleep
/// on the manual clock.
///
/// - Parameters:
///   - task: what is to be checked.
///   - arguments: of its one job.
///   - observe: what counts of the world after the job; not what may differ, as times.
///   - reset: puts the world back to its beginning; called before each run.
/// - Throws: ``NotIdempotent`` if anything else is observed than after one clean run, or if the job ends as a dead letter;
///   ``TestBrokerError`` if the clean run fails; what `observe` and `reset` throw.
public func checkIdempotence<Checked: EnqueueableTask & RunnableTask, Observation: Equatable & Sendable>(
  of task: Checked, input: Checked.Input, observe: @escaping @Sendable () async throws -> Observation,
  reset: @escaping @Sendable () async throws -> Void
) async throws {
  let check = IdempotenceCheck(task: task, input: input, observe: observe, reset: reset)
  try await check.run()
}

/// Runs a task's job under each way in which it can be delivered twice: see ``checkIdempotence(of:input:observe:reset:)``.
public func checkIdempotence<
  Checked: EnqueueableTask & RunnableTask, each Argument, Observation: Equatable & Sendable
>(
  of task: Checked, _ arguments: repeat each Argument, observe: @escaping @Sendable () async throws -> Observation,
  reset: @escaping @Sendable () async throws -> Void
) async throws where Checked.Input == Arguments<repeat each Argument> {
  try await checkIdempotence(of: task, input: Arguments(repeat each arguments), observe: observe, reset: reset)
}

private struct IdempotenceCheck<Checked: EnqueueableTask & RunnableTask, Observation: Equatable & Sendable>: Sendable {
  let task: Checked
  let input: Checked.Input
  let observe: @Sendable () async throws -> Observation
  let reset: @Sendable () async throws -> Void

  /// What is seen at the end of one run.
  private struct Outcome: Sendable {
    let observation: Observation
    /// Why the job is a dead letter, if it is.
    let failure: String?
    /// Of the first delivery's handler.
    let steps: Int

    var description: String {
      failure.map { "\(observation), and the job is a dead letter: \($0)" } ?? "\(observation)"
    }
  }

  private static var maximumSteps: Int { 32 }

  func run() async throws {
    let clean = try await outcome(under: nil)
    if let failure = clean.failure { throw TestBrokerError("task \(task.name) fails in a clean run: \(failure)") }
    let steps = 1...max(1, min(clean.steps, Self.maximumSteps))
    let faults: [DeliveryFault] =
      [.deliveredAgain, .ackLost, .deliveredAtOnce] + steps.dropLast().map { .overtaken(afterSteps: $0) }
      + steps.map { .crashed(afterSteps: $0) }
    var findings: [NotIdempotent.Finding] = []
    for fault in faults {
      let outcome = try await outcome(under: fault)
      if outcome.failure != nil || outcome.observation != clean.observation {
        findings.append(NotIdempotent.Finding(fault: fault, actual: outcome.description))
      }
    }
    if !findings.isEmpty {
      throw NotIdempotent(task: task.name, expected: clean.description, findings: findings)
    }
  }

  private func outcome(under fault: DeliveryFault?) async throws -> Outcome {
    try await reset()
    let concurrency = if case .deliveredAgain = fault { 1 } else { 2 }
    return try await TestBroker.run { broker in
      let probe = Probe(task, broker.clock.executor, holdsAfter: fault?.holdsAfter)
      let configuration = WorkerConfiguration(concurrency: concurrency, lease: .seconds(30))
      return try await broker.withWorker(tasks: [probe], configuration: configuration) {
        try await outcome(under: fault, broker, probe)
      }
    }
  }

  private func outcome(
    under fault: DeliveryFault?, _ broker: TestBroker, _ probe: Probe<Checked>
  ) async throws -> Outcome {
    // Attempts for both deliveries, and for errors of the second; leases of the worker's length; no waits.
    var job = try task.job(input)
    job.maximumAttempts = 4
    job.backoff = .fixed(.zero, jitterPercent: 0)
    job.lease = nil
    job.retention = .seconds(3_600)
    switch fault {
    case .deliveredAgain, .deliveredAtOnce: broker.faults.deliverTwice()
    case .ackLost: broker.faults.loseAck()
    case .overtaken, .crashed, nil: break
    }
    let id = try await broker.client.enqueue(job).id
    var runs = 1
    switch fault {
    case nil: break
    case .deliveredAgain, .deliveredAtOnce: runs = 2
    case .ackLost:
      try await probe.wait(forRuns: 1)
      await broker.clock.advance(by: .seconds(30))
      runs = 2
    case .overtaken, .crashed:
      try await probe.waitUntilHeld()
      broker.endLease(of: id)
    }
    let status = try await broker.client.wait(for: id, upTo: .seconds(3_600))
    if case .crashed = fault {
      let observation = try await observe()
      // What was dead must not write into the next run's world.
      probe.release()
      try await probe.wait(forRuns: 2)
      return Outcome(observation: observation, failure: Self.failure(status), steps: probe.steps)
    }
    if case .overtaken = fault {
      probe.release()
      runs = 2
    }
    try await probe.wait(forRuns: runs)
    await broker.clock.settle()
    return Outcome(observation: try await observe(), failure: Self.failure(status), steps: probe.steps)
  }

  private static func failure(_ status: JobStatus) -> String? {
    if status.state == .succeeded { return nil }
    return status.errors.last.map { "\($0.type): \($0.message)" } ?? "it is \(status.state.wireName)"
  }
}

extension DeliveryFault {
  /// After how many steps the first handler is held.
  fileprivate var holdsAfter: Int? {
    switch self {
    case .overtaken(let steps), .crashed(let steps): steps
    case .deliveredAgain, .ackLost, .deliveredAtOnce: nil
    }
  }
}

/// A task whose first run is counted, and held where the check wants it.
private final class Probe<Checked: RunnableTask>: RunnableTask {
  private struct Progress: Sendable {
    var begun = 0
    var ended = 0
    var isHeld = false
    var isReleased = false
  }

  private let task: Checked
  private let world: WorldExecutor
  private let first: SteppedExecutor
  private let progress: Watched<Progress>
  private let holds: Bool

  init(_ task: Checked, _ world: WorldExecutor, holdsAfter limit: Int?) {
    self.task = task
    self.world = world
    holds = limit != nil
    let progress = Watched(Progress())
    self.progress = progress
    first = SteppedExecutor(world, holdAfter: limit ?? .max) { progress.change { $0.isHeld = true } }
  }

  var name: String { task.name }
  var policy: TaskPolicy { task.policy }
  var steps: Int { first.steps }

  func run(payload: [UInt8], hookFailed: @Sendable (String, any Error) -> Void) async throws -> [UInt8] {
    let isFirst = progress.change { progress in
      progress.begun += 1
      return progress.begun == 1
    }
    defer { progress.change { $0.ended += 1 } }
    guard isFirst else { return try await task.run(payload: payload, hookFailed: hookFailed) }
    do {
      let result = try await withTaskExecutorPreference(first) {
        try await task.run(payload: payload, hookFailed: hookFailed)
      }
      await holdAtEnd()
      return result
    } catch {
      await holdAtEnd()
      throw error
    }
  }

  func failed(_ error: any Error, hookFailed: @Sendable (String, any Error) -> Void) async {
    await task.failed(error, hookFailed: hookFailed)
  }

  /// All its steps are done, and nothing is told of it.
  private func holdAtEnd() async {
    guard holds else { return }
    progress.change { $0.isHeld = true }
    // In a task of its own: the worker cancels this one when its lease is lost, and it must not go on for that.
    let end = Task(executorPreference: world) { [progress] in
      try await progress.wait(until: \.isReleased, limit: .seconds(60)) { _ in "a held handler was not released" }
    }
    _ = await end.result
  }

  func release() {
    progress.change { $0.isReleased = true }
    first.release()
  }

  func waitUntilHeld() async throws {
    try await progress.wait(until: \.isHeld, limit: .seconds(30)) { _ in
      "waited 30 s for the handler to reach its next step: does it sleep on the manual clock?"
    }
  }

  func wait(forRuns count: Int) async throws {
    try await progress.wait(until: { $0.ended >= count }, limit: .seconds(30)) { progress in
      "waited 30 s for \(count) runs of the handler to end; \(progress.begun) have begun, \(progress.ended) ended: "
        + "does it sleep on the manual clock?"
    }
  }
}
