import BrokerProcess
import CrashWorker
import Foundation
import NuvomTasks
import SeededNumbers
import Testing

/// Real workers of a real broker, killed with SIGKILL in the middle of their work, again and again, and at times the broker too.
struct WorkerCrashTests {
  @Test(
    "Fifty times a worker is killed: no job is lost, none is run again after its ack, each parent's child is enqueued once",
    .timeLimit(.minutes(5)))
  func fiftyKills() async throws {
    let seed = ProcessInfo.processInfo.environment["NUVOM_SEED"].flatMap(UInt64.init) ?? .random(in: 1...UInt64.max)
    let broker = try BrokerProcess(options: ["--fsync", "always"])
    let pulse = try Pulse()
    let fleet = try Fleet(3, of: broker, pulse: pulse)
    defer { fleet.end() }
    do {
      let history = try await story(broker, fleet, pulse, SeededNumbers(seed: seed))
      #expect(
        history.complaints.isEmpty, "seed \(seed): \(history.complaints.count): \(history.complaints.prefix(20))")
      // The story was one: runs were cut off, some of them after the job's work was done, and jobs ran more than once.
      #expect(
        history.cutOff >= 10 && history.unacked >= 1 && history.repeated >= 50 && history.runs.count >= 500,
        "seed \(seed)")
    } catch {
      throw BrokerFailure(
        "seed \(seed): \(error); workers: \(fleet.log.suffix(2_000)); broker: \(broker.log.suffix(2_000))")
    }
  }

  private func story(
    _ broker: BrokerProcess, _ fleet: Fleet, _ pulse: Pulse, _ seeded: SeededNumbers
  ) async throws -> WorkerHistory {
    let client = NuvomClient(
      configuration: .init(address: BrokerAddress(host: "127.0.0.1", port: Int(broker.port))))
    async let running: Void = client.run()
    let producer = Producer(pulse: pulse)
    async let producing: Void = producer.run(client)
    var random = seeded
    var observer = Observer()
    for round in 0..<50 {
      try await pulse.wait(until: pulse.count + Int.random(in: 1...80, using: &random))
      // A broker that goes first is away when the worker starts; one that goes after it may be away when that worker says hello.
      let killsBroker = round % 7 == 3
      if killsBroker, Bool.random(using: &random) { broker.kill() }
      try fleet.replace(Int.random(in: 0..<3, using: &random))
      if killsBroker {
        broker.kill()
        try broker.start()
      }
      try await observer.look(at: producer.jobs, client)
    }
    producer.stop()
    try await producing
    let history = try await self.history(of: producer.jobs, observer, fleet, client)
    client.shutDown()
    try await running
    return history
  }

  /// Waits until nothing is left to do, and looks at everything.
  private func history(
    of jobs: [JobID], _ observer: Observer, _ fleet: Fleet, _ client: NuvomClient
  ) async throws -> WorkerHistory {
    let ends = try await client.ends(of: jobs)
    var childEnds: [JobStatus] = []
    var children = try await client.queue(CrashTasks.child.policy.queue)
    repeat {
      // Those that ran once at least; the others are ready or delayed.
      let ids = try WorkerHistory(fleet.journals()).children.values.joined().map { JobID(rawValue: $0) }
      childEnds = try await client.ends(of: ids)
      children = try await client.queue(CrashTasks.child.policy.queue)
    } while children.summary.ready + children.summary.delayed + children.summary.leased > 0
      && (ends + childEnds).allSatisfy { $0.finishedAtMilliseconds != nil }

    var history = WorkerHistory(try fleet.journals())
    history.checkOrigin(enqueued: Set(jobs.map(\.rawValue)))
    if ends.count != jobs.count { history.complaint("\(jobs.count) jobs were enqueued, \(ends.count) are known") }
    for status in ends {
      try history.check(status, ackedBefore: observer.acked[status.id])
      try history.checkChildren(of: status)
    }
    for status in childEnds { try history.check(status, ackedBefore: nil) }

    // The broker's own count, also of what no journal has.
    let parents = UInt64(ends.count { $0.state == .succeeded })
    let parentTotals = try await client.queue(CrashTasks.parent.policy.queue).totals
    let doomed = try await client.queue(CrashTasks.doomed.policy.queue).totals
    if children.totals.enqueued != parents || children.totals.acked != parents || parentTotals.acked != parents {
      history.complaint("\(parents) parents succeeded: \(parentTotals), \(children.totals)")
    }
    if doomed.acked != 0 || doomed.dead != doomed.enqueued { history.complaint("of the doomed: \(doomed)") }
    return history
  }
}
