import Foundation
import Testing

/// What a folder below `Sources/` may not import. A name ending in `*` stands for all that begin so.
struct ImportRule: CustomTestStringConvertible, Sendable {
  let folder: String
  let forbidden: [String]
  let reason: String
  var testDescription: String { "\(folder): \(reason)" }
}

struct SourceRulesTests {
  static let importRules: [ImportRule] = [
    ImportRule(
      folder: "Core", forbidden: ["Foundation*", "NIO*", "Glibc", "Musl", "Darwin", "Dispatch", "Logging", "os"],
      reason: "the core has no clock, no file and no socket"),
    ImportRule(
      folder: "Core", forbidden: ["NuvomStorage", "NuvomBroker", "NuvomServer", "NuvomConnection", "NuvomClient"],
      reason: "the core knows nothing of what is built around it"),
    ImportRule(
      folder: "Core/NuvomEngine", forbidden: ["MessagePack", "NuvomWire", "NuvomWAL", "CPlatform", "Synchronization"],
      reason: "the engine is a state machine, apart from wire, disk and threads"),
    ImportRule(
      folder: "Core/NuvomWire", forbidden: ["NuvomEngine", "NuvomWAL"],
      reason: "the wire carries words, and does nothing"),
    ImportRule(
      folder: "Core/NuvomWAL", forbidden: ["Nuvom*", "MessagePack"],
      reason: "the log's format does not know what it keeps"),
    ImportRule(
      folder: "Core/MessagePack", forbidden: ["Nuvom*"], reason: "the codec does not know what it carries"),
    ImportRule(folder: "Core/NuvomModel", forbidden: ["*"], reason: "the words stand on nothing"),
    ImportRule(
      folder: "Core/NuvomSchedule", forbidden: ["MessagePack", "NuvomWire", "NuvomEngine", "NuvomWAL", "C*"],
      reason: "calendar, zones and cron are arithmetic"),
    ImportRule(
      folder: "Node/NuvomBroker", forbidden: ["NIO*", "Foundation*", "Glibc", "Dispatch", "NuvomServer"],
      reason: "the loop takes bytes and gives bytes, whatever the transport"),
    ImportRule(
      folder: "Node/NuvomStorage", forbidden: ["NIO*", "NuvomBroker", "NuvomServer", "NuvomEngine", "NuvomWire"],
      reason: "storage is files and nothing above them"),
    ImportRule(
      folder: "Node",
      forbidden: ["NuvomClient", "NuvomConnection", "NuvomTasks", "NuvomWorker", "ArgumentParser", "Subprocess"],
      reason: "the broker is neither client nor tool, and starts no processes"),
    ImportRule(
      folder: "Client",
      forbidden: ["NuvomEngine", "NuvomWAL", "NuvomStorage", "NuvomBroker", "NuvomServer", "ArgumentParser"],
      reason: "a client knows the protocol, never the broker's inside"),
    ImportRule(
      folder: "Client/NuvomClient", forbidden: ["Foundation*"],
      reason: "who wants no Foundation need not link it: NuvomFoundationCompat brings it"),
    ImportRule(
      folder: "Client/NuvomTasks", forbidden: ["NIO*", "NuvomConnection", "Foundation*", "Glibc", "Dispatch"],
      reason: "a task is a name, a policy and a function; connections are the client's"),
    ImportRule(
      folder: "Client/NuvomFoundationCompat",
      forbidden: ["NIO*", "NuvomConnection", "NuvomModel", "NuvomWorker", "Glibc", "Dispatch"],
      reason: "it adds Date to the public interface of client and tasks, and nothing else"),
    ImportRule(
      folder: "Client/NuvomWorker", forbidden: ["NIO*", "NuvomConnection", "NuvomModel", "Foundation*"],
      reason: "a worker stands on the client's public interface"),
    ImportRule(
      folder: "Testing/NuvomTestKit",
      forbidden: ["NIO*", "NuvomServer", "Foundation*", "Glibc", "CPlatform", "ArgumentParser", "Testing", "XCTest"],
      reason: "a test's broker has no socket and no disk, and knows no test framework"),
    ImportRule(
      folder: "Testing/NuvomHistory",
      forbidden: ["Nuvom*", "NIO*", "Foundation*", "Glibc", "Dispatch", "CPlatform", "BrokerProcess", "Testing"],
      reason: "who judges the broker shares no code with it, but for the codec, and runs wherever a history is"),
    ImportRule(
      folder: "Testing/BrokerProcess", forbidden: ["Nuvom*", "NIO*", "CFaults"],
      reason: "who tries the real process says nothing but bytes to it"),
    ImportRule(
      folder: "Testing/nuvom-proof", forbidden: ["NIO*", "NuvomServer", "NuvomClient"],
      reason: "what is tried on the real process speaks to it over sockets of its own, also wrongly"),
    ImportRule(
      folder: "Testing/NuvomSimulation",
      forbidden: ["NIO*", "NuvomServer", "Foundation*", "Glibc", "Dispatch", "CPlatform", "BrokerProcess"],
      reason: "a simulated world has nothing of the real one"),
    ImportRule(folder: "Core/PlantedBugs", forbidden: ["*"], reason: "a planted bug is a word"),
    ImportRule(folder: "", forbidden: ["NuvomTestKit"], reason: "what ships knows nothing of what tests it"),
    ImportRule(
      folder: "Tools/NuvomDiscovery", forbidden: ["Nuvom*", "NIO*"],
      reason:
        "the manifest is read by `nuvom`, which has no parser, and written by `nuvom-discover`, which has no client"),
    ImportRule(
      folder: "Tools/nuvom-discover", forbidden: ["NuvomClient", "NuvomServer", "NuvomStorage", "NIO*"],
      reason: "discovery reads files and nothing else"),
    ImportRule(
      folder: "Tools/NuvomCommandLine",
      forbidden: ["NuvomServer", "NuvomBroker", "NuvomStorage", "NuvomEngine", "NuvomModel", "NIO*", "ArgumentParser"],
      reason: "what all command lines share knows no command and no broker"),
    ImportRule(
      folder: "Tools/NuvomWorkerCommand",
      forbidden: ["NIO*", "NuvomEngine", "NuvomWAL", "NuvomStorage", "NuvomBroker", "NuvomServer", "NuvomModel"],
      reason: "a worker's program carries no broker"),
    ImportRule(
      folder: "Client/NuvomConnection", forbidden: ["NIO*", "Foundation*", "Glibc", "Dispatch"],
      reason: "the connection is a pure state machine"),
  ]

  @Test("No folder imports what its place in the building forbids", arguments: importRules)
  func imports(rule: ImportRule) throws {
    let files = try SourceFile.all(below: rule.folder)
    #expect(!files.isEmpty, "nothing below Sources/\(rule.folder): has it moved?")
    for file in files {
      for module in file.imports where rule.forbids(module) {
        Issue.record("\(file.path) imports \(module), but \(rule.reason)")
      }
    }
  }

  @Test("swift-syntax is imported only where the trait Macros asks for it, within `#if Macros`")
  func swiftSyntax() throws {
    let parts = [
      "SwiftSyntax", "SwiftParser", "SwiftDiagnostics", "SwiftCompilerPlugin", "SwiftIfConfig", "SwiftOperators",
    ]
    let may = ["Client/NuvomTaskExpansion/", "Client/NuvomMacros/", "Tools/nuvom-discover/"]
    for file in try SourceFile.all(below: "") {
      guard let module = file.imports.first(where: { module in parts.contains { module.hasPrefix($0) } }) else {
        continue
      }
      #expect(may.contains { file.path.hasPrefix($0) }, "\(file.path) imports \(module), which takes minutes to build")
      #expect(file.text.hasPrefix("#if Macros\n"), "\(file.path) imports \(module) also without the trait Macros")
    }
  }

  @Test(
    "No source traps on what it was given, nor leaves work for later",
    arguments: ["try!", "fatalError(", "as!", "TODO", "FIXME"])
  func words(forbidden: String) throws {
    for file in try SourceFile.all(below: "") {
      for (number, line) in file.code.enumerated() where line.contains(forbidden) {
        Issue.record("\(file.path):\(number + 1) has \(forbidden)")
      }
    }
  }

  @Test("No file or folder is named after nothing in it", arguments: ["Util", "Helper", "Manager", "Common", "Misc"])
  func names(forbidden: String) throws {
    for file in try SourceFile.all(below: "") where file.path.contains(forbidden) {
      Issue.record("\(file.path): name it after the noun in it")
    }
  }

  @Test(
    "The reader of imports sees every form of them",
    arguments: [
      ("import Foundation", "Foundation"),
      ("public import NIOCore", "NIOCore"),
      ("@testable import Glibc", "Glibc"),
      ("@preconcurrency internal import Dispatch  // why", "Dispatch"),
      ("  import struct Foundation.Data", "Foundation"),
      ("import NIO.Sub", "NIO"),
    ])
  func reader(line: String, module: String) {
    #expect(SourceFile(path: "", text: line).imports == [module])
  }

  @Test("A rule with a star forbids all names that begin so, and one without only the name")
  func star() {
    let rule = ImportRule(folder: "", forbidden: ["NIO*", "os"], reason: "")
    #expect(["NIO", "NIOPosix", "os"].allSatisfy(rule.forbids))
    #expect(!["osx", "Foundation"].contains(where: rule.forbids))
  }
}

extension ImportRule {
  func forbids(_ module: String) -> Bool {
    forbidden.contains { name in name.hasSuffix("*") ? module.hasPrefix(name.dropLast()) : module == name }
  }
}

struct SourceFile {
  /// Below `Sources/`.
  let path: String
  let text: String

  /// The lines without their comments.
  var code: [Substring] {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      line.range(of: "//").map { line[..<$0.lowerBound] } ?? line
    }
  }

  /// The modules it imports, each by its first name.
  var imports: [String] {
    code.compactMap { line in
      let words = line.split(separator: " ")
      guard let index = words.firstIndex(of: "import") else { return nil }
      let before = ["public", "package", "internal", "fileprivate", "private"]
      guard words[..<index].allSatisfy({ $0.hasPrefix("@") || before.contains(String($0)) }) else { return nil }
      let kinds = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
      let name = words[(index + 1)...].first { !kinds.contains(String($0)) }
      return name?.split(separator: ".").first.map(String.init)
    }
  }

  /// Every Swift file below `Sources/` + folder.
  static func all(below folder: String) throws -> [SourceFile] {
    let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Sources")
    let root = folder.isEmpty ? sources : sources.appendingPathComponent(folder)
    let paths = try FileManager.default.subpathsOfDirectory(atPath: root.path).filter { $0.hasSuffix(".swift") }
      .sorted()
    return try paths.map { path in
      let text = try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
      return SourceFile(path: folder.isEmpty ? path : "\(folder)/\(path)", text: text)
    }
  }
}
