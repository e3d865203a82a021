import NuvomModel
import Testing

@testable import NuvomEngine

// What an engine knows, told in an order and in words that do not depend on where its memory happens to hold it.

extension Engine {
  /// The durable state, a line a thing. Two engines that know the same have the same digest.
  func digest(withTimers: Bool = false) -> [String] {
    var lines = ["tokens from \(scalars.pointee.nextToken)"]
    lines.append("dropped \(scalars.pointee.deadDropped) totals \(scalars.pointee.totals)")
    lines.append("counts \(counts(scalars.pointee.counts))")
    for number in 0..<UInt32(queueNames.count) {
      let queue = queues.pointer(number).pointee
      lines.append("queue \(text(queueNames.name(number))) paused \(queue.isPaused) \(counts(queue)) \(queue.totals)")
      for (priority, jobs) in readyJobs(of: number) where !jobs.isEmpty {
        lines.append("  priority \(priority): \(jobs)")
      }
    }
    for number in 0..<UInt32(taskNames.count) { lines.append("task \(text(taskNames.name(number)))") }
    lines.append("dead \(deadJobs())")
    jobs.forEachLive { lines.append(describe($0, withTimers)) }
    var keyLines: [String] = []
    keys.forEachLive { slot in
      let key = keys.pointer(slot).pointee
      keyLines.append("key \(text(arena.bytes(key.key))) of \(JobID(rawValue: key.job)) until \(key.due)")
    }
    var clientLines: [String] = []
    clients.forEachLive { slot in
      let client = clients.pointer(slot).pointee
      var line = "client \(text(arena.bytes(client.name))) highest \(client.highest) dropped \(client.highestDropped):"
      for answer in answers(of: slot) { line += " \(answer)" }
      clientLines.append(line)
    }
    lines.append("schedules \(scalars.pointee.scheduleTotals)")
    for number in 0..<zones.names.count {
      lines.append("zone \(text(zones.names.name(UInt32(number)))) by \(zones.fingerprints[number])")
    }
    var scheduleLines: [String] = []
    schedules.forEachLive { scheduleLines.append(describe(schedule: $0, withTimers)) }
    return lines + keyLines.sorted() + clientLines.sorted() + scheduleLines.sorted()
  }

  private func describe(schedule slot: UInt32, _ withTimers: Bool) -> String {
    let record = schedules.pointer(slot).pointee
    var line = "schedule \(slot) generation \(schedules.generation(slot)) \(record.state) stamp \(record.stamp)"
    line += " next \(record.next) last \(record.last) buffered \(record.buffered) job \(record.lastJob)"
    line += " fired \(record.fired) missed \(record.missed) skipped \(record.skipped) triggered \(record.triggered)"
    line += " zone \(record.zone) body \(Array(arena.bytes(record.body)))"
    if withTimers, record.timer != JobRecord.noTimer { line += " " + describe(timer: record.timer) }
    return line
  }

  private func describe(timer: UInt32) -> String {
    let isWall = timer & wallTimerBit != 0
    let timer = isWall ? wallTimers.timer(timer & ~wallTimerBit) : bootTimers.timer(timer)
    return "timer \(timer.kind) \(isWall ? "wall" : "boot") \(timer.due)"
  }

  private func describe(_ slot: UInt32, _ withTimers: Bool) -> String {
    let job = jobs.pointer(slot)
    let record = job.pointee
    var line = "job \(id(slot)) \(record.state) queue \(record.queue) priority \(record.priority)"
    line += " failures \(record.failures) stamp \(record.stamp)"
    let flags: [(String, UInt64)] = [
      ("delivered", JobRecord.Flags.delivered), ("expires", JobRecord.Flags.expires),
      ("cancelledLeased", JobRecord.Flags.cancelledLeased), ("dueIsWall", JobRecord.Flags.dueIsWall),
      ("fired", JobRecord.Flags.fired),
    ]
    for (name, flag) in flags where record.has(flag) { line += " \(name)" }
    if let reason = record.reason { line += " \(reason)" }
    if record.state == .leased { line += " lease \(record.leaseMilliseconds)" }
    line += " body \(Array(arena.bytes(record.body)))"
    if !record.history.isNone { line += " history \(Array(arena.bytes(record.history)))" }
    if withTimers, record.timer != JobRecord.noTimer { line += " " + describe(timer: record.timer) }
    return line
  }

  private func answers(of client: UInt32) -> [String] {
    var list: [String] = []
    var slot = clients.pointer(client).pointee.firstAnswer
    while slot != JobRecord.noLink {
      let answer = answers.pointer(slot).pointee
      let isEncoded = answer.kind == AnswerRecord.Kind.encoded.rawValue
      let value = isEncoded ? "\(Array(arena.bytes(ArenaReference(rawValue: answer.value))))" : "\(answer.value)"
      list.append("\(answer.request)=\(answer.kind):\(value)")
      slot = answer.next
    }
    return list
  }

  private func counts(_ record: QueueRecord) -> String {
    "\(record.delayed)/\(record.ready)/\(record.leased)/\(record.succeeded)/\(record.dead)/\(record.cancelled)"
  }

  private func text(_ bytes: BorrowedBytes) -> String { String(decoding: bytes, as: UTF8.self) }

  private func id(_ slot: UInt32) -> JobID {
    JobID(partition: configuration.partition, generation: jobs.generation(slot), slot: slot)
  }

  private func readyJobs(of queue: UInt32) -> [(UInt32, [JobID])] {
    var lists: [(UInt32, [JobID])] = []
    var list = queues.pointer(queue).pointee.firstList
    while list != JobRecord.noLink {
      let record = readyLists.pointer(list).pointee
      lists.append((record.priority, chain(record.head, record.tail, "queue \(queue)")))
      list = record.nextList
    }
    return lists
  }

  private func deadJobs() -> [JobID] { chain(scalars.pointee.deadHead, scalars.pointee.deadTail, "the dead") }

  /// The jobs of a list, whose links are checked in both directions.
  private func chain(_ head: UInt32, _ tail: UInt32, _ what: String) -> [JobID] {
    var list: [JobID] = []
    var before = JobRecord.noLink
    var slot = head
    while slot != JobRecord.noLink, list.count <= jobs.count {
      guard jobs.isTaken(slot) else {
        Issue.record("\(what) holds slot \(slot), which is not live")
        break
      }
      let previous = jobs.pointer(slot).pointee.previous
      #expect(previous == before, "\(what): the link back of slot \(slot)")
      list.append(id(slot))
      before = slot
      slot = jobs.pointer(slot).pointee.next
    }
    #expect(before == tail, "\(what): the last is the tail")
    return list
  }

  // MARK: What must always be true

  /// Counts are what a recount gives, lists hold what their state says, no byte and no timer is left over.
  func checkInvariants(_ comment: String, sourceLocation: SourceLocation = #_sourceLocation) {
    var total = QueueRecord()
    var byQueue: [UInt32: QueueRecord] = [:]
    var bytes = 0
    var reported = 0
    var bootCount = 0
    var wallCount = 0
    func weigh(_ reference: ArenaReference) {
      if !reference.isNone { bytes += Arena.recordSize(arena.bytes(reference).count) }
    }
    jobs.forEachLive { slot in
      let job = jobs.pointer(slot).pointee
      total.count(job.state, 1)
      byQueue[job.queue, default: QueueRecord()].count(job.state, 1)
      weigh(job.body)
      weigh(job.history)
      if job.state == .leased, progress.report(of: id(slot)) != nil { reported += 1 }
      if job.timer != JobRecord.noTimer {
        if job.timer & wallTimerBit == 0 { bootCount += 1 } else { wallCount += 1 }
      }
    }
    keys.forEachLive { slot in
      weigh(keys.pointer(slot).pointee.key)
      if keys.pointer(slot).pointee.timer != JobRecord.noTimer { bootCount += 1 }
    }
    var answerCount = 0
    clients.forEachLive { slot in
      let client = clients.pointer(slot).pointee
      weigh(client.name)
      if client.timer != JobRecord.noTimer { bootCount += 1 }
      answerCount += Int(client.answerCount)
    }
    answers.forEachLive { slot in
      let answer = answers.pointer(slot).pointee
      if answer.kind == AnswerRecord.Kind.encoded.rawValue { weigh(ArenaReference(rawValue: answer.value)) }
    }
    var inZones: Set<UInt32> = []
    schedules.forEachLive { slot in
      let schedule = schedules.pointer(slot).pointee
      weigh(schedule.body)
      if case .cron(_, let zone, _, _) = body(ofSchedule: slot).times { inZones.insert(zone) }
      if schedule.timer != JobRecord.noTimer {
        if schedule.timer & wallTimerBit == 0 { bootCount += 1 } else { wallCount += 1 }
      }
      let name = body(ofSchedule: slot).name
      #expect(find(schedule: name) == slot, "\(comment): \(text(name)) is found", sourceLocation: sourceLocation)
      let words = "\(comment): \(text(name)) \(schedule.state) next \(schedule.next) buffered \(schedule.buffered)"
      let isToCome = schedule.next != ScheduleRecord.none || schedule.buffered != ScheduleRecord.none
      #expect(isToCome == (schedule.state != .finished), "\(words): over or not", sourceLocation: sourceLocation)
      let hasTimer = schedule.timer != JobRecord.noTimer
      switch schedule.state {
      case .paused: #expect(!hasTimer, "\(words): a timer", sourceLocation: sourceLocation)
      case .active where schedule.next == ScheduleRecord.none: break
      case .active, .finished: #expect(hasTimer, "\(words): no timer", sourceLocation: sourceLocation)
      }
    }
    #expect(counts(total) == counts(scalars.pointee.counts), "\(comment): counts", sourceLocation: sourceLocation)
    var inLists = 0
    for number in 0..<UInt32(queueNames.count) {
      #expect(
        counts(byQueue[number] ?? QueueRecord()) == counts(queues.pointer(number).pointee),
        "\(comment): counts of queue \(number)", sourceLocation: sourceLocation)
      inLists += readyJobs(of: number).reduce(0) { $0 + $1.1.count }
    }
    #expect(inLists == Int(total.ready), "\(comment): ready jobs are in lists", sourceLocation: sourceLocation)
    #expect(
      deadJobs().count == Int(total.dead), "\(comment): dead jobs are in the list", sourceLocation: sourceLocation)
    // Taken out first: an expectation copies what it looks into, and these cannot be copied.
    let reportsHeld = progress.count
    #expect(reportsHeld == reported, "\(comment): progress is of leased jobs", sourceLocation: sourceLocation)
    let used = zones.inUse
    #expect(used == inZones.sorted(), "\(comment): zones in use", sourceLocation: sourceLocation)
    let named = (scheduleIndex.count, schedules.count)
    #expect(named.0 == named.1, "\(comment): the index of schedules", sourceLocation: sourceLocation)
    let held = (arena.liveBytes, bootTimers.count, wallTimers.count, answers.count, keyIndex.count, clientIndex.count)
    let owned = (bytes, bootCount, wallCount, answerCount, keys.count, clients.count)
    #expect(held.0 == owned.0, "\(comment): bytes of records", sourceLocation: sourceLocation)
    #expect(held.1 == owned.1, "\(comment): timers of the boot clock", sourceLocation: sourceLocation)
    #expect(held.2 == owned.2, "\(comment): timers of the wall clock", sourceLocation: sourceLocation)
    #expect(held.3 == owned.3, "\(comment): answers have clients", sourceLocation: sourceLocation)
    #expect(held.4 == owned.4 && held.5 == owned.5, "\(comment): indexes", sourceLocation: sourceLocation)
  }
}

extension EngineWorld {
  /// The engine, one that read its whole log, and one that read the last snapshot and the log behind it, know the same; also when
  /// they have started again.
  func check(sourceLocation: SourceLocation = #_sourceLocation) {
    let live = engine.digest()
    engine.checkInvariants("live", sourceLocation: sourceLocation)
    var buffered: [JobID: UInt32] = [:]
    engine.schedules.forEachLive { slot in
      let schedule = engine.schedules.pointer(slot).pointee
      let isAhead = schedule.next == ScheduleRecord.none || schedule.last < schedule.next
      #expect(isAhead, "next \(schedule.next) after last \(schedule.last)", sourceLocation: sourceLocation)
      if schedule.buffered != ScheduleRecord.none { buffered[JobID(rawValue: schedule.lastJob)] = slot }
    }
    #expect(engine.buffers.waiting == buffered, "fires that wait", sourceLocation: sourceLocation)
    #expect(
      engine.scalars.pointee.hasBufferedFires == !buffered.isEmpty, "whether any waits", sourceLocation: sourceLocation)
    let fromLog = Self.replica(configuration, log: log[...], time: time)
    expectSame(fromLog?.digest(), live, "the log says the same", sourceLocation)
    fromLog?.checkInvariants("replayed", sourceLocation: sourceLocation)
    fromLog?.resume(at: time)
    fromLog?.checkInvariants("replayed and resumed", sourceLocation: sourceLocation)
    guard let snapshot else { return }
    let restored = Self.replica(configuration, snapshot: snapshot, log: log, time: time)
    expectSame(restored?.digest(), live, "snapshot and log say the same", sourceLocation)
    restored?.resume(at: time)
    restored?.checkInvariants("restored and resumed", sourceLocation: sourceLocation)
    expectSame(
      restored?.digest(withTimers: true), fromLog?.digest(withTimers: true) ?? [], "they go on in the same way",
      sourceLocation)
  }

  private func expectSame(_ one: [String]?, _ other: [String], _ comment: String, _ location: SourceLocation) {
    guard let one else {
      Issue.record("\(comment): it cannot be read", sourceLocation: location)
      return
    }
    if one == other { return }
    let difference = one.difference(from: other).map { change in
      switch change {
      case .remove(_, let line, _): "- \(line)"
      case .insert(_, let line, _): "+ \(line)"
      }
    }
    Issue.record("\(comment): \(difference.joined(separator: "\n"))", sourceLocation: location)
  }
}
