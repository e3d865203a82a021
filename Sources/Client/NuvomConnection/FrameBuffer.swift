import NuvomModel

/// Cuts the bytes of a connection into frames. Bytes of whole frames are handed on where they lie; only a frame that came in
/// parts is put together.
struct FrameBuffer: Sendable {
  private var rest: [UInt8] = []
  /// So many bytes must be there before `rest` is worth a look.
  private var needed = 4

  /// Why framing is lost.
  enum Violation: Error, Equatable {
    case emptyFrame
    case frameTooLarge(Int)
  }

  /// Takes bytes as they came and calls `body` for each frame that is complete, in order, until it returns false.
  ///
  /// - Throws: ``Violation``; afterwards the connection is of no use.
  mutating func append(_ bytes: BorrowedBytes, _ body: (BorrowedBytes) -> Bool) throws(Violation) {
    if rest.isEmpty {
      let used = try take(from: bytes, body)
      rest.append(contentsOf: bytes[used...])
      return
    }
    rest.append(contentsOf: bytes)
    guard rest.count >= needed else { return }
    let whole = rest
    rest = []
    let used = try whole.withUnsafeBufferPointer { bytes throws(Violation) in
      try take(from: BorrowedBytes(bytes), body)
    }
    rest.append(contentsOf: whole[used...])
  }

  /// Forgets a frame that will not be completed.
  mutating func removeAll() {
    rest = []
    needed = 4
  }

  private mutating func take(from bytes: BorrowedBytes, _ body: (BorrowedBytes) -> Bool) throws(Violation) -> Int {
    var offset = 0
    while true {
      needed = 4
      guard bytes.count - offset >= 4 else { return offset }
      let length = Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
      guard length > 0 else { throw .emptyFrame }
      guard length <= ProtocolLimits.frameBytes else { throw .frameTooLarge(length) }
      needed = 4 + length
      guard bytes.count - offset >= needed else { return offset }
      let start = offset + 4
      offset = start + length
      guard body(BorrowedBytes(rebasing: bytes[start..<offset])) else { return offset }
    }
  }
}
