import NuvomModel
import SeededNumbers
import Testing

@testable import NuvomEngine

/// One of each kind of event, with numbers at the ends of their ranges.
private func sampleEvents(_ text: BorrowedBytes) -> [Event] {
  let id = JobID(partition: 0, generation: 0xFF_FFFF, slot: .max)
  let small = JobID(partition: 0, generation: 1, slot: 0)
  let request = RequestID(rawValue: UInt64(Int64.max))
  return [
    .queueNamed(0, text), .taskNamed(.max, .none),
    .enqueued(id, queue: .max, priority: 255, start: .unspecified, body: text),
    .enqueued(
      small, queue: 0, priority: 0, start: .after(milliseconds: ProtocolLimits.durationMilliseconds), body: text),
    .enqueued(small, queue: 0, priority: 0, start: .at(milliseconds: ProtocolLimits.timeMilliseconds), body: .none),
    .keyTaken(
      slot: 7, generation: 8, id, windowMilliseconds: ProtocolLimits.durationMilliseconds, key: text),
    .keyFreed(slot: .max), .becameReady(id),
    .leased(id, LeaseToken(rawValue: UInt64(Int64.max) - 1), leaseMilliseconds: 86_400_000),
    .extended(id, leaseMilliseconds: 1), .acked(id, result: nil), .acked(id, result: text),
    .nacked(id, .ready, type: text, message: text, trace: text),
    .nacked(id, .delayed(milliseconds: ProtocolLimits.durationMilliseconds), type: .none, message: .none, trace: .none),
    .nacked(id, .dead(.rejected), type: text, message: .none, trace: text),
    .leaseExpired(id, .dead(.leaseExpired)), .leaseExpired(id, .delayed(milliseconds: 1)),
    .released(id, delayMilliseconds: 0), .released(id, delayMilliseconds: 127), .cancelled(id), .expired(id),
    .removed(id, .retentionOver), .removed(id, .deadDropped), .removed(id, .deadDeleted), .deadReplayed(id),
    .queuePaused(3, true), .queuePaused(3, false), .clientNamed(slot: 1, generation: 2, text),
    .clientForgotten(slot: 1), .answered(client: 1, request, .done),
    .answered(client: 1, request, .enqueued(id, duplicate: false)),
    .answered(client: 1, request, .enqueued(id, duplicate: true)), .answered(client: 1, request, .encoded(text)),
    .turn(Time(boot: 0, wall: -1)), .turn(Time(boot: 1 << 60, wall: 253_402_300_800_000_000)), .resumed,
    .salvaged(generation: 1 << 20, token: LeaseToken(rawValue: 1 << 40)),
  ] + sampleScheduleEvents(text, id)
}

private func sampleScheduleEvents(_ text: BorrowedBytes, _ id: JobID) -> [Event] {
  let latest = Int64(ProtocolLimits.timeMilliseconds)
  return [
    .zoneNamed(0, fingerprint: .max, text), .zoneNamed(.max, fingerprint: 0, .none),
    .zoneChanged(.max, fingerprint: .max),
    .scheduled(slot: .max, generation: .max, stamp: latest, next: latest, body: text),
    .scheduled(slot: 0, generation: 1, stamp: 0, next: 0, body: text),
    .scheduled(slot: 0, generation: 1, stamp: 0, next: nil, body: .none),
    .rescheduled(slot: .max, stamp: latest, next: latest, missed: .max, last: latest, body: text),
    .rescheduled(slot: 0, stamp: 0, next: nil, missed: 0, last: nil, body: .none),
    .fired(slot: .max, id, due: latest, next: latest, missed: .max), .fired(slot: 0, id, due: 0, next: nil, missed: 0),
    .firesMissed(slot: .max, count: .max, last: latest, next: latest),
    .firesMissed(slot: 0, count: 0, last: 0, next: nil),
    .fireSkipped(slot: .max, due: latest, next: 0, missed: .max), .fireSkipped(slot: 0, due: 0, next: nil, missed: 0),
    .fireBuffered(slot: .max, due: latest, next: 1, missed: .max), .fireBuffered(slot: 0, due: 0, next: nil, missed: 0),
    .scheduleTriggered(slot: .max, id, due: latest), .schedulePaused(slot: .max, true),
    .schedulePaused(slot: 0, false), .scheduleMoved(slot: .max, next: latest), .scheduleMoved(slot: 0, next: nil),
    .scheduleRemoved(slot: .max),
  ]
}

@Test("each event is read back as it was written, and no shorter part of it is an event")
func eventRoundTrip() {
  Array("bytes".utf8).withUnsafeBytes { text in
    for event in sampleEvents(text) {
      let writer = EventWriter()
      event.write(to: writer)
      var reader = EventReader(writer.bytes)
      let read = Event.read(from: &reader, partition: 0)
      #expect(reader.isAtEnd && !reader.isDamaged)
      // Pointers differ, bytes do not: written once more they must be the same.
      let again = EventWriter()
      read?.write(to: again)
      #expect(writer.bytes.elementsEqual(again.bytes), "\(event)")
      for length in 0..<writer.count {
        var cut = EventReader(BorrowedBytes(rebasing: writer.bytes[..<length]))
        #expect(Event.read(from: &cut, partition: 0) == nil, "\(event) cut to \(length)")
      }
    }
  }
}

@Test("every kind of event is among those that are tried")
func everyTagIsTried() {
  var tags: Set<UInt8> = []
  Array("bytes".utf8).withUnsafeBytes { text in
    for event in sampleEvents(text) {
      let writer = EventWriter()
      event.write(to: writer)
      tags.insert(writer.bytes[0])
    }
  }
  #expect(tags == Set((1...41).map(UInt8.init)))
  #expect(Event.Tag(rawValue: 0) == nil && Event.Tag(rawValue: 42) == nil)
}

@Test("a long number's bytes are the same whether they are made at once or one by one")
func longNumbers() {
  for bits in 0...64 {
    let least: UInt64 = bits == 0 ? 0 : 1 << (bits - 1)
    let most: UInt64 = bits == 64 ? .max : (1 << bits) - 1
    for number in [least, most, most & 0x5555_5555_5555_5555 | least, most & 0xAAAA_AAAA_AAAA_AAAA | least] {
      let plain = EventWriter()
      plain.varint(number)
      let atOnce = EventWriter()
      var pen = atOnce.begin(room: EventWriter.Pen.longestVarint)
      pen.longVarint(number)
      atOnce.end(pen)
      #expect(plain.bytes.elementsEqual(atOnce.bytes), "\(number)")
    }
  }
}

/// A log with some of everything in it, a batch a step.
private func busyLog() -> EngineWorld {
  let world = EngineWorld { $0.deadLetterLimit = 3 }
  world.connect(client: "c")
  for index in 0..<24 {
    world.enqueue("payload \(index)", queue: "q\(index % 2)", id: UInt64(index + 1)) {
      $0.retentionMilliseconds = index % 3 == 0 ? 60_000 : 0
      if index % 4 == 0 { $0.uniqueKey = world.bytes("key \(index)") }
      if index % 5 == 0 { $0.start = .after(milliseconds: 1_000) }
      if index % 6 == 0 { $0.expiry = .after(milliseconds: 2_000) }
    }
  }
  let names = world.take(["q0", "q1"], max: 14, id: 50).taken.map { world.name($0.id) }
  for (index, name) in names.enumerated() {
    switch index % 7 {
    case 0: world.ack(name, result: "result", id: UInt64(60 + index))
    case 1: world.nack(name)
    case 2, 3: world.nack(name, retry: false)
    case 4: world.release(name, delay: 500)
    case 5: world.cancel(name)
    default: world.extend(name, lease: 900)
    }
  }
  defineSchedules(world)
  world.pause("q1")
  world.advance(seconds: 3)
  world.dead(.deadReplay, limit: 1)
  world.restart(awaySeconds: 1)
  world.disconnect()
  world.advance(seconds: 700)
  return world
}

/// Schedules of each kind, with as much in their definitions as there can be.
private func defineSchedules(_ world: EngineWorld) {
  world.every("often", 900) {
    $0.overlap = .bufferOne
    $0.misfire = .all
    $0.catchUpMilliseconds = 5_000
    $0.job.queue = world.bytes("often")
  }
  world.every("seldom", 2_000_000) { $0.startMilliseconds = EngineWorld.wall(500) }
  world.once("once", after: 1_000) { $0.job.expiry = .after(milliseconds: 500) }
  world.once("at", at: 2_000) { $0.retentionMilliseconds = 1_000 }
  world.cron("cron", "*/2 * * * * *") {
    $0.endMilliseconds = EngineWorld.wall(900_000)
    $0.maximumFires = 200
    $0.jitterMilliseconds = 100
    $0.misfire = .skip
    $0.overlap = .skip
    $0.metadata = world.bytes([0x81, 0xA1, 0x61, 0xA1, 0x62])
    $0.retentionMilliseconds = 3_600_000
    $0.job.headers = world.bytes([0x80])
    $0.job.tags = world.bytes([0x90])
  }
  world.change(.scheduleTrigger, "seldom")
  world.change(.schedulePause, "seldom")
  world.every("often", 800) { $0.overlap = .bufferOne }
}

@Test("a batch that was cut inside an event is refused, wherever it was cut")
func cutBatches() {
  let world = busyLog()
  var whole = 0
  for (number, batch) in world.log.enumerated() {
    for length in 0..<batch.count {
      guard let engine = EngineWorld.replica(world.configuration, log: world.log[..<number], time: world.time) else {
        Issue.record("the log is good up to batch \(number)")
        return
      }
      // Which lengths end between two events.
      let isBetween = batch.withUnsafeBytes { bytes in
        var reader = EventReader(bytes)
        while reader.position < length, Event.read(from: &reader, partition: 0) != nil {}
        return reader.position == length
      }
      let isRead = batch[..<length].withUnsafeBytes { engine.replay($0) }
      #expect(isRead == isBetween, "batch \(number) cut to \(length)")
      if isRead { whole += 1 }
      if number > 30 { break }
    }
  }
  #expect(whole > 0)
}

@Test("bytes that are no log never crash replay, and what it accepted can go on", arguments: 1...6)
func mutilatedLogs(seed: Int) {
  var random = SeededNumbers(seed: UInt64(seed))
  let world = busyLog()
  var accepted = 0
  for _ in 0..<120 {
    var bytes = world.log.flatMap { $0 }
    for _ in 0..<1 + random.below(3) {
      let place = random.below(bytes.count)
      switch random.below(4) {
      case 0: bytes[place] ^= UInt8(1 << random.below(8))
      case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
      case 2: bytes.replaceSubrange(place..<min(place + 9, bytes.count), with: repeatElement(0xFF, count: 9))
      default: bytes.removeSubrange(place..<min(place + 1 + random.below(9), bytes.count))
      }
    }
    let engine = Engine(world.configuration, now: world.time)
    guard bytes.withUnsafeBytes({ engine.replay($0) }) else { continue }
    accepted += 1
    var outcome = Outcome()
    engine.resume(at: world.time)
    for name in engine.zonesInUse { engine.take(.utc, ofZone: world.bytes(name)) }
    for seconds in [0, 1, 100, 3_000_000] as [Int64] {
      engine.beginTurn(Time(boot: world.time.boot + seconds * 1_000_000, wall: world.time.wall + seconds * 1_000_000))
      _ = engine.fireTimers(limit: 1_000, into: &outcome)
    }
    engine.checkInvariants("a mutilated log")
  }
  #expect(accepted > 0, "some changes are within payloads, and make a log that reads well")
}

@Test(
  "a definition that is damaged in any of its bytes is refused, or can be gone on with; one that was cut is refused")
func damagedDefinitions() {
  let world = EngineWorld()
  defineSchedules(world)
  var accepted = 0
  for (number, batch) in world.log.enumerated() {
    var definition: (slot: UInt32, generation: UInt32, stamp: Int64, next: Int64?, body: [UInt8])?
    var before: [UInt8] = []
    batch.withUnsafeBytes { bytes in
      var reader = EventReader(bytes)
      var position = 0
      while let event = Event.read(from: &reader, partition: 0) {
        if case .scheduled(let slot, let generation, let stamp, let next, let body) = event {
          definition = (slot, generation, stamp, next, Array(body))
          before = Array(bytes[..<position])
        }
        position = reader.position
        if reader.isAtEnd { break }
      }
    }
    guard let definition else { continue }
    func replay(_ body: [UInt8]) -> Engine? {
      let writer = EventWriter()
      body.withUnsafeBytes {
        Event.scheduled(
          slot: definition.slot, generation: definition.generation, stamp: definition.stamp, next: definition.next,
          body: $0
        ).write(to: writer)
      }
      return EngineWorld.replica(
        world.configuration, log: (world.log[..<number] + [before, Array(writer.bytes)])[...], time: world.time)
    }
    #expect(replay(definition.body) != nil)
    for place in definition.body.indices {
      for value in [definition.body[place] ^ 1, definition.body[place] ^ 0x80, 0, 0xFF] {
        var body = definition.body
        body[place] = value
        guard let engine = replay(body) else { continue }
        accepted += 1
        var outcome = Outcome()
        engine.resume(at: world.time)
        for name in engine.zonesInUse { engine.take(.utc, ofZone: world.bytes(name)) }
        let later = Time(boot: world.time.boot + 3_000_000_000, wall: world.time.wall + 3_000_000_000)
        engine.beginTurn(later)
        _ = engine.fireTimers(limit: 50, into: &outcome)
        engine.checkInvariants("byte \(place) of batch \(number) is \(value)")
      }
    }
    // A cut within the payload at its end leaves a whole definition.
    for length in 0..<definition.body.count - 10 {
      #expect(replay(Array(definition.body[..<length])) == nil, "batch \(number) cut to \(length)")
    }
  }
  #expect(accepted > 100)
}

@Test("events about schedules that are not there, or are over, are damage")
func eventsWithoutSchedules() {
  let world = EngineWorld()
  world.once("over", after: 1_000)
  world.advance(seconds: 2)
  let id = JobID(partition: 0, generation: 1, slot: 9)
  for slot: UInt32 in [0, 1, .max] {
    let events: [Event] = [
      .fired(slot: slot, id, due: 1, next: 2, missed: 0), .firesMissed(slot: slot, count: 1, last: 1, next: 2),
      .fireSkipped(slot: slot, due: 1, next: 2, missed: 0), .fireBuffered(slot: slot, due: 1, next: 2, missed: 0),
      .schedulePaused(slot: slot, true), .scheduleMoved(slot: slot, next: 2),
    ]
    let others: [Event] = [
      .scheduleTriggered(slot: slot, id, due: 1), .scheduleRemoved(slot: slot),
      .rescheduled(slot: slot, stamp: 1, next: 2, missed: 0, last: nil, body: world.bytes([0])),
      .zoneChanged(slot, fingerprint: 1),
      .scheduled(slot: slot, generation: 1, stamp: 1, next: 2, body: world.bytes([0])),
    ]
    for event in events + (slot == 0 ? [] : others) {
      let writer = EventWriter()
      event.write(to: writer)
      let log = world.log + [Array(writer.bytes)]
      #expect(EngineWorld.replica(world.configuration, log: log[...], time: world.time) == nil, "\(event)")
    }
  }
}

@Test("random bytes never crash replay")
func randomBytes() {
  var random = SeededNumbers(seed: 5)
  for _ in 0..<3_000 {
    var bytes = (0..<random.below(60)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    if !bytes.isEmpty { bytes[0] = UInt8(1 + random.below(40)) }
    let engine = Engine(EngineConfiguration(), now: Time(boot: 0, wall: 0))
    _ = bytes.withUnsafeBytes { engine.replay($0) }
  }
}

@Test(
  "numbers that no engine writes are damage, not an overflow",
  arguments: [
    "delay", "absolute", "nack delay", "release", "window", "token", "boot", "wall", "slot", "key slot", "client slot",
  ])
func hostileNumbers(what: String) {
  let huge = UInt64.max
  let engine = Engine(EngineConfiguration(), now: Time(boot: 0, wall: 0))
  let id = JobID(partition: 0, generation: 1, slot: 0)
  let body: [UInt8] = [0, 0]
  body.withUnsafeBytes { body in
    let good = EventWriter()
    Event.turn(Time(boot: 1, wall: 1)).write(to: good)
    Event.queueNamed(0, body).write(to: good)
    Event.taskNamed(0, body).write(to: good)
    Event.enqueued(id, queue: 0, priority: 0, start: .unspecified, body: body).write(to: good)
    Event.leased(id, LeaseToken(rawValue: 1), leaseMilliseconds: 1).write(to: good)
    #expect(engine.replay(good.bytes))
    let other = JobID(partition: 0, generation: 1, slot: 1)
    let far = JobID(partition: 0, generation: 1, slot: 4_000_000_000)
    let event: Event =
      switch what {
      case "delay": .enqueued(other, queue: 0, priority: 0, start: .after(milliseconds: huge), body: body)
      case "absolute": .enqueued(other, queue: 0, priority: 0, start: .at(milliseconds: huge), body: body)
      case "nack delay": .nacked(id, .delayed(milliseconds: huge), type: .none, message: .none, trace: .none)
      case "release": .released(id, delayMilliseconds: huge)
      case "window": .keyTaken(slot: 0, generation: 1, id, windowMilliseconds: huge, key: body)
      case "token": .leased(id, LeaseToken(rawValue: huge), leaseMilliseconds: 1)
      case "boot": .turn(Time(boot: .max, wall: 0))
      case "wall": .turn(Time(boot: 0, wall: .min))
      case "slot": .enqueued(far, queue: 0, priority: 0, start: .unspecified, body: body)
      case "key slot": .keyTaken(slot: 1_000_000_000, generation: 1, id, windowMilliseconds: 1, key: body)
      default: .clientNamed(slot: 1_000_000, generation: 1, body)
      }
    let bad = EventWriter()
    event.write(to: bad)
    let bytes = engine.memoryBytes
    #expect(!engine.replay(bad.bytes))
    #expect(engine.memoryBytes < bytes + (1 << 20))
  }
}
