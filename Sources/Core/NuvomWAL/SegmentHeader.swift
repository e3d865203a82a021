/// The first 4096 bytes of a segment file: whose segment it is and which batch it begins with.
///
/// It has a page of its own so that no later write of a batch touches the sectors it lies in.
public struct SegmentHeader: Sendable, Equatable {
  /// Bytes that the header takes in the file.
  public static let size = 4096
  /// The format version that this code writes, and the newest that it reads.
  public static let version: UInt16 = 1
  static let magic: UInt64 = 0x4C41_574D_4F56_554E  // "NUVOMWAL"

  /// The random number given to the log when it was made; the same in all its files.
  public var logID: UInt64
  /// The partition whose events these are.
  public var partition: UInt16
  /// This segment's number: 1 for the log's first, +1 for each next.
  public var segment: UInt64
  /// The sequence of the first batch in (or, if empty, to come into) this segment. All below it was durable when this was written.
  public var firstSequence: UInt64

  /// A header from its fields.
  public init(logID: UInt64, partition: UInt16, segment: UInt64, firstSequence: UInt64) {
    self.logID = logID
    self.partition = partition
    self.segment = segment
    self.firstSequence = firstSequence
  }

  /// What the checksums of this segment's batches start from.
  public var seed: ChecksumSeed { ChecksumSeed(logID: logID, partition: partition, segment: segment) }

  /// Writes the header's 4096 bytes to `bytes`, which must have room for them.
  public func encode(into bytes: UnsafeMutableRawBufferPointer) {
    HeaderFrame.encode(
      into: bytes, size: Self.size, magic: Self.magic, version: Self.version, partition: partition, logID: logID
    ) { base in
      base.set(segment, at: 24)
      base.set(firstSequence, at: 32)
    }
  }

  /// Reads a header from a file's first bytes; throws what is wrong with it.
  public static func decode(_ bytes: UnsafeRawBufferPointer) throws(HeaderProblem) -> SegmentHeader {
    let base = try HeaderFrame.decode(bytes, size: size, magic: magic, version: version)
    return SegmentHeader(
      logID: base.integer(at: 16), partition: base.integer(at: 10), segment: base.integer(at: 24),
      firstSequence: base.integer(at: 32))
  }
}

/// What the headers of all of the log's files have in common, in every version: magic at 0, version at 8, partition at 10, log id at 16, and
/// a checksum of all before it in the last four bytes.
enum HeaderFrame {
  /// Writes a header; `fields` sets what is behind byte 24.
  static func encode(
    into bytes: UnsafeMutableRawBufferPointer, size: Int, magic: UInt64, version: UInt16, partition: UInt16,
    logID: UInt64, fields: (UnsafeMutableRawPointer) -> Void
  ) {
    guard let base = bytes.baseAddress, bytes.count >= size else { preconditionFailure("no room for the header") }
    base.zero(0..<size)
    base.set(magic, at: 0)
    base.set(version, at: 8)
    base.set(partition, at: 10)
    base.set(logID, at: 16)
    fields(base)
    base.set(checksum(UnsafeRawPointer(base), count: size - 4), at: size - 4)
  }

  /// Checks a header and gives its first byte; throws what is wrong with it.
  static func decode(
    _ bytes: UnsafeRawBufferPointer, size: Int, magic: UInt64, version: UInt16
  ) throws(HeaderProblem) -> UnsafeRawPointer {
    guard let base = bytes.baseAddress, bytes.count >= size else { throw .short }
    guard base.integer(at: 0) == magic else { throw .magic }
    guard base.integer(at: size - 4) == checksum(base, count: size - 4) else { throw .checksum }
    let found: UInt16 = base.integer(at: 8)
    guard found <= version else { throw .newer(version: found) }
    return base
  }
}

/// Why a file's header was not accepted.
public enum HeaderProblem: Error, Equatable, Sendable, CustomStringConvertible {
  /// The file ends within its header.
  case short
  /// The file does not begin as this kind of file does.
  case magic
  /// The header's checksum does not match its bytes.
  case checksum
  /// The header is intact and of a format version that this code does not know.
  case newer(version: UInt16)

  /// The problem in words, fit to follow a file's name.
  public var description: String {
    switch self {
    case .short: "the file ends within its header"
    case .magic: "the file does not begin with the format's mark"
    case .checksum: "the header's checksum does not match"
    case .newer(let version): "the format version is \(version), newer than \(SegmentHeader.version)"
    }
  }
}
