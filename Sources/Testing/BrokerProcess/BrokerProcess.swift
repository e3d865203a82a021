import Foundation
import Glibc

/// The real `nuvom broker` as a process of its own, with a folder of its own. It dies with this object.
package final class BrokerProcess {
  /// Where its data is; nil for one without a log.
  package let folder: URL
  private let options: [String]
  private let isEphemeral: Bool
  private let environment: [String: String]
  /// The port it chose at its first start; later ones keep it.
  package private(set) var port: UInt16 = 0
  private var process: SpawnedProcess?
  private var output: FileDescriptor?

  /// Starts a broker and returns when it listens.
  package convenience init(ephemeral: Bool = false, options: [String] = []) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("nuvom-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    self.init(in: folder, ephemeral: ephemeral, options: options)
    try start()
  }

  /// A broker that is still to be started, in an existing folder that goes with this object, with variables beside this process's own.
  package init(
    in folder: URL, ephemeral: Bool = false, options: [String] = [], environment: [String: String] = [:]
  ) {
    self.folder = folder
    isEphemeral = ephemeral
    self.options = options
    self.environment = environment
  }

  deinit {
    kill()
    try? FileManager.default.removeItem(at: folder)
  }

  /// Its log on disk.
  package var data: URL { folder.appendingPathComponent("data") }

  /// Starts it, again on the same port and data, and returns when it listens.
  package func start() throws {
    if let status = try startUnlessItEnds() {
      throw BrokerFailure("the broker ended with \(status) before it listened: \(log.suffix(2_000))")
    }
  }

  /// Starts it, and returns nil when it listens, or what it ended with before that, as `waitForExit`.
  package func startUnlessItEnds() throws -> Int32? {
    precondition(process == nil, "the broker already runs")
    let output = try spawn()
    self.output = output
    guard let port = try readListeningPort(from: output) else { return waitForExit() }
    self.port = port
    return nil
  }

  /// When this returns, only the broker holds the writing end: what is read ends with it.
  private func spawn() throws -> FileDescriptor {
    let pipe = try FileDescriptor.pipe()
    let storage = isEphemeral ? ["--ephemeral"] : ["--data", data.path]
    process = try SpawnedProcess(
      SpawnedProcess.program("nuvom", variable: "NUVOM_BINARY"),
      ["broker", "--listen", "127.0.0.1:\(port)"] + storage + options, output: pipe.writing, errors: errors,
      environment: environment)
    return pipe.reading
  }

  /// Kills it with SIGKILL, at any point of what it does.
  package func kill() {
    process?.kill()
    process = nil
    output = nil
  }

  /// Its process number while it runs.
  package var pid: pid_t { process?.pid ?? 0 }

  /// Sends it a signal.
  package func signal(_ number: Int32) {
    if let process { Glibc.kill(process.pid, number) }
  }

  /// Waits for its end: its exit status, or minus the signal that ended it.
  package func waitForExit() -> Int32 {
    defer {
      process = nil
      output = nil
    }
    return process?.waitForExit() ?? 0
  }

  /// Whether it runs.
  package var isRunning: Bool { process?.isRunning ?? false }

  /// Its resident memory now, in bytes.
  package func residentBytes() throws -> Int { try Self.residentBytes(of: pid) }

  /// The resident memory of any process now, in bytes.
  package static func residentBytes(of pid: pid_t) throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
      let kilobytes = line.split(separator: " ").compactMap({ Int($0) }).first
    else { throw BrokerFailure("no VmRSS for process \(pid)") }
    return kilobytes << 10
  }

  /// What it wrote to standard error.
  package var log: String { (try? String(contentsOf: errors, encoding: .utf8)) ?? "" }

  private var errors: URL { folder.appendingPathComponent("standard-error.txt") }

  /// Nil if it ends before it listens.
  private func readListeningPort(from output: FileDescriptor) throws -> UInt16? {
    var text: [UInt8] = []
    var byte: UInt8 = 0
    while read(output.number, &byte, 1) == 1 {
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
    return nil
  }
}

/// Why a test could not go on.
package struct BrokerFailure: Error, CustomStringConvertible {
  package let description: String
  package init(_ description: String) { self.description = description }
}
