import ArgumentParser
import BrokerProcess
import Foundation
import MessagePack

/// A wall clock that jumps, under the real process.
struct ClockCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clock",
    abstract:
      "Sets the broker's wall clock forth and back, while it runs and between two runs, and looks at leases, delays and schedules."
  )

  @Option(help: "Brokers at a time.") var lanes = 12

  func run() throws {
    let findings = Findings(of: "clock")
    let hour: Int64 = 3_600
    let steps: [(String, Int64)] = [
      ("+1 h", hour), ("-1 h", -hour), ("+1 day", 24 * hour), ("-1 day", -24 * hour), ("+10 years", 87_660 * hour),
      ("-10 years", -87_660 * hour),
    ]
    let cases = steps.flatMap { step in
      [false, true].map { ClockCase(name: step.0, seconds: step.1, isAcrossRestart: $0) }
    }
    let outcomes = inLanes(lanes, cases) { $0.run() }
    for (clockCase, outcome) in zip(cases, outcomes) {
      findings.say("\(clockCase): \(outcome.facts)")
      for problem in outcome.problems { findings.fail("\(clockCase): \(problem)") }
    }
    try findings.close()
  }
}

/// One broker whose clock is set, and set back again.
struct ClockCase: Sendable, CustomStringConvertible {
  struct Outcome: Sendable {
    var facts = ""
    var problems: [String] = []
  }

  let name: String
  let seconds: Int64
  let isAcrossRestart: Bool

  var description: String { "\(name) \(isAcrossRestart ? "across a restart" : "while it runs")" }

  private static let leaseMilliseconds: UInt64 = 2_000
  private static let delayMilliseconds: UInt64 = 2_500
  /// How much later than it should something may come, on a machine that is busy with eleven other brokers.
  private static let patience: Int64 = 2_500_000_000

  func run() -> Outcome {
    var outcome = Outcome()
    do { try tell(&outcome) } catch { outcome.problems.append("\(error)") }
    return outcome
  }

  private func tell(_ outcome: inout Outcome) throws {
    let broker = try FaultyBroker()
    try broker.process.start()
    var story = Story(connection: try RawConnection(port: broker.process.port))
    try story.connection.hello()
    // Ten years are 300 million seconds, and it counts a cron expression's due times one by one.
    let cron: MessageValue = abs(seconds) > 100_000_000 ? "0 * * * *" : "* * * * * *"
    try Fires.define(
      [
        Fires.Definition(name: "interval", times: ("every_ms", 200)),
        Fires.Definition(name: "cron", times: ("cron", cron)), Fires.Definition(name: "once", times: ("in_ms", 1_200)),
      ], misfire: "once", port: broker.process.port)
    let taker = FireTaker(port: broker.process.port)
    defer { taker.end() }

    let enqueued = monotonicNanoseconds()
    _ = try story.call(
      "enqueue",
      [
        "jobs": [
          ["queue": "leases", "task": "t", "max_attempts": 100, "backoff_base_ms": 0],
          ["queue": "delays", "task": "t", "delay_ms": .uint(Self.delayMilliseconds)],
        ]
      ])
    let leased = try story.dequeue("leases", wait: 5_000, lease: Self.leaseMilliseconds)
    usleep(400_000)

    // The clock is set.
    let set = try change(broker, to: seconds, &story)
    let times = try story.awaitBoth("leases", "delays", lease: Self.leaseMilliseconds)
    judge("the lease", times.first, since: set ?? leased.asked, Self.leaseMilliseconds, &outcome)
    judge("the delayed job", times.second, since: enqueued, Self.delayMilliseconds, &outcome)
    let during = taker.fires

    // And set back.
    let setBack = try change(broker, to: 0, &story)
    let again = try story.dequeue("leases", wait: 10_000, lease: Self.leaseMilliseconds)
    // It began when the first one ended, which was not before its time.
    let began = setBack ?? (leased.asked + Int64(Self.leaseMilliseconds) * 1_000_000)
    judge("the second lease", again.received, since: began, Self.leaseMilliseconds, &outcome)
    try Fires.define([Fires.Definition(name: "after", times: ("every_ms", 200))], port: broker.process.port)
    usleep(1_600_000)
    let fires = taker.fires

    for fire in fires.repeated { outcome.problems.append("\(fire.schedule) fired twice for \(fire.due)") }
    if fires.due("once").count != 1 {
      outcome.problems.append("what was to fire once fired \(fires.due("once").count) times")
    }
    if seconds < 0, !during.due("once").isEmpty { outcome.problems.append("a fire came before its time") }
    // Set forth, the due times of that future have fired, and do not come again; set back, they wait.
    let (whileSet, afterwards) = (
      during.due("interval").count, fires.due("interval").count - during.due("interval").count
    )
    if seconds > 0, whileSet < 5 {
      outcome.problems.append("the interval fired \(whileSet) times while the clock was forward")
    }
    if seconds < 0, afterwards < 5 {
      outcome.problems.append("the interval fired \(afterwards) times after the clock was right again")
    }
    if fires.due("after").count < 4 {
      outcome.problems.append("a schedule made after all that fired \(fires.due("after").count) times")
    }
    if !isAcrossRestart {
      let steps = try story.call("stats", [:])["clock_steps_total"]?.number ?? 0
      if steps != 2 { outcome.problems.append("\(steps) steps of the clock were counted, not 2") }
    }
    outcome.facts =
      "lease \(tenths(Double(times.first - (set ?? leased.asked)) / 1e9)) s, delay \(tenths(Double(times.second - enqueued) / 1e9)) s, "
      + "\(fires.jobs.count) fires"
  }

  /// Sets the broker's clock; when the new broker was started, if there is one.
  private func change(_ broker: FaultyBroker, to seconds: Int64, _ story: inout Story) throws -> Int64? {
    guard isAcrossRestart else {
      broker.page.wallOffsetMicroseconds = seconds * 1_000_000
      return nil
    }
    broker.process.kill()
    broker.page.wallOffsetMicroseconds = seconds * 1_000_000
    let started = monotonicNanoseconds()
    try broker.process.start()
    story = Story(connection: try RawConnection(port: broker.process.port))
    try story.connection.hello()
    return started
  }

  private func judge(
    _ what: String, _ time: Int64, since begin: Int64, _ milliseconds: UInt64, _ outcome: inout Outcome
  ) {
    let wanted = Int64(milliseconds) * 1_000_000
    if time - begin < wanted {
      outcome.problems.append("\(what) ended \((wanted - time + begin) / 1_000_000) ms early")
    } else if time - begin > wanted + Self.patience {
      outcome.problems.append("\(what) ended \((time - begin - wanted) / 1_000_000) ms late")
    }
  }
}

/// One client's conversation.
private struct Story {
  let connection: RawConnection
  private var request: UInt64 = 0

  init(connection: RawConnection) { self.connection = connection }

  mutating func call(_ method: String, _ params: MessageValue) throws -> MessageValue {
    request += 1
    let answer = try connection.call(request, method, params)
    guard let result = answer[3], result != .null else { throw BrokerFailure("\(method): \(answer)") }
    return result
  }

  /// Takes the queue's one job: when it was asked for, and when it came.
  mutating func dequeue(_ queue: String, wait: UInt64, lease: UInt64) throws -> (asked: Int64, received: Int64) {
    let asked = monotonicNanoseconds()
    let result = try call(
      "dequeue", ["queues": [.string(queue)], "wait_ms": .uint(wait), "lease_ms": .uint(lease)])
    guard result["jobs"]?[0] != nil else { throw BrokerFailure("no job came from \(queue)") }
    return (asked, monotonicNanoseconds())
  }

  /// Waits for a job of each queue at once: when they came.
  mutating func awaitBoth(_ first: String, _ second: String, lease: UInt64) throws -> (first: Int64, second: Int64) {
    var times: [UInt64: Int64] = [:]
    for queue in [first, second] {
      request += 1
      try connection.send([
        0, .uint(request), "dequeue",
        ["queues": [.string(queue)], "wait_ms": 10_000, "lease_ms": .uint(lease)],
      ])
    }
    while times.count < 2 {
      guard let answer = try connection.receive(), answer[3]?["jobs"]?[0] != nil, let id = answer[1]?.number else {
        throw BrokerFailure("a job that was due did not come")
      }
      times[id] = monotonicNanoseconds()
    }
    return (times[request - 1] ?? 0, times[request] ?? 0)
  }
}
