import NuvomModel

/// What happened to one job, for somebody who reads the log's batches as they are written. The rest of a batch (names, keys, clients'
/// answers) is left out.
package struct JobEvent: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    case enqueued, becameReady, leased(LeaseToken), extended, acked, nacked, leaseExpired, released, cancelled, expired
    case replayed
    /// Its retention is over, or an operator deleted it.
    case removed
  }

  package let id: JobID
  package let kind: Kind
  /// Why the job is a dead letter, if it became one by this.
  package let deadReason: DeadReason?

  /// The events of a batch's body. Nil if the bytes are no events.
  package static func all(in batch: BorrowedBytes, partition: UInt8 = 0) -> [JobEvent]? {
    var all: [JobEvent] = []
    let isRead = Event.forEach(in: batch, partition: partition) { event in
      if let event = JobEvent(event) { all.append(event) }
    }
    return isRead ? all : nil
  }

  init?(_ event: Event) {
    var deadReason: DeadReason?
    switch event {
    case .enqueued(let id, _, _, _, _): (self.id, kind) = (id, .enqueued)
    case .becameReady(let id): (self.id, kind) = (id, .becameReady)
    case .leased(let id, let token, _): (self.id, kind) = (id, .leased(token))
    case .extended(let id, _): (self.id, kind) = (id, .extended)
    case .acked(let id, _): (self.id, kind) = (id, .acked)
    case .nacked(let id, let next, _, _, _):
      (self.id, kind) = (id, .nacked)
      deadReason = next.deadReason
    case .leaseExpired(let id, let next):
      (self.id, kind) = (id, .leaseExpired)
      deadReason = next.deadReason
    case .released(let id, _): (self.id, kind) = (id, .released)
    case .cancelled(let id): (self.id, kind) = (id, .cancelled)
    case .expired(let id):
      (self.id, kind) = (id, .expired)
      deadReason = .expired
    case .removed(let id, _): (self.id, kind) = (id, .removed)
    case .deadReplayed(let id): (self.id, kind) = (id, .replayed)
    case .fired(_, let id, _, _, _), .scheduleTriggered(_, let id, _): (self.id, kind) = (id, .enqueued)
    case .queueNamed, .taskNamed, .keyTaken, .keyFreed, .queuePaused, .clientNamed, .clientForgotten, .answered, .turn,
      .resumed, .zoneNamed, .zoneChanged, .scheduled, .rescheduled, .firesMissed, .fireSkipped, .fireBuffered,
      .schedulePaused, .scheduleMoved, .scheduleRemoved, .salvaged:
      return nil
    }
    self.deadReason = deadReason
  }
}

extension Event.Next {
  fileprivate var deadReason: DeadReason? {
    if case .dead(let reason) = self { reason } else { nil }
  }
}
