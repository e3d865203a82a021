/// A type that is one MessagePack value of its own. One conformance look-up finds it, in place of the fifteen methods
/// that each of Codable's containers has for them.
protocol MessagePrimitive {
  /// The type's own value.
  var messageValue: MessageValue { get }

  /// Reads the type from a value, or throws the `DecodingError` that says why not.
  static func read(_ value: MessageValue, at path: [any CodingKey]) throws -> Self
}

extension Bool: MessagePrimitive {
  var messageValue: MessageValue { .bool(self) }

  static func read(_ value: MessageValue, at path: [any CodingKey]) throws -> Bool {
    guard case .bool(let bool) = value else { throw value.mismatch(Bool.self, at: path) }
    return bool
  }
}

extension String: MessagePrimitive {
  var messageValue: MessageValue { .string(self) }

  static func read(_ value: MessageValue, at path: [any CodingKey]) throws -> String {
    guard case .string(let text) = value else { throw value.mismatch(String.self, at: path) }
    return text
  }
}

extension Double: MessagePrimitive {
  var messageValue: MessageValue { .double(self) }

  static func read(_ value: MessageValue, at path: [any CodingKey]) throws -> Double {
    switch value {
    case .double(let number): return number
    case .int(let number): if let exact = Double(exactly: number) { return exact }
    case .uint(let number): if let exact = Double(exactly: number) { return exact }
    default: throw value.mismatch(Double.self, at: path)
    }
    throw value.misfit(Double.self, at: path)
  }
}

extension Float: MessagePrimitive {
  var messageValue: MessageValue { .double(Double(self)) }

  /// Rounds, but does not let a finite number become infinite.
  static func read(_ value: MessageValue, at path: [any CodingKey]) throws -> Float {
    let wide = try Double.read(value, at: path)
    let narrow = Float(wide)
    guard narrow.isFinite || !wide.isFinite else { throw value.misfit(Float.self, at: path) }
    return narrow
  }
}

/// For integers of at most 64 bits, as MessagePack's are.
extension MessagePrimitive where Self: FixedWidthInteger {
  var messageValue: MessageValue {
    self < 0 ? .int(Int64(self)) : .uint(UInt64(self))
  }

  static func read(_ value: MessageValue, at path: [any CodingKey]) throws -> Self {
    let fitting: Self?
    switch value {
    case .int(let number): fitting = Self(exactly: number)
    case .uint(let number): fitting = Self(exactly: number)
    default: throw value.mismatch(Self.self, at: path)
    }
    guard let fitting else { throw value.misfit(Self.self, at: path) }
    return fitting
  }
}

extension Int: MessagePrimitive {}
extension Int8: MessagePrimitive {}
extension Int16: MessagePrimitive {}
extension Int32: MessagePrimitive {}
extension Int64: MessagePrimitive {}
extension UInt: MessagePrimitive {}
extension UInt8: MessagePrimitive {}
extension UInt16: MessagePrimitive {}
extension UInt32: MessagePrimitive {}
extension UInt64: MessagePrimitive {}

extension [UInt8]: MessagePrimitive {
  var messageValue: MessageValue { .binary(self) }

  /// Binary data, or an array of numbers as other encoders write it.
  static func read(_ value: MessageValue, at path: [any CodingKey]) throws -> [UInt8] {
    switch value {
    case .binary(let bytes):
      return bytes
    case .array(let elements):
      var bytes: [UInt8] = []
      bytes.reserveCapacity(elements.count)
      for (index, element) in elements.enumerated() {
        bytes.append(try UInt8.read(element, at: path + [PathKey(index: index)]))
      }
      return bytes
    default:
      throw value.mismatch([UInt8].self, at: path)
    }
  }
}

extension MessageValue {
  /// The value is of another kind than the type.
  func mismatch(_ type: Any.Type, at path: [any CodingKey]) -> DecodingError {
    let context = DecodingError.Context(codingPath: path, debugDescription: "expected \(type), found \(kindName)")
    return self == .null ? .valueNotFound(type, context) : .typeMismatch(type, context)
  }

  /// The value is of the right kind, but the type cannot hold it.
  func misfit(_ type: Any.Type, at path: [any CodingKey]) -> DecodingError {
    .dataCorrupted(DecodingError.Context(codingPath: path, debugDescription: "\(self) does not fit into \(type)"))
  }

  /// The kind in words: a message of an error must not repeat a value of unknown length.
  private var kindName: String {
    switch self {
    case .null: "nil"
    case .bool: "a boolean"
    case .int, .uint: "an integer"
    case .double: "a floating-point number"
    case .string: "a string"
    case .binary: "binary data"
    case .extension: "an extension"
    case .array: "an array"
    case .map: "a map"
    }
  }
}

/// An element's index, or the superclass, in the path to a value.
struct PathKey: CodingKey {
  let stringValue: String
  let intValue: Int?

  static let `super` = PathKey(stringValue: "super")

  init(index: Int) {
    stringValue = "Index \(index)"
    intValue = index
  }

  init(stringValue: String) {
    self.stringValue = stringValue
    intValue = nil
  }

  init(intValue: Int) { self.init(index: intValue) }
}
