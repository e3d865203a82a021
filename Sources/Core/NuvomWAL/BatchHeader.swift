/// What a batch is.
@frozen
public enum BatchKind: UInt32, Sendable {
  /// Events of the engine.
  case events = 1
  /// The end of a clean shutdown: all before it is durable, and nothing follows it but `opened`.
  case seal = 2
  /// The log was opened: written, with the tail before it, into a fresh file that was synced before it got its name.
  case opened = 3
}

/// The 48 bytes before a batch's body.
///
/// It has a checksum of its own besides the body's, so that a header whose body was torn can still be believed: its durable mark decides
/// whether an earlier bad batch is damage. That also keeps the search for later batches linear: no length is followed unproved.
@frozen
public struct BatchHeader: Sendable, Equatable {
  /// Bytes that the header takes.
  public static let size = 48
  /// Zero bytes left behind each batch, in the same write, so that a clean end can be told from old bytes.
  public static let trailerSize = 8
  /// The largest body, in bytes.
  public static let maximumBodyLength = 1 << 30

  /// What the batch is.
  public var kind: BatchKind
  /// Bytes of the body, without padding.
  public var bodyLength: Int
  /// The seeded CRC-32C of the body and its padding.
  public var bodyChecksum: UInt32
  /// This batch's number: 1 for the log's first, +1 for each next, over the log's whole life.
  public var sequence: UInt64
  /// The sequence up to which the log was known to be durable when this was written; never above `sequence`.
  public var durable: UInt64
  /// When the batch was decided.
  public var time: LogTime

  /// Bytes that the whole batch takes in the file: header, body and padding to a multiple of 8.
  @inlinable public var encodedSize: Int { Self.encodedSize(bodyLength: bodyLength) }

  /// Bytes that a batch of this body length takes in the file, without the trailer.
  @inlinable
  public static func encodedSize(bodyLength: Int) -> Int { size + alignedToEight(bodyLength) }

  /// Writes the header's 48 bytes at `base`.
  func encode(at base: UnsafeMutableRawPointer, seed: ChecksumSeed) {
    base.set(kind.rawValue, at: 4)
    base.set(UInt32(bodyLength), at: 8)
    base.set(bodyChecksum, at: 12)
    base.set(sequence, at: 16)
    base.set(durable, at: 24)
    base.set(time.bootMicroseconds, at: 32)
    base.set(time.wallMicroseconds, at: 40)
    base.set(seed.checksum(UnsafeRawPointer(base) + 4, count: Self.size - 4), at: 0)
  }

  /// Reads the 48 bytes at `base`; nil unless they are a header of this segment, unharmed.
  static func decode(at base: UnsafeRawPointer, seed: ChecksumSeed) -> BatchHeader? {
    guard let kind = BatchKind(rawValue: base.integer(at: 4)) else { return nil }
    guard base.integer(at: 0) == seed.checksum(base + 4, count: size - 4) else { return nil }
    let length: UInt32 = base.integer(at: 8)
    let sequence: UInt64 = base.integer(at: 16)
    let durable: UInt64 = base.integer(at: 24)
    guard length <= maximumBodyLength, durable <= sequence else { return nil }
    return BatchHeader(
      kind: kind, bodyLength: Int(length), bodyChecksum: base.integer(at: 12), sequence: sequence, durable: durable,
      time: LogTime(bootMicroseconds: base.integer(at: 32), wallMicroseconds: base.integer(at: 40)))
  }
}
