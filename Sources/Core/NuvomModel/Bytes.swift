/// Bytes that belong to somebody else: a frame being read, a record of the log, a block of the engine's memory.
///
/// Valid only during the call they are handed to; whoever wants to keep them copies them. They are plain pointers because a
/// command is decoded, decided and logged without one allocation, which slices of arrays would not allow.
public typealias BorrowedBytes = UnsafeRawBufferPointer

extension UnsafeRawBufferPointer {
  /// No bytes.
  @inlinable public static var none: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}

extension UnsafeRawBufferPointer {
  /// The values in an encoded map or array that holds no other, as headers and tags do, by its first bytes; 0 if there is none. (MessagePack's
  /// specification, "map format family", "array format family".)
  public var flatElements: Int {
    guard let lead = first else { return 0 }
    func number(_ bytes: Int) -> Int { dropFirst().prefix(bytes).reduce(0) { $0 << 8 | Int($1) } }
    return switch lead {
    case 0x80...0x8F: 2 * Int(lead & 0x0F)
    case 0x90...0x9F: Int(lead & 0x0F)
    case 0xDC: number(2)
    case 0xDD: number(4)
    case 0xDE: 2 * number(2)
    case 0xDF: 2 * number(4)
    default: 0
    }
  }
}

extension Array {
  /// Forgets every element but keeps the room. For elements that are plain bytes: there is nothing to be done for each.
  ///
  /// `removeAll(keepingCapacity:)` replaces the whole by nothing, whatever there is, which costs some 70 instructions; most lists of a request hold
  /// one thing or none.
  @inlinable @inline(__always)
  mutating func forgetAll() {
    if count > 4 { return removeAll(keepingCapacity: true) }
    while !isEmpty { removeLast() }
  }
}
