import NuvomModel

/// What happened: the only thing that changes durable state, through `Engine.apply`.
///
/// A decision makes events; each is written to the log and applied at once. After a crash the same events are read from the log and
/// applied again, so an event says everything that the decision found out (ids, tokens, waits) and applying it decides nothing.
/// The time of an event is that of the `turn` before it.
enum Event {
  /// Where a job goes when an attempt of it has ended without success.
  enum Next {
    case ready
    case delayed(milliseconds: UInt64)
    case dead(DeadReason)
  }

  /// Why a finished job was dropped.
  enum Removal: UInt8 {
    /// It was kept for as long as it asked.
    case retentionOver = 1
    /// A dead letter, by age or because there were too many.
    case deadDropped = 2
    /// A dead letter that an operator deleted.
    case deadDeleted = 3
  }

  /// The answer that is remembered for a request of a client.
  enum Remembered {
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
  /// The time of the events that follow.
  case turn(Time)
  /// The broker started again: open leases run their full length, the rest of delays counts on from here.
  case resumed
}
