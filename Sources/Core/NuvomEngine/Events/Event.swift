import NuvomModel

/// What happened: the only thing that changes durable state, through `Engine.apply`.
///
/// A decision makes events; each is written to the log and applied at once. After a crash the same events are read from the log and
/// applied again, so an event says everything that the decision found out (ids, tokens, waits) and applying it decides nothing.
/// The time of an event is that of the `turn` before it.
package enum Event {
  /// Where a job goes when an attempt of it has ended without success.
  package enum Next {
    case ready
    case delayed(milliseconds: UInt64)
    case dead(DeadReason)
  }

  /// Why a finished job was dropped.
  package enum Removal: UInt8 {
    /// It was kept for as long as it asked.
    case retentionOver = 1
    /// A dead letter, by age or because there were too many.
    case deadDropped = 2
    /// A dead letter that an operator deleted.
    case deadDeleted = 3
  }

  /// The answer that is remembered for a request of a client.
  package enum Remembered {
    /// Everything was done: `{}`.
    case done
    /// One job was enqueued (or was there before, if `duplicate`).
    case enqueued(JobID, duplicate: Bool)
    /// Anything else, as `AnswerRecord` writes it.
    case encoded(BorrowedBytes)
  }

  case queueNamed(UInt32, BorrowedBytes)
  case taskNamed(UInt32, BorrowedBytes)
  /// `start` is relative (on the boot clock) or absolute; `body` is as `JobBody` writes it.
  case enqueued(JobID, queue: UInt32, priority: UInt8, start: Moment, body: BorrowedBytes)
  /// The key of a job that was just enqueued; `slot` and `generation` are the key's own.
  case keyTaken(slot: UInt32, generation: UInt32, JobID, windowMilliseconds: UInt64, key: BorrowedBytes)
  case keyFreed(slot: UInt32)
  /// A delayed job's time has come.
  case becameReady(JobID)
  case leased(JobID, LeaseToken, leaseMilliseconds: UInt32)
  case extended(JobID, leaseMilliseconds: UInt32)
  case acked(JobID, result: BorrowedBytes?)
  case nacked(JobID, Next, type: BorrowedBytes, message: BorrowedBytes, trace: BorrowedBytes)
  case leaseExpired(JobID, Next)
  case released(JobID, delayMilliseconds: UInt64)
  case cancelled(JobID)
  /// Not started in time.
  case expired(JobID)
  case removed(JobID, Removal)
  case deadReplayed(JobID)
  case queuePaused(UInt32, Bool)
  case clientNamed(slot: UInt32, generation: UInt32, BorrowedBytes)
  case clientForgotten(slot: UInt32)
  case answered(client: UInt32, RequestID, Remembered)
  /// A time zone that schedules name; the fingerprint is that of its rules.
  case zoneNamed(UInt32, fingerprint: UInt64, BorrowedBytes)
  /// The zone's rules are others now. The due times that follow from that are events of their own.
  case zoneChanged(UInt32, fingerprint: UInt64)
  /// A schedule was made; `stamp` is as in `ScheduleRecord`, `body` as `ScheduleBody` writes it. Times are wall ms, as in all that follow.
  case scheduled(slot: UInt32, generation: UInt32, stamp: Int64, next: Int64?, body: BorrowedBytes)
  /// A schedule was defined anew. Of its due times that had passed so many, up to `last`, are missed by that.
  case rescheduled(slot: UInt32, stamp: Int64, next: Int64?, missed: UInt32, last: Int64?, body: BorrowedBytes)
  /// A schedule's job was enqueued for a due time, and the schedule moved on. So many due times before it passed without a fire.
  case fired(slot: UInt32, JobID, due: Int64, next: Int64?, missed: UInt32)
  /// Due times up to `last` passed without a fire.
  case firesMissed(slot: UInt32, count: UInt32, last: Int64, next: Int64?)
  /// A fire enqueued nothing because the job before is not finished.
  case fireSkipped(slot: UInt32, due: Int64, next: Int64?, missed: UInt32)
  /// A fire waits for the job before to finish.
  case fireBuffered(slot: UInt32, due: Int64, next: Int64?, missed: UInt32)
  /// A schedule's job was enqueued by hand.
  case scheduleTriggered(slot: UInt32, JobID, due: Int64)
  case schedulePaused(slot: UInt32, Bool)
  /// The next due time is another, since the rules of the time zone changed.
  case scheduleMoved(slot: UInt32, next: Int64?)
  /// Deleted, or known long enough after it was finished.
  case scheduleRemoved(slot: UInt32)
  /// The time of the events that follow.
  case turn(Time)
  /// The log was damaged, and batches of it are lost: what they may have given out is never given out again. Ids of jobs begin at this
  /// generation in every slot, tokens at this one.
  case salvaged(generation: UInt32, token: LeaseToken)
  /// The broker started again: open leases run their full length, the rest of delays counts on from here.
  case resumed

  /// Reads the events of a batch's body, in order. False, with what was read until then, if the bytes are no events.
  package static func forEach(in batch: BorrowedBytes, partition: UInt8 = 0, _ body: (Event) -> Void) -> Bool {
    var reader = EventReader(batch)
    while !reader.isAtEnd {
      guard let event = Event.read(from: &reader, partition: partition) else { return false }
      body(event)
    }
    return !reader.isDamaged
  }
}
