import Foundation
import MessagePack

/// JSON as text, to and from values of MessagePack. Unlike Foundation's, it keeps the order of maps and tells 1 from 1.0.
package enum JSONText {
  // MARK: Writing

  /// One line, or one for each element. What JSON cannot say: binary data becomes text in base64, an extension `{"type", "data"}`, NaN and
  /// the infinities null, and a key that is no string the JSON of the key, as a string.
  package static func write(_ value: MessageValue, indented: Bool = false) -> String {
    var text = ""
    append(value, to: &text, depth: indented ? 0 : nil)
    return text
  }

  /// Depth nil: all in one line.
  private static func append(_ value: MessageValue, to text: inout String, depth: Int?) {
    switch value {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .int(let value): text += String(value)
    case .uint(let value): text += String(value)
    case .double(let value): text += value.isFinite ? "\(value)" : "null"
    case .string(let value): append(quoting: value, to: &text)
    case .binary(let bytes): append(quoting: Data(bytes).base64EncodedString(), to: &text)
    case .extension(let type, let bytes):
      append(["type": .int(Int64(type)), "data": .binary(bytes)], to: &text, depth: depth)
    case .array(let elements):
      append(elements, between: ("[", "]"), to: &text, depth: depth) { element, text, depth in
        append(element, to: &text, depth: depth)
      }
    case .map(let pairs):
      append(pairs, between: ("{", "}"), to: &text, depth: depth) { pair, text, depth in
        if case .string(let key) = pair.0 {
          append(quoting: key, to: &text)
        } else {
          append(quoting: write(pair.0), to: &text)
        }
        text += depth == nil ? ":" : ": "
        append(pair.1, to: &text, depth: depth)
      }
    }
  }

  private static func append<Element>(
    _ elements: [Element], between marks: (String, String), to text: inout String, depth: Int?,
    each: (Element, inout String, Int?) -> Void
  ) {
    text += marks.0
    let inner = depth.map { $0 + 1 }
    for (index, element) in elements.enumerated() {
      if index > 0 { text += "," }
      if let inner { text += "\n" + String(repeating: "  ", count: inner) }
      each(element, &text, inner)
    }
    if let depth, !elements.isEmpty { text += "\n" + String(repeating: "  ", count: depth) }
    text += marks.1
  }

  private static func append(quoting string: String, to text: inout String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{0}"..."\u{1f}", "\u{7f}"..."\u{9f}": text += String(format: "\\u%04x", scalar.value)
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }

  // MARK: Reading

  /// Reads a text that must be one JSON value, nested as deep as MessagePack may be.
  package static func read(_ text: String) throws -> MessageValue {
    var reader = Reader(bytes: Array(text.utf8))
    let value = try reader.value(depth: 0)
    reader.skipSpace()
    guard reader.position == reader.bytes.count else { throw reader.failure("something follows the value") }
    return value
  }

  private struct Reader {
    let bytes: [UInt8]
    var position = 0

    func failure(_ reason: String) -> Unreadable {
      Unreadable(description: "this is not JSON: \(reason) at byte \(position)")
    }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpace() {
      while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
    }

    private mutating func take(_ character: Character) -> Bool {
      guard next == character.asciiValue else { return false }
      position += 1
      return true
    }

    mutating func value(depth: Int) throws -> MessageValue {
      guard depth <= MessageReader.maximumDepth else { throw failure("nested too deep") }
      skipSpace()
      switch next {
      case UInt8(ascii: "{"): return try map(depth)
      case UInt8(ascii: "["): return try array(depth)
      case UInt8(ascii: "\""): return .string(try string())
      case UInt8(ascii: "t"): return try word("true", .bool(true))
      case UInt8(ascii: "f"): return try word("false", .bool(false))
      case UInt8(ascii: "n"): return try word("null", .null)
      case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return try number()
      default: throw failure("a value is missing")
      }
    }

    private mutating func word(_ word: String, _ value: MessageValue) throws -> MessageValue {
      guard bytes[position...].starts(with: word.utf8) else { throw failure("an unknown word") }
      position += word.utf8.count
      return value
    }

    private mutating func map(_ depth: Int) throws -> MessageValue {
      var pairs: [(MessageValue, MessageValue)] = []
      position += 1
      skipSpace()
      if take("}") { return .map(pairs) }
      repeat {
        skipSpace()
        guard next == UInt8(ascii: "\"") else { throw failure("a key in quotes is missing") }
        let key = try string()
        skipSpace()
        guard take(":") else { throw failure("a colon is missing") }
        pairs.append((.string(key), try value(depth: depth + 1)))
        skipSpace()
      } while take(",")
      guard take("}") else { throw failure("a comma or } is missing") }
      return .map(pairs)
    }

    private mutating func array(_ depth: Int) throws -> MessageValue {
      var elements: [MessageValue] = []
      position += 1
      skipSpace()
      if take("]") { return .array(elements) }
      repeat {
        elements.append(try value(depth: depth + 1))
        skipSpace()
      } while take(",")
      guard take("]") else { throw failure("a comma or ] is missing") }
      return .array(elements)
    }

    /// Finds the end of the number; what is whole and fits stays an integer.
    private mutating func number() throws -> MessageValue {
      let start = position
      _ = take("-")
      let whole = digits()
      guard whole == 1 || (whole > 1 && bytes[position - whole] != UInt8(ascii: "0")) else {
        throw failure("a bad number")
      }
      var isWhole = true
      if take(".") {
        isWhole = false
        guard digits() > 0 else { throw failure("a bad number") }
      }
      if take("e") || take("E") {
        isWhole = false
        if !take("-") { _ = take("+") }
        guard digits() > 0 else { throw failure("a bad number") }
      }
      let text = String(decoding: bytes[start..<position], as: UTF8.self)
      if isWhole, let value = UInt64(text) { return .uint(value) }
      if isWhole, let value = Int64(text) { return .int(value) }
      guard let value = Double(text), value.isFinite else { throw failure("a number too large") }
      return .double(value)
    }

    private mutating func digits() -> Int {
      let start = position
      while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
      return position - start
    }

    /// Finds the closing quote; Foundation knows what the escapes in between mean.
    private mutating func string() throws -> String {
      let start = position
      position += 1
      while let byte = next, byte != UInt8(ascii: "\"") { position += byte == UInt8(ascii: "\\") ? 2 : 1 }
      guard take("\"") else { throw failure("a quote is missing") }
      guard let text = try? JSONDecoder().decode(String.self, from: Data(bytes[start..<position])) else {
        position = start
        throw failure("a bad string")
      }
      return text
    }
  }
}
