import NuvomModel

/// Who is connected and who waits: the volatile state of an engine. None of it is in the log.
final class WaitingRoom {
  /// A connection.
  struct Session: BitwiseCopyable {
    /// The client whose answers are remembered, or `noLink`.
    var client = JobRecord.noLink
    var firstWaiter = JobRecord.noLink
    var waiterCount: UInt32 = 0
  }

  /// A dequeue or a wait that has not been answered.
  struct Waiter: BitwiseCopyable {
    var address: Address
    /// The queue memberships of a dequeue; `noLink` for a wait.
    var firstMembership = JobRecord.noLink
    /// The job of a wait; 0 for a dequeue.
    var job: UInt64 = 0
    var maximum: UInt32 = 1
    var leaseMilliseconds: UInt32 = 0
    var timer = JobRecord.noTimer
    /// The neighbours among the session's waiters.
    var next = JobRecord.noLink
    var previous = JobRecord.noLink
    /// Whether the dequeue carried settlements that were refused; they are in `refusals`.
    var hasRefusals: UInt32 = 0
  }

  /// A waiting dequeue's place in the line of one queue.
  struct Membership: BitwiseCopyable {
    var waiter: UInt32
    var queue: UInt32
    var next = JobRecord.noLink
    var previous = JobRecord.noLink
    /// The same waiter's place in another line.
    var nextOfWaiter: UInt32
  }

  /// A queue's line, and its rates.
  struct Line: BitwiseCopyable {
    var head = JobRecord.noLink
    var tail = JobRecord.noLink
    var count: UInt32 = 0
    /// Whether the queue is in `wakes`.
    var isWoken = false
    var enqueued = RateMeter()
    var acked = RateMeter()
  }

  let timers: TimerWheel
  let sessions: Slab<Session>
  let waiters: Slab<Waiter>
  let memberships: Slab<Membership>
  let lines: Slab<Line>
  /// Waiters of jobs, by the job. Behind a pointer: each ack looks whether there are any, and a class's stored property would be checked for
  /// exclusive access.
  private let waitersOfJobs: UnsafeMutablePointer<[JobID: [UInt32]]>
  var jobWaiters: [JobID: [UInt32]] {
    _read { yield waitersOfJobs.pointee }
    _modify { yield &waitersOfJobs.pointee }
  }
  /// Refused settlements of waiting dequeues, by the waiter.
  var refusals: [UInt32: [Refusal]] = [:]
  /// Queues with a line in which a job became ready since the last `Engine.serveWoken`.
  var wakes: [UInt32] = []
  /// The connection of each client that is connected.
  var connectionOfClient: [UInt32: ConnectionID] = [:]

  init(now: Int64, slotLimit: UInt32, blocks: any BlockSource) {
    timers = TimerWheel(now: now)
    sessions = Slab(maximumSlots: min(1 << 24, slotLimit), blocks: blocks)
    waiters = Slab(maximumSlots: min(1 << 30, slotLimit), blocks: blocks)
    memberships = Slab(maximumSlots: min(1 << 30, slotLimit), blocks: blocks)
    lines = Slab(maximumSlots: 100_032, blocks: blocks)
    waitersOfJobs = .allocate(capacity: 1)
    waitersOfJobs.initialize(to: [:])
  }

  deinit {
    waitersOfJobs.deinitialize(count: 1)
    waitersOfJobs.deallocate()
  }

  func addQueue(_ number: UInt32) {
    let isNew = lines.claim(slot: number, generation: 1)
    precondition(isNew, "queues are numbered once")
    lines.mutable(number).initialize(to: Line())
  }

  @inline(__always)
  func hasWaiters(_ queue: UInt32) -> Bool { lines.pointer(queue).pointee.head != JobRecord.noLink }

  /// Whether somebody waits for a job to finish.
  @inline(__always)
  func isWaitedFor(_ job: JobID) -> Bool { !jobWaiters.isEmpty && jobWaiters[job] != nil }

  // MARK: Sessions

  func connect() -> ConnectionID? {
    guard let (slot, generation) = sessions.allocate() else { return nil }
    sessions.mutable(slot).initialize(to: Session())
    return ConnectionID(rawValue: UInt64(generation) << 32 | UInt64(slot))
  }

  @inline(__always)
  func session(_ connection: ConnectionID) -> UnsafeMutablePointer<Session>? {
    let slot = UInt32(truncatingIfNeeded: connection.rawValue)
    let generation = UInt32(truncatingIfNeeded: connection.rawValue >> 32)
    return sessions.isLive(slot, generation) ? sessions.mutable(slot) : nil
  }

  func disconnect(_ connection: ConnectionID) {
    guard let session = session(connection) else { return }
    endWaits(of: connection)
    if session.pointee.client != JobRecord.noLink, connectionOfClient[session.pointee.client] == connection {
      connectionOfClient[session.pointee.client] = nil
    }
    sessions.free(UInt32(truncatingIfNeeded: connection.rawValue))
  }

  // MARK: Waiters

  func endWaits(of connection: ConnectionID) {
    guard let session = session(connection) else { return }
    while session.pointee.firstWaiter != JobRecord.noLink { remove(session.pointee.firstWaiter) }
  }

  /// Adds a waiter of a connection; nil if it has as many as allowed.
  func add(_ waiter: Waiter, due: Int64) -> UInt32? {
    guard let session = session(waiter.address.connection),
      session.pointee.waiterCount < UInt32(ProtocolLimits.waitingPerConnection), let (slot, _) = waiters.allocate()
    else { return nil }
    var waiter = waiter
    waiter.next = session.pointee.firstWaiter
    waiter.timer = timers.insert(due: due, subject: UInt64(slot), extra: 0, kind: TimerKind.waiter)
    if waiter.next != JobRecord.noLink { waiters.mutable(waiter.next).pointee.previous = slot }
    waiters.mutable(slot).initialize(to: waiter)
    session.pointee.firstWaiter = slot
    session.pointee.waiterCount += 1
    return slot
  }

  /// Puts a waiter at the end of a queue's line. Once for each queue.
  func stand(_ waiter: UInt32, inLineOf queue: UInt32) {
    guard let (slot, _) = memberships.allocate() else { return }
    let line = lines.mutable(queue)
    var membership = Membership(
      waiter: waiter, queue: queue, nextOfWaiter: waiters.pointer(waiter).pointee.firstMembership)
    membership.previous = line.pointee.tail
    memberships.mutable(slot).initialize(to: membership)
    if line.pointee.tail == JobRecord.noLink {
      line.pointee.head = slot
    } else {
      memberships.mutable(line.pointee.tail).pointee.next = slot
    }
    line.pointee.tail = slot
    line.pointee.count += 1
    waiters.mutable(waiter).pointee.firstMembership = slot
  }

  /// Takes a waiter out of every line, its timer and its session.
  func remove(_ slot: UInt32) {
    let waiter = waiters.pointer(slot).pointee
    if waiter.timer != JobRecord.noTimer { timers.remove(waiter.timer) }
    var membership = waiter.firstMembership
    while membership != JobRecord.noLink {
      let place = memberships.pointer(membership).pointee
      let line = lines.mutable(place.queue)
      if place.previous == JobRecord.noLink {
        line.pointee.head = place.next
      } else {
        memberships.mutable(place.previous).pointee.next = place.next
      }
      if place.next == JobRecord.noLink {
        line.pointee.tail = place.previous
      } else {
        memberships.mutable(place.next).pointee.previous = place.previous
      }
      line.pointee.count -= 1
      memberships.free(membership)
      membership = place.nextOfWaiter
    }
    if waiter.job != 0 {
      let job = JobID(rawValue: waiter.job)
      jobWaiters[job]?.removeAll { $0 == slot }
      if jobWaiters[job]?.isEmpty == true { jobWaiters[job] = nil }
    }
    if waiter.hasRefusals != 0 { refusals[slot] = nil }
    if waiter.previous != JobRecord.noLink {
      waiters.mutable(waiter.previous).pointee.next = waiter.next
    } else if let session = session(waiter.address.connection) {
      session.pointee.firstWaiter = waiter.next
    }
    if waiter.next != JobRecord.noLink { waiters.mutable(waiter.next).pointee.previous = waiter.previous }
    if let session = session(waiter.address.connection) { session.pointee.waiterCount -= 1 }
    waiters.free(slot)
  }
}

/// Events per second over about the last ten seconds: this window's count, and the last one's by how much of it is still recent.
struct RateMeter: BitwiseCopyable {
  private static let window: Int64 = 10_000_000
  private var start: Int64 = 0
  private var current: UInt32 = 0
  private var last: UInt32 = 0

  @inline(__always)
  mutating func add(_ now: Int64) {
    if now - start >= Self.window { roll(now) }
    current &+= 1
  }

  private mutating func roll(_ now: Int64) {
    last = now - start < 2 * Self.window ? current : 0
    current = 0
    start = now - now % Self.window
  }

  func perSecond(_ now: Int64) -> Double {
    var meter = self
    if now - start >= Self.window { meter.roll(now) }
    let part = Double(now - meter.start) / Double(Self.window)
    return (Double(meter.last) * (1 - part) + Double(meter.current)) * 1_000_000 / Double(Self.window)
  }
}
