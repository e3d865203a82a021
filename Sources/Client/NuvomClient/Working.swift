import MessagePack
import NuvomConnection
import NuvomModel

/// What a dequeue brings.
public struct Dequeued: Hashable, Sendable {
  /// The jobs taken; empty if the wait ran out.
  public var jobs: [LeasedJob] = []
  /// Those of the settlements it carried that were refused: `LEASE_LOST`, `CANCELLED`, `DISK_FULL`.
  public var refused: [Refusal] = []
}

// What workers ask.
extension NuvomClient {
  /// Takes jobs under a lease; first settles what it carries.
  ///
  /// - Parameters:
  ///   - queues: 1…64, taken from in this order.
  ///   - maximum: 1…10,000 jobs. A response holds at most about 8 MiB of payload.
  ///   - wait: how long to wait for the first job if nothing is ready, at most an hour.
  ///   - lease: how long the leases last, 1 ms to a day, for jobs that do not bring their own.
  ///   - settlements: acks, nacks and releases of earlier deliveries, which spare a round trip. They are durable when this
  ///     returns, not before; after an error, settle them again: a token is good for one settlement.
  /// - Throws: `BAD_PARAMS`; `REQUEST_FORGOTTEN` if it carried settlements and the connection was lost after a thousand later
  ///   requests.
  public func dequeue(
    queues: [String] = ["default"], maximum: Int = 1, wait: Duration = .zero, lease: Duration = .seconds(30),
    settling settlements: [Settlement] = []
  ) async throws -> Dequeued {
    let milliseconds = try wait.wireMilliseconds("wait_ms")
    let methods: [Method] = [.ack, .nack, .release]
    guard settlements.allSatisfy({ $0.method != .extend }) else {
      throw NuvomError.badParameter("extend", "a dequeue does not extend leases; call extend beside it")
    }
    let groups = methods.map { method in (method, settlements.filter { $0.method == method }) }.filter { !$0.1.isEmpty }
    let frame = try RequestFrame(.dequeue, settles: !groups.isEmpty, waitMilliseconds: milliseconds) {
      writer throws(NuvomError) in
      writer.mapHeader(4 + groups.count)
      writer.literal("queues")
      writer.arrayHeader(queues.count)
      for queue in queues { writer.string(queue) }
      writer.literal("max")
      writer.int(Int64(maximum))
      writer.literal("wait_ms")
      writer.uint(milliseconds)
      try writer.write("lease_ms", lease)
      for (method, settlements) in groups {
        writer.literal(method.wireName)
        try writer.write(settlements)
      }
    }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in
      var dequeued = Dequeued()
      try cursor.fields { key, cursor throws(UnexpectedResult) in
        switch key {
        case "jobs":
          dequeued.jobs = try cursor.elements { cursor throws(UnexpectedResult) in try cursor.leasedJob() }
        case "refused": dequeued.refused = try cursor.refusals()
        default: return false
        }
        return true
      }
      return dequeued
    }
  }

  /// Settles deliveries of any kinds, each by itself: what is not returned took effect and is durable. One frame for each kind, all
  /// sent at once.
  /// - Returns: those that were refused: `LEASE_LOST`, `CANCELLED`, `DISK_FULL` (only for a result or error over 1 KiB).
  public func settle(_ settlements: [Settlement]) async throws -> [Refusal] {
    let methods: [Method] = [.ack, .nack, .release, .extend]
    let frames = try methods.compactMap { method -> RequestFrame? in
      let group = settlements.filter { $0.method == method }
      return group.isEmpty ? nil : try settlementFrame(method, group)
    }
    return try await withThrowingTaskGroup(of: [Refusal].self) { group in
      for frame in frames { group.addTask { try await self.refusals(of: frame) } }
      return try await group.reduce(into: []) { $0 += $1 }
    }
  }

  /// Says that a job is done. Its result, up to 8 MiB, is kept for the job's retention, durable with the ack.
  /// - Throws: `LEASE_LOST`, `CANCELLED`, `DISK_FULL`.
  public func ack(_ job: some Leased, result: [UInt8]? = nil) async throws {
    try await settle(.ack(job, result: result))
  }

  /// Says that a job failed: it is retried by its own rules or the reason's, or becomes a dead letter.
  /// - Throws: `LEASE_LOST`, `CANCELLED`, `DISK_FULL`.
  public func nack(_ job: some Leased, _ reason: NackReason = NackReason()) async throws {
    try await settle(.nack(job, reason))
  }

  /// Gives a job back, its attempt not counted: to the front of its queue, or to be ready after a delay.
  /// - Throws: `LEASE_LOST`, `CANCELLED`.
  public func release(_ job: some Leased, delay: Duration = .zero) async throws {
    try await settle(.release(job, delay: delay))
  }

  /// Makes a lease last so long from now; nil: as long as it did.
  /// - Throws: `LEASE_LOST`, `CANCELLED`: stop working on the job.
  public func extend(_ job: some Leased, to length: Duration? = nil) async throws {
    try await settle(.extend(job, to: length))
  }

  /// Says how far a job is, for those who look at it (``JobStatus/progress``), in place of what was said under this lease before. The lease does not
  /// become longer. What is said is kept in memory only, and forgotten when the lease ends or the broker starts again.
  ///
  /// - Parameters:
  ///   - percent: 0…100.
  ///   - message: at most 255 bytes; an empty one is none.
  /// - Throws: `LEASE_LOST`, `CANCELLED`: stop working on the job; `MEMORY_FULL`: it is not kept now, which does not concern the job; `BAD_PARAMS`.
  public func reportProgress(_ job: some Leased, percent: Int? = nil, message: String? = nil) async throws {
    let frame = RequestFrame(.progress) { writer in
      writer.mapHeader(1)
      writer.literal("jobs")
      writer.arrayHeader(1)
      writer.beginSettlement(
        Lease(id: job.id, token: job.token), fields: (percent == nil ? 0 : 1) + (message == nil ? 0 : 1))
      if let percent {
        writer.literal("percent")
        writer.int(Int64(percent))
      }
      if let message {
        writer.literal("message")
        writer.string(message)
      }
    }
    if let refusal = try await refusals(of: frame).first { throw NuvomError(refusal) }
  }

  private func settle(_ settlement: Settlement) async throws {
    let refused = try await refusals(of: try settlementFrame(settlement.method, [settlement]))
    if let refusal = refused.first { throw NuvomError(refusal) }
  }

  private func settlementFrame(_ method: Method, _ settlements: [Settlement]) throws(NuvomError) -> RequestFrame {
    try RequestFrame(method) { writer throws(NuvomError) in
      writer.mapHeader(1)
      writer.literal("jobs")
      try writer.write(settlements)
    }
  }

  private func refusals(of frame: RequestFrame) async throws -> [Refusal] {
    try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in try cursor.refusedOnly() }
  }
}
