import NuvomModel

extension Engine {
  /// Ends a job's lease before its time, as if it had run out: for tests of what its worker does then. False if nobody holds the job.
  ///
  /// With `isReadyAtOnce` the job skips the wait before its next attempt, so that it can be delivered again while the first worker still
  /// runs it.
  package func endLease(of id: JobID, isReadyAtOnce: Bool, into outcome: inout Outcome) -> Bool {
    guard let job = fitting(id, .leased) else { return false }
    if isReadyAtOnce, !isOutOfAttempts(job) {
      record(.leaseExpired(id, .ready))
    } else {
      loseLease(id, into: &outcome)
    }
    if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
    return true
  }
}
