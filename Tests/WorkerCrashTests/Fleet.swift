import BrokerProcess
import CrashWorker
import Foundation

/// Workers, each a process with a journal of its own.
final class Fleet {
  private let folder: URL
  private let address: String
  private let pulse: Pulse
  /// They end when this does.
  private let life: (reading: FileDescriptor, writing: FileDescriptor)
  private var workers: [SpawnedProcess] = []
  private var started = 0

  init(_ size: Int, of broker: BrokerProcess, pulse: Pulse) throws {
    folder = broker.folder
    address = "127.0.0.1:\(broker.port)"
    self.pulse = pulse
    life = try FileDescriptor.pipe()
    for _ in 0..<size { workers.append(try start()) }
  }

  /// Kills one of them, and starts another in its place.
  /// - Throws: `BrokerFailure` if it had ended by itself.
  func replace(_ index: Int) throws {
    guard workers[index].isRunning else {
      throw BrokerFailure("worker \(index) ended by itself with \(workers[index].waitForExit()): \(log.suffix(2_000))")
    }
    workers[index].kill()
    workers[index] = try start()
  }

  /// Kills all.
  func end() { for worker in workers { worker.kill() } }

  /// Every line that any of them wrote.
  func journals() throws -> [Journal.Entry] {
    try (0..<started).flatMap { number -> [Journal.Entry] in
      guard FileManager.default.fileExists(atPath: journal(number).path) else { return [] }
      return try String(contentsOf: journal(number), encoding: .utf8).split(separator: "\n").map { line in
        guard let entry = Journal.Entry(line) else { throw BrokerFailure("a journal has the line \(line)") }
        return entry
      }
    }
  }

  /// What they logged as errors.
  var log: String { (try? String(contentsOf: errors, encoding: .utf8)) ?? "" }

  private func start() throws -> SpawnedProcess {
    defer { started += 1 }
    return try SpawnedProcess(
      SpawnedProcess.program("CrashWorker", variable: "NUVOM_CRASH_WORKER"), [address, journal(started).path],
      input: life.reading, output: pulse.writing, errors: errors)
  }

  private func journal(_ number: Int) -> URL { folder.appendingPathComponent("journal-\(number)") }
  private var errors: URL { folder.appendingPathComponent("workers.txt") }
}
