import MessagePack
import Testing

@testable import nuvom

extension ProgramTests {
  @Suite struct TestWorkerTests {
    private func run(_ command: String, _ job: String, _ options: [String] = []) throws -> Ended {
      let workspace = try Workspace()
      return try workspace.nuvom(["runtestworker", "run", "-", "--exec", command] + options, input: job)
    }

    @Test("A job from a file is run by the rules of a worker, without a broker")
    func outcomes() throws {
      let rows: [(command: String, job: String, status: Int32, output: String, remarks: Int)] = [
        ("cat", #"{"task": "a", "args": [1]}"#, 0, #"✅ SUCCESS: "{\"args\":[1],\"kwargs\":{}}""#, 0),
        ("true", #"{"func_name": "a"}"#, 0, "✅ SUCCESS: null", 0),
        (
          "echo $NUVOM_TASK$NUVOM_ATTEMPT; test $NUVOM_ATTEMPT = 2", #"{"task": "a", "retries": 1}"#, 0,
          #"✅ SUCCESS: "a2""#, 1
        ),
        ("echo why >&2; exit 1", #"{"task": "a", "retries": 2}"#, 1, "❌ FAILED: ExitStatus: exit status 1: why", 3),
        ("exit 65", #"{"task": "a", "retries": 2}"#, 1, "❌ FAILED: ExitStatus: exit status 65", 1),
        (
          "exec sleep 1000", #"{"task": "a", "timeout_secs": 0.2}"#, 1,
          "❌ FAILED: Timeout: the attempt took longer than its timeout of 0.2 seconds", 1
        ),
      ]
      for row in rows {
        let ended = try run(row.command, row.job)
        #expect(ended.status == row.status && ended.output.hasPrefix(row.output + "\nattempts "), "\(row): \(ended)")
        #expect(ended.error.count { $0 == "\n" } == row.remarks, "\(ended)")
      }
      let json = try run("echo 7", #"{"task": "a"}"#, ["--output", "json", "--json"])
      #expect(try json.json() == ["status": "SUCCESS", "attempts": 1, "result": 7, "would_enqueue": []])
    }

    @Test(
      "A file that is no job is refused, with what is wrong in it",
      arguments: [
        ("[]", "object"), ("{", "not JSON"), ("{}", "task is missing"),
        (#"{"task": "a", "arg": []}"#, #""arg" is unknown"#),
        (#"{"task": "a", "args": {}}"#, "args"), (#"{"task": "a", "retries": -1}"#, "retries"),
        (#"{"task": "a", "timeout_secs": 0}"#, "timeout_secs"),
      ])
    func refusals(job: String, words: String) throws {
      let ended = try run("cat", job)
      #expect(ended.status == 65 && ended.error.contains(words) && ended.output.isEmpty, "\(ended)")
    }
  }
}
