import MessagePack
import NuvomModel
import NuvomWire
import Testing

@Test(
  "A message that is not a request of the protocol's shape is fatal; the request is named where it can be",
  arguments: [
    Row(nil, "fatal MALFORMED_FRAME"),
    Row(5, "fatal MALFORMED_FRAME"),
    Row([:], "fatal MALFORMED_FRAME"),
    Row([], "fatal MALFORMED_FRAME"),
    Row([0], "fatal MALFORMED_FRAME"),
    Row([1, 17, nil, [:]], "fatal MALFORMED_FRAME"),
    Row([2, "ping", [:]], "fatal MALFORMED_FRAME"),
    Row([0.0, 17, "ping", [:]], "fatal MALFORMED_FRAME"),
    Row(["0", 17, "ping", [:]], "fatal MALFORMED_FRAME"),
    Row([0, -1, "ping", [:]], "fatal MALFORMED_FRAME"),
    Row([0, 17.0, "ping", [:]], "fatal MALFORMED_FRAME"),
    Row([0, nil, "ping", [:]], "fatal MALFORMED_FRAME"),
    Row([0, .uint(1 << 63), "ping", [:]], "fatal MALFORMED_FRAME"),
    Row([0, .uint((1 << 63) - 1), "ping", [:]], "ok"),
    Row([0, 0, "ping", [:]], "ok"),
    Row([0, 17], "fatal MALFORMED_FRAME of request 17"),
    Row([0, 17, "ping"], "fatal MALFORMED_FRAME of request 17"),
    Row([0, 17, "ping", [:], [:]], "fatal MALFORMED_FRAME of request 17"),
    Row([0, 17, "ping", nil], "fatal MALFORMED_FRAME of request 17"),
    Row([0, 17, "ping", []], "fatal MALFORMED_FRAME of request 17"),
    Row([0, 17, "ping", [1: 2]], "fatal MALFORMED_FRAME of request 17"),
    Row([0, 17, "enqueue", [.binary([1]): 2]], "fatal MALFORMED_FRAME of request 17"),
    Row([0, 17, nil, [:]], "fatal MALFORMED_FRAME of request 17"),
    Row([0, 17, .binary(Array("ping".utf8)), [:]], "fatal MALFORMED_FRAME of request 17"),
  ])
func shapes(row: Row) throws {
  #expect(try verdict(on: row.sent) == row.result)
}

@Test(
  "A frame that is not one MessagePack value is fatal",
  arguments: [
    ([], "fatal MALFORMED_FRAME"),
    ([0xC1], "fatal MALFORMED_FRAME"),
    // An array of 2^32-1 elements, and a map, in a few bytes.
    ([0xDD, 0xFF, 0xFF, 0xFF, 0xFF, 0], "fatal MALFORMED_FRAME"),
    ([0xDF, 0xFF, 0xFF, 0xFF, 0xFF, 0], "fatal MALFORMED_FRAME"),
    // A string and binary data that claim 4 GiB.
    ([0xDB, 0xFF, 0xFF, 0xFF, 0xFF, 0], "fatal MALFORMED_FRAME"),
    ([0xC6, 0xFF, 0xFF, 0xFF, 0xFF, 0], "fatal MALFORMED_FRAME"),
    // A good ping and one byte more.
    ([0x94, 0, 7, 0xA4, 0x70, 0x69, 0x6E, 0x67, 0x80, 0xC0], "fatal MALFORMED_FRAME"),
    ([0x94, 0, 7, 0xA4, 0x70, 0x69, 0x6E, 0x67, 0x80], "ok"),
  ] as [([UInt8], String)])
func frames(bytes: [UInt8], result: String) {
  #expect(verdict(on: bytes) == result)
}

@Test("A million containers in each other are refused, and so are 33 inside an unknown parameter")
func nesting() throws {
  #expect(verdict(on: [UInt8](repeating: 0x91, count: 1_000_000)) == "fatal MALFORMED_FRAME")
  // The request and its parameters are the first two of 32.
  let head: [UInt8] = [0x94, 0, 17, 0xA4, 0x70, 0x69, 0x6E, 0x67, 0x81, 0xA1, 0x78]
  #expect(verdict(on: head + [UInt8](repeating: 0x91, count: 30) + [0xC0]) == "ok")
  #expect(verdict(on: head + [UInt8](repeating: 0x91, count: 31) + [0xC0]) == "fatal MALFORMED_FRAME")
}

@Test("A frame has 262,144 elements at most: every value, key and container counts one")
func elements() throws {
  // Array, 0, id, method, map, key, array: seven, and the array's own.
  let fits = ProtocolLimits.frameElements - 7
  #expect(try verdict(on: "ping", ["x": MessageValue.null.repeated(fits)]) == "ok")
  #expect(try verdict(on: "ping", ["x": MessageValue.null.repeated(fits + 1)]) == "fatal LIMIT_EXCEEDED")
}

@Test(
  "An unknown method is refused, the connection goes on",
  arguments: ["", "Ping", "pings", "enqueu", "progres", "progress!", "dead", "x"])
func unknownMethods(method: String) throws {
  #expect(try verdict(on: method, [:]) == "UNKNOWN_METHOD")
}

@Test("Every method is known by its name", arguments: Method.allCases)
func methods(method: Method) throws {
  let words = try verdict(on: "\(method.wireName)", [:])
  #expect(words == "ok" || words.hasPrefix("BAD_PARAMS"))
  guard words == "ok" else { return }
  try withRequest("\(method.wireName)", [:]) { request in
    let decoded = request.method
    #expect(decoded == method)
  }
}

/// A request of each method with all that it may carry.
private let fullRequests: [MessageValue] = [
  [
    0, 1, "hello",
    ["version": 1, "client_id": .binary([1]), "name": "n", "host": "h", "tasks": ["t"], "credentials": [:]],
  ],
  [0, 17, "ping", [:]],
  [0, 300, "enqueue", ["jobs": [fullJob]]],
  [
    0, 70_000, "dequeue",
    [
      "queues": ["a", "b"], "max": 10, "wait_ms": 1_000, "lease_ms": 5_000, "ack": [["id": 1, "token": 2]],
      "nack": [["id": 3, "token": 4]], "release": [["id": 5, "token": 6]],
    ],
  ],
  [0, .uint(1 << 40), "ack", ["jobs": [["id": 1, "token": 2, "result": .binary([1, 2])]]]],
  [
    0, 1, "nack",
    ["jobs": [["id": 1, "token": 2, "error_type": "E", "message": "m", "trace": "t", "delay_ms": 5, "retry": false]]],
  ],
  [0, 1, "release", ["jobs": [["id": 1, "token": 2, "delay_ms": 5]]]],
  [0, 1, "extend", ["jobs": [["id": 1, "token": 2, "lease_ms": 5]]]],
  [0, 1, "progress", ["jobs": [["id": 1, "token": 2, "percent": 5, "message": "m"]]]],
  [0, 1, "cancel", ["ids": [1, 2]]],
  [0, 1, "get", ["id": 1]],
  [0, 1, "wait", ["id": 1, "wait_ms": 5]],
  [
    0, 1, "multi",
    [
      "operations": [
        ["ack", ["jobs": [["id": 1, "token": 2]]]], ["enqueue", ["jobs": [fullJob]]], ["cancel", ["ids": [7]]],
      ]
    ],
  ],
  [0, 1, "queues", ["after": "a", "limit": 5]],
  [0, 1, "queue", ["queue": "a"]],
  [0, 1, "pause", ["queue": "a"]],
  [0, 1, "resume", ["queue": "a"]],
  [0, 1, "purge", ["queue": "a", "limit": 5]],
  [0, 1, "dead_list", ["queue": "a", "task": "t", "reason": "failed", "after": 5, "limit": 5]],
  [0, 1, "dead_replay", ["queue": "a", "task": "t", "reason": "expired", "limit": 5]],
  [0, 1, "dead_delete", ["ids": [1]]],
  [0, 1, "stats", [:]],
]

@Test("A full request of each method is taken, and no part of it cut off at the end is", arguments: fullRequests)
func truncations(message: MessageValue) throws {
  let frame = try message.encoded()
  #expect(verdict(on: frame) == "ok")
  for end in 0..<frame.count {
    #expect(verdict(on: Array(frame[..<end])) == "fatal MALFORMED_FRAME", "cut at \(end)")
  }
}

@Test("No byte of a request, whatever it is changed to, brings the decoder down", arguments: fullRequests)
func changedBytes(message: MessageValue) throws {
  let frame = try message.encoded()
  var verdicts = Set<String>()
  for index in frame.indices {
    for byte: UInt8 in [0x00, 0x7F, 0x80, 0x90, 0xA1, 0xC0, 0xC1, 0xCB, 0xD9, 0xDB, 0xDD, 0xDF, 0xFF] {
      var changed = frame
      changed[index] = byte
      verdicts.insert(verdict(on: changed))
    }
  }
  #expect(verdicts.contains("fatal MALFORMED_FRAME"))
  #expect(verdicts.contains("ok"))
}

@Test("Unknown keys are ignored in parameters and items, whatever their values; nil counts as missing")
func unknownKeys() throws {
  let nested: MessageValue = [["a": [1, ["b": nil]]], 2.5, .binary([1])]
  for message in fullRequests {
    let method = try #require(message[2])
    let parameters = try #require(message[3])
    guard case .map(let pairs) = parameters else { continue }
    let more: [(MessageValue, MessageValue)] = [("future", nested), ("", nil), ("wait", 1)]
    #expect(try verdict(on: [0, 17, method, .map(more + pairs + more)]) == "ok", "\(message)")
  }
  #expect(try verdict(on: "enqueue", ["jobs": [["new": nested, "task": "t", "more": nested]]]) == "ok")
  #expect(try verdict(on: "ack", ["jobs": [["new": nested, "id": 1, "more": nested, "token": 2, "x": nil]]]) == "ok")
  #expect(try verdict(on: "enqueue", ["jobs": [["task": "t", "priority": nil, "headers": nil]]]) == "ok")
  #expect(try verdict(on: "enqueue", ["jobs": [["task": nil]]]) == "BAD_PARAMS jobs[0].task")
  #expect(try verdict(on: "enqueue", ["jobs": nil]) == "BAD_PARAMS jobs")
}

@Test("Of a key that appears twice the last counts; nil does not")
func repeatedKeys() throws {
  try withRequest(
    "enqueue", ["jobs": [["task": "a"], ["task": "b"]], "jobs": [["task": "c", "task": "d", "task": nil]]]
  ) {
    #expect($0.jobs.count == 1)
    #expect($0.jobs[0].task.text == "d")
  }
  try withRequest(
    "dequeue", ["ack": [["id": 1, "token": 1]], "ack": [["id": 2, "token": 2]], "queues": ["a"], "queues": ["b"]]
  ) {
    #expect($0.settlements.map(\.id.rawValue) == [2])
    #expect($0.queues.map(\.text) == ["b"])
  }
}

@Test("A decoder forgets the request before")
func reuse() throws {
  var decoder = RequestDecoder()
  var request = Request()
  for message in fullRequests + fullRequests.reversed() {
    let frame = try message.encoded()
    frame.withUnsafeBytes { bytes in
      guard case .request = decoder.decode(bytes, into: &request) else {
        Issue.record("refused: \(message)")
        return
      }
    }
  }
  // The first of all was a hello, so the last is.
  #expect(request.method == .hello)
  #expect(request.jobs.isEmpty && request.settlements.isEmpty && request.reports.isEmpty && request.ids.isEmpty)
  #expect(request.operations.isEmpty && request.queues.isEmpty && request.filter.limit == 0)
}
