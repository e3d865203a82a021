import NuvomTestKit
import Synchronization
import Testing

/// What happened, in its order.
final class Notes: Sendable {
  private let lines = Mutex<[String]>([])
  func add(_ line: String) { lines.withLock { $0.append(line) } }
  func clear() { lines.withLock { $0 = [] } }
  var all: [String] { lines.withLock { $0 } }
}

struct ManualClockTests {
  @Test("Sleepers wake in the order of their deadlines, and each has run to its next wait before the next wakes")
  func order() async throws {
    try await TestBroker.run { broker in
      let clock = broker.clock
      let notes = Notes()
      await withThrowingTaskGroup(of: Void.self) { group in
        for (name, seconds) in [("slow", 20), ("quick", 10), ("other", 15)] {
          group.addTask {
            try await clock.sleep(for: .seconds(seconds))
            notes.add("\(name) wakes at \(clock.now.sinceStart)")
            for _ in 0..<100 { await Task.yield() }
            notes.add("\(name) is done")
            try await clock.sleep(for: .seconds(1_000))
          }
        }
        await clock.advance(by: .seconds(60))
        group.cancelAll()
      }
      #expect(
        notes.all == [
          "quick wakes at 10.0 seconds", "quick is done", "other wakes at 15.0 seconds", "other is done",
          "slow wakes at 20.0 seconds", "slow is done",
        ])
      #expect(clock.now.sinceStart == .seconds(60))
    }
  }

  @Test("A loop that sleeps runs once for each of its periods")
  func periods() async throws {
    try await TestBroker.run { broker in
      let notes = Notes()
      await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          while true {
            try await broker.clock.sleep(for: .seconds(10))
            notes.add("beat")
          }
        }
        await broker.clock.advance(by: .seconds(605))
        group.cancelAll()
      }
      #expect(notes.all.count == 60)
    }
  }

  @Test("Who sleeps at the same time wakes in the order of going to sleep")
  func ties() async throws {
    try await TestBroker.run { broker in
      let notes = Notes()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<20 {
          group.addTask {
            try await broker.clock.sleep(for: .seconds(1))
            notes.add("\(number)")
          }
        }
        await broker.clock.advance(by: .seconds(1))
        try await group.waitForAll()
      }
      #expect(notes.all == (0..<20).map { "\($0)" })
    }
  }

  @Test("A sleep is over one instant after its deadline was not reached")
  func deadline() async throws {
    try await TestBroker.run { broker in
      let notes = Notes()
      async let sleeper: Void = {
        try await broker.clock.sleep(for: .seconds(1))
        notes.add("awake")
      }()
      await broker.clock.advance(by: .nanoseconds(999_999_999))
      #expect(notes.all.isEmpty)
      await broker.clock.advance(by: .nanoseconds(1))
      #expect(notes.all == ["awake"])
      try await sleeper
    }
  }

  @Test("A deadline that has passed is not slept for")
  func past() async throws {
    let clock = ManualClock()
    await clock.advance(by: .seconds(5))
    try await clock.sleep(until: .init(sinceStart: .seconds(5)))
    try await clock.sleep(for: .zero)
    #expect(clock.sleepers == 0)
  }

  @Test("A cancelled sleep ends at once, before, while and after it sleeps")
  func cancelled() async throws {
    let clock = ManualClock()
    let sleeping = Task { try await clock.sleep(for: .seconds(1)) }
    try await clock.sleepers(atLeast: 1)
    sleeping.cancel()
    await #expect(throws: CancellationError.self) { try await sleeping.value }
    #expect(clock.sleepers == 0)

    let late = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      try await clock.sleep(for: .seconds(1))
    }
    await #expect(throws: CancellationError.self) { try await late.value }
    #expect(clock.sleepers == 0)
  }

  @Test("A test that waits for sleepers that never come is told so")
  func nobodySleeps() async throws {
    let clock = ManualClock()
    await #expect(throws: TestBrokerError.self) { try await clock.sleepers(atLeast: 1, limit: .milliseconds(1)) }
  }

  @Test("Time does not go back")
  func back() async {
    let clock = ManualClock()
    await clock.advance(by: .seconds(5))
    await clock.advance(to: .init(sinceStart: .seconds(3)))
    #expect(clock.now.sinceStart == .seconds(5))
  }
}
