import NuvomModel
import SeededNumbers
import Testing

@testable import NuvomEngine

@Test("whatever is asked in whatever order, the engine does what the plain model does", arguments: 1...20)
func randomOperations(seed: Int) {
  var run = RandomRun(seed: UInt64(seed))
  for step in 0..<500 {
    run.step()
    if step % 8 == 7 { run.compareJobs("seed \(seed) step \(step)") }
    if run.random.once(in: 150) { run.world.check() }
    if run.hasFailed { break }
  }
  run.world.check()
}

/// One run of random operations against an engine and the model of it.
private struct RandomRun {
  let world = EngineWorld()
  var model = ReferenceModel()
  var random: SeededNumbers
  private let queues = ["a", "b", "c"]
  private var enqueued = 0
  /// Leases that were once held, to be shown again when they are worth nothing.
  private var stale: [(JobID, UInt64)] = []
  private var client: ConnectionID
  private var request: UInt64 = 0
  private var waiting: [UInt64: (queues: [String], lease: Int64)] = [:]
  private let startWall: Int64
  private(set) var hasFailed = false

  init(seed: UInt64) {
    random = SeededNumbers(seed: seed)
    // A whole tick of the timers.
    world.time = Time(boot: 1_000_000_000_000 / 16_000 * 16_000, wall: 1_700_000_000_000_000 / 16_000 * 16_000)
    world.restart()
    startWall = world.time.wallMilliseconds
    world.connect(client: "client")
    client = world.connection
  }

  // MARK: Choices

  private mutating func pick<Item>(_ items: [Item]) -> Item { items[random.below(items.count)] }
  private mutating func ticks(_ most: Int) -> Int64 { Int64(random.below(most)) * 16 }

  private mutating func someJob(_ isWanted: (ReferenceModel.Job) -> Bool) -> JobID? {
    let ids = model.jobs.filter { isWanted($0.value) }.keys.sorted { $0.rawValue < $1.rawValue }
    return ids.isEmpty ? nil : pick(ids)
  }

  private mutating func someLeased() -> JobID? {
    someJob { if case .leased = $0.state { true } else { false } }
  }

  mutating func step() {
    request += 1
    switch random.below(100) {
    case 0..<20: enqueue()
    case 20..<42: dequeue()
    case 42..<68: settle()
    case 68..<72: cancel()
    case 72..<75: multi()
    case 75..<78: report()
    case 78..<87: advance(ticks(waiting.isEmpty ? 200 : 30))
    case 87..<88: advance(ticks(20_000))
    case 88..<90: pauseOrResume()
    case 90..<91: purge()
    case 91..<93: changeDead()
    case 93..<94: giveBack()
    case 94..<96: restart()
    case 96..<97: world.beginSnapshot()
    default: world.tellSnapshot()
    }
    hearLate()
  }

  // MARK: Operations

  private mutating func newJob() -> (NewJob, ReferenceModel.Job, delay: Int64, key: String?, window: Int64) {
    enqueued += 1
    let payload = random.once(in: 30) ? String(repeating: "long ", count: 2_000) + "\(enqueued)" : "job \(enqueued)"
    let job = ReferenceModel.Job(
      payload: payload, queue: pick(queues), priority: random.below(3), maximumAttempts: 1 + random.below(4),
      backoff: random.once(in: 3) ? 0 : ticks(100), retention: random.once(in: 2) ? 0 : ticks(300),
      expiry: random.once(in: 5) ? model.now + 16 + ticks(200) : nil,
      ownLease: random.once(in: 4) ? 16 + ticks(100) : 0, state: .dead(.failed))
    let delay = random.once(in: 4) ? ticks(150) : 0
    let isAbsolute = random.once(in: 2)
    let key = random.once(in: 6) ? "key \(random.below(4))" : nil
    let window = 16 + ticks(400)
    let wall = UInt64(startWall)
    let new = world.job(job.payload, queue: job.queue) {
      $0.priority = UInt8(job.priority)
      $0.maximumAttempts = UInt16(job.maximumAttempts)
      $0.backoff = Backoff(
        growth: .fixed, baseMilliseconds: UInt32(job.backoff), capMilliseconds: .max, jitterPercent: 0)
      $0.retentionMilliseconds = UInt64(job.retention)
      $0.leaseMilliseconds = UInt32(job.ownLease)
      if let expiry = job.expiry { $0.expiry = .at(milliseconds: wall + UInt64(expiry)) }
      if delay > 0 {
        $0.start =
          isAbsolute ? .at(milliseconds: wall + UInt64(model.now + delay)) : .after(milliseconds: UInt64(delay))
      }
      if let key {
        $0.uniqueKey = world.bytes(key)
        $0.uniqueMilliseconds = UInt64(window)
      }
    }
    return (new, job, delay, key, window)
  }

  private mutating func enqueue() {
    let jobs = (0..<1 + random.below(3)).map { _ in newJob() }
    let id = request
    let reply = world.say(.enqueue, id: id) { $0.jobs = jobs.map(\.0) }
    took(jobs, reply.ids, reply.duplicates)
    hearLate()
    if random.once(in: 20) {
      // The answer got lost: the same request again changes nothing.
      let before = world.engine.digest()
      let again = world.say(.enqueue, id: id) { $0.jobs = jobs.map(\.0) }
      expect(again.ids == reply.ids && again.duplicates == reply.duplicates, "the same answer again")
      expect(world.engine.digest() == before, "a retry changes nothing")
    }
  }

  private mutating func took(
    _ jobs: [(NewJob, ReferenceModel.Job, delay: Int64, key: String?, window: Int64)], _ ids: [JobID],
    _ duplicates: [Int]
  ) {
    expect(ids.count == jobs.count, "an id for each job")
    for (index, (_, job, delay, key, window)) in jobs.enumerated() where index < ids.count {
      if let key, let holder = model.keys[key] {
        expect(ids[index] == holder.job && duplicates.contains(index), "the key's job")
        continue
      }
      expect(!duplicates.contains(index), "the key is free")
      model.enqueue(ids[index], job, delay: delay)
      if let key { model.keys[key] = (ids[index], model.now + window) }
    }
  }

  private mutating func dequeue() {
    let asked = random.once(in: 2) ? [pick(queues)] : ["a", "c", "b"]
    let lease = 16 + ticks(120)
    let wait = random.once(in: 3) ? 16 + ticks(100) : 0
    let id = request
    let reply = world.take(asked, max: 1 + random.below(4), wait: UInt64(wait), lease: UInt32(lease), id: id)
    if reply.text == "…" {
      waiting[id] = (asked, lease)
    } else {
      delivered(reply, asked, lease)
      if reply.taken.isEmpty {
        let isReady = model.jobs.values.contains { job in
          if case .ready = job.state { asked.contains(job.queue) && !model.paused.contains(job.queue) } else { false }
        }
        expect(!isReady, "nothing is delivered only if nothing is ready")
      }
    }
  }

  private mutating func delivered(_ reply: EngineWorld.Reply, _ asked: [String], _ lease: Int64) {
    for job in reply.taken {
      model.deliver(
        job.id, token: job.token.rawValue, attempt: Int(job.attempt), postponed: Int(job.postponed),
        payload: job.payload, asked: asked, lease: lease)
      stale.append((job.id, job.token.rawValue))
    }
  }

  /// Takes in what was answered late: deliveries to waiting dequeues, or that their wait ran out.
  private mutating func hearLate() {
    for late in world.late {
      guard let asked = waiting.removeValue(forKey: late.request) else { continue }
      delivered(late.reply, asked.queues, asked.lease)
    }
    world.late = []
  }

  private mutating func settle() {
    var shown: (JobID, UInt64)?
    if random.once(in: 5), !stale.isEmpty {
      shown = pick(stale)
    } else if let id = someLeased(), let job = model.jobs[id] {
      shown = (id, job.lastToken)
    }
    guard let (id, token) = shown else { return }
    let kind = pick([Settlement.Kind.ack, .ack, .nack, .release, .extend])
    let delay = random.once(in: 2) ? ticks(80) : 0
    let hasDelay = random.once(in: 2)
    let retry = !random.once(in: 8)
    let lease = random.once(in: 2) ? 0 : 16 + ticks(100)
    let settlement = world.settlement(kind, world.name(id), token: token) {
      $0.hasResult = kind == .ack
      $0.result = world.bytes("result")
      $0.hasDelay = hasDelay
      $0.delayMilliseconds = UInt64(delay)
      $0.retry = retry
      $0.leaseMilliseconds = UInt32(lease)
      $0.errorMessage = world.bytes("a message")
    }
    let refusal = model.refusal(id, token: token)
    let reply = world.settle(settlement, id: request)
    expect(reply.refusals.map(\.code) == [refusal].compactMap { $0 }, "settlement of \(id), token \(token)")
    if random.once(in: 20), kind != .extend {
      let before = world.engine.digest()
      expect(world.settle(settlement, id: request).text == reply.text, "the same answer again")
      expect(world.engine.digest() == before, "a retry changes nothing")
    }
    guard refusal == nil else { return }
    switch kind {
    case .ack: model.ack(id)
    case .nack: model.nack(id, retry: retry, delay: hasDelay ? delay : nil)
    case .release: model.release(id, delay: delay)
    case .extend: model.extend(id, milliseconds: lease)
    }
  }

  private mutating func report() {
    var shown: (JobID, UInt64)?
    if random.once(in: 4), !stale.isEmpty {
      shown = pick(stale)
    } else if let id = someLeased(), let job = model.jobs[id] {
      shown = (id, job.lastToken)
    }
    guard let (id, token) = shown else { return }
    var report = ProgressReport(id: id, token: LeaseToken(rawValue: token))
    report.percent = UInt8(random.below(101))
    report.message = world.bytes("at \(request)")
    let refusal = model.refusal(id, token: token)
    let before = world.log.count
    let reply = world.say(.progress, id: request) { $0.reports = [report] }
    expect(reply.refusals.map(\.code) == [refusal].compactMap { $0 }, "progress of \(id), token \(token)")
    expect(world.log.count == before, "progress is not logged")
    if refusal == nil { model.jobs[id]?.progress = report.percent }
  }

  private mutating func cancel() {
    guard let id = someJob({ _ in true }), let job = model.jobs[id] else { return }
    let reply = world.say(.cancel, id: request) { $0.ids = [id] }
    switch job.state {
    case .succeeded, .dead, .cancelled: expect(reply.refusals.map(\.code) == [.finished], "it has finished")
    default:
      expect(reply.ids == [id], "it is cancelled")
      model.cancel(id)
    }
  }

  private mutating func multi() {
    let new = newJob()
    let isStale = random.once(in: 3) && !stale.isEmpty
    let leased = someLeased()
    guard let shown = isStale ? pick(stale) : leased.map({ ($0, model.jobs[$0]?.lastToken ?? 0) }) else { return }
    let refusal = model.refusal(shown.0, token: shown.1)
    let before = refusal == nil ? 0 : world.engine.digest()
    let reply = world.say(.multi, id: request) {
      $0.jobs = [new.0]
      $0.settlements = [Settlement(kind: .ack, id: shown.0, token: LeaseToken(rawValue: shown.1))]
      $0.operations = [.init(method: .enqueue, items: 0..<1), .init(method: .ack, items: 0..<1)]
    }
    expect(reply.code == refusal, "all or nothing")
    if refusal != nil {
      expect(world.engine.digest() == before, "a refused multi changes nothing")
    } else {
      let isDuplicate = new.key.map { model.keys[$0] != nil } ?? false
      took([new], reply.ids, isDuplicate ? [0] : [])
      model.ack(shown.0)
    }
  }

  private mutating func advance(_ milliseconds: Int64) {
    // A step at a time, so that what waits is served at the time at which it becomes ready.
    let end = model.now + milliseconds
    let step: Int64 = milliseconds > 4_000 ? milliseconds : 16
    if waiting.isEmpty || step > 16 {
      dropWaiting()
      world.advance(milliseconds: milliseconds)
      model.advance(to: end)
      return
    }
    while model.now < end {
      world.advance(milliseconds: 16)
      model.advance(to: model.now + 16)
      hearLate()
    }
  }

  /// The connection goes, and its waiting dequeues with it.
  private mutating func dropWaiting() {
    world.disconnect()
    waiting = [:]
    world.connect(client: "client")
  }

  private mutating func pauseOrResume() {
    let queue = pick(queues)
    if model.paused.contains(queue) {
      model.paused.remove(queue)
      world.resume(queue)
    } else if random.once(in: 2) {
      model.paused.insert(queue)
      world.pause(queue)
    }
  }

  private mutating func purge() {
    let queue = pick(queues)
    let reply = world.purge(queue)
    let dropped = model.jobs.filter { _, job in
      switch job.state {
      case .ready, .delayed: job.queue == queue
      default: false
      }
    }.keys
    expect(reply == "purged \(dropped.count)" || reply == "NOT_FOUND" && dropped.isEmpty, "\(reply)")
    for id in dropped { model.cancel(id) }
  }

  private mutating func changeDead() {
    guard let id = someJob({ if case .dead = $0.state { true } else { false } }) else { return }
    if random.once(in: 4) {
      expect(world.dead(.deadDelete, world.name(id)) == "deleted 1", "deleted")
      model.jobs[id] = nil
    } else {
      expect(world.dead(.deadReplay, world.name(id)) == "replayed 1", "replayed")
      model.replay(id)
    }
  }

  private mutating func giveBack() {
    guard let id = someLeased(), let job = model.jobs[id] else { return }
    let token = LeaseToken(rawValue: job.lastToken)
    world.giveBack([.init(id: id, token: token, attempt: 1, lease: 1, payload: "")])
    model.release(id, delay: 0)
  }

  private mutating func restart() {
    hearLate()
    waiting = [:]
    let away = Int64(random.below(3)) * 2
    if random.once(in: 2) {
      world.restartFromSnapshot(awaySeconds: away)
    } else {
      world.restart(awaySeconds: away)
    }
    world.fireTimers()
    model.restart(at: model.now + away * 1_000)
    world.connect(client: "client")
  }

  // MARK: Comparing

  private mutating func expect(_ isTrue: Bool, _ what: @autoclosure () -> String) {
    if isTrue { return }
    hasFailed = true
    Issue.record("request \(request): \(what())")
  }

  /// Every job is in the state that the model says, and there is none beside.
  mutating func compareJobs(_ comment: String) {
    var byState: [String: Int] = [:]
    for (id, job) in model.jobs {
      byState[job.state.word, default: 0] += 1
      guard let details = world.engine.details(of: id) else {
        expect(false, "\(comment): \(id) is \(job.state.word) but is gone")
        continue
      }
      let isSame =
        "\(details.state.wireName)" == job.state.word && String(decoding: details.payload, as: UTF8.self) == job.payload
      expect(isSame, "\(comment): \(id) is \(details.state.wireName), not \(job.state)")
      expect(Int(details.postponed) == job.postponed, "\(comment): \(id) was postponed \(details.postponed) times")
      expect(details.progress?.percent == job.progress, "\(comment): progress of \(id)")
      let isHeld = details.state == .leased || details.state == .succeeded
      if isHeld { expect(Int(details.attempt) == job.failures + 1, "\(comment): attempt of \(id)") }
    }
    let statistics = world.engine.statistics()
    let counted = [
      statistics.ready, statistics.delayed, statistics.leased, statistics.dead, statistics.succeeded,
      statistics.cancelled,
    ]
    let wanted = ["ready", "delayed", "leased", "dead", "succeeded", "cancelled"].map { byState[$0, default: 0] }
    expect(counted == wanted, "\(comment): counts \(counted), not \(wanted)")
    let totals = model.totals
    expect(statistics.totals == totals, "\(comment): totals \(statistics.totals), not \(totals)")
  }
}
