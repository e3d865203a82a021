import MessagePack
import NuvomModel

extension Request {
  /// ack, nack, release, extend: `{"jobs": [settlement, …]}`.
  mutating func readSettlements(
    _ kind: Settlement.Kind, from cursor: inout MessageCursor, pairs: Int
  ) throws(RefusedRequest) {
    guard let list = try cursor.onlyList("jobs", pairs: pairs) else { throw RefusedRequest(parameter: "jobs") }
    try appendSettlements(kind, from: list, named: "jobs", count: Ranges.items)
  }

  /// dequeue.
  mutating func readDequeue(from cursor: inout MessageCursor, pairs count: Int) throws(RefusedRequest) {
    var pairs = count
    var names: MessageCursor?
    var acks: MessageCursor?
    var nacks: MessageCursor?
    var releases: MessageCursor?
    while let key = try cursor.nextParameter(&pairs) {
      switch key {
      case "queues": names = cursor.later()
      case "ack": acks = cursor.later()
      case "nack": nacks = cursor.later()
      case "release": releases = cursor.later()
      case "max":
        maximum = Int(truncatingIfNeeded: try cursor.uint("max", in: 1...UInt64(ProtocolLimits.itemsPerRequest)))
      case "wait_ms": waitMilliseconds = try cursor.uint("wait_ms", in: Ranges.wait)
      case "lease_ms": leaseMilliseconds = try cursor.uint32("lease_ms", in: Ranges.lease)
      default: cursor.skip()
      }
    }
    if let names { try appendQueues(from: names) } else { queues.append(defaultQueue()) }
    // A worker that has nothing to settle may send an empty list as well as none.
    let count = 0...ProtocolLimits.itemsPerRequest
    if let acks { try appendSettlements(.ack, from: acks, named: "ack", count: count) }
    if let nacks { try appendSettlements(.nack, from: nacks, named: "nack", count: count) }
    if let releases { try appendSettlements(.release, from: releases, named: "release", count: count) }
  }

  /// The queues of a dequeue. One that is named twice counts where it was named first.
  private mutating func appendQueues(from start: MessageCursor) throws(RefusedRequest) {
    var list = start
    let count = try list.list("queues", count: 1...ProtocolLimits.queuesPerDequeue)
    for index in 0..<count {
      guard let name = list.readUTF8(), isName(name) else { throw RefusedRequest(item: index, of: "queues") }
      if !queues.contains(where: { isSame($0, name) }) { queues.append(name) }
    }
  }

  @inline(__always)
  private mutating func appendSettlements(
    _ kind: Settlement.Kind, from start: MessageCursor, named key: StaticString, count range: ClosedRange<Int>
  ) throws(RefusedRequest) {
    var list = start
    let count = try list.list(key, count: range)
    guard settlements.count + count <= ProtocolLimits.itemsPerRequest else { throw RefusedRequest(parameter: key) }
    for index in 0..<count {
      do throws(RefusedRequest) {
        settlements.append(try Settlement(kind, from: &list))
      } catch {
        throw error.inside(key, at: index)
      }
    }
  }
}

extension Settlement {
  /// Reads one settlement's map.
  fileprivate init(_ kind: Kind, from cursor: inout MessageCursor) throws(RefusedRequest) {
    self.init(kind: kind, id: JobID(rawValue: 0), token: LeaseToken(rawValue: 0))
    guard var pairs = cursor.readMapHeader() else { throw .wholeItem }
    var hasID = false
    while let key = try cursor.nextKey(&pairs, or: .wholeItem) {
      switch key {
      case "id":
        id = try cursor.jobID("id")
        hasID = true
      case "token": token = LeaseToken(rawValue: try cursor.uint("token", in: Ranges.token))
      default: if try !readOwn(key, from: &cursor) { cursor.skip() }
      }
    }
    if !hasID { throw RefusedRequest(parameter: "id") }
    if token.rawValue == 0 { throw RefusedRequest(parameter: "token") }
  }

  /// Reads a parameter that only this kind has. False if it has none of this name.
  @inline(__always)
  private mutating func readOwn(
    _ key: MessageKey, from cursor: inout MessageCursor
  ) throws(RefusedRequest) -> Bool {
    switch (kind, key) {
    case (.ack, "result"):
      result = try cursor.bytes("result", count: 0...ProtocolLimits.payloadBytes)
      hasResult = true
    case (.nack, "error_type"): errorType = try cursor.text("error_type", maximumBytes: ProtocolLimits.nameBytes)
    case (.nack, "message"):
      errorMessage = try cursor.cutText("message", toBytes: ProtocolLimits.errorMessageBytes)
    case (.nack, "trace"): errorTrace = try cursor.cutText("trace", toBytes: ProtocolLimits.errorTraceBytes)
    case (.nack, "retry"): retry = try cursor.bool("retry")
    case (.nack, "delay_ms"):
      delayMilliseconds = try cursor.uint("delay_ms", in: Ranges.duration)
      hasDelay = true
    case (.release, "delay_ms"): delayMilliseconds = try cursor.uint("delay_ms", in: Ranges.duration)
    case (.extend, "lease_ms"): leaseMilliseconds = try cursor.uint32("lease_ms", in: Ranges.lease)
    default: return false
    }
    return true
  }
}

/// Whether two names are the same.
private func isSame(_ left: BorrowedBytes, _ right: BorrowedBytes) -> Bool {
  left.count == right.count && left.elementsEqual(right)
}
