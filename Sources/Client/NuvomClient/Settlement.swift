import MessagePack
import NuvomModel

/// What a worker does with a delivery: done, failed, given back, or not yet done.
public struct Settlement: Hashable, Sendable {
  enum Kind: Hashable, Sendable {
    case ack(result: [UInt8]?)
    case nack(NackReason)
    case release(delay: Duration)
    case extend(Duration?)
  }

  let lease: Lease
  let kind: Kind

  /// Done. The result, up to 8 MiB, is kept for the job's retention.
  public static func ack(_ job: some Leased, result: [UInt8]? = nil) -> Settlement {
    Settlement(lease: Lease(id: job.id, token: job.token), kind: .ack(result: result))
  }

  /// Failed: the attempt is used up, and the job waits for the next or is a dead letter.
  public static func nack(_ job: some Leased, _ reason: NackReason = NackReason()) -> Settlement {
    Settlement(lease: Lease(id: job.id, token: job.token), kind: .nack(reason))
  }

  /// Given back: the attempt is not used up. Without a delay it goes to the front of its queue.
  public static func release(_ job: some Leased, delay: Duration = .zero) -> Settlement {
    Settlement(lease: Lease(id: job.id, token: job.token), kind: .release(delay: delay))
  }

  /// Not yet done: the lease lasts so long from now; nil: as long as it did.
  public static func extend(_ job: some Leased, to length: Duration? = nil) -> Settlement {
    Settlement(lease: Lease(id: job.id, token: job.token), kind: .extend(length))
  }

  var method: Method {
    switch kind {
    case .ack: .ack
    case .nack: .nack
    case .release: .release
    case .extend: .extend
    }
  }
}

/// Why a job failed, and what is to become of it.
public struct NackReason: Hashable, Sendable {
  /// The error's type, at most 255 bytes.
  public var type: String
  /// What happened; the broker keeps 4 KiB.
  public var message: String
  /// Where it happened; the broker keeps 16 KiB.
  public var trace: String
  /// The wait before the next attempt; nil: by the job's backoff.
  public var delay: Duration?
  /// False: it is a dead letter at once, `rejected`.
  public var retry: Bool

  /// A failure; by default one that is retried by the job's own rules.
  public init(type: String = "", message: String = "", trace: String = "", delay: Duration? = nil, retry: Bool = true) {
    self.type = type
    self.message = message
    self.trace = trace
    self.delay = delay
    self.retry = retry
  }
}

/// A job of a request that was refused, beside others that were not.
public struct Refusal: Hashable, Sendable {
  /// The job.
  public var id = JobID(rawValue: 0)
  /// The token that was shown; nil where none is (cancel, dead letters).
  public var token: LeaseToken?
  /// Why.
  public var code = NuvomError.Code(rawValue: "")
  /// For a person.
  public var message = ""
}

extension NuvomError {
  init(_ refusal: Refusal) { self.init(refusal.code, refusal.message) }
}

extension MessageWriter {
  mutating func write(_ settlements: some Collection<Settlement>) throws(NuvomError) {
    arrayHeader(settlements.count)
    for settlement in settlements { try write(settlement) }
  }

  private mutating func write(_ settlement: Settlement) throws(NuvomError) {
    switch settlement.kind {
    case .ack(let result):
      beginSettlement(settlement.lease, fields: result == nil ? 0 : 1)
      if let result {
        literal("result")
        binary(result)
      }
    case .nack(let reason):
      beginSettlement(settlement.lease, fields: 4 + (reason.delay == nil ? 0 : 1))
      literal("error_type")
      string(reason.type)
      literal("message")
      string(reason.message)
      literal("trace")
      string(reason.trace)
      literal("retry")
      bool(reason.retry)
      if let delay = reason.delay { try write("delay_ms", delay) }
    case .release(let delay):
      beginSettlement(settlement.lease, fields: 1)
      try write("delay_ms", delay)
    case .extend(let length):
      beginSettlement(settlement.lease, fields: length == nil ? 0 : 1)
      if let length { try write("lease_ms", length) }
    }
  }

  /// A map that begins with a job and its token; so many fields must follow.
  mutating func beginSettlement(_ lease: Lease, fields: Int) {
    mapHeader(2 + fields)
    literal("id")
    uint(lease.id.rawValue)
    literal("token")
    uint(lease.token.rawValue)
  }
}

extension MessageCursor {
  mutating func refusals() throws(UnexpectedResult) -> [Refusal] {
    try elements { cursor throws(UnexpectedResult) in
      var refusal = Refusal()
      try cursor.fields { key, cursor throws(UnexpectedResult) in
        switch key {
        case "id": refusal.id = try cursor.jobID()
        case "token": refusal.token = try cursor.token()
        case "code": refusal.code = NuvomError.Code(rawValue: try cursor.text())
        case "message": refusal.message = try cursor.text()
        default: return false
        }
        return true
      }
      return refusal
    }
  }

  /// The result of ack, nack, release, extend and progress.
  mutating func refusedOnly() throws(UnexpectedResult) -> [Refusal] {
    var refused: [Refusal] = []
    try fields { key, cursor throws(UnexpectedResult) in
      guard key == "refused" else { return false }
      refused = try cursor.refusals()
      return true
    }
    return refused
  }
}
