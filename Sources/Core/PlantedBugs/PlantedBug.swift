/// An error planted on purpose, to see whether the proof finds it: a net in which a bug like this is not caught has a hole.
///
/// Only builds with the trait `Proof` have any; in all others ``isPlanted`` is false for the compiler, and nothing of them is left.
public enum PlantedBug: String, CaseIterable, Sendable {
  // What is told before it is true, or forgotten.
  case replyBeforeCommit, syncForgotten, ackNotLogged, batchWithoutRoomDropped, failedSyncTriedAgain
  // Files.
  case directorySyncForgotten, segmentHeaderNotSynced, tailCopyNotSynced, snapshotNotSynced, snapshotAheadOfLog
  case segmentsRemovedEarly, durableMarkTooHigh
  // Recovery.
  case recoverySkipsBatch, answersForgottenAtRestart, leaseOverAtRestart, delayOverAtRestart, firedAgainAtRestart
  // Leases, tokens and attempts.
  case leaseCheckDropped, leaseEndsEarly, tokenReused, releaseCounted, attemptsUnlimited
  // What is asked and not done.
  case retryDoneAgain, leasedNotCancelled, uniqueKeyIgnored, expiryIgnored, pauseIgnored, priorityIgnored, payloadCut
  case deadLetterDropped, fireNotAdvanced

  #if Proof
    /// The one that is planted. Set before a broker is made, and by nobody while one runs; so it needs no lock.
    nonisolated(unsafe) public static var present: PlantedBug?

    /// Whether this one is planted.
    @inlinable public var isPlanted: Bool { Self.present == self }
  #else
    /// Whether this one is planted.
    @inlinable @inline(__always) public var isPlanted: Bool { false }
  #endif
}
