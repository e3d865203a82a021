// swift-tools-version: 6.2
import PackageDescription

// Copy this folder, and name Nuvom by its address instead of by its path:
//   .package(url: "…", branch: "main", traits: ["Macros"])
// The trait brings @NuvomTask; without it, nothing of swift-syntax is fetched or built, and tasks are TaskDefinition values.
let package = Package(
  name: "LinkCheck",
  platforms: [.macOS(.v15)],
  products: [
    .executable(name: "worker", targets: ["worker"]),
    .executable(name: "check-links", targets: ["check-links"]),
  ],
  dependencies: [
    .package(name: "nuvom", path: "../..", traits: ["Macros"])
  ],
  targets: [
    // The tasks: what is to be done. Both programs know them.
    .target(name: "Tasks", dependencies: [.product(name: "NuvomTasks", package: "nuvom")]),
    // The worker: runs them. Start as many as you like, wherever the files are.
    .executableTarget(
      name: "worker", dependencies: ["Tasks", .product(name: "NuvomWorkerCommand", package: "nuvom")]),
    // The producer: says what is to be done, and waits for what comes of it.
    .executableTarget(
      name: "check-links", dependencies: ["Tasks", .product(name: "NuvomTasks", package: "nuvom")]),
  ]
)
