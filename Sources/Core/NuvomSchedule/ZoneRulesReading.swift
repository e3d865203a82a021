/// Why bytes are not the rules of a time zone.
public struct ZoneRulesError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, and what to do about it.
  public let message: String

  /// The message.
  public var description: String { message }

  init(_ problem: StaticString) {
    message =
      "this is not a time zone that can be used: \(problem); use a file as zic or the tzdata package makes it"
  }
}

extension ZoneRules {
  /// The largest file that is read. The largest zone of the tz database is 4 KB.
  public static let maximumBytes = 256 << 10

  /// Reads the bytes of a TZif file, version 1 to 4 (RFC 9636).
  ///
  /// Zones that count leap seconds (`right/…`) are refused: seconds since 1970 mean something else there. Takes no more memory than some small multiple of
  /// the bytes.
  public convenience init(tzif bytes: UnsafeRawBufferPointer) throws(ZoneRulesError) {
    guard bytes.count <= Self.maximumBytes else { throw ZoneRulesError("it is larger than 256 KiB") }
    var reader = TZifReader(bytes: bytes)
    var block = try reader.header()
    if block.version != 0 {
      // The same again with times of eight bytes, which is the one that counts.
      try reader.skip(block.size(timeSize: 4))
      block = try reader.header()
      guard block.version != 0 else { throw ZoneRulesError("its second header is of version 1") }
    }
    guard block.leapSeconds == 0 else { throw ZoneRulesError("it counts leap seconds, as those below right/ do") }

    let transitions = try reader.transitions(block, timeSize: block.version == 0 ? 4 : 8)
    let types = try reader.types(block)
    let (offsets, abbreviations) = try reader.localTimes(block)
    try reader.skip(block.standardIndicators + block.universalIndicators)
    let rule = block.version == 0 ? nil : try reader.footer()
    self.init(
      transitions: transitions, types: types, offsets: offsets, abbreviations: abbreviations, rule: rule,
      fingerprint: fnv1a(bytes))
  }
}

/// Walks over a TZif file. Every count in it is a claim until as many bytes were seen.
private struct TZifReader {
  struct Block {
    let version: UInt8
    let universalIndicators: Int
    let standardIndicators: Int
    let leapSeconds: Int
    let transitions: Int
    let types: Int
    let characters: Int

    func size(timeSize: Int) -> Int {
      transitions * (timeSize + 1) + types * 6 + characters + leapSeconds * (timeSize + 4) + standardIndicators
        + universalIndicators
    }
  }

  let bytes: UnsafeRawBufferPointer
  var position = 0

  mutating func skip(_ count: Int) throws(ZoneRulesError) {
    guard count <= bytes.count - position else { throw ZoneRulesError("it ends early") }
    position += count
  }

  /// A big-endian number. Where it is called the bytes are known to be there, or `skip` throws.
  private mutating func number<Number: FixedWidthInteger>(_: Number.Type) throws(ZoneRulesError) -> Number {
    let start = position
    try skip(MemoryLayout<Number>.size)
    return Number(bigEndian: bytes.loadUnaligned(fromByteOffset: start, as: Number.self))
  }

  mutating func header() throws(ZoneRulesError) -> Block {
    guard try number(UInt32.self) == 0x545A_6966 else { throw ZoneRulesError("it does not begin with TZif") }
    let version = try number(UInt8.self)
    guard version == 0 || version >= UInt8(ascii: "2") else { throw ZoneRulesError("it is of no known version") }
    try skip(15)
    var counts: [Int] = []
    for _ in 0..<6 { counts.append(Int(try number(UInt32.self))) }
    return Block(
      version: version, universalIndicators: counts[0], standardIndicators: counts[1], leapSeconds: counts[2],
      transitions: counts[3], types: counts[4], characters: counts[5])
  }

  mutating func transitions(_ block: Block, timeSize: Int) throws(ZoneRulesError) -> [Int64] {
    guard block.size(timeSize: timeSize) <= bytes.count - position else { throw ZoneRulesError("it ends early") }
    var transitions: [Int64] = []
    transitions.reserveCapacity(block.transitions)
    for _ in 0..<block.transitions {
      let transition = timeSize == 4 ? Int64(try number(Int32.self)) : try number(Int64.self)
      if let last = transitions.last, transition <= last { throw ZoneRulesError("its transitions do not ascend") }
      // RFC 9636 asks for nothing before the Big Bang; as far in the other direction is as good.
      guard -(1 << 59)...(1 << 59) ~= transition else { throw ZoneRulesError("a transition is before the Big Bang") }
      transitions.append(transition)
    }
    return transitions
  }

  mutating func types(_ block: Block) throws(ZoneRulesError) -> [UInt16] {
    var types: [UInt16] = []
    types.reserveCapacity(block.transitions)
    for _ in 0..<block.transitions {
      let type = try number(UInt8.self)
      guard type < block.types else { throw ZoneRulesError("a transition is to a type that it does not have") }
      types.append(UInt16(type))
    }
    return types
  }

  mutating func localTimes(_ block: Block) throws(ZoneRulesError) -> (offsets: [Int32], abbreviations: [String]) {
    guard 1...256 ~= block.types else { throw ZoneRulesError("it has no types of local time, or too many") }
    let names = position + block.types * 6
    var offsets: [Int32] = []
    var abbreviations: [String] = []
    for _ in 0..<block.types {
      let offset = try number(Int32.self)
      guard ZoneRules.offsetRange ~= offset else { throw ZoneRulesError("an offset from UTC is more than a day") }
      offsets.append(offset)
      try skip(1)
      let index = Int(try number(UInt8.self))
      guard index < block.characters else { throw ZoneRulesError("an abbreviation is not within its text") }
      let rest = bytes[(names + index)..<(names + block.characters)]
      guard let end = rest.prefix(17).firstIndex(of: 0) else { throw ZoneRulesError("an abbreviation has no end") }
      let name = rest[..<end]
      guard name.allSatisfy({ 0x21...0x7E ~= $0 }) else { throw ZoneRulesError("an abbreviation is not in ASCII") }
      abbreviations.append(String(decoding: name, as: UTF8.self))
    }
    try skip(block.characters)
    return (offsets, abbreviations)
  }

  /// What holds after the last transition, between two line feeds; nil where the last transition is all that is known.
  mutating func footer() throws(ZoneRulesError) -> YearlyRule? {
    guard try number(UInt8.self) == 0x0A else { throw ZoneRulesError("its footer does not begin with a line feed") }
    guard let end = bytes[position...].prefix(256).firstIndex(of: 0x0A) else {
      throw ZoneRulesError("its footer has no end")
    }
    if end == position { return nil }
    var rule = FooterReader(text: bytes[position..<end], position: position)
    return try rule.rule()
  }
}

/// Reads the footer's rule: `CET-1CEST,M3.5.0,M10.5.0/3` (POSIX's TZ, with times of up to a week). Offsets are west of UTC in it.
private struct FooterReader {
  let text: Slice<UnsafeRawBufferPointer>
  var position: Int

  static let wrong = ZoneRulesError("its footer is not a rule as POSIX has them")

  mutating func rule() throws(ZoneRulesError) -> YearlyRule {
    let standardName = try name()
    let standardOffset = try offset()
    if position == text.endIndex {
      return YearlyRule(
        standardOffset: standardOffset, standardName: standardName, daylightOffset: standardOffset,
        daylightName: standardName, changes: nil)
    }
    let daylightName = try name()
    var daylightOffset = standardOffset + 3_600
    if position < text.endIndex, text[position] != UInt8(ascii: ",") { daylightOffset = try offset() }
    guard ZoneRules.offsetRange ~= daylightOffset else { throw Self.wrong }
    let changes = YearlyRule.Changes(toDaylight: try change(), toStandard: try change())
    guard position == text.endIndex else { throw Self.wrong }
    return YearlyRule(
      standardOffset: standardOffset, standardName: standardName, daylightOffset: daylightOffset,
      daylightName: daylightName, changes: changes)
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard position < text.endIndex, text[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(ZoneRulesError) {
    guard take(character) else { throw Self.wrong }
  }

  /// Letters, or between angle brackets also digits and signs.
  private mutating func name() throws(ZoneRulesError) -> String {
    let isQuoted = take("<")
    let start = position
    while position < text.endIndex {
      let byte = text[position]
      let isLetter = 65...90 ~= byte & 0xDF
      let isNumeric = 48...57 ~= byte || byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-")
      guard isLetter || (isQuoted && isNumeric) else { break }
      position += 1
    }
    let name = String(decoding: text[start..<position], as: UTF8.self)
    guard 3...16 ~= name.utf8.count else { throw Self.wrong }
    if isQuoted { try expect(">") }
    return name
  }

  private mutating func number(_ range: ClosedRange<Int>) throws(ZoneRulesError) -> Int {
    var number = 0
    let start = position
    while position < text.endIndex, 48...57 ~= text[position], position - start < 3 {
      number = number * 10 + Int(text[position] - 48)
      position += 1
    }
    guard position > start, range ~= number else { throw Self.wrong }
    return number
  }

  /// `hh[:mm[:ss]]`, with a sign perhaps.
  private mutating func time(hours: ClosedRange<Int>) throws(ZoneRulesError) -> Int32 {
    let isNegative = take("-")
    if !isNegative { _ = take("+") }
    var seconds = try number(hours) * 3_600
    if take(":") {
      seconds += try number(0...59) * 60
      if take(":") { seconds += try number(0...59) }
    }
    return Int32(isNegative ? -seconds : seconds)
  }

  private mutating func offset() throws(ZoneRulesError) -> Int32 {
    let west = try time(hours: 0...24)
    guard ZoneRules.offsetRange ~= -west else { throw Self.wrong }
    return -west
  }

  private mutating func change() throws(ZoneRulesError) -> YearlyRule.Change {
    try expect(",")
    let day: YearlyRule.Change.Day
    if take("J") {
      day = .ofCommonYear(try number(1...365))
    } else if take("M") {
      let month = try number(1...12)
      try expect(".")
      let week = try number(1...5)
      try expect(".")
      day = .ofMonth(month: month, week: week, weekday: try number(0...6))
    } else {
      day = .ofYear(try number(0...365))
    }
    return YearlyRule.Change(day: day, time: take("/") ? try time(hours: 0...167) : 7_200)
  }
}
