import Synchronization

/// How many more jobs may run. One task waits for a free slot, one for all to be free.
final class Slots: Sendable {
  private struct State {
    var free: Int
    var waiting: CheckedContinuation<Void, Never>?
    var waitingForAll: CheckedContinuation<Void, Never>?
  }

  private let total: Int
  private let state: Mutex<State>

  init(_ total: Int) {
    self.total = total
    state = Mutex(State(free: total))
  }

  /// Waits until a slot is free.
  /// - Returns: how many are.
  /// - Throws: `CancellationError`.
  func waitForFree() async throws -> Int {
    while true {
      try Task.checkCancellation()
      let free = state.withLock(\.free)
      if free > 0 { return free }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          let isFree = state.withLock { state in
            // What happened since the look above is seen here.
            if state.free > 0 || Task.isCancelled { return true }
            state.waiting = continuation
            return false
          }
          if isFree { continuation.resume() }
        }
      } onCancel: {
        wake()
      }
    }
  }

  func take() { state.withLock { $0.free -= 1 } }

  func giveBack() {
    state.withLock { $0.free += 1 }
    wake()
    let waiting: CheckedContinuation<Void, Never>? = state.withLock { state in
      guard state.free == total else { return nil }
      defer { state.waitingForAll = nil }
      return state.waitingForAll
    }
    waiting?.resume()
  }

  func waitUntilAllFree() async {
    await withCheckedContinuation { continuation in
      let isFree = state.withLock { state in
        if state.free == total { return true }
        state.waitingForAll = continuation
        return false
      }
      if isFree { continuation.resume() }
    }
  }

  private func wake() {
    state.withLock { state in
      defer { state.waiting = nil }
      return state.waiting
    }?.resume()
  }
}
