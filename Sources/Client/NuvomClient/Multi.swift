import MessagePack
import NuvomConnection
import NuvomModel

/// Operations that take effect and become durable together, or not at all.
public struct Operations: Sendable {
  enum Operation: Sendable {
    case enqueue([Job])
    case settle(Method, [Settlement])
    case cancel([JobID])
  }

  var all: [Operation] = []

  /// Enqueues jobs.
  public mutating func enqueue(_ jobs: Job...) { enqueue(jobs) }

  /// Enqueues jobs.
  public mutating func enqueue(_ jobs: [Job]) { all.append(.enqueue(jobs)) }

  /// Settles a delivery; each job once.
  public mutating func settle(_ settlement: Settlement) { all.append(.settle(settlement.method, [settlement])) }

  /// Says that a job is done.
  public mutating func ack(_ job: some Leased, result: [UInt8]? = nil) { settle(.ack(job, result: result)) }

  /// Cancels jobs.
  public mutating func cancel(_ ids: [JobID]) { all.append(.cancel(ids)) }
}

/// What one of several operations resulted in.
public enum OperationResult: Hashable, Sendable {
  /// Jobs were enqueued, or were there.
  case enqueued([EnqueueReceipt])
  /// A delivery was settled.
  case settled
  /// Jobs were cancelled.
  case cancelled(Cancellation)
}

extension NuvomClient {
  /// Does up to 1,000 operations together, in one record of the broker's log, or none of them:
  /// ```swift
  /// try await client.multi { operations in
  ///   operations.ack(job, result: digest)
  ///   operations.enqueue(Job(task: "publish"))
  /// }
  /// ```
  /// - Returns: a result for each operation, in their order.
  /// - Throws: the code of the first refusal, with ``NuvomError/operation``; then nothing was done.
  @discardableResult
  public func multi(_ build: (inout Operations) throws -> Void) async throws -> [OperationResult] {
    var operations = Operations()
    try build(&operations)
    let all = operations.all
    let frame = try RequestFrame(.multi) { writer throws(NuvomError) in
      writer.mapHeader(1)
      writer.literal("operations")
      writer.arrayHeader(all.count)
      for operation in all { try writer.write(operation) }
    }
    return try decodeResult(try await perform(frame)) { cursor throws(UnexpectedResult) in
      try cursor.results(of: all)
    }
  }
}

extension MessageWriter {
  fileprivate mutating func write(_ operation: Operations.Operation) throws(NuvomError) {
    arrayHeader(2)
    switch operation {
    case .enqueue(let jobs):
      literal("enqueue")
      try write(enqueue: jobs)
    case .settle(let method, let settlements):
      literal(method.wireName)
      mapHeader(1)
      literal("jobs")
      try write(settlements)
    case .cancel(let ids):
      literal("cancel")
      write(ids: ids)
    }
  }
}

extension MessageCursor {
  fileprivate mutating func results(
    of operations: [Operations.Operation]
  ) throws(UnexpectedResult) -> [OperationResult] {
    var results: [OperationResult] = []
    try fields { key, cursor throws(UnexpectedResult) in
      guard key == "results" else { return false }
      guard cursor.readArrayHeader() == operations.count else {
        throw UnexpectedResult(wanted: "a result for each operation")
      }
      for operation in operations { results.append(try cursor.result(of: operation)) }
      return true
    }
    guard results.count == operations.count else { throw UnexpectedResult(wanted: "a result for each operation") }
    return results
  }

  private mutating func result(of operation: Operations.Operation) throws(UnexpectedResult) -> OperationResult {
    switch operation {
    case .enqueue(let jobs): return .enqueued(try receipts(jobs.count))
    case .cancel: return .cancelled(try cancellation())
    case .settle:
      skip()
      return .settled
    }
  }
}
