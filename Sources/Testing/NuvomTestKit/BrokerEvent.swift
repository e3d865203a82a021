public import NuvomClient

/// Something that happened to a job on a ``TestBroker``.
public struct BrokerEvent: Hashable, Sendable {
  /// What can happen to a job.
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    /// It was taken in: it is ready, or delayed.
    case enqueued
    /// Its delay, or the wait before its next attempt, is over.
    case ready
    /// A worker holds it.
    case delivered
    /// Its lease was extended.
    case extended
    /// A worker did it.
    case acked
    /// A worker failed to do it.
    case nacked
    /// Its lease ran out.
    case leaseExpired
    /// A worker gave it back.
    case released
    /// It was cancelled, or purged.
    case cancelled
    /// It became a dead letter; follows what made it one.
    case dead
    /// A dead letter was made ready again.
    case replayed
    /// The broker keeps nothing of it any more.
    case removed
  }

  /// What happened.
  public let kind: Kind
  /// To which job.
  public let job: JobID
  /// When.
  public let instant: ManualClock.Instant
  /// Of a delivery: the lease under which the worker holds it.
  public let token: LeaseToken?
  /// Of `dead`: why.
  public let deadReason: DeadReason?

  init(
    _ kind: Kind, _ job: JobID, at instant: ManualClock.Instant, token: LeaseToken? = nil, deadReason: DeadReason? = nil
  ) {
    self.kind = kind
    self.job = job
    self.instant = instant
    self.token = token
    self.deadReason = deadReason
  }
}

extension BrokerEvent: CustomStringConvertible {
  /// `delivered 0000000000000001 at 10.0 seconds`.
  public var description: String { "\(kind.rawValue) \(job) at \(instant.sinceStart)" }
}
