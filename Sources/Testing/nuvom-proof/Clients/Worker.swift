import Glibc
import MessagePack
import NuvomHistory

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
