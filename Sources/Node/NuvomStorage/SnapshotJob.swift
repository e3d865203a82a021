import NuvomWAL
import PlantedBugs

/// A snapshot on its way to disk: chunks come from the loop, the shelf's thread encodes and writes them.
///
/// `@unchecked Sendable`: the file and what goes with it are touched by that thread alone; the rest is constant or in the shelf's monitor.
final class SnapshotJob: SnapshotFeed, @unchecked Sendable {
  private let shelf: Shelf
  private let header: SnapshotHeader
  private let seed: ChecksumSeed
  /// Makes the log durable up to the snapshot's position; false when the storage is closed first.
  private let syncLog: @Sendable (UInt64) throws(StorageError) -> Bool
  let ready: @Sendable () -> Void
  private let completion: @Sendable (Result<SnapshotInfo, StorageError>) -> Void

  private let path: String
  private let temporary: String
  private var file: (any File)?
  private var buffer = BatchBuffer(bodyCapacity: 1 << 20)
  private var offset = 0
  private var chunks: UInt32 = 0
  private var unsynced = 0

  /// Written bytes are synced in slices: one sync of a whole snapshot would make the commits beside it wait for it.
  private static let slice = 4 << 20

  init(
    shelf: Shelf, header: SnapshotHeader, syncLog: @escaping @Sendable (UInt64) throws(StorageError) -> Bool,
    ready: @escaping @Sendable () -> Void, completion: @escaping @Sendable (Result<SnapshotInfo, StorageError>) -> Void
  ) {
    self.shelf = shelf
    self.header = header
    self.syncLog = syncLog
    self.ready = ready
    self.completion = completion
    seed = header.seed
    path = LogFiles.snapshot(shelf.directory.path, header.sequence)
    temporary = LogFiles.temporary(path)
  }

  // MARK: Called by the loop

  func offer(kind: UInt32, _ encode: @escaping @Sendable (inout BatchBuffer) -> Bool) -> Bool {
    precondition(kind < ChunkHeader.footerKind, "the footer is written by finish")
    return shelf.monitor.notify { state in
      guard let job = state.job, job.feed === self else { return true }
      guard job.chunks.count < Shelf.waitingChunks else {
        state.job?.wasRefused = true
        return false
      }
      state.job?.chunks.append(Shelf.Chunk(kind: kind, encode: encode))
      return true
    }
  }

  func finish() {
    shelf.monitor.notify { state in
      if state.job?.feed === self { state.job?.isFinished = true }
    }
  }

  func cancel() {
    shelf.monitor.notify { state in
      if state.job?.feed === self { state.job?.isCancelled = true }
    }
  }

  // MARK: Called by the shelf's thread

  func write(_ chunk: Shelf.Chunk) {
    do throws(StorageError) {
      let file = try open()
      while chunk.encode(&buffer) {
        try append(buffer.sealChunk(kind: chunk.kind, index: chunks, seed: seed), to: file)
        chunks += 1
        buffer.removeAll()
      }
      shelf.monitor.withLock { $0.job?.bytes = offset }
    } catch {
      end(.failure(error))
    }
  }

  /// Footer, sync, name: only then is it a snapshot. Then what it replaces goes.
  func complete() {
    do throws(StorageError) {
      let file = try open()
      buffer.append(UInt64(chunks))
      buffer.append(UInt64(offset))
      try append(buffer.sealChunk(kind: ChunkHeader.footerKind, index: chunks, seed: seed), to: file)
      if !PlantedBug.snapshotNotSynced.isPlanted { try file.sync() }
      // A snapshot ahead of its log would make the log look torn below a durable place.
      let isDurable = if PlantedBug.snapshotAheadOfLog.isPlanted { true } else { try syncLog(header.sequence) }
      guard isDurable else {
        throw StorageError(.cancelled, "the storage was closed before the snapshot was complete", path: path)
      }
      try shelf.directory.disk.rename(temporary, to: path)
      try shelf.directory.sync()
      shelf.monitor.withLock {
        $0.snapshots.append(Shelf.Snapshot(path: path, sequence: header.sequence, bytes: offset))
        $0.snapshotPosition = $0.job?.position ?? $0.snapshotPosition
        $0.job?.bytes = 0
      }
      try shelf.release(below: PlantedBug.segmentsRemovedEarly.isPlanted ? .max - 1 : header.sequence)
      end(.success(SnapshotInfo(sequence: header.sequence, bytes: offset)))
    } catch {
      end(.failure(error))
    }
  }

  /// Ends the job with this result. An unfinished file is removed; should that fail, the next start does it.
  func end(_ result: Result<SnapshotInfo, StorageError>) {
    try? shelf.directory.disk.remove(temporary)
    file = nil
    shelf.monitor.notify { $0.job = nil }
    completion(result)
  }

  private func open() throws(StorageError) -> any File {
    if let file { return file }
    let file = try shelf.directory.disk.open(temporary, .create)
    let head = UnsafeMutableRawBufferPointer.allocate(byteCount: SnapshotHeader.size, alignment: 8)
    defer { head.deallocate() }
    header.encode(into: head)
    try file.write(UnsafeRawBufferPointer(head), at: 0)
    offset = SnapshotHeader.size
    self.file = file
    return file
  }

  private func append(_ bytes: UnsafeRawBufferPointer, to file: any File) throws(StorageError) {
    try file.write(bytes, at: offset)
    offset += bytes.count
    unsynced += bytes.count
    if unsynced >= Self.slice {
      try file.syncData()
      unsynced = 0
    }
  }
}
