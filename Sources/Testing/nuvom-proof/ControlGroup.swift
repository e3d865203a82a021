import Foundation
import Glibc

/// A control group with a limit of memory, in which one process lives: the kernel kills it if it grows beyond.
struct ControlGroup {
  private let folder: URL
  private let events: String

  /// Nil where this process may make none.
  init?(for pid: pid_t, limit: Int) {
    // The second version's hierarchy, or the first's.
    let isUnified = FileManager.default.fileExists(atPath: "/sys/fs/cgroup/cgroup.controllers")
    folder = URL(fileURLWithPath: "/sys/fs/cgroup\(isUnified ? "" : "/memory")/nuvom-proof-\(pid)")
    events = isUnified ? "memory.events" : "memory.oom_control"
    guard mkdir(folder.path, 0o755) == 0 else { return nil }
    guard write("\(limit)", to: isUnified ? "memory.max" : "memory.limit_in_bytes"), write("\(pid)", to: "cgroup.procs")
    else {
      remove()
      return nil
    }
  }

  /// Whether the kernel has killed for its limit.
  var killed: Bool {
    let events = (try? String(contentsOf: folder.appendingPathComponent(events), encoding: .utf8)) ?? ""
    return events.split(separator: "\n").contains { $0.hasPrefix("oom_kill ") && $0 != "oom_kill 0" }
  }

  /// When nothing lives in it any more.
  func remove() { rmdir(folder.path) }

  private func write(_ text: String, to file: String) -> Bool {
    guard let handle = FileHandle(forWritingAtPath: folder.appendingPathComponent(file).path) else { return false }
    defer { try? handle.close() }
    return (try? handle.write(contentsOf: Data(text.utf8))) != nil
  }
}
