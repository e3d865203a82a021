import BrokerProcess
import Foundation
import MessagePack
import Synchronization

/// Producers and workers with many requests under way, on threads of their own, through as many lives of a broker as it has; and what they saw.
///
/// Each sends what was not answered again, as Protocol.md says, and so knows in the end of each request whether it was done. Leases are an hour
/// long, and run anew after each restart: so no job comes twice.
final class Load: Sendable {
  struct Size: Sendable {
    var producers = 2
    var workers = 2
    var payloadBytes = 200
    var jobsPerRequest = 4
    var requestsInFlight = 8
    /// Bytes that may wait for workers: beyond them, memory would be what is tried.
    var waitingBytes = 32 << 20
  }

  /// What all clients share.
  struct State {
    var answers = 0
    var refusals = 0
    var isEnding = false
    /// Enqueued and not delivered, in bytes.
    var waitingBytes = 0
    /// How each connection ended: the code of a goodbye, or nothing.
    var farewells: [String?] = []
    var problems: [String] = []
  }

  let size: Size
  let state = Mutex(State())
  private let producers: [LoadProducer]
  private let workers: [LoadWorker]
  private let threads = DispatchGroup()

  init(_ size: Size) {
    self.size = size
    producers = (1...size.producers).map { LoadProducer(number: UInt64($0), size: size) }
    workers = (1...size.workers).map { LoadWorker(number: $0, size: size) }
  }

  /// Lets all clients connect and work, until the broker ends or `end`.
  func begin(port: UInt16) {
    state.withLock { state in
      state.isEnding = false
      state.farewells = []
      // What was delivered with a connection's last breath is leased to nobody, and was never counted off.
      state.waitingBytes = 0
    }
    for client in producers as [any LoadClient] + workers {
      threads.enter()
      Thread.detachNewThread { [self] in
        let farewell = client.work(port: port, for: self)
        state.withLock { $0.farewells.append(farewell) }
        threads.leave()
      }
    }
  }

  /// Waits until the clients' work has ended because the broker has: how their connections ended.
  @discardableResult
  func awaitEnd() -> [String?] {
    threads.wait()
    return state.withLock { $0.farewells }
  }

  /// Ends the clients' work at a broker that goes on.
  func end() {
    state.withLock { $0.isEnding = true }
    threads.wait()
  }

  /// Waits until so many more answers have come. False if they do not.
  func awaitAnswers(_ count: Int, seconds: Double = 30) -> Bool {
    let wanted = state.withLock { $0.answers } + count
    return awaitState(seconds: seconds) { $0.answers >= wanted }
  }

  /// Waits until the condition holds. False if it does not.
  func awaitState(seconds: Double, _ condition: (borrowing State) -> Bool) -> Bool {
    let limit = monotonicNanoseconds() + Int64(seconds * 1e9)
    while !state.withLock({ condition($0) }) {
      if monotonicNanoseconds() > limit { return false }
      usleep(500)
    }
    return true
  }

  /// Sends again what was not answered, and holds all that was seen against what the broker has: what is wrong.
  func check(port: UInt16) throws -> [String] {
    for client in producers as [any LoadClient] + workers { try client.finish(port: port, for: self) }
    return try compare(port: port)
  }

  /// Holds all that was seen against what a broker has: what is wrong. Changes nothing there; while no client works.
  func compare(port: UInt16) throws -> [String] {
    var problems = state.withLock { $0.problems }
    var ids: [UInt64: UInt64] = [:]
    for (key, id) in producers.flatMap(\.acknowledged) {
      if ids.updateValue(key, forKey: id) != nil { problems.append("two jobs have the id \(id)") }
    }
    var seen: Set<UInt64> = []
    var tokens: Set<UInt64> = []
    for delivery in workers.flatMap(\.deliveries) {
      if ids[delivery.id] != delivery.key { problems.append("job \(delivery.id) came with another job's bytes") }
      if !seen.insert(delivery.id).inserted { problems.append("job \(delivery.id) came twice within its lease") }
      if !tokens.insert(delivery.token).inserted { problems.append("token \(delivery.token) came twice") }
    }
    let done = Set(workers.flatMap(\.done))
    let connection = try RawConnection(port: port)
    try connection.hello()
    let jobs = ids.sorted { $0.key < $1.key }
    for start in stride(from: 0, to: jobs.count, by: 64) {
      let part = jobs[start..<min(start + 64, jobs.count)]
      for (offset, job) in part.enumerated() {
        try connection.send([0, .uint(UInt64(offset)), "get", ["id": .uint(job.key)]])
      }
      for (id, key) in part {
        guard let answer = try connection.receive() else { throw BrokerFailure("the broker is gone") }
        let isGone = answer[2]?["code"] == "NOT_FOUND"
        if done.contains(id) {
          if !isGone { problems.append("job \(id) was acked, and is still there") }
        } else if isGone {
          problems.append("job \(id) is lost")
        } else if answer[3]?["payload"] != .binary(LoadProducer.payload(of: key, size: size)) {
          problems.append("job \(id) has other bytes than were enqueued")
        }
      }
    }
    return problems
  }

  /// Jobs that were acknowledged as enqueued, and as done. While no client works.
  var counts: (enqueued: Int, done: Int) {
    (producers.reduce(0) { $0 + $1.acknowledged.count }, workers.reduce(0) { $0 + $1.done.count })
  }
}

/// Used by one thread at a time.
protocol LoadClient: AnyObject, Sendable {
  /// Works until the connection ends, or the load: the code of the goodbye, if there was one.
  func work(port: UInt16, for load: Load) -> String?
  /// Sends again what is unanswered, and returns when it is answered.
  func finish(port: UInt16, for load: Load) throws
}

/// Enqueues without end, and never forgets what was not answered.
final class LoadProducer: LoadClient, @unchecked Sendable {
  private let number: UInt64
  private let size: Load.Size
  private var lastRequest: UInt64 = 0
  private var lastKey: UInt64 = 0
  private var unanswered: [(request: UInt64, frame: [UInt8], keys: [UInt64])] = []
  private(set) var acknowledged: [(key: UInt64, id: UInt64)] = []

  init(number: UInt64, size: Load.Size) {
    self.number = number
    self.size = size
  }

  /// What a job carries: who made it, and bytes that follow from that.
  static func payload(of key: UInt64, size: Load.Size) -> [UInt8] {
    withUnsafeBytes(of: key.bigEndian) { Array($0) }
      + [UInt8](repeating: UInt8(truncatingIfNeeded: key &* 31), count: size.payloadBytes)
  }

  func work(port: UInt16, for load: Load) -> String? {
    guard let connection = try? reconnect(port: port) else { return nil }
    while !load.state.withLock({ $0.isEnding }) {
      let isHeldUp = load.state.withLock { $0.waitingBytes > size.waitingBytes }
      if isHeldUp, unanswered.isEmpty {
        usleep(1_000)
        // A broker that ends meanwhile is to be noticed.
        guard (try? connection.send([0, .uint(1 << 50), "ping", [:]])) == true, let answer = try? connection.receive()
        else { return nil }
        if answer[0] == 2 { return answer.goodbye }
        continue
      }
      while !isHeldUp, unanswered.count < size.requestsInFlight {
        makeRequest()
        if let request = unanswered.last, !connection.send(request.frame) { break }
      }
      guard let answer = try? connection.receive() else { return nil }
      if answer[0] == 2 { return answer.goodbye }
      take(answer, for: load)
    }
    return nil
  }

  func finish(port: UInt16, for load: Load) throws {
    let connection = try reconnect(port: port)
    while !unanswered.isEmpty {
      guard let answer = try connection.receive() else { throw BrokerFailure("a producer was left without an answer") }
      take(answer, for: load)
    }
  }

  private func reconnect(port: UInt16) throws -> RawConnection {
    let connection = try RawConnection(port: port)
    try connection.hello(clientID: "load-producer-\(number)")
    for request in unanswered { connection.send(request.frame) }
    return connection
  }

  private func makeRequest() {
    var keys: [UInt64] = []
    var jobs: [MessageValue] = []
    for _ in 0..<size.jobsPerRequest {
      lastKey += 1
      keys.append(number << 32 | lastKey)
      jobs.append([
        "queue": "load", "task": "load", "payload": .binary(Self.payload(of: number << 32 | lastKey, size: size)),
      ])
    }
    lastRequest += 1
    let message: MessageValue = [0, .uint(lastRequest), "enqueue", ["jobs": .array(jobs)]]
    unanswered.append((lastRequest, RawConnection.frame((try? message.encoded()) ?? []), keys))
  }

  private func take(_ answer: MessageValue, for load: Load) {
    guard let first = unanswered.first, answer[1] == .uint(first.request) else {
      return load.state.withLock { $0.problems.append("a producer was answered \(answer)") }
    }
    unanswered.removeFirst()
    if case .array(let ids)? = answer[3]?["ids"], ids.count == first.keys.count {
      for (key, id) in zip(first.keys, ids) { acknowledged.append((key, id.number)) }
      load.state.withLock { state in
        state.answers += 1
        state.waitingBytes += first.keys.count * size.payloadBytes
      }
    } else if answer[2]?["code"] == "DISK_FULL", answer[2]?["retry_after_ms"] != nil {
      load.state.withLock { $0.refusals += 1 }
      usleep(5_000)
    } else {
      load.state.withLock { $0.problems.append("a producer was answered \(answer)") }
    }
  }
}

/// Takes jobs, and acks nearly all of them with its next dequeue.
final class LoadWorker: LoadClient, @unchecked Sendable {
  private let number: Int
  private let size: Load.Size
  private var lastRequest: UInt64 = 0
  private var unanswered: [(request: UInt64, frame: [UInt8], settles: [UInt64])] = []
  private var toAck: [(id: UInt64, token: UInt64)] = []
  private(set) var deliveries: [(id: UInt64, token: UInt64, key: UInt64)] = []
  /// Jobs whose ack was confirmed.
  private(set) var done: [UInt64] = []

  init(number: Int, size: Load.Size) {
    self.number = number
    self.size = size
  }

  func work(port: UInt16, for load: Load) -> String? {
    guard let connection = try? reconnect(port: port) else { return nil }
    while !load.state.withLock({ $0.isEnding }) {
      while unanswered.count < 2 {
        makeRequest()
        if let request = unanswered.last, !connection.send(request.frame) { break }
      }
      guard let answer = try? connection.receive() else { return nil }
      if answer[0] == 2 { return answer.goodbye }
      take(answer, for: load)
    }
    return nil
  }

  func finish(port: UInt16, for load: Load) throws {
    let connection = try reconnect(port: port)
    repeat {
      while !unanswered.isEmpty {
        guard let answer = try connection.receive() else { throw BrokerFailure("a worker was left without an answer") }
        take(answer, for: load)
      }
      guard !toAck.isEmpty else { return }
      makeRequest()
      if let request = unanswered.last { connection.send(request.frame) }
    } while true
  }

  private func reconnect(port: UInt16) throws -> RawConnection {
    let connection = try RawConnection(port: port)
    try connection.hello(clientID: "load-worker-\(number)")
    for request in unanswered { connection.send(request.frame) }
    return connection
  }

  private func makeRequest() {
    let acks = toAck.map { job -> MessageValue in ["id": .uint(job.id), "token": .uint(job.token)] }
    lastRequest += 1
    let message: MessageValue = [
      0, .uint(lastRequest), "dequeue",
      ["queues": ["load"], "max": 16, "wait_ms": 50, "lease_ms": 3_600_000, "ack": .array(acks)],
    ]
    unanswered.append((lastRequest, RawConnection.frame((try? message.encoded()) ?? []), toAck.map(\.id)))
    toAck.removeAll()
  }

  private func take(_ answer: MessageValue, for load: Load) {
    guard let place = unanswered.firstIndex(where: { answer[1] == .uint($0.request) }),
      case .array(let jobs)? = answer[3]?["jobs"], answer[3]?["refused"] == nil
    else { return load.state.withLock { $0.problems.append("a worker was answered \(answer)") } }
    done += unanswered.remove(at: place).settles
    for job in jobs {
      guard case .binary(let payload)? = job["payload"], let id = job["id"]?.number, let token = job["token"]?.number
      else { continue }
      let key = payload.prefix(8).reduce(0) { key, byte in key << 8 | UInt64(byte) }
      let isWhole = payload == LoadProducer.payload(of: key, size: size)
      deliveries.append((id, token, isWhole ? key : .max))
      // Some stay leased: what a snapshot has to keep.
      if deliveries.count > 64 || deliveries.count % 2 == 0 { toAck.append((id, token)) }
    }
    load.state.withLock { state in
      state.answers += 1
      state.waitingBytes -= jobs.count * size.payloadBytes
    }
  }
}

extension MessageValue {
  /// The number of an unsigned integer; 0 for anything else.
  var number: UInt64 { if case .uint(let value) = self { value } else { 0 } }

  /// The code of a goodbye.
  fileprivate var goodbye: String? {
    if case .string(let code)? = self[2]?["code"] { code } else { nil }
  }
}
