import NuvomModel
public import NuvomSchedule

// The rules of time zones, which the broker gives, and the due times that change with them.

extension Engine {
  /// The names of zones that a schedule is in: the broker is to give their rules (`take`) before the first turn after recovery.
  public var zonesInUse: [String] {
    zones.inUse.map { String(decoding: zones.names.name($0), as: UTF8.self) }
  }

  /// Whether the rules of a zone are known.
  public func knowsZone(_ name: BorrowedBytes) -> Bool { zones.rules(of: name) != nil }

  /// Forgets the rules of zones that no schedule is in, so that a later definition is by the rules of then. The broker gives them again (`take`).
  public func forgetUnusedZones() { zones.forgetUnused() }

  /// Takes the rules of a zone, in a turn. If schedules have named it, and its rules were others, their next due times are found anew, bit by
  /// bit, by `fireTimers`.
  ///
  /// The log learns of the change when all of them are found: a broker that starts again before that finds that the rules are others, and begins anew.
  public func take(_ rules: ZoneRules, ofZone name: BorrowedBytes) {
    zones.take(name, rules)
    guard let number = zones.names.find(name) else { return }
    let sweep = ZoneTable.Sweep(zone: number, fingerprint: rules.fingerprint)
    if let present = zones.sweeps.firstIndex(where: { $0.zone == number }) {
      if zones.sweeps[present].fingerprint != rules.fingerprint { zones.sweeps[present] = sweep }
    } else if zones.fingerprints[Int(number)] != rules.fingerprint {
      zones.sweeps.append(sweep)
      scalars.pointee.isSweepingZones = true
    }
  }

  /// Finds due times anew after zones' rules have changed, of so many schedules at most; false if more are to be looked at.
  func sweepZones(limit: Int) -> Bool {
    var left = limit
    while let sweep = zones.sweeps.last {
      guard left > 0 else { return false }
      guard let slot = schedules.nextLive(from: sweep.from) else {
        record(.zoneChanged(sweep.zone, fingerprint: sweep.fingerprint))
        zones.sweeps.removeLast()
        continue
      }
      left -= 1
      zones.sweeps[zones.sweeps.count - 1].from = slot + 1
      let record = schedules.pointer(slot).pointee
      let content = body(ofSchedule: slot)
      guard case .cron(_, sweep.zone, _, _) = content.times, record.next != ScheduleRecord.none else { continue }
      // A due time that has passed, and was not decided about yet, stays one.
      let floor = max(record.last, min(content.updatedMilliseconds, record.next) - 1)
      let next = due(content, after: floor, stamp: record.stamp)
      if next != record.next { self.record(.scheduleMoved(slot: slot, next: next)) }
    }
    scalars.pointee.isSweepingZones = false
    return true
  }
}
