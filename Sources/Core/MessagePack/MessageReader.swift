public import CMessagePack

/// How reading a message ended.
@frozen
public enum DecodeStatus: UInt8, Sendable {
  /// The bytes are exactly one message.
  case ok = 0
  /// The bytes end before the message does.
  case truncated = 1
  /// A byte (0xc1) that begins no value.
  case invalidByte = 2
  /// Containers nest deeper than 32.
  case tooDeep = 3
  /// More values than the reader takes.
  case tooManyValues = 4
  /// An array or map claims more elements than there are bytes left. Nothing was allocated for it.
  case countExceedsBytes = 5
  /// The message ends before the bytes do.
  case trailingBytes = 6
  /// 4 GiB or more.
  case tooLarge = 7
}

/// What a value is.
@frozen
public enum MessageKind: UInt8, Sendable {
  /// nil.
  case null = 0
  /// true or false.
  case bool = 1
  /// A negative integer.
  case int = 2
  /// An integer that is not negative, whatever the sender's type for it.
  case uint = 3
  /// A floating-point number; one of 32 bits is widened.
  case double = 4
  /// Text. MessagePack does not promise that it is valid UTF-8.
  case string = 5
  /// Binary data.
  case binary = 6
  /// An extension: a type number and bytes.
  case `extension` = 7
  /// An array.
  case array = 8
  /// A map.
  case map = 9
  /// No value: the message is over.
  case end = 10
}

/// Reads messages from untrusted bytes. Its memory is kept from message to message.
///
/// A message becomes a list of tokens, 16 bytes each, in one pass of msgpack-c's parser; a ``MessageCursor`` walks
/// over them. Nothing is allocated but the tokens, of which there are never more than bytes.
public struct MessageReader: ~Copyable {
  @usableFromInline var tokens: nuvom_tokens
  @usableFromInline var bytes: UnsafeRawPointer

  /// Where the last parse stopped: the message's length when it was good, else the offset of what was wrong.
  public private(set) var offset = 0

  /// How deep containers may nest.
  public static let maximumDepth = 32

  /// A reader that refuses a message of more than `maximumValues` values (1 to 2^31; 16 bytes of memory each).
  public init(maximumValues: Int = 262_144) {
    precondition(maximumValues >= 1 && maximumValues <= 1 << 31, "maximumValues must be 1 to 2^31")
    tokens = nuvom_tokens_make(UInt32(maximumValues))
    bytes = UnsafeRawPointer(tokens.base)
  }

  deinit { nuvom_tokens_free(tokens) }

  /// Parses bytes that must be exactly one message. Never traps, whatever they are.
  ///
  /// The bytes must stay where they are until the last use of ``cursor`` and of what it returned.
  public mutating func parse(_ bytes: UnsafeRawBufferPointer) -> DecodeStatus {
    var consumed = 0
    let status = nuvom_tokens_parse(
      &tokens, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count, &consumed)
    offset = consumed
    // Without bytes there is no value to look at, only the end: any address does.
    self.bytes = bytes.baseAddress ?? UnsafeRawPointer(tokens.base)
    return DecodeStatus(rawValue: UInt8(truncatingIfNeeded: status)) ?? .invalidByte
  }

  /// A cursor on the message that was parsed last. After a failure, and before the first parse, it is at the end.
  ///
  /// It is good until the reader parses again or goes away.
  @inlinable public var cursor: MessageCursor { MessageCursor(token: tokens.base, bytes: bytes) }
}

/// The memory has one owner, the reader, which cannot be copied.
extension MessageReader: @unchecked Sendable {}
