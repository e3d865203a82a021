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

  @inline(__always)
  func byte(_ value: UInt8) {
    reserve(1)
    base.storeBytes(of: value, toByteOffset: count, as: UInt8.self)
    count += 1
  }

  /// Unsigned LEB128: seven bits a byte, lowest first, the top bit says that more follow.
  @inline(__always)
  func varint(_ value: UInt64) {
    reserve(10)
    var rest = value
    while rest >= 0x80 {
      base.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: count, as: UInt8.self)
      count += 1
      rest >>= 7
    }
    base.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
    count += 1
  }

  @inline(__always)
  func raw(_ bytes: BorrowedBytes) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    reserve(bytes.count)
    (base + count).copyMemory(from: start, byteCount: bytes.count)
    count += bytes.count
  }

  /// Length, then the bytes.
  @inline(__always)
  func counted(_ bytes: BorrowedBytes) {
    varint(UInt64(bytes.count))
    raw(bytes)
  }

  @inline(__always)
  func id(_ id: JobID) {
    varint(UInt64(id.slot))
    varint(UInt64(id.generation))
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
