import MessagePack
import Testing

private enum Shape: Codable, Equatable {
  case point
  case circle(radius: Double)
  case segment(Int, Int)
}

private enum Color: String, Codable { case red, green }

private struct Inner: Codable, Equatable {
  var id: UInt64
  var color: Color
}

private struct Everything: Codable, Equatable {
  var flag = true
  var small: Int8 = -128
  var large: UInt64 = .max
  var negative: Int64 = .min
  var float: Float = 0.1
  var double = 0.1
  var text = "é€😀"
  var empty = ""
  var payload: [UInt8] = [0, 1, 255]
  var noPayload: [UInt8] = []
  var numbers = [1, -2, 300]
  var none: Int?
  var some: Int? = 4
  var holes: [String?] = ["a", nil]
  var byName = ["a": 1.5, "b": -1]
  var byNumber = [7: "seven", -1: "minus one"]
  var inner = Inner(id: 1, color: .green)
  var inners = [Inner(id: 2, color: .red)]
  var payloads: [[UInt8]] = [[1], []]
  var shapes: [Shape] = [.point, .circle(radius: 2), .segment(1, 2)]
  var pairs: [Shape.Key: Int] = [.init(id: 1): 2]
}

extension Shape {
  fileprivate struct Key: Codable, Hashable { var id: Int }
}

private class Base: Codable {
  var base = 1
}

private final class Derived: Base {
  var derived = 2

  enum Keys: String, CodingKey { case derived }

  override init() { super.init() }

  required init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    derived = try container.decode(Int.self, forKey: .derived)
    try super.init(from: container.superDecoder())
  }

  override func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(derived, forKey: .derived)
    try super.encode(to: container.superEncoder())
  }
}

/// Encodes itself through every kind of nested container.
private struct Nested: Codable, Equatable {
  var values = [1, 2, 3]

  enum Keys: String, CodingKey { case list, map }

  init() {}

  init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Keys.self)
    var list = try container.nestedUnkeyedContainer(forKey: .list)
    var first = try list.nestedUnkeyedContainer()
    let second = try list.nestedContainer(keyedBy: Keys.self)
    let map = try container.nestedContainer(keyedBy: Keys.self, forKey: .map)
    values = [
      try first.decode(Int.self), try second.decode(Int.self, forKey: .list), try map.decode(Int.self, forKey: .map),
    ]
    #expect(list.isAtEnd)
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    var list = container.nestedUnkeyedContainer(forKey: .list)
    var first = list.nestedUnkeyedContainer()
    try first.encode(values[0])
    var second = list.nestedContainer(keyedBy: Keys.self)
    try second.encode(values[1], forKey: .list)
    var map = container.nestedContainer(keyedBy: Keys.self, forKey: .map)
    try map.encode(values[2], forKey: .map)
  }
}

private final class Chain: Codable {
  var next: Chain?
  init(length: Int) { next = length == 1 ? nil : Chain(length: length - 1) }
}

private final class Ring: Encodable {
  var next: Ring?
}

@Suite("Codable")
struct CodableTests {
  @Test("A type with every kind of field comes back as it was")
  func roundTrip() throws {
    let bytes = try MessagePackEncoder().encode(Everything())
    #expect(try MessagePackDecoder().decode(Everything.self, from: bytes) == Everything())
  }

  @Test("What is written is plain MessagePack")
  func form() throws {
    let encoder = MessagePackEncoder()
    func form(_ value: some Encodable) throws -> MessageValue { try MessageValue(decoding: encoder.encode(value)) }
    #expect(try form(Inner(id: 7, color: .red)) == ["id": 7, "color": "red"])
    #expect(try form([UInt8]([1, 2])) == .binary([1, 2]))
    #expect(try form([String]()) == [])
    #expect(try form([Int8]()) == [])
    #expect(try form([3: true]) == ["3": true])
    #expect(try form(Int?.none) == nil)
    #expect(try form(5) == 5)
    #expect(try form(Shape.point) == ["point": [:]])
    #expect(try form(Shape.circle(radius: 2)) == ["circle": ["radius": 2.0]])
    #expect(try form(Shape.segment(1, 2)) == ["segment": ["_0": 1, "_1": 2]])
    #expect(try form(Derived()) == ["derived": 2, "super": ["base": 1]])
    #expect(try form(Nested()) == ["list": [[1], ["list": 2]], "map": ["map": 3]])
  }

  @Test("Subclasses and nested containers come back as they were")
  func containers() throws {
    let derived = Derived()
    (derived.base, derived.derived) = (10, 20)
    let decoded = try MessagePackDecoder().decode(Derived.self, from: MessagePackEncoder().encode(derived))
    #expect((decoded.base, decoded.derived) == (10, 20))
    var nested = Nested()
    nested.values = [4, 5, 6]
    #expect(try MessagePackDecoder().decode(Nested.self, from: MessagePackEncoder().encode(nested)) == nested)
  }

  @Test("Other encoders' forms are understood")
  func foreignForms() throws {
    func decode<Value: Decodable>(_ value: MessageValue, as type: Value.Type) throws -> Value {
      try MessagePackDecoder().decode(type, from: value.encoded())
    }
    #expect(try decode([1, 255], as: [UInt8].self) == [1, 255])
    #expect(try decode(3, as: Double.self) == 3)
    #expect(try decode(-3, as: Float.self) == -3)
    #expect(try decode([1: "a", "2": "b"], as: [Int: String].self) == [1: "a", 2: "b"])
    #expect(try decode(["id": 1, "new": [1], "color": "red"], as: Inner.self) == Inner(id: 1, color: .red))
    #expect(try decode(["id": 1, "color": "red", "id": 2], as: Inner.self) == Inner(id: 2, color: .red))
    #expect(try decode(["some": nil], as: [String: Int?].self) == ["some": Int?.none])
    #expect(try decode(.double(.infinity), as: Float.self) == .infinity)
    #expect(try decode(.double(.nan), as: Double.self).isNaN)
  }

  /// How reading fails: the kind of error and the path to the value.
  private func failure<Value: Decodable>(_ value: MessageValue, as type: Value.Type) throws -> String {
    do {
      let decoded = try MessagePackDecoder().decode(type, from: value.encoded())
      return "decoded \(decoded)"
    } catch let error as DecodingError {
      let (kind, context) =
        switch error {
        case .typeMismatch(_, let context): ("mismatch", context)
        case .valueNotFound(_, let context): ("no value", context)
        case .keyNotFound(let key, let context): ("no key \(key.stringValue)", context)
        case .dataCorrupted(let context): ("corrupted", context)
        @unknown default: ("unknown", DecodingError.Context(codingPath: [], debugDescription: ""))
        }
      return ([kind] + context.codingPath.map { key in key.intValue.map(String.init) ?? key.stringValue })
        .joined(separator: " ")
    }
  }

  @Test("A value that does not fit is refused with the path to it")
  func failures() throws {
    #expect(try failure(256, as: UInt8.self) == "corrupted")
    #expect(try failure(-1, as: UInt64.self) == "corrupted")
    #expect(try failure(.uint(1 << 63), as: Int.self) == "corrupted")
    #expect(try failure(.int(1 << 53 + 1), as: Double.self) == "corrupted")
    #expect(try failure(1e300, as: Float.self) == "corrupted")
    #expect(try failure(1.0, as: Int.self) == "mismatch")
    #expect(try failure(.double(.nan), as: Int.self) == "mismatch")
    #expect(try failure(nil, as: Int.self) == "no value")
    #expect(try failure("a", as: Bool.self) == "mismatch")
    #expect(try failure(.binary([97]), as: String.self) == "mismatch")
    #expect(try failure([1, 300], as: [UInt8].self) == "corrupted 1")
    #expect(try failure("a", as: [UInt8].self) == "mismatch")
    #expect(try failure([1, "a"], as: [Int].self) == "mismatch 1")
    #expect(try failure([:], as: [Int].self) == "mismatch")
    #expect(try failure([], as: [String: Int].self) == "mismatch")
    #expect(try failure([[1]: 2], as: [String: Int].self) == "mismatch")
    #expect(try failure(["a": [1, nil]], as: [String: [Int]].self) == "no value a 1")
    #expect(try failure(["id": 1], as: Inner.self) == "no key color")
    #expect(try failure([["id": 1, "color": "blue"]], as: [Inner].self) == "corrupted 0 color")
    #expect(try failure(["circle": ["radius": "x"]], as: Shape.self) == "mismatch circle radius")
    #expect(try failure(["list": [[]], "map": [:]], as: Nested.self) == "no value list 1")
  }

  @Test("Bytes that are no message are refused, with the reader's error as the cause")
  func malformed() {
    for hexadecimal in ["", "c1", "dd ffffffff", "01 02", "a2 c328"] {
      do {
        _ = try MessagePackDecoder().decode([Int].self, from: bytes(hexadecimal))
        Issue.record("\(hexadecimal) was decoded")
      } catch DecodingError.dataCorrupted(let context) {
        #expect(context.underlyingError is MessagePackError)
      } catch {
        Issue.record("\(error)")
      }
    }
  }

  @Test("A value that nests too deep, or for ever, or a 128-bit integer is not written")
  func unencodable() throws {
    #expect(throws: Never.self) { try MessagePackEncoder().encode(Chain(length: 32)) }
    #expect(throws: EncodingError.self) { try MessagePackEncoder().encode(Chain(length: 33)) }
    let ring = Ring()
    ring.next = ring
    #expect(throws: EncodingError.self) { try MessagePackEncoder().encode(ring) }
    ring.next = nil
    #expect(throws: EncodingError.self) { try MessagePackEncoder().encode(Int128(1)) }
    #expect(throws: EncodingError.self) { try MessagePackEncoder().encode(["a": UInt128(1)]) }
    #expect(throws: DecodingError.self) { try MessagePackDecoder().decode([Int128].self, from: [0x91, 1]) }
  }

  @Test("Every prefix of an encoded value is refused")
  func prefixes() throws {
    let message = try MessagePackEncoder().encode(Everything())
    for length in message.indices {
      #expect(throws: DecodingError.self) {
        try MessagePackDecoder().decode(Everything.self, from: [UInt8](message[..<length]))
      }
    }
  }
}
