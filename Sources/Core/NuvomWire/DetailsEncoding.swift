import MessagePack
import NuvomModel

// What is told to people and their tools: jobs, queues, the broker in numbers.

extension MessageWriter {
  /// get, wait, and the jobs of dead_list.
  mutating func job(_ job: JobDetails) {
    // Payload and result may have 8 MiB each, which with all the rest is more than a frame. The caller has the payload.
    let isPayloadTold = job.encodedBytesAtMost <= ProtocolLimits.frameBytes
    let optionals: [Bool] = [
      isPayloadTold, !job.headers.isEmpty, !job.tags.isEmpty, job.dueAtMilliseconds != nil,
      job.leaseMillisecondsLeft != nil, job.token != nil, job.finishedAtMilliseconds != nil, job.result != nil,
      job.deadReason != nil,
      job.progress != nil, job.postponed > 0, job.fire != nil,
    ]
    mapHeader(10 + optionals.count { $0 })
    pair("id", job.id.rawValue)
    literal("state")
    literal(job.state.wireName)
    literal("queue")
    string(utf8: job.queue)
    literal("task")
    string(utf8: job.task)
    if isPayloadTold {
      literal("payload")
      binary(job.payload)
    }
    labels(headers: job.headers, tags: job.tags)
    pair("priority", UInt64(job.priority))
    pair("attempt", UInt64(job.attempt))
    pair("max_attempts", UInt64(job.maximumAttempts))
    pair("enqueued_at_ms", Int(job.enqueuedAtMilliseconds))
    if let due = job.dueAtMilliseconds { pair("due_at_ms", Int(due)) }
    if let left = job.leaseMillisecondsLeft { pair("lease_ms_left", Int(left)) }
    if let token = job.token { pair("token", token.rawValue) }
    if let fire = job.fire {
      fire.schedule.withUnsafeBytes { name in self.fire(name, dueMilliseconds: fire.dueMilliseconds) }
    }
    if let progress = job.progress { self.progress(progress) }
    if let finished = job.finishedAtMilliseconds { pair("finished_at_ms", Int(finished)) }
    if let result = job.result {
      literal("result")
      binary(result)
    }
    if let reason = job.deadReason {
      literal("dead_reason")
      literal(reason.wireName)
    }
    pair("expired_leases", UInt64(job.expiredLeases))
    if job.postponed > 0 { pair("postponed", UInt64(job.postponed)) }
    literal("errors")
    arrayHeader(job.errors.count)
    for error in job.errors { attemptError(error) }
  }

  /// The pairs of what is kept verbatim, of that which there is.
  mutating func labels(headers: [UInt8], tags: [UInt8]) {
    if !headers.isEmpty {
      literal("headers")
      raw(headers)
    }
    if !tags.isEmpty {
      literal("tags")
      raw(tags)
    }
  }

  private mutating func progress(_ progress: JobProgress) {
    literal("progress")
    mapHeader(1 + (progress.percent == nil ? 0 : 1) + (progress.message.isEmpty ? 0 : 1))
    if let percent = progress.percent { pair("percent", UInt64(percent)) }
    if !progress.message.isEmpty {
      literal("message")
      string(utf8: progress.message)
    }
    pair("at_ms", Int(progress.atMilliseconds))
  }

  private mutating func attemptError(_ error: AttemptError) {
    mapHeader(5)
    pair("attempt", UInt64(error.attempt))
    pair("at_ms", Int(error.atMilliseconds))
    literal("type")
    string(utf8: error.type)
    literal("message")
    string(utf8: error.message)
    literal("trace")
    string(utf8: error.trace)
  }

  /// dead_list: as many of the jobs as fit into a frame. If that is not all, the page ends earlier.
  mutating func jobs(_ jobs: [JobDetails], next: JobID?) {
    let kept = Self.fitting(jobs) { ($0.encodedBytesAtMost, $0.elementsAtMost) }
    let next = kept < jobs.count ? jobs[kept - 1].id : next
    mapHeader(next == nil ? 1 : 2)
    literal("jobs")
    arrayHeader(kept)
    for job in jobs[..<kept] { self.job(job) }
    if let next { pair("next", next.rawValue) }
  }

  /// How many items of a page, from the first, fit into a frame, by what each takes at most. The first goes in whatever it is: alone it fits.
  static func fitting<Item>(_ items: [Item], _ size: (Item) -> (bytes: Int, elements: Int)) -> Int {
    // What is around the items, the name of the next page's beginning with it.
    var bytes = 512
    var elements = 16
    for (index, item) in items.enumerated() {
      let one = size(item)
      bytes += one.bytes
      elements += one.elements
      if index > 0, bytes > ProtocolLimits.frameBytes || elements > ProtocolLimits.frameElements { return index }
    }
    return items.count
  }

  /// queues.
  mutating func queues(_ queues: [QueueSummary], next: [UInt8]?) {
    mapHeader(next == nil ? 1 : 2)
    literal("queues")
    arrayHeader(queues.count)
    for queue in queues {
      mapHeader(6)
      literal("queue")
      string(utf8: queue.name)
      pair("paused", queue.isPaused)
      pair("ready", queue.ready)
      pair("delayed", queue.delayed)
      pair("leased", queue.leased)
      pair("dead", queue.dead)
    }
    if let next {
      literal("next")
      string(utf8: next)
    }
  }

  /// queue.
  mutating func queue(_ queue: QueueDetails) {
    mapHeader(21)
    literal("queue")
    string(utf8: queue.summary.name)
    pair("paused", queue.summary.isPaused)
    pair("ready", queue.summary.ready)
    pair("delayed", queue.summary.delayed)
    pair("leased", queue.summary.leased)
    pair("succeeded", queue.succeeded)
    pair("cancelled", queue.cancelled)
    pair("dead", queue.summary.dead)
    pair("waiting", queue.waiting)
    pair("oldest_ready_ms", Int(queue.oldestReadyMilliseconds))
    totals(queue.totals)
    literal("enqueued_per_second")
    double(queue.enqueuedPerSecond)
    literal("acked_per_second")
    double(queue.ackedPerSecond)
  }

  /// stats.
  mutating func statistics(_ statistics: Statistics) {
    mapHeader(39)
    literal("version")
    string(statistics.version)
    pair("uptime_ms", Int(statistics.uptimeMilliseconds))
    pair("connections", statistics.connections)
    pair("clients", statistics.clients)
    pair("queues", statistics.queues)
    pair("ready", statistics.ready)
    pair("delayed", statistics.delayed)
    pair("leased", statistics.leased)
    pair("succeeded", statistics.succeeded)
    pair("cancelled", statistics.cancelled)
    pair("dead", statistics.dead)
    totals(statistics.totals)
    pair("dead_dropped_total", statistics.deadDropped)
    pair("refused_total", statistics.refused)
    pair("memory_bytes", statistics.memoryBytes)
    pair("memory_limit_bytes", statistics.memoryLimitBytes)
    literal("fsync")
    string(statistics.fsync)
    pair("wal_bytes_total", statistics.walBytes)
    pair("wal_syncs_total", statistics.walSyncs)
    pair("wal_batches_total", statistics.walBatches)
    pair("disk_bytes", statistics.diskBytes)
    pair("snapshots_total", statistics.snapshots)
    scheduleStatistics(statistics)
  }

  /// Nine pairs.
  private mutating func totals(_ totals: Totals) {
    pair("enqueued_total", totals.enqueued)
    pair("delivered_total", totals.delivered)
    pair("acked_total", totals.acked)
    pair("nacked_total", totals.nacked)
    pair("released_total", totals.released)
    pair("lease_expired_total", totals.leaseExpired)
    pair("expired_total", totals.expired)
    pair("cancelled_total", totals.cancelled)
    pair("dead_total", totals.dead)
  }

  mutating func string(utf8 bytes: [UInt8]) {
    bytes.withUnsafeBytes { bytes in string(utf8: bytes) }
  }

  mutating func raw(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { bytes in raw(bytes) }
  }
}

extension [UInt8] {
  /// The values in encoded headers or tags.
  var flatElements: Int { withUnsafeBytes { $0.flatElements } }
}

extension JobDetails {
  /// Not less than the bytes that the job takes in a response: its keys and numbers have less than 512, those of an error less
  /// than 96.
  fileprivate var encodedBytesAtMost: Int {
    let own = queue.count + task.count + payload.count + headers.count + tags.count + (result?.count ?? 0)
    let said = (progress?.message.count ?? 0) + (fire?.schedule.count ?? 0)
    return errors.reduce(512 + own + said) { $0 + 96 + $1.type.count + $1.message.count + $1.trace.count }
  }

  /// Not less than the values that the job is in a response: of its own it has less than 64, an error has 11.
  fileprivate var elementsAtMost: Int { 64 + headers.flatElements + tags.flatElements + 11 * errors.count }
}
