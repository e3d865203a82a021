import NuvomTestKit
import NuvomWorker
import Testing

struct InlineWorkTests {
  private struct Failed: Error {}
  private struct Order: Codable, Hashable, Sendable, TaskInput { var item: String, count: Int }

  @Test("A task that is enqueued has run when delay returns, in the caller's own Swift task")
  func result() async throws {
    enum Place { @TaskLocal static var name = "" }
    let greet = TaskDefinition("greet") { (name: String) in "hello \(name) in \(Place.name)" }
    try await TestBroker.inline(tasks: [greet]) { broker in
      let handle = try await Place.$name.withValue("here") { try await greet.delay("Ada") }
      #expect(broker.events(of: handle.id).map(\.kind) == [.enqueued, .delivered, .acked])
      #expect(try await handle.result() == "hello Ada in here")
    }
  }

  @Test("Arguments and results go through their encoding")
  func encoding() async throws {
    let double = TaskDefinition("double") { (order: Order) in Order(item: order.item, count: order.count * 2) }
    try await TestBroker.inline(tasks: [double]) { broker in
      let handle = try await double.delay(Order(item: "pen", count: 2))
      #expect(try await handle.result() == Order(item: "pen", count: 4))
      // Of another producer, with what the task does not take.
      let wrong = try await broker.client.enqueue(task: "double", args: ["item": "pen"])
      #expect(try await broker.client.get(wrong.id).errors.first?.type == "ArgumentError")
    }
  }

  @Test("A job that a handler enqueues is done too, with the ack or before it")
  func children() async throws {
    let notes = Notes()
    let child = TaskDefinition("child") { (name: String) in notes.add("child \(name)") }
    let parent = TaskDefinition("parent") { () in
      try JobContext.current?.enqueueWithAck(child.job("after"))
      try await child.delay("inside")
      notes.add("parent")
    }
    try await TestBroker.inline(tasks: [parent, child]) { _ in try await parent.delay() }
    #expect(notes.all == ["child inside", "parent", "child after"])
  }

  @Test("A job that fails is repeated at once, as often as its policy says, and then its result throws")
  func failure() async throws {
    let notes = Notes()
    let flaky = TaskDefinition(
      "flaky", .init(retries: 2, retryDelay: .seconds(60)), hooks: TaskHooks(onError: { _ in notes.add("hook") })
    ) { () in
      notes.add("attempt \(JobContext.current?.attempt ?? 0)")
      throw Failed()
    }
    try await TestBroker.inline(tasks: [flaky]) { _ in
      let handle = try await flaky.delay()
      #expect(notes.all == ["attempt 1", "hook", "attempt 2", "hook", "attempt 3", "hook"])
      await #expect(throws: JobFailure.self) { try await handle.result() }
    }
  }

  @Test("A job of a task that was not given is a dead letter that says so")
  func unknown() async throws {
    try await TestBroker.inline(tasks: []) { _ in
      let handle = try await TaskReference<Arguments<Int>, Int>("nobody").delay(1)
      await #expect { try await handle.result() } throws: { "\($0)".contains("nobody") }
    }
  }

  @Test("A delayed job waits until the clock has made it ready")
  func delayed() async throws {
    let notes = Notes()
    let note = TaskDefinition("note") { (name: String) in notes.add(name) }
    try await TestBroker.inline(tasks: [note]) { broker in
      try await note.delay("later", options: JobOptions(start: .after(.seconds(60))))
      #expect(notes.all.isEmpty)
      await broker.clock.advance(by: .seconds(60))
      try await note.delay("now")
      #expect(notes.all == ["later", "now"])
    }
  }
}
