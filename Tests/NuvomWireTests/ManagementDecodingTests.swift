import MessagePack
import NuvomModel
import NuvomWire
import Testing

/// A method, its parameters, and what becomes of them.
struct MethodRow: Sendable {
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
  "Parameters are taken at the ends of their ranges and refused by name beyond them, and of another type",
  arguments: [
    MethodRow("hello", ["version": 1], "ok"),
    MethodRow("hello", [:], "BAD_PARAMS version"),
    MethodRow("hello", ["version": "1"], "BAD_PARAMS version"),
    MethodRow("hello", ["version": 1.0], "BAD_PARAMS version"),
    MethodRow("hello", ["version": 0], "fatal UNSUPPORTED_VERSION of request 17"),
    // Of another version's hello only the version is looked at.
    MethodRow("hello", ["client_id": [:], "version": 2], "fatal UNSUPPORTED_VERSION of request 17"),
    MethodRow("hello", ["version": .uint(.max)], "fatal UNSUPPORTED_VERSION of request 17"),
    MethodRow("hello", ["version": 1, "client_id": .binary(bytes: 64)], "ok"),
    MethodRow("hello", ["version": 1, "client_id": "text"], "ok"),
    MethodRow("hello", ["version": 1, "client_id": .binary(bytes: 65)], "BAD_PARAMS client_id"),
    MethodRow("hello", ["version": 1, "client_id": .binary([])], "BAD_PARAMS client_id"),
    MethodRow("hello", ["version": 1, "client_id": 5], "BAD_PARAMS client_id"),
    MethodRow("hello", ["version": 1, "name": .string(bytes: 255)], "ok"),
    MethodRow("hello", ["version": 1, "name": .string(bytes: 256)], "BAD_PARAMS name"),
    MethodRow("hello", ["version": 1, "name": .binary([1])], "BAD_PARAMS name"),
    MethodRow("hello", ["version": 1, "host": .string(bytes: 256)], "BAD_PARAMS host"),
    MethodRow("hello", ["version": 1, "tasks": []], "ok"),
    MethodRow("hello", ["version": 1, "tasks": "t"], "BAD_PARAMS tasks"),
    MethodRow("hello", ["version": 1, "tasks": ["t", ""]], "BAD_PARAMS tasks[1]"),
    MethodRow("hello", ["version": 1, "credentials": ["token": [1]]], "ok"),
    MethodRow("hello", ["version": 1, "credentials": "secret"], "BAD_PARAMS credentials"),
    MethodRow("cancel", [:], "BAD_PARAMS ids"),
    MethodRow("cancel", ["ids": []], "BAD_PARAMS ids"),
    MethodRow("cancel", ["ids": 1], "BAD_PARAMS ids"),
    MethodRow("cancel", ["ids": [1, -1]], "BAD_PARAMS ids[1]"),
    MethodRow("cancel", ["ids": MessageValue.uint(1).repeated(10_000)], "ok"),
    MethodRow("cancel", ["ids": MessageValue.uint(1).repeated(10_001)], "BAD_PARAMS ids"),
    MethodRow("get", [:], "BAD_PARAMS id"),
    MethodRow("get", ["id": "00000000000000ff"], "BAD_PARAMS id"),
    MethodRow("get", ["id": .uint(.max), "wait_ms": "of another method"], "ok"),
    MethodRow("wait", ["wait_ms": 1], "BAD_PARAMS id"),
    MethodRow("wait", ["id": 1, "wait_ms": 3_600_000], "ok"),
    MethodRow("wait", ["id": 1, "wait_ms": 3_600_001], "BAD_PARAMS wait_ms"),
    MethodRow("wait", ["id": 1, "wait_ms": .double(.nan)], "BAD_PARAMS wait_ms"),
    MethodRow("queue", [:], "BAD_PARAMS queue"),
    MethodRow("queue", ["queue": ""], "BAD_PARAMS queue"),
    MethodRow("pause", ["queue": "a\u{7}"], "BAD_PARAMS queue"),
    MethodRow("resume", ["queue": 1], "BAD_PARAMS queue"),
    MethodRow("purge", ["limit": 1], "BAD_PARAMS queue"),
    MethodRow("purge", ["queue": "a", "limit": 0], "BAD_PARAMS limit"),
    MethodRow("purge", ["queue": "a", "limit": 10_000], "ok"),
    MethodRow("purge", ["queue": "a", "limit": 10_001], "BAD_PARAMS limit"),
    MethodRow("queues", ["after": ""], "BAD_PARAMS after"),
    MethodRow("queues", ["after": 1], "BAD_PARAMS after"),
    MethodRow("queues", ["limit": 0], "BAD_PARAMS limit"),
    MethodRow("queues", ["limit": 10_000], "ok"),
    MethodRow("queues", ["limit": 10_001], "BAD_PARAMS limit"),
    MethodRow("dead_list", ["limit": 1_000], "ok"),
    MethodRow("dead_list", ["limit": 1_001], "BAD_PARAMS limit"),
    MethodRow("dead_list", ["after": "a"], "BAD_PARAMS after"),
    MethodRow("dead_list", ["queue": ""], "BAD_PARAMS queue"),
    MethodRow("dead_list", ["task": 5], "BAD_PARAMS task"),
    MethodRow("dead_list", ["reason": "bored"], "BAD_PARAMS reason"),
    MethodRow("dead_list", ["reason": 1], "BAD_PARAMS reason"),
    MethodRow("dead_replay", ["limit": 10_000], "ok"),
    MethodRow("dead_replay", ["limit": 10_001], "BAD_PARAMS limit"),
    MethodRow("dead_replay", ["ids": []], "BAD_PARAMS ids"),
    MethodRow("dead_replay", ["ids": [1], "queue": "a"], "BAD_PARAMS ids"),
    MethodRow("dead_delete", ["ids": [1, nil]], "BAD_PARAMS ids[1]"),
    MethodRow("dead_delete", ["ids": [1], "reason": "failed"], "BAD_PARAMS ids"),
  ])
func managementParameters(row: MethodRow) throws {
  #expect(try verdict(on: row.method, row.sent) == row.result)
}

@Test("A hello's parameters arrive")
func hello() throws {
  try withRequest(
    "hello", ["version": 1, "client_id": .binary([7, 0, 9]), "name": "worker", "host": "h1", "tasks": ["t"]]
  ) {
    #expect($0.hello.version == 1)
    #expect(Array($0.hello.clientID) == [7, 0, 9])
    #expect($0.hello.name.text == "worker")
    #expect($0.hello.host.text == "h1")
  }
  try withRequest("hello", ["version": 1]) {
    #expect($0.hello.clientID.isEmpty && $0.hello.name.isEmpty && $0.hello.host.isEmpty)
  }
}

@Test("get and wait name one job; wait lasts half a minute unless told otherwise")
func oneJob() throws {
  try withRequest("get", ["id": .uint(.max)]) { #expect($0.ids.map(\.rawValue) == [.max]) }
  try withRequest("wait", ["id": 5]) {
    #expect($0.ids.map(\.rawValue) == [5])
    #expect($0.waitMilliseconds == 30_000)
  }
  try withRequest("wait", ["id": 5, "wait_ms": 0]) { #expect($0.waitMilliseconds == 0) }
}

@Test("One queue's methods name it; the limit of a purge is 10,000 unless it is less")
func oneQueue() throws {
  for method in ["queue", "pause", "resume", "purge"] {
    try withRequest(method, ["queue": "a"]) { #expect($0.queues.map(\.text) == ["a"]) }
  }
  try withRequest("purge", ["queue": "a"]) { #expect($0.filter.limit == 10_000) }
  try withRequest("purge", ["queue": "a", "limit": 3]) { #expect($0.filter.limit == 3) }
}

@Test("Filters and pages arrive, with the limit that each method has of itself")
func filters() throws {
  for (method, limit) in [("queues", 1_000), ("dead_list", 100), ("dead_replay", 1_000), ("dead_delete", 1_000)] {
    try withRequest(method, [:]) {
      #expect($0.filter.limit == limit)
      #expect($0.filter.queue.isEmpty && $0.filter.task.isEmpty && $0.filter.afterName.isEmpty)
      #expect($0.filter.reason == nil && $0.filter.afterID == nil)
      #expect($0.ids.isEmpty)
    }
  }
  try withRequest("queues", ["after": "mail", "limit": 7]) {
    #expect($0.filter.afterName.text == "mail")
    #expect($0.filter.limit == 7)
  }
  for reason in DeadReason.allCases {
    let wanted: MessageValue = [
      "queue": "q", "task": "t", "reason": .string("\(reason.wireName)"), "after": 6, "limit": 7,
    ]
    for method in ["dead_list", "dead_replay", "dead_delete"] {
      try withRequest(method, wanted) {
        #expect($0.filter.queue.text == "q")
        #expect($0.filter.task.text == "t")
        #expect($0.filter.reason == reason)
        #expect($0.filter.afterID == (method == "dead_list" ? JobID(rawValue: 6) : nil))
        #expect($0.filter.limit == 7)
      }
    }
  }
  try withRequest("dead_replay", ["ids": [3, 2, 1], "limit": 5]) { #expect($0.ids.map(\.rawValue) == [3, 2, 1]) }
}
