import Foundation

/// The workers' results beside those of `sha256sum`.
struct Comparison {
  /// What `sha256sum` says; it has nothing of a file that it cannot read.
  let expected: [Path: String]
  /// When the work began. A file that changed later may have been read in two states.
  let begin: Date

  private(set) var bytes = 0
  private(set) var lost = 0
  private var equal = 0
  private var unreadable = 0
  private var changed = 0
  private var different = 0

  init(expected: [Path: String], since begin: Date) {
    self.expected = expected
    self.begin = begin
  }

  /// Takes a file's result; nil: there is none.
  mutating func add(_ file: Path, _ result: Checksum?) {
    guard let result else {
      lost += 1
      return report("lost", file)
    }
    bytes += result.size
    if result.sha256 != expected[file] {
      if hasChanged(file, since: begin) {
        changed += 1
      } else {
        different += 1
        report("not as sha256sum says (\(expected[file] ?? "unreadable"))", file)
      }
    } else if result.sha256 == nil {
      unreadable += 1
    } else {
      equal += 1
    }
  }

  var isGood: Bool { lost == 0 && different == 0 }

  var summary: String {
    "\(equal) equal, \(different) different"
      + (unreadable == 0 ? "" : ", \(unreadable) unreadable for both")
      + (changed == 0 ? "" : ", \(changed) changed meanwhile")
  }

  private func report(_ what: String, _ file: Path) {
    FileHandle.standardError.write(Data("\(what): \(String(decoding: file, as: UTF8.self))\n".utf8))
  }
}
