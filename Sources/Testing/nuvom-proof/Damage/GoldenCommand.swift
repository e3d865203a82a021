import ArgumentParser
import Foundation
import NuvomEngine
import NuvomStorage
import NuvomWAL

/// Writes the files that later versions must read for ever (FORMAT.md, "Versions").
struct GoldenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "golden",
    abstract:
      "Write a log and a snapshot with every kind of event, and what their state is, for the tests of later versions.",
    discussion: """
      Once for each released version, into Tests/NuvomBrokerTests/golden/VERSION, which must not be there yet: what a version has written is never written anew.
      """)

  @Option(help: "The folder to make.") var write: String

  func run() throws {
    guard !FileManager.default.fileExists(atPath: write) else {
      throw ValidationError("\(write) is there already: what a version has written is never written anew")
    }
    try keep("log") { _ in }
    try keep("snapshot") { story in
      _ = try story.takeSnapshot()
      for number in 0..<3 { story.tellJob("job \(number) behind the snapshot") }
    }
    print("ok: written to \(write)")
  }

  /// Tells a round and what else happens, and keeps the log's files, without the zeros behind their content, and the state.
  private func keep(_ name: String, _ more: (RecordedStory) throws -> Void) throws {
    let directory = NSTemporaryDirectory() + "nuvom-golden-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let story = try RecordedStory(directory)
    try story.tellRound()
    story.tellJob("the last of the round")
    try more(story)
    try story.close(sealing: false)
    let folder = "\(write)/\(name)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let report = try WALStorage.verify(directory)
    for file in try FileManager.default.contentsOfDirectory(atPath: directory) {
      guard file.hasSuffix(".wal") || file.hasSuffix(".snapshot") else { continue }
      var bytes = try Data(contentsOf: URL(fileURLWithPath: "\(directory)/\(file)"))
      if let segment = report.segments.first(where: { $0.path.hasSuffix(file) }) {
        bytes = bytes.prefix(segment.bytes + BatchHeader.trailerSize)
      }
      try bytes.write(to: URL(fileURLWithPath: "\(folder)/\(file)"))
    }
    let lines = story.stateLines + ["digest \(String(story.digest, radix: 16))", ""]
    try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: "\(folder)/state.txt"))
  }
}
