import Foundation
import Glibc
import Synchronization

/// The real `nuvom broker` as a process of its own, with a folder of its own. It dies with this object.
package final class BrokerProcess {
  /// Where its data is; nil for one without a log.
  package let folder: URL
  private let options: [String]
  private let isEphemeral: Bool
  /// The port it chose at its first start; later ones keep it.
  package private(set) var port: UInt16 = 0
  /// Its process number while it runs.
  package private(set) var pid: pid_t = 0
  private var output: Int32 = -1

  /// Starts a broker and returns when it listens.
  package init(ephemeral: Bool = false, options: [String] = []) throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("nuvom-test-\(UUID().uuidString)")
    isEphemeral = ephemeral
    self.options = options
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    try start()
  }

  deinit {
    kill()
    try? FileManager.default.removeItem(at: folder)
  }

  /// Its log on disk.
  package var data: URL { folder.appendingPathComponent("data") }

  /// Starts it again on the same port and data, and returns when it listens.
  package func start() throws {
    precondition(pid == 0, "the broker already runs")
    (pid, output) = try Self.spawning.withLock { _ in try spawn() }
    port = try readListeningPort()
  }

  /// A pipe belongs to one broker: none may be started between its making and its mark "close on exec".
  private static let spawning = Mutex(())

  private func spawn() throws -> (pid: pid_t, output: Int32) {
    var pipe: [Int32] = [-1, -1]
    guard Glibc.pipe(&pipe) == 0 else { throw BrokerFailure("pipe: \(errno)") }
    defer { close(pipe[1]) }
    for end in pipe { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.path, O_WRONLY | O_CREAT | O_APPEND, 0o600)

    let binary = try Self.binary()
    let storage = isEphemeral ? ["--ephemeral"] : ["--data", data.path]
    let arguments = [binary, "broker", "--listen", "127.0.0.1:\(port)"] + storage + options
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    var child: pid_t = 0
    let status = posix_spawn(&child, binary, &actions, nil, &pointers, environ)
    guard status == 0 else {
      close(pipe[0])
      throw BrokerFailure("could not start \(binary): \(String(cString: strerror(status)))")
    }
    return (child, pipe[0])
  }

  /// Kills it with SIGKILL, at any point of what it does.
  package func kill() {
    guard pid != 0 else { return }
    Glibc.kill(pid, SIGKILL)
    _ = waitForExit()
  }

  /// Sends it a signal.
  package func signal(_ number: Int32) { Glibc.kill(pid, number) }

  /// Waits for its end: its exit status, or minus the signal that ended it.
  package func waitForExit() -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    close(output)
    pid = 0
    let signal = status & 0x7f
    return signal == 0 ? (status >> 8) & 0xff : -signal
  }

  /// Whether it runs.
  package var isRunning: Bool {
    var information = siginfo_t()
    guard pid != 0, waitid(P_PID, id_t(pid), &information, WEXITED | WNOHANG | WNOWAIT) == 0 else { return false }
    return information.si_signo == 0
  }

  /// Its resident memory now, in bytes.
  package func residentBytes() throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
      let kilobytes = line.split(separator: " ").compactMap({ Int($0) }).first
    else { throw BrokerFailure("no VmRSS for process \(pid)") }
    return kilobytes << 10
  }

  /// What it wrote to standard error.
  package var log: String { (try? String(contentsOf: errors, encoding: .utf8)) ?? "" }

  private var errors: URL { folder.appendingPathComponent("standard-error.txt") }

  private func readListeningPort() throws -> UInt16 {
    var text: [UInt8] = []
    var byte: UInt8 = 0
    while read(output, &byte, 1) == 1 {
      if byte != UInt8(ascii: "\n") {
        text.append(byte)
        continue
      }
      let line = String(decoding: text, as: UTF8.self)
      text.removeAll()
      guard line.hasPrefix("nuvom: listening on ") else { continue }
      guard let port = line.split(separator: ":").last.flatMap({ UInt16($0) }) else {
        throw BrokerFailure("no port in: \(line)")
      }
      return port
    }
    let status = waitForExit()
    throw BrokerFailure("the broker ended with \(status) before it listened: \(log.suffix(2_000))")
  }

  /// `NUVOM_BINARY`, or the `nuvom` that was built beside the tests.
  private static func binary() throws -> String {
    if let path = ProcessInfo.processInfo.environment["NUVOM_BINARY"] { return path }
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    var folder = URL(fileURLWithPath: tests).deletingLastPathComponent()
    for _ in 0..<3 {
      let candidate = folder.appendingPathComponent("nuvom").path
      if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
      folder.deleteLastPathComponent()
    }
    throw BrokerFailure("no nuvom beside \(tests): build it, or set NUVOM_BINARY to its path")
  }
}

/// Why a test could not go on.
package struct BrokerFailure: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}
