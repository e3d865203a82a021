import NuvomModel

/// The tables of a snapshot, in the order in which they are written and read.
enum SnapshotTable: UInt8, CaseIterable {
  case queues = 1
  case readyLists = 2
  case jobs = 3
  case keys = 4
  case clients = 5
  case answers = 6
  case schedules = 7
}

/// A part of a snapshot, frozen: copies of pages, and a view of the arena's blocks as they were. It can be encoded on any thread.
public struct SnapshotChunk: Sendable {
  let table: SnapshotTable
  let pages: [PageCopy]
  let arena: ArenaView

  /// Encodes the chunk in pieces of bounded size.
  public func encoder() -> SnapshotEncoder { SnapshotEncoder(self) }
}

/// Turns a chunk into bytes, piece by piece: first its records, then the bytes that hang on them.
///
///     records:      table u8 · pages × [index u32 · count u32 · kind u8 ·
///                     kind 0, pages without a record:  the generation to start from u32
///                     kind 1, one page of 64 slots:    free bitmap u64 · 64 × generation u32 · live slots × record]
///     attachments:  table u8 + 128 · [slot u32 · which u8 · length u32 · bytes] …
///
/// `@unchecked Sendable`: it is made by the engine's thread and then used by one other.
public final class SnapshotEncoder: @unchecked Sendable {
  private let chunk: SnapshotChunk?
  /// A piece that was made already.
  private var prepared: [UInt8]?
  private var hasRecords = false
  /// Where the attachments go on: the page, and its slots that are still to come.
  private var page = 0
  private var slots: UInt64

  /// Attachments are cut into pieces of about this size; one of them is never cut.
  private static let pieceBytes = 4 << 20
  static let attachmentBit: UInt8 = 0x80

  /// Gives bytes that are encoded already, as one piece.
  public init(_ bytes: [UInt8]) {
    chunk = nil
    prepared = bytes
    slots = 0
  }

  init(_ chunk: SnapshotChunk) {
    self.chunk = chunk
    slots = chunk.pages.first.map { ~$0.freeBitmap } ?? 0
  }

  /// The next piece; nil at the end.
  public func next() -> [UInt8]? {
    guard let chunk else {
      defer { prepared = nil }
      return prepared
    }
    if !hasRecords {
      hasRecords = true
      return records(chunk)
    }
    switch chunk.table {
    case .queues, .readyLists: return nil
    case .jobs, .keys, .clients, .answers, .schedules: return attachments(chunk)
    }
  }

  private func records(_ chunk: SnapshotChunk) -> [UInt8] {
    let writer = EventWriter(capacity: 1 << 20)
    writer.byte(chunk.table.rawValue)
    for page in chunk.pages {
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
      let stride = page.elements.count / 64
      var live = ~page.freeBitmap
      while live != 0 {
        let place = live.trailingZeroBitCount
        live &= live - 1
        writer.raw(BorrowedBytes(rebasing: page.elements[place * stride..<(place + 1) * stride]))
      }
    }
    return Array(writer.bytes)
  }

  private func attachments(_ chunk: SnapshotChunk) -> [UInt8]? {
    let writer = EventWriter(capacity: Self.pieceBytes + (64 << 10))
    writer.byte(chunk.table.rawValue | Self.attachmentBit)
    while page < chunk.pages.count, writer.count < Self.pieceBytes {
      guard slots != 0 else {
        page += 1
        if page < chunk.pages.count { slots = ~chunk.pages[page].freeBitmap }
        continue
      }
      let place = slots.trailingZeroBitCount
      slots &= slots - 1
      attach(place, of: chunk.pages[page], chunk, to: writer)
    }
    return writer.count > 1 ? Array(writer.bytes) : nil
  }

  private func attach(_ place: Int, of page: PageCopy, _ chunk: SnapshotChunk, to writer: EventWriter) {
    func element<Element: BitwiseCopyable>(_: Element.Type) -> Element {
      page.elements.load(fromByteOffset: place * MemoryLayout<Element>.stride, as: Element.self)
    }
    func attach(_ which: UInt8, _ reference: ArenaReference) {
      if reference.isNone { return }
      let bytes = chunk.arena.bytes(reference)
      writer.fixed(page.index << 6 | UInt32(place))
      writer.byte(which)
      writer.fixed(UInt32(bytes.count))
      writer.raw(bytes)
    }
    switch chunk.table {
    case .queues, .readyLists: break
    case .jobs:
      let job = element(JobRecord.self)
      attach(RecordKind.body, job.body)
      attach(RecordKind.history, job.history)
    case .keys: attach(RecordKind.key, element(KeyRecord.self).key)
    case .clients: attach(RecordKind.clientName, element(ClientRecord.self).name)
    case .schedules: attach(RecordKind.schedule, element(ScheduleRecord.self).body)
    case .answers:
      let answer = element(AnswerRecord.self)
      if answer.kind == AnswerRecord.Kind.encoded.rawValue {
        attach(RecordKind.answer, ArenaReference(rawValue: answer.value))
      }
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
