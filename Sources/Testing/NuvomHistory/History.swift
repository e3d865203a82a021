/// What clients saw of a broker: the words in which it is recorded, and what is checked of it (``HistoryChecker``).
///
/// Times are nanoseconds of one clock that never goes back, the same for all clients. What is opaque (payloads, keys, queues) is known by
/// ``digest(of:)``.
package enum History {
  /// Something that one client did or saw, and when.
  package struct Record: Equatable, Sendable {
    /// The client's number: see ``HistoryChecker/client(named:)``.
    package var client: UInt32
    package var at: UInt64
    package var event: Event

    package init(client: UInt32, at: UInt64, _ event: Event) {
      self.client = client
      self.at = at
      self.event = event
    }
  }

  /// What a client does or sees. Its records come in the order in which it saw them.
  package enum Event: Equatable, Sendable {
    /// Is about to send a request for the first time. From here on it may happen, also if no answer ever comes.
    case sent(request: UInt64, Operation)
    /// Is about to send it once more, with the same number and content.
    case sentAgain(request: UInt64)
    /// Has the answer, or one more.
    case answered(request: UInt64, Answer)
    /// Was told in `hello`, which it asked at a time, the highest of its changing requests that is remembered.
    case greeted(asked: UInt64, highest: UInt64)
    /// Asked at a time for a job: what it is, or nil if the broker does not know it.
    case saw(asked: UInt64, id: UInt64, SeenJob?)
    /// Asked at a time for all jobs that there are.
    case listed(asked: UInt64, [SeenJob])
    /// Asked at a time for a schedule.
    case sawSchedule(asked: UInt64, SeenSchedule)
  }

  /// The content of a request that changes something or takes jobs; of a `multi` all its operations together.
  package struct Operation: Equatable, Sendable {
    package var jobs: [NewJob] = []
    package var settlements: [Settlement] = []
    package var cancels: [UInt64] = []
    package var definitions: [Definition] = []
    /// Names of schedules that are deleted, and of those that are triggered.
    package var deletes: [String] = []
    package var triggers: [String] = []
    /// Digests of the names of queues that are purged.
    package var purges: [UInt64] = []
    /// Dead letters that are replayed, and those that are deleted.
    package var replays: [UInt64] = []
    package var removes: [UInt64] = []

    package init() {}

    /// Whether the broker remembers its answer. A `multi` with nothing but extends is not among these here.
    package var isRemembered: Bool {
      !jobs.isEmpty || !cancels.isEmpty || !definitions.isEmpty || !deletes.isEmpty || !triggers.isEmpty
        || settlements.contains { $0.kind != .extend }
    }
  }

  /// A job as it is enqueued.
  package struct NewJob: Equatable, Sendable {
    /// The digest of what must come back as it went. Different for each job, where two jobs shall be told apart.
    package var payload: UInt64
    /// The digest of the unique key, or 0, and its window.
    package var uniqueKey: UInt64 = 0
    package var uniqueNanoseconds: UInt64 = 0
    /// It is not delivered sooner after it was sent.
    package var delayNanoseconds: UInt64 = 0
    /// 0 where it shall not be checked.
    package var maximumAttempts: UInt32 = 0
    /// Whether it has an expiry, and whether it is kept when it is done.
    package var mayExpire = false
    package var isKept = false
    /// The digest of its queue's name; 0 if the queue is never purged.
    package var queue: UInt64 = 0

    package init(payload: UInt64) { self.payload = payload }
  }

  /// What a worker does with a job under a lease. No request does two things to one job.
  package struct Settlement: Equatable, Sendable {
    package enum Kind: UInt8, Sendable { case ack, nack, release, extend }
    package var kind: Kind
    package var id: UInt64
    package var token: UInt64
    /// extend: the lease's length from now. nack, release: the explicit delay, or 0.
    package var nanoseconds: UInt64
    /// nack: the job is dead at once.
    package var isLast: Bool

    package init(_ kind: Kind, id: UInt64, token: UInt64, nanoseconds: UInt64 = 0, isLast: Bool = false) {
      self.kind = kind
      self.id = id
      self.token = token
      self.nanoseconds = nanoseconds
      self.isLast = isLast
    }
  }

  /// A schedule as it is defined.
  package struct Definition: Equatable, Sendable {
    package var name: String
    /// The digest of its jobs' payload.
    package var payload: UInt64
    /// Milliseconds from one due time to the next, where that is always the same; else 0.
    package var stepMilliseconds: UInt64 = 0
    /// No due time may be missed or skipped, however late it is.
    package var firesAll = false
    /// Its fires cancel the job before, which then need not be delivered.
    package var cancelsPrevious = false

    package init(name: String, payload: UInt64) {
      self.name = name
      self.payload = payload
    }
  }

  /// What a request was answered.
  package struct Answer: Equatable, Sendable {
    /// The error's code, if it was refused as a whole.
    package var error: String?
    /// The ids of enqueued jobs, then of triggered ones, each in the order of the request; and which of the first are duplicates.
    package var ids: [UInt64] = []
    package var duplicates: [Int] = []
    /// Settlements that were refused. Cancels that were refused have token 0.
    package var refused: [Refusal] = []
    /// For each definition.
    package var receipts: [Receipt] = []
    package var deliveries: [Delivery] = []

    package init() {}
  }

  package struct Refusal: Equatable, Sendable {
    package var id: UInt64
    package var token: UInt64
    package var code: String

    package init(id: UInt64, token: UInt64, code: String) {
      self.id = id
      self.token = token
      self.code = code
    }
  }

  package struct Receipt: Equatable, Sendable {
    package var isCreated: Bool
    /// The next due time in milliseconds of the wall clock, if there is one.
    package var due: UInt64?

    package init(isCreated: Bool, due: UInt64?) {
      self.isCreated = isCreated
      self.due = due
    }
  }

  package struct Delivery: Equatable, Sendable {
    package var id: UInt64
    package var token: UInt64
    package var attempt: UInt32
    package var payload: UInt64
    package var leaseNanoseconds: UInt64
    package var fire: Fire?

    package init(
      id: UInt64, token: UInt64, attempt: UInt32, payload: UInt64, leaseNanoseconds: UInt64, fire: Fire? = nil
    ) {
      self.id = id
      self.token = token
      self.attempt = attempt
      self.payload = payload
      self.leaseNanoseconds = leaseNanoseconds
      self.fire = fire
    }
  }

  /// Which schedule enqueued a job, and for which due time, in milliseconds of the wall clock.
  package struct Fire: Equatable, Sendable {
    package var schedule: String
    package var due: UInt64

    package init(schedule: String, due: UInt64) {
      self.schedule = schedule
      self.due = due
    }
  }

  package enum State: UInt8, Sendable { case ready, delayed, leased, succeeded, dead, cancelled }

  /// A job that the broker knows.
  package struct SeenJob: Equatable, Sendable {
    package var id: UInt64
    package var state: State
    /// Nil where it was not asked.
    package var payload: UInt64?
    /// That of the present or last delivery; 0 before the first.
    package var attempt: UInt32
    /// leased: the token; else 0.
    package var token: UInt64
    /// dead: why, as the protocol says it; else empty.
    package var reason: String

    package init(
      id: UInt64, state: State, payload: UInt64? = nil, attempt: UInt32 = 0, token: UInt64 = 0, reason: String = ""
    ) {
      self.id = id
      self.state = state
      self.payload = payload
      self.attempt = attempt
      self.token = token
      self.reason = reason
    }
  }

  /// A schedule that the broker knows.
  package struct SeenSchedule: Equatable, Sendable {
    package var name: String
    package var lastDue: UInt64?
    package var fired: UInt64
    package var missed: UInt64
    /// Whether each job that it has fired was delivered to one of the clients before this was asked.
    package var isDrained: Bool

    package init(name: String, lastDue: UInt64?, fired: UInt64, missed: UInt64, isDrained: Bool) {
      self.name = name
      self.lastDue = lastDue
      self.fired = fired
      self.missed = missed
      self.isDrained = isDrained
    }
  }

  /// A number for bytes, the same in every process, never 0. (FNV-1a over words of 8 bytes, and a last mix.)
  package static func digest(of bytes: UnsafeRawBufferPointer) -> UInt64 {
    var digest: UInt64 = 0xCBF2_9CE4_8422_2325 &+ UInt64(bytes.count)
    var offset = 0
    while offset + 8 <= bytes.count {
      digest =
        (digest ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian)
        &* 0x9E37_79B9_7F4A_7C15
      digest ^= digest >> 29
      offset += 8
    }
    while offset < bytes.count {
      digest = (digest ^ UInt64(bytes[offset])) &* 0x100_0000_01B3
      offset += 1
    }
    digest ^= digest >> 32
    return digest == 0 ? 1 : digest
  }

  /// A number for bytes.
  package static func digest(of bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { digest(of: $0) } }

  /// A number for a text.
  package static func digest(of text: String) -> UInt64 {
    var text = text
    return text.withUTF8 { digest(of: UnsafeRawBufferPointer($0)) }
  }
}
