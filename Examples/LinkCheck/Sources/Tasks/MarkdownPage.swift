import Foundation

/// The links and headings of a Markdown page, outside of its code.
struct MarkdownPage {
  struct Link {
    let target: String
    var file: String { String(target.prefix { $0 != "#" }) }
    var heading: String? { target.contains("#") ? String(target.drop { $0 != "#" }.dropFirst()) : nil }
    var isElsewhere: Bool { target.contains("://") || target.hasPrefix("mailto:") }
  }

  private(set) var links: [Link] = []
  /// As links name them: lower case, hyphens for spaces, no punctuation.
  private(set) var headings: Set<String> = []

  init(contentsOf file: URL) throws {
    var isCode = false
    for line in try String(contentsOf: file, encoding: .utf8).split(separator: "\n") {
      if line.drop(while: { $0 == " " }).hasPrefix("```") {
        isCode.toggle()
      } else if !isCode {
        read(String(line))
      }
    }
  }

  private mutating func read(_ line: String) {
    if line.hasPrefix("#") { headings.insert(Self.anchor(line.drop { $0 == "#" || $0 == " " })) }
    // Every other part between backticks is code.
    let prose = line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
      .map { $0.offset % 2 == 0 ? String($0.element) : "code" }.joined()
    for match in prose.matches(of: /\]\(([^)\s]+)\)/) { links.append(Link(target: String(match.1))) }
  }

  private static func anchor(_ heading: Substring) -> String {
    String(
      heading.lowercased().compactMap { character -> Character? in
        if character == " " { return "-" }
        return character.isLetter || character.isNumber || character == "-" || character == "_" ? character : nil
      })
  }
}
