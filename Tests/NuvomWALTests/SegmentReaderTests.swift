import Testing

@testable import NuvomWAL

/// A segment's bytes, built batch by batch.
struct SegmentBytes {
  let header: SegmentHeader
  var bytes: [UInt8]
  /// Where each batch begins, and the end of the last.
  var offsets = [SegmentHeader.size]
  var next: UInt64

  init(segment: UInt64 = 1, firstSequence: UInt64 = 1, size: Int = 8192, filledWith old: [UInt8]? = nil) {
    header = SegmentHeader(logID: 0xABCD, partition: 3, segment: segment, firstSequence: firstSequence)
    bytes = old ?? [UInt8](repeating: 0, count: size)
    next = firstSequence
    bytes.withUnsafeMutableBytes { header.encode(into: $0) }
    for index in 0..<8 { bytes[SegmentHeader.size + index] = 0 }
  }

  /// Adds a batch whose body is `text`; `durable` is all before it unless told.
  mutating func add(_ text: String, durable: UInt64? = nil, kind: BatchKind = .events) {
    var buffer = BatchBuffer(bodyCapacity: 16)
    Array(text.utf8).withUnsafeBytes { buffer.append($0) }
    let sealed = Array(
      buffer.seal(
        kind: kind, sequence: next, durable: durable ?? next - 1,
        time: LogTime(bootMicroseconds: Int64(next), wallMicroseconds: -Int64(next)), seed: header.seed))
    let place = offsets[offsets.count - 1]
    bytes.replaceSubrange(place..<(place + sealed.count), with: sealed)
    offsets.append(place + sealed.count - BatchHeader.trailerSize)
    next += 1
  }
}

/// What a reader makes of some bytes: the bodies in order, and the judgement of the end.
func read(
  _ bytes: [UInt8], next: SegmentHeader? = nil, durable: UInt64 = 0
) throws -> (bodies: [String], end: SegmentEnd) {
  try bytes.withUnsafeBytes { raw in
    var reader = try SegmentReader(raw)
    var bodies: [String] = []
    while let batch = reader.next() { bodies.append(String(decoding: batch.body, as: UTF8.self)) }
    return (bodies, reader.end(next: next, durable: durable))
  }
}

@Suite struct SegmentReaderTests {
  private var three: SegmentBytes {
    var segment = SegmentBytes(size: 4600)
    for text in ["first", "the second batch", ""] { segment.add(text) }
    return segment
  }

  private let bodies = ["first", "the second batch", ""]

  @Test("Header and batches come back as they were written")
  func roundTrip() throws {
    let segment = three
    try segment.bytes.withUnsafeBytes { raw in
      var reader = try SegmentReader(raw)
      #expect(reader.header == segment.header)
      var sequence: UInt64 = 0
      while let batch = reader.next() {
        sequence += 1
        #expect(batch.header.kind == .events)
        #expect(batch.header.sequence == sequence)
        #expect(batch.header.durable == sequence - 1)
        #expect(batch.header.time == LogTime(bootMicroseconds: Int64(sequence), wallMicroseconds: -Int64(sequence)))
        #expect(batch.offset == segment.offsets[Int(sequence) - 1])
        #expect(String(decoding: batch.body, as: UTF8.self) == bodies[Int(sequence) - 1])
      }
      #expect(sequence == 3)
      #expect(reader.end(next: nil, durable: 0) == .end(offset: segment.offsets[3]))
    }
  }

  @Test("The example in FORMAT.md is what is written")
  func documentedExample() {
    var segment = SegmentBytes()
    segment.add("hi")
    let batch = segment.bytes[4096..<4160].map { $0 < 16 ? "0" + String($0, radix: 16) : String($0, radix: 16) }
    #expect(batch.joined(separator: " ") == Self.example)
  }

  private static let example = [
    "86 41 e4 41 01 00 00 00 02 00 00 00 03 d7 ba a4", "01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
    "01 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff", "68 69 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
  ].joined(separator: " ")

  @Test(
    "A log cut at any byte gives the whole batches before it and is not damaged: the cut one may not have been durable")
  func cutAtEveryByte() throws {
    let segment = three
    for cut in SegmentHeader.size...segment.bytes.count {
      let whole = segment.offsets.dropFirst().count { $0 <= cut }
      let place = segment.offsets[whole]
      let (found, end) = try read(Array(segment.bytes[..<cut]))
      #expect(found == Array(bodies[..<whole]))
      // Fewer than eight bytes, or eight zeros, are no attempt at a batch.
      if cut - place < 8 || whole == 3 {
        #expect(end == .end(offset: place))
      } else {
        #expect(end == .torn(offset: place, cut - place < 48 ? .header : .length))
      }
    }
    for cut in 0..<SegmentHeader.size { #expect(throws: HeaderProblem.self) { try read(Array(segment.bytes[..<cut])) } }
  }

  @Test("A write cut at any byte, with zeros or old bytes behind it, is a torn tail and leaves all before it")
  func writeCutAtEveryByte() throws {
    for filler: UInt8 in [0, 0xA5] {
      let segment = three
      for batch in 0..<3 {
        for cut in segment.offsets[batch]..<segment.offsets[batch + 1] {
          var bytes = segment.bytes
          for index in cut..<bytes.count { bytes[index] = filler }
          let (found, end) = try read(bytes)
          // A batch may end in zeros (its padding), so that a cut within them loses nothing.
          if bytes[..<segment.offsets[batch + 1]] == segment.bytes[..<segment.offsets[batch + 1]] { continue }
          #expect(found == Array(bodies[..<batch]))
          let place = segment.offsets[batch]
          if cut == place && filler == 0 {
            #expect(end == .end(offset: place))
          } else {
            guard case .torn(place, _) = end else {
              Issue.record("batch \(batch) cut at \(cut): \(end)")
              continue
            }
          }
        }
      }
    }
  }

  @Test("Any bit of a log flipped: below a later mark damage, in the last batch a torn tail, never another content")
  func everyBitFlipped() throws {
    let segment = three
    for index in segment.bytes.indices {
      for bit in 0..<8 {
        var bytes = segment.bytes
        bytes[index] ^= 1 << bit
        if index < SegmentHeader.size {
          #expect(throws: HeaderProblem.self) { try read(bytes) }
          continue
        }
        let batch = segment.offsets.dropFirst().count { $0 <= index }
        let (found, end) = try read(bytes)
        #expect(found == Array(bodies[..<batch]))
        let place = segment.offsets[batch]
        switch end {
        case .damaged(let offset, _): #expect(offset == place && batch < 2)
        case .torn(let offset, _): #expect(offset == place && (batch == 2 || index < place + 8))
        // Bytes that no batch ever claimed.
        case .end(let offset): #expect(offset == place && batch == 3 && index >= place + 8)
        }
      }
    }
  }

  @Test(
    "Who vouches for a bad batch decides whether it is damage",
    arguments: [
      // marks of batches 1 to 4, the bad one, whether it is damage
      ([0, 1, 2, 3], 1, true),
      ([0, 1, 2, 3], 3, true),
      ([0, 1, 2, 3], 4, false),
      ([0, 0, 0, 0], 1, false),
      ([0, 0, 0, 0], 3, false),
      ([0, 0, 0, 2], 2, true),
      ([0, 0, 0, 2], 3, false),
      ([0, 0, 1, 1], 1, true),
      ([0, 0, 1, 1], 2, false),
    ])
  func marks(marks: [UInt64], bad: Int, isDamage: Bool) throws {
    var segment = SegmentBytes()
    for mark in marks { segment.add("batch", durable: mark) }
    // The first byte of the body, a byte of the header, and the whole batch never having reached the disk.
    for (place, value): (Range<Int>, UInt8?) in [(48..<49, nil), (20..<21, nil), (0..<56, 0)] {
      var bytes = segment.bytes
      for index in place { bytes[segment.offsets[bad - 1] + index] = value ?? ~bytes[segment.offsets[bad - 1] + index] }
      let (found, end) = try read(bytes)
      #expect(found.count == bad - 1)
      switch end {
      case .damaged(let offset, _): #expect(isDamage && offset == segment.offsets[bad - 1])
      case .torn(let offset, _): #expect(!isDamage && offset == segment.offsets[bad - 1])
      case .end: #expect(bad == 4 && value == 0)
      }
    }
  }

  @Test("A later header is believed although its body is torn")
  func headerOfATornBatchVouches() throws {
    var segment = SegmentBytes()
    segment.add("one")
    segment.add("two")
    segment.bytes[segment.offsets[0] + 48] ^= 1
    segment.bytes[segment.offsets[1] + 48] ^= 1
    #expect(try read(segment.bytes).end == .damaged(offset: segment.offsets[0], .body))
  }

  @Test("What another source knows to have been durable makes a bad batch damage")
  func knownFromElsewhere() throws {
    let segment = three
    var bytes = segment.bytes
    bytes[segment.offsets[2] + 4] ^= 1
    #expect(try read(bytes, durable: 2).end == .torn(offset: segment.offsets[2], .header))
    #expect(try read(bytes, durable: 3).end == .damaged(offset: segment.offsets[2], .header))
  }

  @Test("A recycled file's old batches are never read, nor do they vouch for anything")
  func recycledFile() throws {
    var old = SegmentBytes(segment: 1, firstSequence: 1)
    for _ in 0..<40 { old.add("an old batch") }
    // The same sequences once more: only the segment number tells the batches apart.
    var segment = SegmentBytes(segment: 2, firstSequence: 1, filledWith: old.bytes)
    #expect(try read(segment.bytes).bodies == [])
    #expect(try read(segment.bytes).end == .end(offset: SegmentHeader.size))
    for text in ["a new batch", "and a longer new batch", "."] {
      segment.add(text)
      let (found, end) = try read(segment.bytes)
      #expect(found.last == text && end == .end(offset: segment.offsets[segment.offsets.count - 1]))
    }
    // The last write torn after its header: old bytes follow.
    let place = segment.offsets[2]
    segment.bytes.replaceSubrange((place + 48)..., with: old.bytes[(place + 48)...])
    #expect(try read(segment.bytes).end == .torn(offset: place, .body))
  }

  @Test("Another segment's batch is not taken even in its very place")
  func foreignBatch() throws {
    var other = SegmentBytes(segment: 2, firstSequence: 1)
    other.add("batch")
    var segment = SegmentBytes(segment: 1, firstSequence: 1)
    segment.bytes.replaceSubrange(4096..., with: other.bytes[4096...])
    #expect(try read(segment.bytes).bodies == [])
  }

  @Test("Behind a seal nothing can be torn, but the log's opening follows it")
  func seal() throws {
    var segment = SegmentBytes()
    segment.add("events")
    segment.add("", kind: .seal)
    #expect(try read(segment.bytes).end == .end(offset: segment.offsets[2]))
    var bytes = segment.bytes
    bytes[segment.offsets[2] + 3] = 1
    #expect(try read(bytes).end == .damaged(offset: segment.offsets[2], .header))
    // The seal itself bad: it vouched for all before it and nothing for it.
    bytes = segment.bytes
    bytes[segment.offsets[1] + 9] ^= 1
    #expect(try read(bytes).end == .torn(offset: segment.offsets[1], .header))
    // The batch before it bad.
    bytes = segment.bytes
    bytes[segment.offsets[0] + 48] ^= 1
    #expect(try read(bytes).end == .damaged(offset: segment.offsets[0], .body))
    // Opened again, and torn then.
    segment.add("", durable: 3, kind: .opened)
    segment.add("torn")
    segment.bytes[segment.offsets[3] + 48] ^= 1
    #expect(try read(segment.bytes).end == .torn(offset: segment.offsets[3], .body))
  }

  @Test("Before another segment nothing can be torn and nothing missing")
  func beforeAnotherSegment() throws {
    let segment = three
    let next = SegmentHeader(logID: 0xABCD, partition: 3, segment: 2, firstSequence: 4)
    #expect(try read(segment.bytes, next: next).end == .end(offset: segment.offsets[3]))
    var bytes = segment.bytes
    bytes[segment.offsets[2] + 9] ^= 1
    #expect(try read(bytes, next: next).end == .damaged(offset: segment.offsets[2], .header))
    var later = next
    later.firstSequence = 6
    #expect(try read(segment.bytes, next: later).end == .damaged(offset: segment.offsets[3], .gap(next: 6)))
  }

  @Test("An intact batch of a wrong sequence is damage")
  func wrongSequence() throws {
    var segment = SegmentBytes()
    segment.add("one")
    segment.next = 5
    segment.add("five", durable: 0)
    #expect(try read(segment.bytes).end == .damaged(offset: segment.offsets[1], .sequence(found: 5)))
  }

  @Test("A newer version is told apart from damage")
  func newerVersion() {
    var segment = three
    segment.bytes[8] = 2
    #expect(throws: HeaderProblem.checksum) { try read(segment.bytes) }
    segment.bytes.withUnsafeMutableBytes { raw in
      guard let base = raw.baseAddress else { return }
      base.set(checksum(UnsafeRawPointer(base), count: 4092), at: 4092)
    }
    #expect(throws: HeaderProblem.newer(version: 2)) { try read(segment.bytes) }
  }

  @Test("A payload full of forged headers costs one look at each, and none is believed")
  func forgedHeaders() throws {
    var segment = SegmentBytes(size: 1 << 16)
    var forged = SegmentBytes(segment: 1, firstSequence: 2)
    forged.add("", durable: 2)
    var buffer = BatchBuffer()
    // Right in all but the log's secret number: the seed of another log.
    let foreign = ChecksumSeed(logID: 1, partition: 3, segment: 1)
    var payload: [UInt8] = []
    for _ in 0..<500 {
      payload += Array(
        buffer.seal(
          kind: .events, sequence: 2, durable: 2, time: LogTime(bootMicroseconds: 0, wallMicroseconds: 0), seed: foreign
        ).prefix(48))
    }
    segment.add(String(decoding: payload.map { $0 & 0x7F }, as: UTF8.self))
    let place = segment.offsets[0] + 48
    segment.bytes.replaceSubrange(place..<(place + payload.count), with: payload)
    #expect(try read(segment.bytes).end == .torn(offset: segment.offsets[0], .body))
  }
}
