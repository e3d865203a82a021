/// What one Swift file says that matters to finding tasks.
struct SourceFacts {
  /// A task, if its words mean ours: see ``TaskIndex``.
  struct Task {
    /// How the attribute or type is spelt, when not with one of our modules before it.
    enum Spelling: Equatable { case attribute, type(String), qualified }

    var spelling: Spelling
    /// The function's or constant's.
    var declaration: String
    var name: String
    var line: Int
    var tags: [String]
    var description: String
    /// The parts of `#if` that it is in, from the outermost.
    var branches: [Branch]
  }

  /// One part of an `#if` of the file.
  struct Branch: Equatable {
    let condition: Int
    let part: Int
  }

  /// Something that looks like a task, and is none.
  struct Remark: Equatable {
    var spelling: Task.Spelling
    var line: Int
    var message: String
  }

  /// What is wrong with its syntax.
  struct Fault: Equatable {
    var line: Int
    var message: String
  }

  /// The modules that it imports, each by its first name.
  var imports: Set<String> = []
  /// Those of them that who imports this module has, too.
  var exports: Set<String> = []
  /// Names at file scope that hide ours.
  var declared: Set<String> = []
  /// Other names for `TaskDefinition`, at file scope, with the spelling of what they stand for.
  var aliases: [String: Task.Spelling] = [:]
  var tasks: [Task] = []
  var remarks: [Remark] = []
  var faults: [Fault] = []
}

extension SourceFacts.Task {
  /// Whether both can be in one build: not if they are in different parts of one `#if`.
  func excludes(_ other: SourceFacts.Task) -> Bool {
    branches.contains { branch in other.branches.contains { $0.condition == branch.condition && $0.part != branch.part }
    }
  }
}
