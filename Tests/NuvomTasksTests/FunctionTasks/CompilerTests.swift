#if Macros
  import Foundation
  import Testing

  /// What the compiler refuses, asked of the compiler itself.
  @Suite(.serialized) struct CompilerTests {
    /// A line with `// error` must be refused, all others taken.
    private static let source = """
      import NuvomTasks
      @NuvomTask func resize(_ path: String, width: Int = 80) -> String { path }
      func use() async throws {
        _ = try await resizeTask("a")
        _ = try await resizeTask.delay("a", width: 3)
        _ = try await resizeTask.map([.init("a"), .init("b", width: 3)])
        _ = try await resizeTask.schedule("a", in: .seconds(60))
        _ = try await resizeTask.schedule("a", width: 3, at: .millisecondsSince1970(1), named: "once")
        _ = try await resizeTask.schedule("a", width: 3, every: .seconds(5), options: .init(overlap: .skip))
        _ = try await resizeTask.schedule("a", cron: "0 9 * * mon-fri", timeZone: "Europe/Berlin", fold: .both)
        _ = try await resizeTask.schedule("a", at: UnixTime(millisecondsSince1970: 1))
        _ = try await resizeTask.schedule("a", width: 3) // error
        _ = try await resizeTask.schedule("a", at: 1) // error
        _ = try await resizeTask.schedule("a", at: .millisecondsSince1970(1), in: .seconds(1)) // error
        _ = try await resizeTask.schedule("a", in: .seconds(1), every: .seconds(1)) // error
        _ = try await resizeTask.schedule("a", every: .seconds(1), timeZone: "UTC") // error
        _ = try await resizeTask.schedule(3, every: .seconds(1)) // error
        let greet = TaskDefinition("greet") { (name: String, times: Int) in name }
        _ = try await greet.schedule("a", 1, in: .seconds(60))
        _ = try await greet.schedule("a", 1, at: .millisecondsSince1970(1), named: "once")
        _ = try await greet.schedule("a", 1, every: .seconds(5))
        _ = try await greet.schedule("a", 1, cron: "@daily")
        _ = try await greet.schedule("a", 1) // error
        _ = try await greet.schedule("a", 1, in: .seconds(1), cron: "@daily") // error
        _ = try await greet.schedule("a", "b", cron: "@daily") // error
        _ = try await resizeTask(3) // error
        _ = try await resizeTask("a", width: nil) // error
        _ = try await resizeTask.delay(3) // error
        _ = try await resizeTask.delay("a", width: "b") // error
        _ = try await resizeTask.delay("a", height: 3) // error
        _ = try await resizeTask.map([.init("a", width: "b")]) // error
        _ = try resizeTask.job() // error
        let number: Int = try await resizeTask.delay("a").result() // error
        _ = number
      }
      struct Instance { @NuvomTask func method() {} } // error
      func outer() { @NuvomTask func inner() {} } // error
      @NuvomTask(retrys: 3) func misspelt() {} // error
      @NuvomTask(afterJob: { (x: Int) in _ = x }) func hooked() -> Int { 1 }
      """

    @Test("Calls with wrong types or labels, and functions that can be no tasks, do not compile; all others do")
    func typeChecking() async throws {
      let output = try await typeCheck(Self.source, ["-swift-version", "6"])
      let refused = Set(
        output.split(separator: "\n").compactMap { line -> Int? in
          guard line.contains(": error: "), let name = line.range(of: "source.swift:") else { return nil }
          return Int(line[name.upperBound...].prefix { $0 != ":" })
        })
      let wanted = Self.source.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        .filter { $1.hasSuffix("// error") }.map { $0.offset + 1 }
      #expect(refused == Set(wanted), "\(output)")
    }

    /// What is unusual and may be a task.
    private static let unusual = """
      public import NuvomTasks
      @NuvomTask public func resize(_ path: String, width: Int = 80) -> String { path }
      @NuvomTask nonisolated func optional(a: [Int]) async -> Int? { a.first }
      @NuvomTask func several(a: Int,
        // of lines
        b: Int = 3 /* and comments */) -> (Int) { a + b }
      @NuvomTask func generics(a: Dictionary<String, [Int?]>, b: Box<Int>) throws -> Set<Int> { [] }
      @NuvomTask func ownership(_ a: consuming String, b: sending [Int]) async {}
      @NuvomTask(#"raw"#, retryDelay: .seconds(3), backoff: .fixed(.seconds(1), jitterPercent: 3), timeoutPolicy: .fail,
        lease: .seconds(4), tags: ["a"], description: "say \\"so\\"", onError: { _ in }) func policy() {}
      nonisolated struct Box<T: Codable & Sendable>: Codable, Sendable { var t: T }
      nonisolated public struct Size: Codable, Sendable { public init() {} }
      public enum Scope {
        @NuvomTask public static func size(_ size: Size = Size()) -> Size { size }
        @NuvomTask private static func names(input: Int, output: Int, self_ s: Int, tasks: Int, nuvomInput: Int) {}
      }
      final class Final: Sendable { @NuvomTask static func size(size: (Size)) {} }
      """

    @Test(
      "Every function that may be a task compiles without a warning, whatever the language mode and features of its package",
      arguments: [
        ["-swift-version", "6"], ["-swift-version", "6", "-default-isolation", "MainActor"], ["-swift-version", "5"],
        [
          "-swift-version", "6", "-enable-upcoming-feature", "NonisolatedNonsendingByDefault",
          "-enable-upcoming-feature",
          "InternalImportsByDefault", "-enable-upcoming-feature", "MemberImportVisibility", "-enable-upcoming-feature",
          "ExistentialAny",
        ],
      ])
    func modes(flags: [String]) async throws {
      let output = try await typeCheck(Self.unusual, flags)
      #expect(!output.contains("error:") && !output.contains("warning:"), "\(output)")
    }

    /// What the compiler says of a source, given the modules that these tests were built with.
    private func typeCheck(_ source: String, _ flags: [String]) async throws -> String {
      let directory = NSTemporaryDirectory() + "nuvom-compiler-" + UUID().uuidString
      try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(atPath: directory) }
      let file = "\(directory)/source.swift"
      try Data(source.utf8).write(to: URL(fileURLWithPath: file))
      let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      let products = URL(fileURLWithPath: tests).deletingLastPathComponent()
      let checkouts = products.deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
        "checkouts")
      let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Sources/C")
      var arguments = ["swiftc", "-typecheck", "-parse-as-library"] + flags
      arguments += ["-I", products.appendingPathComponent("Modules").path]
      arguments += [
        "-load-plugin-executable", products.appendingPathComponent("NuvomMacros-tool#NuvomMacros").path, file,
      ]
      for target in try contents(products) where target.pathExtension == "build" {
        let map = target.appendingPathComponent("module.modulemap").path
        if FileManager.default.fileExists(atPath: map) { arguments += ["-Xcc", "-fmodule-map-file=\(map)"] }
      }
      let packages = try contents(checkouts).map { $0.appendingPathComponent("Sources") }
      for targets in packages + [sources] where FileManager.default.fileExists(atPath: targets.path) {
        for target in try contents(targets) {
          let headers = target.appendingPathComponent("include").path
          if FileManager.default.fileExists(atPath: headers) { arguments += ["-Xcc", "-I\(headers)"] }
        }
      }
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = arguments
      let said = "\(directory)/said"
      try Data().write(to: URL(fileURLWithPath: said))
      let output = try FileHandle(forWritingTo: URL(fileURLWithPath: said))
      process.standardOutput = output
      process.standardError = output
      // No thread of the other tests waits for it.
      try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
        process.terminationHandler = { _ in ended.resume() }
        do { try process.run() } catch { ended.resume(throwing: error) }
      }
      return try String(contentsOfFile: said, encoding: .utf8)
    }

    private func contents(_ directory: URL) throws -> [URL] {
      try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
    }
  }
#endif
