import BrokerProcess
import Foundation
import MessagePack
import Testing

/// The real process, killed with SIGKILL in the middle of its work, again and again on the same data. A kill does not lose what the
/// kernel has: that replies wait for the disk itself is for the tests of the storage and of the broker's loop.
@Suite(.serialized)
struct CrashTests {
  /// A story of rounds, each with its own number of answers before the broker is killed.
  private func survive(
    rounds: Int, producers: [Producer], workers: [Worker], payloadSize: Int, answers: (Int) -> Int,
    beforeKill: (BrokerProcess) throws -> Void = { _ in }
  ) throws -> History {
    let broker = try BrokerProcess(options: ["--fsync", "always"])
    let clients: [any CrashClient] = producers + workers
    try kill(broker, rounds: rounds, under: clients, answers: answers, beforeKill: beforeKill)
    for client in clients { try client.finish(port: broker.port) }
    var history = History(producers: producers, workers: workers, payloadSize: payloadSize)
    history.checkDeliveries()
    try history.checkRemains(port: broker.port)
    return history
  }

  @Test("Fifty times killed under load, the broker has lost nothing, repeated nothing, and given no job to two")
  func fiftyKills() throws {
    let producers = (0..<3).map { Producer(index: UInt64($0) + 1, payloadSize: 100, jobsPerRequest: $0 + 1) }
    let workers =
      (0..<3).map { Worker(index: $0, queue: "long", leaseMilliseconds: 3_600_000) }
      + (3..<5).map { Worker(index: $0, queue: "short", leaseMilliseconds: 20) }
    let history = try survive(
      rounds: 50, producers: producers, workers: workers, payloadSize: 100, answers: { round in 200 + round * 97 % 800 }
    )
    #expect(history.complaints.isEmpty, "\(history.complaints.count): \(history.complaints.prefix(20))")
    // The story was one: jobs were done, others came again, others are still there.
    let done = history.enqueued.values.filter(history.isDone).count
    let repeated = history.deliveries.values.filter { $0.count > 1 }.count
    #expect(done > 1_000 && repeated > 100 && history.enqueued.count > done)
  }

  @Test("Killed while snapshots are written and segments removed, it has lost nothing either")
  func killsAmongSnapshots() throws {
    let size = 16 << 10
    // As many jobs go as come: while jobs only came, all of the log would be live, and a snapshot would free nothing.
    let producers = [Producer(index: 1, payloadSize: size, jobsPerRequest: 16)]
    let workers = (0..<4).map { Worker(index: $0, queue: $0 < 3 ? "long" : "short", leaseMilliseconds: 3_600_000) }
    var snapshots: UInt64 = 0
    let history = try survive(
      rounds: 5, producers: producers, workers: workers, payloadSize: size, answers: { round in 500 + round * 20 },
      beforeKill: { broker in
        let bystander = try RawConnection(port: broker.port)
        try bystander.hello()
        snapshots += try bystander.call(1, "stats")[3]?["snapshots_total"]?.number ?? 0
      })
    #expect(history.complaints.isEmpty, "\(history.complaints.count): \(history.complaints.prefix(20))")
    #expect(snapshots > 0, "too little was written for a snapshot: the test has tested nothing")
  }
}
