import Foundation

/// Which tasks a package's sources have: what `nuvom discover tasks` writes and `nuvom list tasks` shows.
///
/// ```json
/// { "tasks": [{ "file_path": "Sources/Images/Resize.swift", "func_name": "resize", "line": 12, "module_name": "Images",
///               "name": "resize" }], "version": "1.0" }
/// ```
package struct Manifest: Codable, Equatable, Sendable {
  /// The only version that there is.
  package static let version = "1.0"
  /// Where it is, below the root of the sources.
  package static let path = ".nuvom/manifest.json"

  package var version = Manifest.version
  /// By file and line.
  package var tasks: [Entry]

  package init(tasks: [Entry]) {
    self.tasks = tasks.sorted { ($0.filePath, $0.line ?? 0, $0.name) < ($1.filePath, $1.line ?? 0, $1.name) }
  }

  /// A task and where it is.
  package struct Entry: Codable, Equatable, Sendable {
    /// Below the root, with `/`.
    package var filePath: String
    /// The function, or the constant that holds the definition.
    package var funcName: String
    /// The target that it belongs to, as its folder is called.
    package var moduleName: String
    /// What jobs name.
    package var name: String
    /// From 1. Manifests of others need not have it.
    package var line: Int?
    package var tags: [String]
    package var description: String

    package init(
      filePath: String, funcName: String, moduleName: String, name: String, line: Int?, tags: [String] = [],
      description: String = ""
    ) {
      self.filePath = filePath
      self.funcName = funcName
      self.moduleName = moduleName
      self.name = name
      self.line = line
      self.tags = tags
      self.description = description
    }

    /// `path:line`.
    package var place: String { filePath + (line.map { ":\($0)" } ?? "") }

    private enum CodingKeys: String, CodingKey {
      case filePath = "file_path"
      case funcName = "func_name"
      case moduleName = "module_name"
      case name, line, tags, description
    }

    package init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: CodingKeys.self)
      filePath = try fields.decode(String.self, forKey: .filePath)
      funcName = try fields.decode(String.self, forKey: .funcName)
      moduleName = try fields.decode(String.self, forKey: .moduleName)
      name = try fields.decodeIfPresent(String.self, forKey: .name) ?? funcName
      line = try fields.decodeIfPresent(Int.self, forKey: .line)
      tags = try fields.decodeIfPresent([String].self, forKey: .tags) ?? []
      description = try fields.decodeIfPresent(String.self, forKey: .description) ?? ""
    }

    package func encode(to encoder: any Encoder) throws {
      var fields = encoder.container(keyedBy: CodingKeys.self)
      try fields.encode(filePath, forKey: .filePath)
      try fields.encode(funcName, forKey: .funcName)
      try fields.encode(moduleName, forKey: .moduleName)
      try fields.encode(name, forKey: .name)
      try fields.encodeIfPresent(line, forKey: .line)
      if !tags.isEmpty { try fields.encode(tags, forKey: .tags) }
      if !description.isEmpty { try fields.encode(description, forKey: .description) }
    }
  }
}

// MARK: On disk

extension Manifest {
  /// Reads the manifest below a root.
  /// - Returns: nil if there is none.
  package static func read(root: String) throws(ManifestError) -> Manifest? {
    let path = location(root)
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    let bytes: Data
    do {
      bytes = try Data(contentsOf: URL(fileURLWithPath: path))
    } catch {
      throw ManifestError(.unreadable, "\(path) cannot be read: \(error.localizedDescription)", cause: error)
    }
    struct Version: Decodable { var version: String }
    do {
      let version = try JSONDecoder().decode(Version.self, from: bytes).version
      guard version == Self.version else {
        throw ManifestError(
          .unknownVersion,
          "\(path) is of version \(version), this program knows \(Self.version): use the program that wrote it, or delete it and "
            + "run `nuvom discover tasks`")
      }
      return try JSONDecoder().decode(Manifest.self, from: bytes)
    } catch let error as ManifestError {
      throw error
    } catch {
      throw ManifestError(
        .malformed, "\(path) is no manifest: delete it and run `nuvom discover tasks`", cause: error)
    }
  }

  /// Replaces the manifest below a root by this one, wholly or not at all; makes the directory `.nuvom` if need be.
  package func write(root: String) throws(ManifestError) {
    let path = Self.location(root)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    do {
      try FileManager.default.createDirectory(
        at: URL(fileURLWithPath: path).deletingLastPathComponent(), withIntermediateDirectories: true)
      try (encoder.encode(self) + Data("\n".utf8)).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw ManifestError(.unwritable, "\(path) cannot be written: \(error.localizedDescription)", cause: error)
    }
  }

  private static func location(_ root: String) -> String { root.hasSuffix("/") ? root + path : "\(root)/\(path)" }
}

/// Why a manifest cannot be had.
package struct ManifestError: Error, CustomStringConvertible {
  package enum Code: Sendable { case unreadable, unwritable, malformed, unknownVersion }

  package let code: Code
  /// What happened and what to do.
  package let message: String
  package let cause: (any Error)?

  init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  package var description: String { message }
}
