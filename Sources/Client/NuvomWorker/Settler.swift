import NuvomTasks
import Synchronization

/// Sends settlements of all attempts together: while a request is on its way, others gather for the next. So the batches are as large
/// as the load makes them, and one alone goes at once.
final class Settler: Sendable {
  private struct Waiting: Sendable {
    let settlement: Settlement
    let lease: Lease
    let bytes: Int
    let continuation: CheckedContinuation<Refusal?, any Error>
  }

  private struct State {
    var waiting: [Waiting] = []
    var isSending = false
  }

  private let client: NuvomClient
  private let state = Mutex(State())
  /// A frame may have 16 MiB.
  private static let bytesAtOnce = 4 << 20

  init(client: NuvomClient) { self.client = client }

  /// Settles a delivery; it is durable when this returns nil.
  ///
  /// - Parameter bytes: about how many it takes on the wire.
  /// - Returns: why it was refused.
  /// - Throws: `NuvomError` when nobody knows whether it was done.
  func settle(_ settlement: Settlement, of job: some Leased, bytes: Int = 0) async throws -> Refusal? {
    try await withCheckedThrowingContinuation { continuation in
      let waiting = Waiting(
        settlement: settlement, lease: Lease(id: job.id, token: job.token), bytes: bytes, continuation: continuation)
      let mustSend = state.withLock { state in
        state.waiting.append(waiting)
        defer { state.isSending = true }
        return !state.isSending
      }
      if mustSend { Task(executorPreference: TaskPlacement.executor) { [self] in await send() } }
    }
  }

  private func send() async {
    while let batch = next() {
      do {
        let refusals = try await client.settle(batch.map(\.settlement))
        let byLease = Dictionary(
          refusals.compactMap { refusal in refusal.token.map { (Lease(id: refusal.id, token: $0), refusal) } },
          uniquingKeysWith: { first, _ in first })
        for waiting in batch { waiting.continuation.resume(returning: byLease[waiting.lease]) }
      } catch {
        for waiting in batch { waiting.continuation.resume(throwing: error) }
      }
    }
  }

  private func next() -> [Waiting]? {
    state.withLock { state in
      var bytes = 0
      var settled: Set<Lease> = []
      // A lease is settled once in a request: an extend and an ack of one must not share it.
      let count = state.waiting.prefix(1_000).prefix { waiting in
        bytes += waiting.bytes
        return bytes <= Self.bytesAtOnce && settled.insert(waiting.lease).inserted
      }.count
      let batch = Array(state.waiting.prefix(max(count, 1)))
      if batch.isEmpty {
        state.isSending = false
        return nil
      }
      state.waiting.removeFirst(batch.count)
      return batch
    }
  }
}
