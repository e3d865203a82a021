import NuvomWAL

/// The files of a log: which there are, how much disk they take, which come next and which may go; and the thread that makes spares and
/// writes snapshots, so that neither a commit nor the loop waits for them.
final class Shelf: Sendable {
  struct Segment {
    let path: String
    let number: UInt64
    let firstSequence: UInt64
    let bytes: Int
  }

  struct Snapshot {
    let path: String
    let sequence: UInt64
    let bytes: Int
  }

  /// A chunk that waits to be encoded.
  struct Chunk {
    let kind: UInt32
    let encode: @Sendable (inout BatchBuffer) -> Bool
  }

  /// The snapshot being written, as far as the loop and the thread share it.
  struct Job {
    let feed: SnapshotJob
    /// The log's written bytes at the snapshot's position.
    let position: Int
    var chunks: [Chunk] = []
    var isFinished = false
    var isCancelled = false
    var wasRefused = false
    var bytes = 0
  }

  struct State {
    /// Oldest first; the last is being written.
    var segments: [Segment] = []
    var spares: [Spare] = []
    var snapshots: [Snapshot] = []
    var job: Job?
    /// The log's written bytes at the last snapshot's position.
    var snapshotPosition = 0
    var snapshotEstimate = 0
    var isPreparing = false
    /// The segment is half full: whatever else the log holds, the next must be there before this one's end. What was promised to jobs that were
    /// accepted fits in it, should the disk be full by then.
    var isSpareNeeded = false
    /// No spare is tried again before something has changed.
    var isSpareRefused = false
    /// Less than a segment's room was left at the last look: what a snapshot can free is wanted now.
    var isRoomLow = false
    var nextSpare: UInt64 = 1
    var isStopped = false

    var segmentBytes: Int { segments.reduce(0) { $0 + $1.bytes } }
    var spareBytes: Int { spares.reduce(0) { $0 + $1.bytes } }
    var diskBytes: Int { segmentBytes + spareBytes + snapshots.reduce(0) { $0 + $1.bytes } + (job?.bytes ?? 0) }
    /// What has still to stay free for the next snapshot, or the rest of this one.
    var reservedBytes: Int { max(0, snapshotEstimate - (job?.bytes ?? 0)) }

    /// Whether one more spare keeps the promise that, with two snapshots of the live data, disk use stays below three times the live data
    /// plus two segments: log and spares together then have the live data once, and two segments.
    func allowsSpare(_ segmentSize: Int) -> Bool {
      spares.count < 2 && segmentBytes + spareBytes + segmentSize <= snapshotEstimate + 2 * segmentSize
    }
  }

  /// Chunks that may wait for the thread; each can pin as much memory as the caller gives it.
  static let waitingChunks = 4

  let directory: Directory
  let segmentSize: Int
  let diskLimit: Int?
  let writing: Writing
  let monitor: Monitor<State>

  init(directory: Directory, segmentSize: Int, diskLimit: Int?, writing: Writing, state: State) {
    self.directory = directory
    self.writing = writing
    self.segmentSize = segmentSize
    self.diskLimit = diskLimit
    monitor = Monitor(state)
  }

  /// Bytes that new files may take: what the disk gives, within the limit.
  func free(_ state: State, disk: Int) -> Int {
    min(disk, diskLimit.map { max(0, $0 - state.diskBytes) } ?? disk)
  }

  // MARK: Segments

  /// The next segment, or nil when there is no room for it. Called by the committing thread.
  func take(_ header: SegmentHeader, holding sealed: Int) throws(StorageError) -> SegmentFile? {
    let size = SegmentFile.size(segmentSize, holding: sealed)
    let spare: Spare
    if size == segmentSize, let ready = takeSpare() {
      spare = ready
    } else {
      do throws(StorageError) {
        guard let made = try makeSpare(bytes: size) else { return nil }
        spare = made
      } catch {
        guard error.code == .diskFull else { throw error }
        return nil
      }
    }
    let segment = try spare.become(header, for: writing, in: directory)
    monitor.notify {
      $0.segments.append(
        Segment(path: segment.path, number: header.segment, firstSequence: header.firstSequence, bytes: segment.bytes))
      $0.isSpareRefused = false
      $0.isSpareNeeded = false
    }
    return segment
  }

  /// A spare that is ready, or that the thread is about to finish.
  private func takeSpare() -> Spare? {
    monitor.wait { state in
      if let index = state.spares.firstIndex(where: { $0.bytes == self.segmentSize }) {
        return .take(state.spares.remove(at: index))
      }
      return state.isPreparing ? .wait : .take(nil)
    }
  }

  /// Makes a spare, or gives nil when it would take the room of the next snapshot.
  private func makeSpare(bytes: Int) throws(StorageError) -> Spare? {
    let disk = try directory.free()
    let path = monitor.withLock { state -> String? in
      guard free(state, disk: disk) - bytes >= state.reservedBytes else { return nil }
      defer { state.nextSpare += 1 }
      return LogFiles.spare(directory.path, state.nextSpare)
    }
    guard let path else { return nil }
    return try Spare.make(path, bytes: bytes, for: writing, in: directory)
  }

  /// Removes what a snapshot of `sequence` makes needless: older snapshots, then segments wholly below it, which become spares while
  /// those are wanted. Oldest first, so that what a crash leaves is still one run of segments.
  func release(below sequence: UInt64) throws(StorageError) {
    while let old = monitor.withLock({ $0.snapshots.first { $0.sequence < sequence } }) {
      try directory.disk.remove(old.path)
      monitor.withLock { $0.snapshots.removeAll { $0.sequence == old.sequence } }
    }
    while let (old, spare) = monitor.withLock({ (state: inout State) -> (Segment, String?)? in
      guard state.segments.count > 1, state.segments[1].firstSequence <= sequence &+ 1 else { return nil }
      let old = state.segments.removeFirst()
      guard old.bytes == segmentSize, state.allowsSpare(segmentSize), !state.isPreparing else { return (old, nil) }
      defer { state.nextSpare += 1 }
      return (old, LogFiles.spare(directory.path, state.nextSpare))
    }) {
      do throws(StorageError) {
        if let spare {
          try directory.disk.rename(old.path, to: spare)
          monitor.withLock { $0.spares.append(Spare(path: spare, bytes: old.bytes)) }
        } else {
          try directory.disk.remove(old.path)
        }
      } catch {
        monitor.withLock { $0.segments.insert(old, at: 0) }
        throw error
      }
    }
    try directory.sync()
    monitor.notify { $0.isSpareRefused = false }
  }

  // MARK: The thread

  private enum Work {
    case prepareSpare
    case chunk(SnapshotJob, Chunk, wasRefused: Bool)
    case finish(SnapshotJob)
    case cancel(SnapshotJob)
    case stop
  }

  /// The thread's life: one piece of work at a time, spares before chunks, because commits may wait for a spare.
  func run() {
    while true {
      let work = monitor.wait { nextWork(&$0) }
      if case .stop = work { return }
      perform(work)
    }
  }

  /// Whether the thread may have something to do.
  var hasWork: Bool { monitor.withLock { $0.job != nil || wantsSpare($0) } }

  private func wantsSpare(_ state: State) -> Bool {
    state.spares.isEmpty && !state.isSpareRefused && (state.isSpareNeeded || state.allowsSpare(segmentSize))
  }

  /// Does one piece of work, if there is one; the last of a snapshot, which waits for the log, only if it may.
  func runOnce(mayFinish: Bool) -> Bool {
    guard let work = monitor.poll({ nextWork(&$0, mayFinish: mayFinish) }) else { return false }
    if case .stop = work { return false }
    perform(work)
    return true
  }

  private func nextWork(_ state: inout State, mayFinish: Bool = true) -> Monitor<State>.Interest<Work> {
    if let job = state.job, job.isCancelled || state.isStopped { return .take(.cancel(job.feed)) }
    if state.isStopped { return .take(.stop) }
    if wantsSpare(state) {
      state.isPreparing = true
      return .take(.prepareSpare)
    }
    guard let job = state.job else { return .wait }
    if let chunk = job.chunks.first {
      state.job?.chunks.removeFirst()
      state.job?.wasRefused = false
      return .take(.chunk(job.feed, chunk, wasRefused: job.wasRefused))
    }
    return job.isFinished && mayFinish ? .take(.finish(job.feed)) : .wait
  }

  private func perform(_ work: Work) {
    switch work {
    case .prepareSpare: prepareSpare()
    case .chunk(let job, let chunk, let wasRefused):
      if wasRefused { job.ready() }
      job.write(chunk)
    case .finish(let job): job.complete()
    case .cancel(let job):
      job.end(.failure(StorageError(.cancelled, "the snapshot was given up", path: directory.path)))
    case .stop: break
    }
  }

  private func prepareSpare() {
    // A failure here is not the log's: a commit that needs the spare tries itself, and reports what it meets.
    let spare = (try? makeSpare(bytes: segmentSize)) ?? nil
    monitor.notify {
      $0.isPreparing = false
      if let spare { $0.spares.append(spare) } else { $0.isSpareRefused = true }
    }
  }
}
