import Synchronization

/// A clock that stands still until a test moves it.
///
/// Whatever sleeps on it wakes in the order of its deadline while the clock moves, and has run to its next wait before the next one wakes:
/// ```swift
/// await clock.advance(by: .seconds(600))   // what is due after 10 s is done before what is due after 20 s begins
/// ```
/// That is certain for tasks that run in ``TestBroker/run(clock:_:)``, where it is known whether any of them can go on. Elsewhere other tasks
/// are given several chances, and a test should wait for what it needs: ``sleepers(atLeast:limit:)``, ``TestBroker/expect(_:_:times:limit:)``.
public final class ManualClock: Clock, Sendable {
  /// A point in the clock's time.
  public struct Instant: InstantProtocol {
    /// Since the clock's beginning.
    public var sinceStart: Duration

    /// So long after the clock's beginning.
    public init(sinceStart: Duration) { self.sinceStart = sinceStart }

    /// Later by a duration.
    public func advanced(by duration: Duration) -> Instant { Instant(sinceStart: sinceStart + duration) }
    /// From here to another point.
    public func duration(to other: Instant) -> Duration { other.sinceStart - sinceStart }
    /// By time.
    public static func < (one: Instant, other: Instant) -> Bool { one.sinceStart < other.sinceStart }
  }

  /// What sleeps in it is woken when it ends: a worker that is stopped waits for nothing on a clock that nobody moves any more.
  final class Scope: Sendable {
    /// That of the present Swift task, and of those that it makes.
    @TaskLocal static var current: Scope?
    fileprivate let isEnded = Mutex(false)
  }

  private struct Sleeper {
    let id: UInt64
    let scope: Scope?
    let deadline: Instant
    let continuation: UnsafeContinuation<Bool, Never>
  }

  private struct State: Sendable {
    var now = Instant(sinceStart: .zero)
    /// In the order in which they came.
    var sleepers: [Sleeper] = []
    /// Cancelled before they slept.
    var cancelled: Set<UInt64> = []
    var lastID: UInt64 = 0
    var timers: [Timers] = []
  }

  /// Weak: those timers know the clock.
  private struct Timers: Sendable {
    weak var timers: (any WorldTimers)?
  }

  private let state = Watched(State())
  let executor = WorldExecutor()

  /// A clock at zero.
  public init() {}

  /// Where the clock stands.
  public var now: Instant { state.read(\.now) }
  /// Any duration counts.
  public var minimumResolution: Duration { .zero }

  /// Waits until the clock was moved to the deadline. At once if it is there.
  /// - Throws: `CancellationError`.
  public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
    try Task.checkCancellation()
    let id = state.change { state in
      state.lastID += 1
      return state.lastID
    }
    let isOver = await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        let sleeper = Sleeper(id: id, scope: Scope.current, deadline: deadline, continuation: continuation)
        state.change { state in
          let isEnded = sleeper.scope?.isEnded.withLock(\.self) ?? false
          if state.cancelled.remove(id) != nil || isEnded {
            continuation.resume(returning: false)
          } else if deadline <= state.now {
            continuation.resume(returning: true)
          } else {
            state.sleepers.append(sleeper)
          }
        }
      }
    } onCancel: {
      state.change { state in
        if let index = state.sleepers.firstIndex(where: { $0.id == id }) {
          state.sleepers.remove(at: index).continuation.resume(returning: false)
        } else {
          state.cancelled.insert(id)
        }
      }
    }
    if isOver {
      // A cancellation may come when the sleep is over already.
      state.change { _ = $0.cancelled.remove(id) }
    } else {
      throw CancellationError()
    }
  }

  // MARK: Moving it

  /// Moves the clock, stopping at each deadline on the way: the broker's timers and what sleeps on the clock happen in their order, and all that
  /// follows from one has happened before the next. Returns when all that follows from the last has.
  ///
  /// - Parameter duration: zero does what is due now.
  public func advance(by duration: Duration) async { await advance(to: now.advanced(by: duration)) }

  /// Moves the clock to a point in its time, as ``advance(by:)`` does. A point in the past does what is due now.
  public func advance(to target: Instant) async {
    await settle()
    while fireNext(upTo: target) { await settle() }
    state.change { state in state.now = max(state.now, target) }
  }

  /// Returns when everything that runs in the clock's world waits: for the broker, for this clock, or for something outside of it.
  public func settle() async { await executor.quiet() }

  /// How many tasks sleep on the clock.
  public var sleepers: Int { state.read { $0.sleepers.count } }

  /// Waits until so many tasks sleep on the clock.
  ///
  /// - Parameters:
  ///   - count: how many.
  ///   - limit: in the machine's time; only a test that would never end meets it.
  /// - Throws: ``TestBrokerError`` at the limit; `CancellationError`.
  public func sleepers(atLeast count: Int, limit: Duration = .seconds(30)) async throws {
    try await state.wait(until: { $0.sleepers.count >= count }, limit: limit) { state in
      "waited \(limit) for \(count) tasks to sleep on the clock; \(state.sleepers.count) do"
    }
  }

  // MARK: Its world

  /// Ends what sleeps in a scope, and what will, as if it were cancelled.
  func end(_ scope: Scope) {
    state.change { state in
      scope.isEnded.withLock { $0 = true }
      for sleeper in state.sleepers where sleeper.scope === scope { sleeper.continuation.resume(returning: false) }
      state.sleepers.removeAll { $0.scope === scope }
    }
  }

  /// Lets the clock move timers that are not tasks.
  func move(_ timers: any WorldTimers) { state.change { $0.timers.append(Timers(timers: timers)) } }

  /// Does the one thing that is due first; false if nothing is until then. What is due at the same time happens in the order in which it was
  /// begun, the broker's first.
  private func fireNext(upTo target: Instant) -> Bool {
    var due: (any WorldTimers)?
    var first = target
    // Not under the clock's lock: the broker asks for the time.
    for timers in state.read({ $0.timers.compactMap(\.timers) }) {
      guard let next = timers.nextDue(by: target), due == nil || next < first else { continue }
      (due, first) = (timers, next)
    }
    let isSleeper = state.change { state in
      let next = state.sleepers.indices.min { state.sleepers[$0].deadline < state.sleepers[$1].deadline }
      if let next, state.sleepers[next].deadline < first || (due == nil && state.sleepers[next].deadline <= first) {
        let sleeper = state.sleepers.remove(at: next)
        state.now = max(state.now, sleeper.deadline)
        sleeper.continuation.resume(returning: true)
        return true
      }
      if due != nil { state.now = max(state.now, first) }
      return false
    }
    if isSleeper { return true }
    due?.fireDue()
    return due != nil
  }
}

/// Timers that the clock moves beside those that sleep on it.
protocol WorldTimers: AnyObject, Sendable {
  /// When they are due next, if not after a point in time.
  func nextDue(by target: ManualClock.Instant) -> ManualClock.Instant?
  /// Does what is due now.
  func fireDue()
}
