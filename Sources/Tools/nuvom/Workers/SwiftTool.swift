import NuvomCommandLine
import Foundation
import Glibc
import Subprocess

/// The `swift` command on the PATH. What it says to people goes to standard error, so that standard output is the worker's alone.
enum SwiftTool {
  /// Describes the package in the working directory.
  static func describe() async throws -> WorkerPackage {
    guard FileManager.default.fileExists(atPath: "Package.swift") else {
      throw Failure(
        .missing,
        "there is no Package.swift here; go to your worker's package, or run a command for each job with --exec 'command'"
      )
    }
    return try WorkerPackage.read(try await read(["package", "describe", "--type", "json"]))
  }

  /// Builds a product.
  /// - Returns: whether it could be built; the compiler has said why not.
  static func build(_ product: String, _ configuration: BuildConfiguration) async throws -> Bool {
    let arguments = ["build", "--configuration", configuration.rawValue, "--product", product]
    let result = try await started {
      try await run(
        .name("swift"), arguments: Arguments(arguments), output: .currentStandardError, error: .currentStandardError)
    }
    return result.terminationStatus == .exited(0)
  }

  /// Where the built product is.
  static func path(of product: String, _ configuration: BuildConfiguration) async throws -> String {
    let output = try await read(["build", "--configuration", configuration.rawValue, "--show-bin-path"])
    let directory = String(decoding: output, as: UTF8.self).split(whereSeparator: \.isNewline).last ?? ""
    return "\(directory)/\(product)"
  }

  private static func read(_ arguments: [String]) async throws -> [UInt8] {
    let result = try await started {
      try await run(
        .name("swift"), arguments: Arguments(arguments), output: .bytes(limit: 16 << 20), error: .currentStandardError)
    }
    guard result.terminationStatus == .exited(0) else {
      throw Failure(.damaged, "`swift \(arguments.joined(separator: " "))` failed: see above")
    }
    return result.standardOutput
  }

  private static func started<Value>(_ body: () async throws -> Value) async throws -> Value {
    do {
      return try await body()
    } catch let error as SubprocessError {
      throw Failure(
        .missing, "`swift` cannot be run; install it from swift.org, and have it on the PATH; cause: \(error)")
    }
  }

  /// This process becomes the program, with its environment.
  static func become(_ path: String, _ arguments: [String]) throws -> Never {
    // Threads of Swift's concurrency block signals, and the program would begin with them blocked.
    var none = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, nil)
    var pointers = ([path] + arguments).map { strdup($0) } + [nil]
    execv(path, &pointers)
    throw Failure(.missing, "\(path) cannot be started: \(String(cString: strerror(errno)))")
  }
}
