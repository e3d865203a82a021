import Foundation
import Testing

/// The Swift code of the pages is that of Snippets/, which compiles, or of the example package, which is built and run. A region in Snippets/
/// begins with `// snippet` and ends with `// end`; what it imports stands at the head of its file.
struct DocumentationTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// Every page of the catalogs, and the README.
  static let pages: [String] =
    ["README.md"] + files(below: "Sources").filter { $0.contains(".docc/") && $0.hasSuffix(".md") }

  @Test("All Swift code of a page compiles: it is a snippet", arguments: pages)
  func compiled(page: String) throws {
    let snippets = Set(
      try Self.files(below: "Tests/DocumentationTests/Snippets").flatMap {
        try Self.regions(of: $0, from: "// snippet", to: "// end")
      })
    let examples = try Self.files(below: "Examples/LinkCheck/Sources").map(Self.text)
    let blocks = try Self.regions(of: page, from: "```swift", to: "```")
    #expect(!blocks.isEmpty, "a page shows how its module is used")
    for block in blocks {
      let lines = block.split(separator: "\n", omittingEmptySubsequences: false)
      let code = lines.drop { $0.hasPrefix("import ") || $0.isEmpty }.joined(separator: "\n")
      let isCompiled = snippets.contains(code) || examples.contains { $0.contains(block) }
      if !isCompiled { Issue.record("neither in Snippets/ nor in Examples/LinkCheck:\n\(block)") }
    }
  }

  private static func files(below folder: String) -> [String] {
    let paths = FileManager.default.enumerator(atPath: root.appending(path: folder).path)?.compactMap { $0 as? String }
    return (paths ?? []).filter { $0.hasSuffix(".swift") || $0.hasSuffix(".md") }.map { "\(folder)/\($0)" }.sorted()
  }

  private static func text(of path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  /// What is between the lines that open and close a region, without its indentation.
  private static func regions(of path: String, from start: String, to end: String) throws -> [String] {
    var regions: [String] = []
    var region: [Substring]?
    for line in try text(of: path).split(separator: "\n", omittingEmptySubsequences: false) {
      switch line.trimmingCharacters(in: .whitespaces) {
      case start where region == nil: region = []
      case end:
        guard let lines = region else { break }
        let indentation = lines.filter { !$0.isEmpty }.map { $0.prefix { $0 == " " }.count }.min() ?? 0
        regions.append(lines.map { $0.dropFirst(indentation) }.joined(separator: "\n"))
        region = nil
      default: region?.append(line)
      }
    }
    return regions
  }
}
