import NuvomModel

// What an engine knows, told in an order and in words that do not depend on where its memory happens to hold it.

extension Engine {
  /// One number for all that is durable: two engines that know the same have the same digest, in whatever process and wherever their memory
  /// happens to hold it. Takes some microseconds a job.
  package func digest(withTimers: Bool = false) -> UInt64 {
    let hash = ByteHash(seed: 0)
    var digest: UInt64 = 0
    for var line in stateLines(withTimers: withTimers) {
      digest = line.withUTF8 { ByteHash(seed: digest &+ hash(UnsafeRawBufferPointer($0)))(.none) }
    }
    return digest
  }

  /// The durable state, a line a thing, in an order and in words that do not depend on where memory holds it: what a digest is of, for people
  /// who look where two states differ. With timers also when the engine wants to be called.
  package func stateLines(withTimers: Bool = false) -> [String] {
    var lines = ["tokens from \(scalars.pointee.nextToken), generations from \(jobs.floor)"]
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
    line += " zone \(record.zone) body \(hexadecimal(arena.bytes(record.body)))"
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
    line += " body \(hexadecimal(arena.bytes(record.body)))"
    if !record.history.isNone { line += " history \(hexadecimal(arena.bytes(record.history)))" }
    if withTimers, record.timer != JobRecord.noTimer { line += " " + describe(timer: record.timer) }
    return line
  }

  private func answers(of client: UInt32) -> [String] {
    var list: [String] = []
    var slot = clients.pointer(client).pointee.firstAnswer
    while slot != JobRecord.noLink {
      let answer = answers.pointer(slot).pointee
      let isEncoded = answer.kind == AnswerRecord.Kind.encoded.rawValue
      let value = isEncoded ? hexadecimal(arena.bytes(ArenaReference(rawValue: answer.value))) : "\(answer.value)"
      list.append("\(answer.request)=\(answer.kind):\(value)")
      slot = answer.next
    }
    return list
  }

  private func counts(_ record: QueueRecord) -> String {
    "\(record.delayed)/\(record.ready)/\(record.leased)/\(record.succeeded)/\(record.dead)/\(record.cancelled)"
  }

  private func text(_ bytes: BorrowedBytes) -> String { String(decoding: bytes, as: UTF8.self) }

  private func hexadecimal(_ bytes: BorrowedBytes) -> String {
    String(unsafeUninitializedCapacity: 2 * bytes.count) { text in
      func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10 }
      for (index, byte) in bytes.enumerated() {
        text.initializeElement(at: 2 * index, to: digit(byte >> 4))
        text.initializeElement(at: 2 * index + 1, to: digit(byte & 0xF))
      }
      return 2 * bytes.count
    }
  }

  /// The id of the job in a slot.
  func id(_ slot: UInt32) -> JobID {
    JobID(partition: configuration.partition, generation: jobs.generation(slot), slot: slot)
  }

  /// The jobs of a queue that can be taken, by priority, each list in its order.
  private func readyJobs(of queue: UInt32) -> [(UInt32, [JobID])] {
    var lists: [(UInt32, [JobID])] = []
    var list = queues.pointer(queue).pointee.firstList
    while list != JobRecord.noLink {
      let record = readyLists.pointer(list).pointee
      lists.append((record.priority, chain(from: record.head)))
      list = record.nextList
    }
    return lists
  }

  /// The dead letters, oldest first.
  private func deadJobs() -> [JobID] { chain(from: scalars.pointee.deadHead) }

  /// The jobs of a list. A list that is damaged ends where it is: a digest tells of damage, and does not fall over it.
  private func chain(from head: UInt32) -> [JobID] {
    var list: [JobID] = []
    var slot = head
    while slot != JobRecord.noLink, list.count <= jobs.count, jobs.isTaken(slot) {
      list.append(id(slot))
      slot = jobs.pointer(slot).pointee.next
    }
    return list
  }
}
