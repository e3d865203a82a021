/// Reads `Decodable` values from MessagePack, also from a stranger's.
///
/// Maps become structs and dictionaries; a key that is an integer is read as its decimal digits, unknown keys are
/// ignored, of a key that appears twice the last counts. `[UInt8]` is read from binary data or an array of numbers.
/// An integer is taken for a floating-point number when that is exact, never the other way round.
public struct MessagePackDecoder: Sendable {
  /// A decoder; it holds no state between calls.
  public init() {}

  /// Reads bytes that must be exactly one message. Throws `DecodingError`, with the path to the value that is wrong.
  public func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws -> Value {
    let value: MessageValue
    do {
      value = try MessageValue(decoding: bytes)
    } catch {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(codingPath: [], debugDescription: "\(error)", underlyingError: error))
    }
    return try value.decode(type, at: [])
  }
}

extension MessageValue {
  fileprivate func decode<Value: Decodable>(_ type: Value.Type, at path: [any CodingKey]) throws -> Value {
    if let primitive = type as? any MessagePrimitive.Type, let value = try primitive.read(self, at: path) as? Value {
      return value
    }
    return try Value(from: ValueDecoder(value: self, codingPath: path))
  }
}

private struct ValueDecoder: Decoder, SingleValueDecodingContainer {
  let value: MessageValue
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .map(let pairs) = value else { throw value.mismatch([String: MessageValue].self, at: codingPath) }
    return KeyedDecodingContainer(try KeyedValueContainer(pairs, codingPath: codingPath))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .array(let elements) = value else { throw value.mismatch([MessageValue].self, at: codingPath) }
    return UnkeyedValueContainer(elements: elements, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { self }

  func decodeNil() -> Bool { value == .null }

  // Stands for the protocol's methods for Bool, String and each number, too.
  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try value.decode(type, at: codingPath) }
}

private struct KeyedValueContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let codingPath: [any CodingKey]
  /// In the order of the message.
  private var names: [String] = []
  private var values: [String: MessageValue]

  init(_ pairs: [(MessageValue, MessageValue)], codingPath: [any CodingKey]) throws {
    self.codingPath = codingPath
    values = Dictionary(minimumCapacity: pairs.count)
    for (key, value) in pairs {
      let name: String
      switch key {
      case .string(let text): name = text
      case .int(let number): name = String(number)
      case .uint(let number): name = String(number)
      default: throw key.mismatch(String.self, at: codingPath)
      }
      if values.updateValue(value, forKey: name) == nil { names.append(name) }
    }
  }

  var allKeys: [Key] { names.compactMap(Key.init(stringValue:)) }

  func contains(_ key: Key) -> Bool { values[key.stringValue] != nil }

  func decodeNil(forKey key: Key) throws -> Bool { try value(for: key) == .null }

  func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
    try value(for: key).decode(type, at: codingPath + [key])
  }

  func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<Nested> {
    try decoder(for: key).container(keyedBy: type)
  }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try decoder(for: key).unkeyedContainer()
  }

  func superDecoder() throws -> any Decoder { try decoder(for: PathKey.super) }

  func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(for: key) }

  private func decoder(for key: any CodingKey) throws -> ValueDecoder {
    ValueDecoder(value: try value(for: key), codingPath: codingPath + [key])
  }

  private func value(for key: any CodingKey) throws -> MessageValue {
    guard let value = values[key.stringValue] else {
      let reason = "the map has no key \"\(key.stringValue)\""
      throw DecodingError.keyNotFound(key, DecodingError.Context(codingPath: codingPath, debugDescription: reason))
    }
    return value
  }
}

private struct UnkeyedValueContainer: UnkeyedDecodingContainer {
  let elements: [MessageValue]
  let codingPath: [any CodingKey]
  private(set) var currentIndex = 0

  init(elements: [MessageValue], codingPath: [any CodingKey]) {
    self.elements = elements
    self.codingPath = codingPath
  }

  var count: Int? { elements.count }

  var isAtEnd: Bool { currentIndex == elements.count }

  mutating func decodeNil() throws -> Bool {
    guard try current(Never.self) == .null else { return false }
    currentIndex += 1
    return true
  }

  // The index moves only when the value was good, so that another type can be tried.
  mutating func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    let value = try current(type).decode(type, at: path)
    currentIndex += 1
    return value
  }

  mutating func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type
  ) throws -> KeyedDecodingContainer<Nested> {
    let container = try decoder().container(keyedBy: type)
    currentIndex += 1
    return container
  }

  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    let container = try decoder().unkeyedContainer()
    currentIndex += 1
    return container
  }

  mutating func superDecoder() throws -> any Decoder {
    let decoder = try decoder()
    currentIndex += 1
    return decoder
  }

  private var path: [any CodingKey] { codingPath + [PathKey(index: currentIndex)] }

  private func decoder() throws -> ValueDecoder {
    ValueDecoder(value: try current((any Decoder).self), codingPath: path)
  }

  private func current(_ type: Any.Type) throws -> MessageValue {
    guard currentIndex < elements.count else {
      let reason = "the array has only \(elements.count) elements"
      throw DecodingError.valueNotFound(type, DecodingError.Context(codingPath: path, debugDescription: reason))
    }
    return elements[currentIndex]
  }
}
