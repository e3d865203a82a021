import ArgumentParser
import Glibc

/// What a part of the proof says: plain lines as it goes, and at the end whether every promise held.
final class Findings {
  private let part: String
  private var failures: [String] = []

  init(of part: String) { self.part = part }

  /// Prints a line at once: who waits for minutes wants to see where it is.
  func say(_ line: String) {
    print(line)
    fflush(nil)
  }

  /// A promise was broken. It goes on, since the next ones may be broken too.
  func fail(_ line: String) {
    failures.append(line)
    say("FAILED: \(line)")
  }

  /// The same, if the condition does not hold.
  func expect(_ condition: Bool, _ line: @autoclosure () -> String) {
    if !condition { fail(line()) }
  }

  /// The last line, and the exit status.
  func close() throws {
    guard failures.isEmpty else {
      say("FAILED: \(part): \(failures.count) promises broken")
      throw ExitCode(1)
    }
    say("ok: \(part)")
  }
}
