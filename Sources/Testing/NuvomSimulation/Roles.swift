import MessagePack
import NuvomConnection
import NuvomHistory
import NuvomModel
import SeededNumbers

/// What a job carries: a key that says who enqueued it, and bytes that follow from the key.
func payload(of key: UInt64, size: Int) -> [UInt8] {
  withUnsafeBytes(of: key.bigEndian) { Array($0) }
    + [UInt8](repeating: UInt8(truncatingIfNeeded: key &* 31), count: size)
}

/// Enqueues jobs of all kinds, and cancels or looks at some.
final class ProducerRole: Role {
  private let index: UInt64
  private let largest: Int
  private let largeOdds: Int
  /// Whether what runs by time can be held against it: not where the wall clock is set, by which a broker that starts counts its absence.
  private let isTimed: Bool
  private var lastKey: UInt64 = 0
  private var ids: [UInt64] = []

  init(index: Int, largest: Int, largeOdds: Int, isTimed: Bool) {
    self.index = UInt64(index)
    self.largest = largest
    self.largeOdds = largeOdds
    self.isTimed = isTimed
  }

  func next(now: Int64, random: inout SeededNumbers) -> SimulatedClient.Ask? {
    var operation = History.Operation()
    switch random.below(20) {
    case 0 where !ids.isEmpty:
      let id = random.element(ids)
      operation.cancels = [id]
      return SimulatedClient.Ask(method: .cancel, parameters: ["ids": [.uint(id)]], operation: operation)
    case 1 where !ids.isEmpty:
      let wait = UInt64(random.below(300))
      return SimulatedClient.Ask(
        method: .wait, parameters: ["id": .uint(random.element(ids)), "wait_ms": .uint(wait)])
    case 2 where !ids.isEmpty:
      let id = random.element(ids)
      return SimulatedClient.Ask(method: .get, parameters: ["id": .uint(id)], looksFor: id)
    case 3:
      let (first, second) = (newJob(&operation, &random), newJob(&operation, &random))
      return SimulatedClient.Ask(
        method: .multi,
        parameters: ["operations": [["enqueue", ["jobs": [first]]], ["enqueue", ["jobs": [second]]]]],
        operation: operation)
    default:
      let jobs = (0..<1 + random.below(3)).map { _ in newJob(&operation, &random) }
      return SimulatedClient.Ask(method: .enqueue, parameters: ["jobs": .array(jobs)], operation: operation)
    }
  }

  private func newJob(_ operation: inout History.Operation, _ random: inout SeededNumbers) -> MessageValue {
    lastKey += 1
    let key = index << 32 | lastKey
    let size = random.once(in: largeOdds) ? random.below(largest) : random.below(60)
    let attempts = random.once(in: 3) ? 1 + random.below(3) : 65_535
    let payload = payload(of: key, size: size)
    var job = History.NewJob(payload: History.digest(of: payload))
    job.maximumAttempts = UInt32(attempts)
    var fields: [(MessageValue, MessageValue)] = [
      ("queue", .string(random.element(["a", "b", "c"]))), ("task", "work"),
      ("payload", .binary(payload)), ("backoff", "fixed"),
      ("backoff_base_ms", .uint(UInt64(random.once(in: 2) ? 0 : random.below(50)))),
      ("max_attempts", .uint(UInt64(attempts))),
    ]
    if random.once(in: 3) { fields.append(("priority", .uint(UInt64(random.below(3))))) }
    if random.once(in: 4) {
      let delay = random.once(in: 2) ? random.below(200) : random.below(20_000)
      fields.append(("delay_ms", .uint(UInt64(delay))))
      if isTimed { job.delayNanoseconds = UInt64(delay) * 1_000_000 }
    }
    if random.once(in: 10) {
      fields.append(("expires_in_ms", .uint(UInt64(random.below(2_000)))))
      job.mayExpire = true
    }
    if random.once(in: 6) { fields.append(("lease_ms", .uint(UInt64(20 + random.below(300))))) }
    if random.once(in: 3) {
      fields.append(("retention_ms", .uint(UInt64(1 + random.below(5_000)))))
      job.isKept = true
    }
    if random.once(in: 8) {
      let name = "key \(random.below(6))"
      let window = 1 + random.below(3_000)
      fields += [("unique_key", .string(name)), ("unique_ms", .uint(UInt64(window)))]
      job.uniqueKey = History.digest(of: name)
      if isTimed { job.uniqueNanoseconds = UInt64(window) * 1_000_000 }
    }
    operation.jobs.append(job)
    return .map(fields)
  }

  func heard(_ answer: Heard, to ask: SimulatedClient.Ask, now: Int64) {
    guard case .result(let result) = answer, ask.method == .enqueue, case .array(let new)? = result["ids"] else {
      return
    }
    for case .uint(let id) in new { ids.append(id) }
    if ids.count > 50 { ids.removeFirst(ids.count - 50) }
  }
}

/// Takes jobs and settles them in every way: at once, late, with the next dequeue, or never.
final class WorkerRole: Role {
  struct Held {
    let id: UInt64
    let token: UInt64
  }

  private let isTimed: Bool
  private var held: [Held] = []
  /// Shown again when they are worth nothing.
  private var old: [Held] = []

  /// `isTimed`: as for producers.
  init(isTimed: Bool) { self.isTimed = isTimed }

  func next(now: Int64, random: inout SeededNumbers) -> SimulatedClient.Ask? {
    if random.once(in: 25), !old.isEmpty {
      return settle(random.element([.ack, .nack, .release, .extend]), [random.element(old)], &random)
    }
    if held.isEmpty || random.once(in: 3) {
      var fields: [(MessageValue, MessageValue)] = [
        (
          "queues",
          random.once(in: 2) ? ["a", "b", "c", "fires"] : [.string(random.element(["a", "b", "c", "fires"]))]
        ),
        ("max", .uint(UInt64(1 + random.below(6)))), ("wait_ms", .uint(UInt64(random.below(300)))),
        ("lease_ms", .uint(UInt64(random.once(in: 6) ? 5_000 : 10 + random.below(400)))),
      ]
      var operation = History.Operation()
      if !held.isEmpty, random.once(in: 2) {
        let method = random.element([Method.ack, .ack, .nack, .release])
        let settlement = settlement(held.removeFirst(), method, &operation, &random)
        fields.append((.string("\(method.wireName)"), .array([settlement])))
      }
      return SimulatedClient.Ask(method: .dequeue, parameters: .map(fields), operation: operation)
    }
    // Now and then one is forgotten: its lease runs out.
    if random.once(in: 12) {
      held.removeFirst()
      return nil
    }
    if random.once(in: 8) { return settle(.extend, [held[0]], &random) }
    if random.once(in: 12) {
      return SimulatedClient.Ask(
        method: .progress,
        parameters: ["jobs": [["id": .uint(held[0].id), "token": .uint(held[0].token), "percent": 50]]])
    }
    let count = 1 + random.below(held.count)
    let jobs = Array(held[..<count])
    held.removeFirst(count)
    return settle(random.element([.ack, .ack, .ack, .nack, .release]), jobs, &random)
  }

  private func settle(_ method: Method, _ jobs: [Held], _ random: inout SeededNumbers) -> SimulatedClient.Ask {
    var operation = History.Operation()
    let settlements = jobs.map { settlement($0, method, &operation, &random) }
    return SimulatedClient.Ask(method: method, parameters: ["jobs": .array(settlements)], operation: operation)
  }

  private func settlement(
    _ held: Held, _ method: Method, _ operation: inout History.Operation, _ random: inout SeededNumbers
  ) -> MessageValue {
    var fields: [(MessageValue, MessageValue)] = [("id", .uint(held.id)), ("token", .uint(held.token))]
    func note(_ kind: History.Settlement.Kind, milliseconds: Int = 0, isLast: Bool = false) {
      operation.settlements.append(
        History.Settlement(
          kind, id: held.id, token: held.token, nanoseconds: UInt64(milliseconds) * 1_000_000, isLast: isLast))
    }
    switch method {
    case .ack:
      if random.once(in: 4) { fields.append(("result", .binary(payload(of: held.token, size: 20)))) }
      note(.ack)
    case .nack:
      fields += [("error_type", "Trouble"), ("message", "it failed")]
      let delay = random.once(in: 3) ? random.below(50) : nil
      if let delay { fields.append(("delay_ms", .uint(UInt64(delay)))) }
      let isLast = random.once(in: 10)
      if isLast { fields.append(("retry", false)) }
      note(.nack, milliseconds: isTimed ? delay ?? 0 : 0, isLast: isLast)
    case .release:
      let delay = random.once(in: 2) ? random.below(50) : 0
      fields.append(("delay_ms", .uint(UInt64(delay))))
      note(.release, milliseconds: isTimed ? delay : 0)
    default:
      let lease = 20 + random.below(500)
      fields.append(("lease_ms", .uint(UInt64(lease))))
      note(.extend, milliseconds: lease)
    }
    return .map(fields)
  }

  func heard(_ answer: Heard, to ask: SimulatedClient.Ask, now: Int64) {
    guard ask.method == .dequeue, case .result(let result) = answer, case .array(let jobs)? = result["jobs"] else {
      return
    }
    for job in jobs {
      guard case .uint(let id)? = job["id"], case .uint(let token)? = job["token"] else { continue }
      held.append(Held(id: id, token: token))
      old.append(Held(id: id, token: token))
    }
    if old.count > 30 { old.removeFirst(old.count - 30) }
  }
}

/// Defines schedules, changes, pauses, triggers and deletes them.
final class SchedulerRole: Role {
  private var made = 0

  func next(now: Int64, random: inout SeededNumbers) -> SimulatedClient.Ask? {
    let text = "schedule \(random.below(12))"
    let name = MessageValue.string(text)
    var operation = History.Operation()
    switch random.below(14) {
    case 0..<8: return define(text, &random)
    case 8: return SimulatedClient.Ask(method: .schedulePause, parameters: ["names": [name]])
    case 9, 10: return SimulatedClient.Ask(method: .scheduleResume, parameters: ["names": [name]])
    case 11:
      operation.triggers = [text]
      return SimulatedClient.Ask(method: .scheduleTrigger, parameters: ["names": [name]], operation: operation)
    case 12:
      operation.deletes = [text]
      return SimulatedClient.Ask(method: .scheduleDelete, parameters: ["names": [name]], operation: operation)
    default: return SimulatedClient.Ask(method: .scheduleGet, parameters: ["name": name])
    }
  }

  private func define(_ name: String, _ random: inout SeededNumbers) -> SimulatedClient.Ask {
    var fields: [(MessageValue, MessageValue)] = [("name", .string(name))]
    var definition = History.Definition(name: name, payload: History.digest(of: [UInt8]()))
    switch random.below(5) {
    case 0: fields.append(("in_ms", .uint(UInt64(random.below(2_000)))))
    case 1: fields += [("cron", .string("*/\(1 + random.below(5)) * * * * *")), ("time_zone", "UTC")]
    default: fields.append(("every_ms", .uint(UInt64(20 + random.below(500)))))
    }
    fields.append(("misfire", .string(random.element(["once", "skip", "all"]))))
    let overlap = random.element(["allow", "allow", "skip", "buffer_one", "cancel_previous"])
    fields.append(("overlap", .string(overlap)))
    definition.cancelsPrevious = overlap == "cancel_previous"
    if random.once(in: 3) { fields.append(("max_fires", .uint(UInt64(1 + random.below(10))))) }
    if random.once(in: 4) { fields.append(("jitter_ms", .uint(UInt64(random.below(100))))) }
    if random.once(in: 3) { fields.append(("catch_up_ms", .uint(UInt64(random.below(5_000))))) }
    fields.append(("job", ["queue": "fires", "task": "tick", "max_attempts": 65_535, "backoff_base_ms": 0]))
    var operation = History.Operation()
    operation.definitions = [definition]
    return SimulatedClient.Ask(method: .schedule, parameters: ["schedules": [.map(fields)]], operation: operation)
  }

  func heard(_ answer: Heard, to ask: SimulatedClient.Ask, now: Int64) {}
}

/// Pauses and resumes queues, replays dead letters, and looks around.
final class OperatorRole: Role {
  private var dead: [UInt64] = []

  func next(now: Int64, random: inout SeededNumbers) -> SimulatedClient.Ask? {
    switch random.below(8) {
    case 0: return SimulatedClient.Ask(method: .pause, parameters: ["queue": .string(random.element(["a", "b"]))])
    case 1, 2: return SimulatedClient.Ask(method: .resume, parameters: ["queue": .string(random.element(["a", "b"]))])
    case 3 where !dead.isEmpty:
      var operation = History.Operation()
      operation.replays = dead
      dead = []
      return SimulatedClient.Ask(
        method: .deadReplay, parameters: ["ids": .array(operation.replays.map { .uint($0) })], operation: operation)
    case 4: return SimulatedClient.Ask(method: .queues, parameters: [:])
    case 5: return SimulatedClient.Ask(method: .deadList, parameters: ["limit": 5])
    default: return SimulatedClient.Ask(method: .stats, parameters: [:])
    }
  }

  func heard(_ answer: Heard, to ask: SimulatedClient.Ask, now: Int64) {
    guard ask.method == .deadList, case .result(let result) = answer else { return }
    dead = result.list("jobs").compactMap { $0["id"]?.number }
  }
}

/// Asks at the end what became of jobs.
final class InspectorRole: Role {
  private var ids: [UInt64]

  init(_ ids: [UInt64]) { self.ids = ids }

  func next(now: Int64, random: inout SeededNumbers) -> SimulatedClient.Ask? {
    ids.popLast().map { SimulatedClient.Ask(method: .get, parameters: ["id": .uint($0)], looksFor: $0) }
  }

  func heard(_ answer: Heard, to ask: SimulatedClient.Ask, now: Int64) {}
}
