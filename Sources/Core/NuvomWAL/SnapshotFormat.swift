/// The first 64 bytes of a snapshot file: which state it is.
public struct SnapshotHeader: Sendable, Equatable {
  /// Bytes that the header takes in the file.
  public static let size = 64
  /// The format version that this code writes, and the newest that it reads.
  public static let version: UInt16 = 1
  static let magic: UInt64 = 0x504E_534D_4F56_554E  // "NUVOMSNP"

  /// The random number of the log that the snapshot belongs to.
  public var logID: UInt64
  /// The partition whose state it is.
  public var partition: UInt16
  /// The snapshot is exactly the state after the batch of this sequence.
  public var sequence: UInt64
  /// When the state was taken.
  public var time: LogTime

  /// A header from its fields.
  public init(logID: UInt64, partition: UInt16, sequence: UInt64, time: LogTime) {
    self.logID = logID
    self.partition = partition
    self.sequence = sequence
    self.time = time
  }

  /// What the checksums of this snapshot's chunks start from.
  public var seed: ChecksumSeed { ChecksumSeed(logID: logID, partition: partition, snapshotSequence: sequence) }

  /// Writes the header's 64 bytes to `bytes`, which must have room for them.
  public func encode(into bytes: UnsafeMutableRawBufferPointer) {
    HeaderFrame.encode(
      into: bytes, size: Self.size, magic: Self.magic, version: Self.version, partition: partition, logID: logID
    ) { base in
      base.set(sequence, at: 24)
      base.set(time.bootMicroseconds, at: 32)
      base.set(time.wallMicroseconds, at: 40)
    }
  }

  /// Reads a header from a file's first bytes; throws what is wrong with it.
  public static func decode(_ bytes: UnsafeRawBufferPointer) throws(HeaderProblem) -> SnapshotHeader {
    let base = try HeaderFrame.decode(bytes, size: size, magic: magic, version: version)
    return SnapshotHeader(
      logID: base.integer(at: 16), partition: base.integer(at: 10), sequence: base.integer(at: 24),
      time: LogTime(bootMicroseconds: base.integer(at: 32), wallMicroseconds: base.integer(at: 40)))
  }
}

/// The 16 bytes before a chunk's body.
public struct ChunkHeader: Sendable, Equatable {
  /// Bytes that the header takes.
  public static let size = 16
  /// The largest body of a chunk, in bytes: what a reader is ready to hold.
  public static let maximumBodyLength = 64 << 20
  /// The kind of the last chunk. Writers of state use the kinds below it.
  public static let footerKind: UInt32 = .max
  /// Bytes of the footer's body: number of chunks before it and offset of its header, u64 each.
  public static let footerBodyLength = 16

  /// What the chunk holds, by the writer's numbering.
  public let kind: UInt32
  /// The chunk's place: 0 for the first.
  public let index: UInt32
  /// Bytes of the body.
  public let bodyLength: Int
  let checksum: UInt32

  static func encode(
    at base: UnsafeMutableRawPointer, kind: UInt32, index: UInt32, bodyLength: Int, seed: ChecksumSeed
  ) {
    precondition(bodyLength <= maximumBodyLength, "a chunk is at most 64 MiB")
    base.set(kind, at: 4)
    base.set(index, at: 8)
    base.set(UInt32(bodyLength), at: 12)
    base.set(seed.checksum(UnsafeRawPointer(base) + 4, count: size - 4 + bodyLength), at: 0)
  }

  init(at base: UnsafeRawPointer) {
    checksum = base.integer(at: 0)
    kind = base.integer(at: 4)
    index = base.integer(at: 8)
    bodyLength = Int(base.integer(at: 12, as: UInt32.self))
  }
}

/// Why a snapshot file is not a snapshot.
public enum SnapshotProblem: Error, Equatable, Sendable, CustomStringConvertible {
  /// The file's header was not accepted.
  case header(HeaderProblem)
  /// The file ends before its footer.
  case unfinished
  /// A chunk at this offset does not match its checksum, its place or its bounds.
  case chunk(offset: Int)
  /// The footer does not agree with what lies before it, or bytes follow it.
  case footer

  /// The problem in words, fit to follow a file's name.
  public var description: String {
    switch self {
    case .header(let problem): problem.description
    case .unfinished: "the file ends before its footer"
    case .chunk(let offset): "the chunk at offset \(offset) is not intact"
    case .footer: "the footer does not agree with the file"
    }
  }
}

/// Checks a snapshot file's chunks in order. The caller reads the file and hands over 16 bytes of header, then the body they announce.
public struct SnapshotReader {
  /// Where in the file the next chunk's header is expected.
  public private(set) var offset = SnapshotHeader.size
  /// Chunks accepted so far, without the footer.
  public private(set) var chunks: UInt32 = 0
  /// Whether the footer was accepted: only then is the file a snapshot.
  public private(set) var isComplete = false

  private let seed: ChecksumSeed
  private let fileSize: Int

  /// A reader of a file of `fileSize` bytes with this header.
  public init(header: SnapshotHeader, fileSize: Int) {
    seed = header.seed
    self.fileSize = fileSize
  }

  /// Reads the next chunk's header, so that the caller knows how much body to read; never more than the file has or a chunk may have.
  public func header(_ bytes: UnsafeRawBufferPointer) throws(SnapshotProblem) -> ChunkHeader {
    guard let base = bytes.baseAddress, bytes.count >= ChunkHeader.size, fileSize - offset >= ChunkHeader.size else {
      throw .unfinished
    }
    let header = ChunkHeader(at: base)
    guard header.bodyLength <= ChunkHeader.maximumBodyLength else { throw .chunk(offset: offset) }
    guard header.bodyLength <= fileSize - offset - ChunkHeader.size else { throw .unfinished }
    return header
  }

  /// Checks a whole chunk (16 bytes of header and the body it announces); gives its kind and body, or nil when it was the footer.
  public mutating func accept(
    _ bytes: UnsafeRawBufferPointer
  ) throws(SnapshotProblem) -> (kind: UInt32, body: UnsafeRawBufferPointer)? {
    let header = try header(bytes)
    guard let base = bytes.baseAddress, bytes.count == ChunkHeader.size + header.bodyLength,
      seed.checksum(base + 4, count: bytes.count - 4) == header.checksum, header.index == chunks
    else { throw .chunk(offset: offset) }
    let body = UnsafeRawBufferPointer(rebasing: bytes[ChunkHeader.size...])
    if header.kind == ChunkHeader.footerKind {
      let bodyBase = base + ChunkHeader.size
      guard header.bodyLength == ChunkHeader.footerBodyLength, bodyBase.integer(at: 0) == UInt64(chunks),
        bodyBase.integer(at: 8) == UInt64(offset), fileSize == offset + bytes.count
      else { throw .footer }
      offset += bytes.count
      isComplete = true
      return nil
    }
    offset += bytes.count
    chunks += 1
    return (header.kind, body)
  }
}
