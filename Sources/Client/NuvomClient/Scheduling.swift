import MessagePack
import NuvomConnection
import NuvomModel

/// Which schedules are meant: those that fit all that is given.
public struct ScheduleFilter: Hashable, Sendable {
  /// Whose names begin so.
  public var prefix: String?
  /// Whose jobs go to this queue.
  public var queue: String?
  /// Whose jobs are of this task.
  public var task: String?

  /// By default all.
  public init(prefix: String? = nil, queue: String? = nil, task: String? = nil) {
    self.prefix = prefix
    self.queue = queue
    self.task = task
  }
}

// What those ask whose jobs the broker is to enqueue by itself.
extension NuvomClient {
  /// Creates a schedule, or updates the one of its name. It is on the broker's disk when this returns, and enqueues its job exactly once for each of its
  /// due times from then on. The same definition again changes nothing: a program may say its schedules at each start.
  ///
  /// An update keeps what was counted, and never fires a due time again. If something of its times changed, the next is the first of the new ones
  /// after now.
  ///
  /// - Throws: `BAD_PARAMS` (of a wrong cron expression the message names the column), `UNKNOWN_TIME_ZONE`, `NEVER_DUE`, `MEMORY_FULL`, `DISK_FULL`,
  ///   `LIMIT_EXCEEDED`.
  @discardableResult
  public func schedule(_ schedule: Schedule) async throws -> ScheduleReceipt {
    guard let receipt = try await self.schedule([schedule]).first else {
      throw NuvomError(.brokerProtocol, "the broker took a schedule and did not answer; check the broker's version")
    }
    return receipt
  }

  /// Creates or updates 1…10,000 schedules in one request, all or none, with receipts in their order. Otherwise as for one; the error's
  /// ``NuvomError/field`` says which schedule it is about.
  @discardableResult
  public func schedule(_ schedules: [Schedule]) async throws -> [ScheduleReceipt] {
    let frame = try RequestFrame(.schedule) { writer throws(NuvomError) in
      writer.mapHeader(1)
      writer.literal("schedules")
      writer.arrayHeader(schedules.count)
      for schedule in schedules { try writer.write(schedule) }
    }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in
      var receipts: [ScheduleReceipt] = []
      try cursor.fields { key, cursor throws(UnexpectedResult) in
        guard key == "schedules" else { return false }
        receipts = try cursor.elements { cursor throws(UnexpectedResult) in try cursor.scheduleReceipt() }
        return true
      }
      guard receipts.count == schedules.count else { throw UnexpectedResult(wanted: "an answer for each schedule") }
      return receipts
    }
  }

  /// Everything the broker knows of a schedule.
  /// - Throws: `NOT_FOUND`: there is none, or it finished and its retention is over.
  public func schedule(named name: String) async throws -> ScheduleStatus {
    let frame = RequestFrame(.scheduleGet) { writer in
      writer.mapHeader(1)
      writer.literal("name")
      writer.string(name)
    }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in try cursor.scheduleStatus() }
  }

  /// The schedules that fit, in no order that means anything, each once, fetched page by page as they are asked for. Their jobs have no payload.
  public func schedules(_ filter: ScheduleFilter = ScheduleFilter()) -> Schedules {
    Schedules(client: self, filter: filter)
  }

  /// A page of schedules, whose jobs have no payload. It may be short, or empty, and still have a next.
  ///
  /// - Parameters:
  ///   - after: where the page before said that the next begins.
  ///   - limit: 1…10,000.
  /// - Throws: `NOT_FOUND` if `after` is gone: start again.
  public func schedulePage(
    _ filter: ScheduleFilter = ScheduleFilter(), after: String? = nil, limit: Int = 100
  ) async throws -> (schedules: [ScheduleStatus], next: String?) {
    let frame = RequestFrame(.schedules) { writer in
      let given = [filter.prefix, filter.queue, filter.task, after].count { $0 != nil }
      writer.mapHeader(given + 1)
      writer.write("prefix", filter.prefix)
      writer.write("queue", filter.queue)
      writer.write("task", filter.task)
      writer.write("after", after)
      writer.literal("limit")
      writer.int(Int64(limit))
    }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in
      var schedules: [ScheduleStatus] = []
      var next: String?
      try cursor.fields { key, cursor throws(UnexpectedResult) in
        switch key {
        case "schedules":
          schedules = try cursor.elements { cursor throws(UnexpectedResult) in try cursor.scheduleStatus() }
        case "next": next = try cursor.text()
        default: return false
        }
        return true
      }
      return (schedules, next)
    }
  }

  // MARK: Several at once

  /// Pauses 1…10,000 schedules, each by itself: they do not fire until they are resumed. Durable; repeating it is harmless.
  /// - Returns: those that were refused: `NOT_FOUND`, `FINISHED`.
  @discardableResult
  public func pauseSchedules(_ names: [String]) async throws -> [ScheduleRefusal] {
    try await change(.schedulePause, names).refused
  }

  /// Resumes 1…10,000 schedules, each by itself; their ``Schedule/misfire`` says what becomes of the due times that passed. Durable; repeating it
  /// is harmless.
  /// - Returns: those that were refused: `NOT_FOUND`, `FINISHED`.
  @discardableResult
  public func resumeSchedules(_ names: [String]) async throws -> [ScheduleRefusal] {
    try await change(.scheduleResume, names).refused
  }

  /// Enqueues the jobs of 1…10,000 schedules now, whatever their states, due times or overlap policies. Their due times stay as they are. A lost
  /// connection on the way does not enqueue them twice; calling this again does.
  /// - Throws: `MEMORY_FULL`, `DISK_FULL`; `LIMIT_EXCEEDED` for more than 64 MiB of jobs in all. Then none was enqueued.
  public func triggerSchedules(_ names: [String]) async throws -> ScheduleTriggers {
    try await change(.scheduleTrigger, names)
  }

  /// Deletes 1…10,000 schedules, each by itself. Jobs that they enqueued stay. Durable.
  /// - Returns: those that were refused: `NOT_FOUND`.
  @discardableResult
  public func deleteSchedules(_ names: [String]) async throws -> [ScheduleRefusal] {
    try await change(.scheduleDelete, names).refused
  }

  private func change(_ method: Method, _ names: [String]) async throws -> ScheduleTriggers {
    let frame = RequestFrame(method) { writer in
      writer.mapHeader(1)
      writer.literal("names")
      writer.arrayHeader(names.count)
      for name in names { writer.string(name) }
    }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in
      var change = ScheduleTriggers()
      try cursor.fields { key, cursor throws(UnexpectedResult) in
        switch key {
        case "ids": change.jobs = try cursor.elements { cursor throws(UnexpectedResult) in try cursor.jobID() }
        case "refused": change.refused = try cursor.refusals(of: names)
        default: return false
        }
        return true
      }
      return change
    }
  }

  // MARK: One

  /// Pauses a schedule: it does not fire until it is resumed. Durable; repeating it is harmless.
  /// - Throws: `NOT_FOUND`, `FINISHED`.
  public func pauseSchedule(named name: String) async throws {
    if let refusal = try await pauseSchedules([name]).first { throw NuvomError(refusal) }
  }

  /// Resumes a schedule; its ``Schedule/misfire`` says what becomes of the due times that passed. Durable; repeating it is harmless.
  /// - Throws: `NOT_FOUND`, `FINISHED`.
  public func resumeSchedule(named name: String) async throws {
    if let refusal = try await resumeSchedules([name]).first { throw NuvomError(refusal) }
  }

  /// Enqueues a schedule's job now, whatever its state, due time or overlap policy. Its due times stay as they are.
  /// - Throws: `NOT_FOUND`, `MEMORY_FULL`, `DISK_FULL`.
  @discardableResult
  public func triggerSchedule(named name: String) async throws -> JobID {
    let triggers = try await triggerSchedules([name])
    if let refusal = triggers.refused.first { throw NuvomError(refusal) }
    guard let job = triggers.jobs.first else {
      throw NuvomError(.brokerProtocol, "the broker triggered a schedule and named no job; check the broker's version")
    }
    return job
  }

  /// Deletes a schedule: it enqueues nothing more. Jobs that it enqueued stay. Durable.
  /// - Returns: whether there was one.
  @discardableResult
  public func cancelSchedule(named name: String) async throws -> Bool {
    guard let refusal = try await deleteSchedules([name]).first else { return true }
    guard refusal.code == .notFound else { throw NuvomError(refusal) }
    return false
  }
}

/// Schedules, fetched page by page. Each iteration begins anew.
public struct Schedules: AsyncSequence, Sendable {
  let client: NuvomClient
  let filter: ScheduleFilter

  /// Goes through the schedules once.
  public struct AsyncIterator: AsyncIteratorProtocol {
    let client: NuvomClient
    let filter: ScheduleFilter
    private var page: ArraySlice<ScheduleStatus> = []
    private var next: String?
    private var isOver = false

    init(client: NuvomClient, filter: ScheduleFilter) {
      self.client = client
      self.filter = filter
    }

    /// The next schedule, or nil after the last.
    /// - Throws: ``NuvomError``; `NOT_FOUND` if the place it had reached is gone: start again.
    public mutating func next() async throws -> ScheduleStatus? {
      while page.isEmpty && !isOver {
        let (schedules, next) = try await client.schedulePage(filter, after: next)
        page = schedules[...]
        self.next = next
        isOver = next == nil
      }
      return page.popFirst()
    }
  }

  /// Begins anew.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(client: client, filter: filter) }
}

extension MessageWriter {
  fileprivate mutating func write(_ key: StaticString, _ text: String?) {
    guard let text else { return }
    literal(key)
    string(text)
  }
}
