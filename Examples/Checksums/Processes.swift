import Foundation

/// What ended a demonstration early.
struct DemonstrationError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// A process of the demonstration. What it prints is kept in a file of the demonstration's folder.
final class Child {
  let name: String
  private let output: URL
  private let process = Process()

  /// - Parameter output: where its standard output goes; nil: into `NAME.out`.
  init(
    _ name: String, _ executable: URL, _ arguments: [String], in folder: URL, input: Pipe? = nil, output: Pipe? = nil
  ) throws {
    self.name = name
    self.output = folder.appending(path: "\(name).out")
    process.executableURL = executable
    process.arguments = arguments
    process.standardInput = input ?? FileHandle.nullDevice
    process.standardOutput = try output ?? appending(to: self.output)
    process.standardError = try appending(to: folder.appending(path: "\(name).log"))
    try process.run()
  }

  /// Nil while it runs.
  var exitStatus: Int32? { process.isRunning ? nil : process.terminationStatus }

  /// What it has printed into its file.
  var outputLines: [String] {
    ((try? String(contentsOf: output, encoding: .utf8)) ?? "").split(separator: "\n").map(String.init)
  }

  /// SIGKILL: no process can prepare for that. Returns when it is gone.
  func kill() {
    if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
  }
}

/// Opens a file for writing at its end, and makes it if it is not there.
private func appending(to file: URL) throws -> FileHandle {
  if !FileManager.default.fileExists(atPath: file.path) { try Data().write(to: file) }
  let handle = try FileHandle(forWritingTo: file)
  try handle.seekToEnd()
  return handle
}

/// The broker's process: `nuvom broker`, which says where it listens as soon as it serves.
final class Broker {
  private(set) var address: String
  private(set) var process: Child
  private let folder: URL
  private let executable: URL

  /// Starts a broker on a port that the system picks. Its log is in the folder `data`.
  init(_ executable: URL, in folder: URL) throws {
    self.executable = executable
    self.folder = folder
    (process, address) = try Self.start(executable, in: folder, address: "127.0.0.1:0")
  }

  /// Starts it again, after a kill, on the same port and the same log.
  func restart() throws {
    (process, address) = try Self.start(executable, in: folder, address: address)
  }

  private static func start(_ executable: URL, in folder: URL, address: String) throws -> (Child, String) {
    let output = Pipe()
    let data = folder.appending(path: "data").path
    let process = try Child(
      "broker", executable, ["broker", "--data", data, "--listen", address, "--fsync", "always"], in: folder,
      output: output)

    let announcement = "nuvom: listening on "
    var printed = ""
    while !printed.hasSuffix("\n") {
      let bytes = output.fileHandleForReading.availableData
      guard !bytes.isEmpty else { throw DemonstrationError("the broker did not start") }
      printed += String(decoding: bytes, as: UTF8.self)
    }
    guard let line = printed.split(separator: "\n").first(where: { $0.hasPrefix(announcement) }) else {
      process.kill()
      throw DemonstrationError("the broker did not say where it listens, but: \(printed)")
    }
    return (process, String(line.dropFirst(announcement.count)))
  }
}

/// Runs a program of the system to its end.
func runTool(_ arguments: [String], input: FileHandle = .nullDevice) throws -> (status: Int32, output: Data) {
  let process = Process()
  let output = Pipe()
  process.executableURL = URL(filePath: "/usr/bin/env")
  process.arguments = arguments
  process.standardInput = input
  process.standardOutput = output
  process.standardError = FileHandle.nullDevice
  try process.run()
  let printed = try output.fileHandleForReading.readToEnd() ?? Data()
  process.waitUntilExit()
  return (process.terminationStatus, printed)
}
