// swift-tools-version: 6.2
import PackageDescription

// What reads bytes from elsewhere (a socket, a file, an operator's text), for libFuzzer: see `scripts/fuzz`. A package of its own, because all of
// it, the core included, is built with other options than Nuvom is; and only the core is built, which takes a minute.

let package = Package(
  name: "nuvom-fuzzing",
  platforms: [.macOS(.v15)],
  products: [.library(name: "NuvomFuzzing", type: .static, targets: ["NuvomFuzzing"])],
  dependencies: [
    // Named, since by its path it would be called as the folder that the repository was cloned into.
    .package(name: "nuvom", path: "../..")
  ],
  targets: [
    .target(
      name: "NuvomFuzzing", dependencies: [.product(name: "_NuvomCore", package: "nuvom")],
      swiftSettings: [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)])
  ]
)
