/// A place where a handler that is checked by ``checkIdempotence(of:_:observe:reset:)`` can be stopped, overtaken or crash, and where a second
/// worker can come between. To be called in the methods of a database in memory, or whatever else stands for the world in a test, where the real
/// one would wait:
/// ```swift
/// actor Charges {
///   private(set) var all: [Int] = []
///   func add(_ amount: Int) async {
///     await interruptionPoint()
///     all.append(amount)
///   }
/// }
/// ```
/// What a handler asks of the broker (`delay`, progress) is such a place by itself. Elsewhere it does nothing.
public func interruptionPoint() async { await Interruptions.current?.point() }

/// The interruption points of one run of a handler.
final class Interruptions: Sendable {
  /// Those of the handler that the present Swift task runs.
  @TaskLocal static var current: Interruptions?

  private struct State: Sendable {
    var points = 0
    var isHeld = false
    var isReleased = false
  }

  private let state = Watched(State())
  private let executor: any TaskExecutor
  /// Which of the points the run is held at; nil: at none.
  private let heldPoint: Int?

  init(heldAt point: Int?, on executor: any TaskExecutor) {
    heldPoint = point
    self.executor = executor
  }

  /// How many were passed, or reached.
  var points: Int { state.read(\.points) }

  func point() async {
    let number = state.change { state in
      state.points += 1
      return state.points
    }
    if number == heldPoint { await hold() } else { await Task.yield() }
  }

  /// Stays until ``release()``, whether the run is cancelled meanwhile or not: a machine that stands still hears of nothing.
  func hold() async {
    state.change { $0.isHeld = true }
    let released = Task(executorPreference: executor) { [state] in
      try await state.wait(until: \.isReleased, limit: .seconds(60)) { _ in "a held handler was not released" }
    }
    _ = await released.result
  }

  func release() { state.change { $0.isReleased = true } }

  func waitUntilHeld() async throws {
    try await state.wait(until: \.isHeld, limit: .seconds(30)) { state in
      "waited 30 s for the handler to reach an interruption point; it has reached \(state.points). "
        + "Does it do the same in each run, and never sleep on the manual clock?"
    }
  }
}
