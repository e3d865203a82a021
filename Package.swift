// swift-tools-version: 6.2
import CompilerPluginSupport
import PackageDescription

/// Every Swift target: Swift 6 language mode, and a warning is an error.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .treatAllWarnings(as: .error),
]

/// One target of `Sources/<room>/`: the room says what the target may touch (see ARCHITECTURE.md).
func module(_ room: String, _ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(
    name: name, dependencies: dependencies, path: "Sources/\(room)/\(name)",
    exclude: name == "NuvomWAL" ? ["FORMAT.md"] : [], swiftSettings: strict)
}

func tests(
  _ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = [], copy resources: [Resource] = []
) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, path: "Tests/\(name)", exclude: exclude, resources: resources,
    swiftSettings: strict)
}

let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let tracing: Target.Dependency = .product(name: "Tracing", package: "swift-distributed-tracing")
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")

/// A library of swift-syntax, for who asks for the trait `Macros`; without it swift-syntax is not even fetched.
func swiftSyntax(_ name: String) -> Target.Dependency {
  .product(name: name, package: "swift-syntax", condition: .when(traits: ["Macros"]))
}

let package = Package(
  name: "nuvom",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "NuvomClient", targets: ["NuvomClient"]),
    .library(name: "NuvomTasks", targets: ["NuvomTasks"]),
    .library(name: "NuvomFoundationCompat", targets: ["NuvomFoundationCompat"]),
    .library(name: "NuvomWorker", targets: ["NuvomWorker"]),
    .library(name: "NuvomTestKit", targets: ["NuvomTestKit"]),
    .library(name: "NuvomWorkerCommand", targets: ["NuvomWorkerCommand"]),
    .executable(name: "nuvom", targets: ["nuvom"]),
    .executable(name: "nuvom-discover", targets: ["nuvom-discover"]),
    // For this repository's own benchmarks and fuzzing (Benchmarks/Package.swift, Tests/Fuzzing/Package.swift). No promise: it changes with the code, without notice.
    .library(
      name: "_NuvomCore",
      targets: ["NuvomModel", "MessagePack", "NuvomWire", "NuvomSchedule", "NuvomEngine", "NuvomWAL"]),
    .library(name: "_NuvomBroker", targets: ["NuvomModel", "NuvomEngine", "NuvomBroker", "CPlatform"]),
  ],
  traits: [
    .trait(
      name: "Macros",
      description: "What needs swift-syntax, which takes minutes to build: @NuvomTask and nuvom-discover."),
    .trait(name: "Proof", description: "Plants bugs that the proof must find. Never for a broker that people use."),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/swiftlang/swift-syntax", "600.0.0"..<"604.0.0"),
    // Without its trait it leaves Foundation out.
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // C: what Swift cannot say itself.
    .target(name: "CMessagePack", path: "Sources/C/CMessagePack"),
    .target(name: "CPlatform", path: "Sources/C/CPlatform"),
    .target(name: "CLinkedTasks", path: "Sources/C/CLinkedTasks"),
    .systemLibrary(name: "CEpoll", path: "Sources/C/CEpoll"),

    // Core: pure. No clock, no file, no socket.
    module("Core", "PlantedBugs"),
    module("Core", "NuvomModel"),
    module("Core", "MessagePack", ["CMessagePack"]),
    module("Core", "NuvomWire", ["NuvomModel", "MessagePack", "NuvomSchedule"]),
    module("Core", "NuvomSchedule", ["NuvomModel"]),
    module("Core", "NuvomEngine", ["NuvomModel", "NuvomSchedule", "PlantedBugs"]),
    module("Core", "NuvomWAL", ["CPlatform"]),

    // Node: the broker around the core.
    module("Node", "NuvomStorage", ["NuvomWAL", "NuvomSchedule", "CPlatform", "PlantedBugs"]),
    module(
      "Node", "NuvomBroker",
      [
        "NuvomModel", "MessagePack", "NuvomWire", "NuvomSchedule", "NuvomEngine", "NuvomWAL", "NuvomStorage",
        "PlantedBugs",
      ]),
    module(
      "Node", "NuvomServer",
      ["NuvomBroker", "NuvomWire", "NuvomWAL", "MessagePack", "CPlatform", nio, nioPosix, logging, lifecycle]),

    // Client: what a Swift program links.
    module("Client", "NuvomConnection", ["NuvomModel", "MessagePack"]),
    module(
      "Client", "NuvomClient", ["NuvomConnection", "NuvomModel", "MessagePack", nio, nioPosix, logging, lifecycle]),
    module(
      "Client", "NuvomTaskExpansion",
      [
        swiftSyntax("SwiftSyntax"), swiftSyntax("SwiftSyntaxBuilder"), swiftSyntax("SwiftSyntaxMacros"),
        swiftSyntax("SwiftDiagnostics"), swiftSyntax("SwiftParser"),
      ]),
    .macro(
      name: "NuvomMacros", dependencies: ["NuvomTaskExpansion", swiftSyntax("SwiftCompilerPlugin")],
      path: "Sources/Client/NuvomMacros", swiftSettings: strict),
    module(
      "Client", "NuvomTasks",
      [
        "NuvomClient", "NuvomModel", "MessagePack", "CLinkedTasks", logging, tracing,
        .target(name: "NuvomMacros", condition: .when(traits: ["Macros"])),
      ]),
    module("Client", "NuvomFoundationCompat", ["NuvomClient", "NuvomTasks"]),
    module("Client", "NuvomWorker", ["NuvomTasks", "MessagePack", logging, metrics, tracing, lifecycle, subprocess]),

    // Testing: what users test their tasks with.
    module(
      "Testing", "NuvomTestKit",
      [
        "NuvomWorker", "NuvomTasks", "NuvomClient", "NuvomConnection", "NuvomModel", "MessagePack", "NuvomWire",
        "NuvomEngine", "NuvomWAL", "NuvomStorage", "NuvomBroker", logging,
      ]),

    // Testing, of Nuvom itself: the proof (docs/testing.md).
    module("Testing", "BrokerProcess", ["MessagePack"]),
    module("Testing", "SeededNumbers"),
    // `preload` is a library of its own, which scripts/faults-library builds: linked in, it would stand before this program's own calls.
    .target(name: "CFaults", path: "Sources/Testing/CFaults", exclude: ["preload"]),
    module("Testing", "NuvomHistory", ["MessagePack"]),
    module(
      "Testing", "NuvomSimulation",
      [
        "SeededNumbers", "NuvomHistory", "NuvomConnection", "NuvomModel", "NuvomSchedule", "MessagePack", "NuvomWire",
        "NuvomEngine", "NuvomWAL", "NuvomStorage", "NuvomBroker", "PlantedBugs",
      ]),
    .executableTarget(
      name: "nuvom-proof",
      dependencies: [
        "BrokerProcess", "CFaults", "CEpoll", "SeededNumbers", "NuvomHistory", "NuvomSimulation", "NuvomEngine",
        "NuvomBroker",
        "NuvomStorage", "NuvomWAL", "NuvomModel", "NuvomSchedule", "MessagePack", "PlantedBugs",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Sources/Testing/nuvom-proof", swiftSettings: strict),

    // Tools: arguments and terminal.
    module("Tools", "NuvomCommandLine", ["NuvomWorker", "NuvomClient", "MessagePack", logging]),
    module(
      "Tools", "NuvomWorkerCommand",
      [
        "NuvomCommandLine", "NuvomWorker", "MessagePack", logging, lifecycle,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    module("Tools", "NuvomDiscovery", [.product(name: "ArgumentParser", package: "swift-argument-parser")]),
    .executableTarget(
      name: "nuvom-discover",
      dependencies: [
        "NuvomDiscovery", .product(name: "ArgumentParser", package: "swift-argument-parser"),
        swiftSyntax("SwiftSyntax"), swiftSyntax("SwiftParser"), swiftSyntax("SwiftParserDiagnostics"),
      ],
      path: "Sources/Tools/nuvom-discover", swiftSettings: strict),
    .executableTarget(
      name: "nuvom",
      dependencies: [
        "NuvomCommandLine", "NuvomServer", "NuvomBroker", "NuvomEngine", "NuvomClient", "NuvomTasks", "NuvomWorker",
        "NuvomStorage", "NuvomDiscovery", "NuvomModel", "NuvomSchedule", "NuvomSimulation", "MessagePack", "CPlatform",
        nio, logging, lifecycle, unixSignals,
        subprocess,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Configuration", package: "swift-configuration"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Yams", package: "Yams"),
      ],
      path: "Sources/Tools/nuvom", swiftSettings: strict),

    // Examples: what a user's program looks like. `make demo` runs this one.
    .executableTarget(
      name: "checksums",
      dependencies: [
        "NuvomClient", "MessagePack", logging, unixSignals,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Crypto", package: "swift-crypto"),
      ],
      path: "Examples/Checksums", swiftSettings: strict),

    // Tests: one target a module, and those of the whole.
    tests("MessagePackTests", ["MessagePack", "CMessagePack", "SeededNumbers"]),
    tests("NuvomWireTests", ["NuvomWire", "NuvomModel", "MessagePack"]),
    tests("NuvomScheduleTests", ["NuvomSchedule", "NuvomModel", "SeededNumbers"], exclude: ["fixtures", "oracle"]),
    tests("NuvomEngineTests", ["NuvomEngine", "NuvomModel", "NuvomSchedule", "SeededNumbers"]),
    tests("NuvomWALTests", ["NuvomWAL", "CPlatform"]),
    tests("NuvomStorageTests", ["NuvomStorage", "NuvomSchedule", "NuvomWAL"]),
    tests(
      "NuvomBrokerTests",
      ["NuvomBroker", "NuvomEngine", "NuvomModel", "NuvomSchedule", "NuvomStorage", "NuvomWAL", "MessagePack"],
      exclude: ["golden"]),
    tests(
      "NuvomServerTests",
      ["NuvomServer", "NuvomBroker", "NuvomEngine", "NuvomModel", "MessagePack", nio, nioEmbedded, logging]),
    tests("NuvomConnectionTests", ["NuvomConnection", "NuvomModel", "MessagePack"]),
    tests(
      "NuvomClientTests",
      ["NuvomClient", "NuvomConnection", "NuvomServer", "NuvomModel", "MessagePack", nio, nioPosix, logging, lifecycle]),
    tests("NuvomTasksTests", ["NuvomTasks", "NuvomClient", "MessagePack", logging]),
    tests("NuvomFoundationCompatTests", ["NuvomFoundationCompat", "NuvomTestKit", "NuvomWorker"]),
    tests(
      "NuvomWorkerTests",
      [
        "NuvomWorker", "NuvomTestKit", "NuvomServer", "BrokerProcess", logging, metrics, tracing, lifecycle,
        .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
      ]),
    tests("NuvomTestKitTests", ["NuvomTestKit", "NuvomWorker"]),
    .executableTarget(
      name: "worker-under-test",
      dependencies: ["NuvomWorkerCommand", .product(name: "Instrumentation", package: "swift-distributed-tracing")],
      path: "Tests/WorkerUnderTest",
      swiftSettings: strict),
    tests(
      "NuvomTaskExpansionTests",
      [
        "NuvomTaskExpansion", swiftSyntax("SwiftSyntax"), swiftSyntax("SwiftSyntaxMacros"),
        swiftSyntax("SwiftSyntaxMacroExpansion"), swiftSyntax("SwiftParser"),
      ]),
    tests(
      "NuvomToolTests",
      [
        "nuvom", "nuvom-discover", "NuvomCommandLine", "NuvomClient", "NuvomSchedule", "MessagePack", "NuvomWAL",
        "NuvomWorker", logging,
      ]),
    tests("NuvomDiscoveryTests", ["NuvomDiscovery", "nuvom-discover", "SeededNumbers"]),
    tests("ConformanceTests", ["BrokerProcess", "MessagePack", "NuvomModel"], exclude: ["python"]),
    tests("NuvomSimulationTests", ["NuvomSimulation", "NuvomStorage"]),
    tests("NuvomHistoryTests", ["NuvomHistory", "MessagePack"]),
    tests("CrashTests", ["BrokerProcess", "NuvomHistory"]),
    .executableTarget(
      name: "CrashWorker", dependencies: ["NuvomWorker", logging], path: "Tests/CrashWorker", swiftSettings: strict),
    tests("WorkerCrashTests", ["BrokerProcess", "SeededNumbers", "CrashWorker", "NuvomTasks", "MessagePack"]),
    tests(
      "DocumentationTests",
      ["NuvomClient", "NuvomTasks", "NuvomFoundationCompat", "NuvomWorker", logging, lifecycle]),
    tests("ArchitectureTests"),
  ]
)
