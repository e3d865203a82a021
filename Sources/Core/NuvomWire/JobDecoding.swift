import MessagePack
import NuvomModel

/// What a job is enqueued to, and a dequeue takes from, when no queue is named.
private let defaultQueueName: StaticString = "default"

/// The bytes of the default queue's name, which live as long as the program.
@inline(__always)
func defaultQueue() -> BorrowedBytes {
  BorrowedBytes(start: defaultQueueName.utf8Start, count: defaultQueueName.utf8CodeUnitCount)
}

extension Request {
  /// enqueue: `{"jobs": [job, …]}`.
  mutating func readJobs(from cursor: inout MessageCursor, pairs: Int) throws(RefusedRequest) {
    guard var list = try cursor.onlyList("jobs", pairs: pairs) else { throw RefusedRequest(parameter: "jobs") }
    let count = try list.list("jobs", count: Ranges.items)
    guard jobs.count + count <= ProtocolLimits.itemsPerRequest else { throw RefusedRequest(parameter: "jobs") }
    for index in 0..<count {
      do throws(RefusedRequest) {
        jobs.append(try NewJob(from: &list))
      } catch {
        throw error.inside("jobs", at: index)
      }
    }
  }
}

extension NewJob {
  /// Reads one job's map.
  @inline(__always)
  init(from cursor: inout MessageCursor) throws(RefusedRequest) {
    self.init()
    guard var pairs = cursor.readMapHeader() else { throw .wholeItem }
    queue = defaultQueue()
    var delay: UInt64?
    var startAt: UInt64?
    var expiresIn: UInt64?
    var expiresAt: UInt64?
    while let key = try cursor.nextKey(&pairs, or: .wholeItem) {
      switch key {
      case "queue": queue = try cursor.name("queue")
      case "task": task = try cursor.name("task")
      case "payload": payload = try cursor.bytes("payload", count: 0...ProtocolLimits.payloadBytes)
      case "headers": headers = try cursor.headers("headers")
      case "tags": tags = try cursor.tags("tags")
      case "priority": priority = UInt8(truncatingIfNeeded: try cursor.uint("priority", in: 0...255))
      case "delay_ms": delay = try cursor.uint("delay_ms", in: Ranges.duration)
      case "start_at_ms": startAt = try cursor.uint("start_at_ms", in: Ranges.time)
      case "expires_in_ms": expiresIn = try cursor.uint("expires_in_ms", in: Ranges.duration)
      case "expires_at_ms": expiresAt = try cursor.uint("expires_at_ms", in: Ranges.time)
      case "max_attempts":
        maximumAttempts = UInt16(truncatingIfNeeded: try cursor.uint("max_attempts", in: 1...65_535))
      case "backoff": backoff.growth = try Backoff.Growth(from: &cursor)
      case "backoff_base_ms":
        backoff.baseMilliseconds = try cursor.uint32("backoff_base_ms", in: Ranges.shortDuration)
      case "backoff_cap_ms": backoff.capMilliseconds = try cursor.uint32("backoff_cap_ms", in: Ranges.shortDuration)
      case "jitter_percent":
        backoff.jitterPercent = UInt8(truncatingIfNeeded: try cursor.uint("jitter_percent", in: 0...100))
      case "timeout_ms": timeoutMilliseconds = try cursor.uint32("timeout_ms", in: Ranges.shortDuration)
      case "lease_ms":
        leaseMilliseconds = try cursor.uint32("lease_ms", in: 0...ProtocolLimits.leaseMilliseconds)
      case "retention_ms": retentionMilliseconds = try cursor.uint("retention_ms", in: Ranges.duration)
      case "unique_key": uniqueKey = try cursor.bytes("unique_key", count: 1...ProtocolLimits.nameBytes)
      case "unique_ms": uniqueMilliseconds = try cursor.uint("unique_ms", in: Ranges.duration)
      default: cursor.skip()
      }
    }
    if task.isEmpty { throw RefusedRequest(parameter: "task") }
    start = try Moment(after: delay, at: startAt, or: "start_at_ms")
    // No delay is the same as none given, so that the engine has one case less.
    if start == .after(milliseconds: 0) { start = .unspecified }
    expiry = try Moment(after: expiresIn, at: expiresAt, or: "expires_at_ms")
  }
}

extension Moment {
  /// One of two parameters that exclude each other.
  @inline(__always)
  fileprivate init(after duration: UInt64?, at time: UInt64?, or key: StaticString) throws(RefusedRequest) {
    switch (duration, time) {
    case (nil, nil): self = .unspecified
    case (let duration?, nil): self = .after(milliseconds: duration)
    case (nil, let time?): self = .at(milliseconds: time)
    case (_?, _?): throw RefusedRequest(parameter: key)
    }
  }
}

extension Backoff.Growth {
  fileprivate init(from cursor: inout MessageCursor) throws(RefusedRequest) {
    switch cursor.readKey() {
    case let name? where name == "fixed": self = .fixed
    case let name? where name == "exponential": self = .exponential
    default: throw RefusedRequest(parameter: "backoff")
    }
  }
}

extension RefusedRequest {
  /// An item that is no map with string keys; the list that holds it says which.
  static var wholeItem: RefusedRequest {
    var refusal = RefusedRequest(.badParameters)
    refusal.parameter = ParameterName()
    return refusal
  }
}

extension MessageCursor {
  /// The parameter of a method that has only one, a list. Nil if it is missing.
  @inline(__always)
  mutating func onlyList(_ name: StaticString, pairs count: Int) throws(RefusedRequest) -> MessageCursor? {
    var pairs = count
    var list: MessageCursor?
    while let key = try nextParameter(&pairs) {
      if key == name { list = later() } else { skip() }
    }
    return list
  }
}
