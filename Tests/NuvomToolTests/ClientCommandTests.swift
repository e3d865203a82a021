import NuvomCommandLine
import Foundation
import MessagePack
import Testing

@testable import nuvom

extension ProgramTests {
  @Suite struct ClientCommandTests {
    /// A broker without a log, for tests that end with it.
    private func broker() throws -> RunningBroker { try RunningBroker(try Workspace(), ["--ephemeral"]) }

    /// Takes one job; its id and token.
    private func take(_ broker: RunningBroker) throws -> [String] {
      let job = try #require(try broker.ask(["dequeue"])["jobs"]?[0])
      guard case .uint(let token)? = job["token"] else { throw Unreadable(description: "no token in \(job)") }
      return [try job.text("id"), "\(token)"]
    }

    @Test("A job goes from enqueue over dequeue and ack to its result")
    func lifeOfAJob() throws {
      let broker = try broker()
      let enqueued = try broker.ask([
        "enqueue", "resize", "--kwargs", "{\"width\":80}", "--args", "[1.0]", "--retention", "1h",
      ])
      let id = try enqueued.text("id")
      #expect(id.count == 16 && enqueued["duplicate"] == false)
      let job = try #require(try broker.ask(["dequeue", "--lease", "1m"])["jobs"]?[0])
      #expect(try job.text("id") == id && job.text("task") == "resize" && job.text("queue") == "default")
      #expect(job["attempt"] == 1 && job["max_attempts"] == 3 && job["lease_ms"] == 60_000)
      #expect(job["payload"] == ["args": [1.0], "kwargs": ["width": 80]])
      let bytes = try #require(Data(base64Encoded: try job.text("payload_base64")))
      #expect(try MessageValue(decoding: [UInt8](bytes)) == job["payload"])
      guard case .uint(let token)? = job["token"] else { return #expect(Bool(false), "\(job)") }
      let acked = try broker.run(["ack", id, "\(token)", "--result", "{\"size\":7}"])
      #expect(acked.status == 0 && acked.output == "\(id) acked\n")
      let got = try broker.ask(["get", id])
      #expect(try got.text("state") == "succeeded" && got["result"] == ["size": 7] && got["errors"] == [])
      #expect(try broker.run(["wait", id]).status == 0)
    }

    @Test("A payload may be text, a file, or standard input; what is not MessagePack has no decoded form")
    func payloads() throws {
      let broker = try broker()
      try broker.ask(["enqueue", "a", "--payload", "hello"])
      try broker.ask(["enqueue", "b", "--payload-file", "-"], input: "from input")
      try broker.ask(["enqueue", "c"])
      let jobs = try broker.ask(["dequeue", "--max", "10"])["jobs"]
      #expect(
        jobs?[0]?["payload"] == .null
          && jobs?[0]?["payload_base64"] == .string(Data("hello".utf8).base64EncodedString()))
      #expect(jobs?[1]?["payload_base64"] == .string(Data("from input".utf8).base64EncodedString()))
      #expect(jobs?[2]?["payload_base64"] == "")
    }

    @Test("Fields of a job travel")
    func fields() throws {
      let broker = try broker()
      let late = try broker.ask(["enqueue", "late", "--delay", "1h", "--priority", "0", "--tag", "x", "--tag", "y"])
        .text("id")
      let status = try broker.ask(["get", late])
      #expect(try status.text("state") == "delayed" && status["priority"] == 0 && status["tags"] == ["x", "y"])
      let dated = try broker.ask(["enqueue", "dated", "--at", "2099-01-01T00:00:00Z"]).text("id")
      #expect(try broker.ask(["get", dated])["due_at_ms"] == 4_070_908_800_000)
      let first = try broker.ask(["enqueue", "once", "--unique-key", "k"]).text("id")
      let second = try broker.ask(["enqueue", "once", "--unique-key", "k", "--unique-for", "1m"])
      #expect(try second.text("id") == first && second["duplicate"] == true)
      try broker.ask([
        "enqueue", "sooner", "--priority", "1", "--queue", "default", "--max-attempts", "7", "--lease", "9s",
      ])
      let job = try broker.ask(["dequeue"])["jobs"]?[0]
      #expect(job?["task"] == "sooner" && job?["max_attempts"] == 7 && job?["lease_ms"] == 9_000)
    }

    @Test("A settlement with a token that is not the job's: 1, LEASE_LOST")
    func lostLeases() throws {
      let broker = try broker()
      try broker.ask(["enqueue", "task"])
      let lease = try take(broker)
      let wrong = [lease[0], "99"]
      for command in ["ack", "nack", "release", "extend"] {
        let ended = try broker.run([command] + wrong)
        #expect(ended.status == 1 && ended.error.contains("(LEASE_LOST)") && ended.output.isEmpty, "\(ended)")
      }
      #expect(try broker.ask(["extend"] + lease + ["--to", "1h"])["extended"] == true)
      #expect(try broker.ask(["release"] + lease)["released"] == true)
      #expect(try broker.ask(["get", lease[0]])["attempt"] != 2)
    }

    @Test("What a worker says of its progress is shown by get, in both forms, while it holds the job")
    func progress() throws {
      let broker = try broker()
      let id = try broker.ask(["enqueue", "task"]).text("id")
      let lease = try take(broker)
      let said = try broker.run(["progress"] + lease + ["--percent", "40", "--message", "resizing\u{7}"])
      #expect(said.status == 0 && said.output == "\(id) reported\n", "\(said)")
      let status = try broker.ask(["get", id])
      #expect(status["progress"]?["percent"] == 40 && status["progress"]?["message"] == "resizing\u{7}")
      #expect(status["progress"]?["at_ms"] != nil && status["postponed"] == nil)
      #expect(try broker.run(["get", id]).output.contains(/progress +40 %, resizing\u{FFFD} \(2/))
      #expect(try broker.ask(["progress"] + lease + ["--message", "packing"])["reported"] == true)
      #expect(try broker.run(["get", id]).output.contains(/progress +packing \(2/))
      let wrong = try broker.run(["progress", id, "99", "--percent", "1"])
      #expect(wrong.status == 1 && wrong.error.contains("(LEASE_LOST)") && wrong.output.isEmpty, "\(wrong)")
      try broker.ask(["cancel", id])
      let cancelled = try broker.run(["progress"] + lease + ["--percent", "50"])
      #expect(cancelled.status == 1 && cancelled.error.contains("(CANCELLED)"), "\(cancelled)")
      #expect(try !broker.run(["get", id]).output.contains("progress"))
    }

    @Test("How often in a row a job was released with a delay is shown with its delivery and by get")
    func postponed() throws {
      let broker = try broker()
      let id = try broker.ask(["enqueue", "task"]).text("id")
      try broker.ask(["release"] + take(broker) + ["--delay", "1ms"])
      let job = try #require(try broker.ask(["dequeue", "--wait", "1m"])["jobs"]?[0])
      #expect(job["postponed"] == 1 && job["attempt"] == 1)
      #expect(try broker.ask(["get", id])["postponed"] == 1)
      #expect(try broker.run(["get", id]).output.contains(/postponed +1\n/))
    }

    @Test("A nack is kept with its message; the job is tried again, or dead at once")
    func nacks() throws {
      let broker = try broker()
      let id = try broker.ask(["enqueue", "task"]).text("id")
      try broker.ask(["nack"] + take(broker) + ["--message", "no luck", "--type", "Luck", "--delay", "0"])
      let errors = try #require(try broker.ask(["get", id])["errors"]?[0])
      #expect(try errors.text("message") == "no luck" && errors.text("type") == "Luck" && errors["attempt"] == 1)
      try broker.ask(["nack"] + take(broker) + ["--no-retry"])
      let dead = try broker.ask(["get", id])
      #expect(try dead.text("state") == "dead" && dead.text("dead_reason") == "rejected")
      #expect(try broker.run(["wait", id]).status == 1)
    }

    @Test("Dead letters are listed by page, replayed and deleted by id, filter, or all")
    func deadLetters() throws {
      let broker = try broker()
      for task in ["a", "a", "b", "c"] {
        try broker.ask(["enqueue", task])
        try broker.ask(["nack"] + take(broker) + ["--no-retry"])
      }
      let page = try broker.ask(["dead", "list", "--limit", "3"])
      #expect(page["jobs"]?[2]?["task"] == "b" && page["jobs"]?[3] == nil)
      let rest = try broker.ask(["dead", "list", "--after", page.text("next")])
      #expect(rest["jobs"]?[0]?["task"] == "c" && rest["jobs"]?[1] == nil && rest["next"] == nil)
      #expect(try broker.ask(["dead", "list", "--task", "a", "--reason", "rejected"])["jobs"]?[1]?["task"] == "a")
      #expect(try broker.ask(["dead", "list", "--reason", "expired"])["jobs"] == [])
      #expect(try broker.ask(["dead", "replay", "--task", "a"])["replayed"] == 2)
      let c = try #require(rest["jobs"]?[0]).text("id")
      #expect(try broker.ask(["dead", "delete", c])["deleted"] == 1)
      let gone = try broker.run(["dead", "delete", c, "--json"])
      #expect(try gone.status == 1 && gone.json()["deleted"] == 0 && gone.error.contains("(NOT_FOUND)"), "\(gone)")
      #expect(try broker.ask(["dead", "delete", "--all"])["deleted"] == 1)
      let queue = try #require(try broker.ask(["queues"])["queues"]?[0])
      #expect(queue["ready"] == 2 && queue["dead"] == 0)
      #expect(try broker.run(["dead", "list"]).output == "no dead letters\n")
    }

    @Test("Cancelled jobs are named, also those that a worker holds; the others are refused one by one")
    func cancel() throws {
      let broker = try broker()
      let ids = try (0..<2).map { _ in try broker.ask(["enqueue", "task", "--retention", "1h"]).text("id") }
      let lease = try take(broker)
      let ended = try broker.run(["cancel"] + ids + ["ffffff", "--json"])
      let answer = try ended.json()
      #expect(answer["cancelled"] == .array(ids.map { .string($0) }) && answer["leased"] == [.string(ids[0])])
      #expect(ended.status == 1 && ended.error.contains("0000000000ffffff") && ended.error.contains("NOT_FOUND"))
      let acked = try broker.run(["ack"] + lease)
      #expect(acked.status == 1 && acked.error.contains("(CANCELLED)"), "\(acked)")
      #expect(try broker.run(["cancel", ids[1]]).error.contains("(FINISHED)"))
    }

    @Test("A queue is listed, looked at, paused, resumed and purged")
    func queues() throws {
      let broker = try broker()
      #expect(try broker.run(["queues"]).output.hasPrefix("no queues yet"))
      for _ in 0..<3 { try broker.ask(["enqueue", "task", "--queue", "mail"]) }
      #expect(
        try broker.ask(["queues"]) == [
          "queues": [["queue": "mail", "paused": false, "ready": 3, "delayed": 0, "leased": 0, "dead": 0]]
        ])
      #expect(try broker.ask(["pause", "mail"]) == ["queue": "mail", "paused": true])
      #expect(try broker.run(["dequeue", "--queue", "mail"]).status == 1)
      #expect(try broker.run(["queues"]).output.contains("paused"))
      #expect(try broker.ask(["resume", "mail"]) == ["queue": "mail", "paused": false])
      #expect(try broker.run(["dequeue", "--queue", "other", "--queue", "mail"]).status == 0)
      #expect(try broker.ask(["purge", "mail"])["purged"] == 2)
      let queue = try broker.ask(["queue", "mail"])
      #expect(queue["enqueued_total"] == 3 && queue["cancelled_total"] == 2 && queue["leased"] == 1)
      #expect(try broker.run(["queue", "mail"]).output.contains("enqueued_total       3"))
    }

    @Test("Statistics, ping and version answer in both forms")
    func figures() throws {
      let broker = try broker()
      let statistics = try broker.ask(["stats"])
      #expect(try statistics.text("version") == "nuvom/\(nuvomVersion)" && statistics["connections"] == 1)
      #expect(try broker.run(["stats"]).output.contains("memory_limit_bytes"))
      #expect(try broker.ask(["ping"])["ok"] == true)
      #expect(try broker.run(["ping"]).output.hasPrefix("pong"))
      #expect(try broker.ask(["version"]) == ["version": .string(nuvomVersion), "protocol": 1])
      #expect(try broker.run(["--version"]).output == "\(nuvomVersion)\n")
    }

    @Test("What is not there, not finished, or not now has its exit status and code")
    func refusals() throws {
      let broker = try broker()
      let id = try broker.ask(["enqueue", "task"]).text("id")
      let rows: [(arguments: [String], status: Int32, words: String)] = [
        (["get", "1"], 1, "(NOT_FOUND)"),
        (["wait", "1"], 1, "(NOT_FOUND)"),
        (["queue", "none"], 1, "(NOT_FOUND)"),
        (["purge", "none"], 1, "(NOT_FOUND)"),
        (["dequeue", "--queue", "none"], 1, "nothing to dequeue from none"),
        (["dequeue", "--max", "0"], 64, "(BAD_PARAMS)"),
        (["dequeue", "--lease", "2d"], 64, "lease_ms"),
        (["enqueue", "", "--queue", "q"], 64, "field jobs[0].task"),
        (["enqueue", "t", "--queue", String(repeating: "q", count: 300)], 64, "field jobs[0].queue"),
        (["enqueue", "t", "--max-attempts", "70000"], 64, "max_attempts"),
        (["enqueue", "t", "--payload-file", "nowhere"], 66, "nowhere"),
        (["dead", "list", "--after", "12"], 1, "(NOT_FOUND)"),
        (["progress", "1", "1", "--message", String(repeating: "m", count: 256)], 64, "field jobs[0].message"),
        (["ping", "--connect", "127.0.0.1:1"], 69, "(UNREACHABLE)"),
      ]
      #expect(try broker.run(["wait", id, "--timeout", "1ms"]).status == 75)
      for row in rows {
        let ended = try broker.run(row.arguments)
        #expect(ended.status == row.status && ended.error.contains(row.words), "\(row.arguments): \(ended)")
        #expect(ended.error.isEmpty || ended.error.hasPrefix("nuvom: "), "\(ended)")
        #expect(ended.error.count { $0 == "\n" } <= 1, "\(ended)")
      }
    }

    @Test(
      "A command line that is wrong: 64, before a broker is asked",
      arguments: [
        ["enqueue"], ["enqueue", "t", "--payload", "a", "--args", "[]"], ["enqueue", "t", "--args", "{}"],
        ["enqueue", "t", "--kwargs", "{"], ["enqueue", "t", "--delay", "5"],
        ["enqueue", "t", "--delay", "1s", "--at", "2099-01-01T00:00:00Z"],
        ["enqueue", "t", "--at", "tomorrow"], ["enqueue", "t", "--priority", "256"],
        ["enqueue", "t", "--unique-for", "1s"],
        ["progress", "1", "1"], ["progress", "1", "1", "--percent", "101"],
        ["progress", "1", "1", "--percent=-1"], ["progress", "1", "--percent", "1"],
        ["get", "xyz"], ["get", "00000000000000001"], ["ack", "1", "0"], ["ack", "1"],
        ["ack", "1", "1", "--result", "{"],
        ["nack", "1", "1", "--no-retry", "--delay", "1s"], ["dead", "replay"], ["dead", "delete", "1", "--all"],
        ["dead", "list", "--reason", "boredom"], ["dead", "list", "--limit", "0"], ["cancel"], ["nonsense"],
        ["ping", "--nonsense"],
      ])
    func usage(_ arguments: [String]) throws {
      let ended = try Workspace().nuvom(arguments, environment: ["NUVOM_CONNECT": "127.0.0.1:1"])
      #expect(ended.status == 64 && !ended.error.isEmpty && ended.output.isEmpty, "\(ended)")
    }

    @Test("Help is for newcomers: every command has a line, the first steps work")
    func help() throws {
      let workspace = try Workspace()
      let help = try workspace.nuvom(["--help"])
      #expect(help.status == 0 && help.output.contains("FIRST STEPS") && help.output.contains("EXIT STATUS"))
      #expect(help.output.split(separator: "\n").allSatisfy { $0.count <= 80 })
      #expect(try workspace.nuvom([]).status == 0)
    }
  }
}
