import NuvomModel

extension Engine {
  /// Does what is due by the time of this turn, at most `limit` timers; false if more may be due.
  public func fireTimers(limit: Int, into outcome: inout Outcome) -> Bool {
    var left = limit
    while left > 0, let timer = bootTimers.popDue(now: now.boot, budget: &left) {
      fire(timer, isWall: false, into: &outcome)
    }
    while left > 0, let timer = wallTimers.popDue(now: now.wall, budget: &left) {
      fire(timer, isWall: true, into: &outcome)
      // Some twenty due times are gone through in the time of a timer.
      left -= scalars.pointee.dueTimesWalked / 20
      scalars.pointee.dueTimesWalked = 0
    }
    while left > 0, let timer = waiting.timers.popDue(now: now.boot, budget: &left) {
      endWait(UInt32(truncatingIfNeeded: timer.subject), into: &outcome)
    }
    let isSwept = !scalars.pointee.isSweepingZones || sweepZones(limit: left)
    if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
    return isSwept && left > 0
  }

  private func fire(_ timer: WheelTimer, isWall: Bool, into outcome: inout Outcome) {
    let slot = UInt32(truncatingIfNeeded: timer.subject)
    switch timer.kind {
    case TimerKind.keyWindow:
      keys.mutable(slot).pointee.timer = JobRecord.noTimer
      record(.keyFreed(slot: slot))
      return
    case TimerKind.clientAway:
      clients.mutable(slot).pointee.timer = JobRecord.noTimer
      record(.clientForgotten(slot: slot))
      return
    case TimerKind.schedule, TimerKind.schedulePostponed: return fireSchedule(slot, into: &outcome)
    case TimerKind.scheduleRetention:
      schedules.mutable(slot).pointee.timer = JobRecord.noTimer
      return record(.scheduleRemoved(slot: slot))
    default: break
    }
    let id = JobID(rawValue: timer.subject)
    jobs.mutable(slot).pointee.timer = JobRecord.noTimer
    switch timer.kind {
    case TimerKind.start: record(.becameReady(id))
    case TimerKind.expiry: expire(id, into: &outcome)
    case TimerKind.lease: loseLease(id, into: &outcome)
    case TimerKind.retention:
      record(.removed(id, jobs.pointer(slot).pointee.state == .dead ? .deadDropped : .retentionOver))
    default: preconditionFailure("the engine starts no timers of other kinds")
    }
  }

  /// A dequeue or wait has reached its limit: it is answered with what there is.
  private func endWait(_ slot: UInt32, into outcome: inout Outcome) {
    waiting.waiters.mutable(slot).pointee.timer = JobRecord.noTimer
    let waiter = waiting.waiters.pointer(slot).pointee
    if waiter.job == 0 {
      finish(slot, deliveries: 0..<0, into: &outcome)
      return
    }
    let answer = details(of: JobID(rawValue: waiter.job)).map { outcome.add(.job($0)) } ?? .refused(.notFound)
    outcome.responses.append((waiter.address, answer))
    waiting.remove(slot)
  }
}
