import MessagePack

/// Why a file is no history.
package struct HistoryError: Error, Equatable, CustomStringConvertible {
  package let description: String
}

extension HistoryChecker {
  /// Takes the records of a client's file up to, not including, the first at `end`. A last record that was not written to its end is left out: its
  /// client was killed.
  package mutating func read(_ file: UnsafeRawBufferPointer, until end: UInt64 = .max) throws(HistoryError) {
    try History.forEachRecord(in: file) { client in
      self.client(named: client)
    } body: { record in
      if record.at < end { note(record) }
    }
  }
}

extension History {
  /// Gives the records of a file in their order. `client` is asked for the number of each client that is named.
  package static func forEachRecord(
    in file: UnsafeRawBufferPointer, client number: (String) -> UInt32, body: (Record) -> Void
  ) throws(HistoryError) {
    var reader = MessageReader(maximumValues: 1 << 24)
    var client: UInt32?
    var offset = 0
    while offset + 4 <= file.count {
      let length = Int(UInt32(bigEndian: file.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
      guard length <= file.count - offset - 4 else { return }
      let message = UnsafeRawBufferPointer(rebasing: file[offset + 4..<offset + 4 + length])
      guard reader.parse(message) == .ok else { throw HistoryError(description: "no record at byte \(offset)") }
      var fields = RecordFields(cursor: reader.cursor)
      if let name = fields.header() {
        client = number(name)
      } else if let client, let record = fields.record(of: client) {
        body(record)
      } else {
        throw HistoryError(description: "what is at byte \(offset) is no record of this version")
      }
      offset += 4 + length
    }
  }
}

/// Reads the fields of a record in their order.
private struct RecordFields {
  var cursor: MessageCursor
  /// Whether any field was not what it should be.
  private var isWrong = false

  init(cursor: MessageCursor) { self.cursor = cursor }

  /// The client's name, if this is the first record of a file.
  mutating func header() -> String? {
    var copy = cursor
    guard copy.readArrayHeader() == 3, copy.kind == .string, copy.readString() == HistoryWriter.mark,
      copy.readUInt() == HistoryWriter.version
    else { return nil }
    return copy.readString()
  }

  mutating func record(of client: UInt32) -> History.Record? {
    _ = count()
    let kind = RecordKind(rawValue: number())
    let at = number()
    guard let kind, !isWrong else { return nil }
    let event: History.Event
    switch kind {
    case .sent: event = .sent(request: number(), operation())
    case .sentAgain: event = .sentAgain(request: number())
    case .answered: event = .answered(request: number(), answer())
    case .greeted: event = .greeted(asked: number(), highest: number())
    case .saw: event = .saw(asked: number(), id: number(), cursor.readNull() ? nil : job())
    case .listed: event = .listed(asked: number(), list { $0.job() })
    case .sawSchedule:
      event = .sawSchedule(
        asked: number(),
        History.SeenSchedule(
          name: text(), lastDue: optional(), fired: number(), missed: number(), isDrained: truth()))
    }
    return isWrong || !cursor.isAtEnd ? nil : History.Record(client: client, at: at, event)
  }

  // MARK: Fields

  private mutating func take<Value>(_ value: Value?, _ other: Value) -> Value {
    if value == nil { isWrong = true }
    return value ?? other
  }

  private mutating func count() -> Int { take(cursor.readArrayHeader(), 0) }
  private mutating func number() -> UInt64 { take(cursor.readUInt(), 0) }
  private mutating func truth() -> Bool { take(cursor.readBool(), false) }
  private mutating func text() -> String { take(cursor.readString(), "") }
  private mutating func optional() -> UInt64? { cursor.readNull() ? nil : number() }
  private mutating func number32() -> UInt32 { take(UInt32(exactly: number()), 0) }

  private mutating func list<Element>(_ element: (inout RecordFields) -> Element) -> [Element] {
    let count = count()
    var list: [Element] = []
    list.reserveCapacity(count)
    for _ in 0..<count where !isWrong { list.append(element(&self)) }
    return list
  }

  private mutating func operation() -> History.Operation {
    var operation = History.Operation()
    if count() != 9 { isWrong = true }
    operation.jobs = list { $0.newJob() }
    operation.settlements = list { $0.settlement() }
    operation.cancels = list { $0.number() }
    operation.definitions = list { $0.definition() }
    operation.deletes = list { $0.text() }
    operation.triggers = list { $0.text() }
    operation.purges = list { $0.number() }
    operation.replays = list { $0.number() }
    operation.removes = list { $0.number() }
    return operation
  }

  private mutating func newJob() -> History.NewJob {
    if count() != 8 { isWrong = true }
    var job = History.NewJob(payload: number())
    job.uniqueKey = number()
    job.uniqueNanoseconds = number()
    job.delayNanoseconds = number()
    job.maximumAttempts = number32()
    job.mayExpire = truth()
    job.isKept = truth()
    job.queue = number()
    return job
  }

  private mutating func settlement() -> History.Settlement {
    if count() != 5 { isWrong = true }
    let kind = take(UInt8(exactly: number()).flatMap(History.Settlement.Kind.init), .ack)
    return History.Settlement(kind, id: number(), token: number(), nanoseconds: number(), isLast: truth())
  }

  private mutating func definition() -> History.Definition {
    if count() != 5 { isWrong = true }
    var definition = History.Definition(name: text(), payload: number())
    definition.stepMilliseconds = number()
    definition.firesAll = truth()
    definition.cancelsPrevious = truth()
    return definition
  }

  private mutating func answer() -> History.Answer {
    var answer = History.Answer()
    if count() != 6 { isWrong = true }
    answer.error = cursor.readNull() ? nil : text()
    answer.ids = list { $0.number() }
    answer.duplicates = list { fields in fields.take(Int(exactly: fields.number()), 0) }
    answer.refused = list { fields in
      if fields.count() != 3 { fields.isWrong = true }
      return History.Refusal(id: fields.number(), token: fields.number(), code: fields.text())
    }
    answer.receipts = list { fields in
      if fields.count() != 2 { fields.isWrong = true }
      return History.Receipt(isCreated: fields.truth(), due: fields.optional())
    }
    answer.deliveries = list { $0.delivery() }
    return answer
  }

  private mutating func delivery() -> History.Delivery {
    let count = count()
    if count != 5 && count != 7 { isWrong = true }
    var delivery = History.Delivery(
      id: number(), token: number(), attempt: number32(), payload: number(), leaseNanoseconds: number())
    if count == 7 { delivery.fire = History.Fire(schedule: text(), due: number()) }
    return delivery
  }

  private mutating func job() -> History.SeenJob {
    if count() != 6 { isWrong = true }
    let id = number()
    let state = take(UInt8(exactly: number()).flatMap(History.State.init), .ready)
    return History.SeenJob(
      id: id, state: state, payload: optional(), attempt: number32(), token: number(), reason: text())
  }
}
