import Glibc
import MessagePack
import NuvomHistory
import SeededNumbers

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
