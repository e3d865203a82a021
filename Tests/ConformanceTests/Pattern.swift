import BrokerProcess
import MessagePack

/// A message as Protocol.md writes it: a value with names and gaps.
indirect enum Pattern: Sendable, CustomStringConvertible {
  case value(MessageValue)
  case name(String)
  case anything
  case array([Pattern])
  case map([(key: String, value: Pattern)], open: Bool)

  init(reading text: String) throws {
    var reader = PatternReader(text: Array(text))
    self = try reader.pattern()
    guard reader.isAtEnd else { throw BrokerFailure("more than one value in: \(text)") }
  }

  /// The message to send: every name must have a value by now.
  func value(with names: [String: MessageValue]) throws -> MessageValue {
    switch self {
    case .value(let value): return value
    case .name(let name):
      guard let value = names[name] else { throw BrokerFailure("<\(name)> is sent before it was received") }
      return value
    case .anything: throw BrokerFailure("… cannot be sent")
    case .array(let elements): return .array(try elements.map { element in try element.value(with: names) })
    case .map(let pairs, let open):
      if open { throw BrokerFailure("… cannot be sent") }
      return .map(try pairs.map { pair in (.string(pair.key), try pair.value.value(with: names)) })
    }
  }

  /// Whether the message is one of those meant. New names get their values.
  func matches(_ message: MessageValue, names: inout [String: MessageValue]) -> Bool {
    switch self {
    case .value(let value): return value == message
    case .anything: return true
    case .name(let name):
      if let known = names[name] { return known == message }
      names[name] = message
      return true
    case .array(let patterns):
      guard case .array(let elements) = message, elements.count == patterns.count else { return false }
      for (pattern, element) in zip(patterns, elements) where !pattern.matches(element, names: &names) { return false }
      return true
    case .map(let pairs, let open):
      guard case .map(let found) = message, open || found.count == pairs.count else { return false }
      for (key, pattern) in pairs {
        guard let value = message[key], pattern.matches(value, names: &names) else { return false }
      }
      return true
    }
  }

  var description: String {
    switch self {
    case .value(let value): "\(value)"
    case .name(let name): "<\(name)>"
    case .anything: "…"
    case .array(let elements): "[\(elements.map(\.description).joined(separator: ", "))]"
    case .map(let pairs, let open):
      "{\((pairs.map { "\"\($0.key)\": \($0.value)" } + (open ? ["…"] : [])).joined(separator: ", "))}"
    }
  }
}

/// Reads the notation of the transcripts.
private struct PatternReader {
  let text: [Character]
  var index = 0

  var isAtEnd: Bool { text[index...].allSatisfy(\.isWhitespace) }

  mutating func pattern() throws -> Pattern {
    switch try next() {
    case "…": return .anything
    case "<": return .name(try upTo(">"))
    case "\"": return .value(.string(try upTo("\"")))
    case "b" where take("\""): return .value(.binary(Array(try upTo("\"").utf8)))
    case "[": return try array()
    case "{": return try map()
    default:
      index -= 1
      return try word()
    }
  }

  private mutating func array() throws -> Pattern {
    var elements: [Pattern] = []
    if take("]") { return .array([]) }
    repeat { elements.append(try pattern()) } while take(",")
    try expect("]")
    return .array(elements)
  }

  private mutating func map() throws -> Pattern {
    var pairs: [(key: String, value: Pattern)] = []
    if take("}") { return .map([], open: false) }
    repeat {
      if take("…") {
        try expect("}")
        return .map(pairs, open: true)
      }
      try expect("\"")
      let key = try upTo("\"")
      try expect(":")
      pairs.append((key, try pattern()))
    } while take(",")
    try expect("}")
    return .map(pairs, open: false)
  }

  private mutating func word() throws -> Pattern {
    let start = index
    while index < text.count, !",]} ".contains(text[index]) { index += 1 }
    let word = String(text[start..<index])
    switch word {
    case "nil": return .value(.null)
    case "true": return .value(.bool(true))
    case "false": return .value(.bool(false))
    default:
      if let number = UInt64(word) { return .value(.uint(number)) }
      if let number = Int64(word) { return .value(.int(number)) }
      if let number = Double(word) { return .value(.double(number)) }
      throw BrokerFailure("'\(word)' is no value")
    }
  }

  private mutating func next() throws -> Character {
    while index < text.count, text[index].isWhitespace { index += 1 }
    guard index < text.count else { throw BrokerFailure("the message ends too early: \(String(text))") }
    index += 1
    return text[index - 1]
  }

  private mutating func take(_ wanted: Character) -> Bool {
    let before = index
    if let found = try? next(), found == wanted { return true }
    index = before
    return false
  }

  private mutating func expect(_ wanted: Character) throws {
    guard take(wanted) else { throw BrokerFailure("'\(wanted)' is missing at character \(index) of: \(String(text))") }
  }

  private mutating func upTo(_ end: Character) throws -> String {
    let start = index
    while index < text.count, text[index] != end { index += 1 }
    guard index < text.count else { throw BrokerFailure("'\(end)' is missing in: \(String(text))") }
    defer { index += 1 }
    return String(text[start..<index])
  }
}
