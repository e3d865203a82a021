import MessagePack
import NuvomModel

// What is told of schedules.

extension MessageWriter {
  /// schedule.
  mutating func receipts(_ receipts: [ScheduleReceipt]) {
    mapHeader(1)
    literal("schedules")
    arrayHeader(receipts.count)
    for receipt in receipts {
      let isUpdated = receipt.status == .updated
      mapHeader(1 + (isUpdated ? 1 : 0) + (receipt.dueMilliseconds == nil ? 0 : 1))
      literal("status")
      literal(receipt.status.wireName)
      if isUpdated {
        let changed = ScheduleField.allCases.filter { receipt.changed & (1 << UInt32($0.rawValue)) != 0 }
        literal("changed")
        arrayHeader(changed.count)
        for field in changed { literal(field.wireName) }
      }
      if let due = receipt.dueMilliseconds { pair("due_at_ms", Int(due)) }
    }
  }

  /// schedule_pause, schedule_resume, schedule_trigger, schedule_delete. A refused name is told by its place, which the client knows.
  mutating func named(_ refusals: [NameRefusal], ids: [JobID]?) {
    mapHeader((refusals.isEmpty ? 0 : 1) + (ids == nil ? 0 : 1))
    if let ids {
      literal("ids")
      arrayHeader(ids.count)
      for id in ids { uint(id.rawValue) }
    }
    if refusals.isEmpty { return }
    literal("refused")
    arrayHeader(refusals.count)
    for refusal in refusals {
      mapHeader(3)
      pair("index", refusal.index)
      literal("code")
      literal(refusal.code.wireName)
      literal("message")
      literal(refusal.code.message)
    }
  }

  /// schedules: as many as fit into a frame. If that is not all, the page ends earlier.
  mutating func schedules(_ schedules: [ScheduleDetails], next: [UInt8]?) {
    let kept = Self.fitting(schedules) { ($0.encodedBytesAtMost, $0.elementsAtMost) }
    let next = kept < schedules.count ? schedules[kept - 1].name : next
    mapHeader(next == nil ? 1 : 2)
    literal("schedules")
    arrayHeader(kept)
    for schedule in schedules[..<kept] { self.schedule(schedule) }
    if let next {
      literal("next")
      string(utf8: next)
    }
  }

  /// schedule_get.
  mutating func schedule(_ schedule: ScheduleDetails) {
    var pairs = 16
    if case .cron = schedule.times { pairs += 3 }
    let optionals: [Bool] = [
      schedule.startMilliseconds != nil, schedule.endMilliseconds != nil, !schedule.metadata.isEmpty,
      schedule.dueMilliseconds != nil, schedule.firesAtMilliseconds != nil, schedule.lastDueMilliseconds != nil,
      schedule.lastJob != nil, schedule.bufferedDueMilliseconds != nil,
    ]
    pairs += optionals.count { $0 }
    mapHeader(pairs)
    literal("name")
    string(utf8: schedule.name)
    literal("state")
    literal(schedule.state.wireName)
    times(schedule.times)
    if let start = schedule.startMilliseconds { pair("start_at_ms", start) }
    if let end = schedule.endMilliseconds { pair("end_at_ms", end) }
    pair("max_fires", UInt64(schedule.maximumFires))
    pair("jitter_ms", schedule.jitterMilliseconds)
    literal("misfire")
    literal(schedule.misfire.wireName)
    pair("catch_up_ms", schedule.catchUpMilliseconds)
    literal("overlap")
    literal(schedule.overlap.wireName)
    if !schedule.metadata.isEmpty {
      literal("metadata")
      raw(schedule.metadata)
    }
    pair("retention_ms", schedule.retentionMilliseconds)
    literal("job")
    scheduledJob(schedule.job)
    pair("created_at_ms", Int(schedule.createdAtMilliseconds))
    pair("updated_at_ms", Int(schedule.updatedAtMilliseconds))
    if let due = schedule.dueMilliseconds { pair("due_at_ms", Int(due)) }
    if let fires = schedule.firesAtMilliseconds { pair("fires_at_ms", Int(fires)) }
    if let last = schedule.lastDueMilliseconds { pair("last_due_at_ms", Int(last)) }
    if let job = schedule.lastJob { pair("last_job", job.rawValue) }
    if let buffered = schedule.bufferedDueMilliseconds { pair("buffered_due_at_ms", Int(buffered)) }
    pair("fired_total", UInt64(schedule.fired))
    pair("missed_total", UInt64(schedule.missed))
    pair("skipped_total", UInt64(schedule.skipped))
    pair("triggered_total", UInt64(schedule.triggered))
  }

  private mutating func times(_ times: ScheduleTimesDetails) {
    switch times {
    case .at(let milliseconds): pair("at_ms", milliseconds)
    case .after(let milliseconds): pair("in_ms", milliseconds)
    case .every(let milliseconds): pair("every_ms", milliseconds)
    case .cron(let expression, let zone, let gap, let fold):
      literal("cron")
      string(utf8: expression)
      literal("time_zone")
      string(utf8: zone)
      literal("gap")
      literal(gap.wireName)
      literal("fold")
      literal(fold.wireName)
    }
  }

  private mutating func scheduledJob(_ job: ScheduledJobDetails) {
    let optionals: [Bool] = [
      job.payload != nil, !job.headers.isEmpty, !job.tags.isEmpty, job.expiresInMilliseconds != nil,
    ]
    mapHeader(11 + optionals.count { $0 })
    literal("queue")
    string(utf8: job.queue)
    literal("task")
    string(utf8: job.task)
    if let payload = job.payload {
      literal("payload")
      payload.withUnsafeBytes { bytes in binary(bytes) }
    }
    labels(headers: job.headers, tags: job.tags)
    pair("priority", UInt64(job.priority))
    if let expiry = job.expiresInMilliseconds { pair("expires_in_ms", expiry) }
    pair("max_attempts", UInt64(job.maximumAttempts))
    literal("backoff")
    literal(job.backoff.growth.wireName)
    pair("backoff_base_ms", UInt64(job.backoff.baseMilliseconds))
    pair("backoff_cap_ms", UInt64(job.backoff.capMilliseconds))
    pair("jitter_percent", UInt64(job.backoff.jitterPercent))
    pair("timeout_ms", UInt64(job.timeoutMilliseconds))
    pair("lease_ms", UInt64(job.leaseMilliseconds))
    pair("retention_ms", job.retentionMilliseconds)
  }

  /// The pair `schedule` of a job.
  mutating func fire(_ schedule: BorrowedBytes, dueMilliseconds: Int64) {
    literal("schedule")
    mapHeader(2)
    literal("name")
    string(utf8: schedule)
    pair("due_at_ms", Int(dueMilliseconds))
  }

  /// Nine pairs of stats.
  mutating func scheduleStatistics(_ statistics: Statistics) {
    pair("schedules", statistics.schedules)
    pair("fires_total", statistics.scheduleTotals.fired)
    pair("fires_missed_total", statistics.scheduleTotals.missed)
    pair("fires_skipped_total", statistics.scheduleTotals.skipped)
    pair("fires_late_total", statistics.scheduleTotals.late)
    pair("fires_triggered_total", statistics.scheduleTotals.triggered)
    pair("fires_postponed_total", statistics.firesPostponed)
    pair("clock_steps_total", statistics.clockSteps)
    literal("fire_lateness")
    mapHeader(3)
    literal("le_ms")
    arrayHeader(FireLateness.boundsMilliseconds.count)
    for bound in FireLateness.boundsMilliseconds { uint(bound) }
    literal("counts")
    arrayHeader(statistics.fireLateness.counts.count)
    for count in statistics.fireLateness.counts { uint(count) }
    pair("sum_ms", statistics.fireLateness.sumMicroseconds / 1_000)
  }
}

extension ScheduleDetails {
  /// Not less than the bytes that the schedule takes in a response: its keys and numbers have less than 1,024.
  fileprivate var encodedBytesAtMost: Int {
    var own = 1_024 + name.count + metadata.count + job.queue.count + job.task.count + job.headers.count
    if case .cron(let expression, let zone, _, _) = times { own += expression.count + zone.count }
    return own + job.tags.count + (job.payload?.count ?? 0)
  }

  /// Not less than the values that the schedule is in a response: of its own it has less than 96, and none of its metadata takes less than a byte.
  fileprivate var elementsAtMost: Int { 96 + metadata.count + job.headers.flatElements + job.tags.flatElements }
}
