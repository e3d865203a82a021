import NuvomCommandLine
import Foundation
import Glibc
import MessagePack
import Testing

@testable import nuvom

/// All tests of the program: one after the other, since each blocks a thread while processes run.
@Suite(.serialized) struct ProgramTests {}

/// A directory of a test's own, in which its processes run; gone with it.
final class Workspace {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "nuvom-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }

  /// Makes the directories that it is in, if need be.
  func write(_ text: String, to name: String) throws {
    let directory = URL(fileURLWithPath: file(name)).deletingLastPathComponent()
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
  }

  /// Changes a file's bytes.
  func change(_ name: String, _ body: (inout Data) throws -> Void) throws {
    let url = URL(fileURLWithPath: file(name))
    var bytes = try Data(contentsOf: url)
    try body(&bytes)
    try bytes.write(to: url)
  }

  /// Runs the program to its end.
  @discardableResult
  func nuvom(
    _ arguments: [String], environment: [String: String] = [:], input: String = "", executable: String? = nil
  ) throws -> Ended {
    try write(input, to: "stdin")
    for name in ["stdout", "stderr"] { try write("", to: name) }
    let program = try Program(self, arguments, environment)
    if let executable { program.process.executableURL = URL(fileURLWithPath: executable) }
    program.process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: file("stdin")))
    program.process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: file("stdout")))
    program.process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: file("stderr")))
    try program.start()
    let status = program.wait()
    return Ended(
      status: status, output: try String(contentsOfFile: file("stdout"), encoding: .utf8),
      error: try String(contentsOfFile: file("stderr"), encoding: .utf8))
  }
}

extension Workspace {
  /// Runs a shell command that finds the program as `nuvom`, and the broker, to its end.
  func shell(_ command: String, broker: RunningBroker) throws -> Ended {
    try write("", to: "stdout")
    let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let program = try Program(
      self, ["-c", "PATH='\((tests as NSString).deletingLastPathComponent)':$PATH; \(command)"],
      ["NUVOM_CONNECT": broker.address], executable: "/bin/sh")
    program.process.standardInput = FileHandle.nullDevice
    program.process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: file("stdout")))
    try program.start()
    return Ended(
      status: program.wait(), output: try String(contentsOfFile: file("stdout"), encoding: .utf8), error: "")
  }
}

/// What a process left behind.
struct Ended {
  let status: Int32
  let output: String
  let error: String

  /// The output, which must be one line of JSON.
  func json() throws -> MessageValue {
    try #require(output.hasSuffix("\n") && output.dropLast().firstIndex(of: "\n") == nil, "\(output)\(error)")
    return try JSONText.read(output)
  }
}

/// The built program, or another, not yet running.
struct Program {
  let process = Process()
  private let ended = DispatchSemaphore(value: 0)

  /// Where it was built: beside the tests.
  static var executable: URL {
    get throws {
      let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      return URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("nuvom")
    }
  }

  init(
    _ workspace: Workspace, _ arguments: [String], _ environment: [String: String], executable: String? = nil
  ) throws {
    process.executableURL = try executable.map { URL(fileURLWithPath: $0) } ?? Self.executable
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: workspace.path)
    // What the person who runs the tests has set is not the tests' business.
    process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("NUVOM_") }
      .merging(environment) { $1 }
    process.terminationHandler = { [ended] _ in ended.signal() }
  }

  func start() throws { try process.run() }

  /// Its exit status; for one that a signal ended, the signal as a negative number.
  func wait() -> Int32 {
    ended.wait()
    return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
  }
}

/// A broker process that serves; killed when the test is done with it.
final class RunningBroker {
  let address: String
  private let workspace: Workspace
  private let program: Program
  private var isRunning = true

  /// Starts it on a free port, with its log in `data` of the workspace, and waits until it says that it listens.
  init(_ workspace: Workspace, _ arguments: [String] = ["--data", "data"], listen: String = "127.0.0.1:0") throws {
    self.workspace = workspace
    try workspace.write("", to: "broker.log")
    let program = try Program(workspace, ["broker", "--listen", listen] + arguments, [:])
    let pipe = Pipe()
    program.process.standardOutput = pipe
    program.process.standardError = try FileHandle(
      forWritingTo: URL(fileURLWithPath: workspace.file("broker.log")))
    self.program = program
    try program.start()
    var line = Data()
    while line.last != UInt8(ascii: "\n") {
      let more = pipe.fileHandleForReading.availableData
      if more.isEmpty { break }
      line += more
    }
    let text = String(decoding: line, as: UTF8.self)
    let prefix = "nuvom: listening on "
    address = String(text.dropFirst(prefix.count).dropLast())
    if !text.hasPrefix(prefix) {
      isRunning = false
      _ = program.wait()
      throw Unreadable(description: "the broker did not start: \(text)\(log)")
    }
  }

  deinit { if isRunning { end(SIGKILL) } }

  /// What it logged.
  var log: String { (try? String(contentsOfFile: workspace.file("broker.log"), encoding: .utf8)) ?? "" }

  /// Runs a client command against it.
  @discardableResult
  func run(_ arguments: [String], input: String = "") throws -> Ended {
    try workspace.nuvom(arguments, environment: ["NUVOM_CONNECT": address], input: input)
  }

  /// Runs a client command that must succeed, and gives its JSON.
  @discardableResult
  func ask(_ arguments: [String], input: String = "") throws -> MessageValue {
    let ended = try run(arguments + ["--json"], input: input)
    try #require(ended.status == 0, "\(arguments): \(ended.error)\(log)")
    return try ended.json()
  }

  /// Sends it a signal and waits for its end; gives its exit status.
  @discardableResult
  func end(_ signal: Int32) -> Int32 {
    kill(program.process.processIdentifier, signal)
    return wait()
  }

  /// Waits for its end; gives its exit status.
  func wait() -> Int32 {
    isRunning = false
    return program.wait()
  }

  /// From now on it can write no file beyond so many bytes.
  func limitFiles(to bytes: Int) throws {
    let prlimit = Process()
    prlimit.executableURL = URL(fileURLWithPath: "/usr/bin/prlimit")
    prlimit.arguments = ["--pid", "\(program.process.processIdentifier)", "--fsize=\(bytes)"]
    let ended = DispatchSemaphore(value: 0)
    prlimit.terminationHandler = { _ in ended.signal() }
    try prlimit.run()
    ended.wait()
    try #require(prlimit.terminationStatus == 0)
  }
}

extension MessageValue {
  /// The text in a document's field.
  func text(_ key: String) throws -> String {
    guard case .string(let text)? = self[key] else { throw Unreadable(description: "no text \(key) in \(self)") }
    return text
  }
}
