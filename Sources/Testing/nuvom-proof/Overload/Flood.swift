import BrokerProcess
import Foundation
import MessagePack
import Synchronization

/// Producers that offer more than fits, and workers that take less than they offer. What was acknowledged and what was delivered is compared in the end.
final class Flood: Sendable {
  /// What the threads found, together.
  struct Tally {
    var enqueueTimes: [UInt32] = []
    var workerTimes: [UInt32] = []
    var accepted = 0
    var refused = 0
    /// Of refusals, by code.
    var codes: [String: Int] = [:]
    /// The least and most `retry_after_ms`.
    var retryAfter: ClosedRange<UInt64>?
    var acked = 0
    /// By producer: how many of its jobs were acknowledged. Their numbers are those below.
    var enqueued: [Int: Int] = [:]
    /// By producer: the numbers of jobs that were delivered.
    var delivered: [Int: Set<Int>] = [:]
    var deliveredTwice = 0
    var problems: [String] = []
    var running = 0
  }

  private struct State {
    var tally = Tally()
    var arePushing = true
    var areWorking = true
  }

  private let state = Mutex(State())
  private let port: UInt16
  let payloadBytes: Int
  private static let batch = 50

  init(port: UInt16, payloadBytes: Int) {
    self.port = port
    self.payloadBytes = payloadBytes
  }

  /// Everything up to now. Times are forgotten with it, so that the next look has its own.
  func look() -> Tally {
    state.withLock { state in
      defer {
        state.tally.enqueueTimes = []
        state.tally.workerTimes = []
      }
      return state.tally
    }
  }

  func stopPushing() { state.withLock { $0.arePushing = false } }
  func stopWorking() { state.withLock { $0.areWorking = false } }

  /// Waits until the threads that were told to stop have stopped.
  func waitForEnd() { while state.withLock({ $0.tally.running }) > 0 { pause(seconds: 0.01) } }

  /// A job's bytes follow from who made it and its number.
  private static func payload(producer: Int, number: Int, count: Int) -> [UInt8] {
    var state = UInt64(producer + 1) &* 0x9e37_79b9_7f4a_7c15 &+ UInt64(number)
    var bytes = withUnsafeBytes(of: (UInt32(producer), UInt32(number))) { Array($0) }
    while bytes.count < count {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      bytes.append(UInt8(truncatingIfNeeded: state >> 56))
    }
    return bytes
  }

  // MARK: Producers

  func addProducer(_ producer: Int) throws {
    try start("producer \(producer)") { [self] connection in
      var number = 0
      var request: UInt64 = 0
      while state.withLock({ $0.arePushing }) {
        let jobs = (number..<number + Self.batch).map { number in
          [
            "queue": "load", "task": "t",
            "payload": .binary(Self.payload(producer: producer, number: number, count: payloadBytes)),
          ] as MessageValue
        }
        request += 1
        let began = monotonicMicroseconds()
        let answer = try connection.call(request, "enqueue", ["jobs": .array(jobs)])
        let time = UInt32(clamping: monotonicMicroseconds() - began)
        if answer[2] == .null {
          number += Self.batch
          let enqueued = number
          state.withLock { state in
            state.tally.enqueueTimes.append(time)
            state.tally.accepted += Self.batch
            state.tally.enqueued[producer] = enqueued
          }
        } else {
          try take(refusal: answer)
        }
      }
    }
  }

  private func take(refusal answer: MessageValue) throws {
    guard case .string(let code)? = answer[2]?["code"], case .uint(let wait)? = answer[2]?["retry_after_ms"], wait > 0
    else { throw BrokerFailure("a refusal without retry_after_ms: \(answer)") }
    state.withLock { state in
      state.tally.refused += 1
      state.tally.codes[code, default: 0] += 1
      let known = state.tally.retryAfter ?? wait...wait
      state.tally.retryAfter = min(known.lowerBound, wait)...max(known.upperBound, wait)
    }
    pause(seconds: Double(wait) / 1_000)
  }

  // MARK: Workers

  /// It takes 20 jobs, checks and acks them, and rests: slower than the producers on purpose.
  func addWorker(_ worker: Int, restSeconds: Double) throws {
    try start("worker \(worker)") { [self] connection in
      var request: UInt64 = 0
      func call(_ method: String, _ params: MessageValue) throws -> MessageValue {
        request += 1
        let began = monotonicMicroseconds()
        let answer = try connection.call(request, method, params)
        let time = UInt32(clamping: monotonicMicroseconds() - began)
        guard answer[2] == .null, let result = answer[3] else { throw BrokerFailure("\(method): \(answer)") }
        state.withLock { $0.tally.workerTimes.append(time) }
        return result
      }
      while true {
        let taken = try call("dequeue", ["queues": ["load"], "max": 20, "lease_ms": 600_000])
        guard case .array(let jobs)? = taken["jobs"] else { throw BrokerFailure("no jobs in \(taken)") }
        if jobs.isEmpty {
          if state.withLock({ !$0.areWorking }) { return }
        } else {
          for job in jobs { try check(job) }
          let settlements = jobs.map { ["id": $0["id"] ?? nil, "token": $0["token"] ?? nil] as MessageValue }
          let acked = try call("ack", ["jobs": .array(settlements)])
          guard acked == [:] else { throw BrokerFailure("ack: \(acked)") }
          state.withLock { $0.tally.acked += jobs.count }
        }
        if state.withLock({ $0.arePushing }) { pause(seconds: restSeconds) }
      }
    }
  }

  private func check(_ job: MessageValue) throws {
    guard case .binary(let bytes)? = job["payload"], bytes.count >= 8 else { throw BrokerFailure("no payload: \(job)") }
    let (producer, number) = bytes.withUnsafeBytes { bytes in
      (Int(bytes.loadUnaligned(as: UInt32.self)), Int(bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    }
    guard bytes == Self.payload(producer: producer, number: number, count: payloadBytes) else {
      throw BrokerFailure("job \(number) of producer \(producer) has other bytes than it was enqueued with")
    }
    state.withLock { state in
      if !state.tally.delivered[producer, default: []].insert(number).inserted { state.tally.deliveredTwice += 1 }
    }
  }

  private func start(_ name: String, _ body: @escaping @Sendable (RawConnection) throws -> Void) throws {
    let connection = Held(connection: try RawConnection(port: port, patience: 60))
    try connection.connection.hello()
    state.withLock { $0.tally.running += 1 }
    Thread.detachNewThread { [self] in
      do {
        try body(connection.connection)
      } catch {
        state.withLock { $0.tally.problems.append("\(name): \(error)") }
      }
      state.withLock { $0.tally.running -= 1 }
    }
  }

  /// `@unchecked Sendable`: made by one thread, then used by its own alone.
  private struct Held: @unchecked Sendable {
    let connection: RawConnection
  }
}
