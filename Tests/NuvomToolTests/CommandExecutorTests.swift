import Logging
import MessagePack
import NuvomWorker
import Testing

@testable import nuvom

struct CommandExecutorTests {
  private func context(headers: [String: HeaderValue] = [:], schedule: ScheduledFire? = nil) -> JobContext {
    var job = LeasedJob(task: "task")
    job.lease = .seconds(30)
    job.headers = headers
    job.schedule = schedule
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

  @Test("The command of a job that a schedule enqueued is told the schedule and the due time")
  func schedule() async throws {
    let executor = CommandExecutor(.init(command: "echo \"$NUVOM_SCHEDULE\" at $NUVOM_DUE_AT_MS"))
    let fire = ScheduledFire(name: "check readme\0s", dueAtMilliseconds: 1_800_000_000_000)
    let result = try await executor.run(context(schedule: fire))
    #expect(try result.map { try MessageValue(decoding: $0) } == "check readmes at 1800000000000")
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

  @Test("An attempt for which the machine has no process left is given back, not failed")
  func notStarted() async {
    let executor = CommandExecutor(.init(command: "true")) { _, _ in throw CommandNotStarted(cause: NoProcessLeft()) }
    let error = await #expect(throws: AttemptGivenUp.self) { try await executor.run(context()) }
    #expect(error?.reason == .notStarted)
  }

  private struct NoProcessLeft: Error {}

  @Test("A command that no machine can start is a failed attempt: the same job would meet it again")
  func tooLong() async {
    let executor = CommandExecutor(.init(command: ": " + String(repeating: "x", count: 200_000)))
    let error = await #expect(throws: RemoteError.self) { try await executor.run(context()) }
    #expect(error?.type == "CommandNotRun")
  }
}
