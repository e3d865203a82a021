import BrokerProcess
import Glibc
import MessagePack
import NuvomHistory

/// The last of the clients: waits until nothing is left to be taken, and looks for all that was ever seen.
final class Closing {
  private let connection: RawConnection
  private let line: RecordingLine?
  /// What it saw, if it is not to be in a file.
  private(set) var events: [(at: UInt64, event: History.Event)] = []
  private var lastRequest: UInt64 = 0

  /// With a folder it has a file there; without, its events are kept.
  init(port: UInt16, folder: String? = nil) throws {
    connection = try RawConnection(port: port)
    try connection.hello()
    line = try folder.map { try RecordingLine(name: "closing", port: port, folder: $0) }
  }

  private func note(_ event: History.Event) throws {
    if let line { try line.note(event) } else { events.append((monotonicTime(), event)) }
  }

  private func call(_ method: String, _ params: MessageValue) throws -> MessageValue {
    lastRequest += 1
    return try connection.call(lastRequest, method, params)
  }

  /// Lets no schedule fire any more.
  func pause(_ schedules: [String]) throws {
    for start in stride(from: 0, to: schedules.count, by: 1_000) {
      let names = schedules[start..<min(start + 1_000, schedules.count)]
      _ = try call("schedule_pause", ["names": .array(names.map { .string($0) })])
    }
  }

  /// Waits until the workers have taken everything. Of long leases there may be some that nobody knows: their answers were lost.
  func drain() throws {
    let limit = monotonicTime() + 60_000_000_000
    while true {
      let left = try ["long", "short", "fires"].map { name -> UInt64 in
        guard let queue = try call("queue", ["queue": .string(name)])[3] else { return 0 }
        let fields = name == "long" ? ["ready", "delayed"] : ["ready", "delayed", "leased"]
        return fields.reduce(0) { $0 + (queue[$1]?.number ?? 0) }
      }
      if left.allSatisfy({ $0 == 0 }) { return }
      guard monotonicTime() < limit else { throw BrokerFailure("after 60 s there are still jobs to be taken: \(left)") }
      usleep(20_000)
    }
  }

  /// Asks for each of the jobs.
  func look(atJobs ids: [UInt64]) throws {
    for start in stride(from: 0, to: ids.count, by: 100) {
      let batch = ids[start..<min(start + 100, ids.count)]
      let asked = monotonicTime()
      for (place, id) in batch.enumerated() {
        try connection.send([0, .uint(lastRequest + 1 + UInt64(place)), "get", ["id": .uint(id)]])
      }
      lastRequest += UInt64(batch.count)
      for id in batch {
        guard let answer = try connection.receive() else { throw BrokerFailure("the broker is gone") }
        if answer[2]?["code"] == "NOT_FOUND" {
          try note(.saw(asked: asked, id: id, nil))
        } else if let result = answer[3], let job = History.SeenJob(result) {
          try note(.saw(asked: asked, id: id, job))
        } else {
          throw BrokerFailure("get was answered \(answer)")
        }
      }
    }
  }

  /// Asks for each of the schedules.
  func look(atSchedules names: [String], isDrained: Bool) throws {
    for name in Set(names).sorted() {
      let asked = monotonicTime()
      let answer = try call("schedule_get", ["name": .string(name)])
      guard let result = answer[3], result != .null else { continue }
      try note(
        .sawSchedule(
          asked: asked,
          History.SeenSchedule(
            name: name, lastDue: result["last_due_at_ms"]?.number, fired: result["fired_total"]?.number ?? 0,
            missed: result["missed_total"]?.number ?? 0, isDrained: isDrained)))
    }
  }
}

extension History.SeenJob {
  /// What `get` says of a job; nil if it is nothing of the kind.
  init?(_ result: MessageValue) {
    let states: [String: History.State] = [
      "ready": .ready, "delayed": .delayed, "leased": .leased, "succeeded": .succeeded, "dead": .dead,
      "cancelled": .cancelled,
    ]
    guard let id = result["id"]?.number, let state = result["state"]?.text.flatMap({ states[$0] }) else { return nil }
    self.init(
      id: id, state: state, payload: result["payload"]?.bytes.map { History.digest(of: $0) },
      attempt: UInt32(clamping: result["attempt"]?.number ?? 0), token: result["token"]?.number ?? 0,
      reason: result["dead_reason"]?.text ?? "")
  }
}
