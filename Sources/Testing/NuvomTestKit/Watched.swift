import Dispatch
import Synchronization

/// A state behind a lock, and the tasks that wait until something is true of it. Whoever changes it wakes those whose wish came true.
final class Watched<State: Sendable>: Sendable {
  private struct Waiter {
    let isTrue: @Sendable (State) -> Bool
    let continuation: UnsafeContinuation<WaitEnd, Never>
  }

  private enum WaitEnd {
    case isTrue
    case cancelled
    case tooLong
  }

  private struct Contents {
    var state: State
    var waiters: [(id: UInt64, waiter: Waiter)] = []
    /// Cancelled before they waited.
    var cancelled: Set<UInt64> = []
    var lastID: UInt64 = 0

    /// False if nobody of this number waits.
    @discardableResult
    mutating func end(_ id: UInt64, _ end: WaitEnd) -> Bool {
      guard let index = waiters.firstIndex(where: { $0.id == id }) else { return false }
      waiters.remove(at: index).waiter.continuation.resume(returning: end)
      return true
    }
  }

  private let contents: Mutex<Contents>

  init(_ state: State) { contents = Mutex(Contents(state: state)) }

  func read<Value>(_ body: (State) -> Value) -> Value { contents.withLock { body($0.state) } }

  /// Changes the state, and wakes those who waited for what it is now, in the order in which they came.
  func change<Value>(_ body: (inout State) -> Value) -> Value {
    contents.withLock { contents in
      let value = body(&contents.state)
      if !contents.waiters.isEmpty {
        contents.waiters.removeAll { _, waiter in
          guard waiter.isTrue(contents.state) else { return false }
          waiter.continuation.resume(returning: .isTrue)
          return true
        }
      }
      return value
    }
  }

  /// Waits until something is true.
  ///
  /// - Parameters:
  ///   - limit: in the machine's time, so that a test that waits for what never comes ends, and says why.
  ///   - explanation: what is known when that happens.
  /// - Throws: ``TestBrokerError``; `CancellationError`.
  func wait(
    until isTrue: @escaping @Sendable (State) -> Bool, limit: Duration, explanation: (State) -> String
  ) async throws {
    let id = contents.withLock { contents in
      contents.lastID += 1
      return contents.lastID
    }
    let end = await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        start(id, Waiter(isTrue: isTrue, continuation: continuation), limit)
      }
    } onCancel: {
      cancel(id)
    }
    // A cancellation may come when the wait is over already.
    contents.withLock { _ = $0.cancelled.remove(id) }
    switch end {
    case .isTrue: return
    case .cancelled: throw CancellationError()
    case .tooLong: throw TestBrokerError(read(explanation))
    }
  }

  private func start(_ id: UInt64, _ waiter: Waiter, _ limit: Duration) {
    let isWaiting = contents.withLock { contents in
      if contents.cancelled.remove(id) != nil {
        waiter.continuation.resume(returning: .cancelled)
        return false
      }
      if waiter.isTrue(contents.state) {
        waiter.continuation.resume(returning: .isTrue)
        return false
      }
      contents.waiters.append((id, waiter))
      return true
    }
    guard isWaiting else { return }
    DispatchQueue.global().asyncAfter(deadline: limit.fromNow) { [weak self] in
      self?.contents.withLock { _ = $0.end(id, .tooLong) }
    }
  }

  private func cancel(_ id: UInt64) {
    contents.withLock { contents in
      if !contents.end(id, .cancelled) { contents.cancelled.insert(id) }
    }
  }
}

extension Duration {
  /// When it has passed from now on, in the machine's time; at most in a day.
  var fromNow: DispatchTime { .now() + .nanoseconds(Int(Swift.min(self, .seconds(86_400)) / .nanoseconds(1))) }
}
