import CPlatform

/// What every checksum of one segment, or of one snapshot, starts from.
///
/// Two segments of a log whose numbers are less than 2^32 apart have different seeds, and a CRC that starts from another state ends in
/// another state: bytes that a recycled file still holds from its earlier life can therefore never pass for its present content.
/// The log's random number is in it so that nobody who merely sends payloads can write one that passes for a batch.
@frozen
public struct ChecksumSeed: Sendable, Equatable {
  @usableFromInline let value: UInt32

  /// The seed of a segment's batches: CRC-32C of log id (u64), partition (u16) and segment number (u64), little-endian.
  public init(logID: UInt64, partition: UInt16, segment: UInt64) {
    self.init(logID: logID, partition: partition, number: segment)
  }

  /// The seed of a snapshot's chunks: as a segment's, with the snapshot's sequence instead of the segment's number.
  public init(logID: UInt64, partition: UInt16, snapshotSequence: UInt64) {
    self.init(logID: logID, partition: partition, number: snapshotSequence)
  }

  private init(logID: UInt64, partition: UInt16, number: UInt64) {
    value = withUnsafeTemporaryAllocation(byteCount: 18, alignment: 8) { bytes in
      guard let base = bytes.baseAddress else { preconditionFailure("18 bytes have an address") }
      base.set(logID, at: 0)
      base.set(partition, at: 8)
      base.set(number, at: 10)
      return nuvom_crc32c(0, base, 18)
    }
  }

  func checksum(_ bytes: UnsafeRawPointer, count: Int) -> UInt32 { nuvom_crc32c(value, bytes, count) }
}

/// CRC-32C of `count` bytes, unseeded: for the headers that tell the seed.
func checksum(_ bytes: UnsafeRawPointer, count: Int) -> UInt32 { nuvom_crc32c(0, bytes, count) }
