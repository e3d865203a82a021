import BrokerProcess
import MessagePack
import Testing

/// Bytes that no good client sends, and what they get.
struct HostileInput: CustomTestStringConvertible, Sendable {
  enum Answer: Sendable {
    /// The request is refused; the connection goes on. The parameter is named.
    case refused(String, field: String? = nil)
    /// The connection ends with a reason.
    case goodbye(String)
  }

  let testDescription: String
  let bytes: [UInt8]
  let answer: Answer
  let saysHelloFirst: Bool

  init(_ name: String, bytes: [UInt8], hello: Bool = true, _ answer: Answer) {
    testDescription = name
    self.bytes = bytes
    saysHelloFirst = hello
    self.answer = answer
  }

  /// One frame around the body.
  init(_ name: String, body: [UInt8], hello: Bool = true, _ answer: Answer) {
    self.init(name, bytes: RawConnection.frame(body), hello: hello, answer)
  }

  /// A well-formed message.
  init(_ name: String, _ message: MessageValue, hello: Bool = true, _ answer: Answer) {
    self.init(name, body: (try? message.encoded()) ?? [], hello: hello, answer)
  }

  /// A request whose form is good.
  init(_ name: String, _ method: String, _ params: MessageValue, hello: Bool = true, _ answer: Answer) {
    self.init(name, [0, 9, .string(method), params], hello: hello, answer)
  }

  /// An enqueue of one job that has a task and this.
  init(_ name: String, job: [(MessageValue, MessageValue)], _ field: String) {
    self.init(name, "enqueue", ["jobs": [.map([("task", "t")] + job)]], .refused("BAD_PARAMS", field: field))
  }
}

extension HostileInput {
  static let framing: [HostileInput] = [
    .init("A length of 4 GiB", bytes: [0xff, 0xff, 0xff, 0xff], .goodbye("FRAME_TOO_LARGE")),
    .init("A length of 16 MiB and one byte", bytes: [1, 0, 0, 1], .goodbye("FRAME_TOO_LARGE")),
    .init(
      "A length of 4 KiB and one byte before hello", bytes: [0, 0, 0x10, 1], hello: false, .goodbye("FRAME_TOO_LARGE")),
    .init("A length of zero", bytes: [0, 0, 0, 0], .goodbye("MALFORMED_FRAME")),
    .init("An HTTP request", bytes: Array("GET / HTTP/1.1\r\n\r\n".utf8), hello: false, .goodbye("FRAME_TOO_LARGE")),
    .init(
      "An array of 2^32-1 elements in 6 bytes", body: [0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0], .goodbye("MALFORMED_FRAME")),
    .init("A map of 2^32-1 pairs in 6 bytes", body: [0xdf, 0xff, 0xff, 0xff, 0xff, 0xc0], .goodbye("MALFORMED_FRAME")),
    .init("A string of 2^32-1 bytes in 6", body: [0xdb, 0xff, 0xff, 0xff, 0xff, 0x61], .goodbye("MALFORMED_FRAME")),
    .init(
      "2^32-1 jobs in a request of 20 bytes",
      body: beginningOfJobs + [0xdd, 0xff, 0xff, 0xff, 0xff], .goodbye("MALFORMED_FRAME")),
    .init(
      "An array nested a million times", body: [UInt8](repeating: 0x91, count: 1_000_000) + [0xc0],
      .goodbye("MALFORMED_FRAME")),
    .init(
      "A map nested 33 times", body: (0..<33).flatMap { _ in [UInt8](arrayLiteral: 0x81, 0xa1, 0x61) } + [0xc0],
      .goodbye("MALFORMED_FRAME")),
    .init(
      "262,145 elements", body: [0xdd, 0, 4, 0, 0] + [UInt8](repeating: 0xc0, count: 262_144),
      .goodbye("LIMIT_EXCEEDED")),
    .init(
      "The byte that begins no value", body: [0x94, 0, 9, 0xa4, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1],
      .goodbye("MALFORMED_FRAME")),
    .init("A value cut in the middle", body: [0x94, 0, 9, 0xa4, 0x70, 0x69], .goodbye("MALFORMED_FRAME")),
    .init(
      "A byte after the value", body: [0x94, 0, 9, 0xa4, 0x70, 0x69, 0x6e, 0x67, 0x80, 0xc0],
      .goodbye("MALFORMED_FRAME")),
    .init("A frame that is a number", 7, .goodbye("MALFORMED_FRAME")),
    .init("A frame that is an empty array", [], .goodbye("MALFORMED_FRAME")),
    .init("A response instead of a request", [1, 9, nil, [:]], .goodbye("MALFORMED_FRAME")),
    .init("A request without parameters", [0, 9, "ping"], .goodbye("MALFORMED_FRAME")),
    .init("A request with an array as parameters", [0, 9, "ping", []], .goodbye("MALFORMED_FRAME")),
    .init("A request whose method is a number", [0, 9, 5, [:]], .goodbye("MALFORMED_FRAME")),
    .init("A request id below zero", [0, -1, "ping", [:]], .goodbye("MALFORMED_FRAME")),
    .init("A request id of 2^63", [0, .uint(1 << 63), "ping", [:]], .goodbye("MALFORMED_FRAME")),
    .init("A request id that is a float", [0, 1.0, "ping", [:]], .goodbye("MALFORMED_FRAME")),
    .init("A parameter whose name is a number", "ping", [1: 2], .goodbye("MALFORMED_FRAME")),
  ]

  static let sessions: [HostileInput] = [
    .init("An enqueue before hello", "enqueue", ["jobs": [["task": "t"]]], hello: false, .goodbye("HELLO_REQUIRED")),
    .init("An unknown method before hello", "frobnicate", [:], hello: false, .goodbye("HELLO_REQUIRED")),
    .init(
      "A hello of version 2^63", "hello", ["version": .uint(1 << 63)], hello: false, .goodbye("UNSUPPORTED_VERSION")),
    .init("A hello of no version", "hello", [:], hello: false, .goodbye("BAD_PARAMS")),
    .init(
      "A hello with an empty client id", "hello", ["version": 1, "client_id": ""], hello: false, .goodbye("BAD_PARAMS")),
    .init(
      "A hello with a client id of 65 bytes", "hello",
      ["version": 1, "client_id": .binary([UInt8](repeating: 1, count: 65))], hello: false, .goodbye("BAD_PARAMS")),
    .init("A second hello", "hello", ["version": 1], .refused("BAD_PARAMS")),
    .init("An unknown method", "frobnicate", [:], .refused("UNKNOWN_METHOD")),
    .init("A method of a megabyte", .string(megabyte), [:], .refused("UNKNOWN_METHOD")),
    .init(
      "A method that is not UTF-8", body: [0x94, 0, 9, 0xa4, 0xff, 0xfe, 0xff, 0xfe, 0x80], .refused("UNKNOWN_METHOD")),
  ]

  static let values: [HostileInput] = [
    .init("An empty queue name", job: [("queue", "")], "queue"),
    .init("A queue name of 256 bytes", job: [("queue", .string(String(repeating: "q", count: 256)))], "queue"),
    .init("A queue name of a megabyte", job: [("queue", .string(megabyte))], "queue"),
    .init("A queue name with a line feed", job: [("queue", "a\nb")], "queue"),
    .init("A queue name with a C1 control character", job: [("queue", "a\u{85}b")], "queue"),
    .init("A queue name that is binary", job: [("queue", .binary([0x61]))], "queue"),
    .init("A queue name that is not UTF-8", body: invalidQueue([0xff]), .refused("BAD_PARAMS", field: "queue")),
    .init(
      "A queue name with an overlong slash", body: invalidQueue([0xc0, 0xaf]), .refused("BAD_PARAMS", field: "queue")),
    .init(
      "A queue name with half a surrogate pair", body: invalidQueue([0xed, 0xa0, 0x80]),
      .refused("BAD_PARAMS", field: "queue")),
    .init("No task", "enqueue", ["jobs": [["queue": "q"]]], .refused("BAD_PARAMS", field: "task")),
    .init("A priority below zero", job: [("priority", -1)], "priority"),
    .init("A priority of 256", job: [("priority", 256)], "priority"),
    .init("A priority that is a whole float", job: [("priority", 1.0)], "priority"),
    .init("A delay that is NaN", job: [("delay_ms", .double(.nan))], "delay_ms"),
    .init("A delay that is infinite", job: [("delay_ms", .double(.infinity))], "delay_ms"),
    .init("A delay below zero", job: [("delay_ms", .int(.min))], "delay_ms"),
    .init("A delay of 2^64-1", job: [("delay_ms", .uint(.max))], "delay_ms"),
    .init("A delay that is a string", job: [("delay_ms", "5")], "delay_ms"),
    .init("A start in the year 300000", job: [("start_at_ms", 9_404_995_392_000_000)], "start_at_ms"),
    .init("An expiry in the year 300000", job: [("expires_at_ms", 9_404_995_392_000_000)], "expires_at_ms"),
    .init("A delay and a start", job: [("delay_ms", 1), ("start_at_ms", 1)], "start_at_ms"),
    .init("No attempts", job: [("max_attempts", 0)], "max_attempts"),
    .init("65,536 attempts", job: [("max_attempts", 65_536)], "max_attempts"),
    .init("An unknown backoff", job: [("backoff", "random")], "backoff"),
    .init("A jitter of 101 percent", job: [("jitter_percent", 101)], "jitter_percent"),
    .init("A lease of more than a day", job: [("lease_ms", 86_400_001)], "lease_ms"),
    .init("A payload that is a number", job: [("payload", 5)], "payload"),
    .init(
      "A payload of 8 MiB and one byte", job: [("payload", .binary([UInt8](repeating: 0, count: 8 << 20 | 1)))],
      "payload"),
    .init(
      "Headers of more than 64 KiB", job: [("headers", ["h": .binary([UInt8](repeating: 0, count: 1 << 16))])],
      "headers"),
    .init("A header that is a number", job: [("headers", ["h": 1])], "headers"),
    .init("Tags of more than 4 KiB", job: [("tags", [.string(String(repeating: "t", count: 4_096))])], "tags"),
    .init("An empty unique key", job: [("unique_key", "")], "unique_key"),
    .init("A unique key of 256 bytes", job: [("unique_key", .binary([UInt8](repeating: 1, count: 256)))], "unique_key"),
    .init("No jobs", "enqueue", ["jobs": []], .refused("BAD_PARAMS", field: "jobs")),
    .init(
      "10,001 jobs", "enqueue", ["jobs": .array(Array(repeating: ["task": "t"], count: 10_001))],
      .refused("BAD_PARAMS", field: "jobs")),
    .init("Jobs that are a map", "enqueue", ["jobs": [:]], .refused("BAD_PARAMS", field: "jobs")),
    .init("A dequeue of none", "dequeue", ["max": 0], .refused("BAD_PARAMS", field: "max")),
    .init("A dequeue of 10,001", "dequeue", ["max": 10_001], .refused("BAD_PARAMS", field: "max")),
    .init("A dequeue from no queue", "dequeue", ["queues": []], .refused("BAD_PARAMS", field: "queues")),
    .init(
      "A dequeue from 65 queues", "dequeue", ["queues": .array(Array(repeating: "q", count: 65))],
      .refused("BAD_PARAMS", field: "queues")),
    .init("A wait of more than an hour", "dequeue", ["wait_ms": 3_600_001], .refused("BAD_PARAMS", field: "wait_ms")),
    .init("A lease of nothing", "dequeue", ["lease_ms": 0], .refused("BAD_PARAMS", field: "lease_ms")),
    .init("An ack without a token", "ack", ["jobs": [["id": 1]]], .refused("BAD_PARAMS", field: "token")),
    .init("An ack with token zero", "ack", ["jobs": [["id": 1, "token": 0]]], .refused("BAD_PARAMS", field: "token")),
    .init(
      "An ack of a job id below zero", "ack", ["jobs": [["id": -1, "token": 1]]], .refused("BAD_PARAMS", field: "id")),
    .init(
      "A nack whose retry is a number", "nack", ["jobs": [["id": 1, "token": 1, "retry": 1]]],
      .refused("BAD_PARAMS", field: "retry")),
    .init("Progress of no job", "progress", ["jobs": []], .refused("BAD_PARAMS", field: "jobs")),
    .init(
      "Progress of 101 percent", "progress", ["jobs": [["id": 1, "token": 1, "percent": 101]]],
      .refused("BAD_PARAMS", field: "percent")),
    .init(
      "Progress with a message of a megabyte", "progress",
      ["jobs": [["id": 1, "token": 1, "message": .string(megabyte)]]], .refused("BAD_PARAMS", field: "message")),
    .init(
      "Progress in a multi", "multi", ["operations": [["progress", ["jobs": [["id": 1, "token": 1]]]]]],
      .refused("BAD_PARAMS", field: "operations")),
    .init("A cancel of names", "cancel", ["ids": ["a"]], .refused("BAD_PARAMS", field: "ids")),
    .init("A get of the largest id", "get", ["id": .uint(.max)], .refused("NOT_FOUND")),
    .init("A get of no id", "get", [:], .refused("BAD_PARAMS", field: "id")),
    .init("A multi of nothing", "multi", ["operations": []], .refused("BAD_PARAMS", field: "operations")),
    .init(
      "A multi of 1,001", "multi", ["operations": .array(Array(repeating: ["cancel", ["ids": [1]]], count: 1_001))],
      .refused("BAD_PARAMS", field: "operations")),
    .init(
      "A multi in a multi", "multi", ["operations": [["multi", ["operations": []]]]],
      .refused("BAD_PARAMS", field: "operations")),
    .init(
      "A multi that settles a job twice", "multi",
      ["operations": [["ack", ["jobs": [["id": 1, "token": 1]]]], ["nack", ["jobs": [["id": 1, "token": 1]]]]]],
      .refused("BAD_PARAMS", field: "jobs")),
    .init("A queue that is not there", "queue", ["queue": "nowhere"], .refused("NOT_FOUND")),
    .init("A page of dead letters after a stranger", "dead_list", ["after": 12_345], .refused("NOT_FOUND")),
    .init("A page of 1,001 dead letters", "dead_list", ["limit": 1_001], .refused("BAD_PARAMS", field: "limit")),
  ]

  /// An enqueue up to where its list of jobs begins.
  private static let beginningOfJobs: [UInt8] =
    [0x94, 0, 9, 0xa7] + Array("enqueue".utf8) + [0x81, 0xa4] + Array("jobs".utf8)

  private static let megabyte = String(repeating: "m", count: 1 << 20)

  /// An enqueue into a queue whose name is these bytes, as a string.
  private static func invalidQueue(_ name: [UInt8]) -> [UInt8] {
    let head: [UInt8] = beginningOfJobs + [0x91, 0x82]
    let task: [UInt8] = [0xa4] + Array("task".utf8) + [0xa1, 0x74]
    return head + task + [0xa5] + Array("queue".utf8) + [0xa0 | UInt8(name.count)] + name
  }

  init(_ name: String, _ method: MessageValue, _ params: MessageValue, _ answer: Answer) {
    self.init(name, [0, 9, method, params], answer)
  }
}

/// A broker that strangers torment, while a good client looks on.
struct TormentedBroker {
  let broker: BrokerProcess
  let bystander: RawConnection
  private let residentBefore: Int

  init(options: [String] = []) throws {
    broker = try BrokerProcess(ephemeral: true, options: options)
    bystander = try RawConnection(port: broker.port)
    try bystander.hello()
    residentBefore = try broker.residentBytes()
  }

  /// The good client is answered; nothing of the strangers reached it.
  func pingBystander() throws {
    #expect(try bystander.call(1, "ping") == [1, 1, nil, [:]])
  }

  /// Nothing was enqueued, the process lives and has not taken more memory than this.
  func expectUnharmed(growthBelow bound: Int) throws {
    try pingBystander()
    let growth = try broker.residentBytes() - residentBefore
    #expect(growth < bound, "resident memory grew by \(growth) bytes")
    #expect(broker.isRunning)
  }
}

@Suite(.serialized)
struct HostileInputTests {
  @Test("Bad input gets a typed answer", arguments: HostileInput.framing + HostileInput.sessions + HostileInput.values)
  func hostile(_ input: HostileInput) throws {
    let tormented = try TormentedBroker()
    let stranger = try RawConnection(port: tormented.broker.port)
    if input.saysHelloFirst { try stranger.hello() }
    stranger.send(input.bytes)
    switch input.answer {
    case .refused(let code, let field):
      let answer = try #require(try stranger.receive())
      #expect(answer[0] == 1 && answer[1] == 9 && answer[3] == .null, "\(answer)")
      #expect(answer[2]?["code"] == .string(code), "\(answer)")
      if let field { #expect(answer[2]?["field"]?.text?.contains(field) == true, "\(answer)") }
      #expect(try stranger.call(10, "ping") == [1, 10, nil, [:]])
    case .goodbye(let code):
      var last: MessageValue?
      while let message = try stranger.receive() { last = message }
      #expect(last?[0] == 2 && last?[1] == "goodbye", "\(last ?? nil)")
      #expect(last?[2]?["code"] == .string(code), "\(last ?? nil)")
    }
    #expect(try tormented.bystander.call(2, "stats")[3]?["ready"] == 0)
    try tormented.expectUnharmed(growthBelow: 8 * input.bytes.count + (16 << 20))
  }

  @Test("Strangers that send noise are sent away, one after the other and all at once")
  func noise() throws {
    let tormented = try TormentedBroker()
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    var open: [RawConnection] = []
    for round in 0..<200 {
      let noise = (0..<4_096).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
      }
      let stranger = try RawConnection(port: tormented.broker.port)
      if round % 2 == 0 { try stranger.hello() }
      // Every other length is one that passes, so that the noise is read as a value.
      stranger.send(round % 4 < 2 ? noise : RawConnection.frame(noise))
      open.append(stranger)
      try tormented.pingBystander()
    }
    for (round, stranger) in open.enumerated() {
      // The end may come as a reset, if noise was left unread.
      stranger.finishSending()
      while let message = try stranger.receive() {
        #expect(message[2]?["code"] != nil && message[2]?["code"] != .null, "round \(round): \(message)")
      }
    }
    try tormented.expectUnharmed(growthBelow: 32 << 20)
  }

  @Test("What was half sent is forgotten with its connection")
  func halfSent() throws {
    let tormented = try TormentedBroker()
    for round in 0..<300 {
      let stranger = try RawConnection(port: tormented.broker.port)
      if round % 3 == 0 {
        stranger.send([0, 0, 0])
      } else {
        try stranger.hello()
        stranger.send([0, 0x80, 0, 0] + [UInt8](repeating: 0xc6, count: 100_000))
      }
      stranger.close()
    }
    var connections = MessageValue.null
    for round in 0..<100_000 where connections != 1 {
      connections = try tormented.bystander.call(UInt64(round + 2), "stats")[3]?["connections"] ?? nil
    }
    #expect(connections == 1)
    try tormented.expectUnharmed(growthBelow: 64 << 20)
  }

  @Test(
    "A client that never reads is not read from, and has its answers when it does",
    arguments: [(payload: 100, requests: 60_000), (payload: 1 << 20, requests: 300), (payload: 8 << 20, requests: 40)])
  func neverReads(payload: Int, requests: Int) throws {
    let tormented = try TormentedBroker()
    let stranger = try RawConnection(port: tormented.broker.port)
    try stranger.hello()
    let bytes = MessageValue.binary([UInt8](repeating: 7, count: payload))
    let enqueued = try stranger.call(1, "enqueue", ["jobs": [["task": "t", "payload": bytes]]])
    let job = try #require(enqueued[3]?["ids"]?[0])

    var frames: [UInt8] = []
    var ends: [Int] = []
    for id in 0..<requests {
      frames += RawConnection.frame(try ([0, .uint(UInt64(id)), "get", ["id": job]] as MessageValue).encoded())
      ends.append(frames.count)
    }
    var sent = 0
    var refusals = 0
    // Who is not read from cannot send: many turns of the broker later it still cannot.
    while sent < frames.count, refusals < 300 {
      let count = stranger.sendWhatFits(Array(frames[sent..<min(sent + 65_536, frames.count)]))
      refusals = count == 0 ? refusals + 1 : 0
      sent += count
      try tormented.pingBystander()
    }
    try tormented.expectUnharmed(growthBelow: (48 << 20) + 4 * payload)

    let whole = ends.prefix { $0 <= sent }.count
    for id in 0..<min(whole, 40) {
      let answer = try #require(try stranger.receive())
      #expect(answer[1] == .uint(UInt64(id)) && answer[3]?["payload"] == bytes)
    }
  }

  @Test("The largest job of all is told in one frame, without its payload if need be")
  func largestJob() throws {
    let tormented = try TormentedBroker()
    let client = try RawConnection(port: tormented.broker.port)
    try client.hello()
    let most = MessageValue.binary([UInt8](repeating: 7, count: 8 << 20))
    let header = MessageValue.binary([UInt8](repeating: 7, count: 65_000))
    let text = MessageValue.string(String(repeating: "x", count: 20_000))
    let job: MessageValue = [
      "task": "t", "payload": most, "headers": ["h": header], "tags": [.string(String(repeating: "t", count: 4_000))],
      "retention_ms": 60_000, "max_attempts": 20,
    ]
    _ = try client.call(1, "enqueue", ["jobs": [job]])
    var held = try #require(try client.call(2, "dequeue")[3]?["jobs"]?[0])
    for id in 3..<13 as Range<UInt64> {
      let nack: MessageValue = [
        "id": held["id"] ?? nil, "token": held["token"] ?? nil, "message": text, "trace": text, "delay_ms": 0,
      ]
      held = try #require(try client.call(id, "dequeue", ["nack": [nack], "wait_ms": 60_000])[3]?["jobs"]?[0])
    }
    let ack: MessageValue = ["id": held["id"] ?? nil, "token": held["token"] ?? nil, "result": most]
    #expect(try client.call(20, "ack", ["jobs": [ack]]) == [1, 20, nil, [:]])
    let answer = try client.call(21, "get", ["id": held["id"] ?? nil])
    #expect(answer[3]?["result"] == most)
    #expect(answer[3]?["payload"] == nil)
    #expect(answer[3]?["headers"] == ["h": header])
  }

  @Test("A page of large dead letters is cut, and the pages together have them all")
  func largeDeadLetters() throws {
    let tormented = try TormentedBroker()
    let client = try RawConnection(port: tormented.broker.port)
    try client.hello()
    let bytes = MessageValue.binary([UInt8](repeating: 7, count: 1 << 20))
    for id in 1...20 as ClosedRange<UInt64> {
      _ = try client.call(id, "enqueue", ["jobs": [["task": "t", "payload": bytes]]])
      let job = try #require(try client.call(id, "dequeue")[3]?["jobs"]?[0])
      let settlement: MessageValue = ["id": job["id"] ?? nil, "token": job["token"] ?? nil, "retry": false]
      #expect(try client.call(id, "nack", ["jobs": [settlement]]) == [1, .uint(id), nil, [:]])
    }
    var listed: [MessageValue] = []
    var after = MessageValue.null
    var pages = 0
    repeat {
      let page = try #require(try client.call(1, "dead_list", ["limit": 1_000, "after": after])[3])
      guard case .array(let jobs)? = page["jobs"] else { throw BrokerFailure("no jobs in \(page)") }
      #expect(jobs.count <= 8)
      listed += jobs.compactMap { $0["id"] }
      after = page["next"] ?? nil
      pages += 1
    } while after != .null && pages < 20
    #expect(listed.count == 20 && Set(listed.map { "\($0)" }).count == 20)
  }

  @Test("One connection more than allowed is told so, and a place that is freed can be taken")
  func connectionLimit() throws {
    let tormented = try TormentedBroker(options: ["--max-connections", "8"])
    var open: [RawConnection] = []
    for _ in 0..<7 {
      let connection = try RawConnection(port: tormented.broker.port)
      try connection.hello()
      open.append(connection)
    }
    let refused = try RawConnection(port: tormented.broker.port)
    let goodbye = try #require(try refused.receive())
    #expect(goodbye[1] == "goodbye" && goodbye[2]?["code"] == "TOO_MANY_CONNECTIONS", "\(goodbye)")
    #expect(goodbye[2]?["retry_after_ms"] != nil)
    #expect(try refused.receive() == nil)
    open.removeLast().close()
    // The broker learns of the freed place before it answers what is asked after it: its loop reads closed sockets in the same turn.
    var connections = MessageValue.null
    for round in 0..<100_000 where connections != 7 {
      connections = try tormented.bystander.call(UInt64(round + 2), "stats")[3]?["connections"] ?? nil
    }
    let late = try RawConnection(port: tormented.broker.port)
    #expect(try late.hello()[2] == .null)
    try tormented.expectUnharmed(growthBelow: 16 << 20)
  }

  @Test("A request above those remembered is done, one below is refused and not done")
  func forgotten() throws {
    let tormented = try TormentedBroker()
    let client = try RawConnection(port: tormented.broker.port)
    try client.hello(clientID: "c")
    var ids: [MessageValue] = []
    for request in 1...1_100 as ClosedRange<UInt64> {
      let answer = try client.call(request, "enqueue", ["jobs": [["task": "t"]]])
      ids.append(try #require(answer[3]?["ids"]?[0]))
    }
    #expect(try client.call(1, "enqueue", ["jobs": [["task": "t"]]])[2]?["code"] == "REQUEST_FORGOTTEN")
    #expect(try client.call(0, "enqueue", ["jobs": [["task": "t"]]])[2]?["code"] == "REQUEST_FORGOTTEN")
    #expect(try client.call(77, "enqueue", ["jobs": [["task": "t"]]])[3]?["ids"]?[0] == ids[76])
    #expect(try client.call(1_100, "enqueue", ["jobs": [["task": "t"]]])[3]?["ids"]?[0] == ids[1_099])
    #expect(try client.call(1_101, "stats")[3]?["ready"] == 1_100)
  }

  @Test("A connection with too many waiting requests has the next refused")
  func tooManyWaiting() throws {
    let tormented = try TormentedBroker()
    let stranger = try RawConnection(port: tormented.broker.port)
    try stranger.hello()
    for id in 1...1_025 as ClosedRange<UInt64> {
      try stranger.send([0, .uint(id), "dequeue", ["wait_ms": 3_600_000]])
    }
    let answer = try #require(try stranger.receive())
    #expect(answer[1] == 1_025 && answer[2]?["code"] == "LIMIT_EXCEEDED", "\(answer)")
    try tormented.expectUnharmed(growthBelow: 16 << 20)
  }
}

extension MessageValue {
  /// The text of a string.
  fileprivate var text: String? { if case .string(let text) = self { text } else { nil } }
}
