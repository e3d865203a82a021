import MessagePack
import NuvomModel
import NuvomWire
import Testing

private let settlementMethods: [(String, Settlement.Kind)] = [
  ("ack", .ack), ("nack", .nack), ("release", .release), ("extend", .extend),
]

@Test("A settlement needs no more than id and token")
func minimalSettlements() throws {
  for (method, kind) in settlementMethods {
    try withRequest(method, ["jobs": [["id": .uint(.max), "token": .uint((1 << 63) - 1)], ["token": 1, "id": 0]]]) {
      request in
      #expect(request.settlements.map(\.kind) == [kind, kind])
      #expect(request.settlements.map(\.id.rawValue) == [UInt64.max, 0])
      #expect(request.settlements.map(\.token.rawValue) == [(1 << 63) - 1, 1])
      let settlement = request.settlements[0]
      #expect(!settlement.hasResult && settlement.result.isEmpty)
      #expect(settlement.retry && !settlement.hasDelay)
      #expect(settlement.delayMilliseconds == 0 && settlement.leaseMilliseconds == 0)
      #expect(settlement.errorType.isEmpty && settlement.errorMessage.isEmpty && settlement.errorTrace.isEmpty)
    }
  }
}

@Test("What a settlement carries arrives; what belongs to another kind is ignored as unknown")
func completeSettlements() throws {
  let everything: MessageValue = [
    "id": 5, "token": 6, "result": .binary([]), "error_type": "E", "message": "m", "trace": "t", "retry": false,
    "delay_ms": 7, "lease_ms": 8,
  ]
  for (method, kind) in settlementMethods {
    try withRequest(method, ["jobs": [everything]]) { request in
      let settlement = request.settlements[0]
      #expect(settlement.hasResult == (kind == .ack))
      #expect(settlement.errorType.text == (kind == .nack ? "E" : ""))
      #expect(settlement.errorMessage.text == (kind == .nack ? "m" : ""))
      #expect(settlement.errorTrace.text == (kind == .nack ? "t" : ""))
      #expect(settlement.retry == (kind != .nack))
      #expect(settlement.hasDelay == (kind == .nack))
      #expect(settlement.delayMilliseconds == (kind == .nack || kind == .release ? 7 : 0))
      #expect(settlement.leaseMilliseconds == (kind == .extend ? 8 : 0))
    }
  }
}

/// A method, one more parameter of a settlement, and what becomes of it.
struct SettlementRow: Sendable {
  let method: String
  let sent: MessageValue
  let result: String

  init(_ method: String, _ sent: MessageValue, _ result: String) {
    self.method = method
    self.sent = sent
    self.result = result
  }
}

@Test(
  "A parameter of a settlement is taken at the ends of its range and refused by name beyond them, and of another type",
  arguments: [
    SettlementRow("ack", ["result": "text"], "ok"),
    SettlementRow("ack", ["result": 1], "result"),
    SettlementRow("ack", ["id": -1], "id"),
    SettlementRow("ack", ["id": "1"], "id"),
    SettlementRow("ack", ["id": 1.0], "id"),
    SettlementRow("ack", ["token": 0], "token"),
    SettlementRow("ack", ["token": .uint(1 << 63)], "token"),
    SettlementRow("ack", ["token": -1], "token"),
    SettlementRow("ack", ["token": .binary([1])], "token"),
    SettlementRow("nack", ["error_type": .string(bytes: 255)], "ok"),
    SettlementRow("nack", ["error_type": .string(bytes: 256)], "error_type"),
    SettlementRow("nack", ["error_type": .binary([1])], "error_type"),
    SettlementRow("nack", ["message": 1], "message"),
    SettlementRow("nack", ["trace": .binary([1])], "trace"),
    SettlementRow("nack", ["retry": true], "ok"),
    SettlementRow("nack", ["retry": 0], "retry"),
    SettlementRow("nack", ["retry": "false"], "retry"),
    SettlementRow("nack", ["delay_ms": 3_155_760_000_000], "ok"),
    SettlementRow("nack", ["delay_ms": 3_155_760_000_001], "delay_ms"),
    SettlementRow("release", ["delay_ms": 3_155_760_000_000], "ok"),
    SettlementRow("release", ["delay_ms": 3_155_760_000_001], "delay_ms"),
    SettlementRow("release", ["delay_ms": -1], "delay_ms"),
    SettlementRow("extend", ["lease_ms": 1], "ok"),
    SettlementRow("extend", ["lease_ms": 86_400_000], "ok"),
    SettlementRow("extend", ["lease_ms": 0], "lease_ms"),
    SettlementRow("extend", ["lease_ms": 86_400_001], "lease_ms"),
  ])
func settlementParameters(row: SettlementRow) throws {
  guard case .map(let pairs) = row.sent else { return }
  let settlement = MessageValue.map([("id", 1), ("token", 1)] + pairs)
  let expected = row.result == "ok" ? "ok" : "BAD_PARAMS jobs[0].\(row.result)"
  #expect(try verdict(on: row.method, ["jobs": [settlement]]) == expected)
}

@Test("A list of settlements has 1 to 10,000 maps with id and token")
func settlementLists() throws {
  let one: MessageValue = ["id": 1, "token": 1]
  for (method, _) in settlementMethods {
    #expect(try verdict(on: method, [:]) == "BAD_PARAMS jobs")
    #expect(try verdict(on: method, ["jobs": []]) == "BAD_PARAMS jobs")
    #expect(try verdict(on: method, ["jobs": one]) == "BAD_PARAMS jobs")
    #expect(try verdict(on: method, ["jobs": [one, ["id": 1]]]) == "BAD_PARAMS jobs[1].token")
    #expect(try verdict(on: method, ["jobs": [one, ["token": 1]]]) == "BAD_PARAMS jobs[1].id")
    #expect(try verdict(on: method, ["jobs": [one, [1, 1]]]) == "BAD_PARAMS jobs[1]")
    #expect(try verdict(on: method, ["jobs": one.repeated(10_000)]) == "ok")
    #expect(try verdict(on: method, ["jobs": one.repeated(10_001)]) == "BAD_PARAMS jobs")
  }
}

@Test("An error's message and trace are cut between two characters")
func cutTexts() throws {
  let rows: [(text: String, kept: Int)] = [
    (String(repeating: "x", count: 4_096), 4_096),
    (String(repeating: "x", count: 4_097), 4_096),
    (String(repeating: "x", count: 4_095) + "é", 4_095),
    (String(repeating: "x", count: 4_094) + "é", 4_096),
    (String(repeating: "x", count: 4_095) + "🙂", 4_095),
    (String(repeating: "x", count: 4_093) + "🙂", 4_093),
    (String(repeating: "x", count: 4_092) + "🙂!", 4_096),
  ]
  for (text, kept) in rows {
    let filler = String(repeating: "y", count: 12_288)
    try withRequest(
      "nack", ["jobs": [["id": 1, "token": 1, "message": .string(text), "trace": .string(filler + text)]]]
    ) {
      #expect($0.settlements[0].errorMessage.count == kept)
      #expect($0.settlements[0].errorTrace.count == 12_288 + kept)
      #expect(text.utf8.starts(with: $0.settlements[0].errorMessage))
    }
  }
}

@Test("An error's text that is not UTF-8 is refused", arguments: ["error_type", "message", "trace"])
func invalidErrorText(key: String) throws {
  // Below and above the lengths at which message and trace are cut.
  for count in key == "error_type" ? [3] : [3, 5_000, 20_000] {
    let text = String(repeating: "\u{1}", count: count)
    let message: MessageValue = [0, 17, "nack", ["jobs": [["id": 2, "token": 2, .string(key): .string(text)]]]]
    let frame = try message.encoded()
    #expect(verdict(on: frame) == "ok")
    // Stray continuation bytes, and a byte that UTF-8 does not have.
    for wrong: UInt8 in [0x80, 0xFF] {
      #expect(verdict(on: frame.map { $0 == 1 ? wrong : $0 }) == "BAD_PARAMS jobs[0].\(key)", "\(count) times \(wrong)")
    }
  }
}

@Test("A dequeue without parameters takes one job from the default queue and does not wait")
func minimalDequeue() throws {
  try withRequest("dequeue", [:]) { request in
    #expect(request.queues.map(\.text) == ["default"])
    #expect(request.maximum == 1)
    #expect(request.waitMilliseconds == 0)
    #expect(request.leaseMilliseconds == 30_000)
    #expect(request.settlements.isEmpty)
    #expect(request.isRemembered == false)
  }
}

@Test("A dequeue's settlements are in the order ack, nack, release, however they were sent; a queue counts once")
func completeDequeue() throws {
  try withRequest(
    "dequeue",
    [
      "release": [["id": 4, "token": 4, "delay_ms": 9]], "nack": [["id": 3, "token": 3, "retry": false]],
      "ack": [["id": 1, "token": 1], ["id": 2, "token": 2]], "max": 10_000, "wait_ms": 3_600_000, "lease_ms": 1,
      "queues": ["b", "a", "b", "c", "a"],
    ]
  ) { request in
    #expect(request.settlements.map(\.kind) == [.ack, .ack, .nack, .release])
    #expect(request.settlements.map(\.id.rawValue) == [1, 2, 3, 4])
    #expect(request.settlements[3].delayMilliseconds == 9)
    #expect(!request.settlements[2].retry)
    #expect(request.queues.map(\.text) == ["b", "a", "c"])
    #expect(request.maximum == 10_000)
    #expect(request.waitMilliseconds == 3_600_000)
    #expect(request.leaseMilliseconds == 1)
    #expect(request.isRemembered == true)
  }
}

@Test(
  "A parameter of a dequeue is taken at the ends of its range and refused by name beyond them, and of another type",
  arguments: [
    Row(["queues": []], "BAD_PARAMS queues"),
    Row(["queues": "default"], "BAD_PARAMS queues"),
    Row(["queues": ["a", ""]], "BAD_PARAMS queues[1]"),
    Row(["queues": ["a", nil]], "BAD_PARAMS queues[1]"),
    Row(["queues": ["a", .binary([0x61])]], "BAD_PARAMS queues[1]"),
    Row(["queues": [.string(bytes: 256)]], "BAD_PARAMS queues[0]"),
    Row(["queues": MessageValue.string("q").repeated(64)], "ok"),
    Row(["queues": MessageValue.string("q").repeated(65)], "BAD_PARAMS queues"),
    Row(["max": 0], "BAD_PARAMS max"),
    Row(["max": 10_001], "BAD_PARAMS max"),
    Row(["max": 1.0], "BAD_PARAMS max"),
    Row(["max": .uint(.max)], "BAD_PARAMS max"),
    Row(["wait_ms": 3_600_001], "BAD_PARAMS wait_ms"),
    Row(["wait_ms": -1], "BAD_PARAMS wait_ms"),
    Row(["lease_ms": 0], "BAD_PARAMS lease_ms"),
    Row(["lease_ms": 86_400_000], "ok"),
    Row(["lease_ms": 86_400_001], "BAD_PARAMS lease_ms"),
    Row(["ack": [], "nack": [], "release": []], "ok"),
    Row(["ack": 1], "BAD_PARAMS ack"),
    Row(["ack": [["id": 1]]], "BAD_PARAMS ack[0].token"),
    Row(["nack": [["id": 1, "token": 1], ["id": 1, "token": 1, "retry": 1]]], "BAD_PARAMS nack[1].retry"),
    Row(["release": [["token": 1]]], "BAD_PARAMS release[0].id"),
    Row(["release": [5]], "BAD_PARAMS release[0]"),
  ])
func dequeueParameters(row: Row) throws {
  #expect(try verdict(on: "dequeue", row.sent) == row.result)
}

@Test("A dequeue settles 10,000 jobs at most, all lists together")
func dequeueSettlementLimit() throws {
  let one: MessageValue = ["id": 1, "token": 1]
  #expect(try verdict(on: "dequeue", ["ack": one.repeated(5_000), "nack": one.repeated(5_000)]) == "ok")
  let over: MessageValue = ["ack": one.repeated(5_000), "nack": one.repeated(5_000), "release": [one]]
  #expect(try verdict(on: "dequeue", over) == "BAD_PARAMS release")
}
