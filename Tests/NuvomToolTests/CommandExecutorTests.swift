import Logging
import MessagePack
import NuvomWorker
import Testing

@testable import nuvom

struct CommandExecutorTests {
  private func context(headers: [String: HeaderValue] = [:]) -> JobContext {
    var job = LeasedJob(task: "task")
    job.lease = .seconds(30)
    job.headers = headers
    return JobContext(job: job, deadline: nil, logger: Logger(label: "test"), reportProgress: { _ in })
  }

  @Test("Headers that are text are in the environment, under names that a shell can say")
  func headers() async throws {
    let executor = CommandExecutor(.init(command: "env | grep ^NUVOM_HEADER_ | sort"))
    let result = try await executor.run(
      context(headers: [
        "trace-parent": "00-1", "tenant_id": "a b", "x=é": "y\0z", "raw": .bytes([1]), "tenant-id": "first",
      ]))
    #expect(
      try result.map { try MessageValue(decoding: $0) }
        == "NUVOM_HEADER_TENANT_ID=first\nNUVOM_HEADER_TRACE_PARENT=00-1\nNUVOM_HEADER_X__=yz")
  }

  @Test("An executor that knows some tasks has no policy for others; one that was told none takes all")
  func tasks() {
    let some = CommandExecutor(.init(command: "true", tasks: ["a"]))
    #expect(some.policy(forTask: "a") != nil && some.policy(forTask: "b") == nil)
    #expect(CommandExecutor(.init(command: "true")).policy(forTask: "b") != nil)
  }

  @Test("Stopping an attempt that does not run returns")
  func stop() async {
    await CommandExecutor(.init(command: "true")).stop(context(), JobWasStopped())
  }

  private struct JobWasStopped: Error {}

  @Test(
    "A queue may have a weight after its last =",
    arguments: [
      ("mail", "mail", nil), ("mail=3", "mail", 3), ("a=b=2", "a=b", 2), ("a=b", "a=b", nil),
      ("mail=0", nil, nil), ("=3", nil, nil), ("", nil, nil), ("mail=-1", nil, nil),
    ] as [(String, String?, Int?)])
  func queueShare(text: String, name: String?, weight: Int?) {
    let share = QueueShare(argument: text)
    #expect(share?.name == name && share?.weight == weight)
  }

  @Test("Queues are taken by weight when one has a weight")
  func order() throws {
    let read = { (texts: [String]) in QueueShare.order(texts.compactMap(QueueShare.init)) }
    #expect(read(["a", "b"]) == .inOrder(["a", "b"]))
    #expect(read(["a=3", "b"]) == .weighted(["a": 3, "b": 1]))
    #expect(read([]) == nil)
  }
}
