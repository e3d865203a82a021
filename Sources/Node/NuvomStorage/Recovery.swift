import NuvomWAL

/// What opening a log found and did.
public struct RecoveryReport: Sendable, Equatable {
  /// Whether there was no log and one was made.
  public let isNew: Bool
  /// Whether the log ended with a seal, that is by a clean shutdown.
  public let wasSealed: Bool
  /// The snapshot that the state was loaded from.
  public let snapshot: SnapshotInfo?
  /// Newer snapshots that were not usable.
  public let rejectedSnapshots: [RejectedSnapshot]
  /// The segments that were read.
  public let segments: [SegmentSummary]
  /// What was cut off the log's end, because it was being written when the broker or the machine stopped.
  public let torn: LogFault?
  /// The sequence of the log's last batch, before it was opened.
  public let lastSequence: UInt64
  /// What opening took, in microseconds.
  public let microseconds: Int64

  /// Batches in the segments read.
  public var batches: Int { segments.reduce(0) { $0 + $1.batches } }
  /// Bytes of the segments' intact content.
  public var bytes: Int { segments.reduce(0) { $0 + $1.bytes } }
}

extension WALStorage {
  /// Opens the log in `directory`, which is made if it does not exist: locks it, gives its content to `handler` (the newest
  /// usable snapshot, then the batches after it), cuts a torn tail, and is then ready for commits.
  ///
  /// `completion` is called on the commit thread with the result of each commit that was pending, and once with `failed` when a sync beside
  /// the commits fails. Throws a `StorageError` (`inUse`, `notWritable`, `newerVersion`, `damaged`, `foreign`, `diskFull`, `inputOutput`), or
  /// what the handler throws. Nothing that was in the log is changed then.
  public static func open(
    _ directory: String, options: WALOptions = WALOptions(), at time: LogTime, handler: any RecoveryHandler,
    completion: @escaping @Sendable (CommitResult) -> Void
  ) throws -> (storage: WALStorage, report: RecoveryReport) {
    precondition(options.segmentBytes >= 64 << 10 && options.segmentBytes % 4096 == 0, "a segment is at least 64 KiB")
    let machine = options.machine
    let start = machine.monotonicMicroseconds()
    try machine.disk.makeDirectory(directory)
    let lock = try machine.disk.lock(directory)
    var walk = try LogWalk(Directory(disk: machine.disk, path: directory))
    try walk.run(handler)
    if let damage = walk.damage {
      throw StorageError(
        .damaged,
        "the log is damaged: \(damage.reason); restore the directory from a copy, or move it away to begin anew",
        path: damage.path, offset: damage.offset)
    }
    if let tail = walk.tail, tail.partition != options.partition {
      throw StorageError(
        .foreign, "the log is of partition \(tail.partition), not \(options.partition); use that partition's directory",
        path: directory)
    }
    let (shelf, segment) = try prepare(walk, options, time)
    let opened = walk.lastSequence + 1
    let storage = WALStorage(
      options: options, lock: lock, shelf: shelf, segment: segment, sequence: opened, completion: completion)
    let report = RecoveryReport(
      isNew: walk.isEmpty, wasSealed: walk.isSealed, snapshot: walk.snapshot?.info,
      rejectedSnapshots: walk.rejectedSnapshots, segments: walk.segments, torn: walk.torn,
      lastSequence: walk.lastSequence, microseconds: machine.monotonicMicroseconds() - start)
    return (storage, report)
  }

  /// Puts the log's tail into a fresh, synced file and takes stock of the rest.
  private static func prepare(
    _ walk: LogWalk, _ options: WALOptions, _ time: LogTime
  ) throws(StorageError) -> (Shelf, SegmentFile) {
    let directory = walk.directory
    let writing = Writing(options.sync)
    for path in walk.files.temporaries { try directory.disk.remove(path) }
    let header =
      walk.tail
      ?? SegmentHeader(
        logID: options.machine.randomNumber(), partition: options.partition, segment: 1, firstSequence: 1)
    let old = walk.segments.last.map { (path: $0.path, end: $0.bytes) }

    var buffer = BatchBuffer(bodyCapacity: 0)
    let opened = buffer.seal(
      kind: .opened, sequence: walk.lastSequence + 1, durable: walk.lastSequence + 1, time: time, seed: header.seed)
    let size = SegmentFile.size(
      options.segmentBytes, holding: opened.count, behind: old?.end ?? SegmentHeader.size)
    var spares: [Spare] = []
    for file in walk.files.spares {
      if file.size == options.segmentBytes {
        spares.append(Spare(path: file.path, bytes: file.size))
      } else {
        try directory.disk.remove(file.path)
      }
    }
    let segment = try Spare.continueLog(
      header, contentOf: old, opened: opened, from: size == options.segmentBytes ? spares.popLast() : nil, bytes: size,
      for: writing, in: directory)

    let firsts = Dictionary(uniqueKeysWithValues: walk.segments.map { ($0.segment, $0.firstSequence) })
    var state = Shelf.State()
    // Segments before the walk's first lie wholly below the snapshot.
    state.segments = walk.files.segments.dropLast().map {
      Shelf.Segment(path: $0.path, number: $0.number, firstSequence: firsts[$0.number] ?? 0, bytes: $0.size)
    }
    state.segments.append(
      Shelf.Segment(
        path: segment.path, number: header.segment, firstSequence: header.firstSequence, bytes: segment.bytes))
    state.spares = spares
    state.snapshots = walk.files.snapshots.map { Shelf.Snapshot(path: $0.path, sequence: $0.number, bytes: $0.size) }
    state.nextSpare = (walk.files.spares.last?.number ?? 0) + 1
    state.snapshotPosition = -walk.segments.reduce(0) { $0 + $1.bytes - SegmentHeader.size }
    state.snapshotEstimate = walk.snapshot?.info.bytes ?? 0
    let shelf = Shelf(
      directory: directory, segmentSize: options.segmentBytes, diskLimit: options.diskLimit, writing: writing,
      state: state)
    if let snapshot = walk.snapshot { try shelf.release(below: snapshot.info.sequence) }
    return (shelf, segment)
  }
}
