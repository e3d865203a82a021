import BrokerProcess
import Foundation
import Glibc
import MessagePack
import NuvomHistory
import SeededNumbers
import Synchronization

/// Producers, workers and definers, each with a thread, a connection and a file of its own.
final class Clients: Sendable {
  /// What all of them share.
  struct State {
    var answers: UInt64 = 0
    /// Producers and definers make nothing more, and finish what they have begun.
    var isStopping = false
    /// Workers finish, too.
    var isDrained = false
    /// The broker has more than shall wait.
    var isHeldUp = false
    var problems: [String] = []
    var jobs: Set<UInt64> = []
    var done: Set<UInt64> = []
    var schedules: [String] = []
  }

  let port: UInt16
  let folder: String
  let seed: UInt64
  let state = Mutex(State())
  private let makers = DispatchGroup()
  private let workers = DispatchGroup()

  init(port: UInt16, folder: String, seed: UInt64) {
    self.port = port
    self.folder = folder
    self.seed = seed
  }

  /// Starts 8 producers, 8 workers and 2 definers.
  func start() throws {
    for index in 0..<8 { try run(Producer(index: index, seed: seed, clients: self), "producer-\(index)", in: makers) }
    for index in 0..<2 { try run(Definer(index: index, seed: seed, clients: self), "definer-\(index)", in: makers) }
    for index in 0..<8 { try run(Worker(index: index, clients: self), "worker-\(index)", in: workers) }
  }

  private func run(_ role: some Role, _ name: String, in group: DispatchGroup) throws {
    let line = try RecordingLine(name: name, port: port, folder: folder)
    let thread = ClientThread(role: role, line: line, clients: self)
    group.enter()
    Thread.detachNewThread {
      thread.run()
      group.leave()
    }
  }

  /// Ends the makers, takes what is left, and looks for everything that was ever seen.
  func finish() throws {
    state.withLock { $0.isStopping = true }
    makers.wait()
    let closing = try Closing(port: port, folder: folder)
    let schedules = state.withLock { $0.schedules }
    try closing.pause(schedules)
    try closing.drain()
    state.withLock { $0.isDrained = true }
    workers.wait()
    let (jobs, done) = state.withLock { ($0.jobs, $0.done) }
    // What is done is gone; of a million such a part will do.
    try closing.look(atJobs: jobs.filter { !done.contains($0) || $0 % 16 == 0 }.sorted())
    try closing.look(atSchedules: schedules, isDrained: true)
  }
}

/// What a client does with its line.
protocol Role: SendableMetatype {
  /// Sends what is to be sent now; if that is nothing, and nothing is under way, it waits a little.
  mutating func send(_ line: RecordingLine) throws
  /// Takes an answer.
  mutating func take(_ answer: History.Answer, to request: RecordingLine.Request, _ message: MessageValue) throws
  /// Whether it is done, nothing being under way.
  var isFinished: Bool { get }
}

/// A client on its thread, which it is handed to and used by alone.
private final class ClientThread<Client: Role>: @unchecked Sendable {
  private var role: Client
  private let line: RecordingLine
  private let clients: Clients

  init(role: Client, line: RecordingLine, clients: Clients) {
    self.role = role
    self.line = line
    self.clients = clients
  }

  func run() {
    while true {
      do {
        try line.connect()
        while true {
          try role.send(line)
          if line.unanswered.isEmpty {
            if role.isFinished { return }
            continue
          }
          let (request, message, answer) = try line.receive()
          try role.take(answer, to: request, message)
          clients.state.withLock { $0.answers += 1 }
        }
      } catch {
        // A broker that is gone comes again. What else may be wrong shows as an answer that never comes.
        line.disconnect()
        usleep(2_000)
      }
    }
  }
}

/// Enqueues jobs of all kinds, and cancels some.
struct Producer: Role {
  private let index: UInt64
  private let clients: Clients
  private var numbers: SeededNumbers
  private var lastKey: UInt64 = 0
  private var cancellable: [UInt64] = []

  init(index: Int, seed: UInt64, clients: Clients) {
    self.index = UInt64(index)
    self.clients = clients
    numbers = SeededNumbers(seed: seed &* 1_000 &+ UInt64(index))
  }

  var isFinished: Bool { clients.state.withLock { $0.isStopping } }

  mutating func send(_ line: RecordingLine) throws {
    let (isStopping, isHeldUp) = clients.state.withLock { ($0.isStopping, $0.isHeldUp) }
    if isStopping || isHeldUp {
      if line.unanswered.isEmpty { usleep(1_000) }
      return
    }
    while line.unanswered.count < 4 {
      if numbers.once(in: 40), let id = cancellable.popLast() {
        var operation = History.Operation()
        operation.cancels = [id]
        try line.send("cancel", [("ids", [.uint(id)])], operation)
      } else {
        try enqueue(line)
      }
    }
  }

  private mutating func enqueue(_ line: RecordingLine) throws {
    var operation = History.Operation()
    var jobs: [MessageValue] = []
    for _ in 0...numbers.below(4) {
      lastKey += 1
      // Two of them write what fills segments.
      let size = index < 2 ? 4 << 10 : numbers.below(200)
      var job = WireJob(
        queue: numbers.once(in: 4) ? "short" : "long", payload: Self.payload(of: index << 40 | lastKey, size: size))
      if numbers.once(in: 10) { job.delay(milliseconds: UInt64(1 + numbers.below(40))) }
      if numbers.once(in: 20) { job.setUniqueKey("\(index)-\(numbers.below(50))", milliseconds: 200) }
      if numbers.once(in: 100) { job.limit(attempts: 2) }
      if numbers.once(in: 100) { job.expire(milliseconds: 20) }
      if numbers.once(in: 200) { job.keep() }
      if numbers.once(in: 10) { job.fields.append(("priority", .uint(UInt64(numbers.below(10))))) }
      operation.jobs.append(job.job)
      jobs.append(.map(job.fields))
    }
    try line.send("enqueue", [("jobs", .array(jobs))], operation)
  }

  /// What a job carries: a key that says who enqueued it, and bytes that follow from the key.
  static func payload(of key: UInt64, size: Int) -> [UInt8] {
    withUnsafeBytes(of: key.bigEndian) { Array($0) }
      + [UInt8](repeating: UInt8(truncatingIfNeeded: key &* 31), count: size)
  }

  mutating func take(_ answer: History.Answer, to request: RecordingLine.Request, _ message: MessageValue) throws {
    if request.method != "enqueue" { return }
    clients.state.withLock { $0.jobs.formUnion(answer.ids) }
    cancellable += answer.ids.prefix(1)
    if cancellable.count > 100 { cancellable.removeFirst(50) }
  }
}

/// A job in the words of the wire, and in those of the history.
struct WireJob {
  var fields: [(MessageValue, MessageValue)]
  var job: History.NewJob

  init(queue: String, payload: [UInt8]) {
    fields = [
      ("queue", .string(queue)), ("task", "crash"), ("max_attempts", 65_535), ("backoff_base_ms", 0),
      ("payload", .binary(payload)),
    ]
    job = History.NewJob(payload: History.digest(of: payload))
  }

  mutating func delay(milliseconds: UInt64) {
    fields.append(("delay_ms", .uint(milliseconds)))
    job.delayNanoseconds = milliseconds * 1_000_000
  }

  mutating func setUniqueKey(_ key: String, milliseconds: UInt64) {
    fields += [("unique_key", .string(key)), ("unique_ms", .uint(milliseconds))]
    job.uniqueKey = History.digest(of: key)
    job.uniqueNanoseconds = milliseconds * 1_000_000
  }

  mutating func limit(attempts: UInt64) {
    fields[2].1 = .uint(attempts)
    job.maximumAttempts = UInt32(attempts)
  }

  mutating func expire(milliseconds: UInt64) {
    fields.append(("expires_in_ms", .uint(milliseconds)))
    job.mayExpire = true
  }

  mutating func keep() {
    fields.append(("retention_ms", 3_600_000))
    job.isKept = true
  }
}

/// Takes jobs, and settles them in all ways: most are acked with the next dequeue, some nacked, released, extended, replaced by others, or forgotten and
/// settled when it is too late.
struct Worker: Role {
  private let index: UInt64
  private let clients: Clients
  private let queue: String
  private let leaseMilliseconds: UInt64
  private var toSettle: [History.Settlement] = []
  private var toReplace: [History.Settlement] = []
  private var toExtend: [History.Settlement] = []
  private var forgotten: [(settlement: History.Settlement, until: UInt64)] = []
  private var lastKey: UInt64 = 0

  init(index: Int, clients: Clients) {
    self.index = UInt64(index)
    self.clients = clients
    queue = index < 4 ? "long" : index < 6 ? "short" : "fires"
    leaseMilliseconds = index < 4 ? 3_600_000 : 300
  }

  var isFinished: Bool { toSettle.isEmpty && clients.state.withLock { $0.isDrained } }

  mutating func send(_ line: RecordingLine) throws {
    let isDrained = clients.state.withLock { $0.isDrained }
    if isDrained {
      if line.unanswered.isEmpty, !toSettle.isEmpty { try settle(line, "ack", toSettle.filter { $0.kind == .ack }) }
      toSettle.removeAll()
      return
    }
    if !toExtend.isEmpty {
      let leases = toExtend
      toExtend.removeAll()
      try settle(line, "extend", leases)
    }
    if let late = forgotten.first, late.until < monotonicTime() {
      forgotten.removeFirst()
      try settle(line, "ack", [late.settlement])
    }
    if let replaced = toReplace.popLast() { try replace(replaced, line) }
    while line.unanswered.count < 2 { try dequeue(line) }
  }

  private mutating func dequeue(_ line: RecordingLine) throws {
    var operation = History.Operation()
    operation.settlements = toSettle
    var params: [(MessageValue, MessageValue)] = [
      ("queues", [.string(queue)]), ("max", 8), ("wait_ms", 50), ("lease_ms", .uint(leaseMilliseconds)),
    ]
    for (kind, name) in [(History.Settlement.Kind.ack, "ack"), (.nack, "nack"), (.release, "release")] {
      let list = toSettle.filter { $0.kind == kind }.map(Self.wire)
      if !list.isEmpty { params.append((.string(name), .array(list))) }
    }
    toSettle.removeAll()
    try line.send("dequeue", params, operation)
  }

  private func settle(_ line: RecordingLine, _ method: String, _ settlements: [History.Settlement]) throws {
    if settlements.isEmpty { return }
    var operation = History.Operation()
    operation.settlements = settlements
    try line.send(method, [("jobs", .array(settlements.map(Self.wire)))], operation)
  }

  /// One job is done, and another comes from it, both or neither.
  private mutating func replace(_ settlement: History.Settlement, _ line: RecordingLine) throws {
    lastKey += 1
    let job = WireJob(queue: queue, payload: Producer.payload(of: (100 + index) << 40 | lastKey, size: 20))
    var operation = History.Operation()
    operation.jobs = [job.job]
    operation.settlements = [settlement]
    try line.send(
      "multi",
      [
        (
          "operations",
          [["enqueue", ["jobs": [.map(job.fields)]]], ["ack", ["jobs": [Self.wire(settlement)]]]]
        )
      ], operation)
  }

  private static func wire(_ settlement: History.Settlement) -> MessageValue {
    var fields: [(MessageValue, MessageValue)] = [("id", .uint(settlement.id)), ("token", .uint(settlement.token))]
    let milliseconds = settlement.nanoseconds / 1_000_000
    switch settlement.kind {
    case .ack: break
    case .nack:
      if milliseconds > 0 { fields.append(("delay_ms", .uint(milliseconds))) }
      if settlement.isLast { fields.append(("retry", false)) }
    case .release: if milliseconds > 0 { fields.append(("delay_ms", .uint(milliseconds))) }
    case .extend: fields.append(("lease_ms", .uint(milliseconds)))
    }
    return .map(fields)
  }

  mutating func take(_ answer: History.Answer, to request: RecordingLine.Request, _ message: MessageValue) throws {
    let refused = Set(answer.refused.map(\.token))
    let acked = (request.operation?.settlements ?? []).filter { settlement in
      answer.error == nil && settlement.kind == .ack && !refused.contains(settlement.token)
    }
    clients.state.withLock { state in
      state.done.formUnion(acked.map(\.id))
      state.jobs.formUnion(answer.ids)
      state.jobs.formUnion(answer.deliveries.map(\.id))
    }
    for delivery in answer.deliveries { decide(delivery) }
  }

  private mutating func decide(_ delivery: History.Delivery) {
    let (id, token) = (delivery.id, delivery.token)
    func settlement(_ kind: History.Settlement.Kind, milliseconds: UInt64 = 0, isLast: Bool = false)
      -> History.Settlement
    {
      History.Settlement(kind, id: id, token: token, nanoseconds: milliseconds * 1_000_000, isLast: isLast)
    }
    switch token % 64 {
    case 0, 1, 2: toSettle.append(settlement(.nack, milliseconds: 1))
    case 3, 4: toSettle.append(settlement(.release))
    case 5: toSettle.append(settlement(.release, milliseconds: 5))
    case 6: toSettle.append(settlement(.nack))
    case 7: toSettle.append(settlement(.nack, isLast: token % 512 == 7))
    case 8: toReplace.append(settlement(.ack))
    case 9:
      toExtend.append(settlement(.extend, milliseconds: leaseMilliseconds))
      toSettle.append(settlement(.ack))
    case 10, 11:
      // Short leases are over by then, and others have the jobs.
      forgotten.append((settlement(.ack), monotonicTime() + 1_000_000_000))
    case 12 where queue == "long" && token % 512 == 12: break
    default: toSettle.append(settlement(.ack))
    }
  }
}
