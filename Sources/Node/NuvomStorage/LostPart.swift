public import NuvomWAL

/// What a damaged log cannot give any more, and what of it can still be read.
public struct LostPart: Sendable, Equatable {
  /// What is left to go on from.
  public enum Base: Sendable, Equatable {
    /// The snapshot and the segments up to the damage, or all segments from the log's beginning.
    case segments
    /// The snapshot alone: the log behind it is missing or ends before it.
    case snapshot
    /// Nothing that is surely right.
    case nothing
  }

  /// The damage; of a salvage that was interrupted perhaps none any more.
  public let damage: LogFault?
  /// What is left to go on from.
  public let base: Base
  /// The last batch that is surely right, with all before it; 0 for none.
  public let lastSequence: UInt64
  /// Bytes behind it, up to the last that is not zero in each file, that are in no intact batch.
  public var unreadableBytes = 0
  /// The most bytes that events may have stood in that cannot be read.
  public var possibleBytes = 0
  /// Intact batches of events behind it.
  public var batches = 0
  /// The sequence of the last batch, of any kind, that is known to have been there.
  public var highestSequence: UInt64?
  /// When the first and the last of the intact batches were written, in microseconds since 1970.
  public var times: ClosedRange<Int64>?
  /// The files that are not gone on with.
  public var files: [String] = []
  /// Where `open` has put them; nil before.
  public internal(set) var folder: String?

  init(damage: LogFault?, base: Base, lastSequence: UInt64) {
    self.damage = damage
    self.base = base
    self.lastSequence = lastSequence
  }

  mutating func add(_ batch: Batch) {
    highestSequence = max(highestSequence ?? 0, batch.header.sequence)
    guard batch.header.kind == .events else { return }
    batches += 1
    let time = batch.header.time.wallMicroseconds
    times = times.map { min($0.lowerBound, time)...max($0.upperBound, time) } ?? time...time
  }
}

/// Takes what a damaged log holds behind the damage.
public protocol LostBatchHandler: AnyObject {
  /// An intact batch of events that cannot follow from what is before it; sequences rise.
  func lost(_ batch: Batch)
}

/// A recovery that can go on from the part of a damaged log that is surely right.
public protocol SalvageHandler: RecoveryHandler, LostBatchHandler {
  /// All of the lost part was told. Returns the body of a batch of events that must be in the log before anything else happens, and applies it.
  /// What it throws is thrown by `open`, and nothing is changed.
  func salvage(_ lost: LostPart) throws -> [UInt8]
  /// The log goes on with a batch of events of an earlier salvage, which was interrupted.
  func salvaged(_ events: UnsafeRawBufferPointer) throws
}

extension LogWalk {
  /// Looks at what is behind the damage. To be called when the log was walked.
  func lostPart(_ handler: (any LostBatchHandler)?) throws(StorageError) -> LostPart {
    let covered = snapshot?.header.sequence ?? 0
    let base: LostPart.Base
    // Without a snapshot, what was walked began with the log's first batch.
    if !segments.isEmpty, lastSequence >= covered {
      base = .segments
    } else {
      base = snapshot == nil ? .nothing : .snapshot
    }
    let kept = base == .segments ? segments.last : nil
    let right = kept?.lastSequence ?? covered
    var part = LostPart(damage: damage, base: base, lastSequence: right)
    part.files = rejectedSnapshots.map(\.path)
    let logID = tail?.logID ?? snapshot?.header.logID
    let buffer = ReadBuffer()
    var last = kept == nil ? 0 : right
    for (index, file) in files.segments.enumerated() {
      if let kept, file.number < kept.segment { continue }
      let next = index + 1 < files.segments.count ? files.segments[index + 1] : nil
      let nextHeader = try next.flatMap { next throws(StorageError) in
        try? SegmentHeader.decode(
          try buffer.load(try directory.disk.open(next.path, .read), at: 0, count: min(SegmentHeader.size, next.size)))
      }
      let from = file.number == kept?.segment ? kept?.bytes ?? 0 : SegmentHeader.size
      let bytes = try buffer.load(try directory.disk.open(file.path, .read), at: 0, count: file.size)
      part.files.append(file.path)
      // All of it is in the snapshot.
      if kept == nil, let nextHeader, nextHeader.firstSequence <= covered + 1 { continue }
      // A file that another follows was once as large as any, whatever is left of it.
      let extent = next == nil ? bytes.count : max(bytes.count, largestSegment)
      try part.read(
        bytes, from: min(from, bytes.count), extent: extent, next: nextHeader?.firstSequence, number: file.number,
        logID,
        after: &last, handler)
    }
    let (missing, isTooMuch) = missingSegments(behind: kept?.segment).multipliedReportingOverflow(by: largestSegment)
    let (possible, isMore) = part.possibleBytes.addingReportingOverflow(missing)
    part.possibleBytes = isTooMuch || isMore ? .max : possible
    return part
  }

  /// A segment that is not there may have been as large as any that is, and as the usual one.
  private var largestSegment: Int { max(WALOptions().segmentBytes, files.segments.map(\.size).max() ?? 0) }

  /// How many segments are known to be missing. Behind a snapshot whose log is not there one may have been.
  private func missingSegments(behind kept: UInt64?) -> Int {
    let numbers = files.segments.map(\.number).filter { $0 > kept ?? 0 }
    guard let first = numbers.first, let last = numbers.last else { return kept == nil ? 1 : 0 }
    let between = Int(clamping: last - first) - (numbers.count - 1)
    let before = kept.map { Int(clamping: first - $0 - 1) } ?? 1
    let (missing, isTooMuch) = between.addingReportingOverflow(before)
    return isTooMuch ? .max : missing
  }
}

extension LostPart {
  /// Reads a segment's file from an offset on. `extent`: the most bytes that it may have had. `next`: the batch that the file behind it begins with.
  fileprivate mutating func read(
    _ bytes: UnsafeRawBufferPointer, from offset: Int, extent: Int, next: UInt64?, number: UInt64, _ logID: UInt64?,
    after last: inout UInt64, _ handler: (any LostBatchHandler)?
  ) throws(StorageError) {
    let end = bytes[offset...].lastIndex { $0 != 0 }.map { $0 + 1 } ?? offset
    let header = try? SegmentHeader.decode(bytes)
    guard let id = logID ?? header?.logID, header.map({ $0.logID == id }) ?? true else {
      unreadableBytes += end - offset
      possibleBytes += extent - offset
      return
    }
    let seed = header?.seed ?? ChecksumSeed(logID: id, partition: header?.partition ?? 0, segment: number)
    var intact = 0
    var highest = last
    let read = SegmentReader.intactBatches(in: bytes, from: offset, after: last, seed: seed) { batch in
      intact += batch.header.encodedSize
      highest = batch.header.sequence
      // Behind a snapshot alone, what is in it is not lost.
      if batch.header.sequence <= lastSequence { return }
      add(batch)
      if batch.header.kind == .events { handler?.lost(batch) }
    }
    last = highest
    unreadableBytes += max(0, end - offset - intact)
    // Nothing is missing behind a batch that the next file goes on from; nor, in the log's last file, behind an intact batch with nothing but
    // zeros behind it, unless whole blocks are gone: then there is no last batch.
    let isWhole = next == highest + 1 || (extent == bytes.count && next == nil && read > offset && read + 8 >= end)
    possibleBytes += max(0, (isWhole ? read : extent) - offset - intact)
  }
}
