import NuvomModel

extension Engine {
  /// What a hello is answered with.
  public struct Welcome: Sendable {
    /// The highest changing request of this client that is remembered; 0 for none.
    public var highestRequest: UInt64
    /// The connection that spoke for the same client until now: it is to be closed.
    public var replaced: ConnectionID?
  }

  /// A connection has come. Nil only if there are 2^24 of them.
  public func connect() -> ConnectionID? { waiting.connect() }

  /// A connection is gone: nothing waits for it any more. Its leases stay. Twice is once.
  public func disconnect(_ connection: ConnectionID) {
    if let session = waiting.session(connection), session.pointee.client != JobRecord.noLink {
      let client = session.pointee.client
      if waiting.connectionOfClient[client] == connection { startForgetting(client) }
    }
    waiting.disconnect(connection)
  }

  /// A connection is ending: what it waits for is not answered any more, so that no job is leased to it.
  public func endWaits(of connection: ConnectionID) { waiting.endWaits(of: connection) }

  /// Whether a connection has requests that wait (dequeue, wait).
  public func isWaiting(_ connection: ConnectionID) -> Bool {
    (waiting.session(connection)?.pointee.waiterCount ?? 0) > 0
  }

  /// A connection has said who it is. A `clientID` turns on safe retries; the same id on another connection takes over from it.
  /// Nil if as many clients as can be remembered are connected.
  public func hello(_ connection: ConnectionID, clientID: BorrowedBytes) -> Welcome? {
    guard let session = waiting.session(connection), clientID.count > 0 else {
      return Welcome(highestRequest: 0, replaced: nil)
    }
    let hash = hashing(clientID)
    let known = clientIndex.find(hash) { arena.bytes(clients.pointer($0).pointee.name).isSame(as: clientID) }
    let client: UInt32
    if let known {
      client = known
    } else {
      if clients.count >= Self.clientsRemembered, !forgetOne() { return nil }
      guard let (slot, generation) = clients.allocate() else { return nil }
      record(.clientNamed(slot: slot, generation: generation, clientID))
      client = slot
    }
    let record = clients.mutable(client)
    if record.pointee.timer != JobRecord.noTimer {
      bootTimers.remove(record.pointee.timer)
      record.pointee.timer = JobRecord.noTimer
    }
    let former = waiting.connectionOfClient.updateValue(connection, forKey: client)
    let replaced = former == connection ? nil : former
    // What it might still say is not said for the client any more.
    if let replaced { waiting.session(replaced)?.pointee.client = JobRecord.noLink }
    session.pointee.client = client
    return Welcome(highestRequest: record.pointee.highest, replaced: replaced)
  }

  /// Gives back deliveries that could not be handed to their connection any more. Their attempt is not counted.
  public func giveBack(_ deliveries: [(id: JobID, token: LeaseToken)], into outcome: inout Outcome) {
    // Each goes to the front, so the last goes first: together they are in the order in which they were taken.
    for (id, token) in deliveries.reversed() {
      guard let job = fitting(id, .leased), job.pointee.token == token else { continue }
      record(.released(id, delayMilliseconds: 0))
    }
    if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
  }

  /// Clients that are remembered at a time (Protocol.md, "Retrying requests safely").
  static var clientsRemembered: Int { 10_000 }

  private func startForgetting(_ client: UInt32) {
    clients.mutable(client).pointee.timer = bootTimers.insert(
      due: after(Self.clientRememberedMilliseconds), subject: UInt64(client), extra: 0, kind: TimerKind.clientAway)
  }

  /// Makes room for a client by forgetting one that is away.
  private func forgetOne() -> Bool {
    var next = clients.nextLive(from: 0)
    while let slot = next {
      if clients.pointer(slot).pointee.timer != JobRecord.noTimer {
        record(.clientForgotten(slot: slot))
        return true
      }
      next = clients.nextLive(from: slot + 1)
    }
    return false
  }

  // MARK: Remembered answers

  /// Remembers what a client was answered, unless it was refused as a whole.
  @inline(__always)
  func remember(_ answer: Answer, _ request: RequestID, _ client: UInt32, _ outcome: borrowing Outcome) {
    switch answer {
    case .enqueued(let ids, let duplicates) where ids.count == 1:
      record(
        .answered(
          client: client, request, .enqueued(outcome.ids[ids.lowerBound], duplicate: !duplicates.isEmpty)))
    case .settled(let refusals) where refusals.isEmpty: record(.answered(client: client, request, .done))
    case .refused: break
    default:
      scratch.removeAll()
      Self.write(answer, outcome, to: scratch)
      record(.answered(client: client, request, .encoded(scratch.bytes)))
    }
  }

  /// Answers a request that may have been answered before. False if it was not: then it is done now.
  @inline(never)
  func answerAgain(
    _ request: borrowing Request, _ client: UInt32, _ address: Address, into outcome: inout Outcome
  ) -> Bool {
    var slot = clients.pointer(client).pointee.firstAnswer
    while slot != JobRecord.noLink, answers.pointer(slot).pointee.request != request.id.rawValue {
      slot = answers.pointer(slot).pointee.next
    }
    if slot == JobRecord.noLink {
      // Everything above the highest dropped answer is still remembered, so a request that is not was never done.
      let dropped = clients.pointer(client).pointee.highestDropped
      guard dropped > 0, request.id.rawValue <= dropped else { return false }
      scalars.pointee.refused += 1
      outcome.responses.append((address, .refused(.requestForgotten)))
      return true
    }
    let record = answers.pointer(slot).pointee
    let answer: Answer
    switch AnswerRecord.Kind(rawValue: record.kind) {
    case .enqueued, .duplicate:
      let first = outcome.ids.count
      let firstDuplicate = outcome.indexes.count
      outcome.ids.append(JobID(rawValue: record.value))
      if record.kind == AnswerRecord.Kind.duplicate.rawValue { outcome.indexes.append(0) }
      answer = .enqueued(ids: first..<first + 1, duplicates: firstDuplicate..<outcome.indexes.count)
    case .encoded:
      var reader = EventReader(arena.bytes(ArenaReference(rawValue: record.value)))
      answer = read(&reader, into: &outcome)
    case .done, nil:
      answer = .settled(refusals: 0..<0)
    }
    if request.method == .dequeue {
      var refusals = 0..<0
      if case .settled(let range) = answer { refusals = range }
      takeOrWait(request, address, refusals, into: &outcome)
    } else {
      outcome.responses.append((address, answer))
    }
    return true
  }

  private enum AnswerTag: UInt8 { case settled = 1, enqueued, cancelled, results, scheduled, named, triggered }

  private static func write(_ answer: Answer, _ outcome: borrowing Outcome, to writer: EventWriter) {
    func write(ids: Range<Int>) {
      writer.varint(UInt64(ids.count))
      for index in ids { writer.varint(outcome.ids[index].rawValue) }
    }
    func write(refusals: Range<Int>) {
      writer.varint(UInt64(refusals.count))
      for index in refusals {
        let refusal = outcome.refusals[index]
        writer.varint(refusal.id.rawValue)
        writer.varint(refusal.token.rawValue)
        writer.byte(refusal.code.rawValue)
      }
    }
    switch answer {
    case .settled(let refusals):
      writer.byte(AnswerTag.settled.rawValue)
      write(refusals: refusals)
    case .enqueued(let ids, let duplicates):
      writer.byte(AnswerTag.enqueued.rawValue)
      write(ids: ids)
      writer.varint(UInt64(duplicates.count))
      for index in duplicates { writer.varint(UInt64(outcome.indexes[index])) }
    case .cancelled(let ids, let leased, let refusals):
      writer.byte(AnswerTag.cancelled.rawValue)
      write(ids: ids)
      write(ids: leased)
      write(refusals: refusals)
    case .large(let index):
      switch outcome.large[index] {
      case .results(let answers):
        writer.byte(AnswerTag.results.rawValue)
        writer.varint(UInt64(answers.count))
        for answer in answers { Self.write(answer, outcome, to: writer) }
      case .scheduled(let receipts):
        writer.byte(AnswerTag.scheduled.rawValue)
        writer.varint(UInt64(receipts.count))
        for receipt in receipts {
          writer.byte(receipt.status.rawValue)
          writer.varint(UInt64(receipt.changed))
          writer.varint(receipt.dueMilliseconds.map { UInt64($0) + 1 } ?? 0)
        }
      case .named(let refusals, let ids):
        writer.byte((ids == nil ? AnswerTag.named : .triggered).rawValue)
        writer.varint(UInt64(refusals.count))
        for refusal in refusals {
          writer.varint(UInt64(refusal.index))
          writer.byte(refusal.code.rawValue)
        }
        guard let ids else { break }
        writer.varint(UInt64(ids.count))
        for id in ids { writer.varint(id.rawValue) }
      default: preconditionFailure("only answers of remembered methods are written")
      }
    default: preconditionFailure("only answers of remembered methods are written")
    }
  }

  private func read(_ reader: inout EventReader, into outcome: inout Outcome) -> Answer {
    func readIDs(_ reader: inout EventReader, _ outcome: inout Outcome) -> Range<Int> {
      let first = outcome.ids.count
      for _ in 0..<reader.itemCount() { outcome.ids.append(JobID(rawValue: reader.varint())) }
      return first..<outcome.ids.count
    }
    func readRefusals(_ reader: inout EventReader, _ outcome: inout Outcome) -> Range<Int> {
      let first = outcome.refusals.count
      for _ in 0..<reader.itemCount() {
        let id = JobID(rawValue: reader.varint())
        let token = LeaseToken(rawValue: reader.varint())
        outcome.refusals.append(Refusal(id: id, token: token, code: ErrorCode(rawValue: reader.byte()) ?? .leaseLost))
      }
      return first..<outcome.refusals.count
    }
    func readRefusedNames(_ reader: inout EventReader) -> [NameRefusal] {
      (0..<reader.itemCount()).map { _ in
        let index = Int(reader.varint32())
        return NameRefusal(index: index, code: ErrorCode(rawValue: reader.byte()) ?? .notFound)
      }
    }
    switch AnswerTag(rawValue: reader.byte()) {
    case .settled, nil: return .settled(refusals: readRefusals(&reader, &outcome))
    case .enqueued:
      let ids = readIDs(&reader, &outcome)
      let first = outcome.indexes.count
      for _ in 0..<reader.itemCount() { outcome.indexes.append(Int(reader.varint32())) }
      return .enqueued(ids: ids, duplicates: first..<outcome.indexes.count)
    case .cancelled:
      let ids = readIDs(&reader, &outcome)
      let leased = readIDs(&reader, &outcome)
      return .cancelled(ids: ids, leased: leased, refusals: readRefusals(&reader, &outcome))
    case .results:
      var answers: [Answer] = []
      for _ in 0..<reader.itemCount() { answers.append(read(&reader, into: &outcome)) }
      return outcome.add(.results(answers))
    case .scheduled:
      var receipts: [ScheduleReceipt] = []
      for _ in 0..<reader.itemCount() {
        let status = ScheduleReceipt.Status(rawValue: reader.byte()) ?? .unchanged
        let changed = reader.varint32()
        let due = reader.varint()
        receipts.append(
          ScheduleReceipt(status: status, changed: changed, dueMilliseconds: due == 0 ? nil : Int64(clamping: due - 1)))
      }
      return outcome.add(.scheduled(receipts))
    case .named: return outcome.add(.named(readRefusedNames(&reader), ids: nil))
    case .triggered:
      let refusals = readRefusedNames(&reader)
      let range = readIDs(&reader, &outcome)
      return outcome.add(.named(refusals, ids: Array(outcome.ids[range])))
    }
  }
}
