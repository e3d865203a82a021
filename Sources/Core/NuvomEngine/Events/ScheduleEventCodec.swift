import NuvomModel

// The bytes of the events of schedules. By themselves, so that those of jobs stay one short switch.

extension Event {
  @inline(never)
  func writeSchedule(to writer: EventWriter, with pen: inout EventWriter.Pen) {
    switch self {
    case .zoneNamed(let number, let fingerprint, let name):
      pen.tag(.zoneNamed)
      pen.varint(UInt64(number))
      pen.varint(fingerprint)
      writer.counted(name, with: &pen)
    case .zoneChanged(let number, let fingerprint):
      pen.tag(.zoneChanged)
      pen.varint(UInt64(number))
      pen.varint(fingerprint)
    case .scheduled(let slot, let generation, let stamp, let next, let body):
      pen.tag(.scheduled)
      pen.varint(UInt64(slot))
      pen.varint(UInt64(generation))
      pen.time(stamp)
      pen.time(next)
      writer.counted(body, with: &pen)
    case .rescheduled(let slot, let stamp, let next, let missed, let last, let body):
      pen.tag(.rescheduled)
      pen.varint(UInt64(slot))
      pen.time(stamp)
      pen.time(next)
      pen.varint(UInt64(missed))
      pen.time(last)
      writer.counted(body, with: &pen)
    case .fired(let slot, let id, let due, let next, let missed):
      pen.tag(.fired)
      pen.varint(UInt64(slot))
      pen.id(id)
      pen.decided(due, next, missed)
    case .firesMissed(let slot, let count, let last, let next):
      pen.tag(.firesMissed)
      pen.varint(UInt64(slot))
      pen.decided(last, next, count)
    case .fireSkipped(let slot, let due, let next, let missed):
      pen.tag(.fireSkipped)
      pen.varint(UInt64(slot))
      pen.decided(due, next, missed)
    case .fireBuffered(let slot, let due, let next, let missed):
      pen.tag(.fireBuffered)
      pen.varint(UInt64(slot))
      pen.decided(due, next, missed)
    case .scheduleTriggered(let slot, let id, let due):
      pen.tag(.scheduleTriggered)
      pen.varint(UInt64(slot))
      pen.id(id)
      pen.time(due)
    case .schedulePaused(let slot, let isPaused):
      pen.tag(.schedulePaused)
      pen.varint(UInt64(slot))
      pen.byte(isPaused ? 1 : 0)
    case .scheduleMoved(let slot, let next):
      pen.tag(.scheduleMoved)
      pen.varint(UInt64(slot))
      pen.time(next)
    case .scheduleRemoved(let slot):
      pen.tag(.scheduleRemoved)
      pen.varint(UInt64(slot))
    default: preconditionFailure("events of jobs are written where they are")
    }
  }

  @inline(never)
  static func readSchedule(_ tag: Tag, from reader: inout EventReader, partition: UInt8) -> Event {
    switch tag {
    case .zoneNamed:
      return .zoneNamed(reader.varint32(), fingerprint: reader.varint(), reader.counted())
    case .zoneChanged: return .zoneChanged(reader.varint32(), fingerprint: reader.varint())
    case .scheduled:
      let slot = reader.varint32()
      let generation = reader.varint32()
      let stamp = reader.time()
      return .scheduled(
        slot: slot, generation: generation, stamp: stamp, next: reader.optionalTime(), body: reader.counted())
    case .rescheduled:
      let slot = reader.varint32()
      let stamp = reader.time()
      let next = reader.optionalTime()
      let missed = reader.varint32()
      return .rescheduled(
        slot: slot, stamp: stamp, next: next, missed: missed, last: reader.optionalTime(), body: reader.counted())
    case .fired:
      let slot = reader.varint32()
      let id = reader.id(partition: partition)
      let due = reader.time()
      return .fired(slot: slot, id, due: due, next: reader.optionalTime(), missed: reader.varint32())
    case .firesMissed:
      let slot = reader.varint32()
      let last = reader.time()
      let next = reader.optionalTime()
      return .firesMissed(slot: slot, count: reader.varint32(), last: last, next: next)
    case .fireSkipped:
      let slot = reader.varint32()
      let due = reader.time()
      return .fireSkipped(slot: slot, due: due, next: reader.optionalTime(), missed: reader.varint32())
    case .fireBuffered:
      let slot = reader.varint32()
      let due = reader.time()
      return .fireBuffered(slot: slot, due: due, next: reader.optionalTime(), missed: reader.varint32())
    case .scheduleTriggered:
      let slot = reader.varint32()
      let id = reader.id(partition: partition)
      return .scheduleTriggered(slot: slot, id, due: reader.time())
    case .schedulePaused: return .schedulePaused(slot: reader.varint32(), reader.byte() != 0)
    case .scheduleMoved: return .scheduleMoved(slot: reader.varint32(), next: reader.optionalTime())
    case .scheduleRemoved: return .scheduleRemoved(slot: reader.varint32())
    default:
      reader.fail()
      return .resumed
    }
  }
}

extension EventWriter.Pen {
  /// A time of the wall clock in milliseconds; none before 1970 is ever due.
  fileprivate mutating func time(_ time: Int64) { varint(UInt64(max(0, time))) }

  /// The same, or nothing.
  fileprivate mutating func time(_ time: Int64?) { varint(time.map { UInt64(max(0, $0)) + 1 } ?? 0) }

  /// What was decided of a due time: it, the next, and how many before it were missed.
  fileprivate mutating func decided(_ due: Int64, _ next: Int64?, _ missed: UInt32) {
    time(due)
    time(next)
    varint(UInt64(missed))
  }
}

extension EventReader {
  fileprivate mutating func time() -> Int64 { Int64(milliseconds()) }

  fileprivate mutating func optionalTime() -> Int64? {
    let value = Int64(milliseconds())
    return value == 0 ? nil : value - 1
  }
}
