public import NuvomClient
import Tracing

/// A task by its name: enough to enqueue its jobs. A producer that does not link the worker's code declares the same reference:
/// ```swift
/// let greet = TaskReference<Arguments<String>, String>("greet")
/// let handle = try await greet.delay("Ada")
/// print(try await handle.result())
/// ```
public struct TaskReference<Input: TaskInput, Output: Codable & Sendable>: EnqueueableTask {
  /// What workers know it by, 1…255 bytes.
  public let name: String
  /// How its jobs are queued, tried and kept.
  public var policy: TaskPolicy

  /// A task that some worker defines.
  public init(_ name: String, _ policy: TaskPolicy = TaskPolicy()) {
    self.name = name
    self.policy = policy
  }

  /// Itself.
  public var reference: TaskReference { self }
}

/// A task whose jobs can be enqueued: a ``TaskReference``, a ``TaskDefinition``, or what `@NuvomTask` makes of a function.
public protocol EnqueueableTask<Input, Output>: Sendable {
  /// What it is called with.
  associatedtype Input: TaskInput
  /// What it returns.
  associatedtype Output: Codable & Sendable
  /// Its name and policy.
  var reference: TaskReference<Input, Output> { get }
}

extension EnqueueableTask {
  /// The same task under another policy, for some of its jobs:
  /// ```swift
  /// try await resize.with { $0.priority = 0 }.delay("logo.png")
  /// ```
  public func with(_ change: (inout TaskPolicy) -> Void) -> TaskReference<Input, Output> {
    var copy = reference
    change(&copy.policy)
    return copy
  }

  /// The job that `delay` would enqueue: for ``JobContext/enqueueWithAck(_:)`` and
  /// `NuvomClient.multi`. Carries the present trace and ``PropagatedContext``.
  /// - Throws: `EncodingError`; `BAD_PARAMS`.
  public func job(_ input: Input, options: JobOptions = JobOptions()) throws -> Job {
    var trace: [String: HeaderValue] = [:]
    if let context = ServiceContext.current {
      InstrumentationSystem.instrument.inject(context, into: &trace, using: TraceHeaders())
    }
    var job = try job(input, headers: trace.merging(options.headers) { _, chosen in chosen })
    job.start = options.start
    job.expiry = options.expiry
    job.uniqueKey = options.uniqueKey
    return job
  }

  /// A job under the task's policy, with the present ``PropagatedContext`` beneath headers.
  func job(_ input: Input, headers: [String: HeaderValue]) throws -> Job {
    let policy = reference.policy
    try policy.check()
    var arguments = ArgumentEncoder()
    try input.encode(to: &arguments)
    var job = Job(task: reference.name, queue: policy.queue, payload: arguments.payload)
    job.headers = PropagatedContext.current.headers.merging(headers) { _, chosen in chosen }
    job.tags = policy.tags
    job.priority = policy.priority
    job.maximumAttempts = policy.retries + 1
    job.backoff = policy.backoff
    job.timeout = policy.timeout
    job.lease = policy.lease
    job.retention = policy.retention
    return job
  }

  /// Enqueues a job of the task. It is on the broker's disk when this returns.
  ///
  /// - Parameter client: by default `NuvomClient.current`.
  /// - Throws: `EncodingError`; what `NuvomClient.enqueue` throws.
  @discardableResult
  public func delay(
    _ input: Input, options: JobOptions = JobOptions(), on client: NuvomClient? = nil
  ) async throws -> JobHandle<Output> {
    let client = try NuvomClient.required(client)
    return try await withSpan("enqueue \(reference.name)", ofKind: .producer) { _ in
      let receipt = try await client.enqueue(try job(input, options: options))
      return JobHandle(receipt.id, isDuplicate: receipt.isDuplicate, client: client)
    }
  }

  /// Enqueues a job for each input, 1…10,000 in one request: all, or none.
  /// - Returns: handles in the order of the inputs.
  /// - Throws: as `delay`.
  @discardableResult
  public func map(
    _ inputs: some Collection<Input>, options: JobOptions = JobOptions(), on client: NuvomClient? = nil
  ) async throws -> JobGroup<Output> {
    let client = try NuvomClient.required(client)
    return try await withSpan("enqueue \(reference.name)", ofKind: .producer) { _ in
      let receipts = try await client.enqueue(try inputs.map { try job($0, options: options) })
      return JobGroup(receipts.map { JobHandle($0.id, isDuplicate: $0.isDuplicate, client: client) })
    }
  }

  /// The job that `delay` would enqueue.
  public func job<each Argument>(
    _ arguments: repeat each Argument, options: JobOptions = JobOptions()
  ) throws -> Job where Input == Arguments<repeat each Argument> {
    try job(Arguments(repeat each arguments), options: options)
  }

  /// Enqueues a job of the task. It is on the broker's disk when this returns.
  ///
  /// - Parameter client: by default `NuvomClient.current`.
  /// - Throws: `EncodingError`; what `NuvomClient.enqueue` throws.
  @discardableResult
  public func delay<each Argument>(
    _ arguments: repeat each Argument, options: JobOptions = JobOptions(), on client: NuvomClient? = nil
  ) async throws -> JobHandle<Output> where Input == Arguments<repeat each Argument> {
    try await delay(Arguments(repeat each arguments), options: options, on: client)
  }

  /// Enqueues a job for each tuple of arguments, 1…10,000 in one request: all, or none.
  /// - Returns: handles in the order of the inputs.
  @discardableResult
  public func map<each Argument>(
    _ inputs: [(repeat each Argument)], options: JobOptions = JobOptions(), on client: NuvomClient? = nil
  ) async throws -> JobGroup<Output> where Input == Arguments<repeat each Argument> {
    try await map(inputs.map { Arguments(repeat each $0) }, options: options, on: client)
  }
}
