import BrokerProcess
import Glibc
import MessagePack
import NuvomModel
import Testing

@Suite(.serialized)
struct ProtocolPageTests {
  @Test("Every transcript of Protocol.md is what the broker says", arguments: Transcript.all)
  func transcript(_ story: Transcript) throws {
    #expect(!story.steps.isEmpty, "its notation cannot be read")
    try story.play(on: try BrokerProcess())
  }

  @Test("Protocol.md has its stories")
  func stories() {
    #expect(Transcript.all.count >= 15)
  }

  @Test(
    "A transcript that is not what the broker says is noticed",
    arguments: [
      "→ [0, 1, \"ping\", {}]\n← [1, 1, nil, {}]",
      "→ [0, 0, \"hello\", {\"version\": 1}]\n← [1, 0, nil, {}]",
      "→ [0, 0, \"hello\", {\"version\": 1}]\n← [1, 0, nil, {\"version\": 2, …}]",
      "→ [0, 0, \"hello\", {\"version\": 1}]\n← [<a>, <a>, nil, …]",
      "→ [0, <unknown>, \"ping\", {}]",
    ])
  func notices(lines: String) throws {
    let stories = Transcript.stories(of: "### Wrong\n```transcript\n\(lines)\n```")
    let story = try #require(stories.first)
    #expect(!story.steps.isEmpty)
    let broker = try BrokerProcess(ephemeral: true)
    #expect(throws: BrokerFailure.self) { try story.play(on: broker) }
  }

  @Test("The frame in hexadecimal is the ping it says, in as many bytes as it says")
  func hexadecimal() throws {
    let match = try #require(
      Transcript.page.firstMatch(
        of: /A `ping` as request 7, (?<count>\d+) bytes in all:\n\n```\n(?<bytes>[0-9a-f ]+)\n/))
    let bytes = match.output.bytes.split(separator: " ").compactMap { UInt8($0, radix: 16) }
    #expect(bytes.count == Int(match.output.count))
    #expect(bytes == RawConnection.frame(Array(bytes.dropFirst(4))))
    #expect(try MessageValue(decoding: Array(bytes.dropFirst(4))) == [0, 7, "ping", [:]])
  }

  @Test("The page's error codes are the broker's")
  func errorCodes() throws {
    let table = try #require(Transcript.page.split(separator: "## Errors\n").last?.split(separator: "\n## ").first)
    let rows = table.split(separator: "\n").filter { $0.hasPrefix("| `") }
    let listed = rows.flatMap { row in row.split(separator: "|")[0].matches(of: /`([A-Z_]+)`/).map { String($0.1) } }
    #expect(Set(listed) == Set(ErrorCode.allCases.map { code in "\(code.wireName)" }))
    #expect(listed.count == Set(listed).count)
  }

  /// The methods by the headings of the page.
  static let methods: [String] = {
    let section = Transcript.page.split(separator: "\n## Methods\n").last?.split(separator: "\n## ").first ?? ""
    let headings = section.split(separator: "\n").filter { $0.hasPrefix("### ") }
    return headings.flatMap { heading in heading.dropFirst(4).split(separator: ", ").map(String.init) }
  }()

  @Test("Every method of the page is known to the broker, and has its row in the table of what is legal when")
  func methodsExist() throws {
    #expect(Self.methods.count >= 20)
    let broker = try BrokerProcess(ephemeral: true)
    let connection = try RawConnection(port: broker.port)
    try connection.hello()
    let table = try #require(
      Transcript.page.split(separator: "\n## What is legal when\n").last?.split(separator: "\n## ").first)
    for (index, method) in Self.methods.enumerated() where method != "hello" {
      let answer = try connection.call(UInt64(index + 1), method)
      #expect(answer[2]?["code"] != "UNKNOWN_METHOD", "\(method)")
      #expect(table.contains("`\(method)`"), "\(method) has no row")
    }
  }

  @Test("Before hello, no method of the page is done")
  func beforeHello() throws {
    let broker = try BrokerProcess(ephemeral: true)
    for method in Self.methods where method != "hello" {
      let connection = try RawConnection(port: broker.port)
      try connection.send([0, 1, .string(method), [:]])
      #expect(try connection.receive()?[2]?["code"] == "HELLO_REQUIRED", "\(method)")
      #expect(try connection.receive()?[2]?["code"] == "HELLO_REQUIRED", "\(method)")
      #expect(try connection.receive() == nil, "\(method)")
    }
  }

  @Test("On SIGTERM what was sent before is answered, then comes goodbye, and the broker ends well with all it knew")
  func draining() throws {
    let broker = try BrokerProcess()
    let connection = try RawConnection(port: broker.port)
    try connection.hello()
    let job = try #require(try connection.call(1, "enqueue", ["jobs": [["task": "t"]]])[3]?["ids"]?[0])
    try connection.send([0, 2, "dequeue", ["queues": ["empty"], "wait_ms": 3_600_000]])
    _ = try connection.call(3, "ping")
    broker.signal(SIGTERM)
    let goodbye = try #require(try connection.receive())
    #expect(goodbye[1] == "goodbye" && goodbye[2]?["code"] == "SHUTTING_DOWN", "\(goodbye)")
    #expect(goodbye[2]?["retry_after_ms"] != nil)
    #expect(try connection.receive() == nil)
    #expect(broker.waitForExit() == 0)
    try broker.start()
    let later = try RawConnection(port: broker.port)
    try later.hello()
    #expect(try later.call(1, "get", ["id": job])[3]?["state"] == "ready")
  }
}
