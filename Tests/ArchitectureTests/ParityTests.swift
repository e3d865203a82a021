import Foundation
import Testing

/// docs/parity.md against the checklist of what the originals do.
struct ParityTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// The page's lines, by the first column.
  private static func lines() throws -> [String: [String]] {
    let text = try String(contentsOf: root.appending(path: "docs/parity.md"), encoding: .utf8)
    let rows = text.split(separator: "\n").filter { $0.hasPrefix("| ") }.map { row in
      row.split(separator: "|", omittingEmptySubsequences: false).dropFirst().map {
        $0.trimmingCharacters(in: .whitespaces)
      }
    }
    return Dictionary(grouping: rows) { $0[0] }.compactMapValues { rows in
      rows.count == 1 ? Array(rows[0]) : nil
    }
  }

  @Test("Every line of the checklist is answered once", arguments: [("N", 61), ("A", 20), ("B", 21)])
  func complete(letter: String, count: Int) throws {
    let lines = try Self.lines()
    for number in 1...count {
      let line = lines["\(letter)\(number)"]
      #expect(line?.count == 5 && line?[1].isEmpty == false && line?[2].isEmpty == false, "\(letter)\(number)")
    }
  }

  @Test("A line names its test, which exists, or says why there is none")
  func tests() throws {
    for (name, line) in try Self.lines() where line.count == 5 && name.first.map({ "NAB".contains($0) }) == true {
      if line[3].isEmpty {
        let isExplained = ["not yet", "left out", "replaced", "one broker"].contains { line[2].contains($0) }
        #expect(isExplained, "\(name) has no test: \(line[2])")
      } else {
        let path = Self.root.appending(path: line[3]).path
        #expect(FileManager.default.fileExists(atPath: path), "\(name): there is no \(line[3])")
      }
    }
  }
}
