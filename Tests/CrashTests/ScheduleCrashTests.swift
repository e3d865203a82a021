import BrokerProcess
import Dispatch
import MessagePack
import Testing

extension CrashTests {
  @Test("Fifty times killed amid a thousand fires a second, each schedule has fired exactly once for each due time")
  func killsAmongFires() throws {
    let broker = try BrokerProcess(options: ["--fsync", "always"])
    let operator1 = try RawConnection(port: broker.port)
    try operator1.hello()
    // A thousand a second, none of which may be missed while the broker is down; ten of them by cron.
    let intervals = (0..<99).map { "interval-\($0)" }
    let crons = (0..<10).map { "cron-\($0)" }
    let definitions: [MessageValue] =
      intervals.map { definition($0, "every_ms", 100) } + crons.map { definition($0, "cron", "* * * * * *") }
    let created = try operator1.call(1, "schedule", ["schedules": .array(definitions)])
    #expect(created[2] == .null)
    guard case .array(let receipts)? = created[3]?["schedules"] else {
      Issue.record("the definitions were answered \(created)")
      return
    }
    let promised = receipts.map { $0["due_at_ms"]?.number }
    let workers = (0..<3).map { FireWorker(index: $0) }
    let definer = Definer()
    try kill(
      broker, rounds: 50, under: workers + [definer], answers: { round in 30 + round * 37 % 60 })
    try definer.finish(port: broker.port)

    // What is due from here on is not awaited; what was due before must come.
    let names = intervals + crons
    let last = try RawConnection(port: broker.port)
    try last.hello()
    _ = try last.call(1, "schedule_pause", ["names": .array(names.map { .string($0) })])
    var jobs: [Fire: Set<UInt64>] = [:]
    var once: Set<String> = []
    repeat {
      for worker in workers {
        try worker.finish(port: broker.port)
        jobs.merge(worker.fires) { $0.union($1) }
      }
      once = Set(jobs.keys.map(\.schedule).filter { $0.hasPrefix("once") })
    } while try isAnythingLeft(last) || once.count < definer.acknowledged.count
    #expect(workers.flatMap(\.complaints) == [] && definer.complaints == [])
    #expect(jobs.values.allSatisfy { $0.count == 1 }, "a due time fired twice")
    for (index, name) in names.enumerated() {
      let status = try last.call(UInt64(index) + 10, "schedule_get", ["name": .string(name)])[3] ?? .null
      let due = jobs.keys.filter { $0.schedule == name }.map(\.due).sorted()
      let step: UInt64 = name.hasPrefix("cron") ? 1_000 : 100
      let isGapless = zip(due, due.dropFirst()).allSatisfy { $1 - $0 == step }
      #expect(isGapless, "\(name) did not fire for each due time")
      #expect(due.first == promised[index], "\(name) did not begin as its receipt said")
      #expect(due.last == status["last_due_at_ms"]?.number, "\(name)")
      #expect(UInt64(due.count) == status["fired_total"]?.number && status["missed_total"]?.number == 0, "\(name)")
    }
    let single = jobs.keys.filter { once.contains($0.schedule) }.map { ($0.schedule, $0.due) }
    let singleDue = Dictionary(single) { first, _ in first }
    #expect(singleDue == definer.acknowledged, "each single fire came, for the time that its receipt said")
    // The story was one: much fired, also while the broker was down.
    #expect(jobs.count > 5_000 && once.count > 50)
  }

  private func definition(_ name: String, _ kind: MessageValue, _ times: MessageValue) -> MessageValue {
    .map([
      ("name", .string(name)), (kind, times), ("misfire", "all"), ("catch_up_ms", 3_600_000),
      ("job", ["queue": "fires", "task": "tick", "max_attempts": 65_535, "backoff_base_ms": 0]),
    ])
  }

  /// Whether there are jobs that nobody has finished.
  private func isAnythingLeft(_ connection: RawConnection) throws -> Bool {
    guard let queue = try connection.call(2, "queue", ["queue": "fires"])[3] else { return true }
    return ["ready", "delayed", "leased"].contains { queue[$0]?.number != 0 }
  }
}

/// One fire: what may happen once.
struct Fire: Hashable {
  let schedule: String
  let due: UInt64
}

/// Takes fires under short leases, and acks each with its next dequeue.
final class FireWorker: CrashClient, @unchecked Sendable {
  private let name: String
  private var lastRequest: UInt64 = 0
  private var toAck: [MessageValue] = []
  /// The jobs that came for each fire.
  private(set) var fires: [Fire: Set<UInt64>] = [:]
  /// What went against the protocol.
  private(set) var complaints: [String] = []

  init(index: Int) { name = "fire-worker-\(index)" }

  func work(port: UInt16, progress: Progress) {
    guard let connection = try? connect(port: port) else { return }
    while (try? exchange(connection, waitMilliseconds: 500)) != nil { progress.noteAnswer() }
  }

  /// Takes and acks what there is.
  func finish(port: UInt16) throws {
    let connection = try connect(port: port)
    while try exchange(connection, waitMilliseconds: 100) > 0 {}
  }

  /// What was not acked comes again: its lease is short.
  private func connect(port: UInt16) throws -> RawConnection {
    let connection = try RawConnection(port: port)
    try connection.hello()
    toAck = []
    return connection
  }

  private func exchange(_ connection: RawConnection, waitMilliseconds: UInt64) throws -> Int {
    lastRequest += 1
    let answer = try connection.call(
      lastRequest, "dequeue",
      [
        "queues": ["fires"], "max": 50, "wait_ms": .uint(waitMilliseconds), "lease_ms": 200, "ack": .array(toAck),
      ])
    toAck = []
    guard case .array(let jobs)? = answer[3]?["jobs"] else {
      complaints.append("\(name) was answered \(answer)")
      return 0
    }
    for job in jobs {
      guard let id = job["id"], let token = job["token"], case .string(let schedule)? = job["schedule"]?["name"],
        let due = job["schedule"]?["due_at_ms"]
      else {
        complaints.append("\(name): no fire in \(job)")
        continue
      }
      fires[Fire(schedule: schedule, due: due.number), default: []].insert(id.number)
      toAck.append(["id": id, "token": token])
    }
    return jobs.count
  }
}

/// Makes schedules that fire once, and never forgets what was not answered.
final class Definer: CrashClient, @unchecked Sendable {
  private var lastRequest: UInt64 = 0
  private var isAnswered = true
  /// The schedules that were made, and when they are due, as the broker has said.
  private(set) var acknowledged: [String: UInt64] = [:]
  /// What went against the protocol.
  private(set) var complaints: [String] = []

  func work(port: UInt16, progress: Progress) {
    guard let connection = try? connect(port: port) else { return }
    while (try? exchange(connection)) != nil {
      // A schedule each hundredth of a second will do: so long nothing comes from a queue that nobody fills.
      guard (try? connection.call(1 << 40, "dequeue", ["queues": ["nobody's"], "wait_ms": 10])) != nil else { return }
    }
  }

  func finish(port: UInt16) throws {
    let connection = try connect(port: port)
    if !isAnswered { try exchange(connection) }
  }

  private func connect(port: UInt16) throws -> RawConnection {
    let connection = try RawConnection(port: port)
    try connection.hello(clientID: "definer")
    return connection
  }

  /// Makes the next schedule, or once more the one that was not answered: it is not made twice.
  private func exchange(_ connection: RawConnection) throws {
    if isAnswered { lastRequest += 1 }
    isAnswered = false
    let name = "once-\(lastRequest)"
    let answer = try connection.call(
      lastRequest, "schedule",
      [
        "schedules": [
          [
            "name": .string(name), "in_ms": .uint(lastRequest % 40),
            "job": ["queue": "fires", "task": "tick", "max_attempts": 65_535, "backoff_base_ms": 0],
          ]
        ]
      ])
    isAnswered = true
    guard case .array(let receipts)? = answer[3]?["schedules"], receipts.first?["status"] == "created",
      let due = receipts.first?["due_at_ms"]
    else {
      complaints.append("the definer was answered \(answer)")
      return
    }
    acknowledged[name] = due.number
  }
}
