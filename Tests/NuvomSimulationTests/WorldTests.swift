import NuvomSimulation
import Testing

struct WorldTests {
  @Test("The same seed gives the same run, and another seed another one")
  func sameSeed() {
    let digests = [7, 7, 8].map { World.run(seed: $0, steps: 2_000).digest }
    #expect(digests[0] == digests[1])
    #expect(digests[0] != digests[2])
  }

  @Test("Some runs hold every promise, and have had trouble")
  func holds() {
    var total = SimulationReport()
    for seed in 1...12 { total.add(World.run(seed: UInt64(seed), steps: 3_000)) }
    #expect(total.complaints.isEmpty, "\(total.complaints)")
    #expect(total.kills > 0 && total.powerCuts > 0 && total.networkCuts > 0 && total.deliveries > 100)
  }

  @Test("A write that fails ends the broker, and nothing that was acknowledged is lost", arguments: [false, true])
  func fault(isFull: Bool) {
    let fault = SimulatedDisk.Fault(.write, number: 40, isFull: isFull, isSticky: false)
    let report = World.run(seed: 3, steps: 2_000, fault: fault, commitsOnThread: false)
    #expect(report.diskFaults == 1 && report.storageFailures == 1)
    #expect(report.complaints.isEmpty, "\(report.complaints)")
  }
}
