import NuvomModel
import Testing

/// What an engine must do, written as plainly as possible: a dictionary of jobs that is looked through for everything.
///
/// Times are milliseconds of a clock that never steps, and multiples of 16, which are whole ticks of the engine's timers.
struct ReferenceModel {
  enum State: Equatable {
    case delayed(until: Int64)
    /// The smaller is delivered first: when it became ready, or, for what was given back to the front, a number below all others.
    case ready(since: Int64)
    case leased(token: UInt64, milliseconds: Int64, until: Int64)
    case succeeded(until: Int64)
    case dead(DeadReason)
    case cancelled(until: Int64, token: UInt64?)

    var word: String {
      switch self {
      case .delayed: "delayed"
      case .ready: "ready"
      case .leased: "leased"
      case .succeeded: "succeeded"
      case .dead: "dead"
      case .cancelled: "cancelled"
      }
    }
  }

  struct Job {
    var payload: String
    var queue: String
    var priority: Int
    var maximumAttempts: Int
    var backoff: Int64
    var retention: Int64
    var expiry: Int64?
    var ownLease: Int64
    var state: State
    var failures = 0
    /// How often in a row it was released with a delay.
    var postponed = 0
    /// What its worker has said under the present lease.
    var progress: UInt8?
    var allowanceFrom = 0
    var wasDelivered = false
    var lastToken: UInt64 = 0
    /// The length of its last lease.
    var lease: Int64 = 0
  }

  var now: Int64 = 0
  var jobs: [JobID: Job] = [:]
  var keys: [String: (job: JobID, until: Int64)] = [:]
  var paused: Set<String> = []
  var highestToken: UInt64 = 0
  /// Every id that was ever given out.
  var known: Set<JobID> = []
  var totals = Totals()
  private var front: Int64 = 0

  // MARK: Time

  /// Does what is due, in the order of time.
  mutating func advance(to end: Int64) {
    while let (id, due) = nextDue(), due <= end {
      now = max(now, due)
      fire(id)
    }
    now = end
    keys = keys.filter { $0.value.until > end }
  }

  private func due(_ job: Job) -> Int64? {
    switch job.state {
    case .delayed(let until), .leased(_, _, let until), .succeeded(let until), .cancelled(let until, _): until
    case .ready: job.wasDelivered ? nil : job.expiry
    case .dead: nil
    }
  }

  private func nextDue() -> (JobID, Int64)? {
    var earliest: (JobID, Int64)?
    for (id, job) in jobs {
      guard let due = due(job), due < earliest?.1 ?? .max else { continue }
      earliest = (id, due)
    }
    return earliest
  }

  private mutating func fire(_ id: JobID) {
    guard let job = jobs[id] else { return }
    switch job.state {
    case .delayed: jobs[id]?.state = .ready(since: now)
    case .ready: expire(id)
    case .leased:
      totals.leaseExpired += 1
      endAttempt(id, reason: .leaseExpired)
    case .succeeded, .cancelled: jobs[id] = nil
    case .dead: break
    }
  }

  mutating func expire(_ id: JobID) {
    totals.expired += 1
    totals.dead += 1
    jobs[id]?.state = .dead(.expired)
  }

  // MARK: Steps

  mutating func enqueue(_ id: JobID, _ job: Job, delay: Int64) {
    #expect(known.insert(id).inserted, "an id is given out once")
    var job = job
    job.state = delay > 0 ? .delayed(until: now + delay) : .ready(since: now)
    totals.enqueued += 1
    jobs[id] = job
  }

  /// A delivery: of a job that may be delivered now, before which no other of its queue would have been.
  mutating func deliver(
    _ id: JobID, token: UInt64, attempt: Int, postponed: Int, payload: String, asked: [String], lease: Int64
  ) {
    guard let job = jobs[id], case .ready(let since) = job.state else {
      Issue.record("\(id) was delivered, but is \(jobs[id].map { $0.state.word } ?? "unknown")")
      return
    }
    #expect(token > highestToken, "tokens rise")
    #expect(attempt == job.failures + 1 && payload == job.payload, "attempt and bytes of \(id)")
    #expect(postponed == job.postponed, "how often \(id) was postponed")
    #expect(asked.contains(job.queue) && !paused.contains(job.queue), "the queue was asked for and is not paused")
    #expect(job.wasDelivered || (job.expiry ?? .max) > now, "it is in time")
    for (other, rival) in jobs where rival.queue == job.queue && other != id {
      guard case .ready(let waits) = rival.state, rival.wasDelivered || (rival.expiry ?? .max) > now else { continue }
      let isBefore = rival.priority < job.priority || rival.priority == job.priority && waits < since
      #expect(!isBefore, "\(other) was before \(id)")
    }
    highestToken = token
    totals.delivered += 1
    let milliseconds = job.ownLease > 0 ? job.ownLease : lease
    jobs[id]?.state = .leased(token: token, milliseconds: milliseconds, until: now + milliseconds)
    jobs[id]?.wasDelivered = true
    jobs[id]?.lastToken = token
    jobs[id]?.lease = milliseconds
  }

  /// Why a settlement must be refused, or nil.
  func refusal(_ id: JobID, token: UInt64) -> ErrorCode? {
    switch jobs[id]?.state {
    case .leased(token, _, _)?: nil
    case .cancelled(_, token)?: .cancelled
    default: .leaseLost
    }
  }

  mutating func ack(_ id: JobID) {
    totals.acked += 1
    let retention = jobs[id]?.retention ?? 0
    jobs[id]?.progress = nil
    jobs[id]?.state = .succeeded(until: now + retention)
    if retention == 0 { jobs[id] = nil }
  }

  mutating func nack(_ id: JobID, retry: Bool, delay: Int64?) {
    totals.nacked += 1
    endAttempt(id, reason: retry ? .failed : .rejected, mayRetry: retry, delay: delay)
  }

  private mutating func endAttempt(_ id: JobID, reason: DeadReason, mayRetry: Bool = true, delay: Int64? = nil) {
    guard var job = jobs[id] else { return }
    job.failures += 1
    job.postponed = 0
    job.progress = nil
    if !mayRetry || job.failures - job.allowanceFrom >= job.maximumAttempts {
      totals.dead += 1
      job.state = .dead(reason)
    } else {
      let wait = delay ?? job.backoff
      job.state = wait == 0 ? .ready(since: now) : .delayed(until: now + wait)
    }
    jobs[id] = job
  }

  mutating func release(_ id: JobID, delay: Int64) {
    totals.released += 1
    front -= 1
    jobs[id]?.progress = nil
    if delay > 0 { jobs[id]?.postponed += 1 }
    jobs[id]?.state = delay == 0 ? .ready(since: front) : .delayed(until: now + delay)
  }

  mutating func extend(_ id: JobID, milliseconds: Int64) {
    guard case .leased(let token, let present, _)? = jobs[id]?.state else { return }
    let length = milliseconds == 0 ? present : milliseconds
    jobs[id]?.state = .leased(token: token, milliseconds: length, until: now + length)
    jobs[id]?.lease = length
  }

  mutating func cancel(_ id: JobID) {
    guard let job = jobs[id] else { return }
    totals.cancelled += 1
    jobs[id]?.progress = nil
    if case .leased(let token, let milliseconds, _) = job.state {
      jobs[id]?.state = .cancelled(until: now + max(milliseconds, job.retention), token: token)
    } else if job.retention > 0 {
      jobs[id]?.state = .cancelled(until: now + job.retention, token: nil)
    } else {
      jobs[id] = nil
    }
  }

  mutating func replay(_ id: JobID) {
    guard let job = jobs[id] else { return }
    jobs[id]?.allowanceFrom = job.failures
    jobs[id]?.postponed = 0
    jobs[id]?.expiry = nil
    jobs[id]?.state = .ready(since: now)
  }

  /// The broker was away until then: progress is forgotten, leases run their full length again, and what else became due meanwhile is done now.
  mutating func restart(at time: Int64) {
    now = time
    for (id, job) in jobs {
      jobs[id]?.progress = nil
      switch job.state {
      case .leased(let token, let milliseconds, _):
        jobs[id]?.state = .leased(token: token, milliseconds: milliseconds, until: now + milliseconds)
      case .cancelled(_, let token?):
        jobs[id]?.state = .cancelled(until: now + max(job.lease, job.retention), token: token)
      default: break
      }
    }
    advance(to: time)
  }
}
