import Foundation
import Glibc
import Synchronization

/// A process that a test started, with what it was given as its standard streams and nothing else of the test's. It dies with this object.
package final class SpawnedProcess {
  /// Its number, until ``waitForExit()`` has returned.
  package let pid: pid_t
  private var hasEnded = false

  /// Starts a program.
  ///
  /// - Parameters:
  ///   - input: what it reads as standard input; nil: the test's own.
  ///   - output: what it writes standard output to.
  ///   - errors: the file that standard error is appended to.
  ///   - environment: variables that it gets beside the test's own.
  package init(
    _ program: String, _ arguments: [String], input: FileDescriptor? = nil, output: FileDescriptor, errors: URL,
    environment: [String: String] = [:]
  ) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let input { posix_spawn_file_actions_adddup2(&actions, input.number, STDIN_FILENO) }
    posix_spawn_file_actions_adddup2(&actions, output.number, STDOUT_FILENO)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    var pointers: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
    defer { pointers.forEach { free($0) } }
    let all = ProcessInfo.processInfo.environment.merging(environment) { _, given in given }
    var variables: [UnsafeMutablePointer<CChar>?] = all.map { strdup("\($0)=\($1)") } + [nil]
    defer { variables.forEach { free($0) } }
    var child: pid_t = 0
    let status = FileDescriptor.marking.withLock { _ in
      posix_spawn(&child, program, &actions, nil, &pointers, &variables)
    }
    guard status == 0 else { throw BrokerFailure("could not start \(program): \(String(cString: strerror(status)))") }
    pid = child
  }

  deinit { kill() }

  /// Kills it with SIGKILL, at any point of what it does.
  package func kill() {
    guard !hasEnded else { return }
    Glibc.kill(pid, SIGKILL)
    _ = waitForExit()
  }

  /// Waits for its end, once: its exit status, or minus the signal that ended it.
  package func waitForExit() -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    hasEnded = true
    let signal = status & 0x7f
    return signal == 0 ? (status >> 8) & 0xff : -signal
  }

  /// Whether it runs.
  package var isRunning: Bool {
    var information = siginfo_t()
    guard !hasEnded, waitid(P_PID, id_t(pid), &information, WEXITED | WNOHANG | WNOWAIT) == 0 else { return false }
    return information.si_signo == 0
  }

  /// The value of the environment's `variable`, or the program of that name that was built beside the tests.
  package static func program(_ name: String, variable: String) throws -> String {
    if let path = ProcessInfo.processInfo.environment[variable] { return path }
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    var folder = URL(fileURLWithPath: tests).deletingLastPathComponent()
    for _ in 0..<3 {
      let candidate = folder.appendingPathComponent(name).path
      if FileManager.default.isExecutableFile(atPath: candidate) { return candidate }
      folder.deleteLastPathComponent()
    }
    throw BrokerFailure("no \(name) beside \(tests): build it, or set \(variable) to its path")
  }
}

/// An open file of this process alone: it is closed with this object, and in every process that is started.
package final class FileDescriptor: Sendable {
  package let number: Int32

  private init(_ number: Int32) { self.number = number }

  deinit { close(number) }

  /// No process may be started between a pipe's making and its mark "close on exec": a pipe that another process holds too never ends.
  fileprivate static let marking = Mutex(())

  /// A pipe's two ends.
  package static func pipe() throws -> (reading: FileDescriptor, writing: FileDescriptor) {
    try marking.withLock { _ in
      var ends: [Int32] = [-1, -1]
      guard Glibc.pipe(&ends) == 0 else { throw BrokerFailure("pipe: \(errno)") }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      return (FileDescriptor(ends[0]), FileDescriptor(ends[1]))
    }
  }
}
