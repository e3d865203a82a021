import BrokerProcess
import Dispatch
import MessagePack
import Synchronization

/// Lets the test go on when the clients have had enough answers: the moment of a crash is an event, not a time.
final class Progress: Sendable {
  private let left: Mutex<Int>
  private let reached = DispatchSemaphore(value: 0)

  init(answers: Int) { left = Mutex(answers) }

  func noteAnswer() {
    let isReached = left.withLock { left in
      left -= 1
      return left == 0
    }
    if isReached { reached.signal() }
  }

  /// Waits until the answers came. False if they do not.
  func wait() -> Bool { reached.wait(timeout: .now() + 60) == .success }
}

/// What a job carries: a key that says who enqueued it, and bytes that follow from the key.
func payload(of key: UInt64, size: Int) -> [UInt8] {
  withUnsafeBytes(of: key.bigEndian) { Array($0) }
    + [UInt8](repeating: UInt8(truncatingIfNeeded: key &* 31), count: size)
}

func key(of payload: [UInt8]) -> UInt64 { payload.prefix(8).reduce(0) { key, byte in key << 8 | UInt64(byte) } }

/// Clients are used by one thread at a time, that of a round, and by the test after it has waited for that thread.
protocol CrashClient: AnyObject, Sendable {
  /// Works until the connection ends.
  func work(port: UInt16, progress: Progress)
  /// Sends again what is unanswered, and returns when it is answered.
  func finish(port: UInt16) throws
}

/// Enqueues without end, with many requests under way, and never forgets what was not answered.
final class Producer: CrashClient, @unchecked Sendable {
  private let name: String
  private let index: UInt64
  private let payloadSize: Int
  private let jobsPerRequest: Int
  private var lastRequest: UInt64 = 0
  private var lastAnswered: UInt64 = 0
  private var lastKey: UInt64 = 0
  private var unanswered: [(request: UInt64, frame: [UInt8], keys: [UInt64])] = []
  /// Every acknowledged job: its key and id.
  private(set) var acknowledged: [(key: UInt64, id: UInt64)] = []
  /// What went against the protocol.
  private(set) var complaints: [String] = []

  init(index: UInt64, payloadSize: Int, jobsPerRequest: Int) {
    self.index = index
    self.payloadSize = payloadSize
    self.jobsPerRequest = jobsPerRequest
    name = "producer-\(index)"
  }

  func work(port: UInt16, progress: Progress) {
    guard let connection = try? reconnect(port: port) else { return }
    while true {
      while unanswered.count < 8 {
        makeRequest()
        guard let request = unanswered.last, connection.send(request.frame) else { return }
      }
      guard let answer = try? connection.receive() else { return }
      take(answer)
      progress.noteAnswer()
    }
  }

  func finish(port: UInt16) throws {
    let connection = try reconnect(port: port)
    while !unanswered.isEmpty {
      guard let answer = try connection.receive() else { throw BrokerFailure("\(name) was left without an answer") }
      take(answer)
    }
  }

  private func reconnect(port: UInt16) throws -> RawConnection {
    let connection = try RawConnection(port: port)
    let remembered = try connection.hello(clientID: name)[3]?["highest_request_id"]?.number ?? 0
    if remembered < lastAnswered {
      complaints.append("\(name): request \(lastAnswered) was answered, \(remembered) is known")
    }
    for request in unanswered { connection.send(request.frame) }
    return connection
  }

  /// Every fourth job goes where leases are short.
  private func makeRequest() {
    var keys: [UInt64] = []
    var jobs: [MessageValue] = []
    for _ in 0..<jobsPerRequest {
      lastKey += 1
      let key = index << 32 | lastKey
      keys.append(key)
      jobs.append([
        "queue": lastKey % 4 == 0 ? "short" : "long", "task": "crash", "max_attempts": 65_535, "backoff_base_ms": 0,
        "payload": .binary(payload(of: key, size: payloadSize)),
      ])
    }
    lastRequest += 1
    let message: MessageValue = [0, .uint(lastRequest), "enqueue", ["jobs": .array(jobs)]]
    unanswered.append((lastRequest, RawConnection.frame((try? message.encoded()) ?? []), keys))
  }

  private func take(_ answer: MessageValue) {
    guard let first = unanswered.first, answer[1] == .uint(first.request), case .array(let ids)? = answer[3]?["ids"],
      ids.count == first.keys.count
    else { return complaints.append("\(name) was answered \(answer)") }
    lastAnswered = first.request
    for (key, id) in zip(first.keys, ids) { acknowledged.append((key, id.number)) }
    unanswered.removeFirst()
  }
}

/// What a worker does with a job.
enum Settlement: String { case ack, nack, release }

/// A delivery that a worker received, and what became of it.
struct Delivery {
  let id: UInt64
  let token: UInt64
  let attempt: UInt64
  let payload: [UInt8]
  let leaseNanoseconds: UInt64
  /// The lease began after this.
  let askedAt: UInt64
  /// And before this.
  let receivedAt: UInt64
  /// What was sent; nil when the worker just forgot the job.
  var settlement: Settlement?
  /// The broker has said that it is done, or that it is not.
  var isConfirmed = false
  var isRefused = false
}

/// Takes jobs, and settles them with its next dequeue: most are acked, some nacked, released or forgotten.
final class Worker: CrashClient, @unchecked Sendable {
  private let name: String
  private let queue: String
  private let leaseMilliseconds: UInt64
  private var lastRequest: UInt64 = 0
  private var unanswered: [(request: UInt64, frame: [UInt8], settles: [Int], askedAt: UInt64)] = []
  /// Of those that settled something: others are not remembered.
  private var lastAnswered: UInt64 = 0
  private var toSettle: [Int] = []
  private(set) var deliveries: [Delivery] = []
  private(set) var complaints: [String] = []

  init(index: Int, queue: String, leaseMilliseconds: UInt64) {
    name = "worker-\(index)"
    self.queue = queue
    self.leaseMilliseconds = leaseMilliseconds
  }

  func work(port: UInt16, progress: Progress) {
    guard let connection = try? reconnect(port: port) else { return }
    while true {
      while unanswered.count < 2 {
        makeRequest()
        guard let request = unanswered.last, connection.send(request.frame) else { return }
      }
      guard let answer = try? connection.receive() else { return }
      take(answer)
      progress.noteAnswer()
    }
  }

  func finish(port: UInt16) throws {
    let connection = try reconnect(port: port)
    makeRequest()
    if let last = unanswered.last { connection.send(last.frame) }
    while !unanswered.isEmpty {
      guard let answer = try connection.receive() else { throw BrokerFailure("\(name) was left without an answer") }
      take(answer)
    }
  }

  private func reconnect(port: UInt16) throws -> RawConnection {
    let connection = try RawConnection(port: port)
    let remembered = try connection.hello(clientID: name)[3]?["highest_request_id"]?.number ?? 0
    if remembered < lastAnswered {
      complaints.append("\(name): request \(lastAnswered) was answered, \(remembered) is known")
    }
    for index in unanswered.indices {
      unanswered[index].askedAt = DispatchTime.now().uptimeNanoseconds
      connection.send(unanswered[index].frame)
    }
    return connection
  }

  private func makeRequest() {
    var lists: [Settlement: [MessageValue]] = [:]
    for index in toSettle {
      guard let settlement = deliveries[index].settlement else { continue }
      var fields: [(MessageValue, MessageValue)] = [
        ("id", .uint(deliveries[index].id)), ("token", .uint(deliveries[index].token)),
      ]
      if settlement == .nack { fields += [("error_type", "Crash"), ("delay_ms", 1)] }
      lists[settlement, default: []].append(.map(fields))
    }
    var params: [(MessageValue, MessageValue)] = [
      ("queues", [.string(queue)]), ("max", 8), ("wait_ms", 500), ("lease_ms", .uint(leaseMilliseconds)),
    ]
    for settlement in [Settlement.ack, .nack, .release] {
      if let list = lists[settlement] { params.append((.string(settlement.rawValue), .array(list))) }
    }
    lastRequest += 1
    let message: MessageValue = [0, .uint(lastRequest), "dequeue", .map(params)]
    let frame = RawConnection.frame((try? message.encoded()) ?? [])
    unanswered.append((lastRequest, frame, toSettle, DispatchTime.now().uptimeNanoseconds))
    toSettle.removeAll()
  }

  private func take(_ answer: MessageValue) {
    let now = DispatchTime.now().uptimeNanoseconds
    guard let place = unanswered.firstIndex(where: { answer[1] == .uint($0.request) }),
      case .array(let jobs)? = answer[3]?["jobs"]
    else { return complaints.append("\(name) was answered \(answer)") }
    let request = unanswered.remove(at: place)
    if !request.settles.isEmpty { lastAnswered = max(lastAnswered, request.request) }
    var refused: Set<UInt64> = []
    if case .array(let refusals)? = answer[3]?["refused"] {
      for refusal in refusals {
        refused.insert(refusal["token"]?.number ?? 0)
        if refusal["code"] != "LEASE_LOST" { complaints.append("\(name) was refused \(refusal)") }
      }
    }
    for index in request.settles {
      deliveries[index].isConfirmed = true
      deliveries[index].isRefused = refused.contains(deliveries[index].token)
    }
    for job in jobs {
      guard case .binary(let payload)? = job["payload"] else {
        return complaints.append("\(name): no payload in \(job)")
      }
      let token = job["token"]?.number ?? 0
      let settlement: Settlement? =
        switch token % 16 {
        case 0, 1: .nack
        case 2: .release
        case 3: nil
        default: .ack
        }
      if settlement != nil { toSettle.append(deliveries.count) }
      deliveries.append(
        Delivery(
          id: job["id"]?.number ?? 0, token: token, attempt: job["attempt"]?.number ?? 0, payload: payload,
          leaseNanoseconds: (job["lease_ms"]?.number ?? 0) * 1_000_000, askedAt: request.askedAt, receivedAt: now,
          settlement: settlement))
    }
  }
}

extension MessageValue {
  /// The number of an unsigned integer; 0 for anything else.
  var number: UInt64 { if case .uint(let value) = self { value } else { 0 } }
}
