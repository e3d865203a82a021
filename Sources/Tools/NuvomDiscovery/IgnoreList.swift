/// The lines of one `.nuvomignore`, or of the command line: the last one that matches decides.
package struct IgnoreList: Sendable {
  private let patterns: [IgnorePattern]

  /// The lines of a file.
  package init(text: [UInt8]) {
    let marked = text.starts(with: [0xEF, 0xBB, 0xBF])
    patterns = text.dropFirst(marked ? 3 : 0).split(separator: UInt8(ascii: "\n")).compactMap { line in
      IgnorePattern(line: line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
    }
  }

  package init(lines: [String]) { patterns = lines.compactMap { IgnorePattern(line: $0.utf8) } }

  package var isEmpty: Bool { patterns.isEmpty }

  /// Whether a path is ignored; nil if no line is about it.
  ///
  /// - Parameter path: from the list's directory, without a `/` at its ends.
  package func verdict(_ path: some BidirectionalCollection<UInt8>, isDirectory: Bool) -> Bool? {
    patterns.last { $0.matches(path, isDirectory: isDirectory) }.map { !$0.isNegated }
  }
}
