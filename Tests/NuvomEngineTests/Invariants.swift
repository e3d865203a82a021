import NuvomModel
import Testing

@testable import NuvomEngine

extension Engine {
  /// Holds the links of a list in both directions: how many jobs it has.
  @discardableResult
  private func checkChain(_ head: UInt32, _ tail: UInt32, _ what: String) -> Int {
    var count = 0
    var before = JobRecord.noLink
    var slot = head
    while slot != JobRecord.noLink, count <= jobs.count {
      guard jobs.isTaken(slot) else {
        Issue.record("\(what) holds slot \(slot), which is not live")
        break
      }
      let previous = jobs.pointer(slot).pointee.previous
      #expect(previous == before, "\(what): the link back of slot \(slot)")
      count += 1
      before = slot
      slot = jobs.pointer(slot).pointee.next
    }
    #expect(before == tail, "\(what): the last is the tail")
    return count
  }

  /// Holds every list of a queue: how many jobs are in them.
  private func checkReadyLists(of queue: UInt32) -> Int {
    var count = 0
    var list = queues.pointer(queue).pointee.firstList
    while list != JobRecord.noLink {
      let record = readyLists.pointer(list).pointee
      count += checkChain(record.head, record.tail, "queue \(queue)")
      list = record.nextList
    }
    return count
  }

  private func counts(_ record: QueueRecord) -> String {
    "\(record.delayed)/\(record.ready)/\(record.leased)/\(record.succeeded)/\(record.dead)/\(record.cancelled)"
  }

  private func text(_ bytes: BorrowedBytes) -> String { String(decoding: bytes, as: UTF8.self) }

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
      inLists += checkReadyLists(of: number)
    }
    #expect(inLists == Int(total.ready), "\(comment): ready jobs are in lists", sourceLocation: sourceLocation)
    let deadInList = checkChain(scalars.pointee.deadHead, scalars.pointee.deadTail, "the dead")
    #expect(
      deadInList == Int(total.dead), "\(comment): dead jobs are in the list", sourceLocation: sourceLocation)
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
    let live = engine.stateLines()
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
    expectSame(fromLog?.stateLines(), live, "the log says the same", sourceLocation)
    fromLog?.checkInvariants("replayed", sourceLocation: sourceLocation)
    fromLog?.resume(at: time)
    fromLog?.checkInvariants("replayed and resumed", sourceLocation: sourceLocation)
    guard let snapshot else { return }
    let restored = Self.replica(configuration, snapshot: snapshot, log: log, time: time)
    expectSame(restored?.stateLines(), live, "snapshot and log say the same", sourceLocation)
    restored?.resume(at: time)
    restored?.checkInvariants("restored and resumed", sourceLocation: sourceLocation)
    expectSame(
      restored?.stateLines(withTimers: true), fromLog?.stateLines(withTimers: true) ?? [], "they go on in the same way",
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
