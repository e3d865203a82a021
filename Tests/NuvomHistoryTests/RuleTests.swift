import NuvomHistory
import Testing

/// A small history and the one rule that it breaks; none for a lawful one.
struct RuleRow: CustomTestStringConvertible, Sendable {
  let rule: Complaint.Rule?
  let testDescription: String
  let tell: @Sendable (inout Story) -> Void

  init(_ rule: Complaint.Rule?, _ text: String, _ tell: @escaping @Sendable (inout Story) -> Void) {
    self.rule = rule
    testDescription = text
    self.tell = tell
  }
}

@Test("A history that breaks a rule is complained of under that rule, a lawful one not at all", arguments: rows)
func rule(row: RuleRow) {
  var story = Story()
  row.tell(&story)
  let rules = story.complaints.map(\.rule)
  #expect(Set(rules) == Set(row.rule.map { [$0] } ?? []), "\(story.complaints)")
}

@Test("Each rule has a history that breaks it", arguments: Complaint.Rule.allCases)
func coverage(rule: Complaint.Rule) {
  #expect(rows.contains { $0.rule == rule })
}

private let rows = jobRows + leaseRows + settlementRows + requestRows + scheduleRows

private let jobRows: [RuleRow] = [
  RuleRow(nil, "a job is enqueued, delivered and acked") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.ack, 1, token: 1)
    story.missing(1)
  },
  RuleRow(.lost, "a job that was acknowledged is gone") { story in
    story.enqueue("a", id: 1)
    story.missing(1)
  },
  RuleRow(.lost, "a job that was acknowledged is not in the list of all") { story in
    story.enqueue("a", id: 1)
    story.enqueue("b", id: 2)
    story.list([(2, .ready)])
  },
  RuleRow(nil, "a job that was acknowledged while the list was asked for is not in it") { story in
    let asked = story.time
    story.enqueue("a", id: 1)
    story.note("o", .listed(asked: asked, []))
  },
  RuleRow(nil, "a job is gone after an ack that was never answered") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.ack, 1, token: 1, "?")
    story.missing(1)
  },
  RuleRow(.lost, "a job is gone after an ack that was never answered, and that another delivery came after") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1, lease: 10)
    story.settle(.ack, 1, token: 1, "?")
    story.pass(milliseconds: 100)
    story.deliver(1, "a", token: 2, attempt: 2)
    story.missing(1)
  },
  RuleRow(.lost, "a job is gone after an ack that was refused") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1, lease: 1)
    story.settle(.ack, 1, token: 1, "LEASE_LOST")
    story.missing(1)
  },
  RuleRow(.lost, "a job that was gone is delivered") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1, lease: 1)
    story.settle(.ack, 1, token: 1, "?")
    story.missing(1)
    story.deliver(1, "a", token: 2, attempt: 2)
  },
  RuleRow(nil, "jobs that were cancelled, purged or deleted among the dead are gone") { story in
    story.enqueue("a", id: 1)
    story.cancel(1)
    story.missing(1)
    story.enqueue("b", id: 2) { $0.queue = 7 }
    story.answer(story.ask("o") { $0.purges = [7] })
    story.missing(2)
    story.enqueue("c", id: 3)
    story.answer(story.ask("o") { $0.removes = [3] })
    story.missing(3)
  },
  RuleRow(.payload, "a job comes with other bytes") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "b", token: 1)
  },
  RuleRow(.payload, "a job is known with other bytes") { story in
    story.enqueue("a", id: 1)
    story.see(1, .ready, "b")
  },
  RuleRow(.payload, "a job comes that nobody has enqueued") { story in
    story.deliver(1, "a", token: 1)
  },
  RuleRow(.payload, "a schedule's job comes with other bytes than its definition's") { story in
    story.define("s", due: 100)
    story.deliver(1, "other", token: 1, fire: History.Fire(schedule: "s", due: 100))
  },
  RuleRow(nil, "an enqueue without an answer has happened") { story in
    story.enqueue("a", id: nil)
    story.deliver(1, "a", token: 1)
  },
  RuleRow(.twice, "an enqueue without an answer has happened twice") { story in
    story.enqueue("a", id: nil)
    story.deliver(1, "a", token: 1)
    story.deliver(2, "a", token: 2)
  },
  RuleRow(.twice, "an enqueue that was sent again has made a second job") { story in
    let asked = story.enqueue("a", id: nil)
    story.askAgain(asked)
    story.answer(asked) { $0.ids = [1] }
    story.deliver(2, "a", token: 1)
  },
  RuleRow(.twice, "an enqueue that was refused has happened") { story in
    story.answer(story.enqueue("a", id: nil)) { $0.error = "MEMORY_FULL" }
    story.deliver(1, "a", token: 1)
  },
  RuleRow(nil, "an enqueue that was answered STORAGE_UNKNOWN has happened") { story in
    story.answer(story.enqueue("a", id: nil)) { $0.error = "STORAGE_UNKNOWN" }
    story.deliver(1, "a", token: 1)
  },
  RuleRow(.ids, "two enqueues are given one id") { story in
    story.enqueue("a", id: 1)
    story.enqueue("a", id: 1)
  },
  RuleRow(.ids, "a job that a client enqueued comes from a schedule") { story in
    story.define("a", due: 100)
    story.enqueue("a", id: 1)
    story.fire("a", 100, id: 1, token: 1)
  },
  RuleRow(.unique, "a key enqueues twice in its window") { story in
    for id: UInt64 in [1, 2] { story.enqueue("a\(id)", id: id) { $0.setKey(5, milliseconds: 1_000) } }
  },
  RuleRow(nil, "a key enqueues again after its window, and is a duplicate within it") { story in
    story.enqueue("a", id: 1) { $0.setKey(5, milliseconds: 1_000) }
    let again = story.enqueue("b", id: nil) { $0.setKey(5, milliseconds: 1_000) }
    story.answer(again) { answer in
      answer.ids = [1]
      answer.duplicates = [0]
    }
    story.pass(milliseconds: 1_000)
    story.enqueue("c", id: 2) { $0.setKey(5, milliseconds: 1_000) }
    story.list([(1, .ready), (2, .ready)])
  },
  RuleRow(.unique, "a duplicate is answered with a job of another key") { story in
    story.enqueue("a", id: 1)
    let again = story.enqueue("b", id: nil) { $0.setKey(5, milliseconds: 1_000) }
    story.answer(again) { answer in
      answer.ids = [1]
      answer.duplicates = [0]
    }
  },
  RuleRow(.early, "a job comes before its delay is over") { story in
    story.enqueue("a", id: 1) { $0.delayNanoseconds = 1_000_000_000 }
    story.deliver(1, "a", token: 1)
  },
  RuleRow(.early, "a job comes back before the delay of its nack is over") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.nack, 1, token: 1, milliseconds: 1_000)
    story.deliver(1, "a", token: 2, attempt: 2)
  },
  RuleRow(.state, "a job has succeeded that nobody acked") { story in
    story.enqueue("a", id: 1) { $0.isKept = true }
    story.see(1, .succeeded)
  },
  RuleRow(.state, "a job is cancelled that nobody cancelled") { story in
    story.enqueue("a", id: 1)
    story.see(1, .cancelled)
  },
  RuleRow(.state, "a job has expired that had no expiry") { story in
    story.enqueue("a", id: 1)
    story.see(1, .dead, reason: "expired")
  },
  RuleRow(.state, "a job is rejected that nobody rejected") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.nack, 1, token: 1)
    story.see(1, .dead, attempt: 1, reason: "rejected")
  },
  RuleRow(.state, "a job has failed before its attempts were used up") { story in
    story.enqueue("a", id: 1) { $0.maximumAttempts = 2 }
    story.deliver(1, "a", token: 1)
    story.settle(.nack, 1, token: 1)
    story.see(1, .dead, attempt: 1, reason: "failed")
  },
  RuleRow(.state, "a job died of a lost lease before its attempts were used up") { story in
    story.enqueue("a", id: 1) { $0.maximumAttempts = 2 }
    story.deliver(1, "a", token: 1)
    story.see(1, .dead, attempt: 1, reason: "lease_expired")
  },
  RuleRow(nil, "jobs are dead for what has happened") { story in
    story.enqueue("a", id: 1) { $0.maximumAttempts = 1 }
    story.deliver(1, "a", token: 1)
    story.settle(.nack, 1, token: 1)
    story.see(1, .dead, attempt: 1, reason: "failed")
    story.enqueue("b", id: 2)
    story.deliver(2, "b", token: 2)
    story.settle(.nack, 2, token: 2, isLast: true)
    story.see(2, .dead, attempt: 1, reason: "rejected")
    story.enqueue("c", id: 3) { $0.mayExpire = true }
    story.see(3, .dead, reason: "expired")
    story.answer(story.ask("o") { $0.replays = [1] })
    story.deliver(1, "a", token: 3, attempt: 2)
  },
]

extension History.NewJob {
  fileprivate mutating func setKey(_ key: UInt64, milliseconds: UInt64) {
    uniqueKey = key
    uniqueNanoseconds = milliseconds * 1_000_000
  }
}

private let leaseRows: [RuleRow] = [
  RuleRow(.lease, "a job comes to a second worker under the lease of the first") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.deliver(1, "a", token: 2, attempt: 2)
  },
  RuleRow(.lease, "a job comes to a second worker under a lease that was extended") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1, lease: 10)
    story.settle(.extend, 1, token: 1, milliseconds: 1_000)
    story.pass(milliseconds: 100)
    story.deliver(1, "a", token: 2, attempt: 2)
  },
  RuleRow(nil, "a job comes again when its lease has run out, also one that was made shorter") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1, lease: 100)
    story.pass(milliseconds: 100)
    story.deliver(1, "a", token: 2, attempt: 2)
    story.settle(.extend, 1, token: 2, milliseconds: 10, "?")
    story.pass(milliseconds: 10)
    story.deliver(1, "a", token: 3, attempt: 3)
  },
  RuleRow(nil, "a job comes again after an extend that made its lease shorter, whose answer was lost") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1, lease: 100)
    let settlement = History.Settlement(.extend, id: 1, token: 1, nanoseconds: 10_000_000)
    let extend = story.ask("w") { $0.settlements = [settlement] }
    story.pass(milliseconds: 10)
    story.deliver(1, "a", token: 2, attempt: 2, to: "v")
    story.askAgain(extend)
    story.answer(extend) { $0.refused = [History.Refusal(id: 1, token: 1, code: "LEASE_LOST")] }
  },
  RuleRow(.lease, "a job comes again under its lease, after an ack that was never answered") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.ack, 1, token: 1, "?")
    story.deliver(1, "a", token: 2, attempt: 2)
  },
  RuleRow(nil, "a job comes again under its lease, after a release that was never answered") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.release, 1, token: 1, "?")
    story.deliver(1, "a", token: 2)
  },
  RuleRow(.lease, "a lease began later than its dequeue was sent, since a token below it was asked for later") {
    story in
    for id: UInt64 in [1, 2] { story.enqueue("a\(id)", id: id) }
    let early = story.ask("w")
    story.pass(milliseconds: 1_000)
    let late = story.ask("v")
    story.answer(early) { $0.deliveries = [Story.delivery(1, "a1", 2)] }
    story.answer(late) { $0.deliveries = [Story.delivery(2, "a2", 1)] }
    story.deliver(1, "a1", token: 3, attempt: 2)
  },
  RuleRow(.tokens, "one token is given to two jobs") { story in
    for id: UInt64 in [1, 2] {
      story.enqueue("a\(id)", id: id)
      story.deliver(id, "a\(id)", token: 1)
    }
  },
  RuleRow(.tokens, "a token is lower than one of another job that was received before") { story in
    for id: UInt64 in [1, 2] {
      story.enqueue("a\(id)", id: id)
      story.deliver(id, "a\(id)", token: 3 - id)
    }
  },
  RuleRow(nil, "two dequeues that wait at a time are answered out of order") { story in
    for id: UInt64 in [1, 2] { story.enqueue("a\(id)", id: id) }
    let first = story.ask("w")
    let second = story.ask("v")
    story.answer(first) { $0.deliveries = [Story.delivery(1, "a1", 2)] }
    story.answer(second) { $0.deliveries = [Story.delivery(2, "a2", 1)] }
  },
  RuleRow(.tokens, "a job is seen under an older token than it was delivered with") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 2)
    story.see(1, .leased, attempt: 1, token: 1)
  },
  RuleRow(.attempts, "a nack uses no attempt up") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.nack, 1, token: 1)
    story.deliver(1, "a", token: 2)
  },
  RuleRow(.attempts, "a release uses an attempt up") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.release, 1, token: 1)
    story.deliver(1, "a", token: 2, attempt: 2)
  },
  RuleRow(nil, "an attempt passes that nobody received") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.nack, 1, token: 1)
    story.deliver(1, "a", token: 3, attempt: 3)
  },
  RuleRow(.attempts, "a lease that ran out uses no attempt up") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1, lease: 10)
    story.pass(milliseconds: 10)
    story.deliver(1, "a", token: 2)
  },
  RuleRow(.attempts, "an attempt falls") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1, attempt: 5, lease: 10)
    story.settle(.release, 1, token: 1)
    story.deliver(1, "a", token: 2, attempt: 4)
  },
  RuleRow(.attempts, "attempts go above their maximum") { story in
    story.enqueue("a", id: 1) { $0.maximumAttempts = 1 }
    story.deliver(1, "a", token: 1)
    story.settle(.nack, 1, token: 1)
    story.deliver(1, "a", token: 2, attempt: 2)
  },
]

private let settlementRows: [RuleRow] = [
  RuleRow(.done, "a job is delivered after its ack was acknowledged") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1, lease: 10)
    story.settle(.ack, 1, token: 1)
    story.pass(milliseconds: 10)
    story.deliver(1, "a", token: 2, attempt: 2)
  },
  RuleRow(.done, "a job is still there after its ack was acknowledged") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.ack, 1, token: 1)
    story.see(1, .leased, attempt: 1, token: 1)
  },
  RuleRow(.oldToken, "an ack is taken with a token after a newer one was received") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1, lease: 10)
    story.pass(milliseconds: 10)
    story.deliver(1, "a", token: 2, attempt: 2)
    story.settle(.ack, 1, token: 1)
  },
  RuleRow(.oldToken, "a lease is extended after it was settled") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.release, 1, token: 1)
    story.settle(.extend, 1, token: 1, milliseconds: 10)
  },
  RuleRow(nil, "old tokens are refused") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1, lease: 10)
    story.pass(milliseconds: 10)
    story.deliver(1, "a", token: 2, attempt: 2)
    story.settle(.ack, 1, token: 1, "LEASE_LOST")
    story.settle(.ack, 1, token: 2)
    story.settle(.ack, 1, token: 2, "LEASE_LOST")
    story.missing(1)
  },
  RuleRow(.settledTwice, "a lease is released and then acked") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.release, 1, token: 1)
    story.settle(.ack, 1, token: 1)
  },
  RuleRow(.refusedInTime, "a holder is refused under its lease") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.ack, 1, token: 1, "LEASE_LOST")
  },
  RuleRow(.refusedInTime, "a holder is refused for a cancel that nobody sent") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.ack, 1, token: 1, "CANCELLED")
  },
  RuleRow(nil, "a holder is refused after a release of its own that was never answered, or for a cancel") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.release, 1, token: 1, "?")
    story.settle(.ack, 1, token: 1, "LEASE_LOST")
    story.enqueue("b", id: 2)
    story.deliver(2, "b", token: 2)
    story.cancel(2)
    story.settle(.ack, 2, token: 2, "CANCELLED")
    story.see(2, .cancelled, attempt: 1)
  },
  RuleRow(.cancelled, "a job is delivered after its cancel was acknowledged") { story in
    story.enqueue("a", id: 1)
    story.cancel(1)
    story.deliver(1, "a", token: 1)
  },
  RuleRow(.cancelled, "a job is acked after its cancel was acknowledged") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.cancel(1)
    story.settle(.ack, 1, token: 1)
  },
  RuleRow(.cancelled, "a job is cancelled after its ack was acknowledged") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    story.settle(.ack, 1, token: 1)
    story.cancel(1)
  },
  RuleRow(.cancelled, "a job that was cancelled is ready") { story in
    story.enqueue("a", id: 1)
    story.cancel(1)
    story.see(1, .ready)
  },
  RuleRow(nil, "a job that could not be cancelled goes on") { story in
    story.enqueue("a", id: 1)
    story.cancel(1, "NOT_FOUND")
    story.cancel(1, "?")
    story.deliver(1, "a", token: 1)
    story.settle(.ack, 1, token: 1)
  },
]

private let requestRows: [RuleRow] = [
  RuleRow(.retry, "an enqueue that is sent again is answered with another id") { story in
    let asked = story.enqueue("a", id: 1)
    story.askAgain(asked)
    story.answer(asked) { $0.ids = [2] }
  },
  RuleRow(.retry, "an ack that was taken is refused when it is sent again") { story in
    story.enqueue("a", id: 1)
    story.deliver(1, "a", token: 1)
    let asked = story.ask("w") { $0.settlements = [History.Settlement(.ack, id: 1, token: 1)] }
    story.answer(asked)
    story.askAgain(asked)
    story.answer(asked) { $0.refused = [History.Refusal(id: 1, token: 1, code: "LEASE_LOST")] }
  },
  RuleRow(.retry, "a request that was done is refused when it is sent again") { story in
    let asked = story.enqueue("a", id: 1)
    story.askAgain(asked)
    story.answer(asked) { $0.error = "MEMORY_FULL" }
  },
  RuleRow(nil, "a request that is sent again is answered again, and one that was refused is done") { story in
    let asked = story.enqueue("a", id: 1)
    story.askAgain(asked)
    story.answer(asked) { $0.ids = [1] }
    story.askAgain(asked)
    story.answer(asked) { $0.error = "REQUEST_FORGOTTEN" }
    let refused = story.enqueue("b", id: nil)
    story.answer(refused) { $0.error = "DISK_FULL" }
    story.askAgain(refused)
    story.answer(refused) { $0.ids = [2] }
    story.list([(1, .ready), (2, .ready)])
  },
  RuleRow(.remembered, "the broker has forgotten a client's last request") { story in
    story.enqueue("a", id: 1)
    story.note("p", .greeted(asked: story.time, highest: 0))
  },
  RuleRow(.remembered, "the broker knows a request that nobody sent") { story in
    story.enqueue("a", id: nil)
    story.note("p", .greeted(asked: story.time, highest: 2))
  },
  RuleRow(nil, "the broker knows the last request, or one that it has not answered") { story in
    story.enqueue("a", id: 1)
    story.note("p", .greeted(asked: story.time, highest: 1))
    story.enqueue("b", id: nil)
    story.note("p", .greeted(asked: story.time, highest: 2))
    story.note("p", .greeted(asked: story.time, highest: 1))
  },
  RuleRow(.protocolOrder, "an answer comes to no request") { story in
    story.note("c", .answered(request: 7, History.Answer()))
  },
  RuleRow(.protocolOrder, "an enqueue is answered without its ids") { story in
    let asked = story.ask("p") { $0.jobs = [History.NewJob(payload: 1)] }
    story.answer(asked)
  },
  RuleRow(.protocolOrder, "two requests have one number") { story in
    story.note("c", .sent(request: 1, History.Operation()))
    story.note("c", .sent(request: 1, History.Operation()))
  },
]

private let scheduleRows: [RuleRow] = [
  RuleRow(nil, "a schedule fires for each due time, and what it counts has come") { story in
    story.define("s", due: 100)
    for n: UInt64 in 1...3 { story.fire("s", n * 100, id: n, token: n) }
    story.seeSchedule("s", last: 300, fired: 3)
  },
  RuleRow(.fireTwice, "a due time fires twice") { story in
    story.define("s", due: 100)
    for n: UInt64 in 1...2 { story.fire("s", 100, id: n, token: n) }
  },
  RuleRow(nil, "a due time fires again after its schedule was deleted; a trigger is no fire") { story in
    story.define("s", due: 100)
    story.fire("s", 100, id: 1, token: 1)
    story.answer(story.ask("d") { $0.deletes = ["s"] })
    story.define("s", due: 100)
    story.fire("s", 100, id: 2, token: 2)
    story.define("t", due: 100)
    story.answer(story.ask("d") { $0.triggers = ["t"] }) { $0.ids = [4] }
    for n: UInt64 in 3...4 { story.fire("t", 100, id: n, token: n) }
    story.seeSchedule("t", last: 100, fired: 1)
  },
  RuleRow(.fireTwice, "a schedule fires that nobody defined") { story in
    story.fire("s", 100, id: 1, token: 1)
  },
  RuleRow(.fireGap, "a schedule that fires all leaves a due time out") { story in
    story.define("s", due: 100)
    story.fire("s", 100, id: 1, token: 1)
    story.fire("s", 300, id: 2, token: 2)
    story.seeSchedule("s", last: 300, fired: 2)
  },
  RuleRow(.fireGap, "a schedule begins later than its receipt said") { story in
    story.define("s", due: 100)
    story.fire("s", 200, id: 1, token: 1)
    story.seeSchedule("s", last: 200, fired: 1)
  },
  RuleRow(.fireGap, "a fire is counted whose job never came") { story in
    story.define("s", due: 100)
    story.fire("s", 100, id: 1, token: 1)
    story.seeSchedule("s", last: 200, fired: 2)
  },
  RuleRow(.fireGap, "a schedule that fires all has missed a due time") { story in
    story.define("s", due: 100)
    story.seeSchedule("s", last: 100, fired: 0, missed: 1)
  },
  RuleRow(.fireGap, "a schedule has fired for a later due time than it knows") { story in
    story.define("s", due: 100, firesAll: false)
    story.fire("s", 200, id: 1, token: 1)
    story.seeSchedule("s", last: 100, fired: 1, isDrained: false)
  },
  RuleRow(nil, "a schedule that need not fire all has gaps") { story in
    story.define("s", due: 100, firesAll: false)
    story.fire("s", 100, id: 1, token: 1)
    story.fire("s", 500, id: 2, token: 2)
    story.seeSchedule("s", last: 600, fired: 2, missed: 4)
  },
]
