import MessagePack
import NuvomHistory
import Testing

/// Every field of every event, each with a value that no other has.
private let events: [History.Event] = [
  .greeted(asked: 1, highest: 2),
  .sent(request: 3, operation()),
  .sentAgain(request: 3),
  .answered(request: 3, answer()),
  .saw(asked: 4, id: 5, nil),
  .saw(asked: 4, id: 5, History.SeenJob(id: 5, state: .dead, payload: 6, attempt: 7, token: 8, reason: "expired")),
  .listed(asked: 9, [History.SeenJob(id: 10, state: .cancelled)]),
  .sawSchedule(asked: 11, History.SeenSchedule(name: "s", lastDue: nil, fired: 12, missed: 13, isDrained: true)),
  .sawSchedule(asked: 11, History.SeenSchedule(name: "s", lastDue: 14, fired: 12, missed: 13, isDrained: false)),
]

private func operation() -> History.Operation {
  var operation = History.Operation()
  var job = History.NewJob(payload: 20)
  job.uniqueKey = 21
  job.uniqueNanoseconds = 22
  job.delayNanoseconds = 23
  job.maximumAttempts = 24
  job.mayExpire = true
  job.queue = 25
  operation.jobs = [job]
  operation.settlements = [History.Settlement(.extend, id: 26, token: 27, nanoseconds: 28, isLast: true)]
  operation.cancels = [29]
  var definition = History.Definition(name: "s", payload: 30)
  definition.stepMilliseconds = 31
  definition.cancelsPrevious = true
  operation.definitions = [definition]
  operation.deletes = ["t"]
  operation.triggers = ["u"]
  operation.purges = [32]
  operation.replays = [33]
  operation.removes = [34]
  return operation
}

private func answer() -> History.Answer {
  var answer = History.Answer()
  answer.ids = [40, 41]
  answer.duplicates = [0]
  answer.refused = [History.Refusal(id: 42, token: 43, code: "LEASE_LOST")]
  answer.receipts = [History.Receipt(isCreated: true, due: 44)]
  answer.deliveries = [
    Story.delivery(45, "a", 46),
    Story.delivery(47, "b", 48, 2, 49, History.Fire(schedule: "s", due: 50)),
  ]
  return answer
}

private func file(_ events: [History.Event]) throws -> [UInt8] {
  let bytes = Bytes()
  var writer = try HistoryWriter(client: "c") { bytes.list += $0 }
  for (index, event) in events.enumerated() { try writer.note(event, at: UInt64(index) + 100) }
  return bytes.list
}

private final class Bytes { var list: [UInt8] = [] }

private func read(_ bytes: [UInt8], until end: UInt64 = .max) throws -> HistoryChecker {
  var checker = HistoryChecker()
  try bytes.withUnsafeBytes { try checker.read($0, until: end) }
  return checker
}

@Test("A history in a file is the history that was written")
func roundTrip() throws {
  var records: [History.Record] = []
  try file(events).withUnsafeBytes { bytes in
    try History.forEachRecord(in: bytes) { _ in
      0
    } body: {
      records.append($0)
    }
  }
  #expect(records.map(\.event) == events)
  #expect(records.map(\.at) == events.indices.map { UInt64($0) + 100 })
}

@Test("A file that ends amid a record has the records before it, wherever it ends")
func cut() throws {
  let bytes = try file(events)
  var counts: [Int] = []
  for length in 0...bytes.count { counts.append(try read(Array(bytes[..<length])).recordCount) }
  #expect(counts == counts.sorted() && Set(counts) == Set(0...events.count))
}

@Test("Of a file the records up to a time are read")
func until() throws {
  #expect(try read(file(events), until: 103).recordCount == 3)
}

@Test("Bytes that are no history are refused, and no record is made of them")
func noHistory() throws {
  let good = try file(events)
  #expect(throws: HistoryError.self) { try read([0, 0, 0, 1, 0xC1]) }
  #expect(throws: HistoryError.self) { try read([0, 0, 0, 1, 0x01]) }
  for index in 0..<good.count {
    var bytes = good
    bytes[index] = 0xC1
    // Either it is refused, or read as other numbers, or as a shorter file: never a trap.
    _ = try? read(bytes)
  }
}

@Test("A checker says the same of the same records, whatever the clients' order")
func order() {
  var story = Story()
  for id: UInt64 in 1...50 {
    story.enqueue("a\(id)", id: id, by: "p\(id % 3)")
    story.deliver(id, "b\(id)", token: 60 - id, to: "w\(id % 4)")
  }
  var checker = HistoryChecker()
  for client in Set(story.records.map(\.client)).sorted().reversed() {
    for record in story.records where record.client == client {
      checker.note(History.Record(client: checker.client(named: client), at: record.at, record.event))
    }
  }
  #expect(checker.complaints() == story.complaints && !story.complaints.isEmpty)
}

@Test("Digests are the same in every process, and never 0")
func digests() {
  #expect(History.digest(of: "nuvom") == 5_935_456_841_529_324_691)
  #expect(History.digest(of: "") != 0)
  #expect(History.digest(of: [0, 0, 0]) != History.digest(of: [0, 0]))
}
