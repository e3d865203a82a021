/// One batch as it lies in a segment.
public struct Batch {
  /// The header, proved by its checksum.
  public let header: BatchHeader
  /// The body, proved by its checksum; valid as long as the segment's bytes.
  public let body: UnsafeRawBufferPointer
  /// Where in the file the header begins.
  public let offset: Int
}

/// Why the bytes at some place are not the batch that belongs there.
public enum BatchProblem: Equatable, Sendable, CustomStringConvertible {
  /// The header is not one of this segment, or its checksum does not match.
  case header
  /// The body reaches behind the file's end.
  case length
  /// The body's checksum does not match.
  case body
  /// An intact batch of another sequence lies here.
  case sequence(found: UInt64)
  /// Nothing lies here though an intact later batch does.
  case absent
  /// The next segment begins with another batch than the one due.
  case gap(next: UInt64)

  /// The problem in words.
  public var description: String {
    switch self {
    case .header: "the batch's header is not intact"
    case .length: "the batch reaches behind the end of the file"
    case .body: "the batch's body does not match its checksum"
    case .sequence(let found): "batch \(found) lies in this place"
    case .absent: "the batch is missing while a later one is there"
    case .gap(let next): "batches are missing: the next segment begins with batch \(next)"
    }
  }
}

/// How a segment ends.
public enum SegmentEnd: Equatable, Sendable {
  /// Behind the last batch is nothing; the next would go to `offset`.
  case end(offset: Int)
  /// What lies at `offset` was being written when the broker or the machine stopped; nothing says that it was ever durable. To be cut.
  case torn(offset: Int, BatchProblem)
  /// What lay at `offset` had been durable and is not what was written. To be refused.
  case damaged(offset: Int, BatchProblem)
}

/// Reads the batches of one segment from its bytes, and judges what is wrong with its end.
///
/// Pure: no file, no allocation, and no length is followed before its checksum was seen to match.
public struct SegmentReader {
  /// The segment's header.
  public let header: SegmentHeader
  /// Where the next batch is expected; after `next` gave nil, where the valid content ends.
  public private(set) var offset = SegmentHeader.size
  /// The sequence that the next batch must have.
  public private(set) var expectedSequence: UInt64
  /// The kind of the last batch read; nil before the first.
  public private(set) var lastKind: BatchKind?

  private let bytes: UnsafeRawBufferPointer
  private let seed: ChecksumSeed
  private var problem: BatchProblem?
  private var isAtEnd = false

  /// A reader of `bytes`, the whole file's content, which must stay valid as long as the reader and its batches are used.
  public init(_ bytes: UnsafeRawBufferPointer) throws(HeaderProblem) {
    header = try SegmentHeader.decode(bytes)
    self.bytes = bytes
    seed = header.seed
    expectedSequence = header.firstSequence
  }

  /// The next batch; nil at the end and at the first batch that is not intact (then ask `end`).
  public mutating func next() -> Batch? {
    guard !isAtEnd, let start = bytes.baseAddress else { return nil }
    let rest = bytes.count - offset
    let base = start + offset
    if rest < BatchHeader.trailerSize || base.integer(at: 0, as: UInt64.self) == 0 { return stop(nil) }
    guard rest >= BatchHeader.size, let header = BatchHeader.decode(at: base, seed: seed) else { return stop(.header) }
    guard header.sequence == expectedSequence else { return stop(.sequence(found: header.sequence)) }
    guard header.encodedSize <= rest else { return stop(.length) }
    let body = base + BatchHeader.size
    let padded = alignedToEight(header.bodyLength)
    guard seed.checksum(body, count: padded) == header.bodyChecksum else { return stop(.body) }
    let batch = Batch(
      header: header, body: UnsafeRawBufferPointer(start: body, count: header.bodyLength), offset: offset)
    offset += header.encodedSize
    expectedSequence &+= 1
    lastKind = header.kind
    return batch
  }

  private mutating func stop(_ problem: BatchProblem?) -> Batch? {
    self.problem = problem
    isAtEnd = true
    return nil
  }

  /// Judges the segment's end, once `next` has given nil.
  ///
  /// `next` is the header of the segment behind this one, nil for the log's last: a segment is only begun when the one before it is
  /// durable, so whatever is wrong before another segment is damage. `durable` is a sequence known to have been durable from elsewhere (a
  /// snapshot's). In the last segment the rest of the file is searched for headers of later batches; the highest of their durable marks
  /// decides. Behind a seal nothing can be torn: the batch that follows one appears together with it.
  public func end(next: SegmentHeader?, durable: UInt64) -> SegmentEnd {
    precondition(isAtEnd, "a segment's end is judged when its batches are read")
    if let next {
      if let problem { return .damaged(offset: offset, problem) }
      guard next.firstSequence == expectedSequence else {
        return .damaged(offset: offset, .gap(next: next.firstSequence))
      }
      return .end(offset: offset)
    }
    if case .sequence? = problem, let problem { return .damaged(offset: offset, problem) }
    let later = laterHeaders()
    guard let problem = problem ?? (later.found ? .absent : nil) else { return .end(offset: offset) }
    if max(later.mark, durable) >= expectedSequence || lastKind == .seal { return .damaged(offset: offset, problem) }
    return .torn(offset: offset, problem)
  }

  /// Gives the batches that lie whole in a segment's bytes from `offset` on, with sequences that rise from above `sequence`, whatever is between
  /// them: what is left of a segment behind a damage. Returns where the last of them ends, or `offset`.
  ///
  /// `seed` is that of the segment that the bytes are of, whether or not its own header is intact.
  public static func intactBatches(
    in bytes: UnsafeRawBufferPointer, from offset: Int, after sequence: UInt64, seed: ChecksumSeed,
    _ found: (Batch) throws -> Void
  ) rethrows -> Int {
    guard let start = bytes.baseAddress else { return offset }
    var place = max(SegmentHeader.size, (offset + 7) & ~7)
    var end = offset
    var last = sequence
    while place <= bytes.count - BatchHeader.size {
      let base = start + place
      let kind: UInt32 = base.integer(at: 4)
      guard kind >= BatchKind.events.rawValue, kind <= BatchKind.opened.rawValue,
        base.integer(at: 16, as: UInt64.self) > last, let header = BatchHeader.decode(at: base, seed: seed),
        header.encodedSize <= bytes.count - place,
        seed.checksum(base + BatchHeader.size, count: alignedToEight(header.bodyLength)) == header.bodyChecksum
      else {
        place += 8
        continue
      }
      let body = UnsafeRawBufferPointer(start: base + BatchHeader.size, count: header.bodyLength)
      try found(Batch(header: header, body: body, offset: place))
      last = header.sequence
      place += header.encodedSize
      end = place
    }
    return end
  }

  /// Looks for intact headers from the end of the valid content on: whether there is one, and the highest durable mark among them.
  /// One look at each multiple of 8; a checksum of 44 bytes only where kind and sequence are plausible.
  private func laterHeaders() -> (found: Bool, mark: UInt64) {
    guard let start = bytes.baseAddress, bytes.count >= BatchHeader.size else { return (false, 0) }
    let highest = expectedSequence &+ UInt64(bytes.count / BatchHeader.size)
    var found = false
    var mark: UInt64 = 0
    var place = offset
    while place <= bytes.count - BatchHeader.size {
      let base = start + place
      let kind: UInt32 = base.integer(at: 4)
      if kind >= BatchKind.events.rawValue, kind <= BatchKind.opened.rawValue {
        let sequence: UInt64 = base.integer(at: 16)
        if sequence >= expectedSequence, sequence <= highest, let header = BatchHeader.decode(at: base, seed: seed) {
          found = true
          mark = max(mark, header.durable)
        }
      }
      place += 8
    }
    return (found, mark)
  }
}
