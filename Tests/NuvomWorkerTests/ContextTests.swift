import InMemoryTracing
import Instrumentation
import Metrics
import MetricsTestKit
import NuvomTestKit
import NuvomWorker
import Synchronization
import Testing
import Tracing

@Suite("What surrounds a job", .serialized)
struct ContextTests {
  /// A process has one tracer.
  private static let tracer: InMemoryTracer = {
    let tracer = InMemoryTracer()
    InstrumentationSystem.bootstrap(tracer)
    return tracer
  }()

  @Test("A trace crosses the broker: the attempt's span belongs to the producer's, the children's to the attempt's")
  func trace() async throws {
    let tracer = Self.tracer
    let child = TaskDefinition("traced child") { (_: Int) in }
    let parent = TaskDefinition("traced parent") { (_: Int) in _ = try await child.delay(1).result() }
    try await withWorker([parent, child]) { _, _ in
      try await withSpan("request") { _ in _ = try await parent.delay(1).result() }
    }
    let spans = tracer.finishedSpans
    func span(_ name: String) throws -> FinishedInMemorySpan {
      try #require(spans.first { $0.operationName == name }, "no span \(name)")
    }
    let chain = ["request", "enqueue traced parent", "run traced parent", "enqueue traced child", "run traced child"]
    for (outer, inner) in zip(chain, chain.dropFirst()) {
      #expect(try span(inner).parentSpanID == span(outer).spanID, "\(inner) below \(outer)")
      #expect(try span(inner).traceID == span(outer).traceID)
    }
  }

  @Test("The jobs of a schedule begin traces of their own, whoever made the schedule")
  func scheduledTrace() async throws {
    let tracer = Self.tracer
    let task = TaskDefinition("traced by schedule") { (_: Int) in }
    try await TestBroker.run { broker in
      try await broker.withWorker(tasks: [task], middleware: [TracingMiddleware()]) {
        try await withSpan("scheduling") { _ in
          try await task.schedule(1, in: .seconds(1), named: "s")
          // Beside it, a job that does carry the trace.
          try await task.delay(1)
        }
        await broker.clock.advance(by: .seconds(1))
        try await broker.drain()
      }
    }
    let spans = tracer.finishedSpans
    let scheduling = try #require(spans.first { $0.operationName == "scheduling" })
    let made = try #require(spans.first { $0.operationName == "schedule traced by schedule" })
    #expect(made.parentSpanID == scheduling.spanID)
    let runs = spans.filter { $0.operationName == "run traced by schedule" }
    #expect(runs.count == 2)
    let fired = runs.filter { $0.attributes.get("nuvom.schedule") != nil }
    #expect(fired.map(\.parentSpanID) == [nil] && fired.map { $0.traceID == scheduling.traceID } == [false])
  }

  /// A process has one backend of metrics.
  private static let metrics: TestMetrics = {
    let metrics = TestMetrics()
    MetricsSystem.bootstrap(metrics)
    return metrics
  }()

  @Test("Attempts are counted and timed by task and outcome")
  func counted() async throws {
    let metrics = Self.metrics
    let task = TaskDefinition("counted", .init(retries: 1, retryDelay: .zero)) { (_: Int) in
      if JobContext.current?.attempt == 1 { throw Broken() }
    }
    try await withWorker([task], middleware: [MetricsMiddleware()]) { _, _ in
      let jobs = try await task.map([1, 2, 3])
      _ = try await jobs.results()
    }
    for outcome in ["succeeded", "failed"] {
      let dimensions = [("task", "counted"), ("outcome", outcome)]
      #expect(try metrics.expectCounter("nuvom_worker_attempts_total", dimensions).values.reduce(0, +) == 3)
      #expect(try metrics.expectTimer("nuvom_worker_attempt_seconds", dimensions).values.count == 3)
    }
  }

  @Test("The context of a request reaches the handler and the jobs that it enqueues")
  func propagated() async throws {
    let seen = Mutex<[PropagatedContext]>([])
    let note: @Sendable () -> Void = { seen.withLock { $0.append(PropagatedContext.current) } }
    let child = TaskDefinition("child") { (_: Int) in note() }
    let parent = TaskDefinition("parent") { (_: Int) in
      note()
      _ = try await child.delay(1).result()
    }
    let context = PropagatedContext(request: "r", correlation: "c", tenant: "t", user: "u", locale: "de")
    try await withWorker([parent, child]) { _, _ in
      _ = try await PropagatedContext.$current.withValue(context) { try await parent.delay(1).result() }
    }
    #expect(seen.withLock { $0 } == [context, context])
  }

  @Test("Middleware wraps an attempt in its order, sees its end, and may change its result")
  func middleware() async throws {
    struct Wrap: WorkerMiddleware {
      let name: String
      let note: @Sendable (String) -> Void
      func handle(_ context: JobContext, next: @Sendable () async throws -> [UInt8]?) async throws -> [UInt8]? {
        note("\(name) begins \(context.job.task)")
        defer { note("\(name) ends") }
        return try await next()
      }
    }
    let seen = Mutex<[String]>([])
    let note: @Sendable (String) -> Void = { text in seen.withLock { $0.append(text) } }
    let task = TaskDefinition("t") { (_: Int) in note("handler") }
    try await withWorker([task], middleware: [Wrap(name: "a", note: note), Wrap(name: "b", note: note)]) { _, _ in
      _ = try await task.delay(1).result()
    }
    #expect(seen.withLock { $0 } == ["a begins t", "b begins t", "handler", "b ends", "a ends"])
  }
}
