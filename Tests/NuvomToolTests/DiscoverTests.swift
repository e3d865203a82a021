import NuvomCommandLine
import Foundation
import MessagePack
import Testing

@testable import nuvom

extension ProgramTests {
  /// `nuvom discover` without the parser, and `nuvom list tasks`, which needs none.
  @Suite struct DiscoverTests {
    /// A directory with the program, where no parser is beside it; removed with this. Links, since a file that was just written cannot be run
    /// while another test's process is being started, which holds it open.
    private final class Installed {
      let directory: URL
      var nuvom: String { directory.appendingPathComponent("nuvom").path }

      init() throws {
        directory = try Program.executable.deletingLastPathComponent().appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        try FileManager.default.linkItem(atPath: Program.executable.path, toPath: nuvom)
      }

      deinit { try? FileManager.default.removeItem(at: directory) }
    }

    @Test("Without the parser there is help, and an error that says how to get it")
    func missing() throws {
      let workspace = try Workspace()
      let installed = try Installed()
      let path = ["PATH": "/usr/bin:/bin"]
      let ended = try workspace.nuvom(["discover", "tasks"], environment: path, executable: installed.nuvom)
      #expect(ended.status == 66 && ended.error.contains("make tools") && ended.output.isEmpty, "\(ended)")
      for command in [["discover", "--help"], ["discover", "tasks", "--help"]] {
        let help = try workspace.nuvom(command, environment: path, executable: installed.nuvom)
        #expect(help.status == 0 && help.output.contains("nuvom"), "\(help)")
      }
      let help = try workspace.nuvom(["discover", "tasks", "--help"], environment: path, executable: installed.nuvom)
      #expect(help.output.contains("--include") && help.output.contains(".nuvomignore"))
      let wrong = try workspace.nuvom(
        ["discover", "tasks", "--colour"], environment: path, executable: installed.nuvom)
      #expect(wrong.status == 64)
    }

    @Test("The parser beside nuvom goes before the one on PATH; it is given the arguments, and its status is nuvom's")
    func handsOver() throws {
      let workspace = try Workspace()
      let installed = try Installed()
      try workspace.write("", to: "other/empty")
      try FileManager.default.createSymbolicLink(
        atPath: workspace.file("other/nuvom-discover"), withDestinationPath: "/bin/echo")
      let path = ["PATH": "\(workspace.file("none")):\(workspace.file("other")):/usr/bin:/bin"]
      let arguments = ["discover", "tasks", "--root=-x y", "--include", "a", "--include", "b", "--exclude=c", "--json"]
      let far = try workspace.nuvom(arguments, environment: path, executable: installed.nuvom)
      #expect(
        far.status == 0 && far.output == "tasks --root=-x y --include=a --include=b --exclude=c --json\n", "\(far)")
      try FileManager.default.createSymbolicLink(
        atPath: installed.directory.appendingPathComponent("nuvom-discover").path, withDestinationPath: "/bin/false")
      try FileManager.default.createSymbolicLink(
        atPath: workspace.file("link"), withDestinationPath: installed.nuvom)
      for executable in [installed.nuvom, workspace.file("link")] {
        let near = try workspace.nuvom(["discover", "tasks"], environment: path, executable: executable)
        #expect(near.status == 1 && near.output.isEmpty && near.error.isEmpty, "\(near)")
      }
    }

    @Test("`list tasks` shows name, module, place, tags and description")
    func list() throws {
      let workspace = try Workspace()
      try workspace.write(
        """
        {"version": "1.0", "tasks": [
          {"file_path": "Sources/I/R.swift", "func_name": "resize", "module_name": "I", "name": "rz", "line": 12,
           "tags": ["a", "b"], "description": "Makes it small"},
          {"file_path": "old.py", "func_name": "f", "module_name": "old"}]}
        """, to: "package/.nuvom/manifest.json")
      let ended = try workspace.nuvom(["list", "tasks", "--root", "package"])
      #expect(
        ended.output == """
          NAME  MODULE  PATH                  TAGS  DESCRIPTION
          rz    I       Sources/I/R.swift:12  a, b  Makes it small
          f     old     old.py

          """)
      let document = try workspace.nuvom(["list", "tasks", "--root", "package", "--json"]).json()
      let task = try #require(document["tasks"]?[0])
      #expect(try task.text("name") == "rz" && task["line"] == 12 && task["tags"] == ["a", "b"])
    }

    @Test(
      "A manifest that is none says what to do",
      arguments: [
        (nil, 66, "run `nuvom discover tasks`"), ("{", 65, "is no manifest"),
        ("{\"version\": \"1.0\"}", 65, "is no manifest"),
        (#"{"version": "2.0", "tasks": []}"#, 65, "of version 2.0"),
      ] as [(String?, Int32, String)])
    func unreadable(_ text: String?, _ status: Int32, _ words: String) throws {
      let workspace = try Workspace()
      if let text { try workspace.write(text, to: ".nuvom/manifest.json") }
      let ended = try workspace.nuvom(["list", "tasks"])
      #expect(ended.status == status && ended.error.contains(words) && ended.output.isEmpty, "\(ended)")
    }
  }

  #if Macros
    /// The real parser on directories.
    @Suite struct DiscoveryTests {
      private static let resize = "import NuvomTasks\n@NuvomTask(tags: [\"image\"]) func resize(path: String) {}\n"

      private func manifest(_ workspace: Workspace) throws -> String {
        try String(contentsOfFile: workspace.file(".nuvom/manifest.json"), encoding: .utf8)
      }

      @Test("Tasks are found, told and written; then added, removed and modified ones are")
      func changes() throws {
        let workspace = try Workspace()
        try workspace.write(Self.resize, to: "Sources/Images/Resize.swift")
        try workspace.write(
          "import NuvomTasks\nlet greet = TaskDefinition(\"hi\") { 1 }\n", to: "Sources/App/main.swift")
        let first = try workspace.nuvom(["discover", "tasks"])
        #expect(
          first.status == 0
            && first.output == """
              .nuvom/manifest.json: 2 tasks in 2 files
              + hi  App  Sources/App/main.swift:2
              + resize  Images  Sources/Images/Resize.swift:2

              """,
          "\(first)")
        let written = try JSONText.read(try manifest(workspace))
        #expect(try written.text("version") == "1.0")
        #expect(
          written["tasks"]?[0] == [
            "file_path": "Sources/App/main.swift", "func_name": "greet", "line": 2, "module_name": "App", "name": "hi",
          ])
        #expect(
          try workspace.nuvom(["list", "tasks"]).output.contains("resize  Images  Sources/Images/Resize.swift:2  image")
        )

        try workspace.write(
          "import NuvomTasks\n\n@NuvomTask(\"resize\") func shrink() {}\n@NuvomTask func crop() {}\n",
          to: "Sources/Images/Resize.swift")
        try FileManager.default.removeItem(atPath: workspace.file("Sources/App"))
        let second = try workspace.nuvom(["discover", "tasks"])
        #expect(
          second.output == """
            .nuvom/manifest.json: 2 tasks in 1 file
            + crop  Images  Sources/Images/Resize.swift:4
            - hi  App  Sources/App/main.swift:2
            ~ resize  Images  Sources/Images/Resize.swift:3

            """, "\(second)")
      }

      @Test("The manifest is written only if something changed")
      func unchanged() throws {
        let workspace = try Workspace()
        try workspace.write(Self.resize, to: "a/b.swift")
        try workspace.nuvom(["discover", "tasks"])
        let path = workspace.file(".nuvom/manifest.json")
        let before = try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
        let again = try workspace.nuvom(["discover", "tasks"])
        #expect(again.status == 0 && again.output == ".nuvom/manifest.json: no changes, 1 task in 1 file\n")
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int == before)
        try workspace.write("\n" + Self.resize, to: "a/b.swift")
        let moved = try workspace.nuvom(["discover", "tasks", "--json"]).json()
        #expect(moved["written"] == true && moved["modified"] == [] && moved["tasks"] == 1)
        #expect(try workspace.nuvom(["list", "tasks"]).output.contains("a/b.swift:3"))
      }

      @Test("Two tasks of one name: an error with both places, and the manifest stays")
      func duplicates() throws {
        let workspace = try Workspace()
        try workspace.write(Self.resize, to: "a.swift")
        try workspace.nuvom(["discover", "tasks"])
        let before = try manifest(workspace)
        try workspace.write("\n" + Self.resize + "@NuvomTask func other() {}\n", to: "b.swift")
        let ended = try workspace.nuvom(["discover", "tasks"])
        #expect(
          ended.status == 65 && ended.error.contains("b.swift:3: error: the task resize is also at a.swift:2"),
          "\(ended)")
        #expect(try ended.output.isEmpty && manifest(workspace) == before)
        let document = try workspace.nuvom(["discover", "tasks", "--json"]).json()
        #expect(document["duplicates"]?[0]?["places"] == ["a.swift:2", "b.swift:3"] && document["written"] == false)
        try workspace.write("/b.swift\n", to: ".nuvomignore")
        #expect(try workspace.nuvom(["discover", "tasks"]).status == 0)
      }

      @Test("A file that is no Swift is told with its line; the others are read, its tasks stay, the status says so")
      func broken() throws {
        let workspace = try Workspace()
        try workspace.write(Self.resize, to: "a.swift")
        try workspace.nuvom(["discover", "tasks"])
        try workspace.write(Self.resize + "func broken( {\n", to: "a.swift")
        try workspace.write("import NuvomTasks\n@NuvomTask func new() {}\n", to: "b.swift")
        let ended = try workspace.nuvom(["discover", "tasks"])
        #expect(
          ended.status == 65 && ended.error.contains("a.swift:3: error: ") && !ended.output.contains("- resize"),
          "\(ended)")
        #expect(ended.output.contains("+ new"))
        #expect(try manifest(workspace).contains("\"resize\"") && manifest(workspace).contains("\"new\""))
        try Data([0x2F, 0x2F, 0xFF, 0x0A]).write(to: URL(fileURLWithPath: workspace.file("a.swift")))
        #expect(try workspace.nuvom(["discover", "tasks"]).error.contains("a.swift:1: error: the file is not UTF-8"))
      }

      @Test(
        "What is hidden, built or ignored is not read, in any directory; --include and --exclude choose among the rest")
      func choice() throws {
        let workspace = try Workspace()
        let skipped = [
          ".build/a.swift", ".git/b.swift", ".hidden/c.swift", ".d.swift", "DerivedData/e.swift",
          "x/DerivedData/f.swift", "Package.swift",
          "x/Package.swift", "Package@swift-6.1.swift", "gen/g.swift", "x/gen/h.swift", "x/i.gyb.swift", "text.txt",
        ]
        let read = ["j.swift", "x/k.swift", "x/y/l.swift", "x/keep.gyb.swift", "z/gen.swift"]
        for (number, path) in (skipped + read).enumerated() {
          try workspace.write("import NuvomTasks\n@NuvomTask func f\(number)() {}\n", to: path)
        }
        try workspace.write("gen/\n", to: ".nuvomignore")
        try workspace.write("*.gyb.swift\n!keep.gyb.swift\n", to: "x/.nuvomignore")
        try FileManager.default.createSymbolicLink(atPath: workspace.file("loop"), withDestinationPath: ".")
        func found(_ arguments: [String]) throws -> [String] {
          let ended = try workspace.nuvom(["discover", "tasks"] + arguments)
          #expect(ended.status == 0, "\(ended)")
          guard case .array(let tasks)? = try workspace.nuvom(["list", "tasks", "--json"]).json()["tasks"] else {
            return []
          }
          return try tasks.map { try $0.text("file_path") }
        }
        #expect(try found([]) == read.sorted())
        #expect(try found(["--include", "x/"]) == ["x/k.swift", "x/keep.gyb.swift", "x/y/l.swift"])
        #expect(try found(["--include", "/*.swift", "--include", "l.swift"]) == ["j.swift", "x/y/l.swift"])
        #expect(try found(["--include", "x", "--exclude", "y/"]) == ["x/k.swift", "x/keep.gyb.swift"])
        #expect(try found(["--exclude", "*"]) == [])
      }

      @Test("A root that is none, a manifest of another version: nothing is written, and the error says what to do")
      func refused() throws {
        let workspace = try Workspace()
        let missing = try workspace.nuvom(["discover", "tasks", "--root", "nowhere"])
        #expect(missing.status == 66 && missing.error.contains("--root"))
        let text = #"{"version": "9.1", "tasks": []}"#
        try workspace.write(text, to: ".nuvom/manifest.json")
        let other = try workspace.nuvom(["discover", "tasks"])
        #expect(other.status == 65 && other.error.contains("version 9.1") && other.error.contains("delete it"))
        #expect(try manifest(workspace) == text)
      }
    }
  #endif
}
