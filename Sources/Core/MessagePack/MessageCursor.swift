public import CMessagePack

/// A place in a parsed message. `read…` returns the value there and moves on, or nil and stays where it is when the
/// value is of another kind; at the end everything returns nil.
///
/// To read a container, read its header, then its elements: as many as the header says (in a map, key and value in
/// turn). They must all be read or skipped. A copy is an independent place.
@frozen
public struct MessageCursor {
  @usableFromInline var token: UnsafePointer<nuvom_token>
  @usableFromInline let bytes: UnsafeRawPointer

  @inlinable
  init(token: UnsafePointer<nuvom_token>, bytes: UnsafeRawPointer) {
    self.token = token
    self.bytes = bytes
  }

  // MARK: Looking

  /// What the value here is.
  ///
  /// A cast, because the failable initializer is an outlined call for every value (25 ns of a small frame). It is sound: the parser
  /// writes only 0…10, and the cases are these numbers in this order (held by a test).
  @inlinable public var kind: MessageKind { unsafeBitCast(token.pointee.kind, to: MessageKind.self) }

  /// Whether the message is over.
  @inlinable public var isAtEnd: Bool { kind == .end }

  /// The encoding of the whole value here, elements included: what ``MessageWriter/raw(_:)`` takes. Empty at the end.
  @inlinable
  public var rawBytes: UnsafeRawBufferPointer {
    let start = Int(token.pointee.start)
    return UnsafeRawBufferPointer(start: bytes + start, count: Int(next.pointee.start) - start)
  }

  /// The token of the value after the one here.
  @inlinable
  var next: UnsafePointer<nuvom_token> {
    kind.rawValue >= MessageKind.array.rawValue ? token + high : token + 1
  }

  /// The lower half of a token's bits: an offset, or a number of elements.
  @inlinable var low: Int { Int(UInt32(truncatingIfNeeded: token.pointee.bits)) }

  /// The upper half of a token's bits: a number of bytes, or of tokens.
  @inlinable var high: Int { Int(UInt32(truncatingIfNeeded: token.pointee.bits >> 32)) }

  /// The bytes of the string, binary or extension here.
  @inlinable
  var content: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes + low, count: high) }

  // MARK: Reading

  /// Moves to the next value, past all elements of a container. At the end it stays.
  @inlinable public mutating func skip() { token = next }

  /// Moves past the value and returns its encoding, elements included. Nil at the end.
  @inlinable
  public mutating func readRaw() -> UnsafeRawBufferPointer? {
    if isAtEnd { return nil }
    let raw = rawBytes
    skip()
    return raw
  }

  /// Moves past a nil, if there is one here, and says whether there was.
  @inlinable
  public mutating func readNull() -> Bool {
    guard kind == .null else { return false }
    token += 1
    return true
  }

  /// A boolean.
  @inlinable
  public mutating func readBool() -> Bool? {
    guard kind == .bool else { return nil }
    defer { token += 1 }
    return token.pointee.bits != 0
  }

  /// An integer that is not negative.
  @inlinable
  public mutating func readUInt() -> UInt64? {
    guard kind == .uint else { return nil }
    defer { token += 1 }
    return token.pointee.bits
  }

  /// An integer from -2^63 to 2^63-1.
  @inlinable
  public mutating func readInt() -> Int64? {
    let value = Int64(bitPattern: token.pointee.bits)
    guard kind == .int || (kind == .uint && value >= 0) else { return nil }
    token += 1
    return value
  }

  /// A floating-point number, which may be infinite or not a number. An integer is not one.
  @inlinable
  public mutating func readDouble() -> Double? {
    guard kind == .double else { return nil }
    defer { token += 1 }
    return Double(bitPattern: token.pointee.bits)
  }

  /// The bytes of a string, which may be invalid UTF-8; see ``isValidUTF8(_:)``.
  @inlinable
  public mutating func readUTF8() -> UnsafeRawBufferPointer? {
    guard kind == .string else { return nil }
    defer { token += 1 }
    return content
  }

  /// A string. Nil, without moving, also when its UTF-8 is invalid.
  public mutating func readString() -> String? {
    guard kind == .string, let text = String(validating: content, as: UTF8.self) else { return nil }
    token += 1
    return text
  }

  /// The bytes of binary data.
  @inlinable
  public mutating func readBinary() -> UnsafeRawBufferPointer? {
    guard kind == .binary else { return nil }
    defer { token += 1 }
    return content
  }

  /// The bytes of binary data or of a string: for fields where old encoders send a string for binary data.
  @inlinable
  public mutating func readBytes() -> UnsafeRawBufferPointer? {
    guard kind == .binary || kind == .string else { return nil }
    defer { token += 1 }
    return content
  }

  /// An extension's type and bytes.
  @inlinable
  public mutating func readExtension() -> (type: Int8, bytes: UnsafeRawBufferPointer)? {
    guard kind == .extension else { return nil }
    defer { token += 1 }
    return (token.pointee.extension_type, content)
  }

  /// The number of elements of an array. The cursor is then at the first of them.
  @inlinable
  public mutating func readArrayHeader() -> Int? {
    guard kind == .array else { return nil }
    defer { token += 1 }
    return low
  }

  /// The number of pairs of a map. The cursor is then at the first key.
  @inlinable
  public mutating func readMapHeader() -> Int? {
    guard kind == .map else { return nil }
    defer { token += 1 }
    return low
  }

  /// The key of a pair, when it is a string. The cursor is then at its value.
  @inlinable
  public mutating func readKey() -> MessageKey? {
    guard kind == .string else { return nil }
    defer { token += 1 }
    return MessageKey(bytes: content)
  }
}

/// A map's key, to be matched against names in the program text:
/// `switch key { case "queue": …; case "task": …; default: cursor.skip() }`.
///
/// A name of another length costs one comparison; the bytes are compared as whole words, without a call.
@frozen
public struct MessageKey {
  /// The key's bytes, which may be invalid UTF-8.
  public let bytes: UnsafeRawBufferPointer

  @inlinable
  init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Whether the key is this name.
  @inlinable
  @inline(__always)
  public static func ~= (name: StaticString, key: MessageKey) -> Bool {
    guard key.bytes.count == name.utf8CodeUnitCount, let bytes = key.bytes.baseAddress else { return false }
    return nuvom_equal(bytes, name.utf8Start, name.utf8CodeUnitCount)
  }

  /// Whether the key is this name.
  @inlinable
  @inline(__always)
  public static func == (key: MessageKey, name: StaticString) -> Bool { name ~= key }
}
