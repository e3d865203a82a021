import NuvomEngine
import NuvomModel

/// What a log may say, written as plainly as possible: a dictionary of jobs that is looked through for everything.
///
/// It reads the events of every batch in their order, and complains of each that must not be: a lease of a job that is not ready, or of one before
/// which another was due, a lease that ends early, a token or an id that comes twice, a due time that comes twice. It knows nothing of slabs, wheels
/// and arenas.
struct ReferenceModel {
  enum State: Equatable {
    case delayed(until: Int64, isWall: Bool, milliseconds: Int64)
    case ready(order: Int64)
    case leased(until: Int64)
    case finished(JobState)

    var word: String {
      switch self {
      case .delayed: "delayed"
      case .ready: "ready"
      case .leased: "leased"
      case .finished(let state): "\(state.wireName)"
      }
    }
  }

  struct Job {
    var state: State
    var queue: UInt32
    var priority: UInt8
    var retention: UInt64 = 0
    var maximumAttempts = 0
    var expiry: UInt64 = 0
    var token: UInt64 = 0
    var lease: Int64 = 0
    var failures = 0
    /// Failures before it was last replayed: they use up nothing.
    var allowanceFrom = 0
    var wasDelivered = false
  }

  struct Schedule {
    var last: Int64?
    var next: Int64?
    /// The due time of a fire that waits for the job before it.
    var buffered: Int64?
    var queue: UInt32 = 0
    var priority: UInt8 = 0
    var job: [UInt8] = []
  }

  private(set) var jobs: [JobID: Job] = [:]
  private(set) var complaints: [String] = []
  /// Every id that was ever given out.
  private(set) var known: Set<JobID> = []
  private var queues: [UInt32: [UInt8]] = [:]
  private var paused: Set<UInt32> = []
  private var highestToken: UInt64 = 0
  private var answered: Set<Answer> = []
  private var schedules: [UInt32: Schedule] = [:]
  private var now = Time(boot: 0, wall: 0)
  /// The time of the turn before.
  private var previous = Time(boot: 0, wall: 0)
  private var order: Int64 = 0
  private var front: Int64 = 0

  private struct Answer: Hashable {
    let client: UInt32
    let request: RequestID
  }

  mutating func apply(_ body: [UInt8]) {
    let isRead = body.withUnsafeBytes { bytes in
      Event.forEach(in: bytes) { apply($0) }
    }
    if !isRead { complain("a batch holds bytes that are no event") }
  }

  private mutating func complain(_ text: String) { complaints.append("log: \(text)") }

  private mutating func change(_ id: JobID, _ what: String, _ body: (inout Job) -> String?) {
    guard var job = jobs[id] else { return complain("\(what) of job \(id), which is not there") }
    if let complaint = body(&job) { complain("\(what) of job \(id): \(complaint)") }
    jobs[id] = job
  }

  private mutating func readyOrder() -> Int64 {
    order += 1
    return order
  }

  private mutating func add(_ id: JobID, _ state: State, _ queue: UInt32, _ priority: UInt8, _ body: BorrowedBytes) {
    if !known.insert(id).inserted { complain("job id \(id) was given twice") }
    guard let body = JobBody(body) else { return complain("the body of job \(id) cannot be read") }
    jobs[id] = Job(
      state: state, queue: queue, priority: priority, retention: body.retentionMilliseconds,
      maximumAttempts: Int(body.maximumAttempts), expiry: body.expiryMilliseconds)
  }

  /// What a schedule enqueues is as its definition says.
  private mutating func fire(_ slot: UInt32, _ id: JobID) {
    guard let schedule = schedules[slot] else { return complain("a fire of schedule \(slot), which is not there") }
    let place = readyOrder()
    schedule.job.withUnsafeBytes { add(id, .ready(order: place), schedule.queue, schedule.priority, $0) }
    let expiry = jobs[id]?.expiry ?? 0
    if expiry > 0 { jobs[id]?.expiry = UInt64(now.wallMilliseconds) + expiry }
  }

  private mutating func define(_ slot: UInt32, _ next: Int64?, _ body: BorrowedBytes) {
    guard let body = ScheduleBody(body) else { return complain("the definition of schedule \(slot) cannot be read") }
    schedules[slot, default: Schedule()].next = next
    schedules[slot]?.queue = body.queue
    schedules[slot]?.priority = body.priority
    schedules[slot]?.job = Array(body.job)
  }

  private mutating func next(_ next: Event.Next, _ job: inout Job) {
    switch next {
    case .ready: job.state = .ready(order: readyOrder())
    case .delayed(let milliseconds):
      let wait = Int64(milliseconds)
      job.state = .delayed(until: now.boot + wait * 1_000, isWall: false, milliseconds: wait)
    case .dead: job.state = .finished(.dead)
    }
  }

  private mutating func apply(_ event: Event) {
    switch event {
    case .turn(let time):
      previous = now
      now = time
    case .resumed: resume()
    case .salvaged: complain("the log was salvaged, and nobody had damaged it")
    case .queueNamed(let number, let name):
      if queues.updateValue(Array(name), forKey: number) != nil { complain("queue \(number) was named twice") }
    case .enqueued(let id, let queue, let priority, let start, let body):
      let state: State =
        switch start {
        case .unspecified: .ready(order: readyOrder())
        case .after(let wait):
          .delayed(until: now.boot + Int64(wait) * 1_000, isWall: false, milliseconds: Int64(wait))
        case .at(let time): .delayed(until: Int64(time) * 1_000, isWall: true, milliseconds: 0)
        }
      add(id, state, queue, priority, body)
    case .becameReady(let id): becameReady(id)
    case .leased(let id, let token, let lease): leased(id, token.rawValue, Int64(lease))
    case .extended(let id, let lease):
      let until = now.boot + Int64(lease) * 1_000
      change(id, "an extension") { job in
        guard case .leased = job.state else { return "it is not leased" }
        job.state = .leased(until: until)
        job.lease = Int64(lease)
        return nil
      }
    case .acked(let id, _):
      change(id, "an ack") { job in
        guard case .leased = job.state else { return "it is not leased but \(job.state)" }
        job.state = .finished(.succeeded)
        return nil
      }
      if jobs[id]?.retention == 0 { jobs[id] = nil }
    case .nacked(let id, let next, _, _, _): attemptEnded(id, next, "a nack")
    case .leaseExpired(let id, let next):
      if case .leased(let until)? = jobs[id]?.state, now.boot < until {
        complain("the lease of \(id) ended \(until - now.boot) µs early")
      }
      attemptEnded(id, next, "a lease's end")
    case .released(let id, let delay):
      front -= 1
      let place = front
      let now = now
      change(id, "a release") { job in
        guard case .leased = job.state else { return "it is not leased" }
        let wait = Int64(delay)
        job.state =
          wait == 0
          ? .ready(order: place) : .delayed(until: now.boot + wait * 1_000, isWall: false, milliseconds: wait)
        return nil
      }
    case .cancelled(let id):
      var isKept = false
      change(id, "a cancel") { job in
        if case .finished = job.state { return "it is finished" }
        // Its worker is still to be told.
        if case .leased = job.state { isKept = true }
        job.state = .finished(.cancelled)
        return nil
      }
      if !isKept, jobs[id]?.retention == 0 { jobs[id] = nil }
    case .expired(let id):
      let now = now
      change(id, "an expiry") { job in
        job.state = .finished(.dead)
        if job.wasDelivered { return "it was delivered in time" }
        return job.expiry == 0 || Int64(job.expiry) * 1_000 > now.wall ? "its time is not over" : nil
      }
    case .removed(let id, let removal):
      if let job = jobs[id] {
        let isRight = removal == .retentionOver || job.state == .finished(.dead)
        if case .finished = job.state, isRight {} else { complain("job \(id) was removed while \(job.state)") }
      }
      jobs[id] = nil
    case .deadReplayed(let id):
      let place = readyOrder()
      change(id, "a replay") { job in
        guard job.state == .finished(.dead) else { return "it is no dead letter" }
        job.allowanceFrom = job.failures
        job.expiry = 0
        job.state = .ready(order: place)
        return nil
      }
    case .queuePaused(let queue, let isPaused):
      if isPaused { paused.insert(queue) } else { paused.remove(queue) }
    case .clientForgotten(let slot): answered = answered.filter { $0.client != slot }
    case .answered(let client, let request, _):
      if !answered.insert(Answer(client: client, request: request)).inserted {
        complain("request \(request) of client \(client) was done twice")
      }
    case .scheduled(let slot, _, _, let next, let body):
      schedules[slot] = nil
      define(slot, next, body)
    case .rescheduled(let slot, _, let next, _, let last, let body):
      define(slot, next, body)
      if let last { schedules[slot]?.last = last }
    case .fired(let slot, let id, let due, let next, _):
      if schedules[slot]?.buffered == due {
        schedules[slot]?.buffered = nil
      } else {
        decided(slot, due, next, "a fire")
      }
      fire(slot, id)
    case .fireSkipped(let slot, let due, let next, _): decided(slot, due, next, "a skipped fire")
    case .fireBuffered(let slot, let due, let next, _):
      decided(slot, due, next, "a fire that waits")
      schedules[slot]?.buffered = due
    case .firesMissed(let slot, _, let last, let next): decided(slot, last, next, "a missed fire")
    case .scheduleTriggered(let slot, let id, _): fire(slot, id)
    case .scheduleMoved(let slot, let next): schedules[slot]?.next = next
    case .scheduleRemoved(let slot): schedules[slot] = nil
    case .taskNamed, .keyTaken, .keyFreed, .clientNamed, .zoneNamed, .zoneChanged, .schedulePaused: break
    }
  }

  private mutating func becameReady(_ id: JobID) {
    let place = readyOrder()
    let now = now
    change(id, "the end of a delay") { job in
      guard case .delayed(let until, let isWall, _) = job.state else { return "it is not delayed but \(job.state)" }
      job.state = .ready(order: place)
      let early = until - (isWall ? now.wall : now.boot)
      return early > 0 ? "it comes \(early) µs early" : nil
    }
  }

  private mutating func leased(_ id: JobID, _ token: UInt64, _ lease: Int64) {
    if token <= highestToken { complain("token \(token) of \(id) does not rise above \(highestToken)") }
    highestToken = max(highestToken, token)
    guard let job = jobs[id] else { return complain("a lease of job \(id), which is not there") }
    guard case .ready(let place) = job.state else { return complain("a lease of job \(id), which is \(job.state)") }
    if job.expiry > 0, !job.wasDelivered, Int64(job.expiry) <= now.wallMilliseconds {
      complain("a lease of job \(id), which has expired")
    }
    if paused.contains(job.queue) { complain("a lease of job \(id) from a paused queue") }
    for (other, rival) in jobs where rival.queue == job.queue && other != id {
      guard case .ready(let waits) = rival.state else { continue }
      if (rival.priority, waits) < (job.priority, place) { complain("job \(other) was before \(id)") }
    }
    jobs[id]?.state = .leased(until: now.boot + lease * 1_000)
    jobs[id]?.token = token
    jobs[id]?.lease = lease
    jobs[id]?.wasDelivered = true
  }

  private mutating func attemptEnded(_ id: JobID, _ next: Event.Next, _ what: String) {
    guard var job = jobs[id] else { return complain("\(what) of job \(id), which is not there") }
    guard case .leased = job.state else { return complain("\(what) of job \(id), which is \(job.state)") }
    job.failures += 1
    let isUsedUp = job.failures - job.allowanceFrom >= job.maximumAttempts
    switch next {
    case .dead(.rejected): break
    case .dead: if !isUsedUp { complain("\(what) of job \(id) made it a dead letter before its attempts were used up") }
    case .ready, .delayed: if isUsedUp { complain("\(what) of job \(id) gave it an attempt more than it has") }
    }
    self.next(next, &job)
    jobs[id] = job
  }

  /// A due time is decided about once, in the order of time.
  private mutating func decided(_ slot: UInt32, _ due: Int64, _ next: Int64?, _ what: String) {
    guard let schedule = schedules[slot] else { return complain("\(what) of a schedule that is not there") }
    if let last = schedule.last, due <= last {
      complain("\(what) of schedule \(slot) for \(due), after that for \(last)")
    }
    if due * 1_000 > now.wall { complain("\(what) of schedule \(slot) for \(due) before its time") }
    if let next, next <= due { complain("schedule \(slot) goes from \(due) back to \(next)") }
    schedules[slot]?.last = due
    schedules[slot]?.next = next
  }

  /// The broker started again: leases run their full length, the rest of relative delays goes on.
  private mutating func resume() {
    for (id, job) in jobs {
      switch job.state {
      case .leased: jobs[id]?.state = .leased(until: now.boot + job.lease * 1_000)
      case .delayed(let until, false, let milliseconds):
        // How long it was away only the wall clock can say.
        let away = max(0, now.wall - previous.wall)
        let rest = min(max(0, until - previous.boot - away), milliseconds * 1_000)
        jobs[id]?.state = .delayed(until: now.boot + rest, isWall: false, milliseconds: milliseconds)
      case .delayed, .ready, .finished: break
      }
    }
  }
}
