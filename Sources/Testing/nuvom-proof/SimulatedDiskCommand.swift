import ArgumentParser
import Dispatch
import NuvomSimulation
import Synchronization

/// The simulated disk fails at each of its operations in turn.
struct SimulatedDiskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulated-disk",
    abstract:
      "Fails the n-th operation of each kind on the simulated disk, once and from then on, and holds the broker to its promises."
  )

  @Option(help: "The last of each kind that is made to fail.") var upTo = 500
  @Option(help: "Events in each run.") var steps = 2_500
  @Option(help: "Chooses what the clients do.") var seed: UInt64 = 1

  func run() throws {
    let findings = Findings(of: "simulated-disk")
    for operation in SimulatedDisk.Operation.allCases {
      for isFull in [false, true] { sweep(operation, isFull: isFull, findings) }
    }
    try findings.close()
  }

  private func sweep(_ operation: SimulatedDisk.Operation, isFull: Bool, _ findings: Findings) {
    let all = Mutex(SimulationReport())
    let broken = Mutex<[Int: String]>([:])
    let next = Mutex(1)
    DispatchQueue.concurrentPerform(iterations: 2) { _ in
      while true {
        let number = next.withLock { number in
          defer { number += 1 }
          return number
        }
        if number > upTo { return }
        var failed = 0
        for isSticky in [false, true] {
          let fault = SimulatedDisk.Fault(operation, number: number, isFull: isFull, isSticky: isSticky)
          let report = World.run(seed: seed, steps: steps, fault: fault, commitsOnThread: number % 2 == 0)
          failed += report.diskFaults
          all.withLock { $0.add(report) }
          if let complaint = report.complaints.first { broken.withLock { $0[number] = complaint } }
        }
        // So many there never are in these runs.
        if failed == 0 { next.withLock { $0 = upTo + 1 } }
      }
    }
    let name = "\(operation)\(isFull ? ", disk full" : ", input/output error")"
    for (number, complaint) in broken.withLock({ $0 }).sorted(by: { $0.key < $1.key }).prefix(3) {
      findings.fail("\(name), number \(number): \(complaint)")
    }
    let report = all.withLock { $0 }
    findings.say(
      "\(name): \(report.runs) runs, \(report.diskFaults) failures, \(report.storageFailures) ends of a broker")
    findings.expect(report.diskFaults > 0, "\(name): nothing ever failed")
  }
}
