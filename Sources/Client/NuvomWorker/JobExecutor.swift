public import Logging
public import NuvomTasks

/// What runs a worker's jobs: in this process, in others, by commands.
public protocol JobExecutor: Sendable {
  /// The queues that its tasks name, for a worker that is told none.
  var queues: [String] { get }
  /// How jobs of a task are treated; nil: it cannot run them.
  func policy(forTask name: String) -> TaskPolicy?
  /// Runs one attempt. When its Swift task is cancelled, nobody waits for what it returns any more: it should end soon.
  /// - Returns: the encoded result, if there is one.
  /// - Throws: why the attempt failed.
  func run(_ context: JobContext) async throws -> [UInt8]?
  /// Tells the task of an attempt that failed by its timeout.
  func timedOut(_ context: JobContext, _ error: JobTimedOut) async
  /// The attempt is over, by its timeout or since the job is not this worker's any more, and its Swift task was cancelled. The job is
  /// settled, and its slot free, when this returns: who can end the work itself does it here. By default it returns at once.
  func stop(_ context: JobContext, _ reason: any Error) async
  /// The worker has ended.
  func shutDown() async
}

extension JobExecutor {
  /// Returns at once: the slot is free whether the handler heeds the cancellation or not.
  public func stop(_ context: JobContext, _ reason: any Error) async {}
}

/// Runs tasks in this process.
public struct InlineExecutor: JobExecutor {
  private let tasks: [String: any RunnableTask]
  /// The queues that its tasks name.
  public let queues: [String]
  private let logger: Logger

  /// An executor of tasks.
  /// - Throws: ``WorkerError`` if two have one name.
  public init(_ tasks: [any RunnableTask], logger: Logger) throws {
    self.tasks = try Dictionary(tasks.map { ($0.name, $0) }) { first, _ throws(WorkerError) in
      throw WorkerError(.duplicateTask, "two tasks are named \(first.name): rename one of them")
    }
    queues = Set(tasks.map(\.policy.queue)).sorted()
    self.logger = logger
  }

  /// The policy of its definition.
  public func policy(forTask name: String) -> TaskPolicy? { tasks[name]?.policy }

  /// Runs the handler and its hooks.
  public func run(_ context: JobContext) async throws -> [UInt8]? {
    guard let task = tasks[context.job.task] else { return nil }
    do {
      return try await task.run(payload: context.job.payload, hookFailed: logHook(context))
    } catch {
      // Who was cancelled has nobody left to tell it to: the worker knows why.
      if !Task.isCancelled { await task.failed(error, hookFailed: logHook(context)) }
      throw error
    }
  }

  /// Runs the hook.
  public func timedOut(_ context: JobContext, _ error: JobTimedOut) async { await failed(context, error) }

  /// Tells the task of an attempt that failed.
  func failed(_ context: JobContext, _ error: any Error) async {
    await tasks[context.job.task]?.failed(error, hookFailed: logHook(context))
  }

  /// Nothing is left to do.
  public func shutDown() async {}

  private func logHook(_ context: JobContext) -> @Sendable (String, any Error) -> Void {
    { hook, error in
      context.logger.error("a hook failed; the job goes on", metadata: ["hook": "\(hook)", "error": "\(error)"])
    }
  }
}

/// An attempt took longer than its timeout.
public struct JobTimedOut: Error, Hashable, Sendable, CustomStringConvertible {
  /// The limit.
  public let timeout: Duration
  /// The limit, in words.
  public var description: String { "the attempt took longer than its timeout of \(timeout)" }
}
