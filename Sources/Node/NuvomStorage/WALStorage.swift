import NuvomWAL
import PlantedBugs
import Synchronization

/// How a log is kept.
public struct WALOptions: Sendable {
  /// The partition whose log it is.
  public var partition: UInt16 = 0
  /// Bytes of a segment file; at least 64 KiB. A batch that is larger gets a segment of its own size.
  public var segmentBytes = 32 << 20
  /// When batches are forced to disk.
  public var sync = SyncPolicy.always
  /// Bytes that all files of the log may take; nil: as much as the disk has.
  public var diskLimit: Int?
  /// Where commits are made; tests choose, a broker lets the measured sync time decide.
  package var placement = CommitPlacement.measured
  /// Where the log is; a simulator has its own.
  package var machine = Machine.real

  /// The defaults: partition 0, 32 MiB segments, every batch synced, no limit.
  public init() {}
}

/// Where a commit is made.
package enum CommitPlacement: Sendable {
  /// On the caller's thread while syncs are quick and the batch small, else on the commit thread.
  case measured
  case inline
  case thread
}

/// A log on a local disk.
///
/// `@unchecked Sendable`: `segment`, `held` and `heldTime` belong to whoever commits, which is the loop while `Line.phase` is idle and the
/// commit thread while it is in flight; the phase changes under the monitor's lock. `look`, `estimate` and `submitted` are the loop's alone.
public final class WALStorage: Storage, @unchecked Sendable {
  /// What is true of commits, and where it can go from there.
  enum Phase {
    /// No commit is under way. To `inFlight` by submit, `noRoom` by an inline submit, `failed`, `sealed`, `closed`.
    case idle
    /// The commit thread has the batch. To `idle`, `noRoom` or `failed` by its result.
    case inFlight
    /// A batch waits for room. To `inFlight`, `idle` or `failed` by `retry`, to `closed`.
    case noRoom
    /// A write or sync failed. To `closed` only: what is on disk is unknown.
    case failed(StorageError)
    /// The seal is on disk. To `closed` only.
    case sealed
    /// The end.
    case closed
  }

  /// What the loop, the commit thread and the snapshot thread share about commits.
  struct Line {
    var phase = Phase.idle
    var hasOrder = false
    var isStopped = false
    /// The current segment's file, and the last batch written to it or one before.
    var file: any File
    var written: UInt64
    var rest: Int
    var rolls = 0
    /// When the written batches must be synced, by the interval policy.
    var syncDue: Int64?
    /// Whether the snapshot thread waits for a batch to be written.
    var isAwaited = false
    var counters = StorageCounters()
  }

  /// What `room` saw at its last look at the disk.
  private struct Look {
    let bootMicroseconds: Int64
    let rolls: Int
    let bytesWritten: Int
    let room: Int
    let snapshotEstimate: Int
  }

  /// Above these a commit goes to the thread: the loop would stand still for longer than other work can wait.
  private static let inlineSyncMicroseconds = 300
  private static let inlineSyncedBytes = 128 << 10
  private static let inlineUnsyncedBytes = 1 << 20
  /// A buffer that grew beyond this for one batch is given back.
  private static let keptBufferBytes = 4 << 20

  private let options: WALOptions
  private let logID: UInt64
  private let completion: @Sendable (CommitResult) -> Void
  let line: Monitor<Line>
  private let shelf: Shelf
  /// The sequence up to which the log is known to be durable.
  private let durable: Atomic<UInt64>
  private var segment: SegmentFile
  private var held = BatchBuffer()
  private var heldTime = LogTime(bootMicroseconds: 0, wallMicroseconds: 0)
  private var submitted: UInt64
  private var look: Look?
  /// As the shelf has it: asked in each turn.
  private var estimate = 0
  private var lock: (any AnyObject & Sendable)?
  private var threads: [Thread] = []

  init(
    options: WALOptions, lock: any AnyObject & Sendable, shelf: Shelf, segment: SegmentFile, sequence: UInt64,
    completion: @escaping @Sendable (CommitResult) -> Void
  ) {
    self.options = options
    self.lock = lock
    self.shelf = shelf
    self.segment = segment
    logID = segment.header.logID
    self.completion = completion
    submitted = sequence
    durable = Atomic(sequence)
    line = Monitor(Line(file: segment.file, written: sequence, rest: segment.rest))
    guard options.machine.hasThreads else { return }
    threads = [
      Thread(name: "nuvom-commit") { [self] in commitThread() },
      Thread(name: "nuvom-snapshot") { [shelf] in shelf.run() },
    ]
  }

  // MARK: Commit

  /// Writes the buffer's body as the next batch; see `Storage`.
  public func submit(_ batch: inout BatchBuffer, at time: LogTime, isBusy: Bool) -> CommitProgress {
    precondition(!batch.isEmpty, "an empty batch is not written")
    let (phase, average) = line.withLock { ($0.phase, $0.counters.averageSyncMicroseconds) }
    switch phase {
    case .idle: break
    case .failed(let error):
      batch.removeAll()
      return .finished(.failed(error))
    case .inFlight, .noRoom, .sealed, .closed: preconditionFailure("no commit can begin while the storage is \(phase)")
    }
    submitted += 1
    guard isInline(batch.sealedSize, average: average, isBusy) else {
      swap(&batch, &held)
      heldTime = time
      return order()
    }
    let result = settle(commit(&batch, at: time))
    if case .noRoom = result {
      swap(&batch, &held)
      heldTime = time
    }
    return .finished(result)
  }

  /// Tries the batch again that found no room; see `Storage`.
  public func retry() -> CommitProgress {
    line.withLock {
      guard case .noRoom = $0.phase else { preconditionFailure("there is nothing to retry while \($0.phase)") }
      $0.phase = .idle
    }
    if PlantedBug.batchWithoutRoomDropped.isPlanted { return .finished(.done(lastSequence)) }
    guard options.placement == .inline else { return order() }
    return .finished(settle(commit(&held, at: heldTime)))
  }

  private func order() -> CommitProgress {
    line.notify {
      $0.phase = .inFlight
      $0.hasOrder = true
    }
    return .pending
  }

  private func isInline(_ bytes: Int, average: Int, _ isBusy: Bool) -> Bool {
    switch options.placement {
    case .inline: true
    case .thread: false
    case .measured:
      // A roll syncs several times and may wait for a spare.
      bytes <= segment.rest
        && (options.sync == .always
          ? !isBusy && average <= Self.inlineSyncMicroseconds && bytes <= Self.inlineSyncedBytes
          : bytes <= Self.inlineUnsyncedBytes)
    }
  }

  /// Writes the batch, on whichever thread. On success the batch is emptied; without room it is left as it is.
  private func commit(_ batch: inout BatchBuffer, at time: LogTime) -> CommitResult {
    do throws(StorageError) {
      let size = batch.sealedSize
      let sequence = line.withLock { $0.written } + 1
      if size > segment.rest {
        guard try roll(to: sequence, holding: size) else { return .noRoom }
      }
      let sealed = batch.seal(
        kind: .events, sequence: sequence,
        durable: PlantedBug.durableMarkTooHigh.isPlanted ? sequence : durable.load(ordering: .acquiring), time: time,
        seed: segment.seed)
      try segment.append(sealed)
      if options.sync == .always {
        if !PlantedBug.syncForgotten.isPlanted { try syncLog(segment.file) }
        durable.max(sequence, ordering: .releasing)
      }
      line.withLock {
        $0.written = sequence
        $0.file = segment.file
        $0.rest = segment.rest
        $0.counters.batches += 1
        $0.counters.bytesWritten += size - BatchHeader.trailerSize
      }
      batch.removeAll()
      if size > Self.keptBufferBytes { batch.shrink(to: 64 << 10) }
      return .done(sequence)
    } catch {
      batch.removeAll()
      return .failed(error)
    }
  }

  /// Goes on in the next segment. All before it is durable first: its header says so.
  private func roll(to sequence: UInt64, holding sealed: Int) throws(StorageError) -> Bool {
    if durable.load(ordering: .acquiring) < sequence - 1 {
      try syncLog(segment.file)
      durable.max(sequence - 1, ordering: .releasing)
    }
    guard let next = try shelf.take(segment.header.followed(by: sequence), holding: sealed) else { return false }
    segment = next
    line.withLock {
      $0.file = next.file
      $0.rest = next.rest
      $0.rolls += 1
    }
    return true
  }

  private func syncLog(_ file: any File) throws(StorageError) {
    let start = options.machine.monotonicMicroseconds()
    do throws(StorageError) {
      try file.syncData()
    } catch {
      guard PlantedBug.failedSyncTriedAgain.isPlanted else { throw error }
      try file.syncData()
    }
    let took = Int(options.machine.monotonicMicroseconds() - start)
    line.withLock {
      $0.counters.syncs += 1
      $0.counters.lastSyncMicroseconds = took
      let average = $0.counters.averageSyncMicroseconds
      $0.counters.averageSyncMicroseconds = average == 0 ? took : average + (took - average) / 8
    }
  }

  /// Takes the result into the phase; a failure met meanwhile by another thread comes first.
  private func settle(_ result: CommitResult) -> CommitResult {
    let (settled, isOfInterest) = line.withLock { state -> (CommitResult, Bool) in
      if case .failed(let error) = state.phase { return (.failed(error), false) }
      switch result {
      case .done:
        state.phase = .idle
        guard case .interval(let milliseconds) = options.sync, state.syncDue == nil else {
          return (result, state.isAwaited)
        }
        state.syncDue = options.machine.monotonicMicroseconds() + Int64(milliseconds) * 1000
      case .noRoom: state.phase = .noRoom
      case .failed(let error): state.phase = .failed(error)
      }
      return (result, true)
    }
    // Waking a thread costs microseconds, which most commits need not pay: nobody waits for them.
    if isOfInterest { line.wake() }
    return settled
  }

  private enum Work {
    case commit
    case sync(any File, upTo: UInt64)
    case stop
  }

  /// The commit thread's life.
  private func commitThread() {
    while true {
      let work = line.wait { nextWork(&$0) }
      if case .stop = work { return }
      perform(work)
    }
  }

  /// Does what the commit thread would do now, for a storage without threads. False if that is nothing.
  package func runCommit() -> Bool {
    guard let work = line.poll({ nextWork(&$0) }) else { return false }
    perform(work)
    return true
  }

  private func nextWork(_ state: inout Line) -> Monitor<Line>.Interest<Work> {
    if state.hasOrder {
      state.hasOrder = false
      return .take(.commit)
    }
    if state.isStopped { return .take(.stop) }
    guard let due = state.syncDue else { return .wait }
    guard options.machine.monotonicMicroseconds() >= due else { return .waitUntil(microseconds: due) }
    state.syncDue = nil
    if case .failed = state.phase { return .wait }
    return .take(.sync(state.file, upTo: state.written))
  }

  private func perform(_ work: Work) {
    switch work {
    case .commit: completion(settle(commit(&held, at: heldTime)))
    case .sync(let file, let sequence):
      do throws(StorageError) {
        try syncLog(file)
        durable.max(sequence, ordering: .releasing)
      } catch {
        completion(settle(.failed(error)))
      }
    case .stop: break
    }
  }

  /// Whether the threads may have something to do, for a storage without threads.
  package var hasWork: Bool { line.withLock { $0.hasOrder || $0.syncDue != nil } || shelf.hasWork }

  /// Does a piece of what the snapshot thread would do now, for a storage without threads. False if that is nothing, or would wait for a
  /// commit.
  package func runShelf() -> Bool {
    let isWritten = line.withLock { state in
      if case .failed = state.phase { true } else { state.written >= submitted || state.isStopped }
    }
    return shelf.runOnce(mayFinish: isWritten)
  }

  /// The sequence of the last batch whose commit was done; 0 before the log's first.
  public var lastSequence: UInt64 { line.withLock { $0.written } }

  // MARK: Room

  /// Bytes of batches that may still be written; see `Storage`.
  public func room(at time: LogTime) -> Int {
    let (rolls, written, rest) = line.withLock { ($0.rolls, $0.counters.bytesWritten, $0.rest) }
    // Others fill the disk, too: what is written meanwhile must not be much of what a segment has left for what was promised.
    if let look, look.rolls == rolls, abs(time.bootMicroseconds - look.bootMicroseconds) < 1_000_000,
      written - look.bytesWritten < options.segmentBytes / 8
    {
      return max(0, look.room - (written - look.bytesWritten) - max(0, estimate - look.snapshotEstimate))
    }
    // A disk that cannot tell has no room to promise.
    let disk = (try? shelf.directory.free()) ?? 0
    let room = shelf.monitor.notify { state in
      state.isSpareRefused = false
      state.isSpareNeeded = rest < options.segmentBytes / 2
      // Only whole segments can be made of what is free, and one of them all stays.
      let makeable = max(0, shelf.free(state, disk: disk) - state.reservedBytes) / options.segmentBytes
      let usable = options.segmentBytes - SegmentHeader.size - SegmentFile.sealRoom
      let room = rest + (state.spares.count + makeable - 1) * usable
      state.isRoomLow = room < usable
      return max(0, room)
    }
    look = Look(
      bootMicroseconds: time.bootMicroseconds, rolls: rolls, bytesWritten: written, room: room,
      snapshotEstimate: estimate)
    return room
  }

  /// What the next snapshot will take, in bytes, by the caller's estimate.
  public var snapshotEstimate: Int {
    get { estimate }
    set {
      precondition(newValue >= 0, "an estimate cannot be negative")
      if newValue == estimate { return }
      estimate = newValue
      shelf.monitor.withLock { $0.snapshotEstimate = newValue }
    }
  }

  /// The figures of now.
  public var counters: StorageCounters {
    var counters = line.withLock { $0.counters }
    shelf.monitor.withLock {
      counters.bytesSinceSnapshot = counters.bytesWritten - $0.snapshotPosition
      counters.segmentCount = $0.segments.count
      counters.diskBytes = $0.diskBytes
    }
    return counters
  }

  // MARK: Snapshots

  /// Whether the next snapshot is due; see `Storage`.
  public var isSnapshotDue: Bool {
    shelf.monitor.withLock { state in
      guard state.job == nil, let current = state.segments.last else { return false }
      // Only whole segments can be freed, so it is their bytes that count. While jobs only come, all of them is live, and a snapshot would
      // free nothing: it is due when the files hold 1.75 times the live data. What is left to three times is for the new snapshot and
      // what is written meanwhile.
      let freeable = state.segmentBytes - current.bytes
      let held = freeable + (state.snapshots.last?.bytes ?? 0)
      return (freeable >= options.segmentBytes && held >= state.snapshotEstimate / 4 * 7)
        || (state.isRoomLow && freeable > 0)
    }
  }

  /// Begins a snapshot of the state after the last batch submitted; see `Storage`.
  public func beginSnapshot(
    at time: LogTime, ready: @escaping @Sendable () -> Void,
    completion: @escaping @Sendable (Result<SnapshotInfo, StorageError>) -> Void
  ) -> (any SnapshotFeed)? {
    let header = SnapshotHeader(
      logID: logID, partition: options.partition, sequence: submitted, time: time)
    let job = SnapshotJob(
      shelf: shelf, header: header, syncLog: { [self] sequence throws(StorageError) in try makeDurable(sequence) },
      ready: ready, completion: completion)
    let position = line.withLock { $0.counters.bytesWritten }
    let isFirst = shelf.monitor.notify { state in
      guard state.job == nil, !state.isStopped else { return false }
      state.job = Shelf.Job(feed: job, position: position)
      return true
    }
    return isFirst ? job : nil
  }

  /// Waits until the batch is written and makes it durable; false when the storage is closed before. Called by the snapshot thread.
  private func makeDurable(_ sequence: UInt64) throws(StorageError) -> Bool {
    let written = line.wait { state -> Monitor<Line>.Interest<Result<(any File, UInt64), StorageError>?> in
      if case .failed(let error) = state.phase { return .take(.failure(error)) }
      if state.written >= sequence { return .take(.success((state.file, state.written))) }
      state.isAwaited = true
      return state.isStopped ? .take(nil) : .wait
    }
    line.withLock { $0.isAwaited = false }
    guard let (file, upTo) = try written?.get() else { return false }
    guard durable.load(ordering: .acquiring) < sequence else { return true }
    do throws(StorageError) {
      try syncLog(file)
      durable.max(upTo, ordering: .releasing)
      return true
    } catch {
      // A sync of the log failed, whoever asked for it: nothing may be committed after.
      completion(settle(.failed(error)))
      throw error
    }
  }

  // MARK: The end

  /// Ends the log cleanly; see `Storage`.
  public func seal(at time: LogTime) throws(StorageError) {
    switch line.withLock({ $0.phase }) {
    case .idle: break
    case .failed(let error): throw error
    case .inFlight, .noRoom, .sealed, .closed: preconditionFailure("only an idle log is sealed")
    }
    let last = lastSequence
    do throws(StorageError) {
      // First all before the seal: its presence on disk must say that they are there.
      try syncLog(segment.file)
      durable.max(last, ordering: .releasing)
      var buffer = BatchBuffer(bodyCapacity: 0)
      try segment.append(
        buffer.seal(kind: .seal, sequence: last + 1, durable: last, time: time, seed: segment.seed))
      try syncLog(segment.file)
    } catch {
      line.notify { $0.phase = .failed(error) }
      throw error
    }
    line.notify {
      $0.phase = .sealed
      $0.written = last + 1
      $0.syncDue = nil
    }
  }

  /// Gives files, threads and the lock back; see `Storage`. Without it they live as long as the process.
  public func close() {
    line.notify { $0.isStopped = true }
    shelf.monitor.notify { $0.isStopped = true }
    for thread in threads { thread.join() }
    threads = []
    line.notify { $0.phase = .closed }
    lock = nil
  }
}
