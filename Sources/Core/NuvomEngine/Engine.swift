import NuvomModel

/// What an engine is given once.
public struct EngineConfiguration: Sendable {
  /// The number that every job id carries.
  public var partition: UInt8
  /// Bytes that the engine's own blocks may take before it refuses new jobs.
  public var memoryLimit: Int
  /// False for a broker without a log: events are applied but not written.
  public var isLogged: Bool
  /// Makes hash tables differ between brokers, so that nobody can choose colliding keys.
  public var hashSeed: UInt64
  /// Dead letters kept; above it the oldest is dropped and counted.
  public var deadLetterLimit: Int
  /// How long a dead letter is kept.
  public var deadLetterRetentionMilliseconds: UInt64
  /// Slots that each table may have at most. Tables reserve address space for so many, 16 bytes for each 64: who makes thousands of small
  /// engines gives a small number, above what will ever be in one.
  public var slotLimit = UInt32.max - 63
  /// Where the tables' memory comes from.
  public var blocks: any BlockSource

  /// One partition, 1 GiB, logged, a million dead letters for 30 days.
  public init(
    partition: UInt8 = 0, memoryLimit: Int = 1 << 30, isLogged: Bool = true, hashSeed: UInt64 = 0,
    deadLetterLimit: Int = 1_000_000, deadLetterRetentionMilliseconds: UInt64 = 30 * 86_400_000,
    blocks: any BlockSource = HeapBlocks()
  ) {
    self.partition = partition
    self.memoryLimit = memoryLimit
    self.isLogged = isLogged
    self.hashSeed = hashSeed
    self.deadLetterLimit = deadLetterLimit
    self.deadLetterRetentionMilliseconds = deadLetterRetentionMilliseconds
    self.blocks = blocks
  }
}

/// One partition of jobs: a state machine that does nothing but decide.
///
/// It has no clock, file, socket, task, lock or random number. A turn begins with `beginTurn`, which gives it the time; requests
/// come in through `handle`, timers through `fireTimers`. What must be remembered comes out as events (`events`, to be put into
/// the log before anything is told), what must be told comes out in the `Outcome`, and `nextDeadline` says when it wants to be called again.
/// Events are the only thing that changes durable state, through `apply`, in production as in recovery (`replay`).
///
/// The durable state is slabs of plain records and an arena of immutable bytes (`Memory/`), the volatile state is who is connected and who
/// waits. For one thread; nothing in it may be touched by two.
public final class Engine {
  /// Numbers that do not belong to a table. Behind a pointer, because each access to a class's stored property is checked for exclusivity.
  struct Scalars {
    var now: Time
    /// The time of the turn before, from which `resumed` counts.
    var previous: Time
    /// Whether the log knows `now` already.
    var isTurnLogged = false
    /// The last time that the log knows, which a snapshot keeps: state from a snapshot must not differ from that which the log leads to.
    var logged: Time
    var isReplaying = false
    var nextToken: UInt64 = 1
    var deadHead = JobRecord.noLink
    var deadTail = JobRecord.noLink
    var totals = Totals()
    var counts: QueueRecord
    var deadDropped: UInt64 = 0
    var refused: UInt64 = 0
    var diskRoom = Int.max
    /// Where the next purge goes on looking for delayed jobs.
    var purgeCursor: UInt32 = 0
    /// Whether the memory limit is exceeded; nil until somebody asks in this turn.
    var isOverMemory: Bool?
    /// Queues with waiting dequeues in which a job became ready, or jobs that have finished for which fires waited.
    var hasWakes = false
    var scheduleTotals = ScheduleTotals()
    /// Whether any fire waits for a job to finish: asked with each job that does.
    var hasBufferedFires = false
    var lateness = FireLateness()
    var firesPostponed: UInt64 = 0
    /// What fires have cost since the turn, or its timers, began, in bytes of bodies copied (`Engine.timerWork` for a timer).
    var workDone = 0
    /// Bytes of the bodies that fires and triggers have made since the turn began.
    var bytesFired = 0
    /// Whether due times are being found anew, since rules of a time zone have changed.
    var isSweepingZones = false
    var clockSteps: UInt64 = 0
  }

  let configuration: EngineConfiguration
  let hashing: ByteHash
  let scalars: UnsafeMutablePointer<Scalars>

  // Durable.
  let jobs: Slab<JobRecord>
  let arena: Arena
  let queueNames: NameTable
  let taskNames: NameTable
  let queues: Slab<QueueRecord>
  let readyLists: Slab<ReadyList>
  let keys: Slab<KeyRecord>
  let keyIndex: ByteTable
  let clients: Slab<ClientRecord>
  let clientIndex: ByteTable
  let answers: Slab<AnswerRecord>
  let schedules: Slab<ScheduleRecord>
  let scheduleIndex: ByteTable
  let zones: ZoneTable
  let bootTimers: TimerWheel
  let wallTimers: TimerWheel

  // Volatile.
  let waiting: WaitingRoom
  let progress: ProgressTable
  var snapshot: SnapshotProgress?
  let events: EventWriter
  let scratch: EventWriter
  var buffers = BufferedFires()
  /// What is put in front of a fired job's body, and such a body if it is not the definition's.
  let fireBytes: EventWriter
  let expiringJob: EventWriter

  /// An empty partition at a time.
  public init(_ configuration: EngineConfiguration, now: Time) {
    self.configuration = configuration
    hashing = ByteHash(seed: configuration.hashSeed)
    scalars = .allocate(capacity: 1)
    scalars.initialize(to: Scalars(now: now, previous: now, logged: now, counts: QueueRecord()))
    let blocks = configuration.blocks
    jobs = Slab(maximumSlots: min(.max - 63, configuration.slotLimit), blocks: blocks)
    arena = Arena(blocks)
    queueNames = NameTable(maximum: 100_000, hash: hashing)
    taskNames = NameTable(maximum: 100_000, hash: hashing)
    queues = Slab(maximumSlots: 100_032, blocks: blocks)
    readyLists = Slab(maximumSlots: min(100_000 * 256, configuration.slotLimit), blocks: blocks)
    keys = Slab(maximumSlots: min(1 << 30, configuration.slotLimit), blocks: blocks)
    keyIndex = ByteTable()
    clients = Slab(maximumSlots: min(1 << 20, configuration.slotLimit), blocks: blocks)
    clientIndex = ByteTable()
    answers = Slab(maximumSlots: min(1 << 26, configuration.slotLimit), blocks: blocks)
    schedules = Slab(maximumSlots: min(1 << 30, configuration.slotLimit), blocks: blocks)
    scheduleIndex = ByteTable()
    zones = ZoneTable(hash: hashing)
    bootTimers = TimerWheel(now: now.boot)
    wallTimers = TimerWheel(now: now.wall)
    waiting = WaitingRoom(now: now.boot, slotLimit: configuration.slotLimit, blocks: blocks)
    progress = ProgressTable(hash: hashing, slotLimit: configuration.slotLimit, blocks: blocks)
    events = EventWriter()
    scratch = EventWriter(capacity: 4 << 10)
    fireBytes = EventWriter(capacity: 512)
    expiringJob = EventWriter(capacity: 512)
  }

  deinit {
    scalars.deinitialize(count: 1)
    scalars.deallocate()
  }

  /// Bytes of the engine's own blocks: what the memory limit is about. The names of time zones, of which there are some hundreds at most, are
  /// left out: this is asked in most turns.
  public var memoryBytes: Int {
    jobs.bytes + arena.bytes + queueNames.bytes + taskNames.bytes + queues.bytes + readyLists.bytes + keys.bytes
      + keyIndex.bytes + clients.bytes + clientIndex.bytes + answers.bytes + bootTimers.bytes + wallTimers.bytes
      + progress.bytes + schedules.bytes + scheduleIndex.bytes
  }

  /// Bytes that a snapshot would take, roughly: what the log's size is compared with.
  public var liveBytes: Int {
    jobs.count * MemoryLayout<JobRecord>.stride + arena.liveBytes + queues.count * 128 + answers.count * 24
      + schedules.count * MemoryLayout<ScheduleRecord>.stride
  }

  /// The events since `clearEvents`, as the log wants them. Valid until the engine is called again.
  public var eventBytes: BorrowedBytes { events.bytes }

  /// To be called when the events are in the log's buffer.
  public func clearEvents() { events.removeAll() }

  // MARK: Turns

  /// Gives the time, and the bytes that the log can still take, to all that is decided until the next turn.
  ///
  /// The boot clock never goes back (a smaller value counts as no progress). The wall clock may: timers on it are then dealt anew.
  public func beginTurn(_ time: Time, diskRoom: Int = .max) {
    let last = scalars.pointee.now
    let next = Time(boot: max(time.boot, last.boot), wall: time.wall)
    if next.wall < last.wall - 1_000 { wallTimers.rebase(now: next.wall) }
    if abs((next.wall - last.wall) - (next.boot - last.boot)) > 1_000_000 { scalars.pointee.clockSteps += 1 }
    if next != last {
      scalars.pointee.previous = last
      scalars.pointee.now = next
      scalars.pointee.isTurnLogged = false
    }
    scalars.pointee.diskRoom = diskRoom
    scalars.pointee.isOverMemory = nil
    scalars.pointee.workDone = 0
    scalars.pointee.bytesFired = 0
  }

  /// Whether more memory is taken than is allowed, as it was when this was first asked in the turn.
  @inline(__always)
  var isOverMemory: Bool {
    if let isOver = scalars.pointee.isOverMemory { return isOver }
    return weighMemory()
  }

  @inline(never)
  private func weighMemory() -> Bool {
    let isOver = memoryBytes > configuration.memoryLimit
    scalars.pointee.isOverMemory = isOver
    return isOver
  }

  /// When the engine must be called though nobody asks: on the boot clock, and on the wall clock.
  public var nextDeadline: (boot: Int64?, wall: Int64?) {
    let boot = bootTimers.nextDeadline()
    let waits = waiting.timers.nextDeadline()
    var earlier = boot.map { first in waits.map { min(first, $0) } ?? first } ?? waits
    // Fires for which the last turn had no time.
    if !buffers.released.isEmpty { earlier = min(earlier ?? .max, now.boot) }
    return (earlier, wallTimers.nextDeadline())
  }

  @inline(__always)
  var now: Time { scalars.pointee.now }

  /// Writes an event to the log and applies it.
  @inline(__always)
  func record(_ event: Event) {
    if configuration.isLogged {
      if !scalars.pointee.isTurnLogged { logTurn() }
      event.write(to: events)
    }
    let isApplied = apply(event)
    precondition(isApplied, "a decision makes only events that apply")
  }

  @inline(never)
  private func logTurn() {
    Event.turn(now).write(to: events)
    scalars.pointee.logged = now
    scalars.pointee.isTurnLogged = true
  }

  // MARK: Recovery

  /// Applies the events of a batch of the log. False if they are not events or do not fit the state: the log is damaged.
  public func replay(_ batch: BorrowedBytes) -> Bool {
    if !scalars.pointee.isReplaying { beginReplay() }
    var reader = EventReader(batch)
    while !reader.isAtEnd {
      guard let event = Event.read(from: &reader, partition: configuration.partition), apply(event) else {
        return false
      }
    }
    return !reader.isDamaged
  }

  /// From here the slots of jobs, keys and clients are those that the log names.
  private func beginReplay() {
    scalars.pointee.isReplaying = true
    jobs.beginReplay()
    keys.beginReplay()
    clients.beginReplay()
    schedules.beginReplay()
  }

  private func endReplay() {
    scalars.pointee.isReplaying = false
    jobs.endReplay()
    keys.endReplay()
    clients.endReplay()
    schedules.endReplay()
  }

  /// Ends recovery: open leases run their full length again from `time`, the rest of delays goes on. To be called once, in the first turn.
  public func resume(at time: Time) {
    if scalars.pointee.isReplaying { endReplay() }
    scalars.pointee.previous = scalars.pointee.now
    scalars.pointee.now = time
    scalars.pointee.isTurnLogged = false
    record(.resumed)
  }
}
