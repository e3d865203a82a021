import MessagePack
import NuvomModel
import NuvomWire
import Testing

private let settlement: MessageValue = ["id": 1, "token": 1]

@Test("A multi's operations refer to their parts of the lists, in the order sent")
func operations() throws {
  let message: MessageValue = [
    "operations": [
      ["enqueue", ["jobs": [["task": "a"], ["task": "b"]]]],
      ["ack", ["jobs": [["id": 1, "token": 1]]]],
      ["cancel", ["ids": [8, 9]]],
      ["nack", ["jobs": [["id": 2, "token": 2], ["id": 3, "token": 3]]]],
      ["enqueue", ["jobs": [["task": "c"]]]],
      ["release", ["jobs": [["id": 4, "token": 4]]]],
      ["extend", ["jobs": [["id": 5, "token": 5, "lease_ms": 6]]]],
      ["cancel", ["ids": [10]]],
    ]
  ]
  try withRequest("multi", message) { request in
    #expect(request.operations.map(\.method) == [.enqueue, .ack, .cancel, .nack, .enqueue, .release, .extend, .cancel])
    #expect(request.operations.map(\.items) == [0..<2, 0..<1, 0..<2, 1..<3, 2..<3, 3..<4, 4..<5, 2..<3])
    #expect(request.jobs.map(\.task.text) == ["a", "b", "c"])
    #expect(request.settlements.map(\.kind) == [.ack, .nack, .nack, .release, .extend])
    #expect(request.settlements.map(\.id.rawValue) == [1, 2, 3, 4, 5])
    #expect(request.ids.map(\.rawValue) == [8, 9, 10])
  }
}

@Test(
  "A wrong operation refuses the whole, with its index",
  arguments: [
    Row([:], "BAD_PARAMS operations"),
    Row(["operations": []], "BAD_PARAMS operations"),
    Row(["operations": [:]], "BAD_PARAMS operations"),
    Row(["operations": ["ping"]], "BAD_PARAMS operations[0] in operation 0"),
    Row(["operations": [["cancel"]]], "BAD_PARAMS operations[0] in operation 0"),
    Row(["operations": [["cancel", ["ids": [1]], nil]]], "BAD_PARAMS operations[0] in operation 0"),
    Row(["operations": [[1, [:]]]], "BAD_PARAMS operations[0] in operation 0"),
    Row(["operations": [["cancel", nil]]], "BAD_PARAMS operations[0] in operation 0"),
    Row(["operations": [["cancel", ["ids": [1]]], ["dequeue", [:]]]], "BAD_PARAMS operations[1] in operation 1"),
    Row(
      ["operations": [["progress", ["jobs": [["id": 1, "token": 1]]]]]], "BAD_PARAMS operations[0] in operation 0"),
    Row(["operations": [["multi", ["operations": []]]]], "BAD_PARAMS operations[0] in operation 0"),
    Row(["operations": [["cancel", ["ids": [1]]], ["vanish", [:]]]], "UNKNOWN_METHOD in operation 1"),
    Row(["operations": [["cancel", ["ids": [1]]], ["enqueue", [:]]]], "BAD_PARAMS jobs in operation 1"),
    Row(["operations": [["enqueue", ["jobs": [[:]]]]]], "BAD_PARAMS jobs[0].task in operation 0"),
    Row(["operations": [["ack", ["jobs": [settlement, ["id": 2]]]]]], "BAD_PARAMS jobs[1].token in operation 0"),
    Row(["operations": [["cancel", ["ids": [1, "2"]]]]], "BAD_PARAMS ids[1] in operation 0"),
    Row(["operations": [["cancel", [1: 2]]]], "fatal MALFORMED_FRAME of request 17"),
    Row(["operations": MessageValue.array(["cancel", ["ids": [1]]]).repeated(1_000)], "ok"),
    Row(["operations": MessageValue.array(["cancel", ["ids": [1]]]).repeated(1_001)], "BAD_PARAMS operations"),
  ])
func wrongOperations(row: Row) throws {
  #expect(try verdict(on: "multi", row.sent) == row.result)
}

@Test(
  "A job is settled once in a multi; cancelling it is not settling",
  arguments: [
    Row(
      [["ack", ["jobs": [settlement]]], ["nack", ["jobs": [["id": 2, "token": 2], settlement]]]],
      "BAD_PARAMS jobs[1] in operation 1"),
    Row([["ack", ["jobs": [settlement, settlement]]]], "BAD_PARAMS jobs[1] in operation 0"),
    Row([["extend", ["jobs": [settlement]]], ["ack", ["jobs": [settlement]]]], "BAD_PARAMS jobs[0] in operation 1"),
    Row(
      [["ack", ["jobs": [settlement]]], ["cancel", ["ids": [5]]], ["release", ["jobs": [["id": 1, "token": 9]]]]],
      "BAD_PARAMS jobs[0] in operation 2"),
    Row([["ack", ["jobs": [settlement]]], ["cancel", ["ids": [1, 1]]]], "ok"),
  ])
func repeatedSettlements(row: Row) throws {
  #expect(try verdict(on: "multi", ["operations": row.sent]) == row.result)
}

@Test("A multi has 10,000 jobs, settlements and ids at most, all operations together")
func multiLimits() throws {
  let job: MessageValue = ["task": "t"]
  let rows: [(String, String, MessageValue)] = [("enqueue", "jobs", job), ("cancel", "ids", 1)]
  for (method, key, item) in rows {
    let half: MessageValue = [.string(method), [.string(key): item.repeated(5_000)]]
    let one: MessageValue = [.string(method), [.string(key): [item]]]
    #expect(try verdict(on: "multi", ["operations": [half, half]]) == "ok")
    #expect(try verdict(on: "multi", ["operations": [half, half, one]]) == "BAD_PARAMS \(key) in operation 2")
  }
}

@Test("Ten thousand different settlements in a multi are taken, and the one that repeats is found")
func manySettlements() throws {
  func operations(repeating last: UInt64) -> MessageValue {
    let ids = (0..<9_999).map { UInt64($0) &* 0x9E37_79B9_7F4A_7C15 } + [last]
    return ["operations": [["ack", ["jobs": .array(ids.map { ["id": .uint($0), "token": 1] })]]]]
  }
  #expect(try verdict(on: "multi", operations(repeating: 1)) == "ok")
  let repeated = UInt64(77) &* 0x9E37_79B9_7F4A_7C15
  #expect(try verdict(on: "multi", operations(repeating: repeated)) == "BAD_PARAMS jobs[9999] in operation 0")
}
