import MessagePack
import SeededNumbers
import Testing

extension MessageValue {
  /// A random value, at most `depth` containers deep.
  static func random(using random: inout SeededNumbers, depth: Int = 4) -> MessageValue {
    let length = { (random: inout SeededNumbers) in
      Int.random(in: 0...Int.random(in: 0...40, using: &random), using: &random)
    }
    switch Int.random(in: 0...(depth > 0 ? 9 : 7), using: &random) {
    case 0: return .null
    case 1: return .bool(.random(using: &random))
    case 2: return .int(Int64(bitPattern: random.next()) >> Int64.random(in: 0...63, using: &random))
    case 3: return .uint(random.next() >> UInt64.random(in: 0...63, using: &random))
    case 4: return .double(.random(in: -1e9...1e9, using: &random))
    case 5: return .string(String((0..<length(&random)).map { _ in "aé€😀".randomElement(using: &random) ?? "a" }))
    case 6: return .binary((0..<length(&random)).map { _ in .random(in: 0...255, using: &random) })
    case 7: return .extension(.random(in: -128...127, using: &random), Array(repeating: 1, count: length(&random)))
    case 8: return .array((0..<length(&random) / 4).map { _ in .random(using: &random, depth: depth - 1) })
    default:
      return .map(
        (0..<length(&random) / 4).map { _ in
          (.random(using: &random, depth: depth - 1), .random(using: &random, depth: depth - 1))
        })
    }
  }
}

@Suite("Values and their bytes")
struct MessageValueTests {
  /// What the `msgpack` package of Python (1.2.4) writes.
  static let python: [(MessageValue, String)] = [
    (.null, "c0"),
    (false, "c2"),
    (true, "c3"),
    (0, "00"),
    (127, "7f"),
    (128, "cc80"),
    (255, "ccff"),
    (256, "cd0100"),
    (65535, "cdffff"),
    (65536, "ce00010000"),
    (4294967295, "ceffffffff"),
    (4294967296, "cf0000000100000000"),
    (.uint(18446744073709551615), "cfffffffffffffffff"),
    (-1, "ff"),
    (-32, "e0"),
    (-33, "d0df"),
    (-128, "d080"),
    (-129, "d1ff7f"),
    (-32768, "d18000"),
    (-32769, "d2ffff7fff"),
    (-2147483648, "d280000000"),
    (-2147483649, "d3ffffffff7fffffff"),
    (-9223372036854775808, "d38000000000000000"),
    (1.5, "cb3ff8000000000000"),
    (-0.1, "cbbfb999999999999a"),
    ("", "a0"),
    ("é€😀", "a9c3a9e282acf09f9880"),
    (.binary([]), "c400"),
    (.binary([0, 255]), "c40200ff"),
    ([], "90"),
    ([:], "80"),
    ([1, [2, []]], "9201920290"),
    (.extension(5, [1, 2, 3, 4]), "d60501020304"),
    (.extension(127, [1, 2, 3]), "c7037f010203"),
    (.extension(0, []), "c70000"),
    (["args": [1, "a"], "kwargs": ["k": nil], 7: true], "83a4617267739201a161a66b776172677381a16bc007c3"),
  ]

  @Test("A value is written as Python writes it, and read back")
  func interoperability() throws {
    for (value, hexadecimal) in Self.python {
      #expect(try value.encoded() == bytes(hexadecimal), "\(value)")
      #expect(try MessageValue(decoding: bytes(hexadecimal)) == value, "\(value)")
    }
  }

  @Test("A value in a longer form than it needs is read, too")
  func longForms() throws {
    let forms: [(String, MessageValue)] = [
      ("cc 05", 5), ("cd 0005", 5), ("ce 00000005", 5), ("cf 0000000000000005", 5), ("d0 05", 5), ("d1 0005", 5),
      ("d2 00000005", 5), ("d3 0000000000000005", 5), ("d0 ff", -1), ("d1 ffff", -1), ("d2 ffffffff", -1),
      ("d3 ffffffffffffffff", -1), ("ca 3fc00000", 1.5), ("ca ff800000", .double(-.infinity)), ("d9 01 61", "a"),
      ("da 0001 61", "a"), ("db 00000001 61", "a"), ("d9 00", ""), ("da 0000", ""), ("db 00000000", ""),
      ("c5 0001 07", .binary([7])), ("c6 00000001 07", .binary([7])), ("c5 0000", .binary([])),
      ("c6 00000000", .binary([])), ("dc 0001 07", [7]), ("dd 00000001 07", [7]), ("dc 0000", []), ("dd 00000000", []),
      ("de 0001 07 08", [7: 8]), ("df 00000001 07 08", [7: 8]), ("de 0000", [:]), ("df 00000000", [:]),
      ("c7 01 05 07", .extension(5, [7])), ("c8 0001 05 07", .extension(5, [7])),
      ("c9 00000001 05 07", .extension(5, [7])), ("c8 0000 05", .extension(5, [])),
      ("c9 00000000 05", .extension(5, [])), ("d4 ff 07", .extension(-1, [7])),
      ("d5 80 0102", .extension(-128, [1, 2])),
      ("d6 05 01020304", .extension(5, [1, 2, 3, 4])),
      ("d7 05 0102030405060708", .extension(5, [1, 2, 3, 4, 5, 6, 7, 8])),
      ("d8 05 01020304050607080102030405060708", .extension(5, [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8])),
      // A key twice, and a key that is a container.
      ("82 01 02 01 03", [1: 2, 1: 3]), ("81 91 01 02", [[1]: 2]),
    ]
    for (hexadecimal, value) in forms {
      #expect(try MessageValue(decoding: bytes(hexadecimal)) == value, "\(hexadecimal)")
    }
  }

  @Test("NaN is written and read")
  func notANumber() throws {
    guard case .double(let number) = try MessageValue(decoding: MessageValue.double(.nan).encoded()) else {
      Issue.record("not a double")
      return
    }
    #expect(number.isNaN)
  }

  @Test(
    "The header has the size that the length needs",
    arguments: [
      (0, "a0", "c400", "90", "80"), (15, "af", "c40f", "9f", "8f"), (16, "b0", "c410", "dc0010", "de0010"),
      (31, "bf", "c41f", "dc001f", "de001f"), (32, "d920", "c420", "dc0020", "de0020"),
      (255, "d9ff", "c4ff", "dc00ff", "de00ff"), (256, "da0100", "c50100", "dc0100", "de0100"),
      (65_535, "daffff", "c5ffff", "dcffff", "deffff"),
      (65_536, "db00010000", "c600010000", "dd00010000", "df00010000"),
    ])
  func headers(count: Int, string: String, binary: String, array: String, map: String) throws {
    let values: [(MessageValue, String, Int)] = [
      (.string(String(repeating: "x", count: count)), string, count),
      (.binary(Array(repeating: 1, count: count)), binary, count),
      (.array(Array(repeating: 1, count: count)), array, count),
      (.map(Array(repeating: (1, 2), count: count)), map, 2 * count),
    ]
    for (value, header, content) in values {
      let encoded = try value.encoded()
      #expect(encoded.starts(with: bytes(header)))
      #expect(encoded.count == bytes(header).count + content)
      #expect(try MessageValue(decoding: encoded) == value)
    }
  }

  @Test("Random values come back as they were", arguments: 0..<8)
  func roundTrip(seed: UInt64) throws {
    var random = SeededNumbers(seed: seed)
    for _ in 0..<200 {
      let value = MessageValue.random(using: &random)
      let decoded = try MessageValue(decoding: value.encoded())
      #expect(decoded == value)
    }
  }

  @Test("What is malformed is thrown with code, place and remedy")
  func errors() {
    #expect(throws: MessagePackError(code: .malformed(.truncated), offset: 1)) {
      try MessageValue(decoding: bytes("a2 61"))
    }
    #expect(throws: MessagePackError(code: .invalidUTF8, offset: 2)) {
      try MessageValue(decoding: bytes("92 01 a1 ff"))
    }
    #expect(throws: MessagePackError(code: .malformed(.tooManyValues), offset: 2)) {
      try MessageValue(decoding: bytes("93 01 02 03"), maximumValues: 2)
    }
    #expect(
      MessagePackError(code: .malformed(.trailingBytes), offset: 3).description
        == "bytes after the end of the message at byte 3; pass the bytes of one message only")
  }

  @Test("A value that nests deeper than a reader takes is not written")
  func depth() throws {
    var value: MessageValue = 1
    for _ in 0..<32 { value = [value] }
    #expect(try MessageValue(decoding: value.encoded()) == value)
    let deeper: MessageValue = ["k": value]
    #expect(throws: MessagePackError(code: .tooDeep, offset: nil)) { try deeper.encoded() }
  }

  @Test(
    "Equality tells apart what differs",
    arguments: [
      (1, .int(1), true), (.uint(1), .int(1), true), (.uint(1 << 63), .int(.min), false), (1, 1.0, false),
      ("a", .binary([97]), false), ("é", "e\u{301}", false), ([1, 2], [1], false), (["a": 1], ["a": 2], false),
      (["a": 1, "b": 2], ["b": 2, "a": 1], false), (nil, false, false), (.extension(1, []), .extension(2, []), false),
    ] as [(MessageValue, MessageValue, Bool)])
  func equality(left: MessageValue, right: MessageValue, equal: Bool) {
    #expect((left == right) == equal)
    #expect((right == left) == equal)
    #expect(left == left)
  }

  @Test("A value is printed in the manner of JSON, control characters escaped")
  func description() {
    let value: MessageValue = [
      "a\"\\\n\u{1b}[2J": [nil, true, -1, 0.5], "b": .binary([0, 171]), 3: .extension(-1, [1]), "é": [:],
    ]
    #expect(
      value.description
        == #"{"a\"\\\n\u001b[2J": [null, true, -1, 0.5], "b": h'00ab', 3: ext(-1, h'01'), "é": {}}"#)
  }

  @Test("Members are found by key and by index")
  func members() {
    let value: MessageValue = ["a": [1, 2], "a": 3]
    #expect(value["a"] == [1, 2])
    #expect(value["a"]?[1] == 2)
    #expect(value["b"] == nil)
    #expect(value[0] == nil)
    #expect(value["a"]?[2] == nil)
    #expect(value["a"]?[-1] == nil)
  }
}
