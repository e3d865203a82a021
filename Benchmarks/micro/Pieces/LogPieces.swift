import NuvomEngine
import NuvomModel
import NuvomWAL

extension Piece {
  static let log = [
    Piece("log-seal-64", "a batch of 64 events: copied from the engine, sealed with its checksums", repetitions: few) {
      let turns = try Turns()
      let events = Bytes(try turns.next())
      let batch = Place(BatchBuffer())
      return { count in
        for _ in 0..<count {
          batch.pointer.pointee.removeAll()
          batch.pointer.pointee.append(events.borrowed)
          let sealed = batch.pointer.pointee.seal(
            kind: .events, sequence: 1_000, durable: 999, time: turns.core.time, seed: Segment.header.seed)
          try expect(sealed.count > 2_000, "the batch is short")
        }
      }
    },
    Piece("log-read-64", "such a batch found in a segment, its checksums checked", repetitions: few) {
      let segment = try Segment(batches: few.upperBound)
      let reader = Place(try SegmentReader(segment.bytes))
      return { count in
        for _ in 0..<count { try expect(reader.pointer.pointee.next() != nil, "a batch is not intact") }
        withExtendedLifetime(segment) {}
      }
    },
    Piece("log-replay-64", "the same, and its events read and applied", repetitions: few) {
      let segment = try Segment(batches: few.upperBound)
      let reader = Place(try SegmentReader(segment.bytes))
      let engine = Engine(EngineConfiguration(memoryLimit: 1 << 32, hashSeed: 7), now: Time(boot: 0, wall: 0))
      try expect(segment.beginning.withUnsafeBytes(engine.replay), "the first batch does not apply")
      var turns = 1
      return { count in
        for _ in 0..<count {
          guard let batch = reader.pointer.pointee.next() else { throw WrongWork("a batch is not intact") }
          try expect(engine.replay(batch.body), "a batch does not apply")
        }
        turns += count
        try expect(engine.statistics().totals.acked == UInt64(21 * turns), "not all was applied")
        withExtendedLifetime(segment) {}
      }
    },
  ]
}

/// Turns with 64 events: their time, and 21 jobs that are enqueued, leased and acked.
private final class Turns {
  let core: Core
  private let enqueue = Place(Request())
  private let dequeue = Place(Request())
  private let ack = Place(Request())

  init() throws {
    core = try Core()
    core.prepareEnqueue(&enqueue.pointer.pointee, jobs: 21)
    core.prepareDequeue(&dequeue.pointer.pointee, maximum: 21)
    ack.pointer.pointee.method = .ack
  }

  /// The next turn's events. The first time there are those of the names besides.
  func next() throws -> [UInt8] {
    core.beginTurn()
    core.handle(enqueue)
    core.forgetOutcome()
    core.handle(dequeue)
    core.acknowledgeDelivered(in: ack)
    core.forgetOutcome()
    core.handle(ack)
    core.forgetOutcome()
    try expect(core.engine.statistics().leased == 0, "the acks were refused")
    let events = Array(core.engine.eventBytes)
    core.endTurn()
    return events
  }
}

/// A segment of the log, full of batches of 64 events.
private final class Segment {
  static let header = SegmentHeader(logID: 0xABCD, partition: 0, segment: 1, firstSequence: 1)

  /// The events before the segment's, with the names that they use.
  let beginning: [UInt8]
  let bytes: UnsafeRawBufferPointer

  init(batches: Int) throws {
    let turns = try Turns()
    beginning = try turns.next()
    var content = [UInt8](repeating: 0, count: SegmentHeader.size)
    content.withUnsafeMutableBytes { Self.header.encode(into: $0) }
    var buffer = BatchBuffer()
    for sequence in 1...UInt64(batches) {
      let events = try turns.next()
      buffer.removeAll()
      events.withUnsafeBytes { buffer.append($0) }
      let sealed = buffer.seal(
        kind: .events, sequence: sequence, durable: sequence - 1, time: turns.core.time, seed: Self.header.seed)
      content.append(contentsOf: sealed.dropLast(BatchHeader.trailerSize))
    }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: content.count, alignment: 16)
    memory.copyBytes(from: content)
    bytes = UnsafeRawBufferPointer(memory)
  }

  deinit { bytes.deallocate() }
}
