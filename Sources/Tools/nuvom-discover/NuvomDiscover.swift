import ArgumentParser
import Foundation
import NuvomDiscovery

#if Macros
  @main
  struct NuvomDiscover: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "nuvom-discover", abstract: "Find tasks in Swift sources: what `nuvom discover` hands over to.",
      subcommands: [TasksCommand.self])
  }

  struct TasksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "tasks", abstract: DiscoveryOptions.abstract, discussion: DiscoveryOptions.discussion)

    @OptionGroup var options: DiscoveryOptions

    func run() throws {
      var isDirectory: ObjCBool = false
      guard FileManager.default.fileExists(atPath: options.root, isDirectory: &isDirectory), isDirectory.boolValue
      else {
        throw fail(.missing, "there is no directory \(options.root): name the one with the sources by --root")
      }
      let discovery: Discovery
      do {
        discovery = try Discovery(root: options.root, include: options.include, exclude: options.exclude)
      } catch let error as ManifestError {
        throw fail(error.code == .malformed || error.code == .unknownVersion ? .damaged : .inputOutput, error.message)
      } catch {
        throw fail(.inputOutput, "the sources cannot be read: \(error.localizedDescription)")
      }
      try print(discovery)
      if !discovery.clashes.isEmpty || !discovery.failures.isEmpty { throw ExitCode(ExitStatus.damaged.rawValue) }
    }

    private func print(_ discovery: Discovery) throws {
      let report = DiscoveryReport(discovery, root: options.root)
      if options.isJSON {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        try write(String(decoding: encoder.encode(report), as: UTF8.self), to: .standardOutput)
      } else if discovery.clashes.isEmpty {
        try write(report.lines.joined(separator: "\n"), to: .standardOutput)
      }
      for line in report.remarkLines { try write("nuvom: \(line)", to: .standardError) }
    }

    /// Says what is wrong; gives what to throw.
    private func fail(_ status: ExitStatus, _ message: String) -> ExitCode {
      // Nobody is left to be told that standard error is closed.
      try? write("nuvom: \(message)", to: .standardError)
      return ExitCode(status.rawValue)
    }

    /// A stranger's sources must not steer the terminal of who looks at them.
    private func write(_ text: String, to handle: FileHandle) throws {
      let shown = text.unicodeScalars.map { scalar in
        scalar.properties.generalCategory == .control && scalar != "\n" ? "\u{FFFD}" : scalar
      }
      do {
        try handle.write(contentsOf: Data((String(String.UnicodeScalarView(shown)) + "\n").utf8))
      } catch {
        throw ExitCode(ExitStatus.inputOutput.rawValue)
      }
    }
  }

  /// As `nuvom` ends; see `nuvom --help`.
  private enum ExitStatus: Int32 {
    case damaged = 65
    case missing = 66
    case inputOutput = 74
  }
#else
  /// Holds the executable's place in a build without swift-syntax.
  @main
  struct NuvomDiscover {
    static func main() {
      FileHandle.standardError.write(
        Data("nuvom-discover was built without its parser: build it with `make tools`\n".utf8))
      exit(70)
    }
  }
#endif
