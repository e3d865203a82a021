import BrokerProcess
import Foundation
import MessagePack
import Synchronization

/// One due time of a schedule: what may happen once.
struct Fire: Hashable, Sendable {
  let schedule: String
  let due: UInt64
}

/// Schedules whose jobs go to the queue `fires`, and what came of them.
struct Fires {
  struct Definition: Sendable {
    let name: String
    /// The field that says when it is due, and its value.
    let times: (field: String, value: MessageValue)

    init(name: String, times: (String, MessageValue)) {
      self.name = name
      self.times = times
    }
  }

  /// The jobs that came for each due time.
  private(set) var jobs: [Fire: Set<UInt64>] = [:]

  /// Makes schedules that leave no due time out, however late: the due times that they were told.
  @discardableResult
  static func define(_ definitions: [Definition], misfire: MessageValue = "all", port: UInt16) throws -> [UInt64] {
    let connection = try RawConnection(port: port)
    try connection.hello()
    let schedules = definitions.map { definition -> MessageValue in
      [
        "name": .string(definition.name), .string(definition.times.field): definition.times.value, "misfire": misfire,
        "job": ["queue": "fires", "task": "fire", "max_attempts": 65_535, "backoff_base_ms": 0],
      ]
    }
    let answer = try connection.call(1, "schedule", ["schedules": .array(schedules)])
    guard case .array(let receipts)? = answer[3]?["schedules"] else { throw BrokerFailure("schedule: \(answer)") }
    return receipts.map { $0["due_at_ms"]?.number ?? 0 }
  }

  /// Takes what is there, acks it, and returns how many there were.
  mutating func take(_ connection: RawConnection, request: UInt64, waitMilliseconds: UInt64) throws -> Int {
    let answer = try connection.call(
      request * 2, "dequeue",
      ["queues": ["fires"], "max": 500, "lease_ms": 1_000, "wait_ms": .uint(waitMilliseconds)])
    guard case .array(let taken)? = answer[3]?["jobs"] else { throw BrokerFailure("dequeue: \(answer)") }
    if taken.isEmpty { return 0 }
    for job in taken {
      guard case .string(let name)? = job["schedule"]?["name"], let due = job["schedule"]?["due_at_ms"]?.number,
        let id = job["id"]?.number
      else { throw BrokerFailure("no fire: \(job)") }
      jobs[Fire(schedule: name, due: due), default: []].insert(id)
    }
    let acks = taken.map { job -> MessageValue in ["id": job["id"] ?? nil, "token": job["token"] ?? nil] }
    _ = try connection.call(request * 2 + 1, "ack", ["jobs": .array(acks)])
    return taken.count
  }

  /// Due times that fired more than once.
  var repeated: [Fire] { jobs.filter { $0.value.count > 1 }.map(\.key) }

  /// The due times of a schedule that fired.
  func due(_ schedule: String) -> [UInt64] { jobs.keys.filter { $0.schedule == schedule }.map(\.due).sorted() }

  /// Ends the schedules, takes all their jobs, and says what is wrong with them: each due time from the first to the last must have fired once.
  static func checkGapless(
    _ schedules: [String], every step: UInt64, first: [UInt64], port: UInt16
  ) throws -> (problems: [String], fired: Int) {
    let connection = try RawConnection(port: port)
    try connection.hello()
    _ = try connection.call(1, "schedule_pause", ["names": .array(schedules.map { .string($0) })])
    var fires = Fires()
    var request: UInt64 = 1
    while true {
      request += 1
      if try fires.take(connection, request: request, waitMilliseconds: 0) > 0 { continue }
      let queue = try connection.call(1 << 40, "queue", ["queue": "fires"])[3]
      if ["ready", "delayed", "leased"].allSatisfy({ queue?[$0]?.number == 0 }) { break }
      usleep(10_000)
    }
    var problems = fires.repeated.map { "\($0.schedule) fired twice for \($0.due)" }
    for (index, name) in schedules.enumerated() {
      let due = fires.due(name)
      let status = try connection.call(1 << 41, "schedule_get", ["name": .string(name)])[3]
      if let gap = zip(due, due.dropFirst()).first(where: { $1 - $0 != step }) {
        problems.append("\(name) fired for \(gap.0), and next for \(gap.1)")
      }
      if due.first != first[index] { problems.append("\(name) began with \(due.first ?? 0), not \(first[index])") }
      if due.last != status?["last_due_at_ms"]?.number || UInt64(due.count) != status?["fired_total"]?.number {
        problems.append("\(name): \(due.count) jobs up to \(due.last ?? 0) came, the broker knows of \(status ?? nil)")
      }
    }
    return (problems, fires.jobs.count)
  }
}

/// Takes fires on a thread of its own, also from a broker that goes and comes again, until it is ended.
final class FireTaker: Sendable {
  private struct State {
    var fires = Fires()
    var isEnding = false
    var problem: String?
  }

  private let state = Mutex(State())
  private let thread = DispatchGroup()

  init(port: UInt16) {
    thread.enter()
    Thread.detachNewThread { [self] in
      while !state.withLock({ $0.isEnding }) {
        // A broker that is down refuses the connection; one that is killed ends it.
        do { try work(port: port) } catch { usleep(20_000) }
      }
      thread.leave()
    }
  }

  private func work(port: UInt16) throws {
    let connection = try RawConnection(port: port)
    try connection.hello()
    var request: UInt64 = 0
    while !state.withLock({ $0.isEnding }) {
      request += 1
      var fires = state.withLock { $0.fires }
      defer { state.withLock { $0.fires = fires } }
      _ = try fires.take(connection, request: request, waitMilliseconds: 100)
    }
  }

  /// What came so far.
  var fires: Fires { state.withLock { $0.fires } }

  func end() {
    state.withLock { $0.isEnding = true }
    thread.wait()
  }
}

/// Asks a broker how it is, again and again, until it ends: somebody who is answered, and changes nothing.
final class Onlooker: Sendable {
  private let thread = DispatchGroup()

  init(port: UInt16) {
    thread.enter()
    Thread.detachNewThread { [thread] in
      if let connection = try? RawConnection(port: port), (try? connection.hello()) != nil {
        var request: UInt64 = 0
        repeat { request += 1 } while (try? connection.call(request, "ping")) != nil
      }
      thread.leave()
    }
  }

  func awaitEnd() { thread.wait() }
}
