import ArgumentParser
import BrokerProcess
import Foundation
import NuvomSimulation
import PlantedBugs
import Synchronization

/// Plants each bug in turn and looks whether the simulation finds it: what it does not find there, it would not find elsewhere.
struct CanariesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "canaries", abstract: "Plants bugs one by one, and fails for each that no simulated run finds.",
    discussion: "Only a build with the trait Proof has bugs to plant: `swift build -c release --traits Proof`.")

  @Option(help: "Runs in which each must be found.") var seeds = 1_000
  @Option(help: "Events in each run.") var steps = 5_000
  @Option(help: "Only this bug, in this process.") var bug: PlantedBug?

  func run() throws {
    if let bug { return try look(for: bug) }
    let findings = Findings(of: "canaries")
    #if Proof
      let left = Mutex(PlantedBug.allCases[...])
      let lines = Mutex<[PlantedBug: (line: String, isCaught: Bool)]>([:])
      // Each in a process of its own: some bugs end it.
      DispatchQueue.concurrentPerform(iterations: 2) { _ in
        while let bug = left.withLock({ $0.popFirst() }) {
          let outcome = catchInChild(bug)
          lines.withLock { $0[bug] = outcome }
        }
      }
      var caught = 0
      for bug in PlantedBug.allCases {
        guard let outcome = lines.withLock({ $0[bug] }) else { continue }
        if outcome.isCaught {
          caught += 1
          findings.say("\(bug): \(outcome.line)")
        } else {
          findings.fail("\(bug) survives: \(outcome.line)")
        }
      }
      findings.say("\(caught) of \(PlantedBug.allCases.count) planted bugs caught")
    #else
      findings.fail("this build has no bugs to plant: build it with --traits Proof")
    #endif
    try findings.close()
  }

  #if Proof
    private func catchInChild(_ bug: PlantedBug) -> (line: String, isCaught: Bool) {
      let errors = FileManager.default.temporaryDirectory.appendingPathComponent("nuvom-canary-\(UUID().uuidString)")
      defer { try? FileManager.default.removeItem(at: errors) }
      do {
        let pipe = try FileDescriptor.pipe()
        let child = try SpawnedProcess(
          try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"),
          ["canaries", "--bug", bug.rawValue, "--seeds", "\(seeds)", "--steps", "\(steps)"], output: pipe.writing,
          errors: errors)
        let status = child.waitForExit()
        // A trap is one of the engine's own checks.
        if status < 0 {
          let said = (try? String(contentsOf: errors, encoding: .utf8)) ?? ""
          let reason = said.split(separator: "\n").first { $0.contains("Fatal error") }
          return ("ends the process by signal \(-status): \(reason ?? "no reason")", true)
        }
        var line = [UInt8](repeating: 0, count: 4_096)
        let count = max(0, read(pipe.reading.number, &line, line.count))
        let text = String(decoding: line[..<count], as: UTF8.self).split(separator: "\n").first.map(String.init)
        return (text ?? "it said nothing", status == 3)
      } catch {
        return ("\(error)", false)
      }
    }
  #endif

  /// Ends with 3 if the bug was found.
  private func look(for bug: PlantedBug) throws {
    #if Proof
      PlantedBug.present = bug
    #endif
    for seed in 1...UInt64(max(1, seeds)) {
      guard let complaint = World.run(seed: seed, steps: steps).complaints.first else { continue }
      print("caught with seed \(seed) at \(complaint)")
      throw ExitCode(3)
    }
    print("not found in \(seeds) runs")
  }
}

extension PlantedBug: ExpressibleByArgument {}
