import NuvomEngine
import NuvomModel
import NuvomStorage
import NuvomWAL

/// A storage that keeps nothing, and tells what it was given: a broker's events, in the order of its log, before anybody is answered.
final class EventTap: Storage {
  private let tell: (JobEvent) -> Void
  private(set) var lastSequence: UInt64 = 0
  var snapshotEstimate = 0

  init(_ tell: @escaping (JobEvent) -> Void) { self.tell = tell }

  func submit(_ batch: inout BatchBuffer, at time: LogTime, isBusy: Bool) -> CommitProgress {
    guard let events = batch.withBody({ JobEvent.all(in: $0) }) else {
      preconditionFailure("an engine writes nothing but events")
    }
    batch.removeAll()
    lastSequence += 1
    events.forEach(tell)
    return .finished(.done(lastSequence))
  }

  func retry() -> CommitProgress { .finished(.done(lastSequence)) }
  func room(at time: LogTime) -> Int { .max }
  var isSnapshotDue: Bool { false }

  func beginSnapshot(
    at time: LogTime, ready: @escaping @Sendable () -> Void,
    completion: @escaping @Sendable (Result<SnapshotInfo, StorageError>) -> Void
  ) -> (any SnapshotFeed)? { nil }

  func seal(at time: LogTime) throws(StorageError) {}
  func close() {}
  var counters: StorageCounters { StorageCounters() }
}
