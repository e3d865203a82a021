import BrokerProcess
import Foundation
import Synchronization

/// Counts the lines that all workers have written, from the bytes that they send into one pipe: the moment of a kill is an event, not a time.
final class Pulse: Sendable {
  private struct State {
    var count = 0
    var waiting: [(total: Int, reached: AsyncStream<Bool>.Continuation)] = []
  }

  private let state: Mutex<State>
  /// What workers get as their standard output.
  let writing: FileDescriptor

  init() throws {
    let pipe = try FileDescriptor.pipe()
    writing = pipe.writing
    state = Mutex(State())
    // A thread, since reading blocks. It ends when the last writing end does.
    Thread.detachNewThread { [reading = pipe.reading, weak self] in
      var bytes = [UInt8](repeating: 0, count: 4_096)
      while true {
        let count = read(reading.number, &bytes, bytes.count)
        guard count > 0 else { return }
        self?.add(count)
      }
    }
  }

  /// So many lines were written until now.
  var count: Int { state.withLock(\.count) }

  /// Waits until so many lines were written in all.
  /// - Throws: `CancellationError`; `BrokerFailure` if they are not after a minute, which stands for "never".
  func wait(until total: Int) async throws {
    let (stream, reached) = AsyncStream<Bool>.makeStream()
    state.withLock { state in
      if state.count >= total { reached.finish() } else { state.waiting.append((total, reached)) }
    }
    let patience = Task {
      try await Task.sleep(for: .seconds(60))
      reached.yield(false)
    }
    defer { patience.cancel() }
    for await _ in stream {
      throw BrokerFailure("\(count) lines were written, \(total) are waited for: workers stand still")
    }
    try Task.checkCancellation()
  }

  private func add(_ lines: Int) {
    state.withLock { state in
      state.count += lines
      for waiting in state.waiting where waiting.total <= state.count { waiting.reached.finish() }
      state.waiting.removeAll { $0.total <= state.count }
    }
  }
}
