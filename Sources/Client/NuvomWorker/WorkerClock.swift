/// A clock whose times are durations since the worker was made: any clock's instants can be compared so.
struct WorkerClock: Sendable {
  private let elapsed: @Sendable () -> Duration
  private let wait: @Sendable (Duration) async throws -> Void

  init(_ clock: any Clock<Duration>) { self = Self.opened(clock) }

  private static func opened<C: Clock<Duration>>(_ clock: C) -> WorkerClock {
    let start = clock.now
    return WorkerClock(
      elapsed: { start.duration(to: clock.now) },
      wait: { try await clock.sleep(until: clock.now.advanced(by: $0), tolerance: nil) })
  }

  private init(
    elapsed: @escaping @Sendable () -> Duration, wait: @escaping @Sendable (Duration) async throws -> Void
  ) {
    self.elapsed = elapsed
    self.wait = wait
  }

  var now: Duration { elapsed() }

  /// - Throws: `CancellationError`.
  func sleep(_ duration: Duration) async throws { try await wait(duration) }
}
