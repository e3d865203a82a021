/// Holds what clients saw against what a broker promises (``Complaint/Rule``).
///
/// Feed it the records of each client in that client's order, clients in any order, then ask for ``complaints()``. It knows nothing of the broker but
/// what is in the records; the cost is some hundred nanoseconds a record, and a sort at the end. The same records give the same complaints in the
/// same order.
package struct HistoryChecker {
  /// How much earlier than a client's clock says the broker may have read its own: it reads it once for all that it takes in one go. 0 where time
  /// stands still meanwhile.
  package let clockSlack: UInt64

  var operations: [OperationTrack] = []
  var births: [Birth] = []
  var settlements: [SettlementTrack] = []
  var cancels: [CancelTrack] = []
  var deliveries: [DeliveryTrack] = []
  var looks: [Look] = []
  var listings: [Span] = []
  var definitions: [DefinitionTrack] = []
  var deletes: [NamedTrack] = []
  var triggers: [NamedTrack] = []
  var purges: [PurgeTrack] = []
  var revivals: [RevivalTrack] = []
  var seenSchedules: [SeenScheduleTrack] = []
  var scheduleNames: [String] = []
  private var scheduleNumbers: [String: Int32] = [:]
  private var clients: [ClientTrack] = []
  private var clientNumbers: [String: UInt32] = [:]
  var found: [Complaint] = []
  /// Found by ``checkJobs()`` for ``checkSchedules()``.
  var firedJobs: [FiredJob] = []

  package init(clockSlack: UInt64 = 0) { self.clockSlack = clockSlack }

  /// Records that were taken.
  package private(set) var recordCount = 0
  /// Operations that clients asked for, and deliveries that they received.
  package var operationCount: Int { operations.count }
  package var deliveryCount: Int { deliveries.count }
  /// Deliveries that a schedule's fire was in, of which one may have had several.
  package var fireDeliveryCount: Int { deliveries.reduce(0) { $0 + ($1.schedule >= 0 ? 1 : 0) } }

  /// The number of a client: for one name always the same.
  package mutating func client(named name: String) -> UInt32 {
    if let number = clientNumbers[name] { return number }
    let number = UInt32(clients.count)
    clientNumbers[name] = number
    clients.append(ClientTrack(name: name))
    return number
  }

  /// Takes what a client did or saw. The client must have been named.
  package mutating func note(_ record: History.Record) {
    precondition(record.client < clients.count, "a client has a name before it has records")
    recordCount += 1
    let at = record.at
    switch record.event {
    case .sent(let request, let operation): noteSent(record.client, request, operation, at)
    case .sentAgain(let request):
      guard let index = clients[Int(record.client)].operations[request] else {
        return complain(.protocolOrder, "\(name(record.client)) sends request \(request) again, which it never sent")
      }
      operations[index].lastSent = at
    case .answered(let request, let answer):
      guard let index = clients[Int(record.client)].operations[request] else {
        return complain(.protocolOrder, "\(name(record.client)) was answered request \(request), which it never sent")
      }
      noteAnswered(index, answer, at)
    case .greeted(let asked, let highest): noteGreeted(record.client, asked, highest)
    case .saw(let asked, let id, let job):
      looks.append(Look(id: id, asked: asked, at: at, job: job, listing: -1))
    case .listed(let asked, let jobs):
      let listing = Int32(listings.count)
      listings.append(Span(asked: asked, at: at))
      for job in jobs { looks.append(Look(id: job.id, asked: asked, at: at, job: job, listing: listing)) }
    case .sawSchedule(let asked, let seen):
      seenSchedules.append(SeenScheduleTrack(schedule: number(ofSchedule: seen.name), asked: asked, at: at, seen: seen))
    }
  }

  // MARK: Requests

  private mutating func noteSent(_ client: UInt32, _ request: UInt64, _ operation: History.Operation, _ at: UInt64) {
    if clients[Int(client)].operations[request] != nil {
      return complain(.protocolOrder, "\(name(client)) has two requests \(request)")
    }
    let index = operations.count
    let isRemembered = operation.isRemembered
    clients[Int(client)].operations[request] = index
    if isRemembered { clients[Int(client)].highestSent = max(clients[Int(client)].highestSent, request) }
    var track = OperationTrack(client: client, request: request, at: at, isRemembered: isRemembered)
    track.births = births.count..<births.count + operation.jobs.count
    for job in operation.jobs { births.append(Birth(operation: index, job: job)) }
    track.settlements = settlements.count..<settlements.count + operation.settlements.count
    for settlement in operation.settlements {
      settlements.append(SettlementTrack(operation: index, sent: at, settlement))
    }
    track.cancels = cancels.count..<cancels.count + operation.cancels.count
    for id in operation.cancels { cancels.append(CancelTrack(operation: index, id: id)) }
    track.definitions = definitions.count..<definitions.count + operation.definitions.count
    for definition in operation.definitions {
      definitions.append(
        DefinitionTrack(operation: index, schedule: number(ofSchedule: definition.name), definition: definition))
    }
    for name in operation.deletes { deletes.append(NamedTrack(operation: index, schedule: number(ofSchedule: name))) }
    track.triggers = triggers.count..<triggers.count + operation.triggers.count
    for name in operation.triggers { triggers.append(NamedTrack(operation: index, schedule: number(ofSchedule: name))) }
    for queue in operation.purges { purges.append(PurgeTrack(operation: index, queue: queue)) }
    for id in operation.replays { revivals.append(RevivalTrack(operation: index, id: id, isReplay: true)) }
    for id in operation.removes { revivals.append(RevivalTrack(operation: index, id: id, isReplay: false)) }
    operations.append(track)
  }

  /// Codes that leave open whether the request was done.
  private static let uncertain: Set<String> = ["STORAGE_UNKNOWN", "REQUEST_FORGOTTEN", "SHUTTING_DOWN"]

  private mutating func noteAnswered(_ index: Int, _ answer: History.Answer, _ at: UInt64) {
    let before = operations[index].verdict
    if let error = answer.error {
      if Self.uncertain.contains(error) {
        if before == .open { operations[index].verdict = .unknown }
      } else if before == .done, operations[index].isRemembered {
        complain(.retry, "\(words(index)) was done, and then refused with \(error)")
      } else if before != .done {
        operations[index].verdict = .refused
      }
      return
    }
    guard answer.ids.count >= operations[index].births.count else {
      return complain(.protocolOrder, "\(words(index)) was answered with \(answer.ids.count) ids")
    }
    guard answer.receipts.count == operations[index].definitions.count else {
      return complain(.protocolOrder, "\(words(index)) was answered with \(answer.receipts.count) receipts")
    }
    noteDeliveries(answer, of: index, at)
    if before == .done {
      if operations[index].isRemembered, !isSame(answer, index) {
        complain(.retry, "\(words(index)) was answered otherwise when it was sent again")
      }
      return
    }
    operations[index].verdict = .done
    operations[index].answered = at
    let client = Int(operations[index].client)
    if operations[index].isRemembered {
      clients[client].highestDone = max(clients[client].highestDone, operations[index].request)
    }
    take(answer, index)
  }

  private mutating func noteDeliveries(_ answer: History.Answer, of index: Int, _ at: UInt64) {
    for delivery in answer.deliveries {
      var track = DeliveryTrack(
        delivery, client: operations[index].client, asked: operations[index].lastSent, received: at)
      if let fire = delivery.fire {
        track.schedule = number(ofSchedule: fire.schedule)
        track.due = fire.due
      }
      deliveries.append(track)
    }
  }

  /// The first answer: what it says of each part.
  private mutating func take(_ answer: History.Answer, _ index: Int) {
    let operation = operations[index]
    for (place, birth) in operation.births.enumerated() { births[birth].id = answer.ids[place] }
    for place in answer.duplicates where operation.births.indices.contains(operation.births.lowerBound + place) {
      births[operation.births.lowerBound + place].isDuplicate = true
    }
    for place in refusedSettlements(answer, operation) {
      settlements[place.settlement].refusal = place.code == "CANCELLED" ? .cancelled : .other
      if place.code == "LEASE_LOST" { settlements[place.settlement].refusal = .leaseLost }
    }
    for refusal in answer.refused where refusal.token == 0 {
      for cancel in operation.cancels where cancels[cancel].id == refusal.id { cancels[cancel].isRefused = true }
    }
    for (place, definition) in operation.definitions.enumerated() {
      definitions[definition].receipt = answer.receipts[place]
    }
    let triggered = answer.ids.dropFirst(operation.births.count)
    if triggered.count == operation.triggers.count {
      for (trigger, id) in zip(operation.triggers, triggered) { triggers[trigger].id = id }
    }
  }

  private func refusedSettlements(
    _ answer: History.Answer, _ operation: OperationTrack
  ) -> [(settlement: Int, code: String)] {
    if answer.refused.isEmpty || operation.settlements.isEmpty { return [] }
    let codes = Dictionary(
      answer.refused.filter { $0.token != 0 }.map { (JobToken(id: $0.id, token: $0.token), $0.code) },
      uniquingKeysWith: { first, _ in first })
    return operation.settlements.compactMap { place in
      codes[JobToken(id: settlements[place].id, token: settlements[place].token)].map { (place, $0) }
    }
  }

  /// Whether a later answer says of each part what the first one said.
  private func isSame(_ answer: History.Answer, _ index: Int) -> Bool {
    let operation = operations[index]
    for (place, birth) in operation.births.enumerated() where births[birth].id != answer.ids[place] { return false }
    let refusedNow = refusedSettlements(answer, operation).map(\.settlement)
    let refusedThen = operation.settlements.filter { settlements[$0].refusal != .none }
    if refusedNow != refusedThen { return false }
    let cancelled = Set(answer.refused.filter { $0.token == 0 }.map(\.id))
    for cancel in operation.cancels where cancelled.contains(cancels[cancel].id) != cancels[cancel].isRefused {
      return false
    }
    for (place, definition) in operation.definitions.enumerated()
    where definitions[definition].receipt != answer.receipts[place] { return false }
    let triggered = answer.ids.dropFirst(operation.births.count)
    return !zip(operation.triggers, triggered).contains { triggers[$0].id != $1 }
  }

  private mutating func noteGreeted(_ client: UInt32, _ asked: UInt64, _ highest: UInt64) {
    let track = clients[Int(client)]
    if highest < track.highestDone {
      complain(.remembered, "\(track.name): request \(track.highestDone) was answered, \(highest) is the highest known")
    }
    if highest > track.highestSent {
      complain(.remembered, "\(track.name): request \(highest) is known, \(track.highestSent) is the highest sent")
    }
  }

  // MARK: Names

  private mutating func number(ofSchedule name: String) -> Int32 {
    if let number = scheduleNumbers[name] { return number }
    let number = Int32(scheduleNames.count)
    scheduleNumbers[name] = number
    scheduleNames.append(name)
    return number
  }

  func name(_ client: UInt32) -> String { clients[Int(client)].name }

  func words(_ operation: Int) -> String {
    "request \(operations[operation].request) of \(name(operations[operation].client))"
  }

  /// Complaints that are kept: a broker that breaks a rule breaks it again and again.
  private static let kept = 10_000

  mutating func complain(_ rule: Complaint.Rule, _ text: String) {
    if found.count < Self.kept { found.append(Complaint(rule: rule, text: text)) }
  }

  // MARK: The end

  /// What was broken, in an order that follows from the records alone: first what was seen while they were taken, then by tokens, by job, by schedule. At
  /// most 10,000. More records may be taken afterwards.
  package func complaints() -> [Complaint] {
    var judge = self
    judge.checkTokens()
    judge.checkJobs()
    judge.checkUniqueKeys()
    judge.checkSchedules()
    return judge.found
  }
}
