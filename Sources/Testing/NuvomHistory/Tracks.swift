// What the checker keeps of the records: flat lists, which are sorted once at the end.

struct ClientTrack {
  let name: String
  /// The place of each request among the operations.
  var operations: [UInt64: Int] = [:]
  /// Of the requests whose answers the broker remembers.
  var highestSent: UInt64 = 0
  var highestDone: UInt64 = 0

  init(name: String) { self.name = name }
}

struct Span {
  let asked: UInt64
  let at: UInt64
}

/// Whether an operation happened.
enum Verdict: UInt8 {
  /// No answer, or one that leaves it open: at most once.
  case open, unknown
  /// Exactly once.
  case done
  /// Not at all.
  case refused

  var isPossible: Bool { self != .refused }
}

struct OperationTrack {
  let client: UInt32
  let request: UInt64
  let isRemembered: Bool
  var verdict = Verdict.open
  /// When it was sent for the first time, and for the last: it happened after the first, and its answer's jobs were taken after the last.
  let sent: UInt64
  var lastSent: UInt64
  /// When it was first known to be done.
  var answered = UInt64.max
  var births = 0..<0
  var settlements = 0..<0
  var cancels = 0..<0
  var definitions = 0..<0
  var triggers = 0..<0

  init(client: UInt32, request: UInt64, at: UInt64, isRemembered: Bool) {
    self.client = client
    self.request = request
    self.isRemembered = isRemembered
    sent = at
    lastSent = at
  }
}

struct Birth {
  let operation: Int
  let job: History.NewJob
  /// As answered; 0 until then.
  var id: UInt64 = 0
  var isDuplicate = false

  init(operation: Int, job: History.NewJob) {
    self.operation = operation
    self.job = job
  }
}

struct SettlementTrack {
  enum Refusal: UInt8 { case none, leaseLost, cancelled, other }
  let operation: Int
  let sent: UInt64
  let id: UInt64
  let token: UInt64
  let nanoseconds: UInt64
  let kind: History.Settlement.Kind
  let isLast: Bool
  var refusal = Refusal.none

  init(operation: Int, sent: UInt64, _ settlement: History.Settlement) {
    self.operation = operation
    self.sent = sent
    id = settlement.id
    token = settlement.token
    nanoseconds = settlement.nanoseconds
    kind = settlement.kind
    isLast = settlement.isLast
  }
}

struct JobToken: Hashable {
  let id: UInt64
  let token: UInt64
}

struct CancelTrack {
  let operation: Int
  let id: UInt64
  var isRefused = false

  init(operation: Int, id: UInt64) {
    self.operation = operation
    self.id = id
  }
}

struct DeliveryTrack {
  let id: UInt64
  let token: UInt64
  let attempt: UInt32
  let client: UInt32
  let payload: UInt64
  let lease: UInt64
  /// The lease began after the one and before the other. Narrowed by what is known of other tokens.
  var asked: UInt64
  var received: UInt64
  /// The schedule's number, or -1.
  var schedule: Int32 = -1
  var due: UInt64 = 0

  init(_ delivery: History.Delivery, client: UInt32, asked: UInt64, received: UInt64) {
    id = delivery.id
    token = delivery.token
    attempt = delivery.attempt
    payload = delivery.payload
    lease = delivery.leaseNanoseconds
    self.client = client
    self.asked = asked
    self.received = received
  }
}

struct Look {
  let id: UInt64
  let asked: UInt64
  let at: UInt64
  let job: History.SeenJob?
  /// The number of the listing that it is of, or -1.
  let listing: Int32
}

struct DefinitionTrack {
  let operation: Int
  let schedule: Int32
  let definition: History.Definition
  var receipt: History.Receipt?

  init(operation: Int, schedule: Int32, definition: History.Definition) {
    self.operation = operation
    self.schedule = schedule
    self.definition = definition
  }
}

/// A delete or a trigger of a schedule.
struct NamedTrack {
  let operation: Int
  let schedule: Int32
  /// The job that a trigger enqueued; 0 until it is known.
  var id: UInt64 = 0

  init(operation: Int, schedule: Int32) {
    self.operation = operation
    self.schedule = schedule
  }
}

struct PurgeTrack {
  let operation: Int
  let queue: UInt64
}

/// A replay or removal of a dead letter.
struct RevivalTrack {
  let operation: Int
  let id: UInt64
  let isReplay: Bool
}

struct SeenScheduleTrack {
  let schedule: Int32
  let asked: UInt64
  let at: UInt64
  let seen: History.SeenSchedule
}

/// A job that a schedule's fire or trigger enqueued.
struct FiredJob {
  let schedule: Int32
  let due: UInt64
  let id: UInt64
  let isTriggered: Bool
  /// When it was first received.
  let received: UInt64
}
