import MessagePack
import NuvomConnection
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
  private var lastKey: UInt64 = 0
  private var ids: [UInt64] = []

  init(index: Int, largest: Int) {
    self.index = UInt64(index)
    self.largest = largest
  }

  func next(now: Int64, random: inout SeededNumbers) -> SimulatedClient.Ask? {
    switch random.below(20) {
    case 0 where !ids.isEmpty:
      return SimulatedClient.Ask(method: .cancel, parameters: ["ids": [.uint(random.element(ids))]])
    case 1 where !ids.isEmpty:
      let wait = UInt64(random.below(300))
      return SimulatedClient.Ask(
        method: .wait, parameters: ["id": .uint(random.element(ids)), "wait_ms": .uint(wait)])
    case 2 where !ids.isEmpty:
      return SimulatedClient.Ask(method: .get, parameters: ["id": .uint(random.element(ids))])
    case 3:
      let first = newJob(&random)
      let second = newJob(&random)
      return SimulatedClient.Ask(
        method: .multi,
        parameters: ["operations": [["enqueue", ["jobs": [first.job]]], ["enqueue", ["jobs": [second.job]]]]],
        keys: [first.key, second.key])
    default:
      let jobs = (0..<1 + random.below(3)).map { _ in newJob(&random) }
      return SimulatedClient.Ask(
        method: .enqueue, parameters: ["jobs": .array(jobs.map(\.job))], keys: jobs.map(\.key))
    }
  }

  private func newJob(_ random: inout SeededNumbers) -> (key: UInt64, job: MessageValue) {
    lastKey += 1
    let key = index << 32 | lastKey
    let size = random.once(in: 20) ? random.below(largest) : random.below(60)
    var fields: [(MessageValue, MessageValue)] = [
      ("queue", .string(random.element(["a", "b", "c"]))), ("task", "work"),
      ("payload", .binary(payload(of: key, size: size))), ("backoff", "fixed"),
      ("backoff_base_ms", .uint(UInt64(random.once(in: 2) ? 0 : random.below(50)))),
      ("max_attempts", .uint(random.once(in: 3) ? UInt64(1 + random.below(3)) : 65_535)),
    ]
    if random.once(in: 3) { fields.append(("priority", .uint(UInt64(random.below(3))))) }
    switch random.below(8) {
    case 0: fields.append(("delay_ms", .uint(UInt64(random.below(200)))))
    case 1: fields.append(("delay_ms", .uint(UInt64(random.below(20_000)))))
    default: break
    }
    if random.once(in: 10) { fields.append(("expires_in_ms", .uint(UInt64(random.below(2_000))))) }
    if random.once(in: 6) { fields.append(("lease_ms", .uint(UInt64(20 + random.below(300))))) }
    if random.once(in: 3) { fields.append(("retention_ms", .uint(UInt64(random.below(5_000))))) }
    if random.once(in: 8) {
      fields.append(("unique_key", .string("key \(random.below(6))")))
      fields.append(("unique_ms", .uint(UInt64(1 + random.below(3_000)))))
    }
    return (key, .map(fields))
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

  private var held: [Held] = []
  /// Shown again when they are worth nothing.
  private var old: [Held] = []

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
      if !held.isEmpty, random.once(in: 2) {
        let kind = random.element(["ack", "ack", "nack", "release"])
        fields.append((.string(kind), .array([settlement(held.removeFirst(), kind, &random)])))
      }
      return SimulatedClient.Ask(method: .dequeue, parameters: .map(fields))
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
    let kind = "\(method.wireName)"
    return SimulatedClient.Ask(
      method: method, parameters: ["jobs": .array(jobs.map { settlement($0, kind, &random) })])
  }

  private func settlement(_ held: Held, _ kind: String, _ random: inout SeededNumbers) -> MessageValue {
    var fields: [(MessageValue, MessageValue)] = [("id", .uint(held.id)), ("token", .uint(held.token))]
    switch kind {
    case "ack" where random.once(in: 4): fields.append(("result", .binary(payload(of: held.token, size: 20))))
    case "nack":
      fields += [("error_type", "Trouble"), ("message", "it failed")]
      if random.once(in: 3) { fields.append(("delay_ms", .uint(UInt64(random.below(50))))) }
      if random.once(in: 10) { fields.append(("retry", false)) }
    case "release" where random.once(in: 2): fields.append(("delay_ms", .uint(UInt64(random.below(50)))))
    default: break
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
    let name: MessageValue = .string("schedule \(random.below(12))")
    switch random.below(14) {
    case 0..<8: return define(name, now, &random)
    case 8: return SimulatedClient.Ask(method: .schedulePause, parameters: ["names": [name]])
    case 9, 10: return SimulatedClient.Ask(method: .scheduleResume, parameters: ["names": [name]])
    case 11: return SimulatedClient.Ask(method: .scheduleTrigger, parameters: ["names": [name]])
    case 12: return SimulatedClient.Ask(method: .scheduleDelete, parameters: ["names": [name]])
    default: return SimulatedClient.Ask(method: .scheduleGet, parameters: ["name": name])
    }
  }

  private func define(_ name: MessageValue, _ now: Int64, _ random: inout SeededNumbers) -> SimulatedClient.Ask {
    var fields: [(MessageValue, MessageValue)] = [("name", name)]
    switch random.below(5) {
    case 0: fields.append(("in_ms", .uint(UInt64(random.below(2_000)))))
    case 1: fields += [("cron", .string("*/\(1 + random.below(5)) * * * * *")), ("time_zone", "UTC")]
    default: fields.append(("every_ms", .uint(UInt64(20 + random.below(500)))))
    }
    fields.append(("misfire", .string(random.element(["once", "skip", "all"]))))
    fields.append(("overlap", .string(random.element(["allow", "allow", "skip", "buffer_one", "cancel_previous"]))))
    if random.once(in: 3) { fields.append(("max_fires", .uint(UInt64(1 + random.below(10))))) }
    if random.once(in: 4) { fields.append(("jitter_ms", .uint(UInt64(random.below(100))))) }
    if random.once(in: 3) { fields.append(("catch_up_ms", .uint(UInt64(random.below(5_000))))) }
    fields.append(("job", ["queue": "fires", "task": "tick", "max_attempts": 65_535, "backoff_base_ms": 0]))
    return SimulatedClient.Ask(method: .schedule, parameters: ["schedules": [.map(fields)]])
  }

  func heard(_ answer: Heard, to ask: SimulatedClient.Ask, now: Int64) {}
}

/// Pauses and resumes queues, replays dead letters, and looks around.
final class OperatorRole: Role {
  func next(now: Int64, random: inout SeededNumbers) -> SimulatedClient.Ask? {
    switch random.below(8) {
    case 0: return SimulatedClient.Ask(method: .pause, parameters: ["queue": .string(random.element(["a", "b"]))])
    case 1, 2: return SimulatedClient.Ask(method: .resume, parameters: ["queue": .string(random.element(["a", "b"]))])
    case 3: return SimulatedClient.Ask(method: .deadReplay, parameters: ["limit": .uint(UInt64(1 + random.below(5)))])
    case 4: return SimulatedClient.Ask(method: .queues, parameters: [:])
    case 5: return SimulatedClient.Ask(method: .deadList, parameters: ["limit": 5])
    default: return SimulatedClient.Ask(method: .stats, parameters: [:])
    }
  }

  func heard(_ answer: Heard, to ask: SimulatedClient.Ask, now: Int64) {}
}
