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
  /// What was given up to go on from a damaged log; nil when nothing was.
  public let salvaged: LostPart?
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
  /// what the handler throws. Nothing that was in the log is changed then, but by a salvage that had begun: another start with one goes on.
  ///
  /// `salvage`, the handler once more, is given to go on from a damaged log (FORMAT.md, "Salvage"); a log that is not damaged opens as without it.
  public static func open(
    _ directory: String, options: WALOptions = WALOptions(), at time: LogTime, handler: any RecoveryHandler,
    salvage: (any SalvageHandler)? = nil, completion: @escaping @Sendable (CommitResult) -> Void
  ) throws -> (storage: WALStorage, report: RecoveryReport) {
    precondition(options.segmentBytes >= 64 << 10 && options.segmentBytes % 4096 == 0, "a segment is at least 64 KiB")
    let machine = options.machine
    let start = machine.monotonicMicroseconds()
    try machine.disk.makeDirectory(directory)
    let lock = try machine.disk.lock(directory)
    var walk = try LogWalk(Directory(disk: machine.disk, path: directory))
    try walk.run(handler)
    let salvaged = try salvage.flatMap { try Salvage.begin(&walk, $0, options.partition) }
    if salvaged == nil { try refuseDamage(walk) }
    if let tail = walk.tail, tail.partition != options.partition {
      throw StorageError(
        .foreign, "the log is of partition \(tail.partition), not \(options.partition); use that partition's directory",
        path: directory)
    }
    let (shelf, segment, last) = try prepare(walk, options, time, salvaged)
    if salvaged != nil { try Salvage.end(walk.directory) }
    let storage = WALStorage(
      options: options, lock: lock, shelf: shelf, segment: segment, sequence: last, completion: completion)
    let report = RecoveryReport(
      isNew: walk.isEmpty, wasSealed: walk.isSealed, snapshot: walk.snapshot?.info,
      rejectedSnapshots: walk.rejectedSnapshots, segments: walk.segments, torn: walk.torn,
      salvaged: salvaged?.lost, lastSequence: walk.lastSequence, microseconds: machine.monotonicMicroseconds() - start)
    return (storage, report)
  }

  private static func refuseDamage(_ walk: LogWalk) throws(StorageError) {
    if let damage = walk.damage {
      throw StorageError(
        .damaged,
        "the log is damaged: \(damage.reason); `nuvom wal verify` tells what is lost, `nuvom broker --recover` goes on without it; "
          + "or restore the directory from a copy",
        path: damage.path, offset: damage.offset)
    }
    if walk.files.hasSalvage {
      throw StorageError(
        .damaged, "a start with --recover was interrupted; start the broker with --recover once more to finish it",
        path: LogFiles.salvage(walk.directory.path))
    }
  }

  /// Puts the log's tail into a fresh, synced file and takes stock of the rest; gives also the sequence of the last batch in it.
  private static func prepare(
    _ walk: LogWalk, _ options: WALOptions, _ time: LogTime, _ salvaged: Salvage?
  ) throws -> (Shelf, SegmentFile, UInt64) {
    let directory = walk.directory
    let writing = Writing(options.sync)
    for path in walk.files.temporaries { try directory.disk.remove(path) }
    let header =
      salvaged?.header ?? walk.tail
      ?? SegmentHeader(
        logID: options.machine.randomNumber(), partition: options.partition, segment: 1, firstSequence: 1)
    let old = salvaged?.isFromSnapshot == true ? nil : walk.segments.last.map { (path: $0.path, end: $0.bytes) }

    var last = (old == nil ? header.firstSequence - 1 : walk.lastSequence) + 1
    var buffer = BatchBuffer(bodyCapacity: 0)
    var opened = Array(
      buffer.seal(kind: .opened, sequence: last, durable: last, time: time, seed: header.seed))
    if let salvaged {
      last += 1
      salvaged.events.withUnsafeBytes { buffer.append($0) }
      opened.removeLast(BatchHeader.trailerSize)
      opened += buffer.seal(kind: .events, sequence: last, durable: last, time: time, seed: header.seed)
    }
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
    let spare = size == options.segmentBytes ? spares.popLast() : nil
    let segment = try opened.withUnsafeBytes { opened in
      try Spare.continueLog(
        header, contentOf: old, opened: opened, from: spare, bytes: size, for: writing, in: directory)
    }

    let firsts = Dictionary(uniqueKeysWithValues: walk.segments.map { ($0.segment, $0.firstSequence) })
    var state = Shelf.State()
    // Segments before the walk's first lie wholly below the snapshot.
    state.segments = walk.files.segments.filter { $0.number < header.segment }.map {
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
    return (shelf, segment, last)
  }
}
