import Foundation

/// The Swift files below a root that discovery reads.
package struct SourceTree {
  private let root: String
  private let include: IgnoreList
  private let exclude: IgnoreList

  /// What no `.nuvomignore` can bring back, beside what is hidden.
  private static let skipped: Set<String> = ["DerivedData"]

  package init(root: String, include: [String] = [], exclude: [String] = []) {
    self.root = root
    self.include = IgnoreList(lines: include)
    self.exclude = IgnoreList(lines: exclude)
  }

  /// Their paths below the root, with `/`, in order.
  /// - Throws: what the system says of a directory or a `.nuvomignore` that cannot be read.
  package func files() throws -> [String] {
    var found: [String] = []
    try walk("", isIncluded: include.isEmpty, [], &found)
    return found
  }

  /// A file `.nuvomignore` and the bytes of the path that its lines are not about.
  private typealias Placed = (list: IgnoreList, base: Int)

  private func walk(_ directory: String, isIncluded: Bool, _ lists: [Placed], _ found: inout [String]) throws {
    var lists = lists
    let names = try FileManager.default.contentsOfDirectory(atPath: location(directory)).sorted()
    if names.contains(".nuvomignore") {
      let path = directory.isEmpty ? ".nuvomignore" : "\(directory)/.nuvomignore"
      let text = try Data(contentsOf: URL(fileURLWithPath: location(path)))
      lists.append((IgnoreList(text: Array(text)), directory.isEmpty ? 0 : directory.utf8.count + 1))
    }
    for name in names where !name.hasPrefix(".") && !Self.skipped.contains(name) {
      let path = directory.isEmpty ? name : "\(directory)/\(name)"
      let type = try FileManager.default.attributesOfItem(atPath: location(path))[.type] as? FileAttributeType
      let isDirectory = type == .typeDirectory
      guard isDirectory || (type == .typeRegular && Self.isSource(name)) else { continue }
      if isIgnored(path, isDirectory: isDirectory, lists) { continue }
      let isIncluded = include.verdict(Array(path.utf8), isDirectory: isDirectory) ?? isIncluded
      if isDirectory {
        try walk(path, isIncluded: isIncluded, lists, &found)
      } else if isIncluded {
        found.append(path)
      }
    }
  }

  private func isIgnored(_ path: String, isDirectory: Bool, _ lists: [Placed]) -> Bool {
    let bytes = Array(path.utf8)
    if let verdict = exclude.verdict(bytes, isDirectory: isDirectory) { return verdict }
    for (list, base) in lists.reversed() {
      if let verdict = list.verdict(bytes[base...], isDirectory: isDirectory) { return verdict }
    }
    return false
  }

  private static func isSource(_ name: String) -> Bool {
    name.hasSuffix(".swift") && name != "Package.swift" && !name.hasPrefix("Package@")
  }

  private func location(_ path: String) -> String { path.isEmpty ? root : "\(root)/\(path)" }

  /// The target that a file belongs to: the folder after the last `Sources` of its path, else the folder it is in, else the root's name.
  package static func module(of path: String, root: String) -> String {
    var folders = path.split(separator: "/").dropLast().map(String.init)
    if let sources = folders.lastIndex(where: { ["Sources", "Source", "src", "srcs"].contains($0) }) {
      if sources + 1 < folders.count { return folders[sources + 1] }
      folders.removeSubrange(sources...)
    }
    return folders.last ?? URL(fileURLWithPath: root).standardizedFileURL.lastPathComponent
  }
}
