import NuvomCommandLine
import ArgumentParser
import Foundation

/// Which worker of a Swift package is meant, and how it is built.
struct PackageOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "In a package: its executable product that is the worker, if there are several.", valueName: "name"))
  var product: String?
  @Option(name: [.customShort("c"), .long], help: "In a package: how it is built. Default: debug.")
  var configuration: BuildConfiguration?

  var isGiven: Bool { product != nil || configuration != nil }
}

/// How Swift builds.
enum BuildConfiguration: String, CaseIterable, ExpressibleByArgument {
  case debug, release
}

/// A Swift package, as `swift package describe --type json` tells of it.
struct WorkerPackage: Decodable, Equatable {
  struct Product: Decodable, Equatable {
    let name: String
    let targets: [String]
    let isExecutable: Bool

    private enum Key: String, CodingKey { case name, targets, type }
    private enum Kind: String, CodingKey { case executable }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: Key.self)
      name = try values.decode(String.self, forKey: .name)
      targets = try values.decode([String].self, forKey: .targets)
      isExecutable = try values.nestedContainer(keyedBy: Kind.self, forKey: .type).contains(.executable)
    }
  }

  struct Target: Decodable, Equatable {
    let name: String
    let path: String
    let type: String
    let targetDependencies: [String]?
    let productDependencies: [String]?

    private enum CodingKeys: String, CodingKey {
      case name, path, type
      case targetDependencies = "target_dependencies"
      case productDependencies = "product_dependencies"
    }
  }

  let name: String
  let path: String
  let products: [Product]
  let targets: [Target]

  /// Reads the description.
  static func read(_ description: [UInt8]) throws(Failure) -> WorkerPackage {
    do {
      return try JSONDecoder().decode(WorkerPackage.self, from: Data(description))
    } catch {
      throw Failure(.internal, "what `swift package describe --type json` says cannot be read: \(error)")
    }
  }

  /// The product to run: the named one, or the only one that is a worker.
  func worker(named name: String?) throws(Failure) -> String {
    let executables = products.filter(\.isExecutable)
    let names = executables.map(\.name).joined(separator: ", ")
    if let name {
      guard executables.contains(where: { $0.name == name }) else {
        throw Failure(
          .usage,
          "the package \(self.name) has no executable product \(name)" + (names.isEmpty ? "" : "; it has \(names)"))
      }
      return name
    }
    // A worker's main is in NuvomWorkerCommand; who links NuvomWorker alone has written one.
    for module in ["NuvomWorkerCommand", "NuvomWorker"] {
      let workers = executables.filter { $0.targets.contains { dependencies(of: $0).contains(module) } }.map(\.name)
      if workers.count > 1 {
        throw Failure(
          .usage,
          "the package \(self.name) has several workers: \(workers.joined(separator: ", ")); name one with --product")
      }
      if let worker = workers.first { return worker }
    }
    throw Failure(
      .usage,
      """
      no executable product of the package \(self.name) depends on NuvomWorkerCommand or NuvomWorker; \
      \(names.isEmpty ? "it has none" : "name the worker with --product: \(names)"), or run a command for each job with --exec
      """)
  }

  /// What a target depends on, by itself or by others of the package: targets and products.
  private func dependencies(of target: String) -> Set<String> {
    var found: Set<String> = []
    var left = [target]
    while let name = left.popLast() {
      guard found.insert(name).inserted, let target = targets.first(where: { $0.name == name }) else { continue }
      left += (target.targetDependencies ?? []) + (target.productDependencies ?? [])
    }
    return found
  }

  /// Where its sources are, but for tests.
  var sourceDirectories: [String] {
    targets.filter { $0.type != "test" }.map { $0.path.hasPrefix("/") ? $0.path : "\(path)/\($0.path)" }
  }
}
