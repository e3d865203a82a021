import NuvomEngine
import NuvomModel
import NuvomWAL

func fuzzEvents(_ bytes: UnsafeRawBufferPointer) {
  let engine = Engine(PlayedEngine.configuration, now: PlayedEngine.beginning)
  if engine.replay(bytes) { goOn(engine, from: PlayedEngine.beginning) }
}

/// The input is an action a time: a batch, a copy of what was written, raw bytes, zeros, a change of a byte. What comes out is a segment's file.
func fuzzSegment(_ bytes: UnsafeRawBufferPointer) {
  var input = Input(bytes)
  let header = SegmentHeader(logID: 0xABCD, partition: 0, segment: 2, firstSequence: 7)
  var file = [UInt8](repeating: 0, count: SegmentHeader.size)
  file.withUnsafeMutableBytes { header.encode(into: $0) }
  var buffer = BatchBuffer(bodyCapacity: 64)
  var sequence = header.firstSequence
  // How long the file was, and what was due, when nothing but whole batches was in it.
  var intact: (bytes: Int, sequence: UInt64)? = (file.count, sequence)
  while !input.isAtEnd, file.count < 1 << 16 {
    switch input.byte() % 6 {
    case 0, 1:
      let kind = BatchKind(rawValue: UInt32(input.byte() % 3) + 1) ?? .events
      let durable = sequence - min(sequence, UInt64(input.byte() % 8))
      buffer.removeAll()
      buffer.append(input.bytes(Int(input.byte())))
      let time = LogTime(bootMicroseconds: Int64(input.byte()), wallMicroseconds: -Int64(input.byte()))
      let sealed = buffer.seal(kind: kind, sequence: sequence, durable: durable, time: time, seed: header.seed)
      file.append(contentsOf: sealed.dropLast(BatchHeader.trailerSize))
      sequence += 1
      if intact != nil { intact = (file.count, sequence) }
    case 2:
      let place = min(file.count - 1, Int(input.number()))
      file[place] ^= max(1, input.byte())
      intact = nil
    case 3:
      file.append(contentsOf: input.bytes(Int(input.byte())))
      intact = nil
    case 4:
      let from = min(file.count, Int(input.number()))
      file.append(contentsOf: Array(file[from..<min(file.count, from + Int(input.byte()))]))
      intact = nil
    default:
      sequence += UInt64(input.byte() % 3)
      intact = nil
    }
  }
  file.append(contentsOf: repeatElement(0, count: Int(input.byte())))
  file.withUnsafeBytes { read($0, intact: intact) }
}

private func read(_ file: UnsafeRawBufferPointer, intact: (bytes: Int, sequence: UInt64)?) {
  var reader: SegmentReader
  do throws(HeaderProblem) {
    reader = try SegmentReader(file)
  } catch {
    return check(intact == nil, "an intact header is read: \(error)")
  }
  let engine = Engine(PlayedEngine.configuration, now: PlayedEngine.beginning)
  var isReplayed = true
  while let batch = reader.next() {
    check(batch.header.sequence + 1 == reader.expectedSequence, "batches come in order")
    check(batch.body.count == batch.header.bodyLength, "a body is as long as its header says")
    if batch.header.kind == .events, isReplayed { isReplayed = engine.replay(batch.body) }
  }
  check(reader.offset <= file.count, "the content ends within the file")
  let end = reader.end(next: nil, durable: 0)
  let before = reader.end(
    next: SegmentHeader(logID: 0xABCD, partition: 0, segment: 3, firstSequence: reader.expectedSequence), durable: 0)
  if case .torn = before { check(false, "before another segment nothing is torn") }
  if let intact {
    check(reader.offset == intact.bytes && reader.expectedSequence == intact.sequence, "intact batches are read")
    check(end == .end(offset: intact.bytes), "an intact segment ends: \(end)")
  }
}

/// The input is parts, each behind its length (2 bytes): what is in no table, then chunks.
func fuzzSnapshot(_ bytes: UnsafeRawBufferPointer) {
  var input = Input(bytes)
  let engine = Engine(PlayedEngine.configuration, now: PlayedEngine.beginning)
  guard engine.restoreHeader(input.bytes(Int(input.number()))) else { return }
  while !input.isAtEnd {
    guard engine.restoreChunk(input.bytes(Int(input.number()))) else { return }
  }
  if engine.isRestored { goOn(engine, from: PlayedEngine.beginning) }
}

/// The input is the file's bytes behind its header, with the checksums of chunks made right if the first byte says so.
func fuzzSnapshotFile(_ bytes: UnsafeRawBufferPointer) {
  var input = Input(bytes)
  let header = SnapshotHeader(
    logID: 0xABCD, partition: 0, sequence: 7, time: LogTime(bootMicroseconds: 1, wallMicroseconds: 2))
  var file = [UInt8](repeating: 0, count: SnapshotHeader.size)
  file.withUnsafeMutableBytes { header.encode(into: $0) }
  var chunks: UInt32 = 0
  if input.byte() % 2 == 0 {
    var buffer = BatchBuffer(bodyCapacity: 64)
    while !input.isAtEnd {
      let kind = UInt32(input.byte() % 8)
      let isFooter = kind == 7
      buffer.removeAll()
      if isFooter {
        buffer.append(UInt64(chunks) + UInt64(input.byte() / 128))
        buffer.append(UInt64(file.count) + UInt64(input.byte() / 128))
      } else {
        buffer.append(input.bytes(Int(input.byte())))
      }
      let index = chunks + UInt32(input.byte() / 250)
      file.append(
        contentsOf: buffer.sealChunk(kind: isFooter ? ChunkHeader.footerKind : kind, index: index, seed: header.seed))
      chunks += 1
    }
  } else {
    file.append(contentsOf: input.rest)
  }
  file.withUnsafeBytes { file in
    do throws(HeaderProblem) {
      let found = try SnapshotHeader.decode(file)
      check(found == header, "the header is as it was written")
    } catch { return check(false, "an intact header is read: \(error)") }
    var reader = SnapshotReader(header: header, fileSize: file.count)
    do throws(SnapshotProblem) {
      while !reader.isComplete {
        let offset = reader.offset
        let announced = try reader.header(UnsafeRawBufferPointer(rebasing: file[offset...].prefix(ChunkHeader.size)))
        let end = offset + ChunkHeader.size + announced.bodyLength
        check(end <= file.count, "a chunk ends within the file")
        _ = try reader.accept(UnsafeRawBufferPointer(rebasing: file[offset..<end]))
        check(reader.offset == end, "a chunk moves on by its length")
      }
      check(reader.offset == file.count, "a snapshot is the whole file")
    } catch { _ = error.description }
  }
}
