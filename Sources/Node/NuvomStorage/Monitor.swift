import CPlatform
import Glibc

/// State behind a lock, and threads that wait until it is of interest to them.
///
/// `Synchronization.Mutex` cannot be waited on, and Dispatch or tasks would put a hop on the way of a commit; so this is pthread's pair of
/// mutex and condition. `@unchecked Sendable`: `state` is only touched with the mutex held.
final class Monitor<State>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var state: State

  init(_ state: State) {
    self.state = state
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Reads or changes the state without waking anyone.
  func withLock<R: ~Copyable, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&state)
  }

  /// Changes the state and wakes all that wait on it.
  func notify<R: ~Copyable, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    pthread_mutex_lock(mutex)
    defer {
      pthread_cond_broadcast(condition)
      pthread_mutex_unlock(mutex)
    }
    return try body(&state)
  }

  /// Wakes all that wait on the state.
  func wake() { pthread_cond_broadcast(condition) }

  /// What a waiting thread makes of the state.
  enum Interest<R> {
    /// It has what it waited for.
    case take(R)
    /// Look again after the next `notify`.
    case wait
    /// Look again after the next `notify`, and at this moment of the monotonic clock.
    case waitUntil(microseconds: Int64)
  }

  /// What `look` takes now, if it does.
  func poll<R>(_ look: (inout State) -> Interest<R>) -> R? {
    withLock { state in
      if case .take(let result) = look(&state) { result } else { nil }
    }
  }

  /// Waits until `look` takes something.
  func wait<R>(_ look: (inout State) -> Interest<R>) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      switch look(&state) {
      case .take(let result): return result
      case .wait: pthread_cond_wait(condition, mutex)
      case .waitUntil(let microseconds):
        var deadline = timespec(
          tv_sec: Int(microseconds / 1_000_000), tv_nsec: Int(microseconds % 1_000_000) * 1000)
        pthread_cond_timedwait(condition, mutex, &deadline)
      }
    }
  }
}

/// A thread of the operating system with one function to run.
struct Thread: Sendable {
  private let handle: pthread_t

  private final class Start {
    let name: String
    let run: @Sendable () -> Void
    init(name: String, run: @escaping @Sendable () -> Void) {
      self.name = name
      self.run = run
    }
  }

  /// Starts the thread; `name` has at most 15 bytes.
  init(name: String, _ run: @escaping @Sendable () -> Void) {
    let start = Unmanaged.passRetained(Start(name: name, run: run))
    var handle = pthread_t()
    let status = pthread_create(
      &handle, nil,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        nuvom_name_thread(start.name)
        start.run()
        return nil
      }, start.toOpaque())
    precondition(status == 0, "the system gives no thread (errno \(status))")
    self.handle = handle
  }

  /// Waits for the thread's end; once only.
  func join() { pthread_join(handle, nil) }
}
