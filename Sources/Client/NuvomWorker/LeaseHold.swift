import Synchronization

/// When a lease must be renewed and when it ends, by the worker's clock. It ends a little later here than at the broker, which refuses what
/// comes too late.
final class LeaseHold: Sendable {
  private struct State {
    var renewAt: Duration
    var endsAt: Duration
  }

  private let state: Mutex<State>

  init(renewAt: Duration, endsAt: Duration) {
    state = Mutex(State(renewAt: renewAt, endsAt: endsAt))
  }

  var endsAt: Duration { state.withLock(\.endsAt) }

  /// When there is something to do.
  var nextDue: Duration { state.withLock { min($0.renewAt, $0.endsAt) } }

  /// Whether it is time to renew; if so, the next time is a little later, should this one get no answer.
  func beginRenewal(now: Duration, retryAfter: Duration) -> Bool {
    state.withLock { state in
      guard now >= state.renewAt else { return false }
      state.renewAt = now + retryAfter
      return true
    }
  }

  func renewed(endsAt: Duration, renewAt: Duration) {
    state.withLock { state in
      state.endsAt = max(state.endsAt, endsAt)
      state.renewAt = max(state.renewAt, renewAt)
    }
  }
}
