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
  /// The handler was stopped at an ``interruptionPoint()``, counted from 1, its lease ran out, another worker did the job, and then the
  /// first went on: what a token of the lease protects against.
  case overtaken(atPoint: Int)
  /// The worker died at an ``interruptionPoint()``, counted from 1, and another did the job.
  case crashed(atPoint: Int)
  /// The worker died when the handler had ended, before the ack, and another did the job.
  case crashedBeforeAck

  /// In words.
  public var description: String {
    switch self {
    case .deliveredAgain: "delivered again, one after the other"
    case .ackLost: "its ack lost, and delivered again"
    case .deliveredAtOnce: "delivered to two workers at once"
    case .overtaken(let point): "stopped at interruption point \(point), overtaken by a second worker, and going on"
    case .crashed(let point): "crashed at interruption point \(point), and delivered again"
    case .crashedBeforeAck: "crashed before its ack, and delivered again"
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
/// stopped, overtaken and crashed at each ``interruptionPoint()`` that it comes by, up to 32: what stands for the world in the test should have
/// them where the real world waits. A handler must not sleep on the manual clock.
///
/// - Parameters:
///   - task: what is to be checked.
///   - input: of its one job.
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
    /// That the first delivery's handler came by.
    let points: Int

    var description: String {
      failure.map { "\(observation), and the job is a dead letter: \($0)" } ?? "\(observation)"
    }
  }

  private static var maximumPoints: Int { 32 }

  func run() async throws {
    let clean = try await outcome(under: nil)
    if let failure = clean.failure { throw TestBrokerError("task \(task.name) fails in a clean run: \(failure)") }
    let points = (0..<min(clean.points, Self.maximumPoints)).map { $0 + 1 }
    let faults: [DeliveryFault] =
      [.deliveredAgain, .ackLost, .crashedBeforeAck, .deliveredAtOnce] + points.map { .overtaken(atPoint: $0) }
      + points.map { .crashed(atPoint: $0) }
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
      let probe = Probe(task, under: fault, on: broker.executor)
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
    case .overtaken, .crashed, .crashedBeforeAck, nil: break
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
    case .overtaken, .crashed, .crashedBeforeAck:
      try await probe.first.waitUntilHeld()
      broker.endLease(of: id)
    }
    let status = try await broker.client.wait(for: id, upTo: .seconds(3_600))
    switch fault {
    case .crashed, .crashedBeforeAck:
      let observation = try await observe()
      // What is dead must not write into the next run's world.
      probe.first.release()
      try await probe.wait(forRuns: 2)
      return Outcome(observation: observation, failure: Self.failure(status), points: probe.first.points)
    case .overtaken:
      probe.first.release()
      runs = 2
    case .deliveredAgain, .ackLost, .deliveredAtOnce, nil: break
    }
    try await probe.wait(forRuns: runs)
    await broker.clock.settle()
    return Outcome(observation: try await observe(), failure: Self.failure(status), points: probe.first.points)
  }

  private static func failure(_ status: JobStatus) -> String? {
    if status.state == .succeeded { return nil }
    return status.errors.last.map { "\($0.type): \($0.message)" } ?? "it is \(status.state.wireName)"
  }
}

/// A task whose first run is watched, and held where the check wants it.
private final class Probe<Checked: RunnableTask>: RunnableTask {
  private struct Runs: Sendable {
    /// The others are jobs that the handler has enqueued for its own task.
    var job: JobID?
    var begun = 0
    var ended = 0
  }

  let first: Interruptions
  private let task: Checked
  private let executor: any TaskExecutor
  private let holdsAtEnd: Bool
  private let runs = Watched(Runs())

  init(_ task: Checked, under fault: DeliveryFault?, on executor: any TaskExecutor) {
    self.task = task
    self.executor = executor
    holdsAtEnd = fault == .crashedBeforeAck
    let point: Int? =
      switch fault {
      case .overtaken(let point), .crashed(let point): point
      case .deliveredAgain, .ackLost, .deliveredAtOnce, .crashedBeforeAck, nil: nil
      }
    first = Interruptions(heldAt: point, on: executor)
  }

  var name: String { task.name }
  var policy: TaskPolicy { task.policy }

  func run(payload: [UInt8], hookFailed: @Sendable (String, any Error) -> Void) async throws -> [UInt8] {
    let number = runs.change { runs -> Int? in
      runs.job = runs.job ?? JobContext.current?.id
      guard runs.job == JobContext.current?.id else { return nil }
      runs.begun += 1
      return runs.begun
    }
    guard let number else { return try await task.run(payload: payload, hookFailed: hookFailed) }
    defer { runs.change { $0.ended += 1 } }
    let interruptions = number == 1 ? first : Interruptions(heldAt: nil, on: executor)
    return try await Interruptions.$current.withValue(interruptions) {
      let result: Result<[UInt8], any Error>
      do {
        result = .success(try await task.run(payload: payload, hookFailed: hookFailed))
      } catch {
        result = .failure(error)
      }
      if number == 1, holdsAtEnd { await first.hold() }
      return try result.get()
    }
  }

  func failed(_ error: any Error, hookFailed: @Sendable (String, any Error) -> Void) async {
    await task.failed(error, hookFailed: hookFailed)
  }

  func wait(forRuns count: Int) async throws {
    try await runs.wait(until: { $0.ended >= count }, limit: .seconds(30)) { runs in
      "waited 30 s for \(count) runs of the handler to end; \(runs.begun) have begun, \(runs.ended) ended: "
        + "does it sleep on the manual clock?"
    }
  }
}
