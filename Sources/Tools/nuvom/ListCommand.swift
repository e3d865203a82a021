import NuvomCommandLine
import ArgumentParser
import MessagePack
import NuvomDiscovery

struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Show what discovery has found.", subcommands: [ListTasksCommand.self])
}

struct ListTasksCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tasks", abstract: "Show the tasks in the manifest.",
    discussion: "Reads .nuvom/manifest.json below --root, which `nuvom discover tasks` writes.")

  @Option(help: ArgumentHelp("Where the sources are, and the manifest.", valueName: "dir"))
  var root = "."
  @OptionGroup var form: OutputForm

  func run() throws {
    let found: Manifest?
    do {
      found = try Manifest.read(root: root)
    } catch {
      throw Failure(error)
    }
    guard let manifest = found else {
      throw Failure(
        .missing, "there is no \(Manifest.path) in \(root): run `nuvom discover tasks`, or name the package by --root")
    }
    try form.output.answer(
      ["tasks": .array(manifest.tasks.map(\.document))],
      Output.table(
        ["NAME", "MODULE", "PATH", "TAGS", "DESCRIPTION"],
        manifest.tasks.map { task in
          [task.name, task.moduleName, task.place, task.tags.joined(separator: ", "), task.description]
        }))
  }
}

extension Manifest.Entry {
  fileprivate var document: MessageValue {
    [
      "name": .string(name), "module_name": .string(moduleName), "func_name": .string(funcName),
      "file_path": .string(filePath), "line": line.map { .count($0) } ?? .null,
      "tags": .array(tags.map { .string($0) }), "description": .string(description),
    ]
  }
}

extension Failure {
  init(_ error: ManifestError) {
    let status: ExitStatus
    switch error.code {
    case .malformed, .unknownVersion: status = .damaged
    case .unreadable, .unwritable: status = .inputOutput
    }
    self.init(status, error.message)
  }
}
