import Dispatch
import Glibc
import Synchronization

/// What must not stay behind in the system, also when this program is told to end.
enum Leftovers {
  /// Names one of them.
  struct Ticket {
    fileprivate let number: Int
  }

  private struct State {
    var last = 0
    var clearings: [Int: @Sendable () -> Void] = [:]
    var sources: [any DispatchSourceSignal] = []
  }

  private static let state = Mutex(State())

  /// There is something, and this is how it goes.
  static func add(_ clear: @escaping @Sendable () -> Void) -> Ticket {
    state.withLock { state in
      if state.sources.isEmpty { state.sources = [SIGINT, SIGTERM, SIGHUP].map(watch) }
      state.last += 1
      state.clearings[state.last] = clear
      return Ticket(number: state.last)
    }
  }

  /// Lets it go.
  static func clear(_ ticket: Ticket) { state.withLock { $0.clearings.removeValue(forKey: ticket.number) }?() }

  private static func watch(_ number: Int32) -> any DispatchSourceSignal {
    signal(number, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
    source.setEventHandler {
      let clearings = state.withLock { $0.clearings.sorted { $0.key > $1.key }.map(\.value) }
      for clear in clearings { clear() }
      _exit(128 + number)
    }
    source.resume()
    return source
  }
}
