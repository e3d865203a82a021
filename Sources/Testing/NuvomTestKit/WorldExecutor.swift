import Dispatch
import Synchronization

/// Runs the tasks of a test's world one after the other, in the order in which they could go on, and knows when none of them can.
///
/// That is what makes a manual clock deterministic: it moves when everything that the last step woke has run to where it waits for something
/// else. Yielding a number of times and hoping, as is done where nobody counts, depends on the machine's load.
final class WorldExecutor: TaskExecutor {
  private struct State {
    /// Pieces of tasks that are queued or running.
    var runnable = 0
    /// Those that wait for the moment in which nothing is.
    var waiting: [UnsafeContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())
  private let queue = DispatchQueue(label: "nuvom.testkit")

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    state.withLock { $0.runnable += 1 }
    queue.async {
      job.runSynchronously(on: self.asUnownedTaskExecutor())
      self.ended()
    }
  }

  private func ended() {
    let next = state.withLock { state -> UnsafeContinuation<Void, Never>? in
      state.runnable -= 1
      guard state.runnable == 0, !state.waiting.isEmpty else { return nil }
      return state.waiting.removeFirst()
    }
    next?.resume()
  }

  /// Whether the calling task runs here.
  private var isCurrent: Bool {
    withUnsafeCurrentTask { task in task?.unownedTaskExecutor == asUnownedTaskExecutor() }
  }

  /// Returns when no task of the world can go on: each waits for the broker, the clock, or for something outside that nobody here knows of.
  func quiet() async {
    // A task from elsewhere may have begun others there. Nobody counts those: they get a chance, and no more.
    if !isCurrent { for _ in 0..<16 { await Task.yield() } }
    await withUnsafeContinuation { continuation in
      let isQuiet = state.withLock { state in
        if state.runnable == 0 { return true }
        state.waiting.append(continuation)
        return false
      }
      if isQuiet { continuation.resume() }
    }
  }
}
