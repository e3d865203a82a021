extension CronExpression {
  /// Reads a text of five fields (minute, hour, day of month, month, day of week), of six (a second before them), or a nickname (`@daily`).
  ///
  /// Throws what is wrong with which field. Also a text that can never be due (`0 0 31 2 *`) is wrong.
  public init(_ text: String) throws(CronError) {
    var text = text
    let result = text.withUTF8 { bytes in
      Result { () throws(CronError) in try CronExpression(UnsafeRawBufferPointer(bytes)) }
    }
    self = try result.get()
  }

  /// Reads UTF-8, of which only ASCII can be right. Allocates nothing but errors.
  public init(_ text: UnsafeRawBufferPointer) throws(CronError) {
    guard text.count <= Self.maximumBytes else {
      throw CronError(.expression, "is longer than \(Self.maximumBytes) bytes; make several schedules of it")
    }
    var reader = CronReader(text: text)
    reader.skipBlanks()
    if reader.next == UInt8(ascii: "@") {
      self = try reader.nickname()
      return
    }
    let fields = reader.countFields()
    guard fields == 5 || fields == 6 else {
      let order = "minute hour day-of-month month day-of-week, or six with the second first"
      throw CronError(.expression, "has \(fields) fields instead of five: \(order)")
    }
    if fields == 6 { seconds = try reader.field(.seconds).set }
    let minute = try reader.field(.minutes)
    let hour = try reader.field(.hours)
    minutes = minute.set
    hours = hour.set
    keepsRhythm = minute.isAny || hour.isAny
    let isDayOpen = try reader.readDays(into: &self)
    months = try reader.field(.months).set
    let isWeekdayOpen = try reader.readWeekdays(into: &self)
    guard !isDayOpen || !isWeekdayOpen else {
      throw CronError(.dayOfWeek, "? is for one of day-of-month and day-of-week; write * in the other")
    }
    guard isEverDue else {
      throw CronError(.dayOfMonth, "none of its days is ever in these months; give it a day that they have")
    }
  }
}

/// What may be in a field.
private struct CronField {
  let column: CronError.Column
  let range: ClosedRange<Int>
  /// Three letters each, for the numbers from `range.lowerBound` on.
  var names: StaticString = ""

  static let seconds = CronField(column: .second, range: 0...59)
  static let minutes = CronField(column: .minute, range: 0...59)
  static let hours = CronField(column: .hour, range: 0...23)
  static let days = CronField(column: .dayOfMonth, range: 1...31)
  static let months = CronField(column: .month, range: 1...12, names: "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC")
  static let weekdays = CronField(column: .dayOfWeek, range: 0...7, names: "SUNMONTUEWEDTHUFRISAT")
}

/// Walks over an expression's text, field by field.
private struct CronReader {
  let text: UnsafeRawBufferPointer
  var position = 0

  /// The next character in its upper case; nil at the end of the text and of each field.
  var next: UInt8? {
    guard position < text.count, !isBlank(text[position]) else { return nil }
    let byte = text[position]
    return 97...122 ~= byte ? byte & 0xDF : byte
  }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard next == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

  mutating func skipBlanks() {
    while position < text.count, isBlank(text[position]) { position += 1 }
  }

  func countFields() -> Int {
    var fields = 0
    var isBetween = true
    for byte in text {
      let isBlank = isBlank(byte)
      if isBetween, !isBlank { fields += 1 }
      isBetween = isBlank
    }
    return fields
  }

  // MARK: - Fields

  /// A field of numbers: a list of `*`, `n`, `n-m`, each with a step perhaps.
  mutating func field(_ field: CronField) throws(CronError) -> (set: UInt64, isAny: Bool) {
    skipBlanks()
    let isAny = next == UInt8(ascii: "*")
    var set: UInt64 = 0
    repeat {
      if next == UInt8(ascii: "?") {
        throw CronError(
          field.column, "? is for day-of-month and day-of-week only; write * for any \(field.column.rawValue)")
      }
      set |= try item(field).set
    } while try anotherItem(field)
    return (set, isAny)
  }

  /// True if the field is `?`, which leaves the day to the other field.
  mutating func readDays(into expression: inout CronExpression) throws(CronError) -> Bool {
    let field = CronField.days
    if try readQuestionMark(field) {
      expression.isAnyDay = true
      expression.days = 0x7FFF_FFFF
      return true
    }
    expression.isAnyDay = next == UInt8(ascii: "*")
    repeat {
      if take("L") {
        let before = take("-") ? try number(field, in: 0...30, called: "days before the last") : 0
        if take("W") {
          expression.weekdaysNearestBeforeLast |= 1 << before
        } else {
          expression.daysBeforeLast |= 1 << before
        }
      } else {
        let item = try item(field)
        if item.isSingle, take("W") {
          expression.weekdaysNearest |= item.set >> 1
        } else {
          expression.days |= item.set >> 1
        }
      }
    } while try anotherItem(field)
    return false
  }

  /// True if the field is `?`, as above.
  mutating func readWeekdays(into expression: inout CronExpression) throws(CronError) -> Bool {
    let field = CronField.weekdays
    if try readQuestionMark(field) {
      expression.isAnyWeekday = true
      expression.weekdays = 0x7F
      return true
    }
    expression.isAnyWeekday = next == UInt8(ascii: "*")
    repeat {
      if next == UInt8(ascii: "L") {
        throw CronError(field.column, "L follows a day: 5L or FRIL is the month's last Friday")
      }
      let item = try item(field)
      // Sunday is 0 and 7.
      let set = (item.set | item.set >> 7) & 0x7F
      if item.isSingle, take("L") {
        expression.weekdaysLast |= set
      } else if item.isSingle, take("#") {
        let week = try number(field, in: 1...5, called: "the number after #")
        expression.weekdaysByWeek |= set << (8 * (week - 1))
      } else {
        expression.weekdays |= set
      }
    } while try anotherItem(field)
    return false
  }

  /// Takes a field that is `?` alone.
  private mutating func readQuestionMark(_ field: CronField) throws(CronError) -> Bool {
    skipBlanks()
    guard take("?") else { return false }
    guard next == nil else { throw CronError(field.column, "? stands alone; leave out what follows it") }
    return true
  }

  /// After an item: true after a comma, false at the field's end.
  private mutating func anotherItem(_ field: CronField) throws(CronError) -> Bool {
    if take(",") { return true }
    guard next != nil else { return false }
    throw unexpected(field)
  }

  // MARK: - Items

  /// `*`, `n` or `n-m`, each with `/step` perhaps, as a set of bits; `n` alone is single. `n/step` is from n to the end.
  private mutating func item(_ field: CronField) throws(CronError) -> (set: UInt64, isSingle: Bool) {
    var first = field.range.lowerBound
    var last = field.range.upperBound
    var isSingle = false
    if !take("*") {
      first = try value(field)
      last = first
      if take("-") {
        last = try value(field)
        // Sunday, by its name, is also the end of a week.
        if field.column == .dayOfWeek, last == 0, first > 0, text[position - 1] & 0xDF == UInt8(ascii: "N") { last = 7 }
        guard first <= last else {
          let right = "\(first)-\(field.range.upperBound),\(field.range.lowerBound)-\(last)"
          throw CronError(field.column, "the range \(first)-\(last) is reversed; write \(right)")
        }
      } else {
        isSingle = true
      }
    }
    var step = 1
    if take("/") {
      step = try number(field, in: 1...Int.max, called: "a step")
      if isSingle { last = field.range.upperBound }
      isSingle = false
    }
    var set: UInt64 = 0
    if step == 1 {
      set = (~0 >> (63 - (last - first))) << first
    } else {
      for value in stride(from: first, through: last, by: step) { set |= 1 << value }
    }
    return (set, isSingle)
  }

  /// A number or a name.
  private mutating func value(_ field: CronField) throws(CronError) -> Int {
    if let next, 65...90 ~= next, field.names.utf8CodeUnitCount > 0 {
      return try name(field)
    }
    return try number(field, in: field.range, called: nil)
  }

  private mutating func name(_ field: CronField) throws(CronError) -> Int {
    let start = position
    let names = UnsafeRawBufferPointer(start: field.names.utf8Start, count: field.names.utf8CodeUnitCount)
    var letters: (UInt8, UInt8, UInt8) = (0, 0, 0)
    if let next { letters.0 = next; position += 1 }
    if let next { letters.1 = next; position += 1 }
    if let next { letters.2 = next; position += 1 }
    for index in stride(from: 0, to: names.count, by: 3)
    where names[index] == letters.0 && names[index + 1] == letters.1 && names[index + 2] == letters.2 {
      return field.range.lowerBound + index / 3
    }
    position = start
    throw unexpected(field)
  }

  /// Digits. What they are called is for the error; nil is the field's own values.
  private mutating func number(
    _ field: CronField, in range: ClosedRange<Int>, called name: StaticString?
  ) throws(CronError) -> Int {
    var number = 0
    let start = position
    while let next, 48...57 ~= next {
      // Steps may be as large as they like; what is beyond every range is not told apart.
      number = min(number * 10 + Int(next - 48), 1_000_000)
      position += 1
    }
    guard position > start else { throw unexpected(field) }
    guard range ~= number else {
      let what = name.map { "\($0)" } ?? "\(field.column.rawValue)"
      let digits = String(decoding: text[start..<position], as: UTF8.self)
      throw CronError(
        field.column,
        range.upperBound == Int.max
          ? "\(what) of \(digits) never comes to an end; steps are 1 and more"
          : "\(digits) is out of range; \(what) is \(range.lowerBound) to \(range.upperBound)")
    }
    return number
  }

  private func unexpected(_ field: CronField) -> CronError {
    let remedy: StaticString
    switch field.column {
    case .expression, .second, .minute, .hour: remedy = "write numbers as in 5, 1,2, 1-5, */5 or *"
    case .dayOfMonth: remedy = "write numbers as in 5, 1,2, 1-5, */5 or *; L, L-3, 15W, LW or ?"
    case .month: remedy = "write numbers or names as in 5, MAY, 1,2, JAN-MAY, */5 or *"
    case .dayOfWeek: remedy = "write numbers or names as in 5, FRI, 1,2, MON-FRI, */5 or *; 5L, FRI#2 or ?"
    }
    guard next != nil else { return CronError(field.column, "a value is missing; \(remedy)") }
    // A letter of another script has several bytes.
    let length = text[(position + 1)...].prefix(3).prefix { $0 & 0xC0 == 0x80 }.count + 1
    let character = String(decoding: text[position..<(position + length)], as: UTF8.self)
    return CronError(field.column, "\(character) was not expected; \(remedy)")
  }

  // MARK: - Nicknames

  mutating func nickname() throws(CronError) -> CronExpression {
    for (name, meaning) in Self.nicknames where isRest(name) {
      return try CronExpression(UnsafeRawBufferPointer(start: meaning.utf8Start, count: meaning.utf8CodeUnitCount))
    }
    if isRest("@reboot") {
      throw CronError(.expression, "@reboot is no time; let the program that is started enqueue the job")
    }
    throw CronError(
      .expression,
      "is no nickname; there are @yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly, alone")
  }

  private static let nicknames: [(StaticString, StaticString)] = [
    ("@yearly", "0 0 1 1 *"), ("@annually", "0 0 1 1 *"), ("@monthly", "0 0 1 * *"), ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"), ("@hourly", "0 * * * *"),
  ]

  /// Whether the rest of the text is this name, in whatever case.
  private func isRest(_ name: StaticString) -> Bool {
    let name = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    var end = text.count
    while end > position, isBlank(text[end - 1]) { end -= 1 }
    guard end - position == name.count else { return false }
    return zip(text[position..<end], name).allSatisfy { $0 == $1 || (65...90 ~= $0 && $0 | 0x20 == $1) }
  }
}
