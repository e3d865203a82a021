// Every integer of the format is little-endian and may lie at any address.

extension UnsafeRawPointer {
  @inlinable @inline(__always)
  func integer<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type = T.self) -> T {
    T(littleEndian: loadUnaligned(fromByteOffset: offset, as: type))
  }
}

extension UnsafeMutableRawPointer {
  @inlinable @inline(__always)
  func set<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
  }

  @inlinable @inline(__always)
  func zero(_ range: Range<Int>) {
    (self + range.lowerBound).initializeMemory(as: UInt8.self, repeating: 0, count: range.count)
  }
}

/// `size` rounded up to the 8 bytes that batches are aligned to.
@inlinable @inline(__always)
func alignedToEight(_ size: Int) -> Int { (size + 7) & ~7 }
