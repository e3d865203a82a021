import BrokerProcess
import Foundation
import Synchronization

/// The most memory that a process has had resident. Looks every 20 ms from a thread of its own, until it is told to stop or the process is gone.
final class ResidentPeak: Sendable {
  private let peak = Mutex((bytes: 0, isOver: false))

  init(of pid: pid_t) {
    Thread.detachNewThread { [self] in
      while let now = try? BrokerProcess.residentBytes(of: pid), note(now) { pause(seconds: 0.02) }
    }
  }

  /// In bytes, since it was made or ``reset()``.
  var bytes: Int { peak.withLock { $0.bytes } }

  /// Begins anew.
  func reset() { peak.withLock { $0.bytes = 0 } }

  func stop() { peak.withLock { $0.isOver = true } }

  private func note(_ bytes: Int) -> Bool {
    peak.withLock { peak in
      peak.bytes = max(peak.bytes, bytes)
      return !peak.isOver
    }
  }
}
