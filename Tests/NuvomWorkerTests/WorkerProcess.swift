import BrokerProcess
import Foundation
import Glibc
import NuvomWorker
import Synchronization

/// The worker of `Tests/WorkerUnderTest` as a process, of a broker that is one, too.
final class WorkerProcess: Sendable {
  let pid: pid_t
  let notes: Notes
  let output: LineReader
  private let folder: URL
  private let exit: AsyncStream<Int32>

  /// Starts a worker.
  init(port: UInt16?, _ arguments: [String], environment more: [String: String] = [:], folder: URL) throws {
    self.folder = folder
    notes = try Notes(folder.appendingPathComponent("notes").path)
    let process = Process()
    process.executableURL = URL(
      fileURLWithPath: try SpawnedProcess.program("worker-under-test", variable: "WORKER_BINARY"))
    process.arguments = arguments
    var environment = ProcessInfo.processInfo.environment.merging(more) { $1 }
    environment["NOTES"] = notes.path
    if let port { environment["NUVOM_CONNECT"] = "127.0.0.1:\(port)" }
    process.environment = environment
    let pipe = Pipe()
    process.standardOutput = pipe
    let errors = folder.appendingPathComponent("standard-error.txt")
    try Data().write(to: errors)
    process.standardError = try FileHandle(forWritingTo: errors)
    let (exit, ending) = AsyncStream<Int32>.makeStream()
    self.exit = exit
    process.terminationHandler = { process in
      ending.yield(process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus)
      ending.finish()
    }
    try process.run()
    pid = process.processIdentifier
    output = LineReader(dup(pipe.fileHandleForReading.fileDescriptor))
  }

  /// Sends it a signal.
  func signal(_ number: Int32) { kill(pid, number) }

  /// Waits for its end: its exit status, or minus the signal that ended it.
  func end() async -> Int32? {
    for await status in exit { return status }
    return nil
  }

  /// What it wrote to standard error.
  var log: String {
    get throws {
      String(decoding: try Data(contentsOf: folder.appendingPathComponent("standard-error.txt")), as: UTF8.self)
    }
  }

  /// A gate in the worker's folder.
  func gate() throws -> Gate { try Gate(folder.appendingPathComponent("gate").path) }

  /// A life line in the worker's folder.
  func life() throws -> Life { try Life(folder.appendingPathComponent("life").path) }
}

/// Runs a worker of a broker's, while `body` does; it is killed after it.
func withWorkerProcess(
  _ arguments: [String], environment: [String: String] = [:],
  _ body: @Sendable (NuvomClient, WorkerProcess) async throws -> Void
) async throws {
  let broker = try BrokerProcess(ephemeral: true)
  defer { broker.kill() }
  let worker = try WorkerProcess(port: broker.port, arguments, environment: environment, folder: broker.folder)
  defer { worker.signal(SIGKILL) }
  let address = BrokerAddress(host: "127.0.0.1", port: Int(broker.port))
  try await NuvomClient.withClient(configuration: .init(address: address)) { client in
    while let line = await worker.output.next() {
      guard line.contains(": ready for ") else { continue }
      return try await body(client, worker)
    }
    throw BrokerFailure("the worker ended before it was ready: \(try worker.log.suffix(4_000))")
  }
}

/// Runs the worker's executable to its end.
func runWorker(
  _ arguments: [String], input: String? = nil, environment: [String: String] = [:]
) async throws -> (status: Int32?, lines: [String], log: String) {
  let folder = try TemporaryFolder()
  var arguments = arguments
  if let input {
    let file = folder.url.appendingPathComponent("job.json")
    try Data(input.utf8).write(to: file)
    arguments.append(file.path)
  }
  let worker = try WorkerProcess(port: nil, arguments, environment: environment, folder: folder.url)
  var lines: [String] = []
  while let line = await worker.output.next() { lines.append(line) }
  return (await worker.end(), lines, try worker.log)
}

/// A folder that goes with this object.
final class TemporaryFolder: Sendable {
  let url = FileManager.default.temporaryDirectory.appendingPathComponent("nuvom-test-\(UUID().uuidString)")
  init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(at: url) }
}

/// Reads lines from a descriptor, which is then its own.
final class LineReader: @unchecked Sendable {
  private let descriptor: Int32
  /// All reading is on it.
  private let queue = DispatchQueue(label: "lines")
  private var bytes: [UInt8] = []

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// The next line; nil at the end.
  func next() async -> String? {
    await withCheckedContinuation { continuation in queue.async { continuation.resume(returning: self.read()) } }
  }

  private func read() -> String? {
    while true {
      if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
        defer { bytes.removeFirst(end + 1) }
        return String(decoding: bytes[..<end], as: UTF8.self)
      }
      var chunk = [UInt8](repeating: 0, count: 4_096)
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      guard count > 0 else { return nil }
      bytes += chunk[..<count]
    }
  }
}

/// What the worker's handlers tell.
struct Notes: Sendable {
  let path: String
  private let lines: LineReader

  init(_ path: String) throws {
    self.path = path
    guard mkfifo(path, 0o600) == 0 else { throw BrokerFailure("mkfifo: \(errno)") }
    // Also for writing: no writer is the last.
    lines = LineReader(open(path, O_RDWR | O_CLOEXEC))
  }

  /// The next note: what happened, in which process, at which attempt.
  func next() async throws -> (what: String, process: pid_t, attempt: Int) {
    let words = (await lines.next() ?? "").split(separator: " ").map(String.init)
    guard words.count >= 3, let process = pid_t(words[words.count - 2]), let attempt = Int(words[words.count - 1])
    else {
      throw BrokerFailure("no note: \(words)")
    }
    return (words.dropLast(2).joined(separator: " "), process, attempt)
  }
}

/// A named pipe that a process waits to open for reading, until it is opened here.
final class Gate: Sendable {
  let path: String
  private let descriptor = Mutex<Int32>(-1)

  init(_ path: String) throws {
    self.path = path
    guard mkfifo(path, 0o600) == 0 else { throw BrokerFailure("mkfifo: \(errno)") }
  }

  deinit { close(descriptor.withLock(\.self)) }

  /// Lets everybody go on, now or later.
  func open() { descriptor.withLock { $0 = Glibc.open(path, O_RDWR | O_CLOEXEC) } }
}

/// A named pipe that a process opens for writing, and holds for as long as it lives.
final class Life: Sendable {
  let path: String
  private let descriptor: Int32

  init(_ path: String) throws {
    self.path = path
    guard mkfifo(path, 0o600) == 0 else { throw BrokerFailure("mkfifo: \(errno)") }
    descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
  }

  deinit { close(descriptor) }

  /// Waits until nobody holds it, as somebody did.
  func end() async {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async { [descriptor] in
        _ = fcntl(descriptor, F_SETFL, 0)
        var byte: UInt8 = 0
        while read(descriptor, &byte, 1) > 0 {}
        continuation.resume()
      }
    }
  }
}
