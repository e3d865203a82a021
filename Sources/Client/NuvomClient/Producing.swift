import MessagePack
import NuvomConnection
import NuvomModel

/// What became of a cancellation.
public struct Cancellation: Hashable, Sendable {
  /// Never delivered again.
  public var cancelled: [JobID] = []
  /// Those of `cancelled` that a worker holds; it is told when it next extends or settles.
  public var leased: [JobID] = []
  /// Not there (`NOT_FOUND`) or over already (`FINISHED`).
  public var refused: [Refusal] = []
}

// What producers ask.
extension NuvomClient {
  /// Enqueues a job. It is on the broker's disk when this returns (with the broker's default `--fsync always`). A lost connection or a
  /// restarted broker on the way does not enqueue it twice; calling this again does, unless the job has a ``Job/uniqueKey``.
  ///
  /// - Throws: `BAD_PARAMS`, `MEMORY_FULL`, `DISK_FULL`, `LIMIT_EXCEEDED`.
  public func enqueue(_ job: Job) async throws -> EnqueueReceipt {
    guard let receipt = try await enqueue([job]).first else {
      throw NuvomError(.brokerProtocol, "the broker enqueued a job and named no id; check the broker's version")
    }
    return receipt
  }

  /// Enqueues 1…10,000 jobs, all or none, with receipts in their order. Otherwise as for one.
  public func enqueue(_ jobs: [Job]) async throws -> [EnqueueReceipt] {
    let frame = try RequestFrame(.enqueue) { writer throws(NuvomError) in try writer.write(enqueue: jobs) }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in
      try cursor.receipts(jobs.count)
    }
  }

  /// Cancels jobs: they are never delivered again. Repeating it is harmless.
  public func cancel(_ ids: [JobID]) async throws -> Cancellation {
    let frame = RequestFrame(.cancel) { writer in writer.write(ids: ids) }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in try cursor.cancellation() }
  }

  /// Cancels a job.
  /// - Returns: whether a worker holds it; the worker is told when it next extends or settles.
  /// - Throws: `NOT_FOUND`, `FINISHED`.
  @discardableResult
  public func cancel(_ id: JobID) async throws -> Bool {
    let cancellation = try await cancel([id])
    if let refusal = cancellation.refused.first { throw NuvomError(refusal) }
    return !cancellation.leased.isEmpty
  }

  /// Everything the broker knows of a job.
  /// - Throws: `NOT_FOUND`: there is none, or it finished and its retention is over.
  public func get(_ id: JobID) async throws -> JobStatus {
    let frame = RequestFrame(.get) { writer in
      writer.mapHeader(1)
      writer.literal("id")
      writer.uint(id.rawValue)
    }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in try cursor.jobStatus() }
  }

  /// Waits until a job is finished, at most for `limit` (up to an hour), and returns its status then, whatever it is: look at
  /// ``JobStatus/state``.
  /// - Throws: `NOT_FOUND`.
  public func wait(for id: JobID, upTo limit: Duration = .seconds(30)) async throws -> JobStatus {
    let milliseconds = try limit.wireMilliseconds("wait_ms")
    let frame = RequestFrame(.wait, waitMilliseconds: milliseconds) { writer in
      writer.mapHeader(2)
      writer.literal("id")
      writer.uint(id.rawValue)
      writer.literal("wait_ms")
      writer.uint(milliseconds)
    }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in try cursor.jobStatus() }
  }
}

extension MessageWriter {
  /// The parameters of enqueue.
  mutating func write(enqueue jobs: [Job]) throws(NuvomError) {
    mapHeader(1)
    literal("jobs")
    arrayHeader(jobs.count)
    for job in jobs { try write(job) }
  }

  /// The parameters of cancel.
  mutating func write(ids: [JobID]) {
    mapHeader(1)
    literal("ids")
    arrayHeader(ids.count)
    for id in ids { uint(id.rawValue) }
  }
}

extension MessageCursor {
  /// The result of enqueue.
  mutating func receipts(_ count: Int) throws(UnexpectedResult) -> [EnqueueReceipt] {
    var receipts: [EnqueueReceipt] = []
    var duplicates: [Int] = []
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "ids":
        receipts = try cursor.elements { cursor throws(UnexpectedResult) in
          EnqueueReceipt(id: try cursor.jobID(), isDuplicate: false)
        }
      case "duplicates":
        duplicates = try cursor.elements { cursor throws(UnexpectedResult) in try cursor.count() }
      default: return false
      }
      return true
    }
    guard receipts.count == count else { throw UnexpectedResult(wanted: "an id for each job") }
    for index in duplicates {
      guard receipts.indices.contains(index) else { throw UnexpectedResult(wanted: "a duplicate's index") }
      receipts[index].isDuplicate = true
    }
    return receipts
  }

  /// The result of cancel.
  mutating func cancellation() throws(UnexpectedResult) -> Cancellation {
    var cancellation = Cancellation()
    try fields { key, cursor throws(UnexpectedResult) in
      switch key {
      case "cancelled": cancellation.cancelled = try cursor.jobIDs()
      case "leased": cancellation.leased = try cursor.jobIDs()
      case "refused": cancellation.refused = try cursor.refusals()
      default: return false
      }
      return true
    }
    return cancellation
  }

  private mutating func jobIDs() throws(UnexpectedResult) -> [JobID] {
    try elements { cursor throws(UnexpectedResult) in try cursor.jobID() }
  }
}
