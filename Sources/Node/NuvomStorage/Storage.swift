import NuvomWAL

/// How a commit ended.
public enum CommitResult: Sendable, Equatable {
  /// The batch of this sequence is written, and durable as far as the sync policy promises.
  case done(UInt64)
  /// There is no room for another segment. Nothing was written; the storage holds the batch and `retry` tries it again.
  case noRoom
  /// The log failed. Whether the batch is on disk is unknown; no later commit is accepted.
  case failed(StorageError)
}

/// What `submit` and `retry` tell at once.
public enum CommitProgress: Sendable, Equatable {
  /// The commit has ended; no completion follows.
  case finished(CommitResult)
  /// The commit is on its way; the completion given at open tells its result.
  case pending
}

/// When a written batch is forced to disk.
public enum SyncPolicy: Sendable, Equatable {
  /// Before its commit is done.
  case always
  /// At the latest this many milliseconds after it was written; a crash of the machine may lose that much.
  case interval(milliseconds: Int)
  /// When the kernel likes (and whenever a segment is full, a snapshot taken, or the log sealed).
  case never
}

/// Figures of a storage since it was opened, and of its files now.
public struct StorageCounters: Sendable, Equatable {
  /// Batches written.
  public var batches = 0
  /// Bytes of batches written, headers and padding included.
  public var bytesWritten = 0
  /// Syncs of the log's segments.
  public var syncs = 0
  /// What the last sync took, in microseconds.
  public var lastSyncMicroseconds = 0
  /// The moving average over about the last eight syncs, in microseconds.
  public var averageSyncMicroseconds = 0
  /// Bytes of batches written since the last snapshot's position.
  public var bytesSinceSnapshot = 0
  /// Segment files in use, without spares.
  public var segmentCount = 0
  /// Bytes of all files: segments, spares, snapshots.
  public var diskBytes = 0

  /// Nothing counted yet.
  public init() {}
}

/// A snapshot that is complete on disk.
public struct SnapshotInfo: Sendable, Equatable {
  /// The snapshot is the state after this batch.
  public let sequence: UInt64
  /// Bytes of the file.
  public let bytes: Int

  /// A snapshot's facts.
  public init(sequence: UInt64, bytes: Int) {
    self.sequence = sequence
    self.bytes = bytes
  }
}

/// Takes the chunks of a snapshot being written.
public protocol SnapshotFeed: AnyObject, Sendable {
  /// Hands over the next chunks as a function that encodes them, which the snapshot thread calls with an empty buffer for each chunk until
  /// it answers false (and leaves the buffer empty). A chunk is at most `ChunkHeader.maximumBodyLength` long.
  ///
  /// Gives false, and keeps nothing, while as many chunks are waiting as may; the `ready` function given at the beginning is called when
  /// there is room again. Chunks are written in the order given. `kind` must be below `ChunkHeader.footerKind`. After a failure or a
  /// cancel, chunks are taken and dropped.
  func offer(kind: UInt32, _ encode: @escaping @Sendable (inout BatchBuffer) -> Bool) -> Bool
  /// Says that all chunks were offered; the completion follows when the file is durable and what it replaces is gone. Call once.
  func finish()
  /// Gives the snapshot up; the completion follows with `cancelled`. Does nothing after the end.
  func cancel()
}

/// Where the broker's loop commits its batches: the seam between the loop and the disk, or a simulated one.
///
/// All members are called by one thread, the loop's. At most one commit is in flight.
public protocol Storage: AnyObject {
  /// Writes the buffer's body as the next batch. The buffer comes back empty and may be filled at once, also while the commit is pending.
  ///
  /// Not to be called with an empty body, while a commit is pending, after `noRoom` (call `retry`), or after `seal` or `close`.
  /// After a failure it answers `failed` again. `isBusy`: the caller has more to do at once, so that waiting for the disk would cost it time.
  func submit(_ batch: inout BatchBuffer, at time: LogTime, isBusy: Bool) -> CommitProgress
  /// Tries the batch again that found no room. Only after `noRoom`.
  func retry() -> CommitProgress
  /// The sequence of the last batch whose commit was done; 0 before the log's first.
  var lastSequence: UInt64 { get }
  /// Bytes that may still be written before room for one more segment and a snapshot of `snapshotEstimate` bytes would be touched; at least 0.
  /// Looks at the disk at most once a second of `time`'s boot clock; meanwhile takes off what is written, and what the estimate grows by.
  func room(at time: LogTime) -> Int
  /// What the next snapshot will take, in bytes, by the caller's estimate of its live data. Decides `room` and `isSnapshotDue`.
  var snapshotEstimate: Int { get set }
  /// Whether the next snapshot is due: the log has grown much since the last one, or `room` was low and a snapshot would free some. False
  /// while one is being written. After a failed snapshot it stays true; when to try again is the caller's choice.
  var isSnapshotDue: Bool { get }
  /// Begins a snapshot of the state after the last batch submitted, be its commit done or pending, unless one is being written (then nil).
  ///
  /// `ready` and `completion` are called on the snapshot thread. A failure leaves the older snapshot and the log as they were,
  /// or, when only the removal of what was replaced failed, the new one beside them.
  func beginSnapshot(
    at time: LogTime, ready: @escaping @Sendable () -> Void,
    completion: @escaping @Sendable (Result<SnapshotInfo, StorageError>) -> Void
  ) -> (any SnapshotFeed)?
  /// Ends the log cleanly: everything durable, then a seal. No commit may be pending; none may follow. Call once, before `close`.
  func seal(at time: LogTime) throws(StorageError)
  /// Gives files, threads and the lock back; waits for a commit in flight, cancels a snapshot. Does nothing when called again.
  func close()
  /// The figures of now.
  var counters: StorageCounters { get }
}
