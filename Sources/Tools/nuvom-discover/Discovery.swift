#if Macros
  import Foundation
  import NuvomDiscovery

  /// One run of discovery: reads the sources, compares with the manifest, writes it.
  struct Discovery {
    struct Failure: Equatable {
      var path: String
      var line: Int
      var message: String
    }

    private(set) var changes: ManifestChanges
    private(set) var tasks: Int
    private(set) var files: Int
    private(set) var isWritten = false
    /// Whether there was a manifest before.
    private(set) var isFirst: Bool
    private(set) var remarks: [TaskIndex.Remark] = []
    private(set) var clashes: [TaskIndex.Clash] = []
    /// Files that are no Swift, each with the first thing that is wrong.
    private(set) var failures: [Failure] = []

    /// Does it all; the manifest is written if something changed and no two tasks have one name.
    /// - Throws: ``ManifestError``; what the system says of a directory or file that cannot be read.
    init(root: String, include: [String], exclude: [String]) throws {
      let previous = try Manifest.read(root: root)
      let paths = try SourceTree(root: root, include: include, exclude: exclude).files()
      let read = try paths.map { path in
        let bytes = try Data(contentsOf: URL(fileURLWithPath: "\(root)/\(path)"))
        return TaskIndex.File(
          path: path, module: SourceTree.module(of: path, root: root), facts: Self.facts(of: Array(bytes)))
      }
      let index = TaskIndex(read, previous: previous?.tasks ?? [])
      let manifest = Manifest(tasks: index.tasks)
      isFirst = previous == nil
      changes = ManifestChanges(from: previous, to: manifest)
      tasks = manifest.tasks.count
      files = paths.count
      remarks = index.remarks
      clashes = index.clashes
      failures = read.compactMap { file in
        file.facts.faults.first.map { fault in
          let more = file.facts.faults.count - 1
          return Failure(
            path: file.path, line: fault.line, message: fault.message + (more > 0 ? " (and \(more) more)" : ""))
        }
      }
      if clashes.isEmpty, manifest != previous {
        try manifest.write(root: root)
        isWritten = true
      }
    }

    private static func facts(of bytes: [UInt8]) -> SourceFacts {
      guard let source = String(validating: bytes, as: UTF8.self) else {
        var facts = SourceFacts()
        facts.faults = [SourceFacts.Fault(line: 1, message: "the file is not UTF-8")]
        return facts
      }
      return TaskFinder.facts(of: source)
    }
  }
#endif
