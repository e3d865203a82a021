import NuvomModel
import NuvomSchedule

@testable import NuvomEngine

/// An engine with its log, its clocks and its connections, all played by the test. A test is a conversation: each step says who does what and
/// gives the answer in words. Jobs are called j1, j2, … in the order in which answers first named them.
///
///     world.enqueue("hello")  →  "j1"
///     world.dequeue()         →  "j1 t1 a1 hello"       (token 1, attempt 1)
///     world.ack("j1")         →  "ok"
///
/// A step that waits answers "…", and what it gets later is in `heard`.
final class EngineWorld {
  /// A delivery, as its receiver keeps it.
  struct Taken: Equatable {
    let id: JobID
    let token: LeaseToken
    let attempt: UInt32
    let lease: UInt32
    let payload: String
    var postponed: UInt32 = 0
    /// The schedule that enqueued it, and for which due time.
    var schedule = ""
    var dueMilliseconds: Int64 = 0
  }

  /// An answer, in words and in the parts that programs look at.
  struct Reply {
    var text = ""
    var ids: [JobID] = []
    var duplicates: [Int] = []
    var taken: [Taken] = []
    var refusals: [Refusal] = []
    var code: ErrorCode?
    var details: JobDetails?
    var schedule: ScheduleDetails?
    var receipts: [ScheduleReceipt] = []
  }

  /// An answer that came after the step that asked for it.
  struct Late {
    let connection: ConnectionID
    let request: UInt64
    let reply: Reply
  }

  /// A snapshot that was told to its end: the log's batches that it contains, and its chunks as bytes.
  struct Snapshot {
    let batches: Int
    var parts: [[UInt8]]
  }

  private(set) var engine: Engine
  var configuration: EngineConfiguration
  var time = Time(boot: 1_000_000_000_000, wall: 1_700_000_000_000_000)
  var diskRoom = Int.max
  /// The system's time zones: given to the engine now, and when it has started again.
  private(set) var zones: [String: ZoneRules] = ["UTC": .utc]
  private(set) var log: [[UInt8]] = []
  private(set) var snapshot: Snapshot?
  private var pending: (batches: Int, header: [UInt8], chunks: [SnapshotChunk])?
  private var outcome = Outcome()
  private var kept: [UnsafeMutableRawBufferPointer] = []
  private(set) var connection: ConnectionID
  private var nextRequest: UInt64 = 0
  private var names: [JobID: String] = [:]
  private(set) var jobs: [String: JobID] = [:]
  /// The last token seen of each job.
  private(set) var tokens: [JobID: LeaseToken] = [:]
  /// Answers that came late and were not asked for yet.
  var late: [Late] = []

  init(_ change: (inout EngineConfiguration) -> Void = { _ in }) {
    var configuration = EngineConfiguration(hashSeed: 7)
    change(&configuration)
    self.configuration = configuration
    engine = Engine(configuration, now: time)
    engine.resume(at: time)
    connection = engine.connect() ?? ConnectionID(rawValue: 0)
    takeZones()
    flush()
  }

  deinit { kept.forEach { $0.deallocate() } }

  /// Late answers in words, since the last time this was read.
  var heard: [String] {
    defer { late = [] }
    return late.map(\.reply.text)
  }

  // MARK: Bytes

  /// Bytes that live as long as the world, as a request's must live as long as its frame.
  func bytes(_ text: String) -> BorrowedBytes { bytes(Array(text.utf8)) }

  func bytes(_ values: [UInt8]) -> BorrowedBytes {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: values.count, alignment: 1)
    copy.copyBytes(from: values)
    kept.append(copy)
    return BorrowedBytes(copy)
  }

  func job(_ payload: String, queue: String = "q", _ change: (inout NewJob) -> Void = { _ in }) -> NewJob {
    var job = NewJob()
    job.queue = bytes(queue)
    job.task = bytes("task")
    job.payload = bytes(payload)
    job.backoff = Backoff(growth: .fixed, baseMilliseconds: 1_600, capMilliseconds: 600_000, jitterPercent: 0)
    change(&job)
    return job
  }

  // MARK: Connections

  /// A new connection, which the following steps speak on.
  @discardableResult
  func connect(client: String? = nil) -> UInt64 {
    connection = engine.connect() ?? connection
    begin()
    let welcome = engine.hello(connection, clientID: client.map { bytes($0) } ?? .none)
    flush()
    return welcome?.highestRequest ?? 0
  }

  func speak(on connection: ConnectionID) { self.connection = connection }

  func disconnect(_ gone: ConnectionID? = nil) {
    begin()
    engine.disconnect(gone ?? connection)
    flush()
  }

  // MARK: Requests

  /// Says a request on the present connection. `id` numbers it; else it gets the next number.
  @discardableResult
  func say(_ method: Method, id: UInt64? = nil, _ fill: (inout Request) -> Void) -> Reply {
    var request = Request()
    request.method = method
    nextRequest = id ?? nextRequest + 1
    request.id = RequestID(rawValue: nextRequest)
    fill(&request)
    begin()
    engine.handle(request, from: connection, into: &outcome)
    return listen(for: request.id.rawValue)
  }

  @discardableResult
  func enqueue(_ payload: String, queue: String = "q", id: UInt64? = nil, _ change: (inout NewJob) -> Void = { _ in })
    -> String
  {
    say(.enqueue, id: id) { $0.jobs = [job(payload, queue: queue, change)] }.text
  }

  @discardableResult
  func dequeue(_ queues: String..., max: Int = 1, wait: UInt64 = 0, lease: UInt32 = 30_000) -> String {
    take(queues.isEmpty ? ["q"] : queues, max: max, wait: wait, lease: lease).text
  }

  func take(
    _ queues: [String] = ["q"], max: Int = 1, wait: UInt64 = 0, lease: UInt32 = 30_000, id: UInt64? = nil,
    settling: [Settlement] = []
  ) -> Reply {
    say(.dequeue, id: id) {
      $0.queues = queues.map { bytes($0) }
      $0.maximum = max
      $0.waitMilliseconds = wait
      $0.leaseMilliseconds = lease
      $0.settlements = settling
    }
  }

  /// A settlement of a job with the last token seen of it, or with another.
  func settlement(
    _ kind: Settlement.Kind, _ name: String, token: UInt64? = nil, _ change: (inout Settlement) -> Void = { _ in }
  ) -> Settlement {
    let id = id(name)
    let shown = token.map { LeaseToken(rawValue: $0) } ?? tokens[id] ?? LeaseToken(rawValue: 0)
    var settlement = Settlement(kind: kind, id: id, token: shown)
    change(&settlement)
    return settlement
  }

  func settle(_ settlement: Settlement, id: UInt64? = nil) -> Reply {
    let method: Method =
      switch settlement.kind {
      case .ack: .ack
      case .nack: .nack
      case .release: .release
      case .extend: .extend
      }
    return say(method, id: id) { $0.settlements = [settlement] }
  }

  @discardableResult
  func ack(_ name: String, token: UInt64? = nil, result: String? = nil, id: UInt64? = nil) -> String {
    settle(
      settlement(.ack, name, token: token) {
        $0.hasResult = result != nil
        $0.result = result.map { bytes($0) } ?? .none
      }, id: id
    ).text
  }

  @discardableResult
  func nack(
    _ name: String, token: UInt64? = nil, delay: UInt64? = nil, retry: Bool = true, message: String = "it broke"
  ) -> String {
    settle(
      settlement(.nack, name, token: token) {
        $0.hasDelay = delay != nil
        $0.delayMilliseconds = delay ?? 0
        $0.retry = retry
        $0.errorType = bytes("Broken")
        $0.errorMessage = bytes(message)
      }
    ).text
  }

  @discardableResult
  func release(_ name: String, token: UInt64? = nil, delay: UInt64 = 0) -> String {
    settle(settlement(.release, name, token: token) { $0.delayMilliseconds = delay }).text
  }

  @discardableResult
  func extend(_ name: String, token: UInt64? = nil, lease: UInt32 = 0) -> String {
    settle(settlement(.extend, name, token: token) { $0.leaseMilliseconds = lease }).text
  }

  /// Says how far a job is, under the last token seen of it, or another.
  @discardableResult
  func report(_ name: String, token: UInt64? = nil, percent: UInt8? = nil, message: String? = nil) -> String {
    say(.progress) {
      let lease = settlement(.extend, name, token: token)
      var report = ProgressReport(id: lease.id, token: lease.token)
      report.percent = percent
      report.message = message.map { bytes($0) } ?? .none
      $0.reports = [report]
    }.text
  }

  @discardableResult
  func cancel(_ names: String...) -> String { say(.cancel) { $0.ids = names.map { id($0) } }.text }
  @discardableResult
  func get(_ name: String) -> String { say(.get) { $0.ids = [id(name)] }.text }
  func wait(_ name: String, milliseconds: UInt64) -> String {
    say(.wait) {
      $0.ids = [id(name)]
      $0.waitMilliseconds = milliseconds
    }.text
  }
  @discardableResult
  func pause(_ queue: String = "q") -> String { say(.pause) { $0.queues = [bytes(queue)] }.text }
  @discardableResult
  func resume(_ queue: String = "q") -> String { say(.resume) { $0.queues = [bytes(queue)] }.text }
  @discardableResult
  func purge(_ queue: String = "q", limit: Int = 10_000) -> String {
    say(.purge) {
      $0.queues = [bytes(queue)]
      $0.filter.limit = limit
    }.text
  }
  @discardableResult
  func dead(_ method: Method, _ names: String..., limit: Int = 1_000, filter: (inout Request.Filter) -> Void = { _ in })
    -> String
  {
    say(method) {
      $0.ids = names.map { id($0) }
      $0.filter.limit = limit
      filter(&$0.filter)
    }.text
  }

  func giveBack(_ taken: [Taken]) {
    begin()
    engine.giveBack(taken.map { ($0.id, $0.token) }, into: &outcome)
    _ = listen(for: nil)
  }

  // MARK: Time

  /// Lets time go by on both clocks, and does what becomes due at the time it is due.
  func advance(milliseconds: Int64) {
    let end = Time(boot: time.boot + milliseconds * 1_000, wall: time.wall + milliseconds * 1_000)
    while true {
      let (boot, wall) = engine.nextDeadline
      let next = min(boot.map { $0 - time.boot } ?? .max, wall.map { $0 - time.wall } ?? .max)
      if next > end.boot - time.boot { break }
      let step = max(0, next)
      time = Time(boot: time.boot + step, wall: time.wall + step)
      fireTimers()
    }
    time = end
    fireTimers()
  }

  func advance(seconds: Int64) { advance(milliseconds: seconds * 1_000) }

  /// Steps the wall clock alone.
  func stepWall(seconds: Int64) {
    time.wall += seconds * 1_000_000
    fireTimers()
  }

  /// In small portions, as a broker does it.
  func fireTimers() {
    var isDone = false
    while !isDone {
      begin()
      isDone = engine.fireTimers(limit: 7, into: &outcome)
      _ = listen(for: nil)
    }
  }

  // MARK: Time zones

  /// The rules of a zone are these from now on.
  func give(_ rules: ZoneRules, of zone: String) {
    zones[zone] = rules
    begin()
    engine.take(rules, ofZone: bytes(zone))
    flush()
  }

  /// A part of what a turn does: so many timers, or so many schedules of a changed zone. False if there is more.
  func fireTimers(limit: Int) -> Bool {
    begin()
    let isDone = engine.fireTimers(limit: limit, into: &outcome)
    _ = listen(for: nil)
    return isDone
  }

  private func takeZones() {
    for (name, rules) in zones { engine.take(rules, ofZone: bytes(name)) }
  }

  // MARK: Restarts

  /// A crash and a new start from the log alone; connections are gone. The boot clock may begin anew.
  func restart(awaySeconds: Int64 = 0, boot: Int64? = nil) {
    start(Self.replica(configuration, log: log[...], time: time), awaySeconds, boot)
  }

  /// The same from the last snapshot and the log behind it.
  func restartFromSnapshot(awaySeconds: Int64 = 0, boot: Int64? = nil) {
    guard let snapshot else { return restart(awaySeconds: awaySeconds, boot: boot) }
    start(Self.replica(configuration, snapshot: snapshot, log: log, time: time), awaySeconds, boot)
  }

  private func start(_ recovered: Engine?, _ awaySeconds: Int64, _ boot: Int64?) {
    guard let recovered else { preconditionFailure("the log was not read again") }
    pending = nil
    time = Time(boot: boot ?? time.boot + awaySeconds * 1_000_000, wall: time.wall + awaySeconds * 1_000_000)
    engine = recovered
    engine.resume(at: time)
    takeZones()
    flush()
    connection = engine.connect() ?? connection
  }

  /// A new engine that has read the log. Its hash tables differ, as they do in another process.
  static func replica(_ configuration: EngineConfiguration, log: ArraySlice<[UInt8]>, time: Time) -> Engine? {
    read(log, into: Engine(reseeded(configuration), now: time))
  }

  static func replica(_ configuration: EngineConfiguration, snapshot: Snapshot, log: [[UInt8]], time: Time) -> Engine? {
    let engine = Engine(reseeded(configuration), now: time)
    for (index, part) in snapshot.parts.enumerated() {
      let isRead = part.withUnsafeBytes { index == 0 ? engine.restoreHeader($0) : engine.restoreChunk($0) }
      guard isRead else { return nil }
    }
    guard engine.isRestored else { return nil }
    return read(log[snapshot.batches...], into: engine)
  }

  private static func reseeded(_ configuration: EngineConfiguration) -> EngineConfiguration {
    var other = configuration
    other.hashSeed &+= 1
    return other
  }

  private static func read(_ log: ArraySlice<[UInt8]>, into engine: Engine) -> Engine? {
    for batch in log {
      guard batch.withUnsafeBytes({ engine.replay($0) }) else { return nil }
    }
    return engine
  }

  // MARK: Snapshots

  /// Freezes the state. What follows changes it while `tellSnapshot` takes it out.
  func beginSnapshot() {
    if pending != nil { endSnapshot() }
    pending = (log.count, engine.beginSnapshot(), [])
  }

  /// Takes some pages; at the end of them the snapshot is complete. Encoded late, as another thread may be.
  func tellSnapshot(pages: Int = 1) {
    guard pending != nil else { return }
    if let chunk = engine.nextSnapshotChunk(pages: pages) {
      pending?.chunks.append(chunk)
    } else {
      endSnapshot()
    }
  }

  private func endSnapshot() {
    while let chunk = engine.nextSnapshotChunk(pages: 100) { pending?.chunks.append(chunk) }
    if let pending {
      var parts = [pending.header]
      for chunk in pending.chunks {
        let encoder = chunk.encoder()
        while let piece = encoder.next() { parts.append(piece) }
      }
      snapshot = Snapshot(batches: pending.batches, parts: parts)
    }
    engine.endSnapshot()
    pending = nil
  }

  func takeSnapshot() {
    beginSnapshot()
    endSnapshot()
  }

  // MARK: Inside

  private func begin() { engine.beginTurn(time, diskRoom: diskRoom) }

  /// Ends the turn: its events are in the log.
  private func flush() {
    _ = engine.compactOnce()
    if engine.eventBytes.count > 0 { log.append(Array(engine.eventBytes)) }
    engine.clearEvents()
  }

  private func listen(for request: UInt64?) -> Reply {
    var reply: Reply?
    for (address, answer) in outcome.responses {
      let words = self.reply(answer)
      if reply == nil, let request, address.connection == connection, address.request.rawValue == request {
        reply = words
      } else {
        late.append(Late(connection: address.connection, request: address.request.rawValue, reply: words))
      }
    }
    outcome.removeAll()
    flush()
    return reply ?? Reply(text: "…")
  }

  func id(_ name: String) -> JobID { jobs[name] ?? JobID(rawValue: 0) }

  func name(_ id: JobID) -> String {
    if let name = names[id] { return name }
    let name = "j\(names.count + 1)"
    names[id] = name
    jobs[name] = id
    return name
  }

  private func reply(_ answer: Answer) -> Reply {
    var reply = Reply()
    func list(_ ids: Range<Int>) -> String { outcome.ids[ids].map { name($0) }.joined(separator: " ") }
    func refused(_ range: Range<Int>) -> String {
      reply.refusals = Array(outcome.refusals[range])
      return reply.refusals.map { " refused \(name($0.id)) \($0.code.wireName)" }.joined()
    }
    func changed(_ word: String, _ count: Int, _ more: Bool, _ refusals: Range<Int> = 0..<0) -> String {
      "\(word) \(count)\(more ? " more" : "")\(refused(refusals))"
    }
    switch answer {
    case .done: reply.text = "ok"
    case .enqueued(let ids, let duplicates):
      reply.ids = Array(outcome.ids[ids])
      reply.duplicates = Array(outcome.indexes[duplicates])
      reply.text = reply.ids.enumerated().map { name($1) + (reply.duplicates.contains($0) ? "=" : "") }
        .joined(separator: " ")
    case .settled(let refusals):
      let text = refused(refusals)
      reply.text = text.isEmpty ? "ok" : String(text.dropFirst())
    case .delivered(let deliveries, let refusals):
      for delivery in outcome.deliveries[deliveries] {
        tokens[delivery.id] = delivery.token
        reply.taken.append(
          Taken(
            id: delivery.id, token: delivery.token, attempt: delivery.attempt, lease: delivery.leaseMilliseconds,
            payload: String(decoding: delivery.payload, as: UTF8.self), postponed: delivery.postponed,
            schedule: String(decoding: delivery.schedule, as: UTF8.self), dueMilliseconds: delivery.dueMilliseconds))
      }
      let text = reply.taken.map {
        "\(name($0.id)) t\($0.token.rawValue) a\($0.attempt)\($0.postponed == 0 ? "" : " p\($0.postponed)") \($0.payload)"
      }
      reply.text = (text.isEmpty ? "nothing" : text.joined(separator: ", ")) + refused(refusals)
    case .cancelled(let ids, let leased, let refusals):
      reply.ids = Array(outcome.ids[ids])
      reply.text =
        "cancelled \(list(ids))" + (leased.isEmpty ? "" : " leased \(list(leased))") + refused(refusals)
    case .refused(let code, let operation, let retryAfter):
      reply.code = code
      reply.text =
        "\(code.wireName)" + (operation.map { " operation \($0)" } ?? "") + (retryAfter == nil ? "" : " retry")
    case .purged(let count, let more): reply.text = changed("purged", count, more)
    case .replayed(let count, let more, let refusals): reply.text = changed("replayed", count, more, refusals)
    case .deleted(let count, let more, let refusals): reply.text = changed("deleted", count, more, refusals)
    case .large(let index): return self.reply(outcome.large[index])
    }
    return reply
  }

  private func reply(_ answer: LargeAnswer) -> Reply {
    var reply = Reply()
    switch answer {
    case .results(let answers):
      let parts = answers.map { self.reply($0) }
      reply.ids = parts.flatMap(\.ids)
      reply.text = "[" + parts.map(\.text).joined(separator: "; ") + "]"
    case .job(let details):
      reply.details = details
      reply.text = words(details)
    case .jobs(let details, let next):
      reply.ids = details.map(\.id)
      reply.text = details.map { name($0.id) }.joined(separator: " ") + (next.map { " next \(name($0))" } ?? "")
    case .queues(let queues, let next):
      reply.text =
        queues.map { queue in
          "\(String(decoding: queue.name, as: UTF8.self))\(queue.isPaused ? " paused" : "") \(queue.ready)/\(queue.delayed)/\(queue.leased)/\(queue.dead)"
        }.joined(separator: ", ") + (next.map { " next \(String(decoding: $0, as: UTF8.self))" } ?? "")
    case .queue(let details):
      reply.text =
        "ready \(details.summary.ready) delayed \(details.summary.delayed) leased \(details.summary.leased) waiting \(details.waiting) oldest \(details.oldestReadyMilliseconds)"
    case .statistics: reply.text = "statistics"
    case .scheduled(let receipts):
      reply.receipts = receipts
      reply.text = receipts.map { receipt in
        let changed = ScheduleField.allCases.filter { receipt.changed & $0.bit != 0 }.map { " \($0.wireName)" }
        let due = receipt.dueMilliseconds.map { " in \($0 - time.wallMilliseconds) ms" } ?? ""
        return "\(receipt.status.wireName)\(changed.joined())\(due)"
      }.joined(separator: ", ")
    case .schedule(let details):
      reply.schedule = details
      reply.text = words(details)
    case .schedules(let details, let next):
      reply.text =
        details.map { String(decoding: $0.name, as: UTF8.self) }.joined(separator: " ")
        + (next.map { " next \(String(decoding: $0, as: UTF8.self))" } ?? "")
    case .named(let refusals, let ids):
      reply.ids = ids ?? []
      let named = reply.ids.map { name($0) } + refusals.map { "refused \($0.index) \($0.code.wireName)" }
      reply.text = named.isEmpty ? "ok" : named.joined(separator: " ")
    }
    return reply
  }

  private func words(_ details: ScheduleDetails) -> String {
    var words = ["\(String(decoding: details.name, as: UTF8.self)) \(details.state.wireName)"]
    if let due = details.dueMilliseconds { words.append("in \(due - time.wallMilliseconds) ms") }
    if let last = details.lastDueMilliseconds { words.append("last \(time.wallMilliseconds - last) ms ago") }
    if let buffered = details.bufferedDueMilliseconds {
      words.append("buffered \(time.wallMilliseconds - buffered) ms ago")
    }
    words.append("fired \(details.fired)")
    if details.missed > 0 { words.append("missed \(details.missed)") }
    if details.skipped > 0 { words.append("skipped \(details.skipped)") }
    if details.triggered > 0 { words.append("triggered \(details.triggered)") }
    return words.joined(separator: " ")
  }

  private func words(_ details: JobDetails) -> String {
    var words = ["\(name(details.id)) \(details.state.wireName) attempt \(details.attempt)"]
    if let reason = details.deadReason { words.append("\(reason.wireName)") }
    if let due = details.dueAtMilliseconds { words.append("in \(due - time.wallMilliseconds) ms") }
    if let left = details.leaseMillisecondsLeft { words.append("left \(left) ms") }
    if let token = details.token { words.append("t\(token.rawValue)") }
    if let progress = details.progress {
      words.append("progress\(progress.percent.map { " \($0)" } ?? "")")
      if !progress.message.isEmpty { words.append(String(decoding: progress.message, as: UTF8.self)) }
    }
    if let result = details.result { words.append("result \(String(decoding: result, as: UTF8.self))") }
    if details.postponed > 0 { words.append("postponed \(details.postponed)") }
    if details.expiredLeases > 0 { words.append("lost \(details.expiredLeases)") }
    if !details.errors.isEmpty { words.append("errors \(details.errors.map(\.attempt))") }
    return words.joined(separator: " ")
  }
}
