/// A rule that a history has broken.
package struct Complaint: Equatable, Sendable, CustomStringConvertible {
  package let rule: Rule
  /// A sentence with the ids or names that it is about.
  package let text: String
  package var description: String { "\(rule): \(text)" }

  /// What a history is held to. "Surely" means: for every order of things inside the broker that agrees with the times at which clients sent
  /// and received. What may or may not have happened (an operation without an answer, or answered STORAGE_UNKNOWN) is taken either way.
  package enum Rule: String, CaseIterable, Sendable {
    /// An acknowledged job is there until something finishes it: when it is looked for, it is known, or was acked, cancelled, purged or
    /// deleted. What was once gone does not come back.
    case lost
    /// A job carries the bytes that it was enqueued with, or those of its schedule.
    case payload
    /// After an acknowledged ack there is no later delivery, and the job is not there any more unless it is kept, as succeeded.
    case done
    /// Tokens rise with every delivery, and none is given twice.
    case tokens
    /// Attempts begin at 1 and never fall. A nack and a lease that ran out use one up, a release none, nothing uses two; none is above the
    /// job's maximum.
    case attempts
    /// No delivery begins while another's lease surely lasts: from when it surely began for its full time, or what an extend made of it. Only
    /// a nack or release may end it before.
    case lease
    /// A token is of no use when a later one was received before it was sent, or when it was settled.
    case oldToken
    /// One lease is settled once.
    case settledTwice
    /// A settlement is not refused while the lease surely lasts and nothing else can have ended it; nor for a cancel that nobody sent.
    case refusedInTime
    /// After an acknowledged cancel the job is neither delivered nor settled; what was done before is not cancelled.
    case cancelled
    /// A request that is sent again is answered as before, and what was done is never refused.
    case retry
    /// An operation without an answer happened not at all or once: its payload is under at most one job.
    case twice
    /// Two enqueues are never given one job's id; a job is enqueued by a client or by a schedule, and stays it.
    case ids
    /// Within its window a unique key enqueues one job, and duplicates are answered with its id.
    case unique
    /// Nothing is delivered before its delay is over.
    case early
    /// A state that a job is seen in is one that something has brought it to.
    case state
    /// Each due time of a schedule enqueues one job.
    case fireTwice
    /// A schedule that fires all has fired every due time from the first that was promised to the last that is counted; what is counted as
    /// fired has been delivered.
    case fireGap
    /// The broker remembers a client's highest changing request.
    case remembered
    /// Answers are to requests, and have what was asked for.
    case protocolOrder
  }
}
