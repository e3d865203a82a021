import NuvomTestKit
import NuvomWorker
import Synchronization
import Testing

@Suite("A worker's leases, on a clock that the test moves")
struct LeaseTests {
  @Test("A job that takes ten times its lease keeps it, told every third of it")
  func heartbeat() async throws {
    let end = Signal()
    let task = TaskDefinition("t", .init(retries: 0)) { (_: Int) -> Int in
      await end.wait()
      return 1
    }
    try await withTestWorker([task]) { broker in
      let handle = try await task.delay(1)
      try await broker.expect(.delivered, handle.id)
      for third in 1...30 {
        await broker.clock.advance(by: .seconds(10))
        try await broker.expect(.extended, handle.id, times: third)
      }
      await end.happen()
      try await broker.expect(.acked, handle.id)
      let status = try await handle.status()
      #expect(status.state == .succeeded && status.attempt == 1 && status.expiredLeases == 0)
    }
  }

  @Test("A sign of life that was lost is given again before the lease ends")
  func lostHeartbeat() async throws {
    let end = Signal()
    let task = TaskDefinition("t", .init(retries: 0)) { (_: Int) in await end.wait() }
    try await withTestWorker([task]) { broker in
      let handle = try await task.delay(1)
      try await broker.expect(.delivered, handle.id)
      broker.faults.lose(.extend, times: 3)
      await broker.clock.advance(by: .seconds(29))
      try await broker.expect(.extended, handle.id)
      await end.happen()
      try await broker.expect(.acked, handle.id)
    }
  }

  @Test("A handler is cancelled when the broker could not be told in time, and settles nothing")
  func unreachable() async throws {
    let seen = Mutex<[AttemptGivenUp.Reason]>([])
    let cancelled = Signal()
    let task = TaskDefinition("t", .init(retries: 1, retryDelay: .zero)) { (_: Int) in
      guard JobContext.current?.attempt == 1 else { return }
      do { try await Task.sleep(for: .seconds(3_600)) } catch { await cancelled.happen() }
    }
    try await withTestWorker([task], middleware: [Noting { reason in seen.withLock { $0.append(reason) } }]) {
      broker in
      let handle = try await task.delay(1)
      try await broker.expect(.delivered, handle.id)
      broker.faults.lose(.extend, times: 100)
      await broker.clock.advance(by: .seconds(30))
      await cancelled.wait()
      try await broker.expect(.acked, handle.id)
      let status = try await handle.status()
      #expect(status.attempt == 2 && status.errors.map(\.type) == ["LeaseExpired"])
    }
    #expect(seen.withLock { $0 } == [.leaseLost])
  }

  @Test("The handler of a job that is cancelled is cancelled at the next sign of life")
  func cancelled() async throws {
    let seen = Mutex<[AttemptGivenUp.Reason]>([])
    let cancelled = Signal()
    let task = TaskDefinition("t") { (_: Int) in
      do { try await Task.sleep(for: .seconds(3_600)) } catch { await cancelled.happen() }
    }
    try await withTestWorker([task], middleware: [Noting { reason in seen.withLock { $0.append(reason) } }]) {
      broker in
      let handle = try await task.delay(1)
      try await broker.expect(.delivered, handle.id)
      #expect(try await handle.cancel())
      await broker.clock.advance(by: .seconds(10))
      await cancelled.wait()
      let error = await #expect(throws: NuvomError.self) { try await handle.result() }
      #expect(error?.code == .cancelled)
    }
    #expect(seen.withLock { $0 } == [.cancelled])
  }

  @Test("A job that no worker knows comes back after growing waits, uncounted, and is a dead letter in the end")
  func unknownTask() async throws {
    let known = TaskDefinition("known") { (_: Int) in }
    try await withTestWorker([known]) { broker in
      let id = try await broker.client.enqueue(task: "unknown", args: 1).id
      for postponed in 1...10 {
        try await broker.expect(.released, id, times: postponed)
        #expect(try await broker.client.get(id).attempt == 1)
        await broker.clock.advance(by: .seconds(min(60, 1 << (postponed - 1))))
      }
      try await broker.expect(.dead, id)
      let status = try await broker.client.get(id)
      #expect(status.deadReason == .rejected && status.errors.map(\.type) == ["UNKNOWN_TASK"])
      #expect(broker.events(of: id).filter { $0.kind == .delivered }.count == 11)
    }
  }

  @Test("An ack that finds the broker's disk full is told again until there is room")
  func fullDisk() async throws {
    let task = TaskDefinition("t") { (text: String) in text }
    try await withTestWorker([task]) { broker in
      broker.faults.refuse(.ack, with: .diskFull, retryAfter: .seconds(5), times: 2)
      let handle = try await task.delay("x")
      try await broker.expect(.delivered, handle.id)
      await broker.clock.advance(by: .seconds(5))
      await broker.clock.advance(by: .seconds(5))
      try await broker.expect(.acked, handle.id)
      #expect(try await handle.result() == "x")
    }
  }

  @Test("A worker whose dequeue is refused tries again after as long as it was told")
  func refusedDequeue() async throws {
    let task = TaskDefinition("t") { (_: Int) in }
    try await withTestWorker([task]) { broker in
      broker.faults.refuse(.dequeue, with: .memoryFull, retryAfter: .seconds(7))
      let handle = try await task.delay(1)
      await broker.clock.advance(by: .seconds(60))
      try await broker.expect(.acked, handle.id)
    }
  }
}

/// A worker in a test's world, that runs while `body` does.
func withTestWorker(
  _ tasks: [any RunnableTask], middleware: [any WorkerMiddleware] = [],
  _ body: @escaping @Sendable (TestBroker) async throws -> Void
) async throws {
  try await TestBroker.run { broker in
    try await broker.withWorker(tasks: tasks, middleware: middleware) { try await body(broker) }
  }
}

/// Tells why attempts were given up.
struct Noting: WorkerMiddleware {
  let note: @Sendable (AttemptGivenUp.Reason) -> Void
  init(_ note: @escaping @Sendable (AttemptGivenUp.Reason) -> Void) { self.note = note }
  func handle(_ context: JobContext, next: @Sendable () async throws -> [UInt8]?) async throws -> [UInt8]? {
    do { return try await next() } catch let error as AttemptGivenUp {
      note(error.reason)
      throw error
    }
  }
}
