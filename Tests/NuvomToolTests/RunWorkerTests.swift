import NuvomCommandLine
import Foundation
import Glibc
import MessagePack
import Testing

@testable import nuvom

extension ProgramTests {
  /// A broker, and workers that run shell commands.
  @Suite struct RunWorkerTests {
    private let workspace: Workspace
    private let broker: RunningBroker

    init() throws {
      workspace = try Workspace()
      broker = try RunningBroker(workspace, ["--ephemeral"])
    }

    private func worker(_ command: String, _ arguments: [String] = []) throws -> RunningWorker {
      try RunningWorker(workspace, ["--exec", command, "--connect", broker.address] + arguments)
    }

    private func error(_ job: MessageValue, _ index: Int = 0) throws -> MessageValue {
      try #require(job["errors"]?[index], "\(job)")
    }

    @Test("A command is given the payload as JSON and what the job is, and its output is the result")
    func result() throws {
      let worker = try worker(
        "cat; echo; echo $NUVOM_JOB_ID $NUVOM_TASK $NUVOM_QUEUE $NUVOM_ATTEMPT/$NUVOM_MAX_ATTEMPTS $NUVOM_CONNECT; test $NUVOM_LEASE_TOKEN -gt 0"
      )
      let id = try broker.enqueue(["greet", "--args", "[1, \"a\\nb\"]", "--kwargs", "{\"width\": 80}"])
      #expect(
        try broker.finished(id, worker)["result"]
          == .string(
            #"{"args":[1,"a\nb"],"kwargs":{"width":80}}"# + "\n\(id) greet default 1/3 \(broker.address)"))
      let empty = try broker.enqueue(["greet"])
      #expect(try broker.finished(empty, worker).text("result").hasPrefix(#"{"args":[],"kwargs":{}}"#))
    }

    @Test(
      "The command of a job that was enqueued by hand has no schedule, also if its worker was started by one that has")
    func noSchedule() throws {
      let worker = try RunningWorker(
        workspace,
        ["--exec", "echo ${NUVOM_SCHEDULE-none} ${NUVOM_DUE_AT_MS-never} $OTHER", "--connect", broker.address],
        environment: ["NUVOM_SCHEDULE": "outer", "NUVOM_DUE_AT_MS": "1", "OTHER": "inherited"])
      #expect(try broker.finished(try broker.enqueue(["task"]), worker)["result"] == "none never inherited")
    }

    @Test("A command that fails is tried again; its errors have the end of what it wrote to standard error")
    func retry() throws {
      let worker = try worker(
        "if [ $NUVOM_ATTEMPT = 3 ]; then echo done; else echo first >&2; echo no luck >&2; echo >&2; exit 7$NUVOM_ATTEMPT; fi"
      )
      let id = try broker.enqueue(["task", "--backoff", "10ms"])
      let job = try broker.finished(id, worker)
      #expect(job["result"] == "done" && job["attempt"] == 3)
      #expect(try error(job).text("type") == "ExitStatus" && error(job).text("message") == "exit status 71: no luck")
      #expect(try error(job).text("trace").hasPrefix("first\nno luck\n"))
      #expect(try error(job, 1).text("message") == "exit status 72: no luck")
    }

    @Test("EX_TEMPFAIL is tried again; EX_USAGE, EX_DATAERR and EX_CONFIG are dead letters at once")
    func statuses() throws {
      let worker = try worker("exit $NUVOM_TASK")
      for (status, attempt, reason) in [
        ("75", 2, "failed"), ("64", 1, "rejected"), ("65", 1, "rejected"), ("78", 1, "rejected"), ("127", 2, "failed"),
      ] {
        let id = try broker.enqueue([status, "--max-attempts", "2", "--backoff", "10ms"])
        let job = try broker.finished(id, worker)
        #expect(job["attempt"] == .int(Int64(attempt)) && job["dead_reason"] == .string(reason), "\(job)")
        #expect(try error(job).text("message") == "exit status \(status)")
      }
    }

    @Test("An attempt that takes too long is ended with all that it started, before its job is settled")
    func timeout() throws {
      let pids = try NamedPipe(workspace, "pids")
      let worker = try worker(
        "sleep 1000 & echo $! > pids; echo $$ > pids; wait", ["--timeout", "1s"])
      let id = try broker.enqueue(["task", "--max-attempts", "1"])
      let processes = [try pids.line(), try pids.line()]
      let job = try broker.finished(id, worker)
      #expect(try error(job).text("type") == "Timeout")
      #expect(processes.allSatisfy { !isRunning($0) })
    }

    @Test("What ignores SIGTERM is killed, and so is what outlives its shell")
    func stubborn() throws {
      let pids = try NamedPipe(workspace, "pids")
      let worker = try worker(
        "trap '' TERM; (while :; do sleep 0.1; done) & echo $! > pids; echo $$ > pids; wait", ["--lease", "4s"])
      let id = try broker.enqueue(["task", "--max-attempts", "1", "--timeout", "1s"])
      let processes = [try pids.line(), try pids.line()]
      #expect(try error(try broker.finished(id, worker)).text("type") == "Timeout")
      #expect(processes.allSatisfy { !isRunning($0) })
    }

    @Test("What a command leaves in the background ends with it, and does not hold its output open")
    func background() throws {
      let pids = try NamedPipe(workspace, "pids")
      let worker = try worker("sleep 1000 & echo $! > pids; echo done")
      let id = try broker.enqueue(["task"])
      let process = try pids.line()
      #expect(try broker.finished(id, worker)["result"] == "done")
      #expect(!isRunning(process))
    }

    @Test("A command that a signal ends has failed, with the signal's name; the worker lives on")
    func signals() throws {
      let worker = try worker(
        "case $NUVOM_TASK in own) kill -SEGV $$;; child) sh -c 'kill -KILL $$';; fine) echo fine;; esac")
      let own = try broker.finished(try broker.enqueue(["own", "--max-attempts", "2", "--backoff", "10ms"]), worker)
      #expect(try own["attempt"] == 2 && error(own).text("message") == "ended by SIGSEGV")
      #expect(try error(own).text("type") == "Signal")
      let child = try broker.finished(try broker.enqueue(["child", "--max-attempts", "1"]), worker)
      #expect(try error(child).text("message").hasPrefix("exit status 137 (SIGKILL)"), "\(child)")
      #expect(try broker.finished(try broker.enqueue(["fine"]), worker)["result"] == "fine")
    }

    @Test("Much output is a result, too much a dead letter at once; input that nobody reads is no failure")
    func sizes() throws {
      let worker = try worker(
        "case $NUVOM_TASK in much) head -c 1000000 /dev/zero | tr '\\0' x;; endless) yes;; deaf) exec <&-; echo heard;; esac"
      )
      let much = try broker.finished(try broker.enqueue(["much"]), worker)
      #expect(try much.text("result") == String(repeating: "x", count: 1_000_000))
      let endless = try broker.finished(try broker.enqueue(["endless"]), worker)
      #expect(endless["attempt"] == 1 && endless["dead_reason"] == "rejected")
      #expect(try error(endless).text("message").contains("more than 8 MiB"))
      let large: MessageValue = ["args": [.string(String(repeating: "y", count: 4_000_000))]]
      try Data(large.encoded()).write(to: URL(fileURLWithPath: workspace.file("large")))
      let deaf = try broker.finished(try broker.enqueue(["deaf", "--payload-file", "large"]), worker)
      #expect(deaf["result"] == "heard", "\(worker.log)")
    }

    @Test("Results may be JSON, MessagePack, bytes or nothing; what they are not is a dead letter that says so")
    func forms() throws {
      let rows: [(options: [String], task: String, result: MessageValue?, words: String)] = [
        ([], "printf ' a\\n\\n'", " a", ""), ([], "true", .null, ""), ([], "printf '\\377'", "/w==", ""),
        (["--output", "json"], "echo '{\"a\": [1, 2.5]}'", ["a": [1, 2.5]], ""),
        (["--output", "json"], "true", .null, ""),
        (["--output", "json"], "echo hello", nil, "--output text"),
        (["--output", "msgpack", "--input", "msgpack"], "cat", ["args": [7], "kwargs": [:]], ""),
        (["--output", "msgpack"], "echo hello", nil, "not one MessagePack value"),
      ]
      for (number, row) in rows.enumerated() {
        let worker = try worker(row.task, row.options + ["--queue", "q\(number)"])
        let job = try broker.finished(try broker.enqueue(["task", "--args", "[7]", "--queue", "q\(number)"]), worker)
        if let result = row.result {
          #expect(try job.text("state") == "succeeded" && job["result"] == result, "\(row) \(job)")
        } else {
          #expect(try error(job).text("message").contains(row.words) && job["attempt"] == 1, "\(row) \(job)")
        }
        #expect(worker.end(SIGTERM) == 0)
      }
      let worker = try worker("cat")
      let text = try broker.finished(try broker.enqueue(["task", "--payload", "hello"]), worker)
      #expect(try error(text).text("message").contains("--input msgpack") && text["attempt"] == 1, "\(text)")
    }

    @Test("So many commands run at once as were asked for, and no more")
    func concurrency() throws {
      let worker = try worker(
        """
        touch $NUVOM_JOB_ID.running $NUVOM_JOB_ID.began; ls *.running | wc -l >> counts
        while [ $(ls *.began | wc -l) -lt 3 ]; do sleep 0.05; done
        rm $NUVOM_JOB_ID.running
        """, ["--concurrency", "3"])
      let ids = try (0..<6).map { _ in try broker.enqueue(["task"]) }
      for id in ids { #expect(try broker.finished(id, worker).text("state") == "succeeded") }
      let counts = try String(contentsOfFile: workspace.file("counts"), encoding: .utf8)
        .split(separator: "\n").compactMap { Int($0) }
      #expect(counts.count == 6 && counts.allSatisfy { $0 <= 3 }, "\(counts)")
    }

    @Test("SIGTERM: what does not end in time is ended and given back, the attempt not counted")
    func givenBack() throws {
      let started = try NamedPipe(workspace, "started")
      let worker = try worker("echo $$ > started; exec sleep 1000", ["--grace", "100ms"])
      let id = try broker.enqueue(["task"])
      let process = try started.line()
      #expect(worker.end(SIGTERM) == 0, "\(worker.log)")
      #expect(!isRunning(process))
      #expect(try broker.ask(["get", id]).text("state") == "ready")
      #expect(try broker.ask(["dequeue"])["jobs"]?[0]?["attempt"] == 1)
    }

    @Test("SIGINT: what ends in time is done")
    func finishes() throws {
      let started = try NamedPipe(workspace, "started")
      let go = try NamedPipe(workspace, "go")
      let worker = try worker("echo $$ > started; read word < go; echo $word")
      let id = try broker.enqueue(["task"])
      _ = try started.line()
      worker.send(SIGINT)
      go.write("bye")
      #expect(worker.wait() == 0, "\(worker.log)")
      #expect(try broker.ask(["get", id])["result"] == "bye")
    }

    @Test("The command of a cancelled job gets SIGTERM, and can still say something")
    func cancelled() throws {
      let told = try NamedPipe(workspace, "told")
      let worker = try worker(
        "trap 'echo on; echo on >&2; echo stopped > told; exit 1' TERM; echo started > told; while :; do sleep 1 & wait $!; done",
        ["--lease", "6s"])
      let id = try broker.enqueue(["task"])
      #expect(try told.line() == "started")
      try broker.ask(["cancel", id])
      #expect(try told.line() == "stopped")
      #expect(try broker.ask(["get", id]).text("state") == "cancelled")
      #expect(worker.end(SIGTERM) == 0, "\(worker.log)")
    }

    @Test("A task that the command does not know waits, uncounted, for a worker that does")
    func unknownTask() throws {
      let worker = try worker("echo done", ["--task", "mine", "--task", "too", "--concurrency", "1"])
      let other = try broker.enqueue(["other"])
      for task in ["mine", "too"] {
        #expect(try broker.finished(try broker.enqueue([task]), worker)["result"] == "done")
      }
      let job = try broker.ask(["get", other])
      #expect(try job.text("state") == "delayed" && job["postponed"] == 1 && job["errors"] == [], "\(job)")
    }

    @Test("Queues are served in the order given")
    func queues() throws {
      for (task, queue) in [("a", "low"), ("b", "high"), ("c", "low"), ("d", "high")] {
        _ = try broker.enqueue([task, "--queue", queue])
      }
      let last = try broker.enqueue(["last", "--queue", "low"])
      let worker = try worker("echo $NUVOM_TASK >> order", ["--queue", "high", "--queue", "low", "--concurrency", "1"])
      _ = try broker.finished(last, worker)
      #expect(try String(contentsOfFile: workspace.file("order"), encoding: .utf8) == "b\nd\na\nc\nlast\n")
    }

    @Test("The README's example of a shell script does what it says")
    func readme() throws {
      let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
      let readme = try String(contentsOf: root.appendingPathComponent("README.md"), encoding: .utf8)
      let parts = readme.components(separatedBy: "## From a shell script\n")
      let script = try #require(parts.last?.components(separatedBy: "```sh\n")[1].components(separatedBy: "```")[0])
      try workspace.write("a\n", to: "README.md")
      try workspace.write("trap 'kill $!' EXIT\n" + script, to: "example.sh")
      let ended = try workspace.shell("sh -e example.sh 2> errors", broker: broker)
      #expect(ended.status == 0, "\(ended)")
      let sum = "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7"
      #expect(ended.output.hasSuffix("✅ SUCCESS: \"\(sum)  README.md\"\n"), "\(ended)")
    }

    @Test("A command that closes its output and goes on is still its job's, to its end or its timeout")
    func silent() throws {
      let pids = try NamedPipe(workspace, "pids")
      let worker = try worker(
        "exec >&- 2>&-; echo $$ > pids; test $NUVOM_TASK = short && exec sleep 0.1; exec sleep 1000")
      let long = try broker.enqueue(["long", "--max-attempts", "1", "--timeout", "1s"])
      let process = try pids.line()
      #expect(try error(try broker.finished(long, worker)).text("type") == "Timeout" && !isRunning(process))
      #expect(try broker.finished(try broker.enqueue(["short"]), worker).text("state") == "succeeded")
    }

    @Test("A broker that is not there yet is waited for")
    func noBroker() throws {
      let other = try Workspace()
      let address: String
      do {
        let first = try RunningBroker(other, ["--ephemeral"])
        address = first.address
        first.end(SIGTERM)
      }
      let worker = try RunningWorker(other, ["--exec", "echo late", "--connect", address])
      let second = try RunningBroker(other, ["--ephemeral"], listen: address)
      let id = try second.ask(["enqueue", "task", "--retention", "1h"]).text("id")
      #expect(try second.ask(["wait", id])["result"] == "late", "\(worker.log)")
      #expect(worker.end(SIGTERM) == 0)
    }

    @Test(
      "Options that do not go together are refused before anything is done",
      arguments: [
        ["runworker", "--queue", "a"], ["runworker", "--exec", ""], ["runworker", "--exec", "cat", "--dev"],
        ["runworker", "--exec", "cat", "--product", "w"], ["runworker", "--exec", "cat", "--", "a"],
        ["runworker", "--exec", "cat", "--queue", "a=0"], ["runworker", "--exec", "cat", "--timeout", "0"],
        ["runworker", "--exec", "cat", "--input", "xml"], ["runworker", "--input", "json"],
        ["runworker", "--exec", "cat", "--concurrency", "0"], ["runworker", "--exec", "cat", "--lease", "2d"],
        ["runworker", "--exec", "cat", "--queue", "a", "--queue", "a"],
        ["runtestworker", "run", "job.json", "--exec", "cat", "--product", "w"],
        ["status"], ["retry"],
      ])
    func usage(_ arguments: [String]) throws {
      let ended = try workspace.nuvom(arguments, environment: ["NUVOM_CONNECT": "127.0.0.1:1"])
      #expect(ended.status == 64 && ended.output.isEmpty && !ended.error.isEmpty, "\(ended)")
    }
  }
}
