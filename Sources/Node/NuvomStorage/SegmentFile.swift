import NuvomWAL
import PlantedBugs

/// How the log's files are written, by its policy of syncing.
enum Writing {
  /// Every batch is synced: past the page cache, into blocks that were written before, so that a sync has only the batch to write, no block
  /// map, and no page is copied that nobody reads again.
  case synced
  /// By the page cache, which takes a batch in microseconds and writes it out when the policy says.
  case cached

  init(_ policy: SyncPolicy) { self = policy == .always ? .synced : .cached }
}

/// A file of a segment's size that has its blocks, is empty or holds a freed segment's old batches, and waits to become a segment.
struct Spare {
  let path: String
  let bytes: Int

  /// Zeros are synced in slices: one sync of a whole segment would make a commit beside it wait for it.
  private static let slice = 4 << 20

  /// Makes a file of `bytes` zeros, durable under the name `path`.
  static func make(
    _ path: String, bytes: Int, for writing: Writing, in directory: Directory
  ) throws(StorageError) -> Spare {
    let temporary = LogFiles.temporary(path)
    do throws(StorageError) {
      let file = try directory.disk.open(temporary, .create)
      try takeBlocks(0..<bytes, of: file, for: writing)
      try file.sync()
      try directory.disk.rename(temporary, to: path)
      try directory.sync()
    } catch {
      // What room the attempt took is given back; the error that matters is the first.
      try? directory.disk.remove(temporary)
      throw error
    }
    return Spare(path: path, bytes: bytes)
  }

  /// Takes the file's blocks up to the end of the range, which nothing was written to and which reads as zeros then. Where batches will be
  /// synced its blocks are written now, and where blocks cannot be asked for, so that a full disk is not met by a batch.
  private static func takeBlocks(_ range: Range<Int>, of file: any File, for writing: Writing) throws(StorageError) {
    let hasBlocks = try file.allocate(range.upperBound)
    if case .cached = writing, hasBlocks { return }
    var offset = range.lowerBound
    if case .synced = writing, file.passByCache() {
      offset = BlockBuffer.blockStart(offset + BlockBuffer.blockBytes - 1)
    }
    let zeros = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: BlockBuffer.blockBytes)
    defer { zeros.deallocate() }
    zeros.initializeMemory(as: UInt8.self, repeating: 0)
    var unsynced = 0
    while offset < range.upperBound {
      let part = UnsafeRawBufferPointer(rebasing: zeros[..<min(zeros.count, range.upperBound - offset)])
      try file.write(part, at: offset)
      offset += part.count
      unsynced += part.count
      if unsynced >= slice {
        try file.syncData()
        unsynced = 0
      }
    }
  }

  /// Gives the file its header, durable, and then a segment's name, durable: a file with the name of a segment always has a whole header.
  func become(
    _ header: SegmentHeader, for writing: Writing, in directory: Directory
  ) throws(StorageError) -> SegmentFile {
    let file = try directory.disk.open(path, .write)
    try Self.writeHead(header, to: file)
    if !PlantedBug.segmentHeaderNotSynced.isPlanted { try file.syncData() }
    let name = LogFiles.segment(directory.path, header.segment)
    try directory.disk.rename(path, to: name)
    if !PlantedBug.directorySyncForgotten.isPlanted { try directory.sync() }
    return try SegmentFile(
      file: file, path: name, header: header, offset: SegmentHeader.size, bytes: bytes, for: writing)
  }

  /// The header and, behind it, the zero bytes that say "no batch yet" whatever the file held before.
  private static func writeHead(_ header: SegmentHeader, to file: any File) throws(StorageError) {
    let head = UnsafeMutableRawBufferPointer.allocate(
      byteCount: SegmentHeader.size + BatchHeader.trailerSize, alignment: 4096)
    defer { head.deallocate() }
    head.initializeMemory(as: UInt8.self, repeating: 0)
    header.encode(into: head)
    try file.write(UnsafeRawBufferPointer(head), at: 0)
  }

  /// Makes the segment that the log goes on in after a start, from a spare or a new file of `bytes` bytes: the intact content of `old` (or, in a new log, the header alone) and a
  /// batch that says so, all of it synced before it takes the old file's name. What the old file's cached pages looked like after some
  /// failed sync then no longer matters.
  static func continueLog(
    _ header: SegmentHeader, contentOf old: (path: String, end: Int)?, opened: UnsafeRawBufferPointer,
    from spare: Spare?, bytes: Int, for writing: Writing, in directory: Directory
  ) throws(StorageError) -> SegmentFile {
    let name = LogFiles.segment(directory.path, header.segment)
    let temporary = LogFiles.temporary(name)
    // Off the spare's name first: a crash must not leave a spare with batches of the very segment that it may become next time.
    if let spare { try directory.disk.rename(spare.path, to: temporary) }
    let file = try directory.disk.open(temporary, spare == nil ? .create : .write)
    try writeHead(header, to: file)
    var end = SegmentHeader.size
    if let old {
      let source = try directory.disk.open(old.path, .read)
      let buffer = ReadBuffer()
      while end < old.end {
        let part = try buffer.load(source, at: end, count: min(1 << 20, old.end - end))
        guard !part.isEmpty else {
          throw StorageError(.inputOutput, "the file became shorter while it was read", path: old.path, offset: end)
        }
        try file.write(part, at: end)
        end += part.count
      }
    }
    try file.write(opened, at: end)
    end += opened.count
    if spare == nil { try takeBlocks(end..<bytes, of: file, for: writing) }
    if !PlantedBug.tailCopyNotSynced.isPlanted { try file.sync() }
    try directory.disk.rename(temporary, to: name)
    try directory.sync()
    return try SegmentFile(
      file: file, path: name, header: header, offset: end - BatchHeader.trailerSize, bytes: bytes, for: writing)
  }
}

/// The segment that batches are written to.
struct SegmentFile {
  let file: any File
  let path: String
  let header: SegmentHeader
  /// Where the next batch goes.
  private(set) var offset: Int
  /// Bytes of the file.
  let bytes: Int
  let seed: ChecksumSeed
  /// For writing past the page cache; nil where the file system cannot, or nobody waits for the disk.
  private let blocks: BlockBuffer?

  init(
    file: any File, path: String, header: SegmentHeader, offset: Int, bytes: Int, for writing: Writing
  ) throws(StorageError) {
    self.file = file
    self.path = path
    self.header = header
    self.offset = offset
    self.bytes = bytes
    seed = header.seed
    if case .synced = writing, file.passByCache() {
      blocks = try BlockBuffer(file, at: offset)
    } else {
      blocks = nil
    }
  }

  /// Room that is kept at the end of each segment, so that a clean shutdown can always write its seal.
  static let sealRoom = BatchHeader.size + BatchHeader.trailerSize

  /// Bytes of sealed batches that still fit.
  var rest: Int { max(0, bytes - Self.sealRoom - offset) }

  /// The file's size for a segment that has to hold a sealed batch of this many bytes behind `offset`.
  static func size(_ usual: Int, holding sealed: Int, behind offset: Int = SegmentHeader.size) -> Int {
    max(usual, (offset + sealed + sealRoom + 4095) & ~4095)
  }

  /// Writes a sealed batch; its trailer will be overwritten by the next.
  mutating func append(_ sealed: UnsafeRawBufferPointer) throws(StorageError) {
    let end = offset + sealed.count - BatchHeader.trailerSize
    if let blocks {
      let whole = blocks.blocks(with: sealed, at: offset)
      try file.write(whole.bytes, at: whole.offset)
      blocks.goOn(at: end, after: whole.offset)
    } else {
      try file.write(sealed, at: offset)
    }
    offset = end
  }
}
