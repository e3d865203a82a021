import NuvomModel

// The bytes of events. FORMAT.md lists them; a tag, once given, is never given to anything else.

extension Event {
  enum Tag: UInt8 {
    case queueNamed = 1
    case taskNamed = 2
    case enqueued = 3
    case keyTaken = 4
    case keyFreed = 5
    case becameReady = 6
    case leased = 7
    case extended = 8
    case acked = 9
    case ackedWithResult = 10
    case nacked = 11
    case leaseExpired = 12
    case released = 13
    case cancelled = 14
    case expired = 15
    case removed = 16
    case deadReplayed = 17
    case queuePaused = 18
    case clientNamed = 19
    case clientForgotten = 20
    case answeredDone = 21
    case answeredEnqueued = 22
    case answeredDuplicate = 23
    case answeredEncoded = 24
    case resumed = 25
    case enqueuedDelayed = 26
    case enqueuedAt = 27
    case turn = 28
    case zoneNamed = 29
    case zoneChanged = 30
    case scheduled = 31
    case rescheduled = 32
    case fired = 33
    case firesMissed = 34
    case fireSkipped = 35
    case fireBuffered = 36
    case scheduleTriggered = 37
    case schedulePaused = 38
    case scheduleMoved = 39
    case scheduleRemoved = 40
    case salvaged = 41
  }

  /// No event has more bytes before the names, bodies and texts that are copied into it, which come last: a tag, and at most six numbers.
  private static var fixedBytes: Int { 2 + 6 * EventWriter.Pen.longestVarint }

  @inline(__always)
  func write(to writer: EventWriter) {
    var pen = writer.begin(room: Self.fixedBytes)
    switch self {
    case .queueNamed(let number, let name):
      pen.tag(.queueNamed)
      pen.varint(UInt64(number))
      writer.counted(name, with: &pen)
    case .taskNamed(let number, let name):
      pen.tag(.taskNamed)
      pen.varint(UInt64(number))
      writer.counted(name, with: &pen)
    case .enqueued(let id, let queue, let priority, let start, let body):
      switch start {
      case .unspecified: pen.tag(.enqueued)
      case .after(let milliseconds):
        pen.tag(.enqueuedDelayed)
        pen.varint(milliseconds)
      case .at(let milliseconds):
        pen.tag(.enqueuedAt)
        pen.varint(milliseconds)
      }
      pen.id(id)
      pen.varint(UInt64(queue))
      pen.byte(priority)
      writer.counted(body, with: &pen)
    case .keyTaken(let slot, let generation, let id, let window, let key):
      pen.tag(.keyTaken)
      pen.varint(UInt64(slot))
      pen.varint(UInt64(generation))
      pen.id(id)
      pen.varint(window)
      writer.counted(key, with: &pen)
    case .keyFreed(let slot):
      pen.tag(.keyFreed)
      pen.varint(UInt64(slot))
    case .becameReady(let id):
      pen.tag(.becameReady)
      pen.id(id)
    case .leased(let id, let token, let lease):
      pen.tag(.leased)
      pen.id(id)
      pen.varint(token.rawValue)
      pen.varint(UInt64(lease))
    case .extended(let id, let lease):
      pen.tag(.extended)
      pen.id(id)
      pen.varint(UInt64(lease))
    case .acked(let id, let result):
      pen.tag(result == nil ? .acked : .ackedWithResult)
      pen.id(id)
      if let result { writer.counted(result, with: &pen) }
    case .nacked(let id, let next, let type, let message, let trace):
      pen.tag(.nacked)
      pen.id(id)
      next.write(with: &pen)
      writer.counted(type, with: &pen)
      writer.counted(message, with: &pen)
      writer.counted(trace, with: &pen)
    case .leaseExpired(let id, let next):
      pen.tag(.leaseExpired)
      pen.id(id)
      next.write(with: &pen)
    case .released(let id, let delay):
      pen.tag(.released)
      pen.id(id)
      pen.varint(delay)
    case .cancelled(let id):
      pen.tag(.cancelled)
      pen.id(id)
    case .expired(let id):
      pen.tag(.expired)
      pen.id(id)
    case .removed(let id, let removal):
      pen.tag(.removed)
      pen.id(id)
      pen.byte(removal.rawValue)
    case .deadReplayed(let id):
      pen.tag(.deadReplayed)
      pen.id(id)
    case .queuePaused(let queue, let isPaused):
      pen.tag(.queuePaused)
      pen.varint(UInt64(queue))
      pen.byte(isPaused ? 1 : 0)
    case .clientNamed(let slot, let generation, let name):
      pen.tag(.clientNamed)
      pen.varint(UInt64(slot))
      pen.varint(UInt64(generation))
      writer.counted(name, with: &pen)
    case .clientForgotten(let slot):
      pen.tag(.clientForgotten)
      pen.varint(UInt64(slot))
    case .answered(let client, let request, let remembered):
      switch remembered {
      case .done: pen.tag(.answeredDone)
      case .enqueued(_, let duplicate): pen.tag(duplicate ? .answeredDuplicate : .answeredEnqueued)
      case .encoded: pen.tag(.answeredEncoded)
      }
      pen.varint(UInt64(client))
      pen.varint(request.rawValue)
      switch remembered {
      case .done: break
      case .enqueued(let id, _): pen.id(id)
      case .encoded(let bytes): writer.counted(bytes, with: &pen)
      }
    case .turn(let time):
      pen.tag(.turn)
      pen.longVarint(UInt64(bitPattern: time.boot))
      pen.longVarint(UInt64(bitPattern: time.wall))
    case .resumed:
      pen.tag(.resumed)
    case .salvaged(let generation, let token):
      pen.tag(.salvaged)
      pen.varint(UInt64(generation))
      pen.varint(token.rawValue)
    default: writeSchedule(to: writer, with: &pen)
    }
    writer.end(pen)
  }

  /// The next event, or nil if the bytes are none (the reader then says that they are damaged).
  @inline(__always)
  static func read(from reader: inout EventReader, partition: UInt8) -> Event? {
    guard let tag = Tag(rawValue: reader.byte()) else {
      reader.fail()
      return nil
    }
    let event: Event
    switch tag {
    case .queueNamed: event = .queueNamed(reader.varint32(), reader.counted())
    case .taskNamed: event = .taskNamed(reader.varint32(), reader.counted())
    case .enqueued, .enqueuedDelayed, .enqueuedAt:
      let start: Moment =
        switch tag {
        case .enqueuedDelayed: .after(milliseconds: reader.milliseconds())
        case .enqueuedAt: .at(milliseconds: reader.milliseconds())
        default: .unspecified
        }
      let id = reader.id(partition: partition)
      event = .enqueued(id, queue: reader.varint32(), priority: reader.byte(), start: start, body: reader.counted())
    case .keyTaken:
      let slot = reader.varint32()
      let generation = reader.varint32()
      let id = reader.id(partition: partition)
      event = .keyTaken(
        slot: slot, generation: generation, id, windowMilliseconds: reader.milliseconds(), key: reader.counted())
    case .keyFreed: event = .keyFreed(slot: reader.varint32())
    case .becameReady: event = .becameReady(reader.id(partition: partition))
    case .leased:
      let id = reader.id(partition: partition)
      event = .leased(id, reader.token(), leaseMilliseconds: reader.varint32())
    case .extended: event = .extended(reader.id(partition: partition), leaseMilliseconds: reader.varint32())
    case .acked: event = .acked(reader.id(partition: partition), result: nil)
    case .ackedWithResult: event = .acked(reader.id(partition: partition), result: reader.counted())
    case .nacked:
      let id = reader.id(partition: partition)
      guard let next = Next.read(from: &reader) else { return nil }
      event = .nacked(id, next, type: reader.counted(), message: reader.counted(), trace: reader.counted())
    case .leaseExpired:
      let id = reader.id(partition: partition)
      guard let next = Next.read(from: &reader) else { return nil }
      event = .leaseExpired(id, next)
    case .released: event = .released(reader.id(partition: partition), delayMilliseconds: reader.milliseconds())
    case .cancelled: event = .cancelled(reader.id(partition: partition))
    case .expired: event = .expired(reader.id(partition: partition))
    case .removed:
      let id = reader.id(partition: partition)
      guard let removal = Removal(rawValue: reader.byte()) else {
        reader.fail()
        return nil
      }
      event = .removed(id, removal)
    case .deadReplayed: event = .deadReplayed(reader.id(partition: partition))
    case .queuePaused: event = .queuePaused(reader.varint32(), reader.byte() != 0)
    case .clientNamed:
      event = .clientNamed(slot: reader.varint32(), generation: reader.varint32(), reader.counted())
    case .clientForgotten: event = .clientForgotten(slot: reader.varint32())
    case .answeredDone:
      event = .answered(client: reader.varint32(), RequestID(rawValue: reader.varint()), .done)
    case .answeredEnqueued, .answeredDuplicate:
      let client = reader.varint32()
      let request = RequestID(rawValue: reader.varint())
      let id = reader.id(partition: partition)
      event = .answered(client: client, request, .enqueued(id, duplicate: tag == .answeredDuplicate))
    case .answeredEncoded:
      event = .answered(
        client: reader.varint32(), RequestID(rawValue: reader.varint()), .encoded(reader.counted()))
    case .turn:
      let boot = Int64(bitPattern: reader.varint())
      event = .turn(reader.checked(Time(boot: boot, wall: Int64(bitPattern: reader.varint()))))
    case .resumed: event = .resumed
    case .salvaged: event = .salvaged(generation: reader.varint32(), token: reader.token())
    default: event = readSchedule(tag, from: &reader, partition: partition)
    }
    return reader.isDamaged ? nil : event
  }
}

extension EventWriter.Pen {
  @inline(__always)
  mutating func tag(_ tag: Event.Tag) { byte(tag.rawValue) }
}

extension Event.Next {
  @inline(__always)
  func write(with pen: inout EventWriter.Pen) {
    switch self {
    case .ready: pen.byte(0)
    case .delayed(let milliseconds):
      pen.byte(1)
      pen.varint(milliseconds)
    case .dead(let reason):
      pen.byte(2)
      pen.byte(reason.rawValue)
    }
  }

  static func read(from reader: inout EventReader) -> Event.Next? {
    switch reader.byte() {
    case 0: return .ready
    case 1: return .delayed(milliseconds: reader.milliseconds())
    case 2:
      if let reason = DeadReason(rawValue: reader.byte()) { return .dead(reason) }
    default: break
    }
    reader.fail()
    return nil
  }
}
