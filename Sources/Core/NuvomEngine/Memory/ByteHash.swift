/// A seeded 64-bit hash of bytes, the same on every machine.
///
/// In the manner of wyhash: 16 bytes a step, folded by a 64 × 64 → 128 bit multiplication. Both factors carry a part of
/// the seed. Without that, bytes that equal a known constant make a factor zero, and then whatever came before no longer
/// matters: collisions that a client could send without knowing the seed.
struct ByteHash: Sendable {
  private let first: UInt64
  private let second: UInt64
  private let third: UInt64

  /// `seed` is random once and then kept, so that a deterministic engine stays so and a client cannot know it.
  init(seed: UInt64) {
    // SplitMix64, to spread the seed over the parts.
    var counter = seed
    func part() -> UInt64 {
      counter &+= 0x9E37_79B9_7F4A_7C15
      var bits = counter
      bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
      bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
      return bits ^ (bits >> 31)
    }
    first = part()
    second = part()
    third = part()
  }

  /// The hash of the bytes, of which there may be none.
  @inline(__always)
  func callAsFunction(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    let length = bytes.count
    guard let start = bytes.baseAddress, length > 0 else { return Self.fold(first ^ third, second) }
    var state = third
    let low: UInt64
    let high: UInt64
    if length <= 16 {
      if length >= 4 {
        // Four reads of 4 bytes that overlap cover 4 to 16 bytes.
        let step = (length >> 3) << 2
        low = Self.half(start) << 32 | Self.half(start + step)
        high = Self.half(start + (length - 4)) << 32 | Self.half(start + (length - 4 - step))
      } else {
        low =
          UInt64(start.load(as: UInt8.self)) << 16
          | UInt64(start.load(fromByteOffset: length >> 1, as: UInt8.self)) << 8
          | UInt64(start.load(fromByteOffset: length - 1, as: UInt8.self))
        high = 0
      }
    } else {
      var offset = 0
      while length - offset > 16 {
        state = Self.fold(Self.whole(start + offset) ^ first, Self.whole(start + offset + 8) ^ state)
        offset += 16
      }
      low = Self.whole(start + (length - 16))
      high = Self.whole(start + (length - 8))
    }
    let folded = (low ^ second).multipliedFullWidth(by: high ^ state)
    return Self.fold(folded.low ^ first ^ UInt64(truncatingIfNeeded: length), folded.high ^ third)
  }

  @inline(__always)
  private static func fold(_ one: UInt64, _ other: UInt64) -> UInt64 {
    let product = one.multipliedFullWidth(by: other)
    return product.high ^ product.low
  }

  @inline(__always)
  private static func whole(_ at: UnsafeRawPointer) -> UInt64 {
    UInt64(littleEndian: at.loadUnaligned(as: UInt64.self))
  }

  @inline(__always)
  private static func half(_ at: UnsafeRawPointer) -> UInt64 {
    UInt64(UInt32(littleEndian: at.loadUnaligned(as: UInt32.self)))
  }
}
