import NuvomTestKit
import NuvomWorker
import Testing

struct WorkingTests {
  private struct Failed: Error {}

  @Test("A task that is enqueued is run by the worker, and its result is there")
  func result() async throws {
    let greet = TaskDefinition("greet") { (name: String) in "hello \(name)" }
    try await TestBroker.run(tasks: [greet]) { _ in
      let handle = try await greet.delay("Ada")
      #expect(try await handle.result() == "hello Ada")
    }
  }

  @Test("Draining ends when all jobs are done, also those that jobs have enqueued")
  func drain() async throws {
    let notes = Notes()
    let child = TaskDefinition("child") { (number: Int) in notes.add("child \(number)") }
    let parent = TaskDefinition("parent") { (number: Int) in _ = try await child.delay(number) }
    try await TestBroker.run(tasks: [parent, child]) { broker in
      try await parent.map([(1), (2), (3)])
      try await broker.drain()
      #expect(notes.all == ["child 1", "child 2", "child 3"])
      #expect(broker.events.count { $0.kind == .acked } == 6)
    }
  }

  @Test("Retries happen when the clock reaches them")
  func retries() async throws {
    let notes = Notes()
    let flaky = TaskDefinition("flaky", .init(retries: 2, retryDelay: .seconds(60))) { () in
      notes.add("attempt \(JobContext.current?.attempt ?? 0)")
      throw Failed()
    }
    try await TestBroker.run(tasks: [flaky]) { broker in
      let handle = try await flaky.delay()
      try await broker.drain()
      #expect(notes.all == ["attempt 1"])
      await broker.clock.advance(by: .seconds(59))
      #expect(notes.all == ["attempt 1"])
      await broker.clock.advance(by: .seconds(1))
      #expect(notes.all == ["attempt 1", "attempt 2"])
      await broker.clock.advance(by: .seconds(60))
      let status = try await handle.status()
      #expect(status.state == .dead && status.errors.count == 3)
      await #expect(throws: JobFailure.self) { try await handle.result() }
    }
  }

  @Test("A handler that sleeps on the clock keeps its lease, and its timeout passes on the clock")
  func timeout() async throws {
    try await TestBroker.run { broker in
      let nap = TaskDefinition("nap", .init(retries: 0, timeout: .seconds(90))) { (seconds: Int) in
        try await broker.clock.sleep(for: .seconds(seconds))
      }
      try await broker.withWorker(tasks: [nap]) {
        let short = try await nap.delay(80)
        let long = try await nap.delay(100)
        await broker.clock.advance(by: .seconds(85))
        #expect(try await short.status().state == .succeeded)
        #expect(broker.events(of: short.id).contains { $0.kind == .extended })
        await broker.clock.advance(by: .seconds(5))
        let status = try await long.status()
        #expect(status.state == .dead && status.errors.first?.type == "Timeout")
      }
    }
  }

  @Test("A worker whose ack is lost does the job again when its lease has run out")
  func lostAck() async throws {
    let notes = Notes()
    let note = TaskDefinition("note", .init(retryDelay: .zero)) { () in notes.add("done") }
    try await TestBroker.run(tasks: [note]) { broker in
      broker.faults.loseAck()
      let handle = try await note.delay()
      await broker.clock.settle()
      #expect(notes.all.count == 1)
      await broker.clock.advance(by: .seconds(30))
      #expect(notes.all.count == 2)
      #expect(try await handle.status().expiredLeases == 1)
    }
  }

  @Test("A worker whose lease is ended stops its handler at the next sign of life")
  func leaseLost() async throws {
    try await TestBroker.run { broker in
      let notes = Notes()
      let nap = TaskDefinition("nap", .init(retries: 0)) { () in
        do { try await broker.clock.sleep(for: .seconds(1_000)) } catch { notes.add("\(error)") }
      }
      try await broker.withWorker(tasks: [nap]) {
        let handle = try await nap.delay()
        try await broker.expect(.delivered, handle.id)
        broker.faults.expireLease(of: handle.id)
        await broker.clock.advance(by: .seconds(10))
        #expect(notes.all == ["CancellationError()"])
      }
    }
  }

  @Test("A worker that the broker refuses tries again on the clock")
  func refused() async throws {
    let greet = TaskDefinition("greet") { () in "hello" }
    try await TestBroker.run { broker in
      broker.faults.refuse(.dequeue, with: .storageUnknown, retryAfter: .seconds(5))
      try await broker.withWorker(tasks: [greet]) {
        let handle = try await greet.delay()
        await broker.clock.settle()
        #expect(try await handle.status().state == .ready)
        await broker.clock.advance(by: .seconds(5))
        #expect(try await handle.status().state == .succeeded)
      }
    }
  }

  @Test("At its end a worker gives back what it still runs")
  func giveBack() async throws {
    try await TestBroker.run { broker in
      let nap = TaskDefinition("nap") { () in try await broker.clock.sleep(for: .seconds(1_000)) }
      let handle = try await nap.delay()
      try await broker.withWorker(tasks: [nap]) { await broker.clock.settle() }
      #expect(broker.events(of: handle.id).map(\.kind).starts(with: [.enqueued, .delivered, .released]))
      let status = try await handle.status()
      #expect(status.state == .ready && status.errors.isEmpty)
    }
  }

  @Test("A worker that cannot tell how a job ended is stopped all the same, without the clock moving")
  func stoppedWhileTelling() async throws {
    let note = TaskDefinition("note") { () in }
    try await TestBroker.run(tasks: [note]) { broker in
      broker.faults.refuse(.ack, with: .diskFull, retryAfter: .seconds(3_600))
      let handle = try await note.delay()
      await broker.clock.settle()
      #expect(try await handle.status().state == .leased)
    }
  }

  @Test("What the body throws is thrown, and the worker has ended")
  func bodyFails() async throws {
    let greet = TaskDefinition("greet") { () in "hello" }
    await #expect(throws: Failed.self) {
      try await TestBroker.run(tasks: [greet]) { _ in throw Failed() }
    }
    await #expect(throws: WorkerError.self) {
      try await TestBroker.run(tasks: [greet, greet]) { _ in }
    }
  }

  @Test("An hour of work goes the same way each time")
  func sameEachTime() async throws {
    func story() async throws -> [String] {
      let flaky = TaskDefinition("flaky", .init(retries: 5, retryDelay: .seconds(7))) { (number: Int) in
        for _ in 0..<number { await Task.yield() }
        if JobContext.current?.attempt ?? 0 <= number % 4 { throw Failed() }
      }
      return try await TestBroker.run(tasks: [flaky], configuration: WorkerConfiguration(concurrency: 3)) { broker in
        for number in 0..<20 {
          try await flaky.delay(number, options: JobOptions(start: .after(.seconds(number * 3))))
        }
        await broker.clock.advance(by: .seconds(3_600))
        try await broker.drain()
        return broker.events.map(\.description)
      }
    }
    let first = try await story()
    #expect(first.count { $0.hasPrefix("acked") } == 20)
    for _ in 0..<5 { #expect(try await story() == first) }
  }
}
