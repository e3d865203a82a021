import MessagePack

// The file of one client: frames of a big-endian length of four bytes and one MessagePack array each. The first is the file's mark, its version and
// the client's name. A client that goes on writes into the same file, or begins another under the same name.

/// Writes what a client did and saw, each record with one call of a closure: a record that was given to the kernel outlives the client.
package struct HistoryWriter: ~Copyable {
  static let mark = "nuvom history"
  static let version: UInt64 = 1
  private var writer = MessageWriter(capacity: 4_096)
  private let write: (UnsafeRawBufferPointer) throws -> Void

  /// Begins a file, or a part of one, of a client. `write` is given each record's bytes, once and in order; they are its own only during the call.
  package init(client: String, write: @escaping (UnsafeRawBufferPointer) throws -> Void) throws {
    self.write = write
    try frame { writer in
      writer.arrayHeader(3)
      writer.string(Self.mark)
      writer.uint(Self.version)
      writer.string(client)
    }
  }

  /// Writes what happened at a time. Throws what the closure throws; the file may then end with a part of the record, which readers leave out.
  package mutating func note(_ event: History.Event, at: UInt64) throws {
    try frame { writer in
      switch event {
      case .sent(let request, let operation):
        Self.begin(&writer, .sent, at, 2)
        writer.uint(request)
        Self.put(operation, &writer)
      case .sentAgain(let request):
        Self.begin(&writer, .sentAgain, at, 1)
        writer.uint(request)
      case .answered(let request, let answer):
        Self.begin(&writer, .answered, at, 2)
        writer.uint(request)
        Self.put(answer, &writer)
      case .greeted(let asked, let highest):
        Self.begin(&writer, .greeted, at, 2)
        writer.uint(asked)
        writer.uint(highest)
      case .saw(let asked, let id, let job):
        Self.begin(&writer, .saw, at, 3)
        writer.uint(asked)
        writer.uint(id)
        if let job { Self.put(job, &writer) } else { writer.null() }
      case .listed(let asked, let jobs):
        Self.begin(&writer, .listed, at, 2)
        writer.uint(asked)
        Self.put(jobs, &writer) { Self.put($0, &$1) }
      case .sawSchedule(let asked, let seen):
        Self.begin(&writer, .sawSchedule, at, 6)
        writer.uint(asked)
        writer.string(seen.name)
        if let due = seen.lastDue { writer.uint(due) } else { writer.null() }
        writer.uint(seen.fired)
        writer.uint(seen.missed)
        writer.bool(seen.isDrained)
      }
    }
  }

  private mutating func frame(_ body: (inout MessageWriter) -> Void) throws {
    writer.removeAll()
    let mark = writer.beginFrame()
    body(&writer)
    _ = writer.endFrame(mark)
    try writer.withBytes { bytes in try write(bytes) }
  }

  private static func begin(_ writer: inout MessageWriter, _ kind: RecordKind, _ at: UInt64, _ fields: Int) {
    writer.arrayHeader(2 + fields)
    writer.uint(kind.rawValue)
    writer.uint(at)
  }

  private static func put<Element>(
    _ list: [Element], _ writer: inout MessageWriter, _ element: (Element, inout MessageWriter) -> Void
  ) {
    writer.arrayHeader(list.count)
    for item in list { element(item, &writer) }
  }

  private static func put(_ numbers: [UInt64], _ writer: inout MessageWriter) { put(numbers, &writer) { $1.uint($0) } }

  private static func put(_ texts: [String], _ writer: inout MessageWriter) { put(texts, &writer) { $1.string($0) } }

  private static func put(_ operation: History.Operation, _ writer: inout MessageWriter) {
    writer.arrayHeader(9)
    put(operation.jobs, &writer) { job, writer in
      writer.arrayHeader(8)
      writer.uint(job.payload)
      writer.uint(job.uniqueKey)
      writer.uint(job.uniqueNanoseconds)
      writer.uint(job.delayNanoseconds)
      writer.uint(UInt64(job.maximumAttempts))
      writer.bool(job.mayExpire)
      writer.bool(job.isKept)
      writer.uint(job.queue)
    }
    put(operation.settlements, &writer) { settlement, writer in
      writer.arrayHeader(5)
      writer.uint(UInt64(settlement.kind.rawValue))
      writer.uint(settlement.id)
      writer.uint(settlement.token)
      writer.uint(settlement.nanoseconds)
      writer.bool(settlement.isLast)
    }
    put(operation.cancels, &writer)
    put(operation.definitions, &writer) { definition, writer in
      writer.arrayHeader(5)
      writer.string(definition.name)
      writer.uint(definition.payload)
      writer.uint(definition.stepMilliseconds)
      writer.bool(definition.firesAll)
      writer.bool(definition.cancelsPrevious)
    }
    put(operation.deletes, &writer)
    put(operation.triggers, &writer)
    put(operation.purges, &writer)
    put(operation.replays, &writer)
    put(operation.removes, &writer)
  }

  private static func put(_ answer: History.Answer, _ writer: inout MessageWriter) {
    writer.arrayHeader(6)
    if let error = answer.error { writer.string(error) } else { writer.null() }
    put(answer.ids, &writer)
    put(answer.duplicates, &writer) { $1.uint(UInt64($0)) }
    put(answer.refused, &writer) { refusal, writer in
      writer.arrayHeader(3)
      writer.uint(refusal.id)
      writer.uint(refusal.token)
      writer.string(refusal.code)
    }
    put(answer.receipts, &writer) { receipt, writer in
      writer.arrayHeader(2)
      writer.bool(receipt.isCreated)
      if let due = receipt.due { writer.uint(due) } else { writer.null() }
    }
    put(answer.deliveries, &writer) { delivery, writer in
      writer.arrayHeader(delivery.fire == nil ? 5 : 7)
      writer.uint(delivery.id)
      writer.uint(delivery.token)
      writer.uint(UInt64(delivery.attempt))
      writer.uint(delivery.payload)
      writer.uint(delivery.leaseNanoseconds)
      if let fire = delivery.fire {
        writer.string(fire.schedule)
        writer.uint(fire.due)
      }
    }
  }

  private static func put(_ job: History.SeenJob, _ writer: inout MessageWriter) {
    writer.arrayHeader(6)
    writer.uint(job.id)
    writer.uint(UInt64(job.state.rawValue))
    if let payload = job.payload { writer.uint(payload) } else { writer.null() }
    writer.uint(UInt64(job.attempt))
    writer.uint(job.token)
    writer.string(job.reason)
  }
}

/// The numbers of the events in a file.
enum RecordKind: UInt64 {
  case sent = 1
  case sentAgain, answered, greeted, saw, listed, sawSchedule
}
