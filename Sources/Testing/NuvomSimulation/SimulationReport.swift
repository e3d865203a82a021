/// What a run did and found, or several of them.
package struct SimulationReport: Sendable, CustomStringConvertible {
  package var runs = 1
  package var steps = 0
  package var turns = 0
  package var requests = 0
  package var answers = 0
  package var deliveries = 0
  package var jobs = 0
  package var starts = 0
  package var kills = 0
  /// Ends of the process with a seal.
  package var seals = 0
  package var powerCuts = 0
  /// Operations of the disk that failed, and how often the log failed by one.
  package var diskFaults = 0
  package var storageFailures = 0
  package var networkCuts = 0
  package var clockSteps = 0
  package var recoveriesFromSnapshot = 0
  package var tornTails = 0
  /// What must not be. Empty is good.
  package var complaints: [String] = []
  /// A number for all that happened: equal for equal seeds.
  package var digest = ""

  /// Nothing yet.
  package init() { runs = 0 }

  init(runs: Int) { self.runs = runs }

  /// Takes in the run after those before; the digest is then one of all.
  package mutating func add(_ next: SimulationReport) {
    runs += next.runs
    steps += next.steps
    turns += next.turns
    requests += next.requests
    answers += next.answers
    deliveries += next.deliveries
    jobs += next.jobs
    starts += next.starts
    kills += next.kills
    seals += next.seals
    powerCuts += next.powerCuts
    diskFaults += next.diskFaults
    storageFailures += next.storageFailures
    networkCuts += next.networkCuts
    clockSteps += next.clockSteps
    recoveriesFromSnapshot += next.recoveriesFromSnapshot
    tornTails += next.tornTails
    complaints += next.complaints
    if digest.isEmpty {
      digest = next.digest
    } else {
      var both = Digest()
      for text in [digest, next.digest] { both.add(UInt64(text, radix: 16) ?? 0) }
      digest = both.text
    }
  }

  /// The figures in words.
  package var description: String {
    """
    \(runs) runs of \(steps) events in all: \(turns) turns of the broker, \(requests) requests, \(answers) answers, \(jobs) jobs, \
    \(deliveries) deliveries, \(starts) starts (\(recoveriesFromSnapshot) from a snapshot, \(tornTails) with a torn tail), \(kills) ends of the \
    process (\(seals) in order), \(powerCuts) power cuts, \(diskFaults) failures of the disk (\(storageFailures) of the log), \(networkCuts) lost connections, \(clockSteps) steps of the clock
    """
  }
}
