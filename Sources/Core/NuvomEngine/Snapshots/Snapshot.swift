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
    snapshot = SnapshotProgress(view: arena.pin())
    let writer = EventWriter()
    let scalars = scalars.pointee
    writer.byte(Self.stateVersion)
    writer.fixed(scalars.now.boot)
    writer.fixed(scalars.now.wall)
    writer.fixed(scalars.nextToken)
    writer.fixed(scalars.deadHead)
    writer.fixed(scalars.deadTail)
    writer.fixed(scalars.deadDropped)
    withUnsafeBytes(of: scalars.counts) { writer.raw($0) }
    withUnsafeBytes(of: scalars.totals) { writer.raw($0) }
    writer.fixed(UInt32(queueNames.count))
    for number in 0..<queueNames.count { writer.counted(queueNames.name(UInt32(number))) }
    writer.fixed(UInt32(taskNames.count))
    for number in 0..<taskNames.count { writer.counted(taskNames.name(UInt32(number))) }
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
    scalars.pointee.nextToken = reader.fixed(UInt64.self)
    scalars.pointee.deadHead = reader.fixed(UInt32.self)
    scalars.pointee.deadTail = reader.fixed(UInt32.self)
    scalars.pointee.deadDropped = reader.fixed(UInt64.self)
    guard let counts = reader.record(QueueRecord.self), let totals = reader.record(Totals.self) else { return false }
    scalars.pointee.counts = counts
    scalars.pointee.totals = totals
    for number in 0..<reader.fixed(UInt32.self) {
      guard queueNames.add(reader.counted(), number: number) else { return false }
      waiting.addQueue(number)
    }
    for number in 0..<reader.fixed(UInt32.self) {
      guard taskNames.add(reader.counted(), number: number) else { return false }
    }
    return reader.isAtEnd && !reader.isDamaged && scalars.pointee.nextToken < UInt64(Int64.max)
  }

  /// Reads another part. False if it does not fit: the file was made by something else.
  public func restoreChunk(_ bytes: BorrowedBytes) -> Bool {
    var reader = EventReader(bytes)
    guard let table = SnapshotTable(rawValue: reader.byte()) else { return false }
    while !reader.isAtEnd {
      switch table {
      case .queues:
        guard restorePage(&reader, of: queues, { slot, _, _ in slot < UInt32(queueNames.count) }) else { return false }
      case .readyLists:
        guard restorePage(&reader, of: readyLists, { _, _, _ in true }) else { return false }
      case .jobs: guard restorePage(&reader, of: jobs, restoreJob) else { return false }
      case .keys: guard restorePage(&reader, of: keys, restoreKey) else { return false }
      case .clients: guard restorePage(&reader, of: clients, restoreClient) else { return false }
      case .answers: guard restorePage(&reader, of: answers, restoreAnswer) else { return false }
      }
    }
    return !reader.isDamaged
  }

  /// Reads a page; `restore` completes each live record from its attachments.
  private func restorePage<Record: BitwiseCopyable>(
    _ reader: inout EventReader, of slab: borrowing Slab<Record>,
    _ restore: (UInt32, UnsafeMutablePointer<Record>, inout EventReader) -> Bool
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
      guard let record = reader.record(Record.self) else { return false }
      let element = (elements.baseAddress.unsafelyUnwrapped + place * stride).bindMemory(to: Record.self, capacity: 1)
      element.initialize(to: record)
      guard restore(index << 6 | UInt32(place), element, &reader), !reader.isDamaged else { return false }
    }
    return generations.withUnsafeBufferPointer {
      slab.restore(page: index, freeBitmap: free, generations: $0, elements: UnsafeRawBufferPointer(elements))
    }
  }

  private func attachment(_ reader: inout EventReader, kind: UInt8, owner: UInt32) -> ArenaReference {
    let bytes = reader.take(Int(reader.fixed(UInt32.self)))
    guard let source = bytes.baseAddress, bytes.count > 0 else { return .none }
    let (reference, copy) = arena.append(kind: kind, owner: owner, length: bytes.count)
    copy.copyMemory(from: source, byteCount: bytes.count)
    return reference
  }

  private func restoreJob(
    _ slot: UInt32, _ job: UnsafeMutablePointer<JobRecord>, _ reader: inout EventReader
  ) -> Bool {
    guard job.pointee.isValid, Int(job.pointee.queue) < queueNames.count else { return false }
    let body = attachment(&reader, kind: RecordKind.body, owner: slot)
    guard !body.isNone else { return false }
    let bytes = arena.bytes(body)
    guard bytes.count > JobBody.timeBytes,
      let content = JobBody(BorrowedBytes(rebasing: bytes[JobBody.timeBytes...])),
      Int(content.task) < taskNames.count
    else { return false }
    job.pointee.body = body
    job.pointee.history = attachment(&reader, kind: RecordKind.history, owner: slot)
    job.pointee.timer = JobRecord.noTimer
    return true
  }

  private func restoreKey(
    _ slot: UInt32, _ key: UnsafeMutablePointer<KeyRecord>, _ reader: inout EventReader
  ) -> Bool {
    key.pointee.key = attachment(&reader, kind: RecordKind.key, owner: slot)
    guard !key.pointee.key.isNone else { return false }
    // The seed of the hash is the broker's present one.
    key.pointee.hash = hashing(arena.bytes(key.pointee.key))
    key.pointee.timer = JobRecord.noTimer
    keyIndex.insert(key.pointee.hash, slot)
    return true
  }

  private func restoreClient(
    _ slot: UInt32, _ client: UnsafeMutablePointer<ClientRecord>, _ reader: inout EventReader
  ) -> Bool {
    client.pointee.name = attachment(&reader, kind: RecordKind.clientName, owner: slot)
    guard !client.pointee.name.isNone else { return false }
    client.pointee.hash = hashing(arena.bytes(client.pointee.name))
    client.pointee.timer = JobRecord.noTimer
    clientIndex.insert(client.pointee.hash, slot)
    return true
  }

  private func restoreAnswer(
    _ slot: UInt32, _ answer: UnsafeMutablePointer<AnswerRecord>, _ reader: inout EventReader
  ) -> Bool {
    let reference = attachment(&reader, kind: RecordKind.answer, owner: slot)
    if answer.pointee.kind == AnswerRecord.Kind.encoded.rawValue {
      guard !reference.isNone else { return false }
      answer.pointee.value = reference.rawValue
    }
    return true
  }
}

/// How far a snapshot has been told.
struct SnapshotProgress {
  let view: ArenaView
  var table: SnapshotTable? = .queues
}
