import BrokerProcess
import Foundation
import Glibc

/// An attack under way, in a process of its own.
final class Attackers {
  private let process: SpawnedProcess
  private var input: FileDescriptor?
  private let output: FileDescriptor
  private let errors: URL
  private var text: [UInt8] = []

  /// Starts it. `arguments` are those of ``AttackerCommand``.
  init(_ attack: Attack, count: Int, port: UInt16, folder: URL, _ arguments: [String] = []) throws {
    let toIt = try FileDescriptor.pipe()
    let fromIt = try FileDescriptor.pipe()
    errors = folder.appendingPathComponent("attackers-\(UUID().uuidString).txt")
    process = try SpawnedProcess(
      "/proc/self/exe",
      ["attacker", "--attack", attack.rawValue, "--port", "\(port)", "--count", "\(count)"] + arguments,
      input: toIt.reading, output: fromIt.writing, errors: errors)
    input = toIt.writing
    output = fromIt.reading
  }

  var pid: pid_t { process.pid }

  /// The number behind `name` in the next line that begins with it. Fails if that takes longer than `seconds`, or if the attackers end before.
  @discardableResult
  func wait(for name: String, seconds: Double) throws -> Int {
    let deadline = monotonicMicroseconds() + Int64(seconds * 1_000_000)
    while monotonicMicroseconds() < deadline {
      guard let line = try nextLine(until: deadline) else { break }
      let words = line.split(separator: " ")
      if words.first == name[...] { return words.count > 1 ? Int(words[1]) ?? 0 : 0 }
    }
    let said = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
    throw BrokerFailure("the attackers did not say \(name) within \(seconds) s\(said.isEmpty ? "" : ": \(said)")")
  }

  /// Ends them; what came of it, by name.
  func end() throws -> [String: Int] {
    input = nil
    var counts: [String: Int] = [:]
    let deadline = monotonicMicroseconds() + 30_000_000
    while let line = try nextLine(until: deadline) {
      let words = line.split(separator: " ")
      if words.count == 2, let number = Int(words[1]) { counts[String(words[0]), default: 0] += number }
    }
    guard process.waitForExit() == 0 else {
      throw BrokerFailure("the attackers failed: \((try? String(contentsOf: errors, encoding: .utf8)) ?? "")")
    }
    return counts
  }

  /// Nil at the end of what they say.
  private func nextLine(until deadline: Int64) throws -> String? {
    while true {
      if let end = text.firstIndex(of: UInt8(ascii: "\n")) {
        defer { text.removeSubrange(...end) }
        return String(decoding: text[..<end], as: UTF8.self)
      }
      let left = max(0, deadline - monotonicMicroseconds()) / 1_000
      var ready = pollfd(fd: output.number, events: Int16(POLLIN), revents: 0)
      guard poll(&ready, 1, Int32(clamping: left)) > 0 else { throw BrokerFailure("the attackers say nothing") }
      var chunk = [UInt8](repeating: 0, count: 4_096)
      let count = read(output.number, &chunk, chunk.count)
      guard count > 0 else { return nil }
      text += chunk[..<count]
    }
  }
}
