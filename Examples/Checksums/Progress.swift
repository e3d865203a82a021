import Foundation

/// Shows how far the work is: on one line of a terminal, else on a line every two seconds.
struct Progress {
  let total: Int
  private let isTerminal = isatty(STDOUT_FILENO) == 1
  private var shown = ContinuousClock.now

  init(total: Int) { self.total = total }

  mutating func show(_ done: Int) {
    if isTerminal {
      let filled = total == 0 ? 20 : min(20, done * 20 / total)
      let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: 20 - filled)
      write("\r[\(bar)] \(done)/\(total)\u{1B}[K")
    } else if ContinuousClock.now - shown >= .seconds(2) {
      shown = .now
      tell("\(done)/\(total)")
    }
  }

  /// Something happened: a line of its own.
  func tell(_ line: String) { write("\(isTerminal ? "\r\u{1B}[K" : "")\(line)\n") }

  private func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
}
