import MessagePack
import NuvomCommandLine
import Yams

/// Where in a file something is wrong, and what.
struct FileProblem: Error, Equatable {
  /// From 1; nil if it is about no line.
  var line: Int?
  /// What is wrong, and what would be right.
  let message: String
}

/// YAML as text.
///
/// Plain words are read as YAML 1.2 reads them, which is JSON's way: `no`, `on` and `12:30` are texts, which YAML 1.1 takes for a bool and a number.
enum YAMLText {
  /// Reads a file's only document; nil if it has none.
  static func read(_ text: String) throws(FileProblem) -> Node? {
    do {
      // Without rules nobody decides what a word is before it is known what is wanted.
      return try Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot()
    } catch let error as YamlError {
      throw FileProblem(error, in: text)
    } catch {
      throw FileProblem(message: "\(error)")
    }
  }

  /// What a node means: maps with texts as keys, arrays, and words by the rules of YAML 1.2's core schema.
  static func value(_ node: Node) throws(FileProblem) -> MessageValue {
    switch node {
    case .scalar(let scalar): return try value(scalar)
    case .sequence(let sequence):
      var values: [MessageValue] = []
      for element in sequence { values.append(try value(element)) }
      return .array(values)
    case .mapping(let mapping):
      var pairs: [(MessageValue, MessageValue)] = []
      for (key, element) in mapping { pairs.append((try value(key), try value(element))) }
      return .map(pairs)
    case .alias(let alias):
      throw FileProblem(line: alias.mark?.line, message: "an alias stands where a value is wanted")
    }
  }

  private static func value(_ scalar: Node.Scalar) throws(FileProblem) -> MessageValue {
    let text = scalar.string
    switch scalar.tag.rawValue {
    case "", "!": break
    case Tag.Name.str.rawValue: return .string(text)
    default:
      throw FileProblem(line: scalar.mark?.line, message: "the tag of `\(text)` is not known here; leave it out")
    }
    if scalar.style != .plain { return .string(text) }
    switch text {
    case "", "~", "null", "Null", "NULL": return .null
    case "true", "True", "TRUE": return .bool(true)
    case "false", "False", "FALSE": return .bool(false)
    default: break
    }
    if let number = whole(text) { return number }
    if text.wholeMatch(of: /[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?/) != nil, let number = Double(text) {
      return .double(number)
    }
    return .string(text)
  }

  private static func whole(_ text: String) -> MessageValue? {
    if text.hasPrefix("0x"), let number = UInt64(text.dropFirst(2), radix: 16) { return .uint(number) }
    if text.hasPrefix("0o"), let number = UInt64(text.dropFirst(2), radix: 8) { return .uint(number) }
    if let number = UInt64(text) { return .uint(number) }
    return Int64(text).map { .int($0) }
  }
}

extension FileProblem {
  init(_ error: YamlError, in text: String) {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      let line = lines.indices.contains(mark.line - 1) ? lines[mark.line - 1] : ""
      // The two that everybody meets: a cron expression that begins with what means something in YAML.
      let hint = line.contains(/:\s*[*@]/) ? "; put a value that begins with * or @ into quotes" : ""
      self.init(line: mark.line, message: "this is no YAML: \(problem)\(hint)")
    case .duplicatedKeysInMapping(let keys, let context):
      // The mark is where the first of the keys stands first.
      let (key, first) = (keys.first ?? "", context.mark)
      let second = Self.line(ofSecond: key, first, in: text)
      let place = second == nil ? "" : ", first in line \(first.line)"
      self.init(line: second ?? first.line, message: "\(key) is there twice\(place); leave one")
    case .reader(let problem, _, _, _): self.init(message: "this is no YAML: \(problem)")
    default: self.init(message: "this is no YAML: \(error)")
    }
  }

  /// Where a block map has a key again; nil if it is not below the first on a line of its own.
  private static func line(ofSecond key: String, _ first: Mark, in text: String) -> Int? {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated().dropFirst(first.line) {
      let words = line.drop { $0 == " " }
      if words.isEmpty || words.hasPrefix("#") { continue }
      let indent = line.count - words.count
      if indent < first.column - 1 { return nil }
      guard indent == first.column - 1 else { continue }
      for written in [key, "\"\(key)\"", "'\(key)'"] where words.hasPrefix(written) {
        if words.dropFirst(written.count).drop(while: { $0 == " " }).hasPrefix(":") { return index + 1 }
      }
    }
    return nil
  }
}
