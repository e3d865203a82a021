import Glibc
import NuvomWorker
import Testing

/// The worker's executable without a broker.
@Suite("A worker's command line", .serialized, .timeLimit(.minutes(1)))
struct WorkerCommandTests {
  @Test("lists its tasks")
  func list() async throws {
    let (status, lines, _) = try await runWorker(["list"])
    #expect(status == 0)
    #expect(lines.contains { $0.hasPrefix("echo      default        2  -        t     says what it was told") })
  }

  @Test("runs one job here, and shows what it returned")
  func succeeds() async throws {
    let (status, lines, _) = try await runWorker(
      ["test"], input: #"{"task": "echo", "args": ["Ada"], "kwargs": {}}"#)
    #expect(status == 0)
    #expect(lines.prefix(2) == [#"✅ SUCCESS: "Ada""#, "attempts  1"])
  }

  @Test("runs it again as its task says, without the waits if asked")
  func retries() async throws {
    let (status, lines, log) = try await runWorker(
      ["test", "--no-wait", "--json"], input: #"{"func_name": "flaky", "args": [1]}"#)
    #expect(status == 0)
    #expect(lines.contains { $0.contains(#""status":"SUCCESS","attempts":3,"result":"third time""#) })
    #expect(log.contains("attempt 2: RetryLater: not yet; again in 0s"))
  }

  @Test("shows why it failed, and ends with 1")
  func fails() async throws {
    let (status, lines, log) = try await runWorker(
      ["test", "--no-wait"], input: #"{"func_name": "flaky", "args": [1], "retries": 1}"#)
    #expect(status == 1)
    #expect(lines.prefix(2) == ["❌ FAILED: RetryLater: not yet", "attempts  2"])
    #expect(log.contains("attempt 2: RetryLater: not yet\n"))
  }

  @Test("holds the job's timeout, and runs the hook")
  func timeout() async throws {
    let (status, lines, _) = try await runWorker(
      ["test"], input: #"{"func_name": "idle", "args": [1], "timeout_secs": 0.05, "retries": 0}"#)
    #expect(status == 1)
    #expect(lines.contains("❌ FAILED: Timeout: the attempt took longer than its timeout of 0.05 seconds"))
  }

  @Test("shows what the job would enqueue")
  func following() async throws {
    let (status, lines, _) = try await runWorker(["test"], input: #"{"func_name": "family", "args": ["x"]}"#)
    #expect(status == 0 && lines.contains("would enqueue  fails in default"))
  }

  @Test(
    "refuses a file that is no job, and says what to write",
    arguments: [
      ("[]", 65), ("{}", 65), (#"{"func_name": 1}"#, 65), (#"{"func_name": "echo", "retires": 1}"#, 65),
      (#"{"func_name": "echo", "timeout_secs": 0}"#, 65), (#"{"func_name": "nobody"}"#, 64),
    ] as [(String, Int32)])
  func refused(text: String, status: Int32) async throws {
    let end = try await runWorker(["test"], input: text)
    #expect(end.status == status && end.log.contains("worker-under-test: "))
  }

  @Test(
    "refuses flags that cannot be meant",
    arguments: [
      ["--memory-limit", "1GiB"], ["--queue", "mail=0"], ["--queue", "=3"], ["--concurrency", "0"], ["--lease", "1ms"],
      ["--connect", "host:0"], ["--timeout", "0"], ["--isolation", "thread"], ["--queue", "a", "--queue", "a=2"],
    ])
  func flags(arguments: [String]) async throws {
    let end = try await runWorker(arguments)
    #expect(end.status == 64 && !end.log.isEmpty)
  }

  @Test("takes from the queues that are named, by their weights")
  func queues() async throws {
    try await withWorkerProcess(["--queue", "mail=3", "--queue", "bulk", "--concurrency", "1"]) { client, _ in
      let echo = TaskReference<Arguments<String>, String>("echo")
      for queue in ["mail", "bulk"] {
        let result = try await echo.with { $0.queue = queue }.delay(queue).result()
        #expect(result == queue)
      }
    }
  }

  #if Macros
    private struct Shout: TaskInput, Codable {
      let text: String
      let times: Int
    }

    @Test("finds the tasks with @NuvomTask that nobody listed, and runs their jobs", arguments: ["none", "process"])
    func linked(isolation: String) async throws {
      let (status, lines, _) = try await runWorker(["list"])
      #expect(status == 0 && lines.contains { $0.hasPrefix("shout ") && $0.contains("link") })
      try await withWorkerProcess(["--isolation", isolation]) { _, _ in
        let shout = TaskReference<Shout, String>("shout")
        let result = try await shout.delay(Shout(text: "ab", times: 2)).result()
        #expect(result == "ABAB")
      }
    }

    @Test("says of a task that is listed and linked, too, that it is to be left out of the list")
    func listedAndLinked() async throws {
      for arguments in [["--connect", "127.0.0.1:9"], ["test"]] {
        let end = try await runWorker(
          arguments, input: arguments == ["test"] ? #"{"task": "shout", "args": ["a"]}"# : nil,
          environment: ["WORKER_UNDER_TEST_GIVES_LINKED": "1"])
        #expect(end.status == 78 && end.log.contains("the task shout") && end.log.contains("leave it out of the list"))
      }
    }
  #endif
}
