import MessagePack
import NuvomModel
import NuvomWire

/// One row of a table: what is sent, and in words what becomes of it.
struct Row: Sendable, CustomStringConvertible {
  let sent: MessageValue
  let result: String

  init(_ sent: MessageValue, _ result: String) {
    self.sent = sent
    self.result = result
  }

  var description: String {
    let sent = sent.description
    return "\(sent.count <= 120 ? sent : "\(sent.prefix(120))…") → \(result)"
  }
}

/// What becomes of a frame, in words: `ok`, `BAD_PARAMS jobs[0].task`, `CODE in operation 1`, `fatal CODE of request 17`.
func verdict(on frame: [UInt8]) -> String {
  var decoder = RequestDecoder()
  var request = Request()
  return frame.withUnsafeBytes { bytes in words(for: decoder.decode(bytes, into: &request)) }
}

/// The same for a message.
func verdict(on message: MessageValue) throws -> String { verdict(on: try message.encoded()) }

/// The same for the parameters of a method, in request 17.
func verdict(on method: String, _ parameters: MessageValue) throws -> String {
  try verdict(on: [0, 17, .string(method), parameters])
}

/// Decodes request 17, which must be good, and hands it to `body`.
func withRequest<Result>(
  _ method: String, _ parameters: MessageValue, _ body: (borrowing Request) throws -> Result
) throws -> Result {
  let message: MessageValue = [0, 17, .string(method), parameters]
  let frame = try message.encoded()
  var decoder = RequestDecoder()
  var request = Request()
  return try frame.withUnsafeBytes { bytes in
    let words = words(for: decoder.decode(bytes, into: &request))
    guard words == "ok" else { throw UnexpectedVerdict(words: words) }
    return try body(request)
  }
}

/// A request that should have been good was not.
struct UnexpectedVerdict: Error {
  let words: String
}

private func words(for result: DecodeResult) -> String {
  switch result {
  case .request: "ok"
  case .refused(let refusal):
    "\(refusal.code.wireName)" + (refusal.parameter.map { " \($0)" } ?? "")
      + (refusal.operation.map { " in operation \($0)" } ?? "")
  case .fatal(let refusal):
    "fatal \(refusal.code.wireName)" + (refusal.id.map { " of request \($0.rawValue)" } ?? "")
  }
}

extension UnsafeRawBufferPointer {
  /// The bytes as text.
  var text: String { String(decoding: self, as: UTF8.self) }
}

extension MessageValue {
  /// A string of `count` bytes.
  static func string(bytes count: Int) -> MessageValue { .string(String(repeating: "x", count: count)) }

  /// Binary data of `count` zeros.
  static func binary(bytes count: Int) -> MessageValue { .binary([UInt8](repeating: 0, count: count)) }

  /// An array of `count` times this.
  func repeated(_ count: Int) -> MessageValue { .array(Array(repeating: self, count: count)) }
}
