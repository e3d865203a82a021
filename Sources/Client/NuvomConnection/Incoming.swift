import MessagePack
import NuvomModel

/// What a frame of the broker says, before anybody looks into its result.
enum Incoming: Equatable {
  /// The result of a request, encoded.
  case result(RequestID, [UInt8])
  /// A request was refused.
  case refusal(RequestID, Failure)
  /// The broker is about to close the connection.
  case goodbye(Failure)
  /// A notification of a later version: ignored.
  case unknownNotification
  /// Nothing that a broker may send. The text says what is wrong.
  case malformed(String)

  /// Reads a frame's bytes without its length.
  init(_ frame: BorrowedBytes, with reader: inout MessageReader) {
    let status = reader.parse(frame)
    guard status == .ok else {
      self = .malformed("a frame is not one MessagePack value (\(status))")
      return
    }
    var cursor = reader.cursor
    let elements = cursor.readArrayHeader()
    switch (elements, cursor.readUInt()) {
    case (4, 1):
      self = Incoming(responseAt: &cursor)
    case (3, 2):
      guard let name = cursor.readKey() else {
        self = .malformed("a notification without a name")
        return
      }
      self = name == "goodbye" ? Incoming(goodbyeAt: &cursor) : .unknownNotification
    default:
      self = .malformed("a message that is neither a response nor a notification")
    }
  }

  private init(responseAt cursor: inout MessageCursor) {
    guard let number = cursor.readUInt() else {
      self = .malformed("a response without a request's number")
      return
    }
    let id = RequestID(rawValue: number)
    if cursor.readNull() {
      self = .result(id, [UInt8](cursor.rawBytes))
    } else if let failure = Failure(at: &cursor) {
      self = .refusal(id, failure)
    } else {
      self = .malformed("a response with an error that is no error")
    }
  }

  private init(goodbyeAt cursor: inout MessageCursor) {
    guard let failure = Failure(at: &cursor) else {
      self = .malformed("a goodbye without a reason")
      return
    }
    self = .goodbye(failure)
  }
}

extension Failure {
  /// Reads an error's map. Nil if there is none, or if it has no code.
  fileprivate init?(at cursor: inout MessageCursor) {
    guard let count = cursor.readMapHeader() else { return nil }
    self.init(code: "", message: "")
    for _ in 0..<count {
      guard let key = cursor.readKey() else { return nil }
      switch key {
      case "code": code = cursor.readText() ?? ""
      case "message": message = cursor.readText() ?? ""
      case "field": field = cursor.readText()
      case "operation": operation = cursor.readUInt().flatMap { Int(exactly: $0) } ?? cursor.skipped()
      case "retry_after_ms": retryAfterMilliseconds = cursor.readUInt() ?? cursor.skipped()
      default: cursor.skip()
      }
    }
    if code.isEmpty { return nil }
  }
}

extension MessageCursor {
  fileprivate mutating func readText() -> String? { readString() ?? skipped() }

  /// Passes over a value that is not what was hoped for.
  fileprivate mutating func skipped<Value>() -> Value? {
    skip()
    return nil
  }
}
