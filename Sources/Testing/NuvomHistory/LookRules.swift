extension HistoryChecker {
  /// What was seen of a job when somebody looked for it, or for all jobs.
  mutating func checkLooks(_ facts: JobFacts, _ birth: Birth?, _ around: Surroundings) {
    // When it was first known to be there.
    let born = min(
      birth.map { operations[$0.operation].answered } ?? .max,
      deliveries[facts.deliveries].map(\.received).min() ?? .max)
    var gone = UInt64.max
    for look in looks[facts.looks] {
      if let job = look.job {
        checkSeen(job, look, facts, birth, around)
        if look.asked >= gone { complain(.lost, "job \(hex(facts.id)) was gone, and came back") }
      } else {
        if born <= look.asked { gone = min(gone, look.at) }
        checkGone(look.asked, look.at, born, facts, birth, around)
      }
    }
    for (number, listing) in listings.enumerated() where born <= listing.asked {
      if looks[facts.looks].contains(where: { $0.listing == Int32(number) }) { continue }
      gone = min(gone, listing.at)
      checkGone(listing.asked, listing.at, born, facts, birth, around)
    }
    if let delivery = deliveries[facts.deliveries].first(where: { $0.asked >= gone }) {
      complain(.lost, "job \(hex(facts.id)) was gone, and was delivered with token \(delivery.token)")
    }
  }

  /// Whether an operation can have happened before a time.
  private func isPossible(_ operation: Int, before time: UInt64) -> Bool {
    operations[operation].verdict.isPossible && operations[operation].sent <= time
  }

  /// An ack that can have finished the job: not one whose token a later delivery has taken the place of.
  private func mayBeAcked(before time: UInt64, _ facts: JobFacts) -> Bool {
    let last = facts.deliveries.last.map { deliveries[$0].token } ?? 0
    return settlements[facts.settlements].contains {
      $0.kind == .ack && $0.refusal == .none && $0.token >= last && isPossible($0.operation, before: time)
    }
  }

  private func mayBeCancelled(before time: UInt64, _ facts: JobFacts, _ birth: Birth?, _ around: Surroundings) -> Bool {
    if cancels[facts.cancels].contains(where: { !$0.isRefused && isPossible($0.operation, before: time) }) {
      return true
    }
    if let queue = birth?.job.queue, queue != 0, let purged = around.purged[queue], purged <= time { return true }
    let schedule = facts.deliveries.first.map { deliveries[$0].schedule } ?? around.triggered[facts.id] ?? -1
    return schedule >= 0 && around.cancelsPrevious[Int(schedule)]
  }

  private mutating func checkGone(
    _ asked: UInt64, _ at: UInt64, _ born: UInt64, _ facts: JobFacts, _ birth: Birth?, _ around: Surroundings
  ) {
    guard born <= asked, !mayBeAcked(before: at, facts), !mayBeCancelled(before: at, facts, birth, around),
      !revivals[facts.revivals].contains(where: { !$0.isReplay && isPossible($0.operation, before: at) })
    else { return }
    complain(.lost, "job \(hex(facts.id)) is lost")
  }

  private mutating func checkSeen(
    _ job: History.SeenJob, _ look: Look, _ facts: JobFacts, _ birth: Birth?, _ around: Surroundings
  ) {
    let id = facts.id
    let isAcked = settlements[facts.settlements].contains {
      $0.kind == .ack && $0.refusal == .none && verdict($0.operation) == .done
        && operations[$0.operation].answered <= look.asked
    }
    let isKept = birth?.job.isKept ?? true
    if isAcked, job.state != .succeeded || !isKept {
      return complain(.done, "job \(hex(id)) was acked, and is \(job.state)")
    }
    let isCancelled = cancels[facts.cancels].contains {
      !$0.isRefused && verdict($0.operation) == .done && operations[$0.operation].answered <= look.asked
    }
    if isCancelled, job.state != .cancelled {
      complain(.cancelled, "job \(hex(id)) was cancelled, and is \(job.state)")
    }
    switch job.state {
    case .succeeded:
      if !mayBeAcked(before: look.at, facts) {
        complain(.state, "job \(hex(id)) has succeeded, and nobody has acked it")
      }
    case .cancelled:
      if !mayBeCancelled(before: look.at, facts, birth, around) {
        complain(.state, "job \(hex(id)) is cancelled, and nobody has cancelled it")
      }
    case .dead: checkDead(job, look, facts, birth)
    case .ready, .delayed, .leased: break
    }
    for delivery in deliveries[facts.deliveries] where delivery.received <= look.asked {
      if job.attempt < delivery.attempt {
        complain(.attempts, "job \(hex(id)) is at attempt \(job.attempt) after \(delivery.attempt) was delivered")
      }
      if job.state == .leased, job.token != 0, job.token < delivery.token {
        complain(.tokens, "job \(hex(id)) is under token \(job.token) after \(delivery.token) was delivered")
      }
    }
  }

  private mutating func checkDead(_ job: History.SeenJob, _ look: Look, _ facts: JobFacts, _ birth: Birth?) {
    func mayBeNacked(_ isEnough: (SettlementTrack) -> Bool) -> Bool {
      settlements[facts.settlements].contains {
        $0.kind == .nack && $0.refusal == .none && isPossible($0.operation, before: look.at) && isEnough($0)
      }
    }
    switch job.reason {
    case "expired":
      if let birth, !birth.job.mayExpire { complain(.state, "job \(hex(facts.id)) has expired, and had no expiry") }
    case "rejected":
      if !mayBeNacked({ $0.isLast }) {
        complain(.state, "job \(hex(facts.id)) is rejected, and nobody has rejected it")
      }
    case "failed":
      let maximum = birth?.job.maximumAttempts ?? 0
      let isUsedUp = mayBeNacked { nack in
        maximum == 0
          || deliveries[facts.deliveries].contains { $0.token == nack.token && $0.attempt >= maximum }
      }
      if !isUsedUp { complain(.state, "job \(hex(facts.id)) has failed, and its attempts were not used up by a nack") }
    case "lease_expired":
      if let maximum = birth?.job.maximumAttempts, maximum > 0, job.attempt < maximum {
        complain(.state, "job \(hex(facts.id)) died of a lost lease in attempt \(job.attempt) of \(maximum)")
      }
    default: complain(.state, "job \(hex(facts.id)) is dead for \(job.reason)")
    }
  }
}
