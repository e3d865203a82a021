public import CMessagePack

/// Writes MessagePack into one growing buffer, which is kept from message to message.
///
/// The buffer is raw memory and the writes are inlined C: a small reply takes 10 ns, where a write callback in Swift
/// takes 500. Running out of memory ends the process, as in all of Swift.
///
/// The writer does not count: who writes a header of n elements writes n elements after it.
public struct MessageWriter: ~Copyable {
  @usableFromInline var buffer: nuvom_buffer

  /// An empty writer. `capacity` bytes are allocated at once, so that messages up to that size allocate nothing.
  public init(capacity: Int = 0) {
    buffer = nuvom_buffer()
    if capacity > 0 { nuvom_buffer_grow(&buffer, capacity) }
  }

  deinit {
    var buffer = buffer
    nuvom_buffer_free(&buffer)
  }

  /// The number of bytes written.
  @inlinable public var count: Int { buffer.count }

  /// Hands out the bytes written; they are valid only inside `body`.
  @inlinable
  public func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(UnsafeRawBufferPointer(start: buffer.base, count: buffer.count))
  }

  /// A copy of the bytes written.
  public var bytes: [UInt8] { withBytes { bytes in [UInt8](bytes) } }

  /// Forgets the bytes. Keeps the memory, unless it is told not to.
  @inlinable
  public mutating func removeAll(keepingCapacity: Bool = true) {
    if keepingCapacity {
      buffer.count = 0
    } else {
      nuvom_buffer_free(&buffer)
    }
  }

  // MARK: Values

  /// Writes nil.
  @inlinable public mutating func null() { nuvom_pack_nil(&buffer) }

  /// Writes a boolean.
  @inlinable public mutating func bool(_ value: Bool) { nuvom_pack_bool(&buffer, value) }

  /// Writes an integer in the fewest bytes.
  @inlinable public mutating func int(_ value: Int64) { nuvom_pack_int(&buffer, value) }

  /// Writes a number that is not negative, in the fewest bytes.
  @inlinable public mutating func uint(_ value: UInt64) { nuvom_pack_uint(&buffer, value) }

  /// Writes a floating-point number, in 64 bits.
  @inlinable public mutating func double(_ value: Double) { nuvom_pack_double(&buffer, value) }

  /// Writes a string that the program text contains: the fastest way to write keys and names.
  @inlinable
  @inline(__always)
  public mutating func literal(_ text: StaticString) {
    nuvom_pack_str(&buffer, text.utf8Start, UInt32(truncatingIfNeeded: text.utf8CodeUnitCount))
  }

  /// Writes a string. It must be shorter than 4 GiB.
  @inlinable
  public mutating func string(_ text: String) {
    var text = text
    text.withUTF8 { utf8 in nuvom_pack_str(&buffer, utf8.baseAddress, UInt32(utf8.count)) }
  }

  /// Writes a string whose UTF-8 the caller has. It must be valid, and shorter than 4 GiB.
  @inlinable
  public mutating func string(utf8: UnsafeRawBufferPointer) {
    nuvom_pack_str(&buffer, utf8.baseAddress, UInt32(utf8.count))
  }

  /// Writes binary data. It must be shorter than 4 GiB.
  @inlinable
  public mutating func binary(_ bytes: UnsafeRawBufferPointer) {
    nuvom_pack_bin(&buffer, bytes.baseAddress, UInt32(bytes.count))
  }

  /// Writes binary data. It must be shorter than 4 GiB.
  @inlinable
  public mutating func binary(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { bytes in binary(bytes) }
  }

  /// Writes an extension value. It must be shorter than 4 GiB.
  @inlinable
  public mutating func `extension`(type: Int8, _ bytes: UnsafeRawBufferPointer) {
    nuvom_pack_ext(&buffer, type, bytes.baseAddress, UInt32(bytes.count))
  }

  /// Writes the beginning of an array: `count` values must follow.
  @inlinable public mutating func arrayHeader(_ count: Int) { nuvom_pack_array(&buffer, UInt32(count)) }

  /// Writes the beginning of a map: `count` pairs must follow, each a key and a value.
  @inlinable public mutating func mapHeader(_ count: Int) { nuvom_pack_map(&buffer, UInt32(count)) }

  /// Copies bytes that are already MessagePack.
  @inlinable
  public mutating func raw(_ bytes: UnsafeRawBufferPointer) {
    nuvom_buffer_append(&buffer, bytes.baseAddress, bytes.count)
  }

  // MARK: Frames

  /// Leaves room for a frame's 4-byte length, and returns the mark that ``endFrame(_:)`` needs.
  @inlinable
  public mutating func beginFrame() -> Int {
    let mark = buffer.count
    var length: UInt32 = 0
    nuvom_buffer_append(&buffer, &length, 4)
    return mark
  }

  /// Writes the length of what came since ``beginFrame()``, big-endian, into the room left for it.
  /// - Returns: that length, without the 4 bytes. It must be below 4 GiB.
  @inlinable
  @discardableResult
  public mutating func endFrame(_ mark: Int) -> Int {
    precondition(mark >= 0 && mark + 4 <= buffer.count, "the mark is not one that beginFrame returned")
    let length = buffer.count - mark - 4
    UnsafeMutableRawPointer(buffer.base)?.storeBytes(
      of: UInt32(length).bigEndian, toByteOffset: mark, as: UInt32.self)
    return length
  }

  /// Takes back everything since `mark`, a value that ``count`` or ``beginFrame()`` gave: for a message that turned
  /// out too long while it was written.
  @inlinable
  public mutating func removeAll(since mark: Int) {
    precondition(mark >= 0 && mark <= buffer.count, "the mark lies behind what is written")
    buffer.count = mark
  }
}

/// The memory has one owner, the writer, which cannot be copied.
extension MessageWriter: @unchecked Sendable {}
