import NuvomWAL

/// What a look through a log found.
public struct VerifyReport: Sendable {
  /// The state of a log as a whole, best first.
  public enum Status: String, Sendable {
    /// There is no log in the directory.
    case empty
    /// Everything is intact and the log ends with a seal.
    case sealed
    /// Everything is intact; the broker runs, or did not shut down cleanly.
    case open
    /// The last write was not completed; opening the log will cut it off. Nothing that was ever durable is missing.
    case torn
    /// Something that had been durable is not what was written; the log will not be opened.
    case damaged
  }

  /// The state as a whole.
  public let status: Status
  /// Whether a broker holds the directory; what is being written just then may look torn.
  public let isInUse: Bool
  /// The newest usable snapshot.
  public let snapshot: SnapshotInfo?
  /// Newer snapshots that are not usable.
  public let rejectedSnapshots: [RejectedSnapshot]
  /// The segments from that snapshot on, up to the first damage.
  public let segments: [SegmentSummary]
  /// The end that opening would cut off.
  public let torn: LogFault?
  /// The first damage.
  public let damage: LogFault?
  /// What a start that goes on from a damaged log would give up; nil without damage.
  public let lost: LostPart?
}

extension WALStorage {
  /// Reads the log in `directory` and judges it as `open` would, without a lock and without changing anything.
  ///
  /// Throws a `StorageError` when the directory or a file cannot be read (`notWritable`, `inputOutput`) or is of a newer format version.
  /// `lost` takes what is behind a damage.
  public static func verify(_ directory: String, lost: (any LostBatchHandler)? = nil) throws -> VerifyReport {
    try verify(directory, giving: nil, lost: lost)
  }

  /// The same, giving what is read to a handler, as `open` does.
  package static func verify(
    _ directory: String, giving handler: (any RecoveryHandler)?, lost: (any LostBatchHandler)? = nil
  ) throws -> VerifyReport {
    let disk = SystemDisk()
    let isInUse = disk.isLocked(directory)
    var walk = try LogWalk(Directory(disk: disk, path: directory))
    try walk.run(handler)
    let status: VerifyReport.Status
    switch (walk.damage, walk.torn) {
    case (nil, _) where walk.files.hasSalvage: status = .damaged
    case (.some, _): status = .damaged
    case (nil, .some): status = .torn
    case (nil, nil): status = walk.isEmpty ? .empty : walk.isSealed ? .sealed : .open
    }
    return VerifyReport(
      status: status, isInUse: isInUse, snapshot: walk.snapshot?.info, rejectedSnapshots: walk.rejectedSnapshots,
      segments: walk.segments, torn: walk.torn, damage: walk.damage,
      lost: walk.damage == nil && !walk.files.hasSalvage ? nil : try walk.lostPart(lost))
  }
}

extension WALStorage {
  /// Gives a handler what the log in `directory` holds, as `open` would, without a lock and without changing anything: the newest snapshot and what is
  /// behind it, or without any snapshot all batches after a sequence, 0 for those from the first on. Returns the sequence of the last.
  ///
  /// Throws a `StorageError` (`damaged` also if batches after `sequence` are not there any more), or what the handler throws; batches before the fault
  /// were given then.
  package static func read(_ directory: String, after sequence: UInt64? = nil, handler: any RecoveryHandler) throws
    -> UInt64
  {
    var walk = try LogWalk(Directory(disk: SystemDisk(), path: directory))
    try walk.run(handler, after: sequence)
    if let damage = walk.damage {
      throw StorageError(.damaged, damage.reason, path: damage.path, offset: damage.offset)
    }
    return walk.lastSequence
  }
}
