import NuvomModel

/// The tables of a snapshot, in the order in which they are written and read.
enum SnapshotTable: UInt8, CaseIterable {
  case queues = 1
  case readyLists = 2
  case jobs = 3
  case keys = 4
  case clients = 5
  case answers = 6
}

/// A part of a snapshot, frozen: copies of pages, and a view of the arena's blocks as they were. It can be encoded on any thread.
public struct SnapshotChunk: Sendable {
  let table: SnapshotTable
  let pages: [PageCopy]
  let arena: ArenaView

  /// The chunk's bytes (FORMAT.md, "Snapshots").
  ///
  ///     table u8 · pages × [index u32 · count u32 · kind u8 ·
  ///       kind 0, pages without a job:  the generation to start from u32
  ///       kind 1, one page of 64 slots: free bitmap u64 · 64 × generation u32 · live slots × [record · attachments × [length u32 · bytes]]]
  public func encoded() -> [UInt8] {
    let writer = EventWriter(capacity: 1 << 20)
    writer.byte(table.rawValue)
    for page in pages {
      writer.fixed(page.index)
      writer.fixed(page.pageCount)
      if let floor = page.floor {
        writer.byte(0)
        writer.fixed(floor)
        continue
      }
      writer.byte(1)
      writer.fixed(page.freeBitmap)
      for generation in page.generations { writer.fixed(generation) }
      var live = ~page.freeBitmap
      while live != 0 {
        let place = live.trailingZeroBitCount
        live &= live - 1
        write(place, of: page, to: writer)
      }
    }
    return Array(writer.bytes)
  }

  private func write(_ place: Int, of page: PageCopy, to writer: EventWriter) {
    func element<Element: BitwiseCopyable>(_: Element.Type) -> Element {
      let stride = MemoryLayout<Element>.stride
      writer.raw(BorrowedBytes(rebasing: page.elements[place * stride..<(place + 1) * stride]))
      return page.elements.load(fromByteOffset: place * stride, as: Element.self)
    }
    func attach(_ reference: ArenaReference) {
      let bytes = reference.isNone ? .none : arena.bytes(reference)
      writer.fixed(UInt32(bytes.count))
      writer.raw(bytes)
    }
    switch table {
    case .queues: _ = element(QueueRecord.self)
    case .readyLists: _ = element(ReadyList.self)
    case .jobs:
      let job = element(JobRecord.self)
      attach(job.body)
      attach(job.history)
    case .keys: attach(element(KeyRecord.self).key)
    case .clients: attach(element(ClientRecord.self).name)
    case .answers:
      let answer = element(AnswerRecord.self)
      let isEncoded = answer.kind == AnswerRecord.Kind.encoded.rawValue
      attach(isEncoded ? ArenaReference(rawValue: answer.value) : .none)
    }
  }
}

extension EventWriter {
  /// Little-endian, at its full width.
  func fixed<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
    withUnsafeBytes(of: value.littleEndian) { raw($0) }
  }
}

extension EventReader {
  mutating func fixed<Value: FixedWidthInteger & BitwiseCopyable>(_: Value.Type) -> Value {
    let bytes = take(MemoryLayout<Value>.size)
    return bytes.count == MemoryLayout<Value>.size ? Value(littleEndian: bytes.loadUnaligned(as: Value.self)) : 0
  }

  /// A plain record as it lies in memory.
  mutating func record<Record: BitwiseCopyable>(_: Record.Type) -> Record? {
    let bytes = take(MemoryLayout<Record>.stride)
    return bytes.count == MemoryLayout<Record>.stride ? bytes.loadUnaligned(as: Record.self) : nil
  }
}
