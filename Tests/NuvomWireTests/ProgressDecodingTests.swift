import MessagePack
import NuvomModel
import NuvomWire
import Testing

@Test("A progress report needs no more than id and token; what it carries arrives")
func progressReports() throws {
  let full: MessageValue = ["message": "half é", "percent": 50, "token": .uint((1 << 63) - 1), "id": .uint(.max)]
  try withRequest("progress", ["jobs": [["id": 0, "token": 1], full]]) { request in
    #expect(request.reports.map(\.id.rawValue) == [0, UInt64.max])
    #expect(request.reports.map(\.token.rawValue) == [1, (1 << 63) - 1])
    #expect(request.reports.map(\.percent) == [nil, 50])
    #expect(request.reports.map(\.message.text) == ["", "half é"])
    #expect(request.settlements.isEmpty && !request.isRemembered)
  }
}

@Test(
  "A parameter of a progress report is taken at the ends of its range and refused by name beyond them, and of another type",
  arguments: [
    Row(["percent": 0], "ok"),
    Row(["percent": 100], "ok"),
    Row(["percent": nil], "ok"),
    Row(["percent": 101], "BAD_PARAMS jobs[0].percent"),
    Row(["percent": -1], "BAD_PARAMS jobs[0].percent"),
    Row(["percent": .uint(.max)], "BAD_PARAMS jobs[0].percent"),
    Row(["percent": 50.0], "BAD_PARAMS jobs[0].percent"),
    Row(["percent": "50"], "BAD_PARAMS jobs[0].percent"),
    Row(["message": ""], "ok"),
    Row(["message": .string(bytes: 255)], "ok"),
    Row(["message": .string(bytes: 256)], "BAD_PARAMS jobs[0].message"),
    Row(["message": .binary([0x61])], "BAD_PARAMS jobs[0].message"),
    Row(["message": 1], "BAD_PARAMS jobs[0].message"),
    Row(["token": 0], "BAD_PARAMS jobs[0].token"),
    Row(["token": .uint(1 << 63)], "BAD_PARAMS jobs[0].token"),
    Row(["token": -1], "BAD_PARAMS jobs[0].token"),
    Row(["id": -1], "BAD_PARAMS jobs[0].id"),
    Row(["id": "1"], "BAD_PARAMS jobs[0].id"),
    Row(["result": 7, "lease_ms": "x"], "ok"),
  ])
func progressParameters(row: Row) throws {
  guard case .map(let pairs) = row.sent else { return }
  let report = MessageValue.map([("id", 1), ("token", 1)] + pairs)
  #expect(try verdict(on: "progress", ["jobs": [report]]) == row.result)
}

@Test("A list of progress reports has 1 to 10,000 maps with id and token")
func progressLists() throws {
  let one: MessageValue = ["id": 1, "token": 1, "percent": 1]
  #expect(try verdict(on: "progress", [:]) == "BAD_PARAMS jobs")
  #expect(try verdict(on: "progress", ["jobs": []]) == "BAD_PARAMS jobs")
  #expect(try verdict(on: "progress", ["jobs": one]) == "BAD_PARAMS jobs")
  #expect(try verdict(on: "progress", ["jobs": [one, ["id": 1]]]) == "BAD_PARAMS jobs[1].token")
  #expect(try verdict(on: "progress", ["jobs": [one, ["token": 1]]]) == "BAD_PARAMS jobs[1].id")
  #expect(try verdict(on: "progress", ["jobs": [one, [1, 1]]]) == "BAD_PARAMS jobs[1]")
  #expect(try verdict(on: "progress", ["jobs": one.repeated(10_000)]) == "ok")
  #expect(try verdict(on: "progress", ["jobs": one.repeated(10_001)]) == "BAD_PARAMS jobs")
}

@Test("A progress report whose message is not UTF-8 is refused")
func invalidProgressMessage() throws {
  let message: MessageValue = [0, 17, "progress", ["jobs": [["id": 2, "token": 2, "message": "\u{1}\u{1}\u{1}"]]]]
  let frame = try message.encoded()
  #expect(verdict(on: frame) == "ok")
  for wrong: UInt8 in [0x80, 0xFF] {
    #expect(verdict(on: frame.map { $0 == 1 ? wrong : $0 }) == "BAD_PARAMS jobs[0].message")
  }
}
