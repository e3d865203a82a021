import Foundation
import MessagePack

/// Where a command writes: its answer to standard output, for people or as one JSON document, and remarks to standard error.
package struct Output {
  package let isJSON: Bool

  /// For people, or as JSON.
  package init(isJSON: Bool) { self.isJSON = isJSON }

  /// The answer, in the form that was asked for. `text` is made only if it is shown; nothing is shown for no lines.
  package func answer(_ document: MessageValue, _ text: @autoclosure () -> [String]) throws {
    let lines = isJSON ? [JSONText.write(document)] : text()
    if !lines.isEmpty { try Self.write(lines.joined(separator: "\n") + "\n", to: .standardOutput) }
  }

  /// A line that is not part of the answer.
  package static func remark(_ line: String) {
    // Nobody is left to be told that standard error is closed.
    try? write(line + "\n", to: .standardError)
  }

  /// Writes at once: nothing is left in a buffer if the process is killed.
  package static func write(_ text: String, to handle: FileHandle) throws {
    do {
      try handle.write(contentsOf: Data(text.utf8))
    } catch {
      throw Failure(.inputOutput, "the answer cannot be written: \(error.localizedDescription)")
    }
  }

  /// Columns, each as wide as its widest cell. Cells that are all numbers stand to the right.
  package static func table(_ header: [String], _ rows: [[String]]) -> [String] {
    let cells = [header] + rows.map { $0.map(printable) }
    let widths = header.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
    let isNumber = header.indices.map { column in
      !rows.isEmpty && rows.allSatisfy { $0[column].allSatisfy { $0.isASCII && $0.isNumber } }
    }
    return cells.map { row in
      let line = row.indices.map { column in
        let space = String(repeating: " ", count: widths[column] - row[column].count)
        return isNumber[column] ? space + row[column] : row[column] + space
      }.joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed())
    }
  }

  /// A name and its value on each line.
  package static func pairs(_ pairs: [(String, String)]) -> [String] {
    let width = pairs.map(\.0.count).max() ?? 0
    return pairs.map { name, value in
      name + String(repeating: " ", count: width - name.count + 2) + printable(value)
    }
  }

  /// Without control characters: a stranger's job must not steer the terminal of who looks at it.
  package static func printable(_ text: String) -> String {
    String(
      String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 }))
  }

  /// A payload in at most so many characters: its MessagePack value if it is one, else text, else how many bytes.
  package static func payload(_ bytes: [UInt8], limit: Int = 60) -> String {
    if bytes.isEmpty { return "-" }
    let text: String
    if let value = try? MessageValue(decoding: bytes) {
      text = value.description
    } else if let words = String(validating: bytes, as: UTF8.self) {
      text = words
    } else {
      text = "(\(bytes.count) bytes)"
    }
    return text.count <= limit ? text : text.prefix(limit - 1) + "…"
  }
}
