import NuvomWorker
import Testing

@testable import NuvomTestKit

struct TestBrokerTests {
  @Test("A job goes through the real broker: enqueued, delivered, acked, with its result")
  func life() async throws {
    let broker = TestBroker()
    var job = try Job(task: "greet", arguments: ["Ada"])
    job.retention = .seconds(60)
    let receipt = try await broker.client.enqueue(job)
    let leased = try #require(try await broker.client.dequeue().jobs.first)
    #expect(try leased.arguments(as: [String].self) == ["Ada"])
    try await broker.client.ack(leased, result: [7])
    #expect(try await broker.client.get(receipt.id).result == [7])
    #expect(broker.events(of: receipt.id).map(\.kind) == [.enqueued, .delivered, .acked])
  }

  @Test("A waiting dequeue is answered by an enqueue, and one without a job by the clock")
  func waiting() async throws {
    try await TestBroker.run { broker in
      async let first = broker.client.dequeue(wait: .seconds(10))
      await broker.clock.settle()
      try await broker.waitingRequests(atLeast: 1)
      _ = try await broker.client.enqueue(Job(task: "a"))
      #expect(try await first.jobs.map(\.task) == ["a"])

      async let second = broker.client.dequeue(wait: .seconds(10))
      await broker.clock.advance(by: .seconds(10))
      #expect(try await second.jobs.isEmpty)
      #expect(broker.clock.now.sinceStart == .seconds(10))
    }
  }

  @Test("Tasks outside of a run wait for each other by events")
  func outside() async throws {
    let broker = TestBroker()
    async let dequeued = broker.client.dequeue(wait: .seconds(10))
    try await broker.waitingRequests(atLeast: 1)
    let other = broker.connect()
    let receipt = try await other.enqueue(Job(task: "a"))
    try await broker.expect(.delivered, receipt.id)
    #expect(try await dequeued.jobs.map(\.id) == [receipt.id])
  }

  @Test(
    "A delayed job is ready when exactly its delay has passed, also after a long chain of them", arguments: [1, 7, 333])
  func delays(milliseconds: Int) async throws {
    let broker = TestBroker()
    let delay = Duration.milliseconds(milliseconds)
    var job = Job(task: "again")
    job.backoff = .fixed(delay, jitterPercent: 0)
    job.maximumAttempts = 300
    job.start = .after(delay)
    let id = try await broker.client.enqueue(job).id
    for attempt in 1...200 {
      await broker.clock.advance(by: delay - .milliseconds(1))
      #expect(try await broker.client.dequeue().jobs.isEmpty)
      await broker.clock.advance(by: .milliseconds(1))
      let leased = try #require(try await broker.client.dequeue().jobs.first)
      #expect(leased.id == id && leased.attempt == attempt)
      try await broker.client.nack(leased)
    }
  }

  @Test("A job that starts at a time of day starts then")
  func timeOfDay() async throws {
    let broker = TestBroker(startingAt: 1_800_000_000_000)
    var job = Job(task: "wake")
    job.start = .at(millisecondsSince1970: 1_800_000_000_000 + 86_400_000)
    let id = try await broker.client.enqueue(job).id
    await broker.clock.advance(by: .seconds(86_399))
    #expect(broker.events(of: id).map(\.kind) == [.enqueued])
    await broker.clock.advance(by: .seconds(1))
    #expect(broker.events(of: id).map(\.kind) == [.enqueued, .ready])
    #expect(broker.millisecondsSince1970 / 1_000 == 1_800_086_400)
  }

  @Test("A lease that nobody extends runs out when it is due, and the job ends as a dead letter after its attempts")
  func leases() async throws {
    let broker = TestBroker()
    var job = Job(task: "hang")
    job.maximumAttempts = 2
    job.backoff = .fixed(.seconds(5), jitterPercent: 0)
    let id = try await broker.client.enqueue(job).id
    for _ in 1...2 {
      _ = try await broker.client.dequeue(lease: .seconds(30))
      await broker.clock.advance(by: .seconds(35))
    }
    #expect(
      broker.events(of: id).map(\.description) == [
        "enqueued \(id) at 0.0 seconds", "delivered \(id) at 0.0 seconds", "leaseExpired \(id) at 30.0 seconds",
        "ready \(id) at 35.0 seconds", "delivered \(id) at 35.0 seconds", "leaseExpired \(id) at 65.0 seconds",
        "dead \(id) at 65.0 seconds",
      ])
    #expect(broker.events.last?.deadReason == .leaseExpired)
  }

  @Test("A cancelled dequeue leaves no job behind")
  func cancelledDequeue() async throws {
    try await TestBroker.run { broker in
      let waiting = Task(executorPreference: broker.executor) { try await broker.client.dequeue(wait: .seconds(10)) }
      try await broker.waitingRequests(atLeast: 1)
      waiting.cancel()
      await #expect(throws: CancellationError.self) { try await waiting.value }
      // The broker does not know that nobody waits: it delivers, and the client gives back.
      let id = try await broker.client.enqueue(Job(task: "a")).id
      #expect(broker.events(of: id).map(\.kind) == [.enqueued, .delivered, .released])
      #expect(try await broker.client.dequeue().jobs.first?.attempt == 1)
    }
  }

  @Test("A request that was cancelled before it was made is not made")
  func cancelledBefore() async throws {
    let broker = TestBroker()
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await broker.client.enqueue(Job(task: "a"))
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(broker.events.isEmpty)
  }

  @Test("A request over the broker's limits is refused as the real broker refuses it")
  func refusal() async throws {
    let broker = TestBroker()
    await #expect { try await broker.client.enqueue(Job(task: "")) } throws: { error in
      (error as? NuvomError)?.code == .badParameters
    }
    await #expect { try await broker.client.get(JobID(rawValue: 99)) } throws: { error in
      (error as? NuvomError)?.code == .notFound
    }
  }

  @Test("Answers of more than a megabyte reach a client that asks for many at once")
  func largeAnswers() async throws {
    let broker = TestBroker()
    let payload = [UInt8](repeating: 1, count: 700_000)
    var ids: [JobID] = []
    for _ in 0..<6 { ids.append(try await broker.client.enqueue(Job(task: "a", payload: payload)).id) }
    let bytes = try await withThrowingTaskGroup(of: Int.self) { group in
      for id in ids { group.addTask { try await broker.client.get(id).payload.count } }
      return try await group.reduce(0, +)
    }
    #expect(bytes == 6 * 700_000)
    let leased = try await broker.client.dequeue(maximum: 10).jobs
    #expect(leased.count == 6)
  }

  @Test("A client that is shut down takes no more requests, and its run ends")
  func shutDown() async throws {
    let broker = TestBroker()
    let client = broker.connect()
    async let run: Void = client.run()
    try await client.ping()
    client.shutDown()
    try await run
    await #expect { try await client.ping() } throws: { error in (error as? NuvomError)?.code == .closed }
    try await broker.client.ping()
  }

  @Test("In a run the broker's client is the current one")
  func current() async throws {
    try await TestBroker.run { broker in
      #expect(NuvomClient.current === broker.client)
    }
  }

  @Test("Draining is over when workers have done what is due, and what follows from it")
  func drain() async throws {
    try await TestBroker.run { broker in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          while true {
            for job in try await broker.client.dequeue(wait: .seconds(60)).jobs {
              if job.task == "parent" { _ = try await broker.client.enqueue(Job(task: "child")) }
              try await broker.client.ack(job)
            }
          }
        }
        _ = try await broker.client.enqueue([Job(task: "parent"), Job(task: "parent")])
        try await broker.drain()
        #expect(broker.events.count { $0.kind == .acked } == 4)
        group.cancelAll()
      }
    }
  }

  @Test("Draining without a worker says what is left")
  func drainForEver() async throws {
    let broker = TestBroker()
    _ = try await broker.client.enqueue(Job(task: "a"))
    await #expect { try await broker.drain(limit: .milliseconds(1)) } throws: { error in
      "\(error)".contains("1 are ready and 0 leased")
    }
  }

  @Test("A wait for a job that nobody finishes ends, though the clock stands still")
  func endlessWait() async throws {
    let broker = TestBroker(clock: ManualClock(), patience: .milliseconds(1))
    let id = try await broker.client.enqueue(Job(task: "a")).id
    await #expect { try await broker.client.wait(for: id) } throws: { error in
      (error as? NuvomError)?.code == .timeout && "\(error)".contains("advance the clock")
    }
  }

  @Test("A broker goes when nobody has it any more, though its clock stays")
  func goes() async throws {
    let clock = ManualClock()
    weak var weakBroker: TestBroker?
    weak var weakInside: InProcessBroker?
    do {
      let broker = TestBroker(clock: clock)
      weakBroker = broker
      weakInside = broker.faults.broker
      _ = try await broker.client.enqueue(Job(task: "a"))
    }
    await clock.advance(by: .seconds(1))
    #expect(weakBroker == nil && weakInside == nil)
  }

  @Test("An event that never comes is told with what came instead")
  func missingEvent() async throws {
    let broker = TestBroker()
    let id = try await broker.client.enqueue(Job(task: "a")).id
    await #expect { try await broker.expect(.acked, id, limit: .milliseconds(1)) } throws: { error in
      "\(error)".contains("enqueued \(id)")
    }
  }
}
