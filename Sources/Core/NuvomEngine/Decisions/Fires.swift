import NuvomModel
import PlantedBugs

// Schedules whose time has come.
//
// A due time is one of: fired (a job is enqueued), skipped (the last job is not finished), or missed (it passed, and the misfire policy gives no
// fire for it). One event says which, and moves the schedule on: `last` rises with each, and only what is above `last` is ever due.

extension Engine {
  /// Due times that are gone through at a time when many have passed; the rest follows in the next step.
  private static var stepLimit: Int { 1_000 }

  /// How long a fire waits that finds no memory or disk for its job.
  private static var postponementMilliseconds: UInt64 { 1_000 }

  /// Does what a schedule's timer was for: decides about the due times that have passed, one fire at most.
  func fireSchedule(_ slot: UInt32, into outcome: inout Outcome) {
    let record = schedules.mutable(slot)
    record.pointee.timer = JobRecord.noTimer
    let content = body(ofSchedule: slot)
    if hasNoRoom(forFireOf: content) { return postpone(slot, record) }
    // What waited for its job comes first. What is due now has a timer again, and finds that job unfinished.
    if mayFireBuffered(slot) { return fireBuffered(slot) }
    let passed = now.wallMilliseconds - content.jitterOffset
    // After a postponed fire the clock may have been set back.
    guard record.pointee.next != ScheduleRecord.none, record.pointee.next <= passed else {
      return startTimer(ofSchedule: slot, record)
    }
    let earliest = passed - Int64(content.catchUpMilliseconds)
    var due = record.pointee.next
    // Due times that were passed over to come to `due`.
    var missed: UInt64 = 0
    var lastMissed = record.pointee.last
    var steps = 0
    // Of an interval all are passed over in one step; one that fires for each, up to the first that is not too late.
    let limit = content.misfire == .all ? earliest - 1 : passed
    if let (last, count) = content.last(from: due, upTo: limit) {
      due = last
      missed = count
    }
    var next = self.due(content, after: due, stamp: record.pointee.stamp)
    while let following = next, following <= passed, steps < Self.stepLimit, content.misfire != .all || due < earliest {
      lastMissed = due
      due = following
      missed += 1
      steps += 1
      next = self.due(content, after: due, stamp: record.pointee.stamp)
    }
    scalars.pointee.workDone += steps * Self.dueTimeWork
    if steps == Self.stepLimit {
      return self.record(.firesMissed(slot: slot, count: UInt32(clamping: missed), last: lastMissed, next: due))
    }
    if due < earliest {
      return self.record(.firesMissed(slot: slot, count: UInt32(clamping: missed + 1), last: due, next: next))
    }
    decide(Due(slot: slot, milliseconds: due, next: next, missed: UInt32(clamping: missed)), content, into: &outcome)
  }

  /// Whether the memory or the disk is too full for a fire.
  private func hasNoRoom(forFireOf content: ScheduleBody) -> Bool {
    budgetRefusal(bytes: content.job.count + 512, jobs: 1) != nil
  }

  /// Tries a fire again a little later.
  private func postpone(_ slot: UInt32, _ record: UnsafeMutablePointer<ScheduleRecord>) {
    scalars.pointee.firesPostponed += 1
    cancel(&record.pointee.timer)
    record.pointee.timer = bootTimers.insert(
      due: after(Self.postponementMilliseconds), subject: UInt64(slot), extra: 0, kind: TimerKind.schedulePostponed)
  }

  /// A due time about which is to be decided.
  private struct Due {
    var slot: UInt32
    var milliseconds: Int64
    /// The due time after it.
    var next: Int64?
    /// How many before it passed without a fire.
    var missed: UInt32
  }

  /// Fires, or does what the overlap policy says.
  private func decide(_ due: Due, _ content: ScheduleBody, into outcome: inout Outcome) {
    let record = schedules.pointer(due.slot).pointee
    let last = JobID(rawValue: record.lastJob)
    let isLast = isLastFire(record, content)
    if content.overlap != .allow, isUnfinished(last) {
      switch content.overlap {
      case .allow: break
      case .skip:
        return self.record(
          .fireSkipped(slot: due.slot, due: due.milliseconds, next: due.next, missed: due.missed))
      case .bufferOne:
        return self.record(
          .fireBuffered(
            slot: due.slot, due: due.milliseconds, next: isLast ? nil : due.next, missed: due.missed))
      case .cancelPrevious: cancel(last, into: &outcome)
      }
    }
    let expected = content.fireTime(of: due.milliseconds)
    let queue = content.queue
    noteFired(content)
    self.record(
      .fired(
        slot: due.slot, newJob(), due: due.milliseconds,
        next: PlantedBug.fireNotAdvanced.isPlanted ? due.milliseconds : isLast ? nil : due.next, missed: due.missed))
    scalars.pointee.lateness.add(microseconds: now.wall - expected * 1_000)
    waiting.lines.mutable(queue).pointee.enqueued.add(now.boot)
  }

  /// Enqueues a schedule's job by hand.
  func trigger(_ slot: UInt32) -> JobID {
    let content = body(ofSchedule: slot)
    let queue = content.queue
    let id = newJob()
    noteFired(content)
    record(.scheduleTriggered(slot: slot, id, due: max(0, now.wallMilliseconds)))
    waiting.lines.mutable(queue).pointee.enqueued.add(now.boot)
    return id
  }

  /// Counts the body that a fire copies: for the turn's length, and for the memory and disk that it takes. Its event has a few bytes, but the next
  /// snapshot has the body.
  private func noteFired(_ content: ScheduleBody) {
    let bytes = content.job.count
    scalars.pointee.workDone += bytes
    scalars.pointee.bytesFired += bytes
    if scalars.pointee.diskRoom != .max { scalars.pointee.diskRoom -= bytes }
  }

  private func newJob() -> JobID {
    guard let (slot, generation) = jobs.allocate() else {
      preconditionFailure("the memory limit is reached before 2^32 jobs")
    }
    return JobID(partition: configuration.partition, generation: generation, slot: slot)
  }

  private func isUnfinished(_ id: JobID) -> Bool {
    jobs.isLive(id.slot, id.generation) && id.rawValue != 0 && !jobs.pointer(id.slot).pointee.state.isFinished
  }

  /// Whether the schedule may not fire again after its next fire.
  private func isLastFire(_ record: ScheduleRecord, _ content: ScheduleBody) -> Bool {
    content.maximumFires > 0 && record.fired + 1 >= content.maximumFires
  }

  /// What fires of jobs that have finished may cost in a turn: as much as its timers. One more may begin.
  private static var releasedWork: Int { 128 * timerWork }

  /// Whether the turn has time for fires that waited for jobs.
  var hasTimeForReleased: Bool { scalars.pointee.workDone < Self.releasedWork }

  /// Fires what waited for jobs that have finished, until the turn's time for it is over; `fireTimers` goes on with the rest.
  func fireReleased() {
    var index = 0
    while index < buffers.released.count, hasTimeForReleased {
      let slot = buffers.released[index]
      index += 1
      scalars.pointee.workDone += Self.timerWork
      guard schedules.isTaken(slot), mayFireBuffered(slot) else { continue }
      if hasNoRoom(forFireOf: body(ofSchedule: slot)) {
        postpone(slot, schedules.mutable(slot))
      } else {
        fireBuffered(slot)
      }
    }
    buffers.released.removeFirst(index)
  }

  /// Whether a fire waits for a job that has finished. A paused schedule's goes on waiting.
  private func mayFireBuffered(_ slot: UInt32) -> Bool {
    let record = schedules.pointer(slot).pointee
    return record.buffered != ScheduleRecord.none && record.state != .paused
      && !isUnfinished(JobID(rawValue: record.lastJob))
  }

  private func fireBuffered(_ slot: UInt32) {
    let record = schedules.pointer(slot).pointee
    let content = body(ofSchedule: slot)
    let queue = content.queue
    let isOver = record.next == ScheduleRecord.none || isLastFire(record, content)
    noteFired(content)
    self.record(.fired(slot: slot, newJob(), due: record.buffered, next: isOver ? nil : record.next, missed: 0))
    waiting.lines.mutable(queue).pointee.enqueued.add(now.boot)
  }
}
