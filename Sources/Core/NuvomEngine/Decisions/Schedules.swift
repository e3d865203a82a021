import NuvomModel
import NuvomSchedule

// What is asked of schedules: making, changing, looking at them.

extension Engine {
  // MARK: Making and changing

  /// schedule: all of the definitions, or none.
  func schedule(_ request: borrowing Request, into outcome: inout Outcome) -> Answer {
    if let refusal = scheduleRefusal(request) { return refusal }
    var receipts: [ScheduleReceipt] = []
    receipts.reserveCapacity(request.schedules.count)
    for index in request.schedules.indices { receipts.append(define(request.schedules[index])) }
    return outcome.add(.scheduled(receipts))
  }

  /// Why the definitions are refused, or nil. Looks at all of them before the first changes something.
  private func scheduleRefusal(_ request: borrowing Request) -> Answer? {
    var bytes = 0
    for index in request.schedules.indices {
      let schedule = request.schedules[index]
      let job = schedule.job
      bytes += job.payload.count + job.headers.count + job.tags.count + schedule.metadata.count + 512
      if case .cron(_, let zone, _, _) = schedule.times, zones.rules(of: zone) == nil {
        return .refused(.unknownTimeZone, operation: index)
      }
      if isNeverDue(schedule) { return .refused(.neverDue, operation: index) }
    }
    if let refusal = budgetRefusal(bytes: bytes, jobs: 0) { return refusal }
    let count = request.schedules.count
    if queueNames.count + count > queueNames.maximum || taskNames.count + count > taskNames.maximum {
      for index in request.schedules.indices {
        let job = request.schedules[index].job
        if queueNames.find(job.queue) == nil || taskNames.find(job.task) == nil { return .refused(.limitExceeded) }
      }
    }
    return nil
  }

  /// Whether a definition has no due time. One that exists already, and is over, is not refused.
  private func isNeverDue(_ schedule: NewSchedule) -> Bool {
    if let start = schedule.startMilliseconds, let end = schedule.endMilliseconds, start > end { return true }
    // Names have no numbers yet, and the due times ask for none of them.
    var rules: ZoneRules?
    // Without a start and an end only gaps that are skipped can hide all times of a cron expression.
    var mayHideAll = schedule.startMilliseconds != nil || schedule.endMilliseconds != nil
    if case .cron(let expression, let zone, let gap, _) = schedule.times {
      rules = zones.rules(of: zone)
      mayHideAll = mayHideAll || gap == .skip || ScheduleBody.cron(expression).keepsRhythm
    }
    guard mayHideAll, find(schedule: schedule.name) == nil else { return false }
    let now = self.now.wallMilliseconds
    scratch.removeAll()
    ScheduleBody.write(schedule, queue: 0, task: 0, zone: 0, created: now, updated: now, to: scratch)
    guard let new = ScheduleBody(scratch.bytes) else { preconditionFailure("what was written can be read") }
    return new.due(after: new.floor(at: now), stamp: new.stamp(at: now), rules: rules) == nil
  }

  private func define(_ schedule: NewSchedule) -> ScheduleReceipt {
    let queue = queueNumber(schedule.job.queue)
    let task = taskNumber(schedule.job.task)
    var zone: UInt32 = 0
    if case .cron(_, let name, _, _) = schedule.times { zone = zoneNumber(name) }
    let now = self.now.wallMilliseconds
    let existing = find(schedule: schedule.name)
    var created = now
    if let existing { created = body(ofSchedule: existing).createdMilliseconds }
    scratch.removeAll()
    ScheduleBody.write(
      schedule, queue: queue, task: task, zone: zone, created: created, updated: now, to: scratch)
    guard let new = ScheduleBody(scratch.bytes) else { preconditionFailure("what was written can be read") }
    guard let slot = existing else {
      let stamp = new.stamp(at: now)
      let next = due(new, after: new.floor(at: now), stamp: stamp)
      guard let (slot, generation) = schedules.allocate() else {
        preconditionFailure("the memory limit is reached before 2^30 schedules")
      }
      record(.scheduled(slot: slot, generation: generation, stamp: stamp, next: next, body: scratch.bytes))
      return ScheduleReceipt(status: .created, changed: 0, dueMilliseconds: next)
    }
    let record = schedules.pointer(slot).pointee
    let old = body(ofSchedule: slot)
    let changed = new.changes(from: old)
    if changed == 0 {
      return ScheduleReceipt(
        status: .unchanged, changed: 0, dueMilliseconds: record.next == ScheduleRecord.none ? nil : record.next)
    }
    let (stamp, next) = times(of: new, replacing: record, changed: changed)
    let dropped = dropped(by: next, old, record)
    self.record(
      .rescheduled(
        slot: slot, stamp: stamp, next: next, missed: dropped?.count ?? 0, last: dropped?.last, body: scratch.bytes))
    return ScheduleReceipt(status: .updated, changed: changed, dueMilliseconds: next)
  }

  /// From when an updated schedule goes on. One that is over, and stays so, keeps the time since when it is.
  private func times(
    of new: ScheduleBody, replacing record: ScheduleRecord, changed: UInt32
  ) -> (stamp: Int64, next: Int64?) {
    if new.maximumFires > 0, record.fired >= new.maximumFires { return (record.stamp, nil) }
    if changed & ScheduleField.timesMask == 0, record.next != ScheduleRecord.none { return (record.stamp, record.next) }
    let now = self.now.wallMilliseconds
    let stamp = changed & new.countedFrom == 0 ? kept(record, new, now) : new.stamp(at: now)
    // A due time that has passed, and was not decided about yet (it waits for its jitter, for room or for a resume), stays one if it still is one.
    let floor = record.next == ScheduleRecord.none ? new.floor(at: now) : min(new.floor(at: now), record.next - 1)
    let next = due(new, after: max(record.last, floor), stamp: stamp)
    return (next == nil && record.state == .finished ? record.stamp : stamp, next)
  }

  /// Due times that have passed, were not decided about, and are none of the new definition's: they are missed. How many (of a cron expression a
  /// thousand are all that are counted), and the last of them.
  private func dropped(
    by next: Int64?, _ old: ScheduleBody, _ record: ScheduleRecord
  ) -> (count: UInt32, last: Int64)? {
    let now = self.now.wallMilliseconds
    guard record.next != ScheduleRecord.none, record.next <= now, next ?? .max > now else { return nil }
    var last = record.next
    var count: UInt64 = 1
    if let (end, passed) = old.last(from: last, upTo: now) {
      last = end
      count += passed
    }
    while count < 1_000, let following = due(old, after: last, stamp: record.stamp), following <= now {
      last = following
      count += 1
    }
    return (UInt32(clamping: count), last)
  }

  /// What the due times of an updated schedule are counted from, if that did not change: they go on in the same rhythm.
  private func kept(_ record: ScheduleRecord, _ new: ScheduleBody, _ now: Int64) -> Int64 {
    switch new.times {
    case .at, .cron: now
    case .after: record.next != ScheduleRecord.none ? record.next : max(record.last, 0)
    case .every:
      record.state != .finished ? record.stamp : record.last == ScheduleRecord.none ? new.stamp(at: now) : record.last
    }
  }

  /// The number of a zone whose rules are known.
  private func zoneNumber(_ name: BorrowedBytes) -> UInt32 {
    if let number = zones.names.find(name) { return number }
    let number = UInt32(zones.names.count)
    record(.zoneNamed(number, fingerprint: zones.rules(of: name)?.fingerprint ?? 0, name))
    return number
  }

  // MARK: By name

  /// schedule_pause, schedule_resume, schedule_trigger, schedule_delete: each name stands alone.
  func changeSchedules(_ request: borrowing Request, into outcome: inout Outcome) -> Answer {
    if request.method == .scheduleTrigger {
      var bytes = 0
      for name in request.names {
        if let slot = find(schedule: name) { bytes += body(ofSchedule: slot).job.count + 512 }
      }
      if bytes > ProtocolLimits.triggeredBytes { return .refused(.limitExceeded) }
      if let refusal = budgetRefusal(bytes: bytes, jobs: request.names.count) { return refusal }
    }
    var refusals: [NameRefusal] = []
    var ids: [JobID] = []
    for index in request.names.indices {
      guard let slot = find(schedule: request.names[index]) else {
        refusals.append(NameRefusal(index: index, code: .notFound))
        continue
      }
      let state = schedules.pointer(slot).pointee.state
      switch request.method {
      case .scheduleTrigger: ids.append(trigger(slot))
      case .scheduleDelete: record(.scheduleRemoved(slot: slot))
      default:
        let isPaused = request.method == .schedulePause
        if state == .finished {
          refusals.append(NameRefusal(index: index, code: .finished))
        } else if (state == .paused) != isPaused {
          record(.schedulePaused(slot: slot, isPaused))
        }
      }
    }
    return outcome.add(.named(refusals, ids: request.method == .scheduleTrigger ? ids : nil))
  }

  // MARK: Looking

  /// schedule_get.
  func getSchedule(_ name: BorrowedBytes, into outcome: inout Outcome) -> Answer {
    guard let slot = find(schedule: name) else { return .refused(.notFound) }
    return outcome.add(.schedule(details(ofSchedule: slot, withPayload: true)))
  }

  /// schedules: a page, in the order of their places in the table.
  func listSchedules(_ filter: Request.Filter, into outcome: inout Outcome) -> Answer {
    var slot = schedules.nextLive(from: 0)
    if filter.afterName.count > 0 {
      guard let after = find(schedule: filter.afterName) else { return .refused(.notFound) }
      slot = schedules.nextLive(from: after + 1)
    }
    var page: [ScheduleDetails] = []
    var scanned = 0
    var bytes = 0
    var last: UInt32?
    while let present = slot, page.count < filter.limit, scanned < Self.scanLimit {
      if matches(schedule: present, filter) {
        let details = details(ofSchedule: present, withPayload: false)
        bytes += 1_024 + details.metadata.count + details.job.headers.count + details.job.tags.count
        if bytes > ProtocolLimits.pageBytes, !page.isEmpty { break }
        page.append(details)
      }
      last = present
      scanned += 1
      slot = schedules.nextLive(from: present + 1)
    }
    let next = slot == nil ? nil : last.map { Array(body(ofSchedule: $0).name) }
    return outcome.add(.schedules(page, next: next))
  }

  private func matches(schedule slot: UInt32, _ filter: Request.Filter) -> Bool {
    let content = body(ofSchedule: slot)
    if filter.prefix.count > 0 {
      guard content.name.count >= filter.prefix.count,
        BorrowedBytes(rebasing: content.name[..<filter.prefix.count]).isSame(as: filter.prefix)
      else { return false }
    }
    if filter.queue.count > 0, !queueNames.name(content.queue).isSame(as: filter.queue) { return false }
    if filter.task.count > 0, !taskNames.name(job(of: content).task).isSame(as: filter.task) { return false }
    return true
  }

  private func details(ofSchedule slot: UInt32, withPayload: Bool) -> ScheduleDetails {
    let record = schedules.pointer(slot).pointee
    let content = body(ofSchedule: slot)
    var details = ScheduleDetails()
    details.name = Array(content.name)
    details.state = record.state
    switch content.times {
    case .at(let milliseconds): details.times = .at(milliseconds: UInt64(milliseconds))
    case .after(let milliseconds): details.times = .after(milliseconds: UInt64(milliseconds))
    case .every(let milliseconds): details.times = .every(milliseconds: UInt64(milliseconds))
    case .cron(let expression, let zone, let gap, let fold):
      details.times = .cron(Array(expression), zone: Array(zones.names.name(zone)), gap, fold)
    }
    details.startMilliseconds = content.startMilliseconds
    details.endMilliseconds = content.endMilliseconds
    details.maximumFires = content.maximumFires
    details.jitterMilliseconds = content.jitterMilliseconds
    details.misfire = content.misfire
    details.catchUpMilliseconds = content.catchUpMilliseconds
    details.overlap = content.overlap
    details.metadata = Array(content.metadata)
    details.retentionMilliseconds = content.retentionMilliseconds
    details.createdAtMilliseconds = content.createdMilliseconds
    details.updatedAtMilliseconds = content.updatedMilliseconds
    func given(_ time: Int64) -> Int64? { time == ScheduleRecord.none ? nil : time }
    details.dueMilliseconds = given(record.next)
    details.firesAtMilliseconds = given(record.next).map { $0 + content.jitterOffset }
    details.lastDueMilliseconds = given(record.last)
    details.lastJob = record.lastJob == 0 ? nil : JobID(rawValue: record.lastJob)
    details.bufferedDueMilliseconds = given(record.buffered)
    details.fired = record.fired
    details.missed = record.missed
    details.skipped = record.skipped
    details.triggered = record.triggered
    let job = job(of: content)
    details.job.queue = Array(queueNames.name(content.queue))
    details.job.task = Array(taskNames.name(job.task))
    details.job.payload = withPayload ? Array(job.payload) : nil
    details.job.headers = Array(job.headers)
    details.job.tags = Array(job.tags)
    details.job.priority = content.priority
    details.job.expiresInMilliseconds = job.expiryMilliseconds == 0 ? nil : job.expiryMilliseconds
    details.job.maximumAttempts = job.maximumAttempts
    details.job.backoff = job.backoff
    details.job.timeoutMilliseconds = job.timeoutMilliseconds
    details.job.leaseMilliseconds = job.leaseMilliseconds
    details.job.retentionMilliseconds = job.retentionMilliseconds
    return details
  }

  /// The schedule of this name.
  func find(schedule name: BorrowedBytes) -> UInt32? {
    scheduleIndex.find(hashing(name)) { body(ofSchedule: $0).name.isSame(as: name) }
  }
}
