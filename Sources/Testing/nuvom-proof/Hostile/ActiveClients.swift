import BrokerProcess
import Foundation
import MessagePack
import Synchronization

/// The clients that must not notice: each has a connection, a queue of its own and one request in flight, for as long as it lives. It enqueues a job,
/// takes it and acks it, and expects of each answer that it is right.
final class ActiveClients: Sendable {
  private struct State {
    var times: [UInt32] = []
    var problems: [String] = []
    var isEnding = false
    var running = 0
  }

  private let state = Mutex(State())

  init(port: UInt16, count: Int, payloadBytes: Int = 100) throws {
    for number in 0..<count {
      let connection = try RawConnection(port: port)
      try connection.hello()
      state.withLock { $0.running += 1 }
      let client = Client(connection: connection, queue: "active-\(number)", payloadBytes: payloadBytes)
      Thread.detachNewThread { [self] in
        do {
          try client.run { times in
            state.withLock { state in
              state.times += times
              return !state.isEnding
            }
          }
        } catch {
          state.withLock { $0.problems.append("active client \(number): \(error)") }
        }
        state.withLock { $0.running -= 1 }
      }
    }
  }

  /// The times of all requests of the next `seconds`.
  func measure(seconds: Double) -> Latencies {
    state.withLock { state in
      state.times.removeAll(keepingCapacity: true)
    }
    pause(seconds: seconds)
    return Latencies(state.withLock { $0.times })
  }

  /// What went wrong with them: nothing may.
  var problems: [String] { state.withLock { $0.problems } }

  /// Ends them between two jobs, and waits until they are gone.
  func end() {
    state.withLock { $0.isEnding = true }
    while state.withLock({ $0.running }) > 0 { pause(seconds: 0.01) }
  }

  /// `@unchecked Sendable`: made by one thread, then used by its own alone.
  private struct Client: @unchecked Sendable {
    let connection: RawConnection
    let queue: String
    let payloadBytes: Int

    /// `told`: the times of a job's requests; false ends it.
    func run(_ told: ([UInt32]) -> Bool) throws {
      var number: UInt64 = 0
      var times: [UInt32] = []
      func call(_ method: String, _ params: MessageValue) throws -> MessageValue {
        number += 1
        let began = monotonicMicroseconds()
        let answer = try connection.call(number, method, params)
        times.append(UInt32(clamping: monotonicMicroseconds() - began))
        guard answer[2] == .null, let result = answer[3] else { throw BrokerFailure("\(method): \(answer)") }
        return result
      }
      repeat {
        times.removeAll(keepingCapacity: true)
        var payload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: payloadBytes)
        withUnsafeBytes(of: number) { payload.replaceSubrange(0..<8, with: $0) }
        let enqueued = try call(
          "enqueue", ["jobs": [["task": "t", "queue": .string(queue), "payload": .binary(payload)]]])
        let taken = try call("dequeue", ["queues": [.string(queue)], "wait_ms": 10_000])
        guard let job = taken["jobs"]?[0], job["id"] == enqueued["ids"]?[0], job["payload"] == .binary(payload) else {
          throw BrokerFailure("enqueued \(enqueued), was given \(taken)")
        }
        let acked = try call("ack", ["jobs": [["id": job["id"] ?? nil, "token": job["token"] ?? nil]]])
        guard acked == [:] else { throw BrokerFailure("ack: \(acked)") }
      } while told(times)
    }
  }
}
