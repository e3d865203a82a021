import ArgumentParser
import Foundation
import Glibc
import NuvomHistory

/// The checker for files.
struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Holds what clients have recorded against what a broker promises.")

  @Argument(help: "Files of clients, or folders of such files.") var files: [String]
  @Option(help: "Milliseconds that the broker may have read its clock before it read a request.")
  var slack: UInt64 = RecordedHistory.slackMilliseconds

  func run() throws {
    let findings = Findings(of: "check")
    let history = try RecordedHistory(files, slackMilliseconds: slack)
    history.tell(findings)
    try findings.close()
  }
}

/// The files of all clients, read and judged.
struct RecordedHistory {
  var checker: HistoryChecker

  /// On a machine with more threads than cores the broker may stand still between its clock and its sockets.
  static let slackMilliseconds: UInt64 = 100

  /// Reads files, or all of folders, up to a time.
  init(_ paths: [String], slackMilliseconds: UInt64 = Self.slackMilliseconds, until end: UInt64 = .max) throws {
    checker = HistoryChecker(clockSlack: slackMilliseconds * 1_000_000)
    for path in paths {
      var isFolder: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      let files =
        isFolder.boolValue
        ? try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".history") }.sorted()
          .map { "\(path)/\($0)" } : [path]
      for file in files {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: file), options: .mappedIfSafe)
        try bytes.withUnsafeBytes { try checker.read($0, until: end) }
      }
    }
  }

  /// What this thread has taken of a core: other programs work at the same time.
  private static var processorNanoseconds: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// Says how much there was, and what is wrong with it: no more than twenty lines.
  func tell(_ findings: Findings) {
    let start = Self.processorNanoseconds
    let complaints = checker.complaints()
    let milliseconds = (Self.processorNanoseconds - start) / 1_000_000
    findings.say(
      "\(checker.recordCount) records: \(checker.operationCount) requests, \(checker.deliveryCount) deliveries, \(checker.fireDeliveryCount) of them of fires; judged in \(milliseconds) ms of a core"
    )
    for complaint in complaints.prefix(20) { findings.fail("\(complaint)") }
    if complaints.count > 20 { findings.fail("and \(complaints.count - 20) complaints more") }
  }
}
