/// Any MessagePack value: for tools and tests. The broker's own way of a message is ``MessageReader``, which copies
/// nothing.
///
/// Two integers are equal when they are the same number, whichever case holds them. Maps are equal when their pairs
/// are, in the same order.
public enum MessageValue: Sendable {
  /// nil.
  case null
  /// true or false.
  case bool(Bool)
  /// An integer; decoding gives it for negative ones only.
  case int(Int64)
  /// An integer that is not negative.
  case uint(UInt64)
  /// A floating-point number.
  case double(Double)
  /// Text.
  case string(String)
  /// Binary data.
  case binary([UInt8])
  /// An extension: its type and bytes.
  case `extension`(Int8, [UInt8])
  /// An array.
  case array([MessageValue])
  /// A map: its pairs in the order of the message. MessagePack does not forbid a key that appears twice.
  case map([(MessageValue, MessageValue)])

  /// Reads bytes that must be exactly one message of at most `maximumValues` values.
  public init(decoding bytes: [UInt8], maximumValues: Int = 262_144) throws(MessagePackError) {
    self = try bytes.withUnsafeBufferPointer { bytes throws(MessagePackError) in
      try MessageValue(decoding: UnsafeRawBufferPointer(bytes), maximumValues: maximumValues)
    }
  }

  /// Reads bytes that must be exactly one message of at most `maximumValues` values.
  public init(
    decoding bytes: UnsafeRawBufferPointer, maximumValues: Int = 262_144
  ) throws(MessagePackError) {
    var reader = MessageReader(maximumValues: maximumValues)
    let status = reader.parse(bytes)
    guard status == .ok else { throw MessagePackError(code: .malformed(status), offset: reader.offset) }
    var cursor = reader.cursor
    self = try MessageValue(reading: &cursor, of: bytes)
  }

  /// Reads the value at the cursor and moves past it. Recursion ends where the parser's depth does.
  private init(
    reading cursor: inout MessageCursor, of bytes: UnsafeRawBufferPointer
  ) throws(MessagePackError) {
    switch cursor.kind {
    case .null, .end:
      self = .null
      cursor.skip()
    case .bool:
      self = .bool(cursor.readBool() ?? false)
    case .int:
      self = .int(cursor.readInt() ?? 0)
    case .uint:
      self = .uint(cursor.readUInt() ?? 0)
    case .double:
      self = .double(cursor.readDouble() ?? 0)
    case .string:
      guard let text = cursor.readString() else {
        let start = bytes.baseAddress.flatMap { base in cursor.rawBytes.baseAddress.map { $0 - base } }
        throw MessagePackError(code: .invalidUTF8, offset: start)
      }
      self = .string(text)
    case .binary:
      self = .binary([UInt8](cursor.readBinary() ?? UnsafeRawBufferPointer(start: nil, count: 0)))
    case .extension:
      let (type, bytes) = cursor.readExtension() ?? (0, UnsafeRawBufferPointer(start: nil, count: 0))
      self = .extension(type, [UInt8](bytes))
    case .array:
      let count = cursor.readArrayHeader() ?? 0
      var elements: [MessageValue] = []
      elements.reserveCapacity(count)
      for _ in 0..<count { elements.append(try MessageValue(reading: &cursor, of: bytes)) }
      self = .array(elements)
    case .map:
      let count = cursor.readMapHeader() ?? 0
      var pairs: [(MessageValue, MessageValue)] = []
      pairs.reserveCapacity(count)
      for _ in 0..<count {
        let key = try MessageValue(reading: &cursor, of: bytes)
        pairs.append((key, try MessageValue(reading: &cursor, of: bytes)))
      }
      self = .map(pairs)
    }
  }

  /// The value as one message. Throws when it nests too deep for a reader to take.
  public func encoded() throws(MessagePackError) -> [UInt8] {
    var writer = MessageWriter()
    try write(to: &writer)
    return writer.bytes
  }

  /// Writes the value into a message. When it throws, a part may have been written.
  public func write(to writer: inout MessageWriter) throws(MessagePackError) {
    try write(to: &writer, depth: 0)
  }

  /// `depth` is the number of containers around the value.
  private func write(to writer: inout MessageWriter, depth: Int) throws(MessagePackError) {
    switch self {
    case .null: writer.null()
    case .bool(let value): writer.bool(value)
    case .int(let value): writer.int(value)
    case .uint(let value): writer.uint(value)
    case .double(let value): writer.double(value)
    case .string(let text): writer.string(text)
    case .binary(let bytes): writer.binary(bytes)
    case .extension(let type, let bytes): bytes.withUnsafeBytes { bytes in writer.extension(type: type, bytes) }
    case .array(let elements):
      try refuse(depth)
      writer.arrayHeader(elements.count)
      for element in elements { try element.write(to: &writer, depth: depth + 1) }
    case .map(let pairs):
      try refuse(depth)
      writer.mapHeader(pairs.count)
      for (key, value) in pairs {
        try key.write(to: &writer, depth: depth + 1)
        try value.write(to: &writer, depth: depth + 1)
      }
    }
  }

  private func refuse(_ depth: Int) throws(MessagePackError) {
    guard depth < MessageReader.maximumDepth else { throw MessagePackError(code: .tooDeep, offset: nil) }
  }

  /// The value of the first pair with this key. Nil when there is none, and for what is not a map.
  public subscript(key: String) -> MessageValue? {
    guard case .map(let pairs) = self else { return nil }
    return pairs.first { pair in pair.0 == .string(key) }?.1
  }

  /// The element of an array. Nil when there is none, and for what is not an array.
  public subscript(index: Int) -> MessageValue? {
    guard case .array(let elements) = self, elements.indices.contains(index) else { return nil }
    return elements[index]
  }
}

extension MessageValue: Equatable {
  /// Whether the values are the same; a floating-point number never equals an integer, nor does NaN equal NaN.
  public static func == (left: MessageValue, right: MessageValue) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let left), .bool(let right)): left == right
    case (.int(let left), .int(let right)): left == right
    case (.uint(let left), .uint(let right)): left == right
    case (.int(let left), .uint(let right)): left == right
    case (.uint(let left), .int(let right)): left == right
    case (.double(let left), .double(let right)): left == right
    case (.string(let left), .string(let right)): left.utf8.elementsEqual(right.utf8)
    case (.binary(let left), .binary(let right)): left == right
    case (.extension(let leftType, let left), .extension(let rightType, let right)):
      leftType == rightType && left == right
    case (.array(let left), .array(let right)): left == right
    case (.map(let left), .map(let right)): left.elementsEqual(right) { left, right in left == right }
    default: false
    }
  }
}

extension MessageValue: CustomStringConvertible {
  /// The value in the manner of JSON; binary data as `h'0a1b'`, extensions as `ext(type, h'…')`.
  public var description: String {
    switch self {
    case .null: "null"
    case .bool(let value): "\(value)"
    case .int(let value): "\(value)"
    case .uint(let value): "\(value)"
    case .double(let value): "\(value)"
    case .string(let text): Self.quoted(text)
    case .binary(let bytes): "h'\(Self.hexadecimal(bytes))'"
    case .extension(let type, let bytes): "ext(\(type), h'\(Self.hexadecimal(bytes))')"
    case .array(let elements): "[\(elements.map(\.description).joined(separator: ", "))]"
    case .map(let pairs):
      "{\(pairs.map { key, value in "\(key): \(value)" }.joined(separator: ", "))}"
    }
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    var text = ""
    for byte in bytes {
      text += byte < 16 ? "0" : ""
      text += String(byte, radix: 16)
    }
    return text
  }

  /// Control characters are escaped, so that a stranger's value cannot steer a terminal.
  private static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\n": quoted += "\\n"
      case "\r": quoted += "\\r"
      case "\t": quoted += "\\t"
      case "\u{0}"..."\u{1f}", "\u{7f}"..."\u{9f}":
        quoted += "\\u00" + hexadecimal([UInt8(truncatingIfNeeded: scalar.value)])
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}

extension MessageValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// nil.
  public init(nilLiteral: ()) { self = .null }
  /// A boolean.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// An integer; larger ones are written `.uint(…)`.
  public init(integerLiteral value: Int64) { self = value < 0 ? .int(value) : .uint(UInt64(value)) }
  /// A floating-point number.
  public init(floatLiteral value: Double) { self = .double(value) }
  /// Text.
  public init(stringLiteral value: String) { self = .string(value) }
  /// An array.
  public init(arrayLiteral elements: MessageValue...) { self = .array(elements) }
  /// A map; a key may appear twice.
  public init(dictionaryLiteral pairs: (MessageValue, MessageValue)...) { self = .map(pairs) }
}
