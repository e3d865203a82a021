import Foundation
import Glibc
import NuvomBroker
import NuvomEngine
import NuvomModel
import NuvomStorage
import NuvomWAL

/// The state of a broker as its log tells it from the first event on, kept beside the broker while it runs: no snapshot has a part in it.
///
/// A segment that a snapshot has made needless is first only renamed, and overwritten when the log has need of it: a second name of its file keeps it
/// until it was read. Where even that was too late, the replay begins anew with a snapshot.
final class IndependentReplay: RecoveryHandler {
  private let directory: String
  /// Where segments have their second names.
  private let mirror: String
  private var engine: Engine
  private var position: UInt64 = 0
  /// Snapshots that it had to begin anew with.
  private(set) var gaps = 0

  /// What two ways of reading a log have come to.
  struct Comparison {
    /// The log's last batch, and the snapshot that the other way began with, if any.
    let position: UInt64
    let hasSnapshot: Bool
    /// Whether this way has not seen a snapshot since the first event.
    let isFromFirstEvent: Bool
    /// Lines of the state that are not the same; none if the digests are equal.
    let difference: [String]
  }

  /// For the log in a directory. `mirror` is a folder on the same file system, which is made.
  init(of directory: String, mirror: String) throws {
    self.directory = directory
    self.mirror = mirror
    engine = Self.emptyEngine()
    try FileManager.default.createDirectory(atPath: mirror, withIntermediateDirectories: true)
  }

  private static func emptyEngine() -> Engine {
    Engine(EngineConfiguration(memoryLimit: .max), now: Time(boot: 0, wall: 0))
  }

  func snapshotBegins(_ header: SnapshotHeader) throws { throw ReplayError("a replay asked for no snapshot") }
  func snapshotRejected() {}
  func chunk(kind: UInt32, _ body: UnsafeRawBufferPointer) throws {
    throw ReplayError("a replay asked for no snapshot")
  }

  func batch(_ batch: Batch) throws {
    guard engine.replay(batch.body) else { throw ReplayError("batch \(batch.header.sequence) does not follow") }
    position = batch.header.sequence
  }

  /// Keeps what there is from being overwritten before it was read. Takes microseconds; to be called every few milliseconds.
  func hold() {
    for name in Self.segments(in: directory) {
      let (file, link) = ("\(directory)/\(name)", "\(mirror)/\(name)")
      if let number = Self.inode(file), number == Self.inode(link) { continue }
      // Started again, the broker goes on with its last segment in a new file.
      unlink(link)
      Glibc.link(file, link)
    }
  }

  /// Replays what has been written since the last time, while the broker runs: as far as it is whole.
  func follow() {
    hold()
    // The log moves while it is read, so that its end may look wrong. It is read again, and judged, when the broker is dead.
    guard let last = try? WALStorage.read(mirror, after: position, handler: self) else { return }
    position = max(position, last)
    release()
  }

  /// Lets go what was read to its end.
  private func release() {
    let present = Set(Self.segments(in: directory))
    for name in Self.segments(in: mirror) where !present.contains(name) { unlink("\(mirror)/\(name)") }
  }

  private static func segments(in directory: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).filter { $0.hasSuffix(".wal") }
  }

  private static func inode(_ path: String) -> UInt64? {
    var status = stat()
    return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
  }

  /// Reads the log of a dead broker to its end, and once more from its snapshot.
  func compare() throws -> Comparison {
    let recovery = WatchedRecovery()
    let last = try WALStorage.read(directory, handler: recovery)
    let other = try recovery.finished()
    hold()
    do {
      _ = try WALStorage.read(mirror, after: position, handler: self)
    } catch let error as StorageError where error.code == .damaged && recovery.hasSnapshot {
      gaps += 1
      let anew = WatchedRecovery()
      _ = try WALStorage.read(directory, handler: anew)
      engine = try anew.finished()
    }
    position = last
    release()
    let isSame = engine.digest() == other.digest()
    return Comparison(
      position: last, hasSnapshot: recovery.hasSnapshot, isFromFirstEvent: gaps == 0,
      difference: isSame ? [] : Self.difference(engine.stateLines(), other.stateLines()))
  }

  private static func difference(_ one: [String], _ other: [String]) -> [String] {
    one.difference(from: other).prefix(6).map { change in
      switch change {
      case .insert(_, let line, _): "replayed: \(line.prefix(300))"
      case .remove(_, let line, _): "snapshot and tail: \(line.prefix(300))"
      }
    }
  }
}

/// A recovery as a broker's, of which is known whether it began with a snapshot.
private final class WatchedRecovery: RecoveryHandler {
  private let recovery = EngineRecovery(EngineConfiguration(memoryLimit: .max), now: Time(boot: 0, wall: 0))
  private(set) var hasSnapshot = false

  func snapshotBegins(_ header: SnapshotHeader) throws {
    hasSnapshot = true
    try recovery.snapshotBegins(header)
  }
  func snapshotRejected() {
    hasSnapshot = false
    recovery.snapshotRejected()
  }
  func chunk(kind: UInt32, _ body: UnsafeRawBufferPointer) throws { try recovery.chunk(kind: kind, body) }
  func batch(_ batch: Batch) throws { try recovery.batch(batch) }
  func finished() throws -> Engine { try recovery.finished() }
}

struct ReplayError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
