import NuvomCommandLine
import ArgumentParser
import Foundation
import Glibc
import NuvomDiscovery

struct DiscoverCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "discover", abstract: "Find the tasks of a Swift package.",
    discussion: """
      The sources are parsed by nuvom-discover, an executable of its own: it is looked for beside nuvom, then on PATH. `make tools` in \
      Nuvom's repository builds it.
      """,
    subcommands: [DiscoverTasksCommand.self])
}

struct DiscoverTasksCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tasks", abstract: DiscoveryOptions.abstract, discussion: DiscoveryOptions.discussion)

  @OptionGroup var options: DiscoveryOptions

  func run() throws { throw CompanionProgram("nuvom-discover").replaceThisProgram(["tasks"] + options.arguments) }
}

/// A program that a command hands over to, as git does with its subcommands: what it needs is not linked into this one.
struct CompanionProgram {
  private let name: String

  init(_ name: String) { self.name = name }

  /// Becomes that program; returns only why that cannot be.
  func replaceThisProgram(_ arguments: [String]) -> Failure {
    guard let path = candidates.first(where: isExecutable) else {
      return Failure(
        .missing,
        "\(name) is neither beside nuvom (\(ownDirectory)) nor on PATH: build it with `make tools` in Nuvom's repository, and put both "
          + "into one directory")
    }
    var pointers = ([path] + arguments).map { strdup($0) }
    defer { for pointer in pointers { free(pointer) } }
    pointers.append(nil)
    execv(path, pointers)
    return Failure(.internal, "\(path) cannot be run: \(String(cString: strerror(errno)))")
  }

  private var candidates: [String] {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
    return ([ownDirectory] + path.split(separator: ":").map(String.init)).map { "\($0)/\(name)" }
  }

  /// Where the running executable is, also when it was called by a symbolic link.
  private var ownDirectory: String {
    URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
  }

  private func isExecutable(_ path: String) -> Bool {
    var isDirectory: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
      && FileManager.default.isExecutableFile(atPath: path)
  }
}
