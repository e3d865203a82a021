/// One line of a `.nuvomignore`: a pattern by git's rules for `.gitignore`, which also `--include` and `--exclude` take.
///
/// Matching works on bytes, as git's does, and takes time proportional to the pattern's length times the path's.
package struct IgnorePattern: Sendable {
  /// `!`: what matches is not ignored after all.
  let isNegated: Bool
  /// It ended with `/`.
  private let isForDirectories: Bool
  /// It has a `/` at its beginning or amid: it is about the path from the directory it was written in, else about the name alone.
  private let isAnchored: Bool
  /// Nil: it can match nothing, since it ends amid a class or an escape.
  private let elements: [Element]?

  private enum Element {
    case byte(UInt8)
    case oneOf(Set<UInt8>)
    /// `?`.
    case anyByte
    /// `*`.
    case anyName
    /// `**`: across directories.
    case anything
    /// What follows may be left out up to so many elements further.
    case optional(Int)
  }

  /// Nil for an empty line or a comment.
  package init?(line: some Sequence<UInt8>) {
    var pattern = Self.withoutTrailingSpaces(Array(line))[...]
    guard let first = pattern.first, first != UInt8(ascii: "#") else { return nil }
    isNegated = first == UInt8(ascii: "!")
    if isNegated { pattern = pattern.dropFirst() }
    isForDirectories = pattern.last == UInt8(ascii: "/")
    if isForDirectories { pattern = pattern.dropLast() }
    isAnchored = pattern.contains(UInt8(ascii: "/"))
    if isAnchored && pattern.first == UInt8(ascii: "/") { pattern = pattern.dropFirst() }
    elements = Self.elements(Array(pattern))
  }

  /// - Parameter path: from the directory that the pattern was written in, without a `/` at its ends.
  func matches(_ path: some BidirectionalCollection<UInt8>, isDirectory: Bool) -> Bool {
    guard let elements, isDirectory || !isForDirectories else { return false }
    if isAnchored { return Self.match(elements, path) }
    let name = path.lastIndex(of: UInt8(ascii: "/")).map { path[path.index(after: $0)...] } ?? path[...]
    return Self.match(elements, name)
  }

  /// Spaces at a line's end count only after a backslash.
  private static func withoutTrailingSpaces(_ line: [UInt8]) -> [UInt8] {
    var end = 0
    var isEscaped = false
    for (index, byte) in line.enumerated() {
      if isEscaped || byte != UInt8(ascii: " ") { end = index + 1 }
      isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
    }
    return Array(line[..<end])
  }

  // MARK: Reading

  private static func elements(_ pattern: [UInt8]) -> [Element]? {
    let slash = UInt8(ascii: "/")
    let star = UInt8(ascii: "*")
    var elements: [Element] = []
    // git compares what comes before the first special character by itself, so `**` is at the beginning also directly after it.
    var beginning: Int?
    var position = 0
    while position < pattern.count {
      let byte = pattern[position]
      if beginning == nil, "*?[\\".utf8.contains(byte) { beginning = position }
      switch byte {
      case UInt8(ascii: "\\"):
        guard position + 1 < pattern.count else { return nil }
        elements.append(.byte(pattern[position + 1]))
        position += 2
      case UInt8(ascii: "?"):
        elements.append(.anyByte)
        position += 1
      case UInt8(ascii: "["):
        guard let (bytes, end) = bytesOfClass(pattern, position + 1) else { return nil }
        elements.append(.oneOf(bytes))
        position = end
      case star:
        let start = position
        while position < pattern.count, pattern[position] == star { position += 1 }
        let rest = pattern[position...]
        let isWholeName =
          (start == beginning || pattern[start - 1] == slash)
          && (rest.isEmpty || rest.first == slash || rest.starts(with: "\\/".utf8))
        if position - start < 2 || !isWholeName {
          elements.append(.anyName)
        } else if rest.first == slash {
          elements += [.optional(2), .anything, .byte(slash)]
          position += 1
        } else {
          elements.append(.anything)
        }
      default:
        elements.append(.byte(byte))
        position += 1
      }
    }
    return elements
  }

  /// The bytes of `[…]`, which begins at a position, and the position after it. Nil if it does not end, or names an unknown class.
  private static func bytesOfClass(_ pattern: [UInt8], _ start: Int) -> (Set<UInt8>, end: Int)? {
    var position = start
    func at(_ offset: Int) -> UInt8? { position + offset < pattern.count ? pattern[position + offset] : nil }
    let isNegated = at(0) == UInt8(ascii: "!") || at(0) == UInt8(ascii: "^")
    if isNegated { position += 1 }
    var bytes: Set<UInt8> = []
    // What a range would begin with.
    var previous: UInt8?
    var isFirst = true
    while let byte = at(0) {
      if byte == UInt8(ascii: "]") && !isFirst {
        // Whatever it says, it does not cross directories.
        let matching = isNegated ? Set(UInt8.min...UInt8.max).subtracting(bytes) : bytes
        return (matching.subtracting([UInt8(ascii: "/")]), position + 1)
      }
      isFirst = false
      if byte == UInt8(ascii: "\\") {
        guard let escaped = at(1) else { return nil }
        bytes.insert(escaped)
        previous = escaped
        position += 2
      } else if byte == UInt8(ascii: "-"), let low = previous, let next = at(1), next != UInt8(ascii: "]") {
        position += 1
        if next == UInt8(ascii: "\\") { position += 1 }
        guard let high = at(0) else { return nil }
        if low <= high { bytes.formUnion(low...high) }
        previous = nil
        position += 1
      } else if byte == UInt8(ascii: "["), at(1) == UInt8(ascii: ":") {
        guard let close = pattern[(position + 2)...].firstIndex(of: UInt8(ascii: "]")) else { return nil }
        if close > position + 2, pattern[close - 1] == UInt8(ascii: ":") {
          let name = String(decoding: pattern[(position + 2)..<(close - 1)], as: UTF8.self)
          guard let named = namedClass(name) else { return nil }
          bytes.formUnion(named)
          previous = nil
          position = close + 1
        } else {
          bytes.insert(byte)
          previous = byte
          position += 1
        }
      } else {
        bytes.insert(byte)
        previous = byte
        position += 1
      }
    }
    return nil
  }

  private static func namedClass(_ name: String) -> [UInt8]? {
    let upper = Array(UInt8(ascii: "A")...UInt8(ascii: "Z"))
    let lower = Array(UInt8(ascii: "a")...UInt8(ascii: "z"))
    let digits = Array(UInt8(ascii: "0")...UInt8(ascii: "9"))
    let graphic = Array(UInt8(0x21)...0x7E)
    switch name {
    case "alnum": return upper + lower + digits
    case "alpha": return upper + lower
    case "blank": return [0x20, 0x09]
    case "cntrl": return Array(0...0x1F) + [0x7F]
    case "digit": return digits
    case "graph": return graphic
    case "lower": return lower
    case "print": return graphic + [0x20]
    case "punct": return graphic.filter { !(upper + lower + digits).contains($0) }
    case "space": return [0x20] + Array(0x09...0x0D)
    case "upper": return upper
    case "xdigit": return digits + Array("abcdefABCDEF".utf8)
    default: return nil
    }
  }

  // MARK: Matching

  /// Walks the path once, with all places of the pattern that it can be at.
  private static func match(_ elements: [Element], _ path: some Sequence<UInt8>) -> Bool {
    let slash = UInt8(ascii: "/")
    var places = [Bool](repeating: false, count: elements.count + 1)
    places[0] = true
    func passEmpty(_ places: inout [Bool]) {
      for (place, element) in elements.enumerated() where places[place] {
        switch element {
        case .anyName, .anything: places[place + 1] = true
        case .optional(let count):
          places[place + 1] = true
          places[place + 1 + count] = true
        case .byte, .oneOf, .anyByte: break
        }
      }
    }
    passEmpty(&places)
    for byte in path {
      var next = [Bool](repeating: false, count: places.count)
      for (place, element) in elements.enumerated() where places[place] {
        switch element {
        case .byte(let wanted): if byte == wanted { next[place + 1] = true }
        case .oneOf(let bytes): if bytes.contains(byte) { next[place + 1] = true }
        case .anyByte: if byte != slash { next[place + 1] = true }
        case .anyName: if byte != slash { next[place] = true }
        case .anything: next[place] = true
        case .optional: break
        }
      }
      places = next
      passEmpty(&places)
    }
    return places[elements.count]
  }
}
