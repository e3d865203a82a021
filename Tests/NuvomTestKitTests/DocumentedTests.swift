import NuvomTestKit
import NuvomWorker
import Testing

// What README.md and NuvomTestKit's page show, compiled and run.

private struct Unavailable: Error {}

// snippet Sources/Testing/NuvomTestKit/NuvomTestKit.docc/NuvomTestKit.md
let greet = TaskDefinition("greet", .init(retries: 2, retryDelay: .seconds(60))) { (name: String) in "hello \(name)" }
// end snippet

// snippet Sources/Testing/NuvomTestKit/NuvomTestKit.docc/NuvomTestKit.md
actor Charges {
  private var all: [JobID: Int] = [:]

  /// The job's id makes it one charge, however often it is made.
  func charge(_ amount: Int, for job: JobID) async {
    await interruptionPoint()
    all[job] = amount
  }

  var total: Int { all.values.reduce(0, +) }
  func clear() { all = [:] }
}
// end snippet

struct DocumentedTests {
  // snippet Sources/Testing/NuvomTestKit/NuvomTestKit.docc/NuvomTestKit.md
  @Test func greets() async throws {
    try await TestBroker.run(tasks: [greet]) { _ in
      let handle = try await greet.delay("Ada")
      #expect(try await handle.result() == "hello Ada")
    }
  }
  // end snippet

  // snippet Sources/Testing/NuvomTestKit/NuvomTestKit.docc/NuvomTestKit.md
  @Test func triesAgainAfterAMinute() async throws {
    let flaky = TaskDefinition("flaky", .init(retries: 1, retryDelay: .seconds(60))) { () in
      if JobContext.current?.attempt == 1 { throw Unavailable() }
    }
    try await TestBroker.run(tasks: [flaky]) { broker in
      let handle = try await flaky.delay()
      try await broker.drain()
      #expect(try await handle.status().state == .delayed)
      await broker.clock.advance(by: .seconds(60))
      #expect(try await handle.status().state == .succeeded)
    }
  }
  // end snippet

  @Test("The page's way to wait for what happens")
  func events() async throws {
    let broker = TestBroker()
    try await broker.withWorker(tasks: [greet]) {
      let handle = try await greet.delay("Ada", on: broker.client)
      // snippet Sources/Testing/NuvomTestKit/NuvomTestKit.docc/NuvomTestKit.md
      try await broker.expect(.acked, handle.id)
      // end snippet
    }
  }

  @Test("The page's way to run tasks without queues")
  func inline() async throws {
    // snippet Sources/Testing/NuvomTestKit/NuvomTestKit.docc/NuvomTestKit.md
    try await TestBroker.inline(tasks: [greet]) { _ in
      let handle = try await greet.delay("Ada")
      #expect(try await handle.status().state == .succeeded)
    }
    // end snippet
  }

  @Test("The page's way to let things go wrong")
  func faults() async throws {
    // snippet Sources/Testing/NuvomTestKit/NuvomTestKit.docc/NuvomTestKit.md
    try await TestBroker.run(tasks: [greet]) { broker in
      broker.faults.refuse(.enqueue, with: .memoryFull)
      await #expect(throws: NuvomError.self) { try await greet.delay("Ada") }

      broker.faults.loseAck()
      let handle = try await greet.delay("Grace")
      await broker.clock.advance(by: .seconds(120))
      #expect(broker.events(of: handle.id).count { $0.kind == .delivered } == 2)
    }
    // end snippet
  }

  // snippet Sources/Testing/NuvomTestKit/NuvomTestKit.docc/NuvomTestKit.md
  @Test func chargesOnce() async throws {
    let charges = Charges()
    let charge = TaskDefinition("charge") { (amount: Int) in
      if let job = JobContext.current?.id { await charges.charge(amount, for: job) }
    }
    try await checkIdempotence(
      of: charge, 7, observe: { await charges.total }, reset: { await charges.clear() })
  }
  // end snippet

  @Test("README's test of a task")
  func readme() async throws {
    let database = Charges()
    let charge = TaskDefinition("charge", .init(retries: 3, retryDelay: .seconds(60))) { (amount: Int) in
      if let job = JobContext.current?.id { await database.charge(amount, for: job) }
    }
    // snippet README.md
    try await TestBroker.run(tasks: [charge]) { broker in
      broker.faults.loseAck()
      let handle = try await charge.delay(7)
      await broker.clock.advance(by: .seconds(600))
      #expect(try await handle.status().attempt == 2)
    }

    try await checkIdempotence(of: charge, 7, observe: { await database.total }, reset: { await database.clear() })
    // end snippet
  }
}
