import MessagePack
import NuvomHistory

// What the broker's results say, in the words of the history.

extension History.Answer {
  init(_ result: MessageValue) {
    self.init()
    take(result)
  }

  private mutating func take(_ result: MessageValue) {
    let before = ids.count
    for case .uint(let id) in result.list("ids") { ids.append(id) }
    for case .uint(let index) in result.list("duplicates") { duplicates.append(before + Int(index)) }
    for refusal in result.list("refused") {
      guard let id = refusal["id"]?.number, case .string(let code)? = refusal["code"] else { continue }
      refused.append(History.Refusal(id: id, token: refusal["token"]?.number ?? 0, code: code))
    }
    for receipt in result.list("schedules") {
      receipts.append(History.Receipt(isCreated: receipt["status"] == "created", due: receipt["due_at_ms"]?.number))
    }
    for job in result.list("jobs") {
      guard let id = job["id"]?.number, let token = job["token"]?.number, case .binary(let payload)? = job["payload"]
      else { continue }
      var fire: History.Fire?
      if case .string(let name)? = job["schedule"]?["name"], let due = job["schedule"]?["due_at_ms"]?.number {
        fire = History.Fire(schedule: name, due: due)
      }
      deliveries.append(
        History.Delivery(
          id: id, token: token, attempt: UInt32(job["attempt"]?.number ?? 0), payload: History.digest(of: payload),
          leaseNanoseconds: (job["lease_ms"]?.number ?? 0) * 1_000_000, fire: fire))
    }
    // Of a multi: each operation's.
    for part in result.list("results") { take(part) }
  }
}

extension History.SeenJob {
  init?(_ details: MessageValue) {
    guard let id = details["id"]?.number, case .string(let word)? = details["state"] else { return nil }
    let states: [String: History.State] = [
      "ready": .ready, "delayed": .delayed, "leased": .leased, "succeeded": .succeeded, "dead": .dead,
      "cancelled": .cancelled,
    ]
    guard let state = states[word] else { return nil }
    var reason = ""
    if case .string(let text)? = details["dead_reason"] { reason = text }
    self.init(
      id: id, state: state, attempt: UInt32(details["attempt"]?.number ?? 0), token: details["token"]?.number ?? 0,
      reason: reason)
  }
}

extension MessageValue {
  /// The number of an unsigned integer.
  var number: UInt64? { if case .uint(let value) = self { value } else { nil } }

  /// The elements of the array under a key; none if there is no such.
  func list(_ key: String) -> [MessageValue] { if case .array(let list)? = self[key] { list } else { [] } }
}
