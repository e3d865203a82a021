/// Writes `Encodable` values as MessagePack.
///
/// Structs, and dictionaries with string or integer keys, become maps with string keys; `[UInt8]` becomes binary data,
/// nil becomes nil; 128-bit integers are refused. Foundation's `Data` and `Date` write themselves as an array of
/// numbers and as a number: this module does not know them. The order of a dictionary's keys differs between runs.
public struct MessagePackEncoder: Sendable {
  /// An encoder; it holds no state between calls.
  public init() {}

  /// The value as one message. Throws `EncodingError` when the value does, or when it nests deeper than 32.
  public func encode<Value: Encodable>(_ value: Value) throws -> [UInt8] {
    let root = EncodingNode()
    try root.encode(value, at: [])
    do {
      return try root.value.encoded()
    } catch {
      throw EncodingError.invalidValue(
        value, EncodingError.Context(codingPath: [], debugDescription: "\(error)", underlyingError: error))
    }
  }
}

/// A place for a value that is still being built: Codable hands containers out before their elements are known.
private final class EncodingNode {
  private enum Content {
    case empty
    case single(MessageValue)
    case array
    case map
  }

  private var content = Content.empty
  private var elements: [EncodingNode] = []
  /// A map's keys, one for each element.
  private var keys: [String] = []

  var count: Int { elements.count }

  var value: MessageValue {
    switch content {
    // A type that wrote nothing is an empty map, as a struct without fields is.
    case .empty: .map([])
    case .single(let value): value
    case .array: .array(elements.map(\.value))
    case .map: .map(zip(keys, elements).map { key, element in (.string(key), element.value) })
    }
  }

  func set(_ value: MessageValue) {
    guard case .empty = content else { preconditionFailure("a type encoded more than one value in one place") }
    content = .single(value)
  }

  /// Makes the place an array; asking twice continues the same one.
  func becomeArray() {
    switch content {
    case .empty: content = .array
    case .array: break
    case .single, .map: preconditionFailure("a type encoded an array and something else in one place")
    }
  }

  /// Makes the place a map; asking twice continues the same one, as a class and its superclass do.
  func becomeMap() {
    switch content {
    case .empty: content = .map
    case .map: break
    case .single, .array: preconditionFailure("a type encoded a map and something else in one place")
    }
  }

  func append() -> EncodingNode {
    let node = EncodingNode()
    elements.append(node)
    return node
  }

  func append(key: String) -> EncodingNode {
    keys.append(key)
    return append()
  }

  func encode<Value: Encodable>(_ value: Value, at path: [any CodingKey]) throws {
    if let primitive = value as? any MessagePrimitive { return set(primitive.messageValue) }
    // Ends the recursion of a value that contains itself, too.
    guard path.count <= MessageReader.maximumDepth else {
      let reason = "the value nests deeper than \(MessageReader.maximumDepth); flatten it"
      throw EncodingError.invalidValue(value, EncodingError.Context(codingPath: path, debugDescription: reason))
    }
    try value.encode(to: NodeEncoder(node: self, codingPath: path))
  }
}

private struct NodeEncoder: Encoder, SingleValueEncodingContainer {
  let node: EncodingNode
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    node.becomeMap()
    return KeyedEncodingContainer(KeyedNodeContainer(node: node, codingPath: codingPath))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    node.becomeArray()
    return UnkeyedNodeContainer(node: node, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer { self }

  func encodeNil() { node.set(.null) }

  // Stands for the protocol's methods for Bool, String and each number, too.
  func encode<Value: Encodable>(_ value: Value) throws { try node.encode(value, at: codingPath) }
}

private struct KeyedNodeContainer<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let node: EncodingNode
  let codingPath: [any CodingKey]

  func encodeNil(forKey key: Key) { node.append(key: key.stringValue).set(.null) }

  func encode<Value: Encodable>(_ value: Value, forKey key: Key) throws {
    try node.append(key: key.stringValue).encode(value, at: codingPath + [key])
  }

  func nestedContainer<Nested: CodingKey>(
    keyedBy type: Nested.Type, forKey key: Key
  ) -> KeyedEncodingContainer<Nested> {
    encoder(for: key).container(keyedBy: type)
  }

  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    encoder(for: key).unkeyedContainer()
  }

  func superEncoder() -> any Encoder { encoder(for: PathKey.super) }

  func superEncoder(forKey key: Key) -> any Encoder { encoder(for: key) }

  private func encoder(for key: any CodingKey) -> NodeEncoder {
    NodeEncoder(node: node.append(key: key.stringValue), codingPath: codingPath + [key])
  }
}

private struct UnkeyedNodeContainer: UnkeyedEncodingContainer {
  let node: EncodingNode
  let codingPath: [any CodingKey]
  var count: Int { node.count }

  func encodeNil() { node.append().set(.null) }

  func encode<Value: Encodable>(_ value: Value) throws {
    let path = codingPath + [PathKey(index: count)]
    try node.append().encode(value, at: path)
  }

  func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
    encoder().container(keyedBy: type)
  }

  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { encoder().unkeyedContainer() }

  func superEncoder() -> any Encoder { encoder() }

  private func encoder() -> NodeEncoder {
    let path = codingPath + [PathKey(index: count)]
    return NodeEncoder(node: node.append(), codingPath: path)
  }
}
