import NuvomModel
import PlantedBugs

// Events of schedules to state.

/// Fires that wait for a job to finish (`OverlapPolicy.bufferOne`): found again after a restart from the schedules' records.
struct BufferedFires {
  /// The schedule whose fire waits, by the job.
  var waiting: [JobID: UInt32] = [:]
  /// Schedules whose wait is over.
  var released: [UInt32] = []
}

extension Engine {
  func applySchedule(_ event: Event) -> Bool {
    switch event {
    case .zoneNamed(let number, let fingerprint, let name):
      return zones.add(name, number: number, fingerprint: fingerprint)
    case .zoneChanged(let number, let fingerprint):
      return zones.change(number, fingerprint: fingerprint)
    case .scheduled(let slot, let generation, let stamp, let next, let body):
      return applyScheduled(slot, generation, stamp, next, body)
    case .rescheduled(let slot, let stamp, let next, let missed, let last, let body):
      return applyRescheduled(slot, stamp, next, missed: missed, last: last, body)
    case .fired(let slot, let id, let due, let next, let missed):
      return applyFired(slot, id, due: due, next: next, missed: missed)
    case .firesMissed(let slot, let count, let last, let next):
      guard let record = unfinished(schedule: slot) else { return false }
      countMissed(record, count)
      moveOn(slot, record, last: last, next: next)
    case .fireSkipped(let slot, let due, let next, let missed):
      guard let record = unfinished(schedule: slot) else { return false }
      countMissed(record, missed)
      record.pointee.skipped &+= 1
      scalars.pointee.scheduleTotals.skipped += 1
      moveOn(slot, record, last: due, next: next)
    case .fireBuffered(let slot, let due, let next, let missed):
      guard let record = unfinished(schedule: slot) else { return false }
      countMissed(record, missed)
      // The one that waited until now makes room.
      if record.pointee.buffered != ScheduleRecord.none {
        record.pointee.skipped &+= 1
        scalars.pointee.scheduleTotals.skipped += 1
      }
      record.pointee.buffered = due
      hold(slot, record)
      moveOn(slot, record, last: due, next: next)
    case .scheduleTriggered(let slot, let id, let due):
      guard let record = existing(schedule: slot), enqueue(id, of: slot, due: due) else { return false }
      letGo(record)
      record.pointee.lastJob = id.rawValue
      if record.pointee.buffered != ScheduleRecord.none { hold(slot, record) }
      record.pointee.triggered &+= 1
      scalars.pointee.scheduleTotals.triggered += 1
    case .schedulePaused(let slot, let isPaused):
      guard let record = unfinished(schedule: slot) else { return false }
      record.pointee.state = isPaused ? .paused : .active
      startTimer(ofSchedule: slot, record)
      if !isPaused, record.pointee.buffered != ScheduleRecord.none { release(slot) }
    case .scheduleMoved(let slot, let next):
      guard let record = unfinished(schedule: slot) else { return false }
      setOut(slot, record, next: next)
    case .scheduleRemoved(let slot):
      guard let record = existing(schedule: slot) else { return false }
      remove(schedule: slot, record)
    default: return false
    }
    return true
  }

  private func existing(schedule slot: UInt32) -> UnsafeMutablePointer<ScheduleRecord>? {
    schedules.isTaken(slot) ? schedules.mutable(slot) : nil
  }

  /// The schedule, if it may still fire.
  private func unfinished(schedule slot: UInt32) -> UnsafeMutablePointer<ScheduleRecord>? {
    guard let record = existing(schedule: slot), record.pointee.state != .finished else { return nil }
    return record
  }

  /// A definition from a log whose names, zone and job are known; nil if it cannot be one.
  func checked(_ body: BorrowedBytes) -> ScheduleBody? {
    guard let content = ScheduleBody(body), let job = JobBody(content.job), content.isCronValid,
      Int(content.queue) < queueNames.count, Int(job.task) < taskNames.count
    else { return nil }
    if case .cron(_, let zone, _, _) = content.times, Int(zone) >= zones.names.count { return nil }
    return content
  }

  private func applyScheduled(
    _ slot: UInt32, _ generation: UInt32, _ stamp: Int64, _ next: Int64?, _ body: BorrowedBytes
  ) -> Bool {
    guard let content = scalars.pointee.isReplaying ? checked(body) : ScheduleBody(body) else { return false }
    if scalars.pointee.isReplaying {
      guard find(schedule: content.name) == nil, schedules.isWithinReach(slot),
        schedules.claim(slot: slot, generation: generation)
      else { return false }
    }
    let hash = hashing(content.name)
    let record = schedules.mutable(slot)
    record.initialize(
      to: ScheduleRecord(
        hash: hash, body: store(body, RecordKind.schedule, owner: slot), stamp: stamp,
        next: next ?? ScheduleRecord.none, zone: content.zoneNumber))
    scheduleIndex.insert(hash, slot)
    zones.use(content.zoneNumber)
    if next == nil {
      finish(schedule: slot, record)
    } else {
      insertTimer(ofSchedule: slot, record, jitterOffset: content.jitterOffset)
    }
    return true
  }

  private func applyRescheduled(
    _ slot: UInt32, _ stamp: Int64, _ next: Int64?, missed: UInt32, last: Int64?, _ body: BorrowedBytes
  ) -> Bool {
    guard let record = existing(schedule: slot), let content = checked(body),
      content.name.isSame(as: self.body(ofSchedule: slot).name)
    else { return false }
    arena.free(record.pointee.body)
    record.pointee.body = store(body, RecordKind.schedule, owner: slot)
    zones.use(record.pointee.zone, -1)
    zones.use(content.zoneNumber)
    record.pointee.zone = content.zoneNumber
    record.pointee.stamp = stamp
    countMissed(record, missed)
    if let last { record.pointee.last = max(record.pointee.last, last) }
    if record.pointee.state == .finished, next != nil { record.pointee.state = .active }
    let isFiredOut = content.maximumFires > 0 && record.pointee.fired >= content.maximumFires
    if content.overlap != .bufferOne || isFiredOut, record.pointee.buffered != ScheduleRecord.none {
      letGo(record)
      record.pointee.buffered = ScheduleRecord.none
      record.pointee.skipped &+= 1
      scalars.pointee.scheduleTotals.skipped += 1
    }
    setOut(slot, record, next: next)
    return true
  }

  /// Enqueues the job and moves the schedule on: the two are one event, so that there is never the one without the other.
  private func applyFired(_ slot: UInt32, _ id: JobID, due: Int64, next: Int64?, missed: UInt32) -> Bool {
    guard let record = unfinished(schedule: slot), enqueue(id, of: slot, due: due) else { return false }
    countMissed(record, missed)
    letGo(record)
    record.pointee.lastJob = id.rawValue
    record.pointee.fired &+= 1
    scalars.pointee.scheduleTotals.fired += 1
    let isBuffered = record.pointee.buffered == due
    if isBuffered {
      record.pointee.buffered = ScheduleRecord.none
    } else if now.wall - body(ofSchedule: slot).fireTime(of: due) * 1_000 > 1_000_000 {
      scalars.pointee.scheduleTotals.late += 1
    }
    moveOn(slot, record, last: max(record.pointee.last, due), next: next)
    return true
  }

  private func countMissed(_ record: UnsafeMutablePointer<ScheduleRecord>, _ count: UInt32) {
    let (sum, isTooMuch) = record.pointee.missed.addingReportingOverflow(count)
    record.pointee.missed = isTooMuch ? .max : sum
    scalars.pointee.scheduleTotals.missed += UInt64(count)
  }

  /// Sets a schedule to its next due time, or finishes it if there is none.
  private func moveOn(_ slot: UInt32, _ record: UnsafeMutablePointer<ScheduleRecord>, last: Int64, next: Int64?) {
    record.pointee.last = last
    record.pointee.next = next ?? ScheduleRecord.none
    if next == nil, record.pointee.buffered == ScheduleRecord.none {
      finish(schedule: slot, record)
    } else {
      startTimer(ofSchedule: slot, record)
    }
  }

  /// Sets a schedule to another next due time.
  private func setOut(_ slot: UInt32, _ record: UnsafeMutablePointer<ScheduleRecord>, next: Int64?) {
    // Its timer will be a new one, which does not know that a fire that waited may have been postponed.
    if record.pointee.buffered != ScheduleRecord.none { release(slot) }
    moveOn(slot, record, last: record.pointee.last, next: next)
  }

  /// A schedule that will not fire any more is known for its retention.
  private func finish(schedule slot: UInt32, _ record: UnsafeMutablePointer<ScheduleRecord>) {
    if record.pointee.state == .finished { return startTimer(ofSchedule: slot, record) }
    record.pointee.state = .finished
    record.pointee.stamp = now.wallMilliseconds
    if body(ofSchedule: slot).retentionMilliseconds == 0 {
      remove(schedule: slot, record)
    } else {
      startTimer(ofSchedule: slot, record)
    }
  }

  private func remove(schedule slot: UInt32, _ record: UnsafeMutablePointer<ScheduleRecord>) {
    letGo(record)
    cancel(&record.pointee.timer)
    _ = scheduleIndex.remove(record.pointee.hash, slot)
    zones.use(record.pointee.zone, -1)
    arena.free(record.pointee.body)
    schedules.free(slot)
  }

  // MARK: Jobs of schedules

  /// Enqueues a schedule's job under an id, with the due time for which it is.
  private func enqueue(_ id: JobID, of slot: UInt32, due: Int64) -> Bool {
    let content = body(ofSchedule: slot)
    let fire = fireBytes
    fire.removeAll()
    fire.fixed(due)
    fire.byte(UInt8(content.name.count))
    fire.raw(content.name)
    guard JobBody.namesExpiry(content.job) else {
      return applyEnqueued(id, content.queue, content.priority, .unspecified, content.job, fire: fire.bytes)
    }
    // It expires so long after the fire.
    let job = job(of: content)
    expiringJob.removeAll()
    JobBody.write(
      job.asNew, task: job.task, expiry: UInt64(max(1, now.wallMilliseconds)) + job.expiryMilliseconds,
      to: expiringJob)
    return applyEnqueued(
      id, content.queue, content.priority, .unspecified, expiringJob.bytes, fire: fire.bytes)
  }

  /// Notes that a schedule's fire waits for its last job.
  private func hold(_ slot: UInt32, _ record: UnsafeMutablePointer<ScheduleRecord>) {
    buffers.waiting[JobID(rawValue: record.pointee.lastJob)] = slot
    scalars.pointee.hasBufferedFires = true
  }

  /// Forgets that a schedule's fire waits for its last job.
  private func letGo(_ record: UnsafeMutablePointer<ScheduleRecord>) {
    guard record.pointee.buffered != ScheduleRecord.none else { return }
    buffers.waiting[JobID(rawValue: record.pointee.lastJob)] = nil
    scalars.pointee.hasBufferedFires = !buffers.waiting.isEmpty
  }

  /// Notes that a schedule's wait may be over; it fires when the present command is decided.
  private func release(_ slot: UInt32) {
    buffers.released.append(slot)
    scalars.pointee.hasWakes = true
  }

  /// A job has finished: what waited for it may fire.
  @inline(__always)
  func noteFinished(_ id: JobID) {
    if scalars.pointee.hasBufferedFires { releaseFire(waitingFor: id) }
  }

  @inline(never)
  private func releaseFire(waitingFor id: JobID) {
    if let slot = buffers.waiting[id] { release(slot) }
  }

  // MARK: Body and timer

  /// How a schedule is defined. Its bytes live as long as the definition, unless compaction moves them between turns.
  func body(ofSchedule slot: UInt32) -> ScheduleBody {
    guard let body = ScheduleBody(arena.bytes(schedules.pointer(slot).pointee.body)) else {
      preconditionFailure("a definition was checked when it came in")
    }
    return body
  }

  /// The job of a definition.
  func job(of content: ScheduleBody) -> JobBody {
    guard let job = JobBody(content.job) else { preconditionFailure("a definition was checked when it came in") }
    return job
  }

  /// Starts the timer that a schedule's state asks for, from its record alone.
  func startTimer(ofSchedule slot: UInt32, _ record: UnsafeMutablePointer<ScheduleRecord>) {
    cancel(&record.pointee.timer)
    switch record.pointee.state {
    case .paused: break
    case .active:
      if record.pointee.next == ScheduleRecord.none { break }
      insertTimer(ofSchedule: slot, record, jitterOffset: body(ofSchedule: slot).jitterOffset)
    case .finished:
      let retention = Int64(body(ofSchedule: slot).retentionMilliseconds)
      let age = max(0, now.wallMilliseconds - record.pointee.stamp)
      record.pointee.timer = bootTimers.insert(
        due: after(UInt64(max(0, retention - age))), subject: UInt64(slot), extra: 0, kind: TimerKind.scheduleRetention)
    }
  }

  private func insertTimer(
    ofSchedule slot: UInt32, _ record: UnsafeMutablePointer<ScheduleRecord>, jitterOffset: Int64
  ) {
    record.pointee.timer =
      wallTimers.insert(
        due: (record.pointee.next + jitterOffset) * 1_000, subject: UInt64(slot), extra: 0, kind: TimerKind.schedule)
      | wallTimerBit
  }

  /// Starts the schedules' timers anew, on clocks that are others, and finds what waits for jobs.
  func resumeSchedules() {
    buffers = BufferedFires()
    schedules.forEachLive { slot in
      let record = schedules.mutable(slot)
      if PlantedBug.firedAgainAtRestart.isPlanted, record.pointee.last != ScheduleRecord.none {
        record.pointee.next = record.pointee.last
      }
      startTimer(ofSchedule: slot, record)
      if record.pointee.buffered != ScheduleRecord.none {
        hold(slot, record)
        let id = JobID(rawValue: record.pointee.lastJob)
        let isUnfinished = jobs.isLive(id.slot, id.generation) && !jobs.pointer(id.slot).pointee.state.isFinished
        if !isUnfinished { release(slot) }
      }
    }
    scalars.pointee.hasBufferedFires = !buffers.waiting.isEmpty
  }
}

extension ScheduleBody {
  /// The number of the zone of its cron expression, or `noZone`.
  var zoneNumber: UInt16 {
    if case .cron(_, let zone, _, _) = times { UInt16(truncatingIfNeeded: zone) } else { ScheduleRecord.noZone }
  }
}
