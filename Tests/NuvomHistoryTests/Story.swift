import NuvomHistory

/// A small history, told step by step: each step takes a millisecond. Payloads, keys and queues are digested from words.
struct Story {
  private(set) var records: [(client: String, at: UInt64, event: History.Event)] = []
  private var now: UInt64 = 1_000_000_000
  private var requests: [String: UInt64] = [:]

  /// A request under way.
  struct Asked {
    let client: String
    let request: UInt64
  }

  mutating func pass(milliseconds: UInt64) { now += milliseconds * 1_000_000 }

  mutating func note(_ client: String, _ event: History.Event) {
    now += 1_000_000
    records.append((client, now, event))
  }

  /// The time of a question that is asked now.
  var time: UInt64 { now }

  mutating func ask(_ client: String = "c", _ build: (inout History.Operation) -> Void = { _ in }) -> Asked {
    var operation = History.Operation()
    build(&operation)
    let request = requests[client, default: 0] + 1
    requests[client] = request
    note(client, .sent(request: request, operation))
    return Asked(client: client, request: request)
  }

  mutating func askAgain(_ asked: Asked) { note(asked.client, .sentAgain(request: asked.request)) }

  mutating func answer(_ asked: Asked, _ build: (inout History.Answer) -> Void = { _ in }) {
    var answer = History.Answer()
    build(&answer)
    note(asked.client, .answered(request: asked.request, answer))
  }

  // MARK: Whole exchanges

  @discardableResult
  mutating func enqueue(
    _ payload: String, id: UInt64?, by client: String = "p", _ change: (inout History.NewJob) -> Void = { _ in }
  ) -> Asked {
    var job = History.NewJob(payload: History.digest(of: payload))
    change(&job)
    let asked = ask(client) { $0.jobs = [job] }
    if let id { answer(asked) { $0.ids = [id] } }
    return asked
  }

  mutating func deliver(
    _ id: UInt64, _ payload: String, token: UInt64, attempt: UInt32 = 1, lease: UInt64 = 1_000, to client: String = "w",
    fire: History.Fire? = nil
  ) {
    let asked = ask(client)
    answer(asked) { $0.deliveries = [Self.delivery(id, payload, token, attempt, lease, fire)] }
  }

  static func delivery(
    _ id: UInt64, _ payload: String, _ token: UInt64, _ attempt: UInt32 = 1, _ lease: UInt64 = 1_000,
    _ fire: History.Fire? = nil
  ) -> History.Delivery {
    History.Delivery(
      id: id, token: token, attempt: attempt, payload: History.digest(of: payload),
      leaseNanoseconds: lease * 1_000_000, fire: fire)
  }

  /// Settles, and is told so; refused with a code; or never told, with "?".
  mutating func settle(
    _ kind: History.Settlement.Kind, _ id: UInt64, token: UInt64, milliseconds: UInt64 = 0, isLast: Bool = false,
    _ outcome: String = "", by client: String = "w"
  ) {
    let settlement = History.Settlement(
      kind, id: id, token: token, nanoseconds: milliseconds * 1_000_000, isLast: isLast)
    let asked = ask(client) { $0.settlements = [settlement] }
    if outcome == "?" { return }
    answer(asked) { if !outcome.isEmpty { $0.refused = [History.Refusal(id: id, token: token, code: outcome)] } }
  }

  mutating func cancel(_ id: UInt64, _ outcome: String = "") {
    let asked = ask("o") { $0.cancels = [id] }
    if outcome == "?" { return }
    answer(asked) { if !outcome.isEmpty { $0.refused = [History.Refusal(id: id, token: 0, code: outcome)] } }
  }

  mutating func see(
    _ id: UInt64, _ state: History.State, _ payload: String? = nil, attempt: UInt32 = 0, token: UInt64 = 0,
    reason: String = ""
  ) {
    note(
      "o",
      .saw(
        asked: now, id: id,
        History.SeenJob(
          id: id, state: state, payload: payload.map { History.digest(of: $0) }, attempt: attempt, token: token,
          reason: reason)))
  }

  mutating func missing(_ id: UInt64) { note("o", .saw(asked: now, id: id, nil)) }

  mutating func list(_ jobs: [(UInt64, History.State)]) {
    note("o", .listed(asked: now, jobs.map { History.SeenJob(id: $0.0, state: $0.1, attempt: 9) }))
  }

  mutating func define(_ name: String, due: UInt64, firesAll: Bool = true, step: UInt64 = 100) {
    var definition = History.Definition(name: name, payload: History.digest(of: name))
    definition.firesAll = firesAll
    definition.stepMilliseconds = step
    let asked = ask("d") { $0.definitions = [definition] }
    answer(asked) { $0.receipts = [History.Receipt(isCreated: true, due: due)] }
  }

  mutating func fire(_ name: String, _ due: UInt64, id: UInt64, token: UInt64) {
    deliver(id, name, token: token, fire: History.Fire(schedule: name, due: due))
  }

  mutating func seeSchedule(_ name: String, last: UInt64?, fired: UInt64, missed: UInt64 = 0, isDrained: Bool = true) {
    note(
      "o",
      .sawSchedule(
        asked: now,
        History.SeenSchedule(name: name, lastDue: last, fired: fired, missed: missed, isDrained: isDrained)))
  }

  // MARK: What is said of it

  func checker(clockSlack: UInt64 = 0) -> HistoryChecker {
    var checker = HistoryChecker(clockSlack: clockSlack)
    for record in records {
      checker.note(History.Record(client: checker.client(named: record.client), at: record.at, record.event))
    }
    return checker
  }

  var complaints: [Complaint] { checker().complaints() }
}
