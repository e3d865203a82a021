import NuvomModel

// Snapshots: the state as it is between two commands, told in pieces while the engine goes on.

extension Engine {
  /// Freezes the state and returns the first part of the snapshot: what is in no table. Takes as long as there are names.
  ///
  /// To be called between turns, when all events are in the log: the snapshot is exact at that place of it. One at a time.
  public func beginSnapshot() -> [UInt8] {
    queues.beginSnapshot()
    readyLists.beginSnapshot()
    jobs.beginSnapshot()
    keys.beginSnapshot()
    clients.beginSnapshot()
    answers.beginSnapshot()
    schedules.beginSnapshot()
    snapshot = SnapshotProgress(view: arena.pin())
    let writer = EventWriter()
    let scalars = scalars.pointee
    writer.byte(Self.stateVersion)
    writer.fixed(scalars.logged.boot)
    writer.fixed(scalars.logged.wall)
    writer.fixed(scalars.nextToken)
    writer.fixed(scalars.deadHead)
    writer.fixed(scalars.deadTail)
    writer.fixed(scalars.deadDropped)
    writer.fixed(jobs.floor)
    withUnsafeBytes(of: scalars.counts) { writer.raw($0) }
    withUnsafeBytes(of: scalars.totals) { writer.raw($0) }
    withUnsafeBytes(of: scalars.scheduleTotals) { writer.raw($0) }
    writer.fixed(UInt32(queueNames.count))
    for number in 0..<queueNames.count { writer.counted(queueNames.name(UInt32(number))) }
    writer.fixed(UInt32(taskNames.count))
    for number in 0..<taskNames.count { writer.counted(taskNames.name(UInt32(number))) }
    writer.fixed(UInt32(zones.names.count))
    for number in 0..<zones.names.count {
      writer.fixed(zones.fingerprints[number])
      writer.counted(zones.names.name(UInt32(number)))
    }
    return Array(writer.bytes)
  }

  /// Released pages that one entry of a part tells of at most: 64 for each page that may be asked for.
  private static var longestRun: UInt32 { 64 * 1_024 }

  /// The next part, of at most `pages` pages (1…1,024; a page copy takes about a microsecond); nil at the end.
  public func nextSnapshotChunk(pages: Int) -> SnapshotChunk? {
    precondition((1...1_024).contains(pages), "a part has 1 to 1,024 pages")
    while let table = snapshot?.table, let view = snapshot?.view {
      let copies: [PageCopy]
      switch table {
      case .queues: copies = queues.nextSnapshotPages(maximum: pages)
      case .readyLists: copies = readyLists.nextSnapshotPages(maximum: pages)
      case .jobs: copies = jobs.nextSnapshotPages(maximum: pages)
      case .keys: copies = keys.nextSnapshotPages(maximum: pages)
      case .clients: copies = clients.nextSnapshotPages(maximum: pages)
      case .answers: copies = answers.nextSnapshotPages(maximum: pages)
      case .schedules: copies = schedules.nextSnapshotPages(maximum: pages)
      }
      if !copies.isEmpty { return SnapshotChunk(table: table, pages: copies, arena: view) }
      snapshot?.table = SnapshotTable(rawValue: table.rawValue + 1)
    }
    return nil
  }

  /// Ends the snapshot, also one that was not told to its end. No chunk may be encoded after it.
  public func endSnapshot() {
    guard snapshot != nil else { return }
    snapshot = nil
    queues.endSnapshot()
    readyLists.endSnapshot()
    jobs.endSnapshot()
    keys.endSnapshot()
    clients.endSnapshot()
    answers.endSnapshot()
    schedules.endSnapshot()
    arena.unpin()
  }

  /// Raised when a record's layout changes; an older one is then read for ever (FORMAT.md, "Versions").
  static var stateVersion: UInt8 { 1 }

  /// Reads the first part of a snapshot into an empty engine. False if it is not one of this version.
  public func restoreHeader(_ bytes: BorrowedBytes) -> Bool {
    var reader = EventReader(bytes)
    guard reader.byte() == Self.stateVersion else { return false }
    let boot = reader.fixed(Int64.self)
    scalars.pointee.now = reader.checked(Time(boot: boot, wall: reader.fixed(Int64.self)))
    scalars.pointee.previous = scalars.pointee.now
    scalars.pointee.logged = scalars.pointee.now
    scalars.pointee.nextToken = reader.fixed(UInt64.self)
    scalars.pointee.deadHead = reader.fixed(UInt32.self)
    scalars.pointee.deadTail = reader.fixed(UInt32.self)
    scalars.pointee.deadDropped = reader.fixed(UInt64.self)
    guard jobs.raise(to: reader.fixed(UInt32.self)) else { return false }
    guard let counts = reader.record(QueueRecord.self), let totals = reader.record(Totals.self),
      let scheduleTotals = reader.record(ScheduleTotals.self)
    else { return false }
    scalars.pointee.scheduleTotals = scheduleTotals
    scalars.pointee.counts = counts
    scalars.pointee.totals = totals
    for number in 0..<reader.fixed(UInt32.self) {
      guard queueNames.add(reader.counted(), number: number) else { return false }
      waiting.addQueue(number)
    }
    for number in 0..<reader.fixed(UInt32.self) {
      guard taskNames.add(reader.counted(), number: number) else { return false }
    }
    for number in 0..<reader.fixed(UInt32.self) {
      let fingerprint = reader.fixed(UInt64.self)
      guard zones.add(reader.counted(), number: number, fingerprint: fingerprint) else { return false }
    }
    return reader.isAtEnd && !reader.isDamaged && scalars.pointee.nextToken < UInt64(Int64.max)
  }

  /// Reads another part. False if it does not fit: the file was made by something else.
  public func restoreChunk(_ bytes: BorrowedBytes) -> Bool {
    var reader = EventReader(bytes)
    let first = reader.byte()
    guard let table = SnapshotTable(rawValue: first & ~SnapshotEncoder.attachmentBit) else { return false }
    let isAttachments = first & SnapshotEncoder.attachmentBit != 0
    while !reader.isAtEnd {
      if isAttachments {
        guard restoreAttachment(&reader, table) else { return false }
        continue
      }
      let isRestored =
        switch table {
        case .queues: restorePage(&reader, of: queues) { slot, _ in slot < UInt32(queueNames.count) }
        case .readyLists: restorePage(&reader, of: readyLists) { _, _ in true }
        case .jobs:
          restorePage(&reader, of: jobs) { _, job in
            job.pointee.body = .none
            job.pointee.history = .none
            job.pointee.timer = JobRecord.noTimer
            return job.pointee.isValid && Int(job.pointee.queue) < queueNames.count
          }
        case .keys:
          restorePage(&reader, of: keys) { _, key in
            key.pointee.key = .none
            key.pointee.timer = JobRecord.noTimer
            return (-1 << 61...1 << 61).contains(key.pointee.due)
          }
        case .clients:
          restorePage(&reader, of: clients) { _, client in
            client.pointee.name = .none
            client.pointee.timer = JobRecord.noTimer
            return true
          }
        case .answers:
          restorePage(&reader, of: answers) { _, answer in
            if answer.pointee.kind == AnswerRecord.Kind.encoded.rawValue { answer.pointee.value = 0 }
            return true
          }
        case .schedules:
          restorePage(&reader, of: schedules) { _, schedule in
            schedule.pointee.body = .none
            schedule.pointee.timer = JobRecord.noTimer
            return schedule.pointee.isValid
          }
        }
      if !isRestored { return false }
    }
    return !reader.isDamaged
  }

  /// Whether every record has got what belongs to it, and points where it must. To be asked when all parts were read.
  public var isRestored: Bool {
    var isComplete = true
    jobs.forEachLive { if jobs.pointer($0).pointee.body.isNone { isComplete = false } }
    keys.forEachLive { if keys.pointer($0).pointee.key.isNone { isComplete = false } }
    clients.forEachLive { if clients.pointer($0).pointee.name.isNone { isComplete = false } }
    answers.forEachLive { slot in
      let answer = answers.pointer(slot).pointee
      if answer.kind == AnswerRecord.Kind.encoded.rawValue, answer.value == 0 { isComplete = false }
    }
    schedules.forEachLive { if schedules.pointer($0).pointee.body.isNone { isComplete = false } }
    return isComplete && hasSoundLinks && hasSoundTotals
  }

  /// Reads a page; `check` says whether a record can be, and clears what points elsewhere.
  private func restorePage<Record: BitwiseCopyable>(
    _ reader: inout EventReader, of slab: borrowing Slab<Record>,
    _ check: (UInt32, UnsafeMutablePointer<Record>) -> Bool
  ) -> Bool {
    let index = reader.fixed(UInt32.self)
    let count = reader.fixed(UInt32.self)
    // Pages come in order, so a place or a run beyond what one part tells is no snapshot's, and would make a giant directory.
    guard index < 1 << 26, slab.isWithinReach(index << 6), count <= Self.longestRun else { return false }
    if reader.byte() == 0 { return slab.restore(floor: reader.fixed(UInt32.self), page: index, pageCount: count) }
    let free = reader.fixed(UInt64.self)
    let generations = (0..<64).map { _ in reader.fixed(UInt32.self) }
    let stride = MemoryLayout<Record>.stride
    let elements = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * stride, alignment: 16)
    defer { elements.deallocate() }
    elements.initializeMemory(as: UInt8.self, repeating: 0)
    var live = ~free
    while live != 0 {
      let place = live.trailingZeroBitCount
      live &= live - 1
      guard let record = reader.record(Record.self), index < UInt32.max >> 6 else { return false }
      let element = (elements.baseAddress.unsafelyUnwrapped + place * stride).bindMemory(to: Record.self, capacity: 1)
      element.initialize(to: record)
      guard check(index << 6 | UInt32(place), element) else { return false }
    }
    return generations.withUnsafeBufferPointer {
      slab.restore(page: index, freeBitmap: free, generations: $0, elements: UnsafeRawBufferPointer(elements))
    }
  }

  /// Reads bytes that hang on a record, and ties them to it.
  private func restoreAttachment(_ reader: inout EventReader, _ table: SnapshotTable) -> Bool {
    let slot = reader.fixed(UInt32.self)
    let kind = reader.byte()
    let bytes = reader.take(Int(reader.fixed(UInt32.self)))
    guard !reader.isDamaged, bytes.count > 0 else { return false }
    func stored() -> ArenaReference { store(bytes, kind, owner: slot) }
    switch (table, kind) {
    case (.jobs, RecordKind.body):
      guard jobs.isTaken(slot), jobs.pointer(slot).pointee.body.isNone else { return false }
      let offset = JobBody.offset(in: bytes, isFired: jobs.pointer(slot).pointee.has(JobRecord.Flags.fired))
      guard bytes.count > offset, let content = JobBody(BorrowedBytes(rebasing: bytes[offset...])),
        Int(content.task) < taskNames.count
      else { return false }
      jobs.mutable(slot).pointee.body = stored()
    case (.jobs, RecordKind.history):
      guard jobs.isTaken(slot), jobs.pointer(slot).pointee.history.isNone else { return false }
      jobs.mutable(slot).pointee.history = stored()
    case (.keys, RecordKind.key):
      guard keys.isTaken(slot), keys.pointer(slot).pointee.key.isNone else { return false }
      // The seed of the hash is the broker's present one.
      keys.mutable(slot).pointee.hash = hashing(bytes)
      keys.mutable(slot).pointee.key = stored()
      keyIndex.insert(hashing(bytes), slot)
    case (.clients, RecordKind.clientName):
      guard clients.isTaken(slot), clients.pointer(slot).pointee.name.isNone else { return false }
      clients.mutable(slot).pointee.hash = hashing(bytes)
      clients.mutable(slot).pointee.name = stored()
      clientIndex.insert(hashing(bytes), slot)
    case (.schedules, RecordKind.schedule):
      guard schedules.isTaken(slot), schedules.pointer(slot).pointee.body.isNone, let content = checked(bytes),
        find(schedule: content.name) == nil
      else { return false }
      let hash = hashing(content.name)
      schedules.mutable(slot).pointee.hash = hash
      schedules.mutable(slot).pointee.zone = content.zoneNumber
      zones.use(content.zoneNumber)
      schedules.mutable(slot).pointee.body = stored()
      scheduleIndex.insert(hash, slot)
    case (.answers, RecordKind.answer):
      guard answers.isTaken(slot), answers.pointer(slot).pointee.kind == AnswerRecord.Kind.encoded.rawValue,
        answers.pointer(slot).pointee.value == 0
      else { return false }
      answers.mutable(slot).pointee.value = stored().rawValue
    default: return false
    }
    return true
  }
}

/// How far a snapshot has been told.
struct SnapshotProgress {
  let view: ArenaView
  var table: SnapshotTable? = .queues
}
