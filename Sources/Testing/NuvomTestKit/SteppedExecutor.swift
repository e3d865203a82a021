import Synchronization

/// Runs one handler on its world's executor, a step at a time: a step is what runs from one wait to the next. It can hold the handler before
/// one of its steps, as a machine that stops does, or one that is slow at the worst moment.
final class SteppedExecutor: TaskExecutor {
  private struct State {
    var steps = 0
    var held: [UnownedJob] = []
    var isReleased = false
  }

  private let world: WorldExecutor
  /// Steps that are run before the handler is held.
  private let limit: Int
  private let whenHeld: @Sendable () -> Void
  private let state = Mutex(State())

  init(_ world: WorldExecutor, holdAfter limit: Int, whenHeld: @escaping @Sendable () -> Void) {
    self.world = world
    self.limit = limit
    self.whenHeld = whenHeld
  }

  /// Steps that have begun, or wait to be run.
  var steps: Int { state.withLock(\.steps) }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let isHeld = state.withLock { state in
      if state.steps >= limit, !state.isReleased {
        state.held.append(job)
        return true
      }
      state.steps += 1
      return false
    }
    if isHeld { whenHeld() } else { world.run(job, for: self) }
  }

  /// Goes on with what was held, and holds nothing more.
  func release() {
    let held = state.withLock { state in
      state.isReleased = true
      defer { state.held = [] }
      return state.held
    }
    for job in held { world.run(job, for: self) }
  }
}
