public import NuvomClient

/// A task's schedule.
public struct ScheduleHandle<Output: Codable & Sendable>: Sendable {
  /// What it is known by.
  public let name: String
  /// What the broker did when it was handed over; nil: it is known by its name.
  public let receipt: ScheduleReceipt?
  private let client: NuvomClient

  /// A schedule known by its name, perhaps from another program.
  public init(_ name: String, receipt: ScheduleReceipt? = nil, client: NuvomClient) {
    self.name = name
    self.receipt = receipt
    self.client = client
  }

  /// Everything the broker knows of the schedule.
  /// - Throws: `NOT_FOUND`: it was cancelled, or it finished and its retention is over.
  public func status() async throws -> ScheduleStatus { try await client.schedule(named: name) }

  /// The last job that it enqueued; nil: none yet.
  /// - Throws: as ``status()``.
  public func lastJob() async throws -> JobHandle<Output>? {
    try await status().lastJob.map { JobHandle($0, client: client) }
  }

  /// It does not fire until it is resumed. Durable; repeating it is harmless.
  /// - Throws: `NOT_FOUND`, `FINISHED`.
  public func pause() async throws { try await client.pauseSchedule(named: name) }

  /// Ends a pause; its misfire policy says what becomes of the due times that passed. Durable; repeating it is harmless.
  /// - Throws: `NOT_FOUND`, `FINISHED`.
  public func resume() async throws { try await client.resumeSchedule(named: name) }

  /// Enqueues its job now, whatever its state, due time or overlap policy; the due times stay as they are.
  /// - Throws: `NOT_FOUND`, `MEMORY_FULL`, `DISK_FULL`.
  @discardableResult
  public func trigger() async throws -> JobHandle<Output> {
    JobHandle(try await client.triggerSchedule(named: name), client: client)
  }

  /// Deletes the schedule: it enqueues nothing more. Jobs that it enqueued stay.
  /// - Returns: whether it was there.
  @discardableResult
  public func cancel() async throws -> Bool { try await client.cancelSchedule(named: name) }
}
