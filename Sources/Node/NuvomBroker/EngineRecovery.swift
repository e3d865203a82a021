public import NuvomEngine
public import NuvomModel
public import NuvomStorage
public import NuvomWAL

/// Builds an engine from what a log holds: the newest snapshot, then the events after it.
public final class EngineRecovery: SalvageHandler {
  private var engine: Engine
  private var isInSnapshot = false
  private let configuration: EngineConfiguration
  private let now: Time
  /// Of a damaged log that is gone on with: what happened behind the damage.
  package private(set) var lost = LostEvents()
  /// Told what is given up, before anything is moved.
  package var willSalvage: ((LostPart, LostEvents) -> Void)?

  /// The log, though its checksums agree, says something that cannot be: it was written by another program, or this one has an error.
  public struct Inconsistency: Error, CustomStringConvertible, Sendable {
    /// What was being read, with the number of the batch.
    public let description: String
  }

  /// An empty engine at a time.
  public init(_ configuration: EngineConfiguration, now: Time) {
    self.configuration = configuration
    self.now = now
    engine = Engine(configuration, now: now)
  }

  /// Begins anew: a snapshot that was tried before was not usable.
  public func snapshotBegins(_ header: SnapshotHeader) throws {
    engine = Engine(configuration, now: now)
    isInSnapshot = true
  }

  /// Begins anew.
  public func snapshotRejected() {
    engine = Engine(configuration, now: now)
    isInSnapshot = false
  }

  /// The engine, when the storage is open: everything was read.
  public func finished() throws -> Engine {
    try checkSnapshot()
    return engine
  }

  /// Looks once, behind the snapshot's last chunk, whether it was whole.
  private func checkSnapshot() throws {
    guard isInSnapshot else { return }
    isInSnapshot = false
    if !engine.isRestored {
      throw Inconsistency(
        description: "the snapshot lacks parts of what it lists; keep a copy of the directory and report this")
    }
  }

  /// Restores a chunk of the snapshot.
  public func chunk(kind: UInt32, _ body: UnsafeRawBufferPointer) throws {
    let isRestored =
      switch SnapshotChunkKind(rawValue: kind) {
      case .header: engine.restoreHeader(body)
      case .table: engine.restoreChunk(body)
      case nil: false
      }
    if !isRestored {
      throw Inconsistency(
        description: "the snapshot holds a chunk that this version cannot read; use the version that wrote it")
    }
  }

  /// Applies a batch of events.
  public func batch(_ batch: Batch) throws {
    try checkSnapshot()
    if !engine.replay(batch.body) {
      if let tag = Engine.unknownTag(in: batch.body) {
        throw Inconsistency(
          description:
            "batch \(batch.header.sequence) of the log holds an event of kind \(tag), which this version does not know; use the version that wrote it"
        )
      }
      throw Inconsistency(
        description:
          "batch \(batch.header.sequence) of the log does not follow from what is before it; keep a copy of the directory and report this"
      )
    }
  }

  // MARK: A damaged log

  /// Takes note of a batch that cannot follow any more.
  public func lost(_ batch: Batch) { lost.add(batch.body, partition: configuration.partition) }

  /// Sees to it that nothing is given out twice.
  public func salvage(_ part: LostPart) throws -> [UInt8] {
    try checkSnapshot()
    guard let events = engine.salvage(lost, unreadableBytes: part.possibleBytes) else {
      throw Inconsistency(
        description:
          "up to \(part.possibleBytes) bytes of the log may be lost, too many for ids to be left that were surely never given out; restore a copy of the directory"
      )
    }
    willSalvage?(part, lost)
    return events
  }

  /// Applies the events of a salvage that was interrupted.
  public func salvaged(_ events: UnsafeRawBufferPointer) throws {
    try checkSnapshot()
    if !engine.replay(events) {
      throw Inconsistency(
        description: "the file SALVAGE is not one of this version; keep a copy of the directory and report this")
    }
  }
}
