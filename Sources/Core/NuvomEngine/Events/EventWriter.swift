import NuvomModel

/// The events of one turn as bytes, in the order in which they happened. Reused; the broker copies them into a batch of the log.
///
/// Raw memory, because an event is written for every step of every job: appending to an array costs five times as much.
final class EventWriter {
  private(set) var base: UnsafeMutableRawPointer
  private(set) var count = 0
  private var capacity: Int

  init(capacity: Int = 64 << 10) {
    self.capacity = capacity
    base = .allocate(byteCount: capacity, alignment: 8)
  }

  deinit { base.deallocate() }

  var bytes: BorrowedBytes { BorrowedBytes(start: base, count: count) }

  /// Keeps the room unless a giant turn made it far larger than turns usually need.
  func removeAll() {
    count = 0
    if capacity > 64 << 20 {
      base.deallocate()
      capacity = 64 << 10
      base = .allocate(byteCount: capacity, alignment: 8)
    }
  }

  @inline(__always)
  private func reserve(_ more: Int) {
    if count + more > capacity { grow(more) }
  }

  @inline(never)
  private func grow(_ more: Int) {
    var larger = capacity * 2
    while larger < count + more { larger *= 2 }
    let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 8)
    moved.copyMemory(from: base, byteCount: count)
    base.deallocate()
    base = moved
    capacity = larger
  }

  /// Makes room for so many bytes at the end. What the pen then writes counts when it is given back to `end`.
  @inline(__always)
  func begin(room: Int) -> Pen {
    reserve(room)
    return Pen(next: base + count)
  }

  /// Takes in what a pen has written.
  @inline(__always)
  func end(_ pen: Pen) {
    count = pen.next - base
    assert(count <= capacity, "more was written than room was made for")
  }

  @inline(__always)
  func byte(_ value: UInt8) {
    var pen = begin(room: 1)
    pen.byte(value)
    end(pen)
  }

  @inline(__always)
  func varint(_ value: UInt64) {
    var pen = begin(room: Pen.longestVarint)
    pen.varint(value)
    end(pen)
  }

  @inline(__always)
  func raw(_ bytes: BorrowedBytes) {
    var pen = begin(room: bytes.count)
    pen.raw(bytes)
    end(pen)
  }

  /// Length, then the bytes.
  @inline(__always)
  func counted(_ bytes: BorrowedBytes) {
    var pen = begin(room: Pen.longestVarint + bytes.count)
    pen.counted(bytes)
    end(pen)
  }

  /// The same behind what a pen has written. There is room for nothing more then.
  @inline(__always)
  func counted(_ bytes: BorrowedBytes, with pen: inout Pen) {
    end(pen)
    pen = begin(room: Pen.longestVarint + bytes.count)
    pen.counted(bytes)
  }

  /// Writes into room that was made before (`begin`). A value of its own that stays in a register: through the writer, room would be looked
  /// for and position and count loaded and stored at every byte.
  struct Pen {
    static var longestVarint: Int { 10 }

    fileprivate(set) var next: UnsafeMutableRawPointer

    @inline(__always)
    mutating func byte(_ value: UInt8) {
      next.storeBytes(of: value, as: UInt8.self)
      next += 1
    }

    /// Unsigned LEB128: seven bits a byte, lowest first, the top bit says that more follow.
    @inline(__always)
    mutating func varint(_ value: UInt64) {
      var rest = value
      while rest >= 0x80 {
        byte(UInt8(truncatingIfNeeded: rest) | 0x80)
        rest >>= 7
      }
      byte(UInt8(truncatingIfNeeded: rest))
    }

    /// The same bytes as `varint`, for a number that is expected to have five to eight: made all at once, not one by one.
    @inline(__always)
    mutating func longVarint(_ value: UInt64) {
      guard value >= 1 << 28, value < 1 << 56 else { return varint(value) }
      // Halves, quarters and eighths are moved apart, until each byte has seven bits.
      var spread = (value & 0x0FFF_FFFF) | (value & 0x00FF_FFFF_F000_0000) << 4
      spread = (spread & 0x0000_3FFF_0000_3FFF) | (spread & 0x0FFF_C000_0FFF_C000) << 2
      spread = (spread & 0x007F_007F_007F_007F) | (spread & 0x3F80_3F80_3F80_3F80) << 1
      // The highest byte with a bit is the last; those below it say that more follow. What is stored above it is nothing's yet.
      let last = (63 &- spread.leadingZeroBitCount) & ~7
      let more: UInt64 = 0x8080_8080_8080_8080 & ((1 &<< UInt64(truncatingIfNeeded: last)) &- 1)
      next.storeBytes(of: (spread | more).littleEndian, as: UInt64.self)
      next += last &>> 3 &+ 1
    }

    @inline(__always)
    mutating func raw(_ bytes: BorrowedBytes) {
      guard let start = bytes.baseAddress, bytes.count > 0 else { return }
      next.copyMemory(from: start, byteCount: bytes.count)
      next += bytes.count
    }

    /// Length, then the bytes.
    @inline(__always)
    mutating func counted(_ bytes: BorrowedBytes) {
      varint(UInt64(bytes.count))
      raw(bytes)
    }

    @inline(__always)
    mutating func id(_ id: JobID) {
      varint(UInt64(id.slot))
      varint(UInt64(id.generation))
    }
  }
}

/// Reads what `EventWriter` writes. Any bytes are safe to read: what is missing or too large makes `isDamaged` true and reads as zero.
struct EventReader {
  private let bytes: BorrowedBytes
  private(set) var position = 0
  private(set) var isDamaged = false

  init(_ bytes: BorrowedBytes) { self.bytes = bytes }

  var isAtEnd: Bool { position >= bytes.count }
  var rest: BorrowedBytes { BorrowedBytes(rebasing: bytes[position...]) }

  mutating func fail() {
    isDamaged = true
    position = bytes.count
  }

  @inline(__always)
  mutating func byte() -> UInt8 {
    guard position < bytes.count else {
      fail()
      return 0
    }
    let value = bytes[position]
    position += 1
    return value
  }

  @inline(__always)
  mutating func varint() -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < bytes.count {
      let next = bytes[position]
      position += 1
      value |= UInt64(next & 0x7F) << shift
      if next < 0x80 { return value }
      shift += 7
      if shift > 63 { break }
    }
    fail()
    return 0
  }

  @inline(__always)
  mutating func varint32() -> UInt32 {
    let value = varint()
    if value > UInt64(UInt32.max) { fail() }
    return UInt32(truncatingIfNeeded: value)
  }

  /// A duration or a time of the wall clock. Far beyond the protocol's ranges it is damage, and could overflow a sum.
  @inline(__always)
  mutating func milliseconds() -> UInt64 {
    let value = varint()
    if value > 1 << 50 { fail() }
    return isDamaged ? 0 : value
  }

  /// The time of a turn; within 36,000 years, for the same reason.
  mutating func checked(_ time: Time) -> Time {
    let range = -Int64(1 << 60)...Int64(1 << 60)
    if !range.contains(time.boot) || !range.contains(time.wall) { fail() }
    return isDamaged ? Time(boot: 0, wall: 0) : time
  }

  mutating func token() -> LeaseToken {
    let value = varint()
    if value >= UInt64(Int64.max) { fail() }
    return LeaseToken(rawValue: isDamaged ? 0 : value)
  }

  /// A number of items that follow, each of at least a byte.
  mutating func itemCount() -> Int {
    let count = varint()
    guard count <= UInt64(bytes.count - position) else {
      fail()
      return 0
    }
    return Int(count)
  }

  @inline(__always)
  mutating func take(_ count: Int) -> BorrowedBytes {
    guard count >= 0, count <= bytes.count - position else {
      fail()
      return .none
    }
    let taken = BorrowedBytes(rebasing: bytes[position..<position + count])
    position += count
    return taken
  }

  @inline(__always)
  mutating func counted() -> BorrowedBytes {
    let count = varint()
    guard count <= UInt64(bytes.count) else {
      fail()
      return .none
    }
    return take(Int(count))
  }

  @inline(__always)
  mutating func id(partition: UInt8) -> JobID {
    let slot = varint32()
    let generation = varint32()
    return JobID(partition: partition, generation: generation, slot: slot)
  }
}
