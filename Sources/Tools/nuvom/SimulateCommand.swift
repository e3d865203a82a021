import ArgumentParser
import NuvomCommandLine
import NuvomSimulation

struct SimulateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate", abstract: "Run this program's broker in a simulated world and look for broken promises.",
    discussion: """
      The broker's loop, engine, log and client live through crashes, power cuts, broken disks, lost connections and clocks that are set, \
      all in memory and all following from the seed: the same seed gives the same run, and the same digest, anywhere. Exits with 1 if a promise \
      was broken, and says at which step.
      """)

  @Option(help: "The first seed.") var seed: UInt64 = 1
  @Option(help: "How many seeds, from the first on.") var seeds: Int = 1
  @Option(help: "Events in each run.") var steps: Int = 5_000

  func run() async throws {
    var digest = ""
    for seed in seed..<seed + UInt64(clamping: seeds) {
      let world = World(seed: seed)
      world.run(steps: steps)
      let report = world.report
      digest = report.digest
      if seeds == 1 || !report.complaints.isEmpty { print("seed \(seed): \(report)") }
    }
    print("digest \(digest)")
  }
}
