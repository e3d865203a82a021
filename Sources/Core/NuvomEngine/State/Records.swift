import NuvomModel

/// A job in the engine's table: what changes while it lives. 40 bytes; what does not change is its body in the arena.
struct JobRecord: BitwiseCopyable {
  /// Reference of the body (44 bits), state (4), dead reason (4), flags (12).
  private var bodyWord: UInt64
  /// Reference of the history (44 bits) or none, attempts that ended (16).
  private var historyWord: UInt64
  /// leased, and cancelled while leased: the token. delayed: the due time in µs. ready: since when, in boot µs. Otherwise finished:
  /// when, in wall µs.
  var stamp: UInt64
  /// ready and dead: the neighbours in the list. leased: `next` is the lease's length in ms.
  var next: UInt32
  var previous: UInt32
  /// The queue's number above the priority.
  private var queueWord: UInt32
  /// The pending timer, or `noTimer`.
  var timer: UInt32

  static let noTimer = UInt32.max
  static let noLink = UInt32.max
  private static let referenceMask: UInt64 = 1 << 44 - 1

  struct Flags {
    /// A worker has had it: its expiry applies no more.
    static let delivered: UInt64 = 1 << 52
    /// `stamp` of the delayed job is on the wall clock.
    static let dueIsWall: UInt64 = 1 << 53
    /// It was leased when it was cancelled, and `stamp` is the token.
    static let cancelledLeased: UInt64 = 1 << 54
    /// Its last delivery was given back: its attempt was begun, and is not among those that ended.
    static let released: UInt64 = 1 << 56
    /// The body names an expiry.
    static let expires: UInt64 = 1 << 55
    /// A schedule enqueued it: which, and for which due time, is in front of the body.
    static let fired: UInt64 = 1 << 57
  }

  init(body: ArenaReference, state: JobState, queue: UInt32, priority: UInt8, flags: UInt64) {
    bodyWord = body.rawValue | UInt64(state.rawValue) << 44 | flags
    historyWord = 0
    stamp = 0
    next = Self.noLink
    previous = Self.noLink
    queueWord = queue << 8 | UInt32(priority)
    timer = Self.noTimer
  }

  @inline(__always)
  var body: ArenaReference {
    get { ArenaReference(rawValue: bodyWord & Self.referenceMask) }
    set { bodyWord = bodyWord & ~Self.referenceMask | newValue.rawValue }
  }

  @inline(__always)
  var state: JobState {
    get { JobState(rawValue: UInt8(truncatingIfNeeded: bodyWord >> 44) & 0xF).unsafelyUnwrapped }
    set { bodyWord = bodyWord & ~(0xF << 44) | UInt64(newValue.rawValue) << 44 }
  }

  /// Whether the bits name a state, and a time with which one can reckon: asked once, of records read from a snapshot.
  var isValid: Bool {
    JobState(rawValue: UInt8(truncatingIfNeeded: bodyWord >> 44) & 0xF) != nil
      && (-1 << 61...1 << 61).contains(Int64(bitPattern: stamp))
  }

  var reason: DeadReason? {
    get { DeadReason(rawValue: UInt8(truncatingIfNeeded: bodyWord >> 48) & 0xF) }
    set { bodyWord = bodyWord & ~(0xF << 48) | UInt64(newValue?.rawValue ?? 0) << 48 }
  }

  @inline(__always)
  func has(_ flag: UInt64) -> Bool { bodyWord & flag != 0 }
  @inline(__always)
  mutating func set(_ flag: UInt64) { bodyWord |= flag }
  @inline(__always)
  mutating func clear(_ flag: UInt64) { bodyWord &= ~flag }

  @inline(__always)
  var history: ArenaReference {
    get { ArenaReference(rawValue: historyWord & Self.referenceMask) }
    set { historyWord = historyWord & ~Self.referenceMask | newValue.rawValue }
  }

  /// Attempts that ended in a nack or a lost lease. The present or next delivery is one more.
  @inline(__always)
  var failures: UInt16 {
    get { UInt16(truncatingIfNeeded: historyWord >> 44) }
    set { historyWord = historyWord & ~(0xFFFF << 44) | UInt64(newValue) << 44 }
  }

  @inline(__always)
  var queue: UInt32 { queueWord >> 8 }
  @inline(__always)
  var priority: UInt8 { UInt8(truncatingIfNeeded: queueWord) }
  @inline(__always)
  var leaseMilliseconds: UInt32 { next }
  @inline(__always)
  var token: LeaseToken { LeaseToken(rawValue: stamp) }
}

/// A queue: how many jobs are in which state, where its lists begin, and what has happened.
struct QueueRecord: BitwiseCopyable {
  /// The list of the lowest priority number, or `noLink`; lists are in a chain by priority.
  var firstList = JobRecord.noLink
  var isPaused: UInt32 = 0
  var delayed: UInt32 = 0
  var ready: UInt32 = 0
  var leased: UInt32 = 0
  var succeeded: UInt32 = 0
  var dead: UInt32 = 0
  var cancelled: UInt32 = 0
  var totals = Totals()

  mutating func count(_ state: JobState, _ change: Int32) {
    func moved(_ value: UInt32) -> UInt32 { UInt32(bitPattern: Int32(bitPattern: value) &+ change) }
    switch state {
    case .delayed: delayed = moved(delayed)
    case .ready: ready = moved(ready)
    case .leased: leased = moved(leased)
    case .succeeded: succeeded = moved(succeeded)
    case .dead: dead = moved(dead)
    case .cancelled: cancelled = moved(cancelled)
    }
  }
}

/// The ready jobs of one priority in one queue, first in, first out.
struct ReadyList: BitwiseCopyable {
  var priority: UInt32
  var head = JobRecord.noLink
  var tail = JobRecord.noLink
  /// The queue's list of the next higher priority number.
  var nextList: UInt32
}

/// A unique key within its window.
struct KeyRecord: BitwiseCopyable {
  var hash: UInt64
  var job: UInt64
  /// When the window ends, in boot µs.
  var due: Int64
  var key: ArenaReference
  var timer: UInt32
}

/// A client whose answers are remembered.
struct ClientRecord: BitwiseCopyable {
  var hash: UInt64
  var name: ArenaReference
  /// The highest changing request of it that was answered.
  var highest: UInt64 = 0
  /// The highest whose answer is not remembered any more.
  var highestDropped: UInt64 = 0
  var firstAnswer = JobRecord.noLink
  var lastAnswer = JobRecord.noLink
  var answerCount: UInt32 = 0
  /// Volatile: the timer that forgets it while it is away.
  var timer = JobRecord.noTimer
}

/// What was answered to one request of a client.
struct AnswerRecord: BitwiseCopyable {
  enum Kind: UInt32 {
    case done, enqueued, duplicate, encoded
  }
  var request: UInt64
  /// A job id, or the reference of encoded bytes.
  var value: UInt64
  var next = JobRecord.noLink
  var kind: UInt32
}

/// What the arena's records are, so that compaction knows whom to tell of a move.
enum RecordKind {
  static let body: UInt8 = 1
  static let history: UInt8 = 2
  static let key: UInt8 = 3
  static let clientName: UInt8 = 4
  static let answer: UInt8 = 5
  static let schedule: UInt8 = 6
}
