import BrokerProcess
import Foundation
import Glibc
import Synchronization

/// `nuvom-proof clients` as a process of its own, with a folder for its files.
final class ClientsProcess {
  /// What it has said last.
  struct Progress {
    var answers: UInt64 = 0
    var snapshots: UInt64 = 0
  }

  let history: URL
  private let process: SpawnedProcess
  private var input: FileDescriptor?
  private let errors: URL
  private let progress: ProgressReader

  /// Starts it for a broker that listens.
  init(port: UInt16, folder: URL, seed: UInt64) throws {
    history = folder.appendingPathComponent("history")
    errors = folder.appendingPathComponent("clients.txt")
    try FileManager.default.createDirectory(at: history, withIntermediateDirectories: true)
    let (reading, writing) = try FileDescriptor.pipe()
    let output = try FileDescriptor.pipe()
    let itself = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    process = try SpawnedProcess(
      itself, ["clients", "--port", "\(port)", "--history", history.path, "--seed", "\(seed)"], input: reading,
      output: output.writing, errors: errors)
    input = writing
    progress = ProgressReader(output.reading)
    let reader = progress
    Thread.detachNewThread { reader.run() }
  }

  /// What it has said last.
  var said: Progress { progress.latest }

  /// Whether it runs.
  var isRunning: Bool { process.isRunning }

  /// Lets it take what is left and look for everything, and waits for its end.
  func finish() throws {
    input = nil
    let status = process.waitForExit()
    guard status == 0 else { throw BrokerFailure("the clients ended with \(status): \(log)") }
  }

  /// The end of what it wrote to standard error.
  var log: Substring { ((try? String(contentsOf: errors, encoding: .utf8)) ?? "").suffix(2_000) }
}

/// Reads lines of two numbers until they end.
private final class ProgressReader: Sendable {
  private let output: FileDescriptor
  private let state = Mutex(ClientsProcess.Progress())

  init(_ output: FileDescriptor) { self.output = output }

  var latest: ClientsProcess.Progress { state.withLock { $0 } }

  func run() {
    var rest: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4_096)
    while true {
      let count = read(output.number, &chunk, chunk.count)
      guard count > 0 else { return }
      rest += chunk[..<count]
      while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
        let numbers = String(decoding: rest[..<end], as: UTF8.self).split(separator: " ").compactMap { UInt64($0) }
        rest.removeFirst(end + 1)
        if numbers.count == 2 {
          state.withLock { $0 = ClientsProcess.Progress(answers: numbers[0], snapshots: numbers[1]) }
        }
      }
    }
  }
}
