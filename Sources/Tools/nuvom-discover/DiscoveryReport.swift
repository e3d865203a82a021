#if Macros
  import NuvomDiscovery

  /// What a run of discovery tells, for people and as JSON.
  struct DiscoveryReport: Encodable {
    struct Failure: Encodable {
      var file_path: String
      var line: Int
      var message: String
    }
    struct Clash: Encodable {
      var name: String
      var places: [String]
    }

    var manifest: String
    var written: Bool
    var files: Int
    var tasks: Int
    var added: [Manifest.Entry]
    var removed: [Manifest.Entry]
    var modified: [Manifest.Entry]
    var failures: [Failure]
    var duplicates: [Clash]
    private let isFirst: Bool
    private let remarks: [TaskIndex.Remark]

    private enum CodingKeys: CodingKey {
      case manifest, written, files, tasks, added, removed, modified, failures, duplicates
    }

    init(_ discovery: Discovery, root: String) {
      manifest = root == "." ? Manifest.path : "\(root)/\(Manifest.path)"
      written = discovery.isWritten
      files = discovery.files
      tasks = discovery.tasks
      added = discovery.changes.added
      removed = discovery.changes.removed
      modified = discovery.changes.modified
      failures = discovery.failures.map { Failure(file_path: $0.path, line: $0.line, message: $0.message) }
      duplicates = discovery.clashes.map { Clash(name: $0.name, places: [$0.first, $0.second]) }
      remarks = discovery.remarks
      isFirst = discovery.isFirst
    }

    /// The answer.
    var lines: [String] {
      let total = "\(tasks) \(tasks == 1 ? "task" : "tasks") in \(files) \(files == 1 ? "file" : "files")"
      if added.isEmpty && removed.isEmpty && modified.isEmpty {
        return ["\(manifest): no changes" + (written && !isFirst ? " but of line numbers" : "") + ", \(total)"]
      }
      func list(_ mark: String, _ entries: [Manifest.Entry]) -> [String] {
        entries.map { "\(mark) \($0.name)  \($0.moduleName)  \($0.place)" }
      }
      return ["\(manifest): \(total)"] + list("+", added) + list("-", removed) + list("~", modified)
    }

    /// What is wrong, or could be taken for a task.
    var remarkLines: [String] {
      remarks.map { "\($0.place): note: \($0.message)" }
        + failures.map {
          "\($0.file_path):\($0.line): error: \($0.message); the file's tasks stay in the manifest as they were"
        }
        + duplicates.map { clash in
          "\(clash.places[1]): error: the task \(clash.name) is also at \(clash.places[0]): rename one, or leave its file out "
            + "with .nuvomignore; the manifest was not written"
        }
    }
  }
#endif
