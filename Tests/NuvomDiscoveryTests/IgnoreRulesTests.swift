import Foundation
import SeededNumbers
import Testing

@testable import NuvomDiscovery

@Suite(.serialized) struct IgnoreRulesTests {
  /// What a list of lines says of a path: ignored, brought back, or nothing.
  private func verdict(_ lines: [String], _ path: String) -> Bool? {
    let isDirectory = path.hasSuffix("/")
    return IgnoreList(lines: lines).verdict(
      Array((isDirectory ? String(path.dropLast()) : path).utf8), isDirectory: isDirectory)
  }

  @Test(
    "A line matches what it matches in a .gitignore",
    arguments: [
      ("a.swift", "a.swift", true), ("a.swift", "x/y/a.swift", true), ("/a.swift", "x/a.swift", nil),
      ("x/a.swift", "x/a.swift", true), ("x/a.swift", "y/x/a.swift", nil), ("gen/", "gen", nil), ("gen/", "gen/", true),
      ("gen/", "x/gen/", true), ("*.swift", "x/a.swift", true), ("x/*.swift", "x/y/a.swift", nil),
      ("**/gen", "x/y/gen", true), ("**/gen", "gen", true), ("x/**", "x/y/z", true), ("x/**", "x/", nil),
      ("x/**/z", "x/z", true), ("x/**/z", "x/a/b/z", true), ("a?c", "abc", true), ("x/a?c", "x/a/c", nil),
      ("[a-c]x", "bx", true), ("[!a-c]x", "bx", nil), ("[[:digit:]]x", "7x", true), ("[a", "[a", nil),
      ("# a", "# a", nil), ("\\#a", "#a", true), ("\\!a", "!a", true), ("!a", "a", false), ("a  ", "a", true),
      ("a\\ ", "a ", true), ("a\\", "a\\", nil), ("", "", nil),
    ] as [(String, String, Bool?)])
  func line(_ line: String, _ path: String, _ ignored: Bool?) {
    #expect(verdict([line], path) == ignored)
  }

  @Test("The last line that matches decides")
  func order() {
    #expect(verdict(["*.swift", "!keep.swift"], "keep.swift") == false)
    #expect(verdict(["!keep.swift", "*.swift"], "keep.swift") == true)
  }

  @Test("A file's byte order mark and carriage returns are no part of its lines")
  func marks() {
    let list = IgnoreList(text: [0xEF, 0xBB, 0xBF] + Array("a\r\nb\r\n".utf8))
    #expect(list.verdict(Array("a".utf8), isDirectory: false) == true)
    #expect(list.verdict(Array("b".utf8), isDirectory: false) == true)
  }

  @Test("Random lines in several directories leave the files that git leaves", arguments: UInt64(1)...12)
  func asGit(seed: UInt64) async throws {
    var random = SeededNumbers(seed: seed)
    let repository = try await GitRepository(&random)
    for _ in 0..<10 {
      let lists = try repository.writeRandomLists(&random)
      let ignored = try await repository.ignored()
      let left = Set(try SourceTree(root: repository.path).files())
      for file in repository.files where left.contains(file) == ignored.contains(file) {
        Issue.record("\(file): git \(ignored.contains(file) ? "ignores" : "leaves") it; \(lists)")
      }
    }
  }
}

/// A directory with files of odd names, and what git says of it.
private final class GitRepository {
  let path = NSTemporaryDirectory() + "nuvom-ignore-" + UUID().uuidString
  private(set) var files: [String] = []
  private var directories: [String] = [""]

  private static let names = ["a", "b", "ab", "abc", "a b", "#a", "!b", "[a]", "a]", "b-", "A1"]

  init(_ random: inout SeededNumbers) async throws {
    for depth in 1...3 {
      for parent in directories where parent.split(separator: "/").count == depth - 1 {
        for _ in 0..<3 {
          let child = parent + (parent.isEmpty ? "" : "/") + random.element(Self.names)
          if !directories.contains(child) { directories.append(child) }
        }
      }
    }
    for directory in directories {
      try FileManager.default.createDirectory(atPath: "\(path)/\(directory)", withIntermediateDirectories: true)
      for _ in 0..<4 {
        let file = (directory.isEmpty ? "" : directory + "/") + random.element(Self.names) + ".swift"
        if !files.contains(file) { files.append(file) }
      }
    }
    for file in files { try Data().write(to: URL(fileURLWithPath: "\(path)/\(file)")) }
    _ = try await git(["init", "--quiet"])
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Writes the same lines for git and for discovery; gives them for a message.
  func writeRandomLists(_ random: inout SeededNumbers) throws -> [String: [String]] {
    for directory in directories {
      for name in [".gitignore", ".nuvomignore"] {
        try? FileManager.default.removeItem(atPath: "\(path)/\(directory)/\(name)")
      }
    }
    var lists: [String: [String]] = [:]
    for directory in [""] + (0..<4).map({ _ in random.element(directories) }) {
      let lines = (0..<(1 + random.below(6))).map { _ in line(&random) }
      lists[directory] = lines
      for name in [".gitignore", ".nuvomignore"] {
        try Data(lines.joined(separator: "\n").utf8).write(
          to: URL(fileURLWithPath: "\(path)/\(directory.isEmpty ? "" : directory + "/")\(name)"))
      }
    }
    return lists
  }

  private static let pieces = [
    "a", "b", "ab", "a b", "*", "*", "**", "**", "**", "/", "/", "?", "[ab]", "[!a]", "[^a-b]", "[[:alpha:]]", "[]a]",
    "[a-",
    "[\\]]", "\\", "!",
    "#", " ", ".swift", ".swift", "]", "-", "[[:nope:]]", "[a/b]", "**/", "/**", "/**/",
  ]

  /// Half of them like what people write, half of them anything.
  private func line(_ random: inout SeededNumbers) -> String {
    var line = ""
    if random.below(2) == 0 {
      line = random.element(files + directories.dropFirst())
      for _ in 0..<random.below(3) {
        let start = line.index(line.startIndex, offsetBy: random.below(line.count))
        let end = line.index(start, offsetBy: 1 + random.below(min(3, line.distance(from: start, to: line.endIndex))))
        line.replaceSubrange(start..<end, with: random.element(Self.pieces))
        if line.isEmpty { break }
      }
    } else {
      for _ in 0...random.below(5) { line += random.element(Self.pieces) }
    }
    if random.below(4) == 0 { line = "!" + line }
    if random.below(5) == 0 { line = "/" + line }
    if random.below(5) == 0 { line += "/" }
    return line
  }

  /// The files that git ignores.
  func ignored() async throws -> Set<String> {
    try Data(files.joined(separator: "\0").utf8).write(to: URL(fileURLWithPath: "\(path)/.files"))
    let output = try await git(
      ["check-ignore", "--no-index", "--verbose", "--non-matching", "-z", "--stdin"], input: "\(path)/.files")
    // Source, line, pattern and path of each; a pattern that begins with "!" brings back.
    let fields = output.split(separator: "\0", omittingEmptySubsequences: false).dropLast()
    var ignored: Set<String> = []
    for start in stride(from: fields.startIndex, to: fields.endIndex, by: 4) {
      let pattern = fields[start + 2]
      if !fields[start].isEmpty, !pattern.hasPrefix("!") { ignored.insert(String(fields[start + 3])) }
    }
    return ignored
  }

  private func git(_ arguments: [String], input: String = "/dev/null") async throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    // What the person who runs the tests ignores everywhere is not the tests' business.
    process.arguments = ["git", "-c", "core.excludesFile=/dev/null"] + arguments
    process.currentDirectoryURL = URL(fileURLWithPath: path)
    process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: input))
    let said = "\(path)/.said"
    try Data().write(to: URL(fileURLWithPath: said))
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: said))
    // No thread of the other tests waits for it.
    try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
      process.terminationHandler = { _ in ended.resume() }
      do { try process.run() } catch { ended.resume(throwing: error) }
    }
    // 1: nothing is ignored.
    try #require(process.terminationReason == .exit && process.terminationStatus <= 1)
    return try String(contentsOfFile: said, encoding: .utf8)
  }
}
