import NuvomDiscovery

/// Puts the facts of all files together: which of the words in them mean ours, and which tasks there are.
struct TaskIndex {
  static let attribute = "NuvomTask"
  static let definition = "TaskDefinition"
  /// Who imports one of these has `@NuvomTask` and `TaskDefinition`.
  static let modules: Set<String> = ["NuvomTasks", "NuvomWorker", "NuvomTestKit"]

  /// A file that was read.
  struct File {
    /// Below the root.
    var path: String
    var module: String
    var facts: SourceFacts
  }

  /// Two tasks of one name.
  struct Clash: Equatable {
    var name: String
    var first: String
    var second: String
  }

  /// A line about a place that is no task.
  struct Remark: Equatable {
    var place: String
    var message: String
  }

  private(set) var tasks: [Manifest.Entry] = []
  private(set) var clashes: [Clash] = []
  private(set) var remarks: [Remark] = []

  /// - Parameter previous: tasks of files that cannot be parsed stay as they were here, unless they are now elsewhere.
  init(_ files: [File], previous: [Manifest.Entry] = []) {
    let words = Words(files)
    var named: [String: (file: String, task: SourceFacts.Task, place: String)] = [:]
    for file in files {
      for remark in file.facts.remarks where words.areOurs(remark.spelling, in: file) {
        remarks.append(Remark(place: "\(file.path):\(remark.line)", message: remark.message))
      }
      guard file.facts.faults.isEmpty else { continue }
      for task in file.facts.tasks where words.areOurs(task.spelling, in: file) {
        let place = "\(file.path):\(task.line)"
        if let other = named[task.name] {
          if other.file != file.path || !other.task.excludes(task) {
            clashes.append(Clash(name: task.name, first: other.place, second: place))
          }
          continue
        }
        named[task.name] = (file.path, task, place)
        tasks.append(
          Manifest.Entry(
            filePath: file.path, funcName: task.declaration, moduleName: file.module, name: task.name, line: task.line,
            tags: task.tags, description: task.description))
      }
    }
    let broken = Set(files.filter { !$0.facts.faults.isEmpty }.map(\.path))
    tasks += previous.filter { broken.contains($0.filePath) && named[$0.name] == nil }
  }

  /// What names mean, as far as sources tell: by the imports of each file and the declarations of each module.
  private struct Words {
    /// Modules through which ours are seen.
    private var exporting = TaskIndex.modules
    private var declared: [String: Set<String>] = [:]
    private var aliases: [String: [String: SourceFacts.Task.Spelling]] = [:]

    init(_ files: [File]) {
      for file in files {
        declared[file.module, default: []].formUnion(file.facts.declared)
        aliases[file.module, default: [:]].merge(file.facts.aliases) { first, _ in first }
      }
      var count = 0
      while count != exporting.count {
        count = exporting.count
        for file in files where !file.facts.exports.isDisjoint(with: exporting) { exporting.insert(file.module) }
      }
    }

    /// Whether a word in a file is ours: the file, or all of its module by `@_exported`, imports a module of ours, and the file's module
    /// has nothing of its own by that name.
    func areOurs(_ spelling: SourceFacts.Task.Spelling, in file: File) -> Bool {
      switch spelling {
      case .qualified: return true
      case .attribute: return seesOurs(file) && !hides(TaskIndex.attribute, in: file)
      case .type(TaskIndex.definition):
        return seesOurs(file) && !hides(TaskIndex.definition, in: file)
      case .type(let name):
        // One step: an alias of an alias is not followed.
        guard let target = aliases[file.module]?[name] else { return false }
        if target == .qualified { return true }
        return target == .type(TaskIndex.definition) && !hides(TaskIndex.definition, in: file)
      }
    }

    private func seesOurs(_ file: File) -> Bool {
      exporting.contains(file.module) || !file.facts.imports.isDisjoint(with: exporting)
    }

    private func hides(_ name: String, in file: File) -> Bool { declared[file.module]?.contains(name) ?? false }
  }
}
