/// A growable buffer that a batch's body, or a snapshot chunk's, is built in, and that becomes the written bytes without being copied.
///
/// Room for the header lies before the body and room for padding and trailer behind it. The memory is raw and owned by this value,
/// because appending a record is on the way of every job: a store through a pointer is 1 ns where an array in a class takes 19.
@frozen
public struct BatchBuffer: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  @usableFromInline var end: Int

  /// Before the body: the header. Behind it: up to 7 bytes of padding and the trailer.
  @usableFromInline static var headRoom: Int { 48 }
  @usableFromInline static var tailRoom: Int { 16 }

  /// An empty buffer with room for a body of `bodyCapacity` bytes; it grows by doubling.
  public init(bodyCapacity: Int = 64 * 1024) {
    precondition(bodyCapacity >= 0, "a capacity cannot be negative")
    capacity = Self.headRoom + bodyCapacity + Self.tailRoom
    base = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    end = Self.headRoom
  }

  deinit { base.deallocate() }

  /// Bytes of the body so far.
  @inlinable public var count: Int { end - Self.headRoom }

  /// Whether the body has no bytes.
  @inlinable public var isEmpty: Bool { end == Self.headRoom }

  /// The body so far; valid until the buffer is next changed.
  @inlinable
  public func withBody<R: ~Copyable, E: Error>(_ read: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    try read(UnsafeRawBufferPointer(start: base + Self.headRoom, count: count))
  }

  /// Empties the body and keeps the memory.
  @inlinable
  public mutating func removeAll() { end = Self.headRoom }

  /// Where the next `size` bytes of the body go.
  @inlinable @inline(__always)
  mutating func reserve(_ size: Int) -> UnsafeMutableRawPointer {
    if size > capacity - Self.tailRoom - end { grow(by: size) }
    return base + end
  }

  /// Appends a copy of `bytes`.
  @inlinable
  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count).copyMemory(from: source, byteCount: bytes.count)
    end += bytes.count
  }

  /// Appends an integer, little-endian, in as many bytes as its type has.
  @inlinable @inline(__always)
  public mutating func append<T: FixedWidthInteger & BitwiseCopyable>(_ value: T) {
    reserve(MemoryLayout<T>.size).set(value, at: 0)
    end += MemoryLayout<T>.size
  }

  @usableFromInline @inline(never)
  mutating func grow(by size: Int) {
    precondition(size >= 0 && size <= BatchHeader.maximumBodyLength, "a body is at most 1 GiB")
    let needed = end + size + Self.tailRoom
    precondition(needed <= BatchHeader.maximumBodyLength + Self.headRoom + Self.tailRoom, "a body is at most 1 GiB")
    let larger = max(capacity * 2, needed)
    let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
    moved.copyMemory(from: base, byteCount: end)
    base.deallocate()
    base = moved
    capacity = larger
  }

  /// Gives back memory above `bodyCapacity` after an unusually large batch. The body must be empty.
  public mutating func shrink(to bodyCapacity: Int) {
    precondition(isEmpty, "only an empty buffer shrinks")
    guard capacity > Self.headRoom + bodyCapacity + Self.tailRoom else { return }
    self = BatchBuffer(bodyCapacity: bodyCapacity)
  }

  /// Bytes that `seal` will give, trailer included.
  public var sealedSize: Int { BatchHeader.encodedSize(bodyLength: count) + BatchHeader.trailerSize }

  /// Completes the batch in place: header, checksums, padding and the zero trailer. The bytes to be written are valid until the buffer is
  /// next changed. Sealing again (for another segment, say) gives the batch anew; the body is never touched.
  public mutating func seal(
    kind: BatchKind, sequence: UInt64, durable: UInt64, time: LogTime, seed: ChecksumSeed
  ) -> UnsafeRawBufferPointer {
    precondition(durable <= sequence, "a batch cannot vouch for later ones")
    let padded = alignedToEight(count)
    base.zero(end..<(Self.headRoom + padded + BatchHeader.trailerSize))
    let header = BatchHeader(
      kind: kind, bodyLength: count, bodyChecksum: seed.checksum(base + Self.headRoom, count: padded),
      sequence: sequence, durable: durable, time: time)
    header.encode(at: base, seed: seed)
    return UnsafeRawBufferPointer(start: base, count: sealedSize)
  }

  /// Completes the body as a chunk of a snapshot, in place. The bytes to be written are valid until the buffer is next changed.
  public mutating func sealChunk(kind: UInt32, index: UInt32, seed: ChecksumSeed) -> UnsafeRawBufferPointer {
    let start = base + (Self.headRoom - ChunkHeader.size)
    ChunkHeader.encode(at: start, kind: kind, index: index, bodyLength: count, seed: seed)
    return UnsafeRawBufferPointer(start: start, count: ChunkHeader.size + count)
  }
}
