import CMessagePack
import SeededNumbers
import Testing

@testable import MessagePack

@Suite("Reading hostile bytes")
struct HostileBytesTests {
  static let malformed: [(bytes: [UInt8], status: DecodeStatus, offset: Int)] = [
    // Nothing, and the byte that MessagePack does not use.
    (bytes(""), .truncated, 0),
    (bytes("c1"), .invalidByte, 0),
    (bytes("93 01 c1 02"), .invalidByte, 2),
    // Headers that claim more than there is: the reader stops at the header.
    (bytes("dd ffffffff"), .countExceedsBytes, 4),
    (bytes("dd ffffffff 00"), .countExceedsBytes, 4),
    (bytes("df ffffffff 00"), .countExceedsBytes, 4),
    (bytes("df 80000000 00"), .countExceedsBytes, 4),
    (bytes("dc ffff 00"), .countExceedsBytes, 2),
    (bytes("92 01"), .countExceedsBytes, 0),
    (bytes("81 01"), .countExceedsBytes, 0),
    (bytes("91 92 01"), .countExceedsBytes, 1),
    (bytes("db ffffffff 61"), .truncated, 5),
    (bytes("c6 ffffffff 61"), .truncated, 5),
    (bytes("c9 ffffffff 05 61"), .truncated, 4),
    (bytes("c9 fffffffe 05 61"), .truncated, 5),
    (bytes("c9 ffffffff"), .truncated, 4),
    (bytes("a2 61"), .truncated, 1),
    // More than one message.
    (bytes("c0 c0"), .trailingBytes, 1),
    (bytes("91 01 02"), .trailingBytes, 2),
    (bytes("80 c1"), .trailingBytes, 1),
    // Nesting.
    ([UInt8](repeating: 0x91, count: 32) + [0x90], .tooDeep, 32),
    ([UInt8](repeating: 0x91, count: 1_000_000), .tooDeep, 32),
    ([UInt8](repeating: 0x81, count: 1_000_000), .tooDeep, 32),
  ]

  @Test("A malformed message gives its status and the place, and takes no memory but the reader's own")
  func malformed() {
    for (bytes, status, offset) in Self.malformed {
      var reader = MessageReader()
      let capacity = reader.tokens.capacity
      #expect(bytes.withUnsafeBytes { bytes in reader.parse(bytes) } == status, "\(bytes.prefix(8))")
      #expect(reader.offset == offset, "\(bytes.prefix(8))")
      #expect(reader.tokens.capacity == capacity, "\(bytes.prefix(8))")
      #expect(reader.cursor.isAtEnd)
    }
  }

  @Test("Containers nest 32 deep, empty ones counted")
  func depth() {
    #expect(parse([UInt8](repeating: 0x91, count: 31) + [0x90]).status == .ok)
    #expect(parse([UInt8](repeating: 0x91, count: 32) + [0x01]).status == .ok)
    #expect(parse([UInt8](repeating: 0x91, count: 32) + [0x80]).status == .tooDeep)
    let maps = [[UInt8]](repeating: [0x81, 0xc0], count: 32).flatMap(\.self)
    #expect(parse(maps + [0x01]).status == .ok)
    #expect(parse(maps + [0x81, 0xc0, 0x01]).status == .tooDeep)
  }

  @Test("A message of as many values as allowed is read, of one more is refused", arguments: [1, 2, 255, 256, 1000])
  func values(maximum: Int) throws {
    let fitting = try MessageValue.array(Array(repeating: .null, count: maximum - 1)).encoded()
    let larger = try MessageValue.array(Array(repeating: .null, count: maximum)).encoded()
    #expect(parse(fitting, maximumValues: maximum).status == .ok)
    #expect(parse(larger, maximumValues: maximum).status == .tooManyValues)
  }

  @Test("Every prefix of a message is cut off, and every message with a byte more has trailing bytes")
  func prefixes() throws {
    let value: MessageValue = [
      "args": [1, -1, 300, -300, .uint(.max), .int(.min), 1.5, true, nil, "text", .binary([1, 2, 3])],
      "kwargs": ["long": .string(String(repeating: "x", count: 300)), "ext": .extension(3, [1, 2, 3, 4])],
      "empty": [[], [:], "", .binary([])],
    ]
    let message = try value.encoded()
    #expect(parse(message).status == .ok)
    for length in message.indices {
      let status = parse([UInt8](message[..<length])).status
      // A container's header may be the first to notice.
      #expect(status == .truncated || status == .countExceedsBytes, "\(length) bytes: \(status)")
    }
    #expect(parse(message + [0]).status == .trailingBytes)
  }

  @Test(
    "A value that is not a container is cut off at every prefix",
    arguments: [
      "cc ff", "cd ffff", "ce ffffffff", "cf ffffffffffffffff", "d0 80", "d1 8000", "d2 80000000",
      "d3 8000000000000000", "ca 3fc00000", "cb 3ff8000000000000", "a3 616263", "d9 03 616263", "da 0003 616263",
      "db 00000003 616263", "c4 03 616263", "c5 0003 616263", "c6 00000003 616263", "c7 03 05 616263",
      "c8 0003 05 616263", "c9 00000003 05 616263", "d4 05 61", "d5 05 6162", "d6 05 61626364",
    ])
  func scalarPrefixes(hexadecimal: String) {
    let message = bytes(hexadecimal)
    #expect(parse(message).status == .ok)
    for length in message.indices { #expect(parse([UInt8](message[..<length])).status == .truncated) }
  }

  @Test("Random bytes, and messages with a random byte changed, are read or refused", arguments: 0..<4)
  func fuzz(seed: UInt64) throws {
    var random = SeededNumbers(seed: seed)
    var reader = MessageReader(maximumValues: 64)
    var read = 0
    for _ in 0..<5000 {
      var message = (0..<Int.random(in: 1...24, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      if Bool.random(using: &random) {
        message = try MessageValue.random(using: &random).encoded()
        message[Int.random(in: message.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      message.withUnsafeBytes { bytes in
        guard reader.parse(bytes) == .ok else { return }
        read += 1
        // Skipping value by value covers the bytes from first to last.
        var cursor = reader.cursor
        #expect(cursor.readRaw()?.count == bytes.count)
        #expect(cursor.isAtEnd)
      }
      _ = try? MessageValue(decoding: message)
      _ = try? MessagePackDecoder().decode([String: [Double]].self, from: message)
    }
    #expect(read > 100)
  }

  @Test("The quick way of reading and msgpack-c's parser give the same tokens, status and place", arguments: 0..<4)
  func agreesWithMsgpackC(seed: UInt64) throws {
    var random = SeededNumbers(seed: seed)
    var quick = nuvom_tokens_make(10_000)
    var other = nuvom_tokens_make(10_000)
    defer {
      nuvom_tokens_free(quick)
      nuvom_tokens_free(other)
    }
    var messages = Self.malformed.map(\.bytes)
    for depth in 29...34 { messages.append([UInt8](repeating: 0x91, count: depth) + [0x05]) }
    for _ in 0..<5_000 {
      var message = try MessageValue.random(using: &random).encoded()
      messages.append(message)
      message[Int.random(in: message.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
      messages.append(message)
      messages.append(Array(message.prefix(Int.random(in: 0...message.count, using: &random))))
    }
    for message in messages {
      message.withUnsafeBufferPointer { bytes in
        var (end, otherEnd) = (0, 0)
        let status = nuvom_tokens_parse(&quick, bytes.baseAddress, bytes.count, &end)
        let otherStatus = nuvom_tokens_parse_any(&other, bytes.baseAddress, bytes.count, &otherEnd)
        let tokens = (0...quick.count).map { Token(quick.base[Int($0)]) }
        let otherTokens = (0...other.count).map { Token(other.base[Int($0)]) }
        #expect(status == otherStatus && end == otherEnd && tokens == otherTokens, "\(message)")
      }
    }
  }

  /// What a token says, to be compared.
  private struct Token: Equatable {
    let kind: UInt8
    let type: Int8
    let start: UInt32
    let bits: UInt64

    init(_ token: nuvom_token) {
      (kind, type, start, bits) = (token.kind, token.extension_type, token.start, token.bits)
    }
  }
}

@Suite("Walking over a message")
struct MessageCursorTests {
  let message: [UInt8]

  init() throws {
    let value: MessageValue = [
      0, 17, "enqueue", ["jobs": [["queue": "default", "headers": ["a": [1, 2]], "n": -7]], "flag": true],
    ]
    message = try value.encoded()
  }

  @Test("A request is read field by field, and what is not wanted is skipped")
  func walk() throws {
    try read(message) { cursor in
      #expect(cursor.readArrayHeader() == 4)
      #expect(cursor.readUInt() == 0)
      #expect(cursor.readInt() == 17)
      #expect(cursor.readString() == "enqueue")
      #expect(cursor.readMapHeader() == 2)
      let readJobs = cursor.readKey()
      let jobs = try #require(readJobs)
      #expect(jobs == "jobs")
      #expect(cursor.readArrayHeader() == 1)
      #expect(cursor.readMapHeader() == 3)
      let readQueue = cursor.readKey()
      let queue = try #require(readQueue)
      switch queue {
      case "queu", "queues", "qUeue", "": Issue.record("another name matched")
      case "queue": break
      default: Issue.record("the name did not match")
      }
      #expect(cursor.readUTF8().map { bytes in [UInt8](bytes) } == [UInt8]("default".utf8))
      #expect(cursor.readString() == "headers")
      let readHeaders = cursor.readRaw()
      let headers = try #require(readHeaders)
      #expect(try MessageValue(decoding: headers) == ["a": [1, 2]])
      #expect(cursor.readString() == "n")
      #expect(cursor.readUInt() == nil)
      #expect(cursor.readInt() == -7)
      #expect(cursor.readString() == "flag")
      #expect(cursor.readBool() == true)
      #expect(cursor.isAtEnd)
    }
  }

  @Test("Skipping passes a whole container")
  func skip() {
    read(message) { cursor in
      var copy = cursor
      copy.skip()
      #expect(copy.isAtEnd)
      _ = cursor.readArrayHeader()
      for _ in 0..<3 { cursor.skip() }
      #expect(cursor.kind == .map)
      cursor.skip()
      #expect(cursor.isAtEnd)
    }
  }

  @Test("The raw bytes of every value decode to that value")
  func rawBytes() throws {
    let elements: [MessageValue] = [
      nil, true, -500, 70000, 0.5, "text", "", .binary([1]), .binary([]), .extension(1, [2]), [], [:], [1, [2]],
      ["k": [:]],
    ]
    try read(MessageValue.array(elements).encoded()) { cursor in
      #expect(cursor.readArrayHeader() == elements.count)
      for element in elements {
        let readRaw = cursor.readRaw()
        let raw = try #require(readRaw)
        #expect(try [UInt8](raw) == element.encoded())
        #expect(try MessageValue(decoding: raw) == element)
      }
      #expect(cursor.rawBytes.isEmpty)
      #expect(cursor.readRaw() == nil)
    }
  }

  @Test("A value of another kind is not read and the cursor stays; at the end nothing is read")
  func otherKinds() {
    let values: [(MessageKind, String)] = [
      (.null, "c0"), (.bool, "c3"), (.int, "ff"), (.uint, "01"), (.double, "cb 3ff8000000000000"), (.string, "a161"),
      (.binary, "c40161"), (.extension, "d40561"), (.array, "90"), (.map, "80"),
    ]
    for (kind, hexadecimal) in values {
      read(bytes(hexadecimal)) { cursor in
        #expect(cursor.kind == kind)
        for _ in 0..<2 {
          #expect((cursor.copyReading { $0.readNull() ? true : nil } != nil) == (cursor.kind == .null))
          #expect((cursor.copyReading { $0.readBool() } != nil) == (cursor.kind == .bool))
          #expect((cursor.copyReading { $0.readUInt() } != nil) == (cursor.kind == .uint))
          #expect((cursor.copyReading { $0.readInt() } != nil) == [.int, .uint].contains(cursor.kind))
          #expect((cursor.copyReading { $0.readDouble() } != nil) == (cursor.kind == .double))
          #expect((cursor.copyReading { $0.readUTF8() } != nil) == (cursor.kind == .string))
          #expect((cursor.copyReading { $0.readString() } != nil) == (cursor.kind == .string))
          #expect((cursor.copyReading { $0.readKey() } != nil) == (cursor.kind == .string))
          #expect((cursor.copyReading { $0.readBinary() } != nil) == (cursor.kind == .binary))
          #expect((cursor.copyReading { $0.readBytes() } != nil) == [.string, .binary].contains(cursor.kind))
          #expect((cursor.copyReading { $0.readExtension() } != nil) == (cursor.kind == .extension))
          #expect((cursor.copyReading { $0.readArrayHeader() } != nil) == (cursor.kind == .array))
          #expect((cursor.copyReading { $0.readMapHeader() } != nil) == (cursor.kind == .map))
          cursor.skip()
          #expect(cursor.isAtEnd)
        }
      }
    }
  }

  @Test("An unsigned number above 2^63-1 is no signed one")
  func largeNumber() {
    read(bytes("cf 8000000000000000")) { cursor in
      #expect(cursor.readInt() == nil)
      #expect(cursor.readUInt() == 1 << 63)
    }
  }

  @Test("A string of invalid UTF-8 is bytes, but no String")
  func invalidUTF8() {
    read(bytes("a2 c328")) { cursor in
      #expect(cursor.readString() == nil)
      #expect(cursor.readUTF8()?.count == 2)
    }
  }

  @Test("A reader is used again, for longer and shorter messages and after failures")
  func reuse() throws {
    var reader = MessageReader()
    for count in [0, 1000, 3, 100_000, 2] {
      let message = try MessageValue.array((0..<count).map { number in .uint(UInt64(number)) }).encoded()
      message.withUnsafeBytes { bytes in
        #expect(reader.parse(bytes) == .ok)
        var cursor = reader.cursor
        #expect(cursor.readArrayHeader() == count)
        for number in 0..<count where cursor.readUInt() != UInt64(number) { Issue.record("\(number) of \(count)") }
        #expect(cursor.isAtEnd)
      }
      #expect(bytes("c1").withUnsafeBytes { bytes in reader.parse(bytes) } == .invalidByte)
      #expect(reader.cursor.isAtEnd)
    }
  }
}

extension MessageCursor {
  /// What `read` gives; the cursor moves exactly when it gives something.
  fileprivate func copyReading<Value>(_ read: (inout MessageCursor) -> Value?) -> Value? {
    var copy = self
    let value = read(&copy)
    var moved = self
    moved.skip()
    #expect(copy.rawBytes.baseAddress == (value == nil ? self : moved).rawBytes.baseAddress)
    return value
  }
}

@Suite("UTF-8 validation")
struct UTF8ValidationTests {
  @Test(
    "Edge cases of the encoding",
    arguments: [
      ("", true), ("61", true), ("7f", true), ("c280", true), ("dfbf", true), ("e0a080", true), ("ed9fbf", true),
      ("ee8080", true), ("efbfbf", true), ("f0908080", true), ("f48fbfbf", true), ("6161616161616161 c3a9", true),
      ("80", false), ("c0af", false), ("c1bf", false), ("c2", false), ("c261", false), ("e09fbf", false),
      ("eda080", false), ("edbfbf", false), ("e282", false), ("f08fbfbf", false), ("f4908080", false),
      ("f5808080", false), ("ff", false), ("f09f98", false), ("6161616161616161 80", false),
      ("61616161616161ff", false),
    ])
  func edges(hexadecimal: String, valid: Bool) {
    #expect(bytes(hexadecimal).withUnsafeBytes { bytes in isValidUTF8(bytes) } == valid)
  }

  @Test("Agrees with String about random bytes")
  func random() {
    var random = SeededNumbers(seed: 8)
    let interesting: [UInt8] = [0x00, 0x61, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc2, 0xe0, 0xed, 0xf0, 0xf4]
    var valid = 0
    for _ in 0..<50_000 {
      let bytes = (0..<Int.random(in: 0...5, using: &random)).map { _ in
        interesting.randomElement(using: &random) ?? 0
      }
      let expected = String(validating: bytes, as: UTF8.self) != nil
      valid += expected ? 1 : 0
      if bytes.withUnsafeBytes({ bytes in isValidUTF8(bytes) }) != expected { Issue.record("\(bytes)") }
    }
    #expect(valid > 1000)
  }
}

@Test("The kinds of values are numbered as the parser numbers them, without a gap: a cast relies on it")
func kindNumbers() {
  let kinds = (0...10 as ClosedRange<UInt8>).compactMap(MessageKind.init(rawValue:))
  #expect(kinds.map(\.rawValue) == Array(0...10))
  #expect(kinds.map { unsafeBitCast($0, to: UInt8.self) } == Array(0...10))
  #expect(MessageKind(rawValue: 11) == nil)
}
