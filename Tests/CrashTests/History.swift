import BrokerProcess
import MessagePack

/// All that the clients saw, held against what the broker promises.
struct History {
  /// Every acknowledged enqueue: key to id.
  private(set) var enqueued: [UInt64: UInt64] = [:]
  /// Every delivery that was received, by job, in the order of their tokens.
  private(set) var deliveries: [UInt64: [Delivery]] = [:]
  private(set) var complaints: [String] = []
  private let payloadSize: Int

  init(producers: [Producer], workers: [Worker], payloadSize: Int) {
    self.payloadSize = payloadSize
    complaints = producers.flatMap(\.complaints) + workers.flatMap(\.complaints)
    for (key, id) in producers.flatMap(\.acknowledged) {
      if let other = enqueued.updateValue(id, forKey: key) {
        complaint("key \(key) was enqueued as \(other) and as \(id)")
      }
    }
    if Set(enqueued.values).count != enqueued.count { complaint("two jobs have one id") }
    for delivery in workers.flatMap(\.deliveries) { deliveries[delivery.id, default: []].append(delivery) }
    for id in deliveries.keys { deliveries[id]?.sort { $0.token < $1.token } }
  }

  private mutating func complaint(_ text: String) { complaints.append(text) }

  /// Whether the broker has confirmed that the job is done.
  func isDone(_ id: UInt64) -> Bool {
    deliveries[id]?.contains { $0.settlement == .ack && $0.isConfirmed && !$0.isRefused } ?? false
  }

  /// What can be told from the histories alone.
  mutating func checkDeliveries() {
    var jobOfToken: [UInt64: UInt64] = [:]
    for (id, deliveries) in deliveries {
      for delivery in deliveries {
        if let other = jobOfToken.updateValue(id, forKey: delivery.token) {
          complaint("token \(delivery.token) was given for job \(other) and job \(id)")
        }
        let key = key(of: delivery.payload)
        if delivery.payload != payload(of: key, size: payloadSize) { complaint("job \(id) came with other bytes") }
        if enqueued[key] != id {
          complaint("key \(key) was delivered as job \(id), acknowledged as \(enqueued[key] ?? 0)")
        }
      }
      for (earlier, later) in zip(deliveries, deliveries.dropFirst()) { check(earlier, before: later) }
    }
  }

  private mutating func check(_ earlier: Delivery, before later: Delivery) {
    if later.receivedAt < earlier.askedAt {
      return complaint(
        "job \(later.id): token \(later.token) was received before the lower \(earlier.token) was asked for")
    }
    if later.attempt < earlier.attempt {
      complaint("job \(later.id) fell from attempt \(earlier.attempt) to \(later.attempt)")
    }
    switch earlier.settlement {
    case .ack where earlier.isConfirmed && !earlier.isRefused:
      complaint("job \(later.id) was acked with token \(earlier.token), and delivered again with \(later.token)")
    case .nack where earlier.isConfirmed && !earlier.isRefused:
      if later.attempt == earlier.attempt { complaint("the nack of job \(later.id) used no attempt up") }
    case .nack, .release: break  // it may have taken effect
    case .ack, nil:
      // Only the end of its lease may have freed it.
      if later.receivedAt < earlier.askedAt + earlier.leaseNanoseconds {
        let passed = (later.receivedAt - earlier.askedAt) / 1_000_000
        complaint(
          "job \(later.id) had two holders: token \(later.token) came \(passed) ms after \(earlier.token) was asked for"
        )
      }
    }
  }

  /// What the broker must still have, and what it must not.
  mutating func checkRemains(port: UInt16) throws {
    let connection = try RawConnection(port: port)
    try connection.hello()
    let jobs = enqueued.sorted { $0.value < $1.value }
    for start in stride(from: 0, to: jobs.count, by: 200) {
      let batch = jobs[start..<min(start + 200, jobs.count)]
      for (offset, job) in batch.enumerated() {
        try connection.send([0, .uint(UInt64(offset)), "get", ["id": .uint(job.value)]])
      }
      for (key, id) in batch {
        guard let answer = try connection.receive() else { throw BrokerFailure("the broker is gone") }
        let isGone = answer[2]?["code"] == "NOT_FOUND"
        if isDone(id) {
          if !isGone { complaint("job \(id) is done, and still there: \(answer)") }
        } else if isGone {
          complaint("job \(id) is lost")
        } else if answer[3]?["payload"] != .binary(payload(of: key, size: payloadSize)) {
          complaint("job \(id) has other bytes than were enqueued")
        } else if !["ready", "delayed", "leased"].contains(answer[3]?["state"]) {
          complaint("job \(id) is \(answer[3]?["state"] ?? nil)")
        }
      }
    }
  }
}
