import Dispatch
import Synchronization

/// A value that another thread tells once.
final class Signal<Value: Sendable>: Sendable {
  private let value = Mutex<Value?>(nil)
  private let told = DispatchSemaphore(value: 0)

  func tell(_ new: Value) {
    value.withLock { $0 = new }
    told.signal()
  }

  func wait() -> Value {
    while true {
      told.wait()
      if let value = value.withLock({ $0 }) { return value }
    }
  }
}
