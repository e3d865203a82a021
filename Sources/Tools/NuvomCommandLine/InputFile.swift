import Foundation

/// A file that is named on the command line.
package enum InputFile {
  /// All bytes of a file; `-` is standard input.
  package static func read(_ path: String) throws -> [UInt8] {
    do {
      if path == "-" { return [UInt8](try FileHandle.standardInput.readToEnd() ?? Data()) }
      return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    } catch {
      let status: ExitStatus = FileManager.default.fileExists(atPath: path) ? .inputOutput : .missing
      throw Failure(status, "\(path) cannot be read: \(error.localizedDescription)")
    }
  }
}
