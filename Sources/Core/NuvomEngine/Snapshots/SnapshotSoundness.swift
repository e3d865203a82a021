import NuvomModel

// A snapshot's checksums say that the file is what was written; these say that it can be gone on with: records point at each other by slot.

extension Engine {
  /// Whether all lists of restored records are whole and hold what their state says, and no more. Looks at each job once.
  var hasSoundLinks: Bool { areQueuesSound && areAnswersSound }

  /// Whether what is counted since the beginning can be counted on.
  var hasSoundTotals: Bool {
    func isSound<Totals: BitwiseCopyable>(_ totals: Totals) -> Bool {
      withUnsafeBytes(of: totals) { $0.bindMemory(to: UInt64.self).allSatisfy { $0 < 1 << 62 } }
    }
    let scalars = scalars.pointee
    return isSound(scalars.totals) && isSound(scalars.scheduleTotals) && isSound(scalars.deadDropped)
      && (0..<UInt32(queueNames.count)).allSatisfy { isSound(queues.pointer($0).pointee.totals) }
  }

  private var areQueuesSound: Bool {
    let queueCount = UInt32(queueNames.count)
    guard (0..<queueCount).allSatisfy({ queues.isTaken($0) }) else { return false }
    var counted = [QueueRecord](repeating: QueueRecord(), count: queueNames.count)
    var all = QueueRecord()
    jobs.forEachLive { slot in
      let job = jobs.pointer(slot).pointee
      counted[Int(job.queue)].count(job.state, 1)
      all.count(job.state, 1)
    }
    guard all.hasCounts(of: scalars.pointee.counts) else { return false }
    for number in 0..<queueCount {
      guard counted[Int(number)].hasCounts(of: queues.pointer(number).pointee), areReadyListsSound(of: number) else {
        return false
      }
    }
    return walk(from: scalars.pointee.deadHead, to: scalars.pointee.deadTail, { $0.state == .dead }) == all.dead
  }

  private func areReadyListsSound(of queue: UInt32) -> Bool {
    var found: UInt32 = 0
    var list = queues.pointer(queue).pointee.firstList
    var priority: Int64 = -1
    while list != JobRecord.noLink {
      guard readyLists.isTaken(list) else { return false }
      let record = readyLists.pointer(list).pointee
      // Rising, so that no chain goes round.
      guard Int64(record.priority) > priority, record.priority <= UInt32(UInt8.max) else { return false }
      priority = Int64(record.priority)
      let jobs = walk(from: record.head, to: record.tail) {
        $0.state == .ready && $0.queue == queue && UInt32($0.priority) == record.priority
      }
      guard let jobs else { return false }
      found += jobs
      list = record.nextList
    }
    return found == queues.pointer(queue).pointee.ready
  }

  /// How many jobs a list has, each of which `belongs`; nil if it is not one from end to end.
  private func walk(from head: UInt32, to tail: UInt32, _ belongs: (JobRecord) -> Bool) -> UInt32? {
    var count: UInt32 = 0
    var before = JobRecord.noLink
    var slot = head
    while slot != JobRecord.noLink {
      // With the right neighbour before it, none comes twice.
      guard jobs.isTaken(slot), jobs.pointer(slot).pointee.previous == before, belongs(jobs.pointer(slot).pointee)
      else {
        return nil
      }
      before = slot
      slot = jobs.pointer(slot).pointee.next
      count += 1
    }
    return before == tail ? count : nil
  }

  private var areAnswersSound: Bool {
    var left = answers.count
    var isSound = true
    clients.forEachLive { client in
      let record = clients.pointer(client).pointee
      var count: UInt32 = 0
      var last = JobRecord.noLink
      var slot = record.firstAnswer
      // No more steps than there are answers: a chain that goes round, or two that meet, have too few.
      while slot != JobRecord.noLink, left > 0, answers.isTaken(slot) {
        left -= 1
        count += 1
        last = slot
        slot = answers.pointer(slot).pointee.next
      }
      if slot != JobRecord.noLink || count != record.answerCount || last != record.lastAnswer { isSound = false }
    }
    return isSound && left == 0
  }
}

extension QueueRecord {
  fileprivate func hasCounts(of other: QueueRecord) -> Bool {
    delayed == other.delayed && ready == other.ready && leased == other.leased && succeeded == other.succeeded
      && dead == other.dead && cancelled == other.cancelled
  }
}
