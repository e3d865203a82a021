import Foundation
import Synchronization

/// Runs the cases on `count` threads, and returns what became of them, in their order.
func inLanes<Case: Sendable, Outcome: Sendable>(
  _ count: Int, _ cases: [Case], _ body: @escaping @Sendable (Case) -> Outcome
) -> [Outcome] {
  let state = Lanes<Outcome>(cases: cases.count)
  let threads = DispatchGroup()
  for _ in 0..<max(1, count) {
    threads.enter()
    Thread.detachNewThread {
      while let index = state.next() { state.end(index, body(cases[index])) }
      threads.leave()
    }
  }
  threads.wait()
  return state.outcomes
}

/// Which cases are taken, and what became of them.
private final class Lanes<Outcome: Sendable>: Sendable {
  private struct State {
    var taken = 0
    var outcomes: [Outcome?]
  }

  private let state: Mutex<State>

  init(cases: Int) { state = Mutex(State(outcomes: Array(repeating: nil, count: cases))) }

  func next() -> Int? {
    state.withLock { state in
      guard state.taken < state.outcomes.count else { return nil }
      defer { state.taken += 1 }
      return state.taken
    }
  }

  func end(_ index: Int, _ outcome: Outcome) { state.withLock { $0.outcomes[index] = outcome } }

  var outcomes: [Outcome] { state.withLock { $0.outcomes.compactMap(\.self) } }
}
