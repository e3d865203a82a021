import NuvomCommandLine
import MessagePack
import Testing

@testable import nuvom

extension ProgramTests {
  @Suite struct StatusTests {
    private let workspace: Workspace
    private let broker: RunningBroker

    init() throws {
      workspace = try Workspace()
      broker = try RunningBroker(workspace, ["--ephemeral"])
    }

    @Test("Status says in a line how a job is; retry gives one that failed new attempts")
    func status() throws {
      let started = try NamedPipe(workspace, "started")
      let go = try NamedPipe(workspace, "go")
      let pending = try broker.enqueue(["task", "--queue", "later", "--delay", "1h"])
      #expect(try broker.run(["status", pending]).output.hasPrefix("🕒 PENDING (not tried yet, next at 2"))
      let id = try broker.enqueue(["task", "--max-attempts", "1"])
      let worker = try RunningWorker(
        workspace,
        [
          "--exec", "echo $NUVOM_LEASE_TOKEN > started; read word < go; echo $word >&2; test $word = good", "--connect",
          broker.address,
        ])
      let token = try started.line()
      try broker.ask(["progress", id, token, "--percent", "40", "--message", "half-way"])
      #expect(try broker.run(["status", id]).output == "🕒 RUNNING (attempt 1 of 1, 40 %, half-way)\n")
      go.write("bad")
      _ = try broker.finished(id, worker)
      let failed = try broker.run(["status", id])
      #expect(failed.status == 0 && failed.output == "❌ FAILED: ExitStatus: exit status 1: bad\n")
      #expect(try broker.run(["inspect", "job", id]).output.contains("traceback of attempt 1"))
      #expect(try broker.run(["retry", id]).output == "\(id) is ready again\n")
      _ = try started.line()
      go.write("good")
      _ = try broker.finished(id, worker)
      #expect(try broker.run(["status", id]).output == "✅ SUCCESS: null\n")
      #expect(try broker.ask(["status", id])["result"] == .null)
      let again = try broker.run(["retry", id])
      #expect(again.status == 1 && again.output.isEmpty && again.error.contains("NOT_FOUND"), "\(again)")
      try broker.ask(["cancel", pending])
      #expect(try broker.run(["status", pending]).output == "🚫 CANCELLED\n")
      #expect(try broker.run(["status", "1"]).status == 1)
    }

    @Test("A job is inspected as a table, as JSON on many lines, or raw on one")
    func inspect() throws {
      let id = try broker.enqueue(["resize", "--args", "[1]", "--kwargs", "{\"width\": 80}"])
      let table = try broker.run(["inspect", "job", id])
      for words in [
        "func_name     resize\n", "args          [1]\n", "kwargs        {\"width\":80}\n", "retries_left  3\n",
      ] {
        #expect(table.output.contains(words), "\(table)")
      }
      let json = try broker.run(["inspect", "job", id, "-f", "json"]).output
      #expect(
        json.hasPrefix("{\n  \"id\": \"\(id)\",\n") && json.contains("    \"args\": [\n      1\n    ],\n"), "\(json)")
      let raw = try broker.run(["inspect", "job", id, "--format", "raw"]).json()
      #expect(try raw == JSONText.read(json) && raw == broker.ask(["get", id]))
      #expect(try broker.run(["inspect", "job", "1"]).status == 1)
    }

    @Test(
      "A status without a job, or a form that there is not, is refused",
      arguments: [["status"], ["retry"], ["inspect", "job"], ["inspect", "job", "1", "-f", "xml"]])
    func usage(_ arguments: [String]) throws {
      #expect(try broker.run(arguments).status == 64)
    }
  }
}
