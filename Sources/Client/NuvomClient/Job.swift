import MessagePack
import NuvomModel

/// A job as a producer describes it. Ranges and defaults are those of Protocol.md, enqueue; the broker checks them.
public struct Job: Hashable, Sendable {
  /// A time that is given as "so long from now" or as a clock time.
  public enum Time: Hashable, Sendable {
    /// So long after the broker takes the job, on a clock that never steps.
    case after(Duration)
    /// Milliseconds since 1970-01-01 UTC.
    case at(millisecondsSince1970: UInt64)
  }

  /// How long a failed job waits before its next attempt.
  public struct Backoff: Hashable, Sendable {
    /// Whether the wait doubles with each attempt.
    public var isExponential: Bool
    /// The wait before the second attempt.
    public var base: Duration
    /// No wait is longer.
    public var cap: Duration
    /// Each wait is shortened by up to this part of it, 0…100.
    public var jitterPercent: Int

    /// The same wait before each attempt.
    public static func fixed(_ wait: Duration, jitterPercent: Int = 10) -> Backoff {
      Backoff(isExponential: false, base: wait, cap: wait, jitterPercent: jitterPercent)
    }

    /// A wait that doubles with each attempt.
    public static func exponential(
      base: Duration = .seconds(1), cap: Duration = .seconds(600), jitterPercent: Int = 10
    ) -> Backoff {
      Backoff(isExponential: true, base: base, cap: cap, jitterPercent: jitterPercent)
    }
  }

  /// A key that keeps the same job from being enqueued twice.
  public struct UniqueKey: Hashable, Sendable {
    /// 1…255 bytes.
    public var bytes: [UInt8]
    /// How long after its enqueue the key is known, whatever became of the job.
    public var window: Duration

    /// A key of text.
    public init(_ text: String, window: Duration = .seconds(3_600)) {
      self.init(bytes: [UInt8](text.utf8), window: window)
    }

    /// A key of bytes.
    public init(bytes: [UInt8], window: Duration = .seconds(3_600)) {
      self.bytes = bytes
      self.window = window
    }
  }

  /// The most bytes of a payload, and of a result.
  public static let maximumPayloadBytes = ProtocolLimits.payloadBytes

  /// The name of the handler, 1…255 bytes.
  public var task: String
  /// 1…255 bytes.
  public var queue: String
  /// Up to 8 MiB, opaque to the broker.
  public var payload: [UInt8]
  /// Trace context and the like; up to 64 KiB encoded.
  public var headers: [String: HeaderValue] = [:]
  /// Up to 4 KiB encoded.
  public var tags: [String] = []
  /// Lower first.
  public var priority: UInt8 = 5
  /// When it may be delivered first; nil: at once.
  public var start: Time?
  /// When it becomes a dead letter if it was not delivered; nil: never.
  public var expiry: Time?
  /// 1…65,535.
  public var maximumAttempts = 3
  /// The wait before the next attempt.
  public var backoff = Backoff.exponential()
  /// How long one attempt may take, for the worker to hold; nil: no limit.
  public var timeout: Duration?
  /// How long its leases last; nil: as long as the dequeue asks.
  public var lease: Duration?
  /// How long the finished job and its result are kept.
  public var retention = Duration.zero
  /// If a job with this key was enqueued within its window, nothing is enqueued.
  public var uniqueKey: UniqueKey?

  /// A job with a payload of one's own making.
  public init(task: String, queue: String = "default", payload: [UInt8] = []) {
    self.task = task
    self.queue = queue
    self.payload = payload
  }

  /// A job whose payload is `{"args": […], "kwargs": {…}}` in MessagePack, which workers in other languages understand: what encodes as
  /// a map (structs, dictionaries) becomes `kwargs`, anything else the only element of `args`.
  ///
  /// - Throws: `EncodingError` if the arguments cannot be encoded.
  public init(task: String, queue: String = "default", arguments: some Encodable) throws {
    var encoder = ArgumentEncoder()
    try encoder.whole(arguments)
    self.init(task: task, queue: queue, payload: encoder.payload)
  }
}

/// A header's value.
public enum HeaderValue: Hashable, Sendable, ExpressibleByStringLiteral {
  /// Text.
  case text(String)
  /// Bytes.
  case bytes([UInt8])

  /// Text.
  public init(stringLiteral text: String) { self = .text(text) }
}

/// What became of an enqueue.
public struct EnqueueReceipt: Hashable, Sendable {
  /// The job; if it is a duplicate, the one that was there.
  public var id: JobID
  /// Whether a job with the same unique key was there, so that nothing was enqueued.
  public var isDuplicate: Bool
}

extension MessageWriter {
  mutating func write(_ job: Job) throws(NuvomError) {
    // Only what differs from the protocol's defaults travels.
    let mark = JobFields(job)
    mapHeader(mark.count)
    literal("queue")
    string(job.queue)
    literal("task")
    string(job.task)
    literal("payload")
    binary(job.payload)
    if mark.headers { try write(headers: job.headers) }
    if mark.tags {
      literal("tags")
      arrayHeader(job.tags.count)
      for tag in job.tags { string(tag) }
    }
    if mark.priority {
      literal("priority")
      uint(UInt64(job.priority))
    }
    switch job.start {
    case nil: break
    case .after(let delay): try write("delay_ms", delay)
    case .at(let time):
      literal("start_at_ms")
      uint(time)
    }
    switch job.expiry {
    case nil: break
    case .after(let delay): try write("expires_in_ms", delay)
    case .at(let time):
      literal("expires_at_ms")
      uint(time)
    }
    if mark.attempts {
      literal("max_attempts")
      int(Int64(job.maximumAttempts))
    }
    if mark.backoff {
      literal("backoff")
      if job.backoff.isExponential { literal("exponential") } else { literal("fixed") }
      try write("backoff_base_ms", job.backoff.base)
      try write("backoff_cap_ms", job.backoff.cap)
      literal("jitter_percent")
      int(Int64(job.backoff.jitterPercent))
    }
    if let timeout = job.timeout { try write("timeout_ms", timeout) }
    if let lease = job.lease { try write("lease_ms", lease) }
    if mark.retention { try write("retention_ms", job.retention) }
    if let key = job.uniqueKey {
      literal("unique_key")
      binary(key.bytes)
      try write("unique_ms", key.window)
    }
  }

  mutating func write(_ key: StaticString, _ duration: Duration) throws(NuvomError) {
    literal(key)
    uint(try duration.wireMilliseconds("\(key)"))
  }

  private mutating func write(headers: [String: HeaderValue]) throws(NuvomError) {
    literal("headers")
    mapHeader(headers.count)
    // Sorted: equal jobs have equal bytes.
    for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
      string(name)
      switch value {
      case .text(let text): string(text)
      case .bytes(let bytes): binary(bytes)
      }
    }
  }
}

/// Which fields of a job are written: their number comes first.
private struct JobFields {
  let headers: Bool
  let tags: Bool
  let priority: Bool
  let attempts: Bool
  let backoff: Bool
  let retention: Bool
  let count: Int

  init(_ job: Job) {
    headers = !job.headers.isEmpty
    tags = !job.tags.isEmpty
    priority = job.priority != 5
    attempts = job.maximumAttempts != 3
    backoff = job.backoff != .exponential()
    retention = job.retention != .zero
    let single = [
      headers, tags, priority, job.start != nil, job.expiry != nil, attempts, job.timeout != nil, job.lease != nil,
      retention,
    ]
    count = 3 + single.count(where: { $0 }) + (backoff ? 4 : 0) + (job.uniqueKey == nil ? 0 : 2)
  }
}
