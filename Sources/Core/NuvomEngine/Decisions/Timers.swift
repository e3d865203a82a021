import NuvomModel
import PlantedBugs

extension Engine {
  /// The bytes that are copied in the time of a timer.
  static var timerWork: Int { 8 << 10 }

  /// Some twenty due times are gone through in the time of a timer.
  static var dueTimeWork: Int { timerWork / 20 }

  /// Does what is due by the time of this turn, at most `limit` timers, or as much as takes their time; false if more may be due.
  public func fireTimers(limit: Int, into outcome: inout Outcome) -> Bool {
    var left = limit
    scalars.pointee.workDone = 0
    // What is left of the turn before comes first, so that timers never keep it waiting.
    if !buffers.released.isEmpty { fireReleased() }
    var charged = 0
    charge(&left, &charged)
    while left > 0, let timer = bootTimers.popDue(now: now.boot, budget: &left) {
      fire(timer, into: &outcome)
      charge(&left, &charged)
    }
    while left > 0, let timer = wallTimers.popDue(now: now.wall, budget: &left) {
      fire(timer, into: &outcome)
      charge(&left, &charged)
    }
    while left > 0, let timer = waiting.timers.popDue(now: now.boot, budget: &left) {
      endWait(UInt32(truncatingIfNeeded: timer.subject), into: &outcome)
    }
    let isSwept = !scalars.pointee.isSweepingZones || sweepZones(limit: left)
    if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
    return isSwept && left > 0 && buffers.released.isEmpty
  }

  /// Takes the timers' worth of the work that was not charged yet from a budget.
  @inline(__always)
  private func charge(_ left: inout Int, _ charged: inout Int) {
    let timers = scalars.pointee.workDone / Self.timerWork
    left -= timers - charged
    charged = timers
  }

  private func fire(_ timer: WheelTimer, into outcome: inout Outcome) {
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
    case TimerKind.expiry where PlantedBug.expiryIgnored.isPlanted: break
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
