// swift-tools-version: 6.2
import PackageDescription

// The microbenchmarks: pieces of the core's work, counted in instructions (`instructions.py`) and timed for people
// (`swift package benchmark`); and the broker on another transport (`compare.py --part transport`). A package of its own, so that whoever depends on
// Nuvom never resolves the benchmark library.

/// As in the root's Package.swift.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
]

/// Set by `instructions.py`: the count needs no benchmark library, and CI neither fetches nor builds it.
let countsOnly = Context.environment["NUVOM_INSTRUCTION_COUNTS_ONLY"] != nil

let package = Package(
  name: "nuvom-benchmarks",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "instruction-counts", targets: ["InstructionCounts"]),
    .executable(name: "EpollBroker", targets: ["EpollBroker"]),
  ],
  dependencies: [
    // Named, since by its path it would be called as the folder that the repository was cloned into.
    .package(name: "nuvom", path: "..")
  ],
  targets: [
    .target(
      name: "Pieces", dependencies: [.product(name: "_NuvomCore", package: "nuvom")], path: "micro/Pieces",
      swiftSettings: strict),
    .executableTarget(
      name: "InstructionCounts", dependencies: ["Pieces"], path: "micro/InstructionCounts", swiftSettings: strict),
    .systemLibrary(name: "CEpoll", path: "transport/CEpoll"),
    .executableTarget(
      name: "EpollBroker", dependencies: ["CEpoll", .product(name: "_NuvomBroker", package: "nuvom")],
      path: "transport/EpollBroker", swiftSettings: strict),
  ]
)

if !countsOnly {
  package.dependencies.append(
    // Without its traits, which count allocations and references by interposing on the functions that are being measured.
    .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []))
  package.targets.append(
    // The library's plugin takes only targets whose folder lies directly in one named Benchmarks.
    .executableTarget(
      name: "Microbenchmarks", dependencies: ["Pieces", .product(name: "Benchmark", package: "benchmark")],
      path: "Microbenchmarks", swiftSettings: strict, plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")])
  )
}
