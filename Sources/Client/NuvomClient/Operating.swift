import MessagePack
import NuvomConnection
import NuvomModel

/// Which dead letters are meant: those that fit all that is given.
public struct DeadLetterFilter: Hashable, Sendable {
  /// Of this queue.
  public var queue: String?
  /// Of this task.
  public var task: String?
  /// For this reason.
  public var reason: DeadReason?

  /// By default all.
  public init(queue: String? = nil, task: String? = nil, reason: DeadReason? = nil) {
    self.queue = queue
    self.task = task
    self.reason = reason
  }

  fileprivate var count: Int { (queue == nil ? 0 : 1) + (task == nil ? 0 : 1) + (reason == nil ? 0 : 1) }
}

/// What became of a replay or deletion of dead letters.
public struct DeadLetterChange: Hashable, Sendable {
  /// How many were replayed or deleted.
  public var count = 0
  /// Whether there may be more that fit: call again.
  public var hasMore = false
  /// Ids that were no dead letters.
  public var refused: [Refusal] = []
}

// What operators ask.
extension NuvomClient {
  /// A round trip to the broker, answered after everything this client sent before it.
  public func ping() async throws { _ = try await perform(RequestFrame(.ping)) }

  /// All queues, in the order of their first use.
  public func queues() async throws -> [QueueSummary] {
    var all: [QueueSummary] = []
    var after: String?
    repeat {
      let name = after
      let frame = RequestFrame(.queues) { writer in
        writer.mapHeader(name == nil ? 0 : 1)
        if let name {
          writer.literal("after")
          writer.string(name)
        }
      }
      let page = try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in try cursor.queuePage()
      }
      all += page.queues
      after = page.next
    } while after != nil
    return all
  }

  /// Everything the broker knows of a queue.
  /// - Throws: `NOT_FOUND`.
  public func queue(_ name: String) async throws -> QueueStatus {
    let result = try await perform(RequestFrame(.queue, queue: name))
    return try decodeResult(result) { cursor throws(UnexpectedResult) in try cursor.queueStatus() }
  }

  /// From now on nothing is dequeued from a queue; everything else goes on. Durable; repeating it is harmless.
  public func pause(_ queue: String) async throws { _ = try await perform(RequestFrame(.pause, queue: queue)) }

  /// Ends a pause. Durable; repeating it is harmless.
  public func resume(_ queue: String) async throws { _ = try await perform(RequestFrame(.resume, queue: queue)) }

  /// Drops all ready and delayed jobs of a queue, 10,000 a request; they count as cancelled.
  /// - Returns: how many were dropped; too few, if the connection was lost on the way.
  @discardableResult
  public func purge(_ queue: String) async throws -> Int {
    var total = 0
    while true {
      let result = try await perform(RequestFrame(.purge, queue: queue))
      let change = try decodeResult(result) { cursor throws(UnexpectedResult) in try cursor.change("purged") }
      total += change.count
      if !change.hasMore { return total }
    }
  }

  /// The broker in numbers.
  public func statistics() async throws -> BrokerStatistics {
    let result = try await perform(RequestFrame(.stats))
    return try decodeResult(result) { cursor throws(UnexpectedResult) in try cursor.brokerStatistics() }
  }

  /// The dead letters that fit, oldest first, fetched page by page as they are asked for.
  public func deadLetters(_ filter: DeadLetterFilter = DeadLetterFilter()) -> DeadLetters {
    DeadLetters(client: self, filter: filter)
  }

  /// A page of dead letters, oldest first. It may be short, or empty, and still have a next.
  ///
  /// - Parameters:
  ///   - after: where the page before said that the next begins.
  ///   - limit: 1…1,000.
  /// - Throws: `NOT_FOUND` if `after` is gone: start again.
  public func deadLetterPage(
    _ filter: DeadLetterFilter = DeadLetterFilter(), after: JobID? = nil, limit: Int = 100
  ) async throws -> (jobs: [JobStatus], next: JobID?) {
    let frame = RequestFrame(.deadList) { writer in
      writer.mapHeader(filter.count + 1 + (after == nil ? 0 : 1))
      writer.write(filter)
      if let after {
        writer.literal("after")
        writer.uint(after.rawValue)
      }
      writer.literal("limit")
      writer.int(Int64(limit))
    }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in
      var jobs: [JobStatus] = []
      var next: JobID?
      try cursor.fields { key, cursor throws(UnexpectedResult) in
        switch key {
        case "jobs": jobs = try cursor.elements { cursor throws(UnexpectedResult) in try cursor.jobStatus() }
        case "next": next = try cursor.jobID()
        default: return false
        }
        return true
      }
      return (jobs, next)
    }
  }

  /// Makes dead letters ready again, with a new allowance of attempts.
  /// - Parameter limit: 1…10,000 a call; ``DeadLetterChange/hasMore`` says whether to call again.
  public func replayDeadLetters(
    _ filter: DeadLetterFilter = DeadLetterFilter(), limit: Int = 1_000
  ) async throws -> DeadLetterChange {
    try await changeDeadLetters(.deadReplay, "replayed", filter, limit)
  }

  /// Makes these dead letters ready again, with a new allowance of attempts.
  public func replayDeadLetters(_ ids: [JobID]) async throws -> DeadLetterChange {
    try await changeDeadLetters(.deadReplay, "replayed", ids)
  }

  /// Deletes dead letters.
  /// - Parameter limit: 1…10,000 a call; ``DeadLetterChange/hasMore`` says whether to call again.
  public func deleteDeadLetters(
    _ filter: DeadLetterFilter = DeadLetterFilter(), limit: Int = 1_000
  ) async throws -> DeadLetterChange {
    try await changeDeadLetters(.deadDelete, "deleted", filter, limit)
  }

  /// Deletes these dead letters.
  public func deleteDeadLetters(_ ids: [JobID]) async throws -> DeadLetterChange {
    try await changeDeadLetters(.deadDelete, "deleted", ids)
  }

  private func changeDeadLetters(
    _ method: Method, _ verb: StaticString, _ filter: DeadLetterFilter, _ limit: Int
  ) async throws -> DeadLetterChange {
    let frame = RequestFrame(method) { writer in
      writer.mapHeader(filter.count + 1)
      writer.write(filter)
      writer.literal("limit")
      writer.int(Int64(limit))
    }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in try cursor.change(verb) }
  }

  private func changeDeadLetters(
    _ method: Method, _ verb: StaticString, _ ids: [JobID]
  ) async throws -> DeadLetterChange {
    let frame = RequestFrame(method) { writer in writer.write(ids: ids) }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in try cursor.change(verb) }
  }
}

/// Dead letters, oldest first, fetched page by page. Each iteration begins anew.
public struct DeadLetters: AsyncSequence, Sendable {
  let client: NuvomClient
  let filter: DeadLetterFilter

  /// Goes through the dead letters once.
  public struct AsyncIterator: AsyncIteratorProtocol {
    let client: NuvomClient
    let filter: DeadLetterFilter
    private var page: ArraySlice<JobStatus> = []
    private var next: JobID?
    private var isOver = false

    init(client: NuvomClient, filter: DeadLetterFilter) {
      self.client = client
      self.filter = filter
    }

    /// The next dead letter, or nil after the last.
    /// - Throws: ``NuvomError``; `NOT_FOUND` if the place it had reached is gone: start again.
    public mutating func next() async throws -> JobStatus? {
      while page.isEmpty && !isOver {
        let (jobs, next) = try await client.deadLetterPage(filter, after: next)
        page = jobs[...]
        self.next = next
        isOver = next == nil
      }
      return page.popFirst()
    }
  }

  /// Begins at the oldest.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(client: client, filter: filter) }
}

extension RequestFrame {
  /// A request whose only parameter is a queue.
  fileprivate init(_ method: Method, queue: String) {
    self.init(method) { writer in
      writer.mapHeader(1)
      writer.literal("queue")
      writer.string(queue)
    }
  }
}

extension MessageWriter {
  fileprivate mutating func write(_ filter: DeadLetterFilter) {
    if let queue = filter.queue {
      literal("queue")
      string(queue)
    }
    if let task = filter.task {
      literal("task")
      string(task)
    }
    if let reason = filter.reason {
      literal("reason")
      literal(reason.wireName)
    }
  }
}

extension MessageCursor {
  fileprivate mutating func queuePage() throws(UnexpectedResult) -> (queues: [QueueSummary], next: String?) {
    var queues: [QueueSummary] = []
    var next: String?
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "queues": queues = try cursor.elements { cursor throws(UnexpectedResult) in try cursor.queueSummary() }
      case "next": next = try cursor.text()
      default: return false
      }
      return true
    }
    return (queues, next)
  }

  /// The result of purge, dead_replay and dead_delete, which differ in the word for what was done.
  fileprivate mutating func change(_ verb: StaticString) throws(UnexpectedResult) -> DeadLetterChange {
    var change = DeadLetterChange()
    try fields { key, cursor throws(UnexpectedResult) in
      if key == verb {
        change.count = try cursor.count()
        return true
      }
      switch key {
      case "more": change.hasMore = try cursor.flag()
      case "refused": change.refused = try cursor.refusals()
      default: return false
      }
      return true
    }
    return change
  }
}
