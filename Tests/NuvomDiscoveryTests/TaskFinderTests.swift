#if Macros
  import NuvomDiscovery
  import Testing

  @testable import nuvom_discover

  /// Source text, and the tasks in it.
  struct TaskFinderTests {
    struct Row: Sendable, CustomTestStringConvertible {
      let what: String
      let source: String
      /// `name = declaration:line`, where the name is another.
      let tasks: [String]
      var testDescription: String { what }

      init(_ what: String, _ source: String, _ tasks: [String]) {
        (self.what, self.source, self.tasks) = (what, source, tasks)
      }
    }

    @Test(
      "Tasks are found where they are, and nowhere else",
      arguments: [
        Row("plain", "@NuvomTask func f() {}", ["f:1"]),
        Row("called", "@NuvomTask()\nfunc f() {}", ["f:2"]),
        Row("named", #"@NuvomTask("g", retries: 3) func f() {}"#, ["g = f:1"]),
        Row("name nil", "@NuvomTask(nil) func f() {}", ["f:1"]),
        Row("a raw name", ##"@NuvomTask(#"g"#) func f() {}"##, ["g = f:1"]),
        Row("an escaped name", #"@NuvomTask("\u{67}") func f() {}"#, ["g = f:1"]),
        Row("qualified", "@NuvomTasks.NuvomTask func f() {}", ["f:1"]),
        Row("qualified by the worker's module", "@NuvomWorker.NuvomTask(retries: 1) func f() {}", ["f:1"]),
        Row("async throws", "@NuvomTask public func f() async throws -> Int { 1 }", ["f:1"]),
        Row("other attributes", "@available(*, deprecated)\n@NuvomTask\n@MainActor func f() {}", ["f:3"]),
        Row("static", "enum E { @NuvomTask static func f() {} }", ["f:1"]),
        Row(
          "static, nested", "struct S { enum E {} }\nextension S.E { @NuvomTask public static func f() {} }", ["f:2"]),
        Row("a keyword as name", "@NuvomTask func `default`() {}", ["default:1"]),
        Row("methods", "struct S { @NuvomTask func f() {} }\nclass C { @NuvomTask class func g() {} }", []),
        Row("requirements", "protocol P { @NuvomTask static func f() }", []),
        Row("generic", "@NuvomTask func f<T>(_ t: T) {}\nstruct S<T> { @NuvomTask static func g() {} }", []),
        Row("nested functions", "func f() { @NuvomTask func g() {} }\nlet x = { @NuvomTask func h() {} }", []),
        Row(
          "nested in other bodies",
          "var x: Int { @NuvomTask func g() {}; return 1 }\nif true { @NuvomTask func h() {} }", []),
        Row("others' attributes", "@Other.NuvomTask func f() {}\n@MyNuvomTask func g() {}\n@task func h() {}", []),
        Row("a member of ours", "@NuvomTasks.Inner.NuvomTask func f() {}", []),
        Row("comments", "// @NuvomTask func f() {}\n/* @NuvomTask\nfunc g() {} */", []),
        Row("nested comments", "/* /* */ @NuvomTask func g() {} */", []),
        Row("strings", #"let s = "@NuvomTask func f() {}""#, []),
        Row("long strings", "let s = \"\"\"\n@NuvomTask func f() {}\n\"\"\"", []),
        Row("a name that is no literal", "let n = \"g\"\n@NuvomTask(n) func f() {}", []),
        Row("a name with something in it", #"@NuvomTask("a\(1)") func f() {}"#, []),
        Row("#if false", "#if false\n@NuvomTask func f() {}\n#else\n@NuvomTask func g() {}\n#endif", ["g:4"]),
        Row("#if true", "#if true\n@NuvomTask func f() {}\n#else\n@NuvomTask func g() {}\n#endif", ["f:2"]),
        Row("#if false && …", "#if false && DEBUG\n@NuvomTask func f() {}\n#endif", []),
        Row("#if !(…)", "#if !(true || DEBUG)\n@NuvomTask func f() {}\n#endif", []),
        Row("#if DEBUG", "#if DEBUG\n@NuvomTask func f() {}\n#else\n@NuvomTask func g() {}\n#endif", ["f:2", "g:4"]),
        Row(
          "one task in two parts", "#if os(Linux)\n@NuvomTask func f() {}\n#else\n@NuvomTask func f() {}\n#endif",
          ["f:2"]),
        Row("#if around the attribute", "#if DEBUG\n@NuvomTask\n#endif\nfunc f() {}", ["f:4"]),
        Row("a definition", #"let greet = TaskDefinition("hi") { (n: String) in n }"#, ["hi = greet:1"]),
        Row("with types", #"let greet = TaskDefinition<Arguments<Int>, Int>("hi") { $0 }"#, ["hi = greet:1"]),
        Row("by annotation", #"public let g: TaskDefinition<Arguments<Int>, Int> = .init("g") { $0 }"#, ["g:1"]),
        Row("by init", #"let g = TaskDefinition<Arguments<Int>, Int>.init("g") { $0 }"#, ["g:1"]),
        Row("qualified type", #"let g = NuvomTasks.TaskDefinition("g") { 1 }"#, ["g:1"]),
        Row("static", #"struct S { static let g = TaskDefinition("g") { 1 } }"#, ["g:1"]),
        Row("several", "let a = TaskDefinition(\"a\") { 1 },\n  b = TaskDefinition(\"b\") { 1 }", ["a:1", "b:2"]),
        Row("in parentheses", #"let g = (TaskDefinition("g") { 1 })"#, ["g:1"]),
        Row("of instances", #"struct S { let g = TaskDefinition("g") { 1 } }"#, []),
        Row("local", #"func f() { let g = TaskDefinition("g") { 1 } }"#, []),
        Row("others' types", #"let g = Other.TaskDefinition("g") { 1 }; let h = MyTaskDefinition("h")"#, []),
        Row("another type's init", #"let g: Other = .init("g")"#, []),
        Row("a reference", #"let g = TaskReference<Arguments<Int>, Int>("g")"#, []),
        Row("a computed name", #"let g = TaskDefinition(name) { 1 }"#, []),
        Row("an alias", "typealias Job = TaskDefinition<Arguments<Int>, Int>\nlet g = Job(\"g\") { $0 }", ["g:2"]),
        Row(
          "an attribute of one's own",
          "macro NuvomTask() = #externalMacro(module: \"M\", type: \"T\")\n@NuvomTask func f() {}", []),
        Row(
          "a type of one's own", "struct TaskDefinition {}\nlet g = TaskDefinition(\"g\")\n@NuvomTask func f() {}",
          ["f:3"]),
      ])
    func found(row: Row) {
      let index = Self.index(["import NuvomTasks;" + row.source])
      let tasks = index.tasks.map { task in
        (task.name == task.funcName ? "" : "\(task.name) = ") + "\(task.funcName):\(task.line ?? 0)"
      }
      #expect(tasks == row.tasks && index.clashes.isEmpty)
    }

    private static func index(_ sources: [String]) -> TaskIndex {
      TaskIndex(
        sources.enumerated().map { number, source in
          TaskIndex.File(path: "Sources/M/\(number).swift", module: "M", facts: TaskFinder.facts(of: source))
        })
    }

    @Test(
      "A word is ours only where one of our modules is imported",
      arguments: [
        ("import NuvomTasks", 1), ("import Other", 0), ("", 0), ("import NuvomTasksMore", 0),
        ("@testable import NuvomTasks", 1), ("import struct NuvomTasks.TaskDefinition", 1), ("// import NuvomTasks", 0),
        ("#if canImport(NuvomTasks)\nimport NuvomTasks\n#endif", 1), ("#if false\nimport NuvomTasks\n#endif", 0),
      ])
    func imports(line: String, count: Int) {
      #expect(Self.index([line + "\n@NuvomTask func f() {}"]).tasks.count == count)
    }

    @Test("A module that exports ours gives the words to itself and to who imports it, over several steps")
    func exports() {
      func file(_ module: String, _ source: String) -> TaskIndex.File {
        TaskIndex.File(
          path: "Sources/\(module)/\(source.count).swift", module: module, facts: TaskFinder.facts(of: source))
      }
      let index = TaskIndex([
        file("User", "import Middle\n@NuvomTask func user() {}"),
        file("Middle", "@_exported import Base"),
        file("Base", "@_exported public import NuvomTasks"),
        file("Base", "@NuvomTask func base() {}"),
        file("Plain", "import NuvomTasks"),
        file("Stranger", "import Plain\n@NuvomTask func stranger() {}"),
      ])
      #expect(index.tasks.map(\.name) == ["user", "base"])
    }

    @Test("Tags and description come from the attribute, or from the definition's policy")
    func fields() {
      let index = Self.index([
        #"""
        import NuvomTasks
        @NuvomTask(tags: ["a", "b"], description: "first") func f() {}
        let g = TaskDefinition("g", .init(tags: ["c"], description: "second")) { 1 }
        let h = TaskDefinition("h", TaskPolicy(tags: [someTag, "d"])) { 1 }
        """#
      ])
      #expect(index.tasks.map(\.tags) == [["a", "b"], ["c"], ["d"]])
      #expect(index.tasks.map(\.description) == ["first", "second", ""])
    }

    @Test("Two tasks of one name are told with both places, also when they are of two kinds")
    func clashes() {
      let index = Self.index([
        "import NuvomTasks\n@NuvomTask func f() {}", "import NuvomTasks\n\nlet x = TaskDefinition(\"f\") { 1 }",
      ])
      #expect(
        index.clashes == [TaskIndex.Clash(name: "f", first: "Sources/M/0.swift:2", second: "Sources/M/1.swift:3")])
    }

    @Test("Tasks of one name under different `#if`s are two, those within one part of an `#if` too")
    func conditionalClashes() {
      let two = "#if A\n@NuvomTask func f() {}\n#endif\n#if B\n@NuvomTask func f() {}\n#endif"
      #expect(Self.index(["import NuvomTasks\n" + two]).clashes.count == 1)
      let within = "#if A\n@NuvomTask func f() {}\nenum E { @NuvomTask static func f() {} }\n#endif"
      #expect(Self.index(["import NuvomTasks\n" + within]).clashes.count == 1)
    }

    @Test(
      "What looks like a task and is none is said, if the word is ours",
      arguments: [
        ("import NuvomTasks\nstruct S {\n@NuvomTask func f() {} }", ["Sources/M/0.swift:3"]),
        ("import NuvomTasks\nlet g = TaskDefinition(name) { 1 }", ["Sources/M/0.swift:2"]),
        ("import Other\nstruct S {\n@NuvomTask func f() {} }", []),
      ])
    func remarks(source: String, places: [String]) {
      #expect(Self.index([source]).remarks.map(\.place) == places)
    }

    @Test("A file that cannot be parsed says where, and its tasks stay as they were, unless they are elsewhere now")
    func faults() {
      let facts = TaskFinder.facts(of: "import NuvomTasks\n@NuvomTask func f() {}\nfunc g( {}")
      #expect(facts.faults.first?.line == 3)
      let file = TaskIndex.File(path: "broken.swift", module: "M", facts: facts)
      let moved = TaskIndex.File(
        path: "other.swift", module: "M", facts: TaskFinder.facts(of: "import NuvomTasks\n@NuvomTask func moved() {}"))
      func old(_ name: String, _ path: String) -> Manifest.Entry {
        Manifest.Entry(filePath: path, funcName: name, moduleName: "M", name: name, line: 1)
      }
      let previous = [old("old", "broken.swift"), old("moved", "broken.swift"), old("gone", "gone.swift")]
      let index = TaskIndex([file, moved], previous: previous)
      #expect(index.tasks.map { "\($0.name) \($0.filePath)" } == ["moved other.swift", "old broken.swift"])
    }
  }
#endif
