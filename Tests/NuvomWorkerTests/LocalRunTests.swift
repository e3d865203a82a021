import NuvomWorker
import Synchronization
import Testing

@Suite("A job without a broker")
struct LocalRunTests {
  private final class Waits: Clock, Sendable {
    typealias Instant = ContinuousClock.Instant
    private let waits = Mutex<[Duration]>([])
    let start = ContinuousClock.now
    var now: Instant { start }
    var minimumResolution: Duration { .zero }
    var all: [Duration] { waits.withLock(\.self) }
    func sleep(until deadline: Instant, tolerance: Duration?) async throws {
      waits.withLock { $0.append(deadline - start) }
    }
  }

  @Test("waits between its attempts as its task says, without the jitter")
  func waits() async throws {
    let task = TaskDefinition(
      "t", .init(retries: 4, backoff: .exponential(base: .seconds(2), cap: .seconds(7), jitterPercent: 50))
    ) { (_: Int) in throw Broken() }
    let clock = Waits()
    let attempts = Mutex<[Int]>([])
    let run = LocalRun(
      try InlineExecutor([task], logger: silent), clock: clock, logger: silent, reportProgress: { _ in },
      failed: { failure in attempts.withLock { $0.append(failure.attempt) } })
    let end = try #require(try await run.run(LeasedJob(task: "t", payload: try task.job(1).payload)))
    #expect(end.attempts == 5 && end.failure?.type == "Broken" && end.result == nil)
    #expect(clock.all == [.seconds(2), .seconds(4), .seconds(7), .seconds(7)])
    #expect(attempts.withLock { $0 } == [1, 2, 3, 4, 5])
  }

  @Test("does not try again what no retry would mend")
  func permanent() async throws {
    let task = TaskDefinition("t") { (_: Int) in throw PermanentError("no") }
    let run = LocalRun(
      try InlineExecutor([task], logger: silent), logger: silent, reportProgress: { _ in }, failed: { _ in })
    let end = try #require(try await run.run(LeasedJob(task: "t", payload: try task.job(1).payload)))
    #expect(end.attempts == 1 && end.failure?.retry == false)
    #expect(try await run.run(LeasedJob(task: "unknown")) == nil)
  }

  @Test("tells its hook of a timeout, and holds the timeout policy", arguments: TimeoutPolicy.allCases)
  func timeouts(policy: TimeoutPolicy) async throws {
    let hooked = Mutex(0)
    let hooks = TaskHooks<NoValue>(onError: { error in if error is JobTimedOut { hooked.withLock { $0 += 1 } } })
    let task = TaskDefinition(
      "t", .init(retries: 1, retryDelay: .zero, timeout: .milliseconds(1), timeoutPolicy: policy), hooks: hooks
    ) { (_: Int) in try await Task.sleep(for: .seconds(100_000)) }
    let run = LocalRun(
      try InlineExecutor([task], logger: silent), logger: silent, reportProgress: { _ in }, failed: { _ in })
    let end = try #require(try await run.run(LeasedJob(task: "t", payload: try task.job(1).payload)))
    #expect(end.attempts == (policy == .retry ? 2 : 1))
    #expect((end.failure == nil) == (policy == .ignore))
    #expect(hooked.withLock { $0 } == end.attempts)
  }
}
