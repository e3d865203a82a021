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
  }

  @inline(__always)
  func write(to writer: EventWriter) {
    switch self {
    case .queueNamed(let number, let name):
      writer.tag(.queueNamed)
      writer.varint(UInt64(number))
      writer.counted(name)
    case .taskNamed(let number, let name):
      writer.tag(.taskNamed)
      writer.varint(UInt64(number))
      writer.counted(name)
    case .enqueued(let id, let queue, let priority, let start, let body):
      switch start {
      case .unspecified: writer.tag(.enqueued)
      case .after(let milliseconds):
        writer.tag(.enqueuedDelayed)
        writer.varint(milliseconds)
      case .at(let milliseconds):
        writer.tag(.enqueuedAt)
        writer.varint(milliseconds)
      }
      writer.id(id)
      writer.varint(UInt64(queue))
      writer.byte(priority)
      writer.counted(body)
    case .keyTaken(let slot, let generation, let id, let window, let key):
      writer.tag(.keyTaken)
      writer.varint(UInt64(slot))
      writer.varint(UInt64(generation))
      writer.id(id)
      writer.varint(window)
      writer.counted(key)
    case .keyFreed(let slot):
      writer.tag(.keyFreed)
      writer.varint(UInt64(slot))
    case .becameReady(let id):
      writer.tag(.becameReady)
      writer.id(id)
    case .leased(let id, let token, let lease):
      writer.tag(.leased)
      writer.id(id)
      writer.varint(token.rawValue)
      writer.varint(UInt64(lease))
    case .extended(let id, let lease):
      writer.tag(.extended)
      writer.id(id)
      writer.varint(UInt64(lease))
    case .acked(let id, let result):
      writer.tag(result == nil ? .acked : .ackedWithResult)
      writer.id(id)
      if let result { writer.counted(result) }
    case .nacked(let id, let next, let type, let message, let trace):
      writer.tag(.nacked)
      writer.id(id)
      next.write(to: writer)
      writer.counted(type)
      writer.counted(message)
      writer.counted(trace)
    case .leaseExpired(let id, let next):
      writer.tag(.leaseExpired)
      writer.id(id)
      next.write(to: writer)
    case .released(let id, let delay):
      writer.tag(.released)
      writer.id(id)
      writer.varint(delay)
    case .cancelled(let id):
      writer.tag(.cancelled)
      writer.id(id)
    case .expired(let id):
      writer.tag(.expired)
      writer.id(id)
    case .removed(let id, let removal):
      writer.tag(.removed)
      writer.id(id)
      writer.byte(removal.rawValue)
    case .deadReplayed(let id):
      writer.tag(.deadReplayed)
      writer.id(id)
    case .queuePaused(let queue, let isPaused):
      writer.tag(.queuePaused)
      writer.varint(UInt64(queue))
      writer.byte(isPaused ? 1 : 0)
    case .clientNamed(let slot, let generation, let name):
      writer.tag(.clientNamed)
      writer.varint(UInt64(slot))
      writer.varint(UInt64(generation))
      writer.counted(name)
    case .clientForgotten(let slot):
      writer.tag(.clientForgotten)
      writer.varint(UInt64(slot))
    case .answered(let client, let request, let remembered):
      switch remembered {
      case .done: writer.tag(.answeredDone)
      case .enqueued(_, let duplicate): writer.tag(duplicate ? .answeredDuplicate : .answeredEnqueued)
      case .encoded: writer.tag(.answeredEncoded)
      }
      writer.varint(UInt64(client))
      writer.varint(request.rawValue)
      switch remembered {
      case .done: break
      case .enqueued(let id, _): writer.id(id)
      case .encoded(let bytes): writer.counted(bytes)
      }
    case .turn(let time):
      writer.tag(.turn)
      writer.varint(UInt64(bitPattern: time.boot))
      writer.varint(UInt64(bitPattern: time.wall))
    case .resumed:
      writer.tag(.resumed)
    }
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
    }
    return reader.isDamaged ? nil : event
  }
}

extension EventWriter {
  @inline(__always)
  func tag(_ tag: Event.Tag) { byte(tag.rawValue) }
}

extension Event.Next {
  func write(to writer: EventWriter) {
    switch self {
    case .ready: writer.byte(0)
    case .delayed(let milliseconds):
      writer.byte(1)
      writer.varint(milliseconds)
    case .dead(let reason):
      writer.byte(2)
      writer.byte(reason.rawValue)
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
