import MessagePack

/// Messages between a worker and its child: a length of four bytes, then so many bytes of MessagePack.
enum ChildFrame {
  /// What the child says first, so that what was printed before it can be told from messages.
  static let mark = [UInt8]("\u{0}nuvom child\n".utf8)
  /// A result of 8 MiB with jobs to enqueue beside it, and more than a request to the broker may have.
  static let maximumLength = 32 << 20

  /// - Throws: `EncodingError`; ``TooLarge``.
  static func encode(_ message: some Encodable) throws -> [UInt8] {
    let body = try MessagePackEncoder().encode(message)
    guard body.count <= maximumLength else { throw TooLarge(bytes: body.count) }
    return withUnsafeBytes(of: UInt32(body.count).bigEndian) { Array($0) } + body
  }

  /// A message that nobody would take.
  struct TooLarge: Error, CustomStringConvertible {
    let bytes: Int
    var description: String {
      "a message between a worker and its process has \(bytes) bytes, \(maximumLength) are allowed"
    }
  }
}

/// Finds messages in what comes through a pipe.
struct ChildFrameReader {
  private var bytes: [UInt8] = []
  private var start = 0

  mutating func append(_ new: UnsafeRawBufferPointer) {
    if start > 0 {
      bytes.removeFirst(start)
      start = 0
    }
    bytes.append(contentsOf: new)
  }

  /// The next message that is whole.
  /// - Throws: `DecodingError`; ``ChildFrame/TooLarge``.
  mutating func next<Message: Decodable>(_ type: Message.Type) throws -> Message? {
    guard bytes.count - start >= 4 else { return nil }
    let length = bytes[start..<start + 4].reduce(0) { length, byte in length << 8 | Int(byte) }
    guard length <= ChildFrame.maximumLength else { throw ChildFrame.TooLarge(bytes: length) }
    guard bytes.count - start >= 4 + length else { return nil }
    let body = Array(bytes[start + 4..<start + 4 + length])
    start += 4 + length
    return try MessagePackDecoder().decode(type, from: body)
  }

  /// Takes everything up to the child's mark away, or everything that cannot be its beginning.
  /// - Returns: what was taken, without the mark, and whether the mark was there.
  mutating func takeBeforeMark() -> (bytes: [UInt8], isMarkFound: Bool) {
    let mark = ChildFrame.mark
    let place = (start..<bytes.count).first { bytes[$0...].starts(with: mark) }
    let end = place ?? max(start, bytes.count - mark.count + 1)
    defer { start = end + (place == nil ? 0 : mark.count) }
    return (Array(bytes[start..<end]), place != nil)
  }
}
