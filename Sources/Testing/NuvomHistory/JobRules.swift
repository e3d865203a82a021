/// All that is known of one job, as places in the checker's sorted lists.
struct JobFacts {
  let id: UInt64
  var births: Range<Int>
  var deliveries: Range<Int>
  var settlements: Range<Int>
  var cancels: Range<Int>
  var looks: Range<Int>
  var revivals: Range<Int>
}

/// What a job's walk needs of the whole history.
struct Surroundings {
  /// The schedule of each job that a trigger's answer named.
  var triggered: [UInt64: Int32] = [:]
  /// Payloads of each schedule's possible definitions, and whether its fires cancel.
  var payloads: [Set<UInt64>]
  var cancelsPrevious: [Bool]
  /// When the first possible purge of a queue was sent.
  var purged: [UInt64: UInt64] = [:]
  /// Jobs that nobody was told to have enqueued.
  var strangers: [(payload: UInt64, id: UInt64)] = []
  var fired: [FiredJob] = []
}

extension HistoryChecker {
  func verdict(_ operation: Int) -> Verdict { operations[operation].verdict }

  /// Goes through the jobs by their ids.
  mutating func checkJobs() {
    deliveries.sort { ($0.id, $0.token, $0.received) < ($1.id, $1.token, $1.received) }
    settlements.sort { ($0.id, $0.token, $0.sent, $0.operation) < ($1.id, $1.token, $1.sent, $1.operation) }
    cancels.sort { ($0.id, $0.operation) < ($1.id, $1.operation) }
    looks.sort { ($0.id, $0.at, $0.asked) < ($1.id, $1.at, $1.asked) }
    revivals.sort { ($0.id, $0.operation) < ($1.id, $1.operation) }
    let known = births.filter { $0.id != 0 && !$0.isDuplicate }.sorted { ($0.id, $0.operation) < ($1.id, $1.operation) }
    var around = surroundings()
    var facts = JobFacts(
      id: 0, births: 0..<0, deliveries: 0..<0, settlements: 0..<0, cancels: 0..<0, looks: 0..<0, revivals: 0..<0)
    while true {
      let next = [
        known.indices.contains(facts.births.upperBound) ? known[facts.births.upperBound].id : .max,
        deliveries.indices.contains(facts.deliveries.upperBound)
          ? deliveries[facts.deliveries.upperBound].id : .max,
        looks.indices.contains(facts.looks.upperBound) ? looks[facts.looks.upperBound].id : .max,
      ]
      let id = min(next[0], next[1], next[2])
      if id == .max { break }
      facts = JobFacts(
        id: id, births: Self.range(of: id, in: known, after: facts.births.upperBound) { $0.id },
        deliveries: Self.range(of: id, in: deliveries, after: facts.deliveries.upperBound) { $0.id },
        settlements: Self.range(of: id, in: settlements, after: facts.settlements.upperBound) { $0.id },
        cancels: Self.range(of: id, in: cancels, after: facts.cancels.upperBound) { $0.id },
        looks: Self.range(of: id, in: looks, after: facts.looks.upperBound) { $0.id },
        revivals: Self.range(of: id, in: revivals, after: facts.revivals.upperBound) { $0.id })
      let birth = facts.births.isEmpty ? nil : known[facts.births.lowerBound]
      for index in facts.births.dropFirst() {
        complain(
          .ids,
          "job \(hex(id)) was answered to \(words(known[index - 1].operation)) and to \(words(known[index].operation))")
      }
      checkOrigin(facts, birth, &around)
      checkSequence(facts, birth)
      checkSettlements(facts, around)
      checkCancels(facts)
      checkLooks(facts, birth, around)
    }
    checkStrangers(around.strangers)
    firedJobs = around.fired
  }

  /// The elements with an id in a sorted list, passing over those with lower ones.
  private static func range<Element>(
    of id: UInt64, in list: [Element], after start: Int, _ key: (Element) -> UInt64
  ) -> Range<Int> {
    var lower = start
    while lower < list.count, key(list[lower]) < id { lower += 1 }
    var upper = lower
    while upper < list.count, key(list[upper]) == id { upper += 1 }
    return lower..<upper
  }

  private func surroundings() -> Surroundings {
    var around = Surroundings(
      payloads: Array(repeating: [], count: scheduleNames.count),
      cancelsPrevious: Array(repeating: false, count: scheduleNames.count))
    for trigger in triggers where trigger.id != 0 { around.triggered[trigger.id] = trigger.schedule }
    for definition in definitions where verdict(definition.operation).isPossible {
      around.payloads[Int(definition.schedule)].insert(definition.definition.payload)
      if definition.definition.cancelsPrevious { around.cancelsPrevious[Int(definition.schedule)] = true }
    }
    for purge in purges where verdict(purge.operation).isPossible {
      let sent = operations[purge.operation].sent
      around.purged[purge.queue] = min(around.purged[purge.queue] ?? .max, sent)
    }
    return around
  }

  // MARK: Where it comes from, and what it carries

  private mutating func checkOrigin(_ facts: JobFacts, _ birth: Birth?, _ around: inout Surroundings) {
    let id = facts.id
    let triggered = around.triggered[id]
    let first = facts.deliveries.first.map { deliveries[$0] }
    if let first, deliveries[facts.deliveries].contains(where: { $0.schedule != first.schedule || $0.due != first.due })
    {
      complain(.ids, "job \(hex(id)) was delivered for two schedules or due times")
    }
    if let birth, let first, first.schedule >= 0 {
      complain(
        .ids,
        "job \(hex(id)) was answered to \(words(birth.operation)), and came from \(scheduleNames[Int(first.schedule)])")
    }
    if let birth {
      let operation = operations[birth.operation]
      checkPayloads(facts) { $0 == birth.job.payload }
      if let first = deliveries[facts.deliveries].min(by: { $0.received < $1.received }),
        first.received.plus(clockSlack) < operation.sent.plus(birth.job.delayNanoseconds)
      {
        complain(.early, "job \(hex(id)) came before its delay was over, or before it was enqueued")
      }
    } else if let first, first.schedule >= 0 {
      let payloads = around.payloads[Int(first.schedule)]
      if payloads.isEmpty {
        complain(.fireTwice, "job \(hex(id)) came from \(scheduleNames[Int(first.schedule)]), which nobody has defined")
      } else {
        checkPayloads(facts) { payloads.contains($0) }
      }
      if let triggered, triggered != first.schedule {
        complain(.ids, "job \(hex(id)) was triggered of one schedule, and came from another")
      }
      let received = deliveries[facts.deliveries].map(\.received).min() ?? first.received
      around.fired.append(
        FiredJob(
          schedule: first.schedule, due: first.due, id: id, isTriggered: triggered != nil, received: received))
    } else if let triggered {
      checkPayloads(facts) { around.payloads[Int(triggered)].contains($0) }
    } else if let payload = first?.payload ?? looks[facts.looks].lazy.compactMap({ $0.job?.payload }).first {
      checkPayloads(facts) { $0 == payload }
      // A job that was only looked at may be a fire's, whose schedule a look does not tell.
      if first != nil || !around.payloads.contains(where: { $0.contains(payload) }) {
        around.strangers.append((payload, id))
      }
    }
  }

  private mutating func checkPayloads(_ facts: JobFacts, _ isRight: (UInt64) -> Bool) {
    for delivery in deliveries[facts.deliveries] where !isRight(delivery.payload) {
      complain(.payload, "job \(hex(facts.id)) came with other bytes under token \(delivery.token)")
    }
    for look in looks[facts.looks] {
      guard let payload = look.job?.payload, !isRight(payload) else { continue }
      complain(.payload, "job \(hex(facts.id)) is known with other bytes")
    }
  }

  /// Of each payload no more jobs than enqueues without an answer.
  private mutating func checkStrangers(_ strangers: [(payload: UInt64, id: UInt64)]) {
    if strangers.isEmpty { return }
    var possible: [UInt64: Int] = [:]
    var told: Set<UInt64> = []
    for birth in births {
      let verdict = verdict(birth.operation)
      if verdict == .open || verdict == .unknown { possible[birth.job.payload, default: 0] += 1 }
      told.insert(birth.job.payload)
    }
    let sorted = strangers.sorted { ($0.payload, $0.id) < ($1.payload, $1.id) }
    for stranger in sorted {
      let left = possible[stranger.payload] ?? 0
      possible[stranger.payload] = left - 1
      if left > 0 { continue }
      if told.contains(stranger.payload) {
        complain(.twice, "job \(hex(stranger.id)) is one more of an enqueue that was done once or refused")
      } else {
        complain(.payload, "job \(hex(stranger.id)) carries bytes that nobody has enqueued")
      }
    }
  }

  // MARK: One delivery after the other

  private mutating func checkSequence(_ facts: JobFacts, _ birth: Birth?) {
    let isReplayed = revivals[facts.revivals].contains { $0.isReplay && verdict($0.operation).isPossible }
    if let first = facts.deliveries.first, deliveries[first].attempt == 0 {
      complain(.attempts, "job \(hex(facts.id)) came as attempt 0")
    }
    if let maximum = birth?.job.maximumAttempts, maximum > 0, !isReplayed {
      for delivery in deliveries[facts.deliveries] where delivery.attempt > maximum {
        complain(.attempts, "job \(hex(facts.id)) came as attempt \(delivery.attempt) of \(maximum)")
      }
    }
    for index in facts.deliveries.dropFirst() {
      check(deliveries[index - 1], before: deliveries[index], of: facts, isReplayed)
    }
  }

  private mutating func check(
    _ earlier: DeliveryTrack, before later: DeliveryTrack, of facts: JobFacts, _ isReplayed: Bool
  ) {
    var end = surelyHeld(earlier, facts)
    var fewest: UInt64 = 1
    var most: UInt64 = 1
    var isSettled = false
    for settlement in settlements[facts.settlements] where settlement.token == earlier.token {
      guard settlement.kind == .nack || settlement.kind == .release, settlement.refusal == .none else { continue }
      let verdict = verdict(settlement.operation)
      guard verdict.isPossible else { continue }
      // A dead letter that is replayed is ready at once.
      let freed = settlement.sent.plus(isReplayed ? 0 : settlement.nanoseconds)
      isSettled = true
      if verdict == .done {
        end = freed
        fewest = settlement.kind == .nack ? 1 : 0
        most = fewest
        break
      }
      end = min(end, freed)
      if settlement.kind == .release { fewest = 0 }
    }
    if later.received.plus(clockSlack) < end {
      let passed = later.received > earlier.asked ? (later.received - earlier.asked) / 1_000_000 : 0
      complain(
        isSettled ? .early : .lease,
        "job \(hex(facts.id)): token \(later.token) came \(passed) ms after \(earlier.token) was asked for, under its lease or delay"
      )
    }
    // Deliveries that nobody received may lie between; each has a token.
    let between = later.token - min(later.token, earlier.token.plus(1))
    let attempt = UInt64(earlier.attempt)
    if UInt64(later.attempt) < min(attempt + fewest, 65_535) {
      complain(
        .attempts,
        "job \(hex(facts.id)) came as attempt \(earlier.attempt) under token \(earlier.token), and as \(later.attempt) under \(later.token)"
      )
    } else if UInt64(later.attempt) > (attempt + most).plus(between) {
      complain(
        .attempts,
        "job \(hex(facts.id)) rose from attempt \(earlier.attempt) under token \(earlier.token) to \(later.attempt) under \(later.token)"
      )
    }
  }

  /// Until when a lease lasts at least, if nothing settles it.
  private func surelyHeld(_ delivery: DeliveryTrack, _ facts: JobFacts) -> UInt64 {
    var end = delivery.asked.plus(delivery.lease)
    var answered: UInt64 = 0
    for settlement in settlements[facts.settlements] where settlement.token == delivery.token {
      let operation = operations[settlement.operation]
      // An extend is not remembered: one that was sent again and then refused may have been done the first time.
      let isSentAgain = operation.lastSent > operation.sent && !operation.isRemembered
      guard settlement.kind == .extend, settlement.refusal == .none || isSentAgain, operation.verdict.isPossible
      else { continue }
      let extended = settlement.sent.plus(settlement.nanoseconds)
      // Which of two that were under way together came last is not known.
      let isAfterAll = settlement.refusal == .none && operation.verdict == .done && answered <= settlement.sent
      end = isAfterAll ? extended : min(end, extended)
      answered = max(answered, operation.answered)
    }
    return end
  }

  // MARK: Settlements

  private mutating func checkSettlements(_ facts: JobFacts, _ around: Surroundings) {
    let isOverlapped = facts.deliveries.first.map { index in
      let schedule = deliveries[index].schedule
      return schedule >= 0 && around.cancelsPrevious[Int(schedule)]
    }
    var last: SettlementTrack?
    for settlement in settlements[facts.settlements] where verdict(settlement.operation) == .done {
      if settlement.refusal == .none {
        checkTaken(settlement, after: last, facts)
        if settlement.kind != .extend { last = settlement }
      } else {
        checkRefused(settlement, facts, isOverlapped: isOverlapped ?? true)
      }
    }
  }

  private mutating func checkTaken(_ settlement: SettlementTrack, after last: SettlementTrack?, _ facts: JobFacts) {
    let id = facts.id
    let newer = deliveries[facts.deliveries].first { $0.token > settlement.token }
    if let newer, newer.received < settlement.sent {
      complain(
        .oldToken,
        "job \(hex(id)): \(settlement.kind) with token \(settlement.token) was taken, after \(newer.token) was received"
      )
    } else if let newer, settlement.kind == .ack {
      complain(
        .done, "job \(hex(id)) was acked with token \(settlement.token), and delivered again with \(newer.token)")
    }
    if let last, last.token == settlement.token {
      if settlement.kind != .extend {
        complain(
          .settledTwice,
          "job \(hex(id)): token \(settlement.token) was taken for \(last.kind) and for \(settlement.kind)")
      } else if operations[last.operation].answered <= settlement.sent {
        complain(.oldToken, "job \(hex(id)): token \(settlement.token) was extended after its \(last.kind)")
      }
    }
    for cancel in cancels[facts.cancels] where verdict(cancel.operation) == .done && !cancel.isRefused {
      if operations[cancel.operation].answered <= settlement.sent {
        complain(
          .cancelled, "job \(hex(id)) was cancelled, and then \(settlement.kind) with \(settlement.token) was taken")
      }
    }
  }

  private mutating func checkRefused(_ settlement: SettlementTrack, _ facts: JobFacts, isOverlapped: Bool) {
    let operation = operations[settlement.operation]
    let mayBeCancelled =
      isOverlapped
      || cancels[facts.cancels].contains {
        verdict($0.operation).isPossible && !$0.isRefused && operations[$0.operation].sent <= operation.answered
      }
    if mayBeCancelled { return }
    if settlement.refusal == .cancelled {
      return complain(
        .refusedInTime, "job \(hex(facts.id)): token \(settlement.token) was refused for a cancel that nobody sent")
    }
    guard settlement.refusal == .leaseLost,
      let delivery = deliveries[facts.deliveries].first(where: { $0.token == settlement.token })
    else { return }
    let isSettled = settlements[facts.settlements].contains { other in
      other.token == settlement.token && other.kind != .extend && other.refusal == .none
        && other.operation != settlement.operation && verdict(other.operation).isPossible
    }
    if !isSettled, operation.answered.plus(clockSlack) < surelyHeld(delivery, facts) {
      complain(
        .refusedInTime,
        "job \(hex(facts.id)): \(settlement.kind) with token \(settlement.token) was refused under its lease")
    }
  }

  // MARK: Cancels

  private mutating func checkCancels(_ facts: JobFacts) {
    for cancel in cancels[facts.cancels] where verdict(cancel.operation) == .done && !cancel.isRefused {
      let operation = operations[cancel.operation]
      if let delivery = deliveries[facts.deliveries].first(where: { $0.asked >= operation.answered }) {
        complain(.cancelled, "job \(hex(facts.id)) was cancelled, and then delivered with token \(delivery.token)")
      }
      let wasDone = settlements[facts.settlements].contains { settlement in
        settlement.kind == .ack && settlement.refusal == .none && verdict(settlement.operation) == .done
          && operations[settlement.operation].answered <= operation.sent
      }
      if wasDone { complain(.cancelled, "job \(hex(facts.id)) was acked, and then cancelled") }
    }
  }
}
