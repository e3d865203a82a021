import NuvomBroker
import NuvomEngine
import NuvomModel
import NuvomSchedule
internal import NuvomStorage
import NuvomWAL

/// One life of the broker's process: the engine, the log and the loop that ship, around the world's disk and clock.
final class SimulatedBroker {
  /// How its log is kept.
  struct Configuration {
    var sync = SyncPolicy.always
    var placement = CommitPlacement.inline
    var segmentBytes = 64 << 10
    var memoryLimit = 1 << 30
  }

  let engine: Engine
  let storage: WALStorage
  let broker: Broker
  let tap: ArchivingStorage
  let notices: Notices
  /// The state as it was recovered, before anything was decided.
  let recovered: UInt64
  /// What the events that survived lead to, one by one from the first on; nil if they lead nowhere.
  let replayed: UInt64?
  /// Whether every batch that was read is one that was written.
  let isSame: Bool
  let report: RecoveryReport
  /// The storage has failed, and the process is about to end.
  private(set) var failure: StorageError?

  static let directory = "/data"

  /// Starts: reads the log, and is then ready for connections. Throws what would keep a broker from starting.
  init(
    _ configuration: Configuration, disk: SimulatedDisk, transport: any Transport, archive: Archive,
    clock: @escaping @Sendable () -> Time, random: @escaping @Sendable () -> UInt64
  ) throws {
    let notices = Notices()
    self.notices = notices
    let now = clock()
    let witness = RecoveryWitness(
      EngineRecovery(
        EngineConfiguration(memoryLimit: configuration.memoryLimit, hashSeed: random()), now: now))
    var options = WALOptions()
    options.sync = configuration.sync
    options.segmentBytes = configuration.segmentBytes
    options.placement = configuration.placement
    options.machine = Machine(
      disk: disk, monotonicMicroseconds: { clock().boot }, randomNumber: random, hasThreads: false)
    (storage, report) = try WALStorage.open(
      Self.directory, options: options, at: LogTime(now), handler: witness,
      completion: { notices.list.append(.committed($0)) })
    engine = try witness.recovery.finished()
    recovered = engine.digest()
    isSame = archive.keep(witness.batches, after: report.snapshot?.sequence ?? 0)
    replayed = archive.replayed(at: now)?.digest()
    tap = ArchivingStorage(storage, archive)
    engine.resume(at: now)
    broker = Broker(
      engine: engine, storage: tap, configuration: BrokerConfiguration(server: "nuvom/simulated", fsync: "always"),
      transport: transport, zones: SimulatedZones(), clock: clock, notify: { notices.list.append($0) })
    broker.onFailure = { [unowned self] in failure = $0 }
    try broker.readZones()
    broker.endTurn()
  }

  /// What the storage's threads have told. Unchecked: a world has one thread.
  final class Notices: @unchecked Sendable {
    var list: [BrokerNotice] = []
  }
}

/// Recovers an engine, and keeps a copy of each batch that it was given.
private final class RecoveryWitness: RecoveryHandler {
  let recovery: EngineRecovery
  private(set) var batches: [(sequence: UInt64, body: [UInt8])] = []

  init(_ recovery: EngineRecovery) { self.recovery = recovery }

  func snapshotBegins(_ header: SnapshotHeader) throws {
    batches = []
    try recovery.snapshotBegins(header)
  }

  func snapshotRejected() {
    batches = []
    recovery.snapshotRejected()
  }

  func chunk(kind: UInt32, _ body: UnsafeRawBufferPointer) throws { try recovery.chunk(kind: kind, body) }

  func batch(_ batch: Batch) throws {
    batches.append((batch.header.sequence, Array(batch.body)))
    try recovery.batch(batch)
  }
}

/// UTC, and no other zone: what zones do is for the tests of schedules.
struct SimulatedZones: ZoneSource {
  func rules(named name: String) throws(ZoneError) -> ZoneRules? { name == "UTC" ? .utc : nil }
}

/// Every batch of events that was ever given to the log, in order: what a recovery must come to is what follows from those that it kept.
final class Archive {
  private(set) var batches: [(sequence: UInt64, body: [UInt8])] = []

  func add(_ body: UnsafeRawBufferPointer, as sequence: UInt64) { batches.append((sequence, Array(body))) }

  /// After a crash: of what lies behind a snapshot only what was read has survived. False if something was read that was never written.
  func keep(_ read: [(sequence: UInt64, body: [UInt8])], after snapshot: UInt64) -> Bool {
    var written: [(sequence: UInt64, body: [UInt8])] = []
    while let last = batches.last, last.sequence > snapshot {
      written.append(last)
      batches.removeLast()
    }
    var isSame = true
    for batch in read {
      guard let index = written.firstIndex(where: { $0.sequence == batch.sequence }), written[index].body == batch.body
      else {
        isSame = false
        continue
      }
      batches.append(batch)
    }
    return isSame
  }

  /// An engine to which all batches were applied from the first on. Nil if one does not apply.
  func replayed(at now: Time) -> Engine? {
    let engine = Engine(EngineConfiguration(), now: now)
    for batch in batches {
      guard batch.body.withUnsafeBytes({ engine.replay($0) }) else { return nil }
    }
    return engine
  }
}

/// The log, with a copy of each batch for the archive.
final class ArchivingStorage: Storage {
  private let storage: WALStorage
  private let archive: Archive

  init(_ storage: WALStorage, _ archive: Archive) {
    self.storage = storage
    self.archive = archive
  }

  func submit(_ batch: inout BatchBuffer, at time: LogTime, isBusy: Bool) -> CommitProgress {
    let sequence = storage.lastSequence + 1
    batch.withBody { archive.add($0, as: sequence) }
    return storage.submit(&batch, at: time, isBusy: isBusy)
  }

  func retry() -> CommitProgress { storage.retry() }
  var lastSequence: UInt64 { storage.lastSequence }
  func room(at time: LogTime) -> Int { storage.room(at: time) }
  var snapshotEstimate: Int {
    get { storage.snapshotEstimate }
    set { storage.snapshotEstimate = newValue }
  }
  var isSnapshotDue: Bool { storage.isSnapshotDue }
  func beginSnapshot(
    at time: LogTime, ready: @escaping @Sendable () -> Void,
    completion: @escaping @Sendable (Result<SnapshotInfo, StorageError>) -> Void
  ) -> (any SnapshotFeed)? { storage.beginSnapshot(at: time, ready: ready, completion: completion) }
  func seal(at time: LogTime) throws(StorageError) { try storage.seal(at: time) }
  func close() { storage.close() }
  var counters: StorageCounters { storage.counters }
}
