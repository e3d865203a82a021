import NuvomWorker
import NuvomTestKit
import Testing

struct FaultsTests {
  private static func code(_ error: any Error) -> NuvomError.Code? { (error as? NuvomError)?.code }

  @Test("A lost request never reaches the broker, and the call fails")
  func lost() async throws {
    let broker = TestBroker()
    broker.faults.lose(.enqueue)
    await #expect { try await broker.client.enqueue(Job(task: "a")) } throws: { Self.code($0) == .unreachable }
    #expect(broker.events.isEmpty)
    _ = try await broker.client.enqueue(Job(task: "a"))
    #expect(broker.faults.pending == 0)
  }

  @Test("A request whose answer is lost is done, and the call fails")
  func lostAnswer() async throws {
    let broker = TestBroker()
    broker.faults.loseAnswer(to: .enqueue)
    await #expect { try await broker.client.enqueue(Job(task: "a")) } throws: { Self.code($0) == .unreachable }
    #expect(broker.events.map(\.kind) == [.enqueued])
  }

  @Test("A connection that breaks after a request makes the client repeat it, and the broker does it once")
  func disconnected() async throws {
    let broker = TestBroker()
    broker.faults.disconnect(on: .enqueue)
    broker.faults.disconnect(on: .ack)
    let receipt = try await broker.client.enqueue(Job(task: "a"))
    let leased = try #require(try await broker.client.dequeue().jobs.first)
    try await broker.client.ack(leased)
    #expect(
      broker.events.map(\.kind) == [.enqueued, .delivered, .acked, .removed] || broker.events.last?.kind == .acked)
    #expect(broker.events.allSatisfy { $0.job == receipt.id })
    #expect(broker.faults.pending == 0)
  }

  @Test("A connection that breaks keeps the requests that wait on it")
  func disconnectedWhileWaiting() async throws {
    try await TestBroker.run { broker in
      async let waiting = broker.client.dequeue(wait: .seconds(10))
      await broker.clock.settle()
      broker.faults.disconnect(on: .ping)
      try await broker.client.ping()
      let receipt = try await broker.client.enqueue(Job(task: "a"))
      #expect(try await waiting.jobs.map(\.id) == [receipt.id])
    }
  }

  @Test("A connection that breaks after a dequeue leaves its jobs to nobody until their leases run out")
  func disconnectedDequeue() async throws {
    let broker = TestBroker()
    var job = Job(task: "a")
    job.backoff = .fixed(.zero)
    let id = try await broker.client.enqueue(job).id
    broker.faults.disconnect(on: .dequeue)
    #expect(try await broker.client.dequeue(lease: .seconds(10)).jobs.isEmpty)
    #expect(try await broker.client.get(id).state == .leased)
    await broker.clock.advance(by: .seconds(10))
    #expect(try await broker.client.dequeue().jobs.map(\.attempt) == [2])
  }

  @Test("A refusal by script has its code, and its time to try again")
  func refused() async throws {
    let broker = TestBroker()
    broker.faults.refuse(.enqueue, with: .memoryFull, retryAfter: .milliseconds(1_500), times: 2)
    for _ in 1...2 {
      await #expect { try await broker.client.enqueue(Job(task: "a")) } throws: { error in
        Self.code(error) == .memoryFull && (error as? NuvomError)?.retryAfter == .milliseconds(1_500)
      }
    }
    _ = try await broker.client.enqueue(Job(task: "a"))
  }

  @Test("A worker whose ack is lost is cut off from its delivery until the lease has run out, and the job comes again")
  func lostAck() async throws {
    let broker = TestBroker()
    let id = try await broker.client.enqueue(Job(task: "a")).id
    let leased = try #require(try await broker.client.dequeue(lease: .seconds(10)).jobs.first)
    try await broker.client.extend(leased)
    broker.faults.loseAck(of: id)
    await #expect { try await broker.client.ack(leased) } throws: { Self.code($0) == .unreachable }
    await #expect { try await broker.client.dequeue(settling: [.ack(leased)]) } throws: {
      Self.code($0) == .unreachable
    }
    await #expect { try await broker.client.multi { $0.ack(leased) } } throws: { Self.code($0) == .unreachable }
    await #expect { try await broker.client.extend(leased) } throws: { Self.code($0) == .unreachable }
    await broker.clock.advance(by: .seconds(12))
    await #expect { try await broker.client.ack(leased) } throws: { Self.code($0) == .leaseLost }
    let again = try #require(try await broker.client.dequeue().jobs.first)
    #expect(again.id == id && again.attempt == 2)
    try await broker.client.ack(again)
    try await broker.expect(.acked, id)
  }

  @Test("A lost ack is of its own job only")
  func lostAckOfOther() async throws {
    let broker = TestBroker()
    let ids = try await broker.client.enqueue([Job(task: "a"), Job(task: "b")]).map(\.id)
    let leased = try await broker.client.dequeue(maximum: 2).jobs
    broker.faults.loseAck(of: ids[1])
    try await broker.client.ack(leased[0])
    await #expect { try await broker.client.ack(leased[1]) } throws: { Self.code($0) == .unreachable }
  }

  @Test("A job that is delivered twice is held by two workers at once, and only the second may settle it")
  func twice() async throws {
    let broker = TestBroker()
    broker.faults.deliverTwice()
    let id = try await broker.client.enqueue(Job(task: "a")).id
    let first = try #require(try await broker.client.dequeue().jobs.first)
    let second = try #require(try await broker.client.dequeue().jobs.first)
    #expect(first.id == id && second.id == id && first.token < second.token)
    await #expect { try await broker.client.ack(first) } throws: { Self.code($0) == .leaseLost }
    try await broker.client.ack(second)
    #expect(broker.events.map(\.kind) == [.enqueued, .delivered, .leaseExpired, .delivered, .acked])
  }

  @Test("A second delivery reaches a worker that waits")
  func twiceWaiting() async throws {
    try await TestBroker.run { broker in
      broker.faults.deliverTwice()
      async let one = broker.client.dequeue(wait: .seconds(1))
      async let other = broker.connect().dequeue(wait: .seconds(1))
      await broker.clock.settle()
      let id = try await broker.client.enqueue(Job(task: "a")).id
      #expect(try await one.jobs.map(\.id) == [id])
      #expect(try await other.jobs.map(\.id) == [id])
    }
  }

  @Test("A lease that ends by script is treated as one that ran out")
  func expired() async throws {
    let broker = TestBroker()
    var job = Job(task: "a")
    job.maximumAttempts = 1
    let id = try await broker.client.enqueue(job).id
    #expect(!broker.faults.expireLease(of: id))
    let leased = try #require(try await broker.client.dequeue().jobs.first)
    async let status = broker.client.wait(for: id, upTo: .seconds(10))
    try await broker.waitingRequests(atLeast: 1)
    #expect(broker.faults.expireLease(of: id))
    #expect(try await status.deadReason == .leaseExpired)
    await #expect { try await broker.client.extend(leased) } throws: { Self.code($0) == .leaseLost }
  }

  @Test("Faults that were taken back do not happen")
  func cleared() async throws {
    let broker = TestBroker()
    broker.faults.lose(.enqueue, times: 3)
    broker.faults.clear()
    _ = try await broker.client.enqueue(Job(task: "a"))
  }
}
