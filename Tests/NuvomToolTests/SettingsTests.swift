import NuvomCommandLine
import MessagePack
import Testing

@testable import nuvom

extension ProgramTests {
  @Suite struct SettingsTests {
    /// One row: where `fsync` is set, what comes of it.
    struct Row: Sendable, CustomTestStringConvertible {
      var flag: String?
      var environment: String?
      var file: String?
      let value: String
      let source: String
      var testDescription: String { "\(value) from \(source)" }
    }

    @Test(
      "A flag wins over the environment, that over .env, that over the default",
      arguments: [
        Row(value: "always", source: "default"),
        Row(file: "never", value: "never", source: ".env"),
        Row(file: "\"interval:5\"", value: "interval:5", source: ".env"),
        Row(environment: "interval:7", file: "never", value: "interval:7", source: "environment"),
        Row(environment: "", file: "never", value: "never", source: ".env"),
        Row(flag: "interval", environment: "always", file: "never", value: "interval", source: "flag"),
      ])
    func precedence(_ row: Row) throws {
      let workspace = try Workspace()
      if let file = row.file { try workspace.write("# settings\nNUVOM_FSYNC=\(file)\n", to: ".env") }
      let ended = try workspace.nuvom(
        ["config", "--json"] + (row.flag.map { ["--fsync", $0] } ?? []),
        environment: row.environment.map { ["NUVOM_FSYNC": $0] } ?? [:])
      let setting = try #require(try ended.json()["fsync"], "\(ended.error)")
      #expect(try setting.text("value") == row.value && setting.text("source") == row.source)
    }

    @Test("Every setting is shown with its variable")
    func all() throws {
      let ended = try Workspace().nuvom(["config"])
      for setting in Setting.allCases {
        #expect(ended.output.contains(setting.rawValue) && ended.output.contains(setting.variable))
      }
    }

    @Test(
      "A setting that cannot be is refused, with the place where it was written",
      arguments: [
        (["--fsync", "often"], [:], 64, "--fsync is \"often\""),
        (["--memory-limit", "1GB"], [:], 64, "--memory-limit"),
        (["--memory-limit", "1KiB"], [:], 64, "16MiB at least"),
        (["--disk-limit", "63MiB"], [:], 64, "64MiB at least"),
        (["--max-connections", "0"], [:], 64, "--max-connections"),
        (["--log-level", "loud"], [:], 64, "trace, debug"),
        (["--data", "x", "--ephemeral"], [:], 64, "contradict"),
        (["--connect", "nowhere:"], [:], 64, "--connect"),
        ([], ["NUVOM_DISK_LIMIT": "much"], 78, "environment variable NUVOM_DISK_LIMIT is \"much\""),
        ([], ["NUVOM_INSECURE": "perhaps"], 78, "true or false"),
        (["--listen", "0.0.0.0:0"], [:], 78, "--insecure"),
        (["--listen", "[::]:0"], [:], 78, "no authentication"),
        ([], ["NUVOM_LISTEN": "example.org:8866"], 78, "--insecure"),
        (["--listen", "8866"], [:], 64, "HOST:PORT"),
      ] as [([String], [String: String], Int32, String)])
    func refused(_ flags: [String], _ environment: [String: String], _ status: Int32, _ words: String) throws {
      let ended = try Workspace().nuvom(["config"] + flags, environment: environment)
      #expect(ended.status == status && ended.error.contains(words) && ended.output.isEmpty, "\(ended)")
    }

    @Test("--insecure opens the way beyond this machine, --no-insecure closes what the environment opened")
    func insecure() throws {
      let workspace = try Workspace()
      let open = ["NUVOM_LISTEN": "0.0.0.0:0", "NUVOM_INSECURE": "yes"]
      #expect(try workspace.nuvom(["config"], environment: open).status == 0)
      #expect(try workspace.nuvom(["config", "--no-insecure"], environment: open).status == 78)
      #expect(try workspace.nuvom(["config", "--listen", "0.0.0.0:0", "--insecure"]).status == 0)
    }

    @Test("The broker that clients talk to is a setting, too")
    func connect() throws {
      let workspace = try Workspace()
      let broker = try RunningBroker(workspace, ["--ephemeral"])
      try workspace.write("NUVOM_CONNECT=127.0.0.1:1\n", to: ".env")
      #expect(try workspace.nuvom(["ping"]).status == 69)
      #expect(try broker.run(["ping"]).status == 0)
      #expect(
        try workspace.nuvom(["ping", "--connect", broker.address], environment: ["NUVOM_CONNECT": "x:1"]).status == 0)
      #expect(try broker.run(["ping", "--connect", "127.0.0.1:1"]).status == 69)
    }
  }
}
