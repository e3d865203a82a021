import NuvomWAL
import PlantedBugs

/// Takes what a recovery finds, in order.
public protocol RecoveryHandler: AnyObject {
  /// A snapshot begins: whatever was taken before is void. Called at most once for each snapshot file tried, newest first.
  func snapshotBegins(_ header: SnapshotHeader) throws
  /// The snapshot that began is not usable: whatever was taken is void. Another one begins, or batches follow from the log's very first on.
  func snapshotRejected()
  /// The next chunk of the snapshot; `body` is valid during the call.
  func chunk(kind: UInt32, _ body: UnsafeRawBufferPointer) throws
  /// The next batch of events after the snapshot; sequences rise, with gaps where the log marked its own openings and seals.
  func batch(_ batch: Batch) throws
}

/// One segment as a walk found it.
public struct SegmentSummary: Sendable, Equatable {
  /// The file.
  public let path: String
  /// The segment's number.
  public let segment: UInt64
  /// The sequence that it begins with.
  public let firstSequence: UInt64
  /// The sequence of its last intact batch; below `firstSequence` when it has none.
  public let lastSequence: UInt64
  /// Intact batches, the log's own included.
  public let batches: Int
  /// Where its intact content ends, in bytes from the file's start.
  public let bytes: Int
  /// Bytes of the file.
  public let fileBytes: Int
}

/// A place where a log is not what was written.
public struct LogFault: Sendable, Equatable {
  /// The file.
  public let path: String
  /// Where in the file.
  public let offset: Int
  /// What is wrong, in words.
  public let reason: String
  /// Bytes from there to the last that is not zero.
  public let bytes: Int
}

/// A snapshot file that was found unusable.
public struct RejectedSnapshot: Sendable, Equatable {
  /// The file.
  public let path: String
  /// What is wrong with it.
  public let problem: SnapshotProblem
}

/// Reads a log from its newest usable snapshot to its end and judges it. Changes nothing on disk.
struct LogWalk {
  let directory: Directory
  var files: LogFiles
  private let buffer = ReadBuffer()

  private(set) var snapshot: (header: SnapshotHeader, info: SnapshotInfo)?
  private(set) var rejectedSnapshots: [RejectedSnapshot] = []
  private(set) var segments: [SegmentSummary] = []
  private(set) var torn: LogFault?
  private(set) var damage: LogFault?
  private(set) var isSealed = false
  private(set) var tail: SegmentHeader?

  init(_ directory: Directory) throws(StorageError) {
    self.directory = directory
    files = try LogFiles(in: directory)
  }

  var isEmpty: Bool { files.segments.isEmpty && files.snapshots.isEmpty }

  /// The sequence of the last intact batch.
  var lastSequence: UInt64 { segments.last?.lastSequence ?? 0 }

  /// Walks; afterwards either `damage` says where it stopped, or the log is usable up to `lastSequence`. With a sequence it begins behind it, and
  /// takes no snapshot.
  mutating func run(_ handler: (any RecoveryHandler)?, after sequence: UInt64? = nil) throws {
    guard !isEmpty else { return }
    let headers = try files.segments.map { try header($0) }
    for file in files.snapshots.reversed() where sequence == nil {
      do {
        try loadSnapshot(file, handler)
        break
      } catch let problem as SnapshotProblem {
        if case .header(.newer(let version)) = problem { throw newer(version, file.path) }
        handler?.snapshotRejected()
        rejectedSnapshots.append(RejectedSnapshot(path: file.path, problem: problem))
      }
    }
    let covered = sequence ?? snapshot?.header.sequence ?? 0
    let start = headers.lastIndex { header in
      if case .success(let header) = header { return header.firstSequence <= covered + 1 }
      return false
    }
    guard let start else {
      damage = missingStart(headers, covered)
      return
    }
    try replay(headers[start...], after: covered, handler)
    if damage == nil, lastSequence < covered, let last = segments.last {
      damage = LogFault(
        path: last.path, offset: last.bytes,
        reason: "the log ends with batch \(last.lastSequence), before the snapshot of batch \(covered)", bytes: 0)
    }
  }

  private func newer(_ version: UInt16, _ path: String) -> StorageError {
    StorageError(
      .newerVersion,
      "the log was written in format version \(version), this broker knows up to \(SegmentHeader.version); "
        + "start the newer broker that wrote it", path: path)
  }

  private func header(_ file: LogFiles.Numbered) throws -> Result<SegmentHeader, HeaderProblem> {
    let bytes = try buffer.load(
      try directory.disk.open(file.path, .read), at: 0, count: min(SegmentHeader.size, file.size))
    do throws(HeaderProblem) {
      return .success(try SegmentHeader.decode(bytes))
    } catch {
      if case .newer(let version) = error { throw newer(version, file.path) }
      return .failure(error)
    }
  }

  /// No segment holds the batch that is due first.
  private func missingStart(_ headers: [Result<SegmentHeader, HeaderProblem>], _ covered: UInt64) -> LogFault {
    if let rejected = rejectedSnapshots.first {
      return LogFault(
        path: rejected.path, offset: 0, reason: "\(rejected.problem), and the segments before it are gone", bytes: 0)
    }
    guard let first = files.segments.first else {
      return LogFault(
        path: directory.path, offset: 0, reason: "there is a snapshot but no segment behind it", bytes: 0)
    }
    if case .failure(let problem)? = headers.first {
      return LogFault(path: first.path, offset: 0, reason: problem.description, bytes: 0)
    }
    return LogFault(
      path: first.path, offset: 0, reason: "the segment with batch \(covered + 1) is missing before this one", bytes: 0)
  }

  private mutating func loadSnapshot(_ file: LogFiles.Numbered, _ handler: (any RecoveryHandler)?) throws {
    let handle = try directory.disk.open(file.path, .read)
    let bytes = try buffer.load(handle, at: 0, count: min(SnapshotHeader.size, file.size))
    let header: SnapshotHeader
    do throws(HeaderProblem) {
      header = try SnapshotHeader.decode(bytes)
    } catch {
      throw SnapshotProblem.header(error)
    }
    try handler?.snapshotBegins(header)
    var reader = SnapshotReader(header: header, fileSize: file.size)
    while !reader.isComplete {
      let room = min(ChunkHeader.size, file.size - reader.offset)
      let announced = try reader.header(try buffer.load(handle, at: reader.offset, count: room))
      let bytes = try buffer.load(handle, at: reader.offset, count: ChunkHeader.size + announced.bodyLength)
      if let chunk = try reader.accept(bytes) { try handler?.chunk(kind: chunk.kind, chunk.body) }
    }
    snapshot = (header, SnapshotInfo(sequence: header.sequence, bytes: file.size))
  }

  private mutating func replay(
    _ headers: ArraySlice<Result<SegmentHeader, HeaderProblem>>, after covered: UInt64,
    _ handler: (any RecoveryHandler)?
  ) throws {
    for index in headers.indices {
      let file = files.segments[index]
      guard case .success(let header) = headers[index] else {
        if case .failure(let problem) = headers[index] {
          damage = LogFault(path: file.path, offset: 0, reason: problem.description, bytes: 0)
        }
        return
      }
      if let fault = misplaced(header, file, previous: tail) {
        damage = fault
        return
      }
      var next: SegmentHeader?
      if index + 1 < headers.endIndex, case .success(let header) = headers[index + 1] { next = header }
      tail = header
      let bytes = try buffer.load(try directory.disk.open(file.path, .read), at: 0, count: file.size)
      var reader = try SegmentReader(bytes)
      var batches = 0
      while let batch = reader.next() {
        batches += 1
        if batch.header.sequence > covered, batch.header.kind == .events,
          !PlantedBug.recoverySkipsBatch.isPlanted || batch.header.sequence % 32 != 0
        {
          try handler?.batch(batch)
        }
      }
      isSealed = reader.lastKind == .seal
      segments.append(
        SegmentSummary(
          path: file.path, segment: header.segment, firstSequence: header.firstSequence,
          lastSequence: reader.expectedSequence &- 1, batches: batches, bytes: reader.offset, fileBytes: file.size))
      // A next segment whose header is bad is reported there, unless this one's end is at fault already.
      if next == nil, index + 1 < headers.endIndex { next = header.followed(by: reader.expectedSequence) }
      switch reader.end(next: next, durable: covered) {
      case .end: break
      case .torn(let offset, let problem): torn = fault(file, offset, problem, bytes)
      case .damaged(let offset, let problem):
        damage = fault(file, offset, problem, bytes)
        return
      }
    }
  }

  private func fault(
    _ file: LogFiles.Numbered, _ offset: Int, _ problem: BatchProblem, _ bytes: UnsafeRawBufferPointer
  ) -> LogFault {
    let end = bytes[offset...].lastIndex { $0 != 0 }.map { $0 + 1 } ?? offset
    return LogFault(path: file.path, offset: offset, reason: problem.description, bytes: end - offset)
  }

  /// What is wrong with a segment's place among the others.
  private func misplaced(_ header: SegmentHeader, _ file: LogFiles.Numbered, previous: SegmentHeader?) -> LogFault? {
    var reason: String?
    if header.segment != file.number {
      reason = "the file's name does not agree with the segment number in it, \(header.segment)"
    } else if let previous, header.logID != previous.logID || header.partition != previous.partition {
      reason = "the segment belongs to another log"
    } else if let snapshot = snapshot?.header, header.logID != snapshot.logID || header.partition != snapshot.partition
    {
      reason = "the segment and the snapshot belong to different logs"
    } else if let previous, header.segment != previous.segment + 1 {
      reason = "segment \(previous.segment + 1) is missing before this one"
    }
    return reason.map { LogFault(path: file.path, offset: 0, reason: $0, bytes: 0) }
  }
}

extension SegmentHeader {
  /// The header that the segment behind this one must have.
  func followed(by sequence: UInt64) -> SegmentHeader {
    SegmentHeader(logID: logID, partition: partition, segment: segment &+ 1, firstSequence: sequence)
  }
}

/// Memory that pieces of files are read into; grows to the largest piece, which is never larger than the file.
final class ReadBuffer {
  private var memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 4096)

  deinit { memory.deallocate() }

  /// Reads `count` bytes at `offset`, fewer only when the file ends before; valid until the next call.
  func load(_ file: any File, at offset: Int, count: Int) throws(StorageError) -> UnsafeRawBufferPointer {
    if count > memory.count {
      memory.deallocate()
      memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 4096)
    }
    let done = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: memory[..<count]), at: offset)
    return UnsafeRawBufferPointer(rebasing: memory[..<done])
  }
}
