import BrokerProcess
import Foundation
import Glibc
import MessagePack

/// What happens in each scene, and what of it must be so whatever the machine.
struct Act {
  let scene: HostileCommand.Scene
  let stage: Stage
  let findings: Findings
  let windows: Int
  let isLong: Bool
  let port: UInt16
  let folder: URL
  let seed: UInt64

  private static let connectionLimitCode = "goodbye-TOO_MANY_CONNECTIONS"

  private func attack(_ attack: Attack, _ count: Int, _ arguments: [String] = []) throws -> Attackers {
    stage.peak.reset()
    return try Attackers(attack, count: count, port: port, folder: folder, ["--seed", "\(seed)"] + arguments)
  }

  private func expect(_ condition: Bool, _ line: @autoclosure () -> String) {
    findings.expect(condition, "\(scene.rawValue): \(line())")
  }

  /// Says how much the broker's memory has grown at most, and for each of `count`; that must be below the limit.
  private func expectMemory(of count: Int, below limit: Int, _ what: String) {
    let growth = stage.peak.bytes - stage.residentBefore
    findings.say(
      "  \(scene.rawValue): memory grew by \(readable(bytes: growth)) at most, \(readable(bytes: growth / count)) for each of \(count) \(what)"
    )
    expect(growth / count <= limit, "memory grew by more than \(readable(bytes: limit)) for each of the \(what)")
  }

  private func say(_ counts: [String: Int]) {
    let text = counts.filter { $0.value > 0 }.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
    findings.say("  \(scene.rawValue): \(text.joined(separator: ", "))")
    let broken = counts.keys.filter { $0.hasPrefix("failed") }.sorted()
    expect(broken.isEmpty, "the attackers saw \(broken)")
    expect(counts["bare-goodbyes"] == 0, "a goodbye lacked its retry_after_ms")
  }

  // MARK: Connections

  func idle(_ count: Int) throws {
    let strangers = try attack(.idle, count)
    let open = try strangers.wait(for: "complete", seconds: 60)
    stage.measureAttacked(windows)
    expectMemory(of: count, below: 64 << 10, "idle connections")
    let counts = try strangers.end()
    say(counts)
    expect(open == count && counts["open"] == count && counts["answers"] == count, "not all of \(count) were greeted")
  }

  func flood(_ count: Int, limit: Int) throws {
    let strangers = try attack(.idle, count)
    try strangers.wait(for: "complete", seconds: 60)
    stage.measureAttacked(windows)
    // The places are taken; others go on trying.
    let more = try Attackers(.churn, count: 1_000, port: port, folder: folder)
    stage.measureAttacked(windows)
    expectMemory(of: count, below: 64 << 10, "connections")
    let refusedLater = try more.end()
    say(refusedLater)
    let counts = try strangers.end()
    say(counts)
    expect(counts["answers"] == limit, "\(limit) of the flood should have been greeted")
    expect(counts["open"] == limit, "\(limit) of the flood should have stayed")
    expect(
      counts[Self.connectionLimitCode] == count - limit, "the other \(count - limit) should have been told why not")
    expect(refusedLater["answers", default: 0] == 0, "somebody was greeted above the limit")
    expect(refusedLater[Self.connectionLimitCode, default: 0] > 0, "nobody was told of the limit later")
  }

  func churn() throws {
    let strangers = try attack(.churn, 200)
    stage.measureAttacked(windows)
    expectMemory(of: 200, below: 1 << 20, "that come and go")
    let counts = try strangers.end()
    say(counts)
    expect(counts["answers", default: 0] > 0, "nobody was greeted")
    expect(counts["came-again", default: 0] > 200, "hardly anybody came twice")
  }

  // MARK: Time

  func drip() throws {
    let count = 1_000
    let strangers = try attack(.drip, count)
    stage.measureAttacked(windows)
    // Ten seconds for a hello, looked at every five; the second of the other drops comes after twenty.
    pause(seconds: max(0, 24 - Double(windows)))
    expectMemory(of: count, below: 64 << 10, "that send a byte every ten seconds")
    let counts = try strangers.end()
    say(counts)
    expect(counts["goodbye-IDLE_TIMEOUT"] == count / 2, "half a hello bought time")
    expect(counts["open"] == count / 2, "a slow frame after hello ended its connection")
    expect(counts["answers"] == count, "a frame that came in drops was not answered")
  }

  func halfOpen() throws {
    let holders = 60
    let jobs = holders * 10
    let leaseMilliseconds: UInt64 = 4_000
    try stage.ask(
      "enqueue", ["jobs": .array((0..<jobs).map { _ in ["queue": "held", "task": "t"] })])
    let strangers = try attack(.holders, holders, ["--lease-milliseconds", "\(leaseMilliseconds)"])
    let began = monotonicMicroseconds()
    try strangers.wait(for: "complete", seconds: 30)
    kill(strangers.pid, SIGSTOP)
    let held = try stage.ask("queue", ["queue": "held"])
    expect(held["leased"] == .uint(UInt64(jobs)), "the attackers should hold \(jobs) jobs: \(held)")
    stage.measureAttacked(windows)
    var taken = 0
    var first: Int64?
    while taken < jobs {
      let result = try stage.ask("dequeue", ["queues": ["held"], "max": 1_000, "wait_ms": 20_000])
      guard case .array(let back)? = result["jobs"], !back.isEmpty else { break }
      first = first ?? monotonicMicroseconds()
      expect(back.allSatisfy { $0["attempt"] == 2 }, "a lease that ran out did not use its attempt up")
      let settlements = back.map { job in ["id": job["id"] ?? nil, "token": job["token"] ?? nil] as MessageValue }
      expect(try stage.ask("ack", ["jobs": .array(settlements)]) == [:], "an ack was refused")
      taken += back.count
    }
    let milliseconds = Double((first ?? began) - began) / 1_000
    findings.say(
      "  halfOpen: \(taken) of \(jobs) jobs of vanished holders came back, the first \(Int(milliseconds)) ms after they were asked for"
    )
    expect(taken == jobs, "\(jobs - taken) jobs of vanished holders did not come back")
    expect(milliseconds >= Double(leaseMilliseconds) * 0.99, "a lease ended early")
    kill(strangers.pid, SIGCONT)
    say(try strangers.end())
  }

  // MARK: Memory

  func neverReads() throws {
    let count = 120
    let payload = MessageValue.binary([UInt8](repeating: 7, count: 8 << 20))
    let enqueued = try stage.ask("enqueue", ["jobs": [["queue": "large", "task": "t", "payload": payload]]])
    guard case .uint(let job)? = enqueued["ids"]?[0] else { throw BrokerFailure("no id in \(enqueued)") }
    let strangers = try attack(.neverReads, count, ["--job", "\(job)"])
    try strangers.wait(for: "complete", seconds: 60)
    // Each of them is answered once, with 8 MiB: that takes its time, as for clients that read.
    let answering = stage.waitForCalm(seconds: 20)
    findings.say("  neverReads: \(count) answers of 8 MiB took everybody's time for some \(answering) s")
    stage.measureAttacked(windows)
    expectBudget("answers that nobody reads")
    // Thirty seconds for those that the budget let live, looked at every five; a first look may find that the kernel took a little more.
    pause(seconds: max(0, 46 - Double(windows)))
    var ended: [String: Int] = [:]
    for line in stage.broker.log.split(separator: "\n") {
      for code in ["SLOW_READER", "IDLE_TIMEOUT", "MEMORY_FULL"] where line.contains(code) {
        ended[code, default: 0] += 1
      }
    }
    say(try strangers.end())
    findings.say(
      "  neverReads: closed \(ended.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", "))"
    )
    // On a busy machine some have not even been greeted when their ten seconds are over.
    let closed = ended["SLOW_READER", default: 0] + ended["IDLE_TIMEOUT", default: 0]
    expect(closed == count, "all \(count) who do not read are to be closed")
  }

  func halfFrames() throws {
    let count = 60
    let strangers = try attack(.halfFrames, count)
    stage.measureAttacked(windows)
    pause(seconds: 2)
    expectBudget("frames that never end")
    let counts = try strangers.end()
    say(counts)
    expect(counts["goodbye-MEMORY_FULL", default: 0] > 0, "nobody was told MEMORY_FULL")
  }

  /// What connections may keep of memory is 512 MiB in all, whatever their number; and a buffer that grows is twice as large as what is in it.
  private func expectBudget(_ what: String) {
    let growth = stage.peak.bytes - stage.residentBefore
    findings.say("  \(scene.rawValue): \(what) took \(readable(bytes: growth)) at most (budget 512 MiB)")
    expect(growth < 900 << 20, "\(what) took more than the budget")
  }

  func bombs() throws {
    let count = 1_000
    let strangers = try attack(.bombs, count)
    try strangers.wait(for: "complete", seconds: 60)
    stage.measureAttacked(windows)
    expectMemory(of: count, below: 64 << 10, "frame bombs")
    let counts = try strangers.end()
    say(counts)
    expect(counts["open", default: 0] >= count / 4, "a frame that has begun may take its time")
    for code in ["MALFORMED_FRAME", "FRAME_TOO_LARGE"] {
      expect(counts["goodbye-\(code)", default: 0] >= count / 8, "nobody was told \(code)")
    }
  }

  func noise() throws {
    let strangers = try attack(.noise, 200)
    stage.measureAttacked(windows)
    expectMemory(of: 200, below: 1 << 20, "that speak nonsense")
    let counts = try strangers.end()
    say(counts)
    for code in ["MALFORMED_FRAME", "FRAME_TOO_LARGE", "HELLO_REQUIRED", "UNSUPPORTED_VERSION"] {
      expect(counts["goodbye-\(code)", default: 0] > 0, "nobody was told \(code)")
    }
  }

  func pipeline(_ requests: Int) throws {
    let strangers = try attack(.pipeline, requests)
    let taken = try strangers.wait(for: "blocked", seconds: 60)
    stage.measureAttacked(1)
    expectMemory(of: 1, below: 64 << 20, "pipeline that is not read, after \(taken) requests")
    stage.peak.reset()
    stage.measureAttacked(windows)
    let answered = try strangers.wait(for: "answered", seconds: 600)
    _ = try strangers.end()
    findings.say("  pipeline: \(answered) of \(requests) requests were answered, in order")
    expect(answered == requests, "\(requests - answered) requests were not answered")
    let queue = try stage.ask("queue", ["queue": "pipeline"])
    let jobs = (0..<requests).count(where: Pipeline.enqueues)
    expect(queue["ready"] == .uint(UInt64(jobs)), "\(jobs) jobs should be there: \(queue)")
    expectMemory(of: 1, below: (64 << 20) + jobs * 400, "pipeline that is read, with its \(jobs) jobs")
    while try stage.ask("purge", ["queue": "pipeline"])["more"] == true {}
  }
}
