import Foundation
import Testing

@testable import NuvomDiscovery

struct ManifestTests {
  @Test("A manifest that another program wrote, with N43's fields alone, is read")
  func minimal() throws {
    let text = #"{"version":"1.0","tasks":[{"file_path":"a/b.swift","func_name":"f","module_name":"a"}]}"#
    let manifest = try JSONDecoder().decode(Manifest.self, from: Data(text.utf8))
    #expect(
      manifest.tasks == [Manifest.Entry(filePath: "a/b.swift", funcName: "f", moduleName: "a", name: "f", line: nil)])
  }

  private func entry(_ name: String, line: Int = 1, tags: [String] = []) -> Manifest.Entry {
    Manifest.Entry(filePath: "a.swift", funcName: name, moduleName: "a", name: name, line: line, tags: tags)
  }

  @Test("Tasks are compared by name; one that only moved within its file is not modified")
  func changes() {
    let old = Manifest(tasks: [entry("gone"), entry("moved", line: 2), entry("same"), entry("other")])
    let new = Manifest(tasks: [entry("moved", line: 9), entry("same"), entry("other", tags: ["x"]), entry("new")])
    let changes = ManifestChanges(from: old, to: new)
    #expect(changes.added.map(\.name) == ["new"] && changes.removed.map(\.name) == ["gone"])
    #expect(changes.modified.map(\.name) == ["other"])
    #expect(ManifestChanges(from: new, to: new).isEmpty && !ManifestChanges(from: nil, to: new).isEmpty)
  }

  @Test("Tasks are in the order of files and lines, whatever the order they were found in")
  func order() {
    let tasks = [entry("c", line: 10), entry("a", line: 9), entry("b", line: 10)]
    #expect(Manifest(tasks: tasks).tasks.map(\.name) == ["a", "b", "c"])
  }

  @Test(
    "A file's module is its target's folder, else the folder it is in",
    arguments: [
      ("Sources/Images/Resize.swift", "Images"), ("Sources/Images/Deep/Resize.swift", "Images"),
      ("packages/x/Sources/Images/a.swift", "Images"), ("Sources/a.swift", "root"), ("x/Sources/a.swift", "x"),
      ("lib/tasks/a.swift", "tasks"), ("a.swift", "root"),
    ])
  func module(path: String, module: String) {
    #expect(SourceTree.module(of: path, root: "/some/root") == module)
  }
}
