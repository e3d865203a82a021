/// Bytes that are not one MessagePack message, or a value that cannot be one.
public struct MessagePackError: Error, Equatable, CustomStringConvertible {
  /// What is wrong, for programs.
  public enum Code: Sendable, Equatable {
    /// The bytes are not exactly one message that a reader takes; the status is never `.ok`.
    case malformed(DecodeStatus)
    /// A string whose bytes are not UTF-8.
    case invalidUTF8
    /// A value to be written nests deeper than ``MessageReader/maximumDepth``.
    case tooDeep
  }

  /// What is wrong, for programs.
  public let code: Code
  /// Where in the bytes. Nil when a value could not be written.
  public let offset: Int?

  /// An error of this kind, at this offset if it is about bytes.
  public init(code: Code, offset: Int?) {
    self.code = code
    self.offset = offset
  }

  /// What is wrong and what to do about it, for people.
  public var description: String {
    let place = offset.map { offset in " at byte \(offset)" } ?? ""
    return "\(reason)\(place); \(remedy)"
  }

  var reason: String {
    switch code {
    case .malformed(.ok): "no error"
    case .malformed(.truncated): "the message is cut off"
    case .malformed(.invalidByte): "a byte that MessagePack does not use (0xc1)"
    case .malformed(.tooDeep), .tooDeep: "containers nest deeper than \(MessageReader.maximumDepth)"
    case .malformed(.tooManyValues): "too many values in one message"
    case .malformed(.countExceedsBytes): "an array or map claims more elements than there are bytes"
    case .malformed(.trailingBytes): "bytes after the end of the message"
    case .malformed(.tooLarge): "a message of 4 GiB or more"
    case .invalidUTF8: "a string that is not valid UTF-8"
    }
  }

  var remedy: String {
    switch code {
    case .malformed(.truncated), .malformed(.countExceedsBytes): "pass all bytes of the message"
    case .malformed(.trailingBytes): "pass the bytes of one message only"
    case .malformed(.tooDeep), .tooDeep: "flatten the value"
    case .malformed(.tooManyValues), .malformed(.tooLarge): "split the message"
    case .malformed(.invalidByte), .malformed(.ok): "check that the bytes are MessagePack"
    case .invalidUTF8: "send such bytes as binary data"
    }
  }
}
