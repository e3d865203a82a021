import BrokerProcess
import Foundation
import Glibc

/// A program of the system, run to its end.
enum SystemProgram {
  /// Runs it, and returns what it printed. Throws with that if it fails, or if there is no such program.
  @discardableResult
  static func run(_ name: String, _ arguments: [String]) throws -> String {
    let places = ["/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"]
    guard let place = places.first(where: { FileManager.default.isExecutableFile(atPath: $0 + name) }) else {
      throw BrokerFailure("there is no \(name) here")
    }
    let errors = FileManager.default.temporaryDirectory.appendingPathComponent("nuvom-\(name)-\(UUID().uuidString)")
    defer { unlink(errors.path) }
    let (output, process) = try start(place + name, arguments, errors)
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4_096)
    while true {
      let count = read(output.number, &chunk, chunk.count)
      guard count > 0 else { break }
      text += chunk[..<count]
    }
    let status = process.waitForExit()
    let printed = String(decoding: text, as: UTF8.self)
    guard status == 0 else {
      let said = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
      throw BrokerFailure("\(name) ended with \(status): \(said.trimmingCharacters(in: .whitespacesAndNewlines))")
    }
    return printed.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// When this returns, only the program holds the pipe's writing end.
  private static func start(
    _ program: String, _ arguments: [String], _ errors: URL
  ) throws -> (FileDescriptor, SpawnedProcess) {
    let pipe = try FileDescriptor.pipe()
    return (pipe.reading, try SpawnedProcess(program, arguments, output: pipe.writing, errors: errors))
  }
}
