import MessagePack
import NuvomModel

// Reading one parameter: the cursor is at its value, which is not nil. Each either returns the value and moves past it, or
// refuses the request with the parameter's name.

extension MessageCursor {
  @inline(__always)
  mutating func uint(_ key: StaticString, in range: ClosedRange<UInt64>) throws(RefusedRequest) -> UInt64 {
    guard let value = readUInt(), range.contains(value) else { throw RefusedRequest(parameter: key) }
    return value
  }

  @inline(__always)
  mutating func uint32(_ key: StaticString, in range: ClosedRange<UInt64>) throws(RefusedRequest) -> UInt32 {
    UInt32(truncatingIfNeeded: try uint(key, in: range))
  }

  @inline(__always)
  mutating func jobID(_ key: StaticString) throws(RefusedRequest) -> JobID {
    guard let value = readUInt() else { throw RefusedRequest(parameter: key) }
    return JobID(rawValue: value)
  }

  @inline(__always)
  mutating func bool(_ key: StaticString) throws(RefusedRequest) -> Bool {
    guard let value = readBool() else { throw RefusedRequest(parameter: key) }
    return value
  }

  /// Opaque bytes, sent as binary data or as a string.
  @inline(__always)
  mutating func bytes(_ key: StaticString, count: ClosedRange<Int>) throws(RefusedRequest) -> BorrowedBytes {
    guard let bytes = readBytes(), count.contains(bytes.count) else { throw RefusedRequest(parameter: key) }
    return bytes
  }

  /// A queue's or task's name.
  @inline(__always)
  mutating func name(_ key: StaticString) throws(RefusedRequest) -> BorrowedBytes {
    guard let bytes = readUTF8(), isName(bytes) else { throw RefusedRequest(parameter: key) }
    return bytes
  }

  /// Text of a limited length.
  mutating func text(_ key: StaticString, maximumBytes: Int) throws(RefusedRequest) -> BorrowedBytes {
    guard let bytes = readUTF8(), bytes.count <= maximumBytes, isValidUTF8(bytes) else {
      throw RefusedRequest(parameter: key)
    }
    return bytes
  }

  /// Text that is cut to a length, between two characters. What is cut off is not looked at.
  mutating func cutText(_ key: StaticString, toBytes limit: Int) throws(RefusedRequest) -> BorrowedBytes {
    guard let whole = readUTF8() else { throw RefusedRequest(parameter: key) }
    var end = min(whole.count, limit)
    if end < whole.count {
      // A character has three continuation bytes at most; more of them are refused below.
      let earliest = max(end - 3, 0)
      while end > earliest, whole[end] & 0xC0 == 0x80 { end -= 1 }
    }
    let text = BorrowedBytes(rebasing: whole[..<end])
    guard isValidUTF8(text) else { throw RefusedRequest(parameter: key) }
    return text
  }

  /// A job's headers, as they are encoded.
  mutating func headers(_ key: StaticString) throws(RefusedRequest) -> BorrowedBytes {
    let encoded = rawBytes
    guard encoded.count <= ProtocolLimits.headerBytes, let pairs = readMapHeader() else {
      throw RefusedRequest(parameter: key)
    }
    for _ in 0..<pairs {
      guard let name = readUTF8(), isValidUTF8(name) else { throw RefusedRequest(parameter: key) }
      if readBinary() != nil { continue }
      guard let value = readUTF8(), isValidUTF8(value) else { throw RefusedRequest(parameter: key) }
    }
    return encoded
  }

  /// A job's tags, as they are encoded.
  mutating func tags(_ key: StaticString) throws(RefusedRequest) -> BorrowedBytes {
    let encoded = rawBytes
    guard encoded.count <= ProtocolLimits.tagBytes, let count = readArrayHeader() else {
      throw RefusedRequest(parameter: key)
    }
    for _ in 0..<count {
      guard let tag = readUTF8(), isValidUTF8(tag) else { throw RefusedRequest(parameter: key) }
    }
    return encoded
  }

  /// The beginning of a list: how many items follow.
  @inline(__always)
  mutating func list(_ key: StaticString, count: ClosedRange<Int>) throws(RefusedRequest) -> Int {
    guard let items = readArrayHeader(), count.contains(items) else { throw RefusedRequest(parameter: key) }
    return items
  }

  /// Passes over the value and returns a cursor at it: for a list that is read once the whole map is known, so that of a key
  /// that appears twice the last counts.
  @inline(__always)
  mutating func later() -> MessageCursor {
    let here = self
    skip()
    return here
  }

  /// The key of the next pair whose value is not nil; nil values are passed over, as if their keys were not there.
  ///
  /// - Parameter pairs: how many pairs are left; counted down.
  /// - Returns: nil after the last pair.
  @inline(__always)
  mutating func nextKey(
    _ pairs: inout Int, or refusal: @autoclosure () -> RefusedRequest
  ) throws(RefusedRequest) -> MessageKey? {
    while pairs > 0 {
      pairs -= 1
      guard let key = readKey() else { throw refusal() }
      if !readNull() { return key }
    }
    return nil
  }
}

/// The ranges of Protocol.md that several parameters share.
enum Ranges {
  static let duration: ClosedRange<UInt64> = 0...ProtocolLimits.durationMilliseconds
  static let time: ClosedRange<UInt64> = 0...ProtocolLimits.timeMilliseconds
  static let wait: ClosedRange<UInt64> = 0...ProtocolLimits.waitMilliseconds
  static let lease: ClosedRange<UInt64> = 1...ProtocolLimits.leaseMilliseconds
  static let shortDuration: ClosedRange<UInt64> = 0...UInt64(UInt32.max)
  static let token: ClosedRange<UInt64> = 1...UInt64(Int64.max)
  static let items = 1...ProtocolLimits.itemsPerRequest
}

/// Whether the bytes may name a queue or a task: 1 to 255 bytes of UTF-8 without control characters.
func isName(_ bytes: BorrowedBytes) -> Bool {
  guard bytes.count >= 1, bytes.count <= ProtocolLimits.nameBytes else { return false }
  var index = 0
  // Eight bytes at a time. Of each byte that is printable ASCII the top bit is clear, also after adding 1 (which DEL has set then), and is
  // set after adding 0x60 (which a control character has not). No sum carries into the next byte where all top bits are clear.
  while index + 8 <= bytes.count {
    let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
    let isPrintable =
      (word | (word &+ 0x0101_0101_0101_0101)) & 0x8080_8080_8080_8080 == 0
      && (word &+ 0x6060_6060_6060_6060) & 0x8080_8080_8080_8080 == 0x8080_8080_8080_8080
    if !isPrintable { break }
    index += 8
  }
  while index < bytes.count {
    let byte = bytes[index]
    if byte < 0x20 || byte >= 0x7F {
      return byte >= 0x80 && isNameBeyondASCII(BorrowedBytes(rebasing: bytes[index...]))
    }
    index += 1
  }
  return true
}

/// The rest of a name from its first byte that is not ASCII.
private func isNameBeyondASCII(_ bytes: BorrowedBytes) -> Bool {
  guard isValidUTF8(bytes) else { return false }
  for (index, byte) in bytes.enumerated() {
    if byte < 0x20 || byte == 0x7F { return false }
    // U+0080 to U+009F, control characters too, are C2 80 to C2 9F.
    if byte == 0xC2, bytes[index + 1] < 0xA0 { return false }
  }
  return true
}
