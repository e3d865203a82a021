import ArgumentParser
import BrokerProcess
import Foundation
import SeededNumbers

/// The real process killed at each named place of its work with the disk.
struct FailpointsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "failpoints",
    abstract:
      "Kills the real process at each named place of its work with the disk, under load, and starts it again on the same log."
  )

  @Option(help: "Kills at each place.") var rounds = 5
  @Option(help: "Chooses how often a place is passed before the kill at it.") var seed: UInt64 = 1
  @Option(help: "Brokers at a time.") var lanes = 2
  @Option(help: "Only places whose name contains this.") var only: String?

  /// The places of a batch on its way to the disk and of the replies to it: passed by each batch.
  private static let batchPoints = [
    FailPoint("before-write", .segment, .write, .before), FailPoint("half-write", .segment, .write, .half),
    FailPoint("after-write", .segment, .write, .after), FailPoint("before-sync", .segment, .sync, .before),
    FailPoint("after-sync", .segment, .sync, .after), FailPoint("before-reply", .socket, .reply, .before),
  ]

  /// Those of files that come and go as the log grows: passed once every few dozen MiB.
  private static let rollPoints = [
    FailPoint("roll-before-header", .spare, .write, .before), FailPoint("roll-half-header", .spare, .write, .half),
    FailPoint("roll-after-header", .spare, .write, .after), FailPoint("roll-before-sync", .spare, .sync, .before),
    FailPoint("roll-after-sync", .spare, .sync, .after), FailPoint("roll-before-rename", .spare, .rename, .before),
    FailPoint("roll-after-rename", .spare, .rename, .after),
    FailPoint("roll-before-directory-sync", .spare, .syncDirectory, .before),
    FailPoint("roll-after-directory-sync", .spare, .syncDirectory, .after),
    FailPoint("snapshot-create", .newSnapshot, .create, .after),
    FailPoint("snapshot-before-write", .newSnapshot, .write, .before),
    FailPoint("snapshot-half-write", .newSnapshot, .write, .half),
    FailPoint("snapshot-after-write", .newSnapshot, .write, .after),
    FailPoint("snapshot-before-sync", .newSnapshot, .sync, .before),
    FailPoint("snapshot-after-sync", .newSnapshot, .sync, .after),
    FailPoint("snapshot-before-rename", .newSnapshot, .rename, .before),
    FailPoint("snapshot-after-rename", .newSnapshot, .rename, .after),
    FailPoint("snapshot-before-directory-sync", .newSnapshot, .syncDirectory, .before),
    FailPoint("snapshot-after-directory-sync", .newSnapshot, .syncDirectory, .after),
    FailPoint("old-snapshot-before-removal", .snapshot, .remove, .before),
    FailPoint("old-snapshot-after-removal", .snapshot, .remove, .after),
    FailPoint("old-segment-before-rename", .segment, .rename, .before),
    FailPoint("old-segment-after-rename", .segment, .rename, .after),
    FailPoint("old-segment-before-directory-sync", .segment, .syncDirectory, .before),
    FailPoint("old-segment-after-directory-sync", .segment, .syncDirectory, .after),
  ]

  /// Those of the file of zeros that is made after each start, beside the first requests, and then seldom: freed segments take its place.
  private static let sparePoints = [
    FailPoint("spare-create", .newSpare, .create, .after), FailPoint("spare-allocate", .newSpare, .allocate, .after),
    FailPoint("spare-half-write", .newSpare, .write, .half), FailPoint("spare-before-sync", .newSpare, .sync, .before),
    FailPoint("spare-before-rename", .newSpare, .rename, .before),
    FailPoint("spare-after-rename", .newSpare, .rename, .after),
    FailPoint("spare-before-directory-sync", .newSpare, .syncDirectory, .before),
    FailPoint("spare-after-directory-sync", .newSpare, .syncDirectory, .after),
  ]

  /// Those of a start, on a log that a kill has left.
  private static let startPoints = [
    FailPoint("start-before-write", .firstSegment, .write, .before),
    FailPoint("start-half-write", .firstSegment, .write, .half),
    FailPoint("start-before-sync", .firstSegment, .sync, .before),
    FailPoint("start-after-sync", .firstSegment, .sync, .after),
    FailPoint("start-before-rename", .firstSegment, .rename, .before),
    FailPoint("start-after-rename", .firstSegment, .rename, .after),
    FailPoint("start-after-directory-sync", .firstSegment, .syncDirectory, .after),
  ]

  /// What is done with a broker of one's own.
  private enum Story { case spares, start, fires }

  func run() throws {
    let findings = Findings(of: "failpoints")
    findings.say("seed \(seed)")
    let points = (Self.batchPoints.map { ($0, 400) } + Self.rollPoints.map { ($0, 2) }).filter {
      isChosen("load", $0.0)
    }
    if !points.isEmpty {
      do { report(try underLoad(points, findings), findings) } catch { findings.fail("\(error)") }
    }
    let stories: [(Story, FailPoint)] =
      Self.sparePoints.map { (.spares, $0) } + Self.startPoints.map { (.start, $0) }
      + Self.batchPoints.map { (.fires, $0) }
    let outcomes = inLanes(lanes, stories.filter { isChosen("\($0.0)", $0.1) }) { story, point in
      do {
        return story == .fires ? try amidFires(point) : try amidStart(point)
      } catch {
        return Outcome(point: "\(point)", problems: ["\(error)"])
      }
    }
    if !outcomes.isEmpty { report(outcomes, findings) }
    try findings.close()
  }

  private func isChosen(_ story: String, _ point: FailPoint) -> Bool {
    only.map { "\(story) \(point)".contains($0) } ?? true
  }

  private func report(_ outcomes: [Outcome], _ findings: Findings) {
    for outcome in outcomes {
      findings.say("\(outcome.point): \(outcome.kills) kills\(outcome.facts)")
      for problem in outcome.problems { findings.fail("\(outcome.point): \(problem)") }
      findings.expect(outcome.kills == rounds, "\(outcome.point): reached in \(outcome.kills) of \(rounds) rounds")
    }
    findings.say("\(outcomes.count) places, \(outcomes.reduce(0) { $0 + $1.kills }) kills")
  }

  private struct Outcome: Sendable {
    let point: String
    var kills = 0
    var facts = ""
    var problems: [String] = []
  }

  /// One broker, killed at each of the points in turn, round after round, under the load of `nuvom-proof clients` and of large jobs that let its log
  /// roll. With each point: how often it is passed before the kill, at most.
  private func underLoad(_ points: [(FailPoint, Int)], _ findings: Findings) throws -> [Outcome] {
    var outcomes = points.map { Outcome(point: "\($0.0)") }
    let broker = try FaultyBroker()
    try broker.process.start()
    let clients = try ClientsProcess(port: broker.process.port, folder: broker.process.folder, seed: seed)
    let load = Load(Load.Size(payloadBytes: 64 << 10, waitingBytes: 4 << 20))
    var numbers = SeededNumbers(seed: seed)
    for _ in 0..<rounds {
      for (index, (point, passes)) in points.enumerated() {
        let answers = clients.said.answers
        load.begin(port: broker.process.port)
        let limit = monotonicNanoseconds() + 30_000_000_000
        while clients.said.answers < answers + 50, monotonicNanoseconds() < limit { usleep(1_000) }
        guard clients.said.answers > answers, load.awaitAnswers(4) else {
          throw BrokerFailure("\(point): the load stood still: \(clients.log) \(broker.process.log.suffix(500))")
        }
        broker.page.orderKill(at: point, occurrence: 1 + numbers.below(passes))
        let ending = broker.end(within: 20)
        if broker.page.wasKilled, ending?.status == -9 {
          outcomes[index].kills += 1
        } else if let ending {
          outcomes[index].problems.append("the broker ended with \(ending.status): \(broker.process.log.suffix(500))")
        }
        broker.process.kill()
        load.awaitEnd()
        broker.page.callOff()
        try broker.process.start()
      }
    }
    try clients.finish()
    try RecordedHistory([clients.history.path]).tell(findings)
    for problem in try load.check(port: broker.process.port).prefix(10) { findings.fail("large jobs: \(problem)") }
    findings.say("large jobs: \(load.counts.enqueued) enqueued, \(load.counts.done) done")
    return outcomes
  }

  /// Kills while the broker starts on a log that was killed under load, or soon after.
  private func amidStart(_ point: FailPoint) throws -> Outcome {
    var outcome = Outcome(point: "\(point)")
    let broker = try FaultyBroker()
    let load = Load(Load.Size())
    try broker.process.start()
    for _ in 0..<rounds {
      load.begin(port: broker.process.port)
      let isLoaded = load.awaitAnswers(100)
      broker.process.kill()
      load.awaitEnd()
      guard isLoaded else {
        outcome.problems.append("the load stood still")
        break
      }
      broker.page.orderKill(at: point, occurrence: 1)
      let ending = try broker.process.startUnlessItEnds() ?? broker.end(within: 5)?.status
      if ending == -9, broker.page.wasKilled { outcome.kills += 1 }
      broker.process.kill()
      broker.page.callOff()
      try broker.process.start()
    }
    outcome.problems += try load.check(port: broker.process.port).prefix(10)
    outcome.facts = ", \(load.counts.enqueued) jobs enqueued, \(load.counts.done) done"
    return outcome
  }

  /// Kills around batches that hold nothing but fires: the one client changes nothing.
  private func amidFires(_ point: FailPoint) throws -> Outcome {
    var outcome = Outcome(point: "fire \(point)")
    let broker = try FaultyBroker()
    var numbers = SeededNumbers(seed: seed ^ UInt64(point.number) << 8)
    try broker.process.start()
    let schedules = (0..<100).map { "fire-\($0)" }
    let first = try Fires.define(
      schedules.map { Fires.Definition(name: $0, times: ("every_ms", 50)) }, port: broker.process.port)
    for _ in 0..<rounds {
      let onlooker = Onlooker(port: broker.process.port)
      broker.page.orderKill(at: point, occurrence: 1 + numbers.below(8))
      let ending = broker.end(within: 10)
      if broker.page.wasKilled, ending?.status == -9 { outcome.kills += 1 }
      broker.process.kill()
      onlooker.awaitEnd()
      broker.page.callOff()
      try broker.process.start()
    }
    let (problems, fired) = try Fires.checkGapless(schedules, every: 50, first: first, port: broker.process.port)
    outcome.problems += problems.prefix(10)
    outcome.facts = ", \(fired) fires"
    return outcome
  }
}
