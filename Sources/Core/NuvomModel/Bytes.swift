/// Bytes that belong to somebody else: a frame being read, a record of the log, a block of the engine's memory.
///
/// Valid only during the call they are handed to; whoever wants to keep them copies them. They are plain pointers because a
/// command is decoded, decided and logged without one allocation, which slices of arrays would not allow.
public typealias BorrowedBytes = UnsafeRawBufferPointer

extension UnsafeRawBufferPointer {
  /// No bytes.
  @inlinable public static var none: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
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
