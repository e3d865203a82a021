import NuvomCommandLine
import Foundation
import Glibc
import MessagePack
import Testing

@testable import nuvom

/// A `nuvom runworker` process; killed when the test is done with it.
final class RunningWorker {
  private let workspace: Workspace
  private let program: Program
  private var isRunning = true

  /// Starts it in the workspace; what it says is in `worker.log`.
  init(_ workspace: Workspace, _ arguments: [String], environment: [String: String] = [:]) throws {
    self.workspace = workspace
    try workspace.write("", to: "worker.log")
    program = try Program(workspace, ["runworker"] + arguments, environment)
    let log = try FileHandle(forWritingTo: URL(fileURLWithPath: workspace.file("worker.log")))
    program.process.standardInput = FileHandle.nullDevice
    program.process.standardOutput = log
    program.process.standardError = log
    try program.start()
  }

  deinit { if isRunning { end(SIGKILL) } }

  var log: String { (try? String(contentsOfFile: workspace.file("worker.log"), encoding: .utf8)) ?? "" }

  func send(_ signal: Int32) { kill(program.process.processIdentifier, signal) }

  /// Waits for its end; gives its exit status.
  func wait() -> Int32 {
    isRunning = false
    return program.wait()
  }

  @discardableResult
  func end(_ signal: Int32) -> Int32 {
    send(signal)
    return wait()
  }
}

extension RunningBroker {
  /// Enqueues a job that is kept when it is finished; its id.
  func enqueue(_ arguments: [String]) throws -> String {
    try ask(["enqueue"] + arguments + ["--retention", "1h"]).text("id")
  }

  /// The job, when it is finished.
  func finished(_ id: String, _ worker: RunningWorker) throws -> MessageValue {
    let ended = try run(["wait", id, "--timeout", "1m", "--json"])
    try #require(ended.status != 75, "\(ended)\(worker.log)")
    return try ended.json()
  }
}

/// A pipe with a name, by which scripts and a test tell each other where they are.
final class NamedPipe {
  private let descriptor: Int32
  private var buffer: [UInt8] = []

  init(_ workspace: Workspace, _ name: String) throws {
    let path = workspace.file(name)
    try #require(mkfifo(path, 0o600) == 0)
    // Both ends, so that neither opening nor the end of a writer matters.
    descriptor = open(path, O_RDWR | O_CLOEXEC)
    try #require(descriptor >= 0)
  }

  deinit { close(descriptor) }

  /// Waits for a line; one that does not come within a minute is an error.
  func line() throws -> String {
    while true {
      if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
        defer { buffer.removeSubrange(...end) }
        return String(decoding: buffer[..<end], as: UTF8.self)
      }
      var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&ready, 1, 60_000) == 1 else { throw Unreadable(description: "nothing came through the pipe") }
      var bytes = [UInt8](repeating: 0, count: 4_096)
      let count = read(descriptor, &bytes, bytes.count)
      try #require(count > 0)
      buffer += bytes[..<count]
    }
  }

  func write(_ line: String) {
    let bytes = [UInt8]((line + "\n").utf8)
    _ = Glibc.write(descriptor, bytes, bytes.count)
  }
}

/// Whether a process runs; one that ended and that nobody has asked about does not.
func isRunning(_ processID: String) -> Bool {
  guard let line = try? String(contentsOfFile: "/proc/\(processID)/stat", encoding: .utf8) else { return false }
  return line.split(separator: ")").last?.split(separator: " ").first != "Z"
}
