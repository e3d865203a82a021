import ArgumentParser
import NuvomCommandLine
import NuvomSimulation

struct SimulateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate", abstract: "Run this program's broker in simulated worlds and look for broken promises.",
    discussion: """
      The broker's loop, engine, log and client live through crashes, power cuts, broken disks, lost connections and clocks that are set, \
      all in memory and all following from the seed: the same seed gives the same run, and the same digest, anywhere. Ends with 70 at the first \
      seed in which a promise was broken.
      """)

  @Option(help: "The first seed.") var seed: UInt64 = 1
  @Option(help: "How many seeds, from the first on.") var seeds: Int = 1
  @Option(help: "Events in each run.") var steps: Int = 5_000

  func validate() throws {
    guard seeds > 0, steps > 0 else { throw ValidationError("--seeds and --steps are 1 at least.") }
  }

  func run() async throws {
    var total = SimulationReport()
    for number in 0..<seeds {
      let seed = seed &+ UInt64(number)
      let report = World.run(seed: seed, steps: steps)
      total.add(report)
      guard report.complaints.isEmpty else {
        for complaint in report.complaints { try Output.write("seed \(seed): \(complaint)\n", to: .standardOutput) }
        try Output.write("digest \(report.digest)\n", to: .standardOutput)
        throw Failure(
          .internal,
          "a promise is broken: `nuvom simulate --seed \(seed) --steps \(steps)` shows it again; report it with this line"
        )
      }
    }
    try Output.write("\(total)\ndigest \(total.digest)\n", to: .standardOutput)
  }
}
