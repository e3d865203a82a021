import Foundation
import Testing

/// A page whose Swift code is compiled, in a test target, between two lines:
///
///     // snippet README.md
///     …
///     // end snippet
///
/// The page is named by its path below the root. Code that stands deeper in the source is moved to the left; imports of a block must be those
/// of the source file. Or it is code of the example package, which is built and run by `make example`.
struct SnippetTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// README.md and every page of a DocC catalog.
  private static func pages() throws -> [String] {
    let sources = try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: "Sources").path)
    return ["README.md"]
      + sources.filter { $0.contains(".docc/") && $0.hasSuffix(".md") }.sorted().map { "Sources/\($0)" }
  }

  private static func snippets() throws -> [Snippet] {
    let tests = try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: "Tests").path)
    // This file's own comment would be one.
    let files = tests.filter { $0.hasSuffix(".swift") && !$0.hasSuffix("SnippetTests.swift") }.sorted()
    return try files.flatMap { file in
      Snippet.all(
        in: try String(contentsOf: root.appending(path: "Tests/\(file)"), encoding: .utf8), of: "Tests/\(file)")
    }
  }

  /// The sources of the example package.
  private static func example() throws -> [String] {
    let folder = root.appending(path: "Examples/LinkCheck/Sources")
    return try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".swift") }
      .map { try String(contentsOf: folder.appending(path: $0), encoding: .utf8) }
  }

  @Test("Every Swift block of a page is compiled, and every compiled snippet is on its page")
  func compiled() throws {
    let pages = try Self.pages()
    let snippets = try Self.snippets()
    let example = try Self.example()
    for page in pages {
      let text = try String(contentsOf: Self.root.appending(path: page), encoding: .utf8)
      let blocks = SwiftBlock.all(in: text)
      let compiled = snippets.filter { $0.page == page }
      for block in blocks
      where !compiled.contains(where: { $0.compiles(block) }) && !example.contains(where: { $0.contains(block.code) }) {
        Issue.record(
          "\(page): no test file has this code between // snippet \(page) and // end snippet:\n\(block.code)")
      }
      for snippet in compiled where !blocks.contains(where: { snippet.compiles($0) }) {
        Issue.record("\(snippet.file): this is not on \(page):\n\(snippet.code)")
      }
    }
    for snippet in snippets where !pages.contains(snippet.page) {
      Issue.record("\(snippet.file): there is no page \(snippet.page)")
    }
  }

  @Test(
    "A block that differs from its snippet by a letter, or imports what the snippet's file does not, is not compiled by it"
  )
  func differs() throws {
    let source = "import A\nfunc f() {\n  // snippet P.md\n  let x = 1\n    let y = 2\n  // end snippet\n}\n"
    let snippet = try #require(Snippet.all(in: source, of: "T.swift").first)
    #expect(snippet.page == "P.md" && snippet.code == "let x = 1\n  let y = 2")
    func block(_ text: String) throws -> SwiftBlock {
      try #require(SwiftBlock.all(in: "Text.\n\n```swift\n\(text)\n```\nMore.").first)
    }
    #expect(snippet.compiles(try block("import A\n\nlet x = 1\n  let y = 2")))
    #expect(!snippet.compiles(try block("let x = 1\n  let z = 2")))
    #expect(!snippet.compiles(try block("import B\n\nlet x = 1\n  let y = 2")))
  }
}

/// A piece of a test file that a page shows.
private struct Snippet {
  let file: String
  let page: String
  let code: String
  let imports: Set<String>

  static func all(in source: String, of file: String) -> [Snippet] {
    let lines = source.components(separatedBy: "\n")
    let imports = Set(lines.filter { $0.hasPrefix("import ") })
    var snippets: [Snippet] = []
    var open: (page: String, lines: [String])?
    for line in lines {
      let words = line.trimmingCharacters(in: .whitespaces)
      if let begun = open {
        if words == "// end snippet" {
          snippets.append(Snippet(file: file, page: begun.page, code: outdented(begun.lines), imports: imports))
          open = nil
        } else {
          open?.lines.append(line)
        }
      } else if words.hasPrefix("// snippet ") {
        open = (String(words.dropFirst("// snippet ".count)), [])
      }
    }
    return snippets
  }

  private static func outdented(_ lines: [String]) -> String {
    let depth = lines.filter { !$0.isEmpty }.map { $0.prefix { $0 == " " }.count }.min() ?? 0
    return lines.map { String($0.dropFirst(depth)) }.joined(separator: "\n")
  }

  func compiles(_ block: SwiftBlock) -> Bool { block.code == code && block.imports.isSubset(of: imports) }
}

/// A fenced block of a page that says it is Swift.
private struct SwiftBlock {
  let imports: Set<String>
  /// Without the imports.
  let code: String

  static func all(in page: String) -> [SwiftBlock] {
    page.components(separatedBy: "```swift\n").dropFirst().map { rest in
      let lines = rest.components(separatedBy: "\n").prefix { !$0.hasPrefix("```") }
      let imports = lines.filter { $0.hasPrefix("import ") }
      let code = lines.filter { !$0.hasPrefix("import ") }.drop { $0.isEmpty }
      return SwiftBlock(imports: Set(imports), code: code.joined(separator: "\n"))
    }
  }
}
