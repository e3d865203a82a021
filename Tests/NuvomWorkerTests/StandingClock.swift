import Synchronization

/// A clock that stands still: who sleeps by it sleeps until it is cancelled.
final class StandingClock: Clock, Sendable {
  struct Instant: InstantProtocol {
    var offset = Duration.zero
    func advanced(by duration: Duration) -> Instant { Instant(offset: offset + duration) }
    func duration(to other: Instant) -> Duration { other.offset - offset }
    static func < (left: Instant, right: Instant) -> Bool { left.offset < right.offset }
  }

  private let deadlines = Mutex<Set<Instant>>([])

  var now: Instant { Instant() }
  var minimumResolution: Duration { .nanoseconds(1) }

  func sleep(until deadline: Instant, tolerance: Duration?) async throws {
    guard deadline > now else { return }
    _ = deadlines.withLock { $0.insert(deadline) }
    let (stream, continuation) = AsyncStream<Never>.makeStream()
    for await _ in stream {}
    continuation.finish()
    try Task.checkCancellation()
  }

  /// Whether anybody has begun to sleep for so long.
  func hasSleeper(for duration: Duration) -> Bool { deadlines.withLock { $0.contains(Instant(offset: duration)) } }
}
