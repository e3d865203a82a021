import NuvomModel
import PlantedBugs

// Events to state. Nothing here decides: whatever could come out differently a second time is in the event.

extension Engine {
  /// Changes the state as the event says. False, only for events of a damaged or foreign log, if it does not fit the state.
  @inline(__always)
  func apply(_ event: Event) -> Bool {
    switch event {
    case .enqueued(let id, let queue, let priority, let start, let body):
      return applyEnqueued(id, queue, priority, start, body)
    case .leased(let id, let token, let lease):
      guard let job = fitting(id, .ready) else { return false }
      applyLeased(id, job, token, lease)
      return true
    case .acked(let id, let result):
      guard let job = fitting(id, .leased) else { return false }
      applyAcked(id, job, result)
      return true
    case .answered(let client, let request, let remembered):
      return applyAnswered(client, request, remembered)
    case .becameReady(let id):
      guard let job = fitting(id, .delayed) else { return false }
      cancelTimer(job)
      changeState(job, to: .ready)
      enterReady(id, job, atFront: false)
      return true
    default: return applyRare(event)
    }
  }

  @inline(never)
  private func applyRare(_ event: Event) -> Bool {
    switch event {
    case .enqueued, .leased, .acked, .answered, .becameReady: return false
    case .turn(let time):
      scalars.pointee.previous = now
      scalars.pointee.now = time
      scalars.pointee.logged = time
    case .queueNamed(let number, let name):
      guard queueNames.add(name, number: number), queues.claim(slot: number, generation: 1) else { return false }
      queues.mutable(number).initialize(to: QueueRecord())
      waiting.addQueue(number)
    case .taskNamed(let number, let name):
      return taskNames.add(name, number: number)
    case .keyTaken(let slot, let generation, let id, let window, let key):
      return applyKeyTaken(slot, generation, id, window, key)
    case .keyFreed(let slot):
      guard keys.isTaken(slot) else { return false }
      let record = keys.pointer(slot).pointee
      if record.timer != JobRecord.noTimer { bootTimers.remove(record.timer) }
      _ = keyIndex.remove(record.hash, slot)
      arena.free(record.key)
      keys.free(slot)
    case .extended(let id, let lease):
      guard let job = fitting(id, .leased) else { return false }
      cancelTimer(job)
      job.pointee.next = lease
      startLeaseTimer(id, job)
    case .nacked(let id, let next, let type, let message, let trace):
      guard let job = fitting(id, .leased) else { return false }
      count(job) { $0.nacked += 1 }
      endAttempt(id, job, next, type: type, message: message, trace: trace, isLeaseExpiry: false)
    case .leaseExpired(let id, let next):
      guard let job = fitting(id, .leased) else { return false }
      count(job) { $0.leaseExpired += 1 }
      Self.leaseExpiredType.withUTF8Buffer { type in
        Self.leaseExpiredMessage.withUTF8Buffer { message in
          endAttempt(
            id, job, next, type: BorrowedBytes(type), message: BorrowedBytes(message), trace: .none, isLeaseExpiry: true
          )
        }
      }
    case .released(let id, let delay):
      guard let job = fitting(id, .leased) else { return false }
      count(job) { $0.released += 1 }
      if PlantedBug.releaseCounted.isPlanted { job.pointee.failures += 1 }
      job.pointee.set(JobRecord.Flags.released)
      cancelTimer(job)
      forgetProgress(id)
      if delay == 0 {
        changeState(job, to: .ready)
        enterReady(id, job, atFront: true)
      } else {
        var history = history(of: job)
        if history.postponed < .max { history.postponed += 1 }
        setHistory(id, job, history)
        changeState(job, to: .delayed)
        enterDelayed(id, job, milliseconds: delay)
      }
    case .cancelled(let id):
      guard jobs.isLive(id.slot, id.generation) else { return false }
      return applyCancelled(id, jobs.mutable(id.slot))
    case .expired(let id):
      guard jobs.isLive(id.slot, id.generation) else { return false }
      let job = jobs.mutable(id.slot)
      guard job.pointee.state == .ready || job.pointee.state == .delayed else { return false }
      leavePlace(job)
      count(job) { $0.expired += 1 }
      enterDead(id, job, .expired)
    case .removed(let id, let removal):
      guard jobs.isLive(id.slot, id.generation) else { return false }
      let job = jobs.mutable(id.slot)
      guard job.pointee.state.isFinished else { return false }
      if removal == .deadDropped { scalars.pointee.deadDropped += 1 }
      leavePlace(job)
      remove(id, job)
    case .deadReplayed(let id):
      guard let job = fitting(id, .dead) else { return false }
      leavePlace(job)
      var history = history(of: job)
      history.attemptsBeforeReplay = job.pointee.failures
      setHistory(id, job, history)
      job.pointee.reason = nil
      // An expiry applies before the first delivery only, and this job has had its chance.
      job.pointee.clear(JobRecord.Flags.expires)
      changeState(job, to: .ready)
      enterReady(id, job, atFront: false)
    case .queuePaused(let queue, let isPaused):
      guard Int(queue) < queueNames.count else { return false }
      queues.mutable(queue).pointee.isPaused = isPaused ? 1 : 0
      if !isPaused { wakeWaiters(of: queue) }
    case .clientNamed(let slot, let generation, let name):
      return applyClientNamed(slot, generation, name)
    case .clientForgotten(let slot):
      guard clients.isTaken(slot) else { return false }
      while clients.pointer(slot).pointee.firstAnswer != JobRecord.noLink { dropFirstAnswer(slot) }
      let record = clients.pointer(slot).pointee
      if record.timer != JobRecord.noTimer { bootTimers.remove(record.timer) }
      _ = clientIndex.remove(record.hash, slot)
      arena.free(record.name)
      clients.free(slot)
    case .resumed: applyResumed()
    case .salvaged(let generation, let token):
      guard jobs.raise(to: generation) else { return false }
      scalars.pointee.nextToken = max(scalars.pointee.nextToken, token.rawValue)
    default: return applySchedule(event)
    }
    return true
  }

  private static let leaseExpiredType: StaticString = "LeaseExpired"
  private static let leaseExpiredMessage: StaticString = "the lease ran out before the worker settled the job"

  // MARK: Jobs

  /// The job, if it lives and is in the state.
  @inline(__always)
  func fitting(_ id: JobID, _ state: JobState) -> UnsafeMutablePointer<JobRecord>? {
    guard jobs.isLive(id.slot, id.generation) else { return nil }
    let job = jobs.mutable(id.slot)
    return job.pointee.state == state ? job : nil
  }

  /// `fire`: of a job that a schedule enqueues, what is kept in front of its body (`JobBody.offset`).
  @inline(__always)
  func applyEnqueued(
    _ id: JobID, _ queue: UInt32, _ priority: UInt8, _ start: Moment, _ body: BorrowedBytes,
    fire: BorrowedBytes = .none
  ) -> Bool {
    if scalars.pointee.isReplaying {
      guard Int(queue) < queueNames.count, let content = JobBody(body), Int(content.task) < taskNames.count,
        jobs.isWithinReach(id.slot), jobs.claim(slot: id.slot, generation: id.generation)
      else { return false }
    }
    let (reference, bytes) = arena.append(
      kind: RecordKind.body, owner: id.slot, length: JobBody.timeBytes + fire.count + body.count)
    let enqueuedAt = UInt64(bitPattern: now.wallMilliseconds)
    bytes.storeBytes(of: UInt32(truncatingIfNeeded: enqueuedAt).littleEndian, as: UInt32.self)
    bytes.storeBytes(
      of: UInt16(truncatingIfNeeded: enqueuedAt >> 32).littleEndian, toByteOffset: 4, as: UInt16.self)
    if let source = fire.baseAddress {
      (bytes + JobBody.timeBytes).copyMemory(from: source, byteCount: fire.count)
    }
    if let source = body.baseAddress {
      (bytes + JobBody.timeBytes + fire.count).copyMemory(from: source, byteCount: body.count)
    }
    let job = jobs.mutable(id.slot)
    let flags =
      (JobBody.namesExpiry(body) ? JobRecord.Flags.expires : 0) | (fire.count > 0 ? JobRecord.Flags.fired : 0)
    let isDelayed: Bool
    switch start {
    case .unspecified: isDelayed = false
    case .after(let milliseconds): isDelayed = milliseconds > 0
    case .at(let milliseconds): isDelayed = Int64(milliseconds) * 1_000 > now.wall
    }
    job.initialize(
      to: JobRecord(
        body: reference, state: isDelayed ? .delayed : .ready, queue: queue, priority: priority, flags: flags))
    let record = queues.mutable(queue)
    record.pointee.totals.enqueued += 1
    scalars.pointee.totals.enqueued += 1
    if isDelayed {
      record.pointee.delayed += 1
      scalars.pointee.counts.delayed += 1
      if case .at(let milliseconds) = start {
        job.pointee.set(JobRecord.Flags.dueIsWall)
        job.pointee.stamp = milliseconds * 1_000
        startDueTimer(id, job)
      } else if case .after(let milliseconds) = start {
        enterDelayed(id, job, milliseconds: milliseconds)
      }
    } else {
      record.pointee.ready += 1
      scalars.pointee.counts.ready += 1
      enterReady(id, job, atFront: false)
    }
    return true
  }

  @inline(__always)
  private func applyLeased(
    _ id: JobID, _ job: UnsafeMutablePointer<JobRecord>, _ token: LeaseToken, _ lease: UInt32
  ) {
    leaveReadyList(job)
    cancelTimer(job)
    job.pointee.stamp = token.rawValue
    job.pointee.next = lease
    job.pointee.set(JobRecord.Flags.delivered)
    job.pointee.clear(JobRecord.Flags.released)
    if token.rawValue >= scalars.pointee.nextToken, !PlantedBug.tokenReused.isPlanted || token.rawValue % 16 != 0 {
      scalars.pointee.nextToken = token.rawValue + 1
    }
    changeState(job, to: .leased)
    startLeaseTimer(id, job)
    count(job) { $0.delivered += 1 }
  }

  @inline(__always)
  private func applyAcked(_ id: JobID, _ job: UnsafeMutablePointer<JobRecord>, _ result: BorrowedBytes?) {
    cancelTimer(job)
    forgetProgress(id)
    count(job) { $0.acked += 1 }
    noteFinished(id)
    let retention = body(of: job).retentionMilliseconds
    if retention == 0 {
      remove(id, job)
      return
    }
    if let result {
      var history = history(of: job)
      history.result = Array(result)
      setHistory(id, job, history)
    }
    changeState(job, to: .succeeded)
    enterFinished(id, job, retentionMilliseconds: retention)
  }

  private func applyCancelled(_ id: JobID, _ job: UnsafeMutablePointer<JobRecord>) -> Bool {
    let before = job.pointee.state
    guard !before.isFinished else { return false }
    noteFinished(id)
    let retention = body(of: job).retentionMilliseconds
    count(job) { $0.cancelled += 1 }
    if before == .leased {
      // Kept at least until the lease ends, so that its worker is told, and keeps its token and length for that.
      job.pointee.set(JobRecord.Flags.cancelledLeased)
      cancelTimer(job)
      forgetProgress(id)
      changeState(job, to: .cancelled)
      let lease = UInt64(job.pointee.leaseMilliseconds)
      startTimer(id, job, TimerKind.retention, due: after(max(lease, retention)))
      return true
    }
    leavePlace(job)
    if retention == 0 {
      remove(id, job)
    } else {
      changeState(job, to: .cancelled)
      enterFinished(id, job, retentionMilliseconds: retention)
    }
    return true
  }

  /// An attempt ends without success: counts it, notes why, and moves the job on.
  private func endAttempt(
    _ id: JobID, _ job: UnsafeMutablePointer<JobRecord>, _ next: Event.Next, type: BorrowedBytes,
    message: BorrowedBytes, trace: BorrowedBytes, isLeaseExpiry: Bool
  ) {
    cancelTimer(job)
    forgetProgress(id)
    job.pointee.failures = job.pointee.failures == .max ? .max : job.pointee.failures + 1
    var history = history(of: job)
    if isLeaseExpiry, history.expiredLeases < .max { history.expiredLeases += 1 }
    history.postponed = 0
    history.add(
      AttemptError(
        attempt: UInt32(job.pointee.failures), atMilliseconds: now.wallMilliseconds, type: Array(type),
        message: Array(message), trace: Array(trace)))
    setHistory(id, job, history)
    switch next {
    case .ready:
      changeState(job, to: .ready)
      enterReady(id, job, atFront: false)
    case .delayed(let milliseconds):
      changeState(job, to: .delayed)
      enterDelayed(id, job, milliseconds: milliseconds)
    case .dead(let reason): enterDead(id, job, reason)
    }
  }

  /// What was reported under a lease goes with the lease.
  @inline(__always)
  private func forgetProgress(_ id: JobID) {
    if !progress.isEmpty { progress.remove(id) }
  }

  /// Gives a job's memory back and counts it out of its state.
  @inline(__always)
  private func remove(_ id: JobID, _ job: UnsafeMutablePointer<JobRecord>) {
    let state = job.pointee.state
    queues.mutable(job.pointee.queue).pointee.count(state, -1)
    scalars.pointee.counts.count(state, -1)
    arena.free(job.pointee.body)
    if !job.pointee.history.isNone { arena.free(job.pointee.history) }
    jobs.free(id.slot)
  }

  @inline(__always)
  func changeState(_ job: UnsafeMutablePointer<JobRecord>, to state: JobState) {
    let before = job.pointee.state
    let queue = queues.mutable(job.pointee.queue)
    queue.pointee.count(before, -1)
    queue.pointee.count(state, 1)
    scalars.pointee.counts.count(before, -1)
    scalars.pointee.counts.count(state, 1)
    job.pointee.state = state
  }

  @inline(__always)
  private func count(_ job: UnsafeMutablePointer<JobRecord>, _ change: (inout Totals) -> Void) {
    change(&queues.mutable(job.pointee.queue).pointee.totals)
    change(&scalars.pointee.totals)
  }

  // MARK: Places: ready lists, the list of the dead, timers

  /// Puts a job, already in state ready, into its list.
  @inline(__always)
  func enterReady(_ id: JobID, _ job: UnsafeMutablePointer<JobRecord>, atFront: Bool) {
    job.pointee.stamp = UInt64(bitPattern: now.boot)
    let list = readyLists.mutable(readyList(of: job.pointee.queue, priority: job.pointee.priority))
    if atFront {
      job.pointee.next = list.pointee.head
      job.pointee.previous = JobRecord.noLink
      if list.pointee.head == JobRecord.noLink {
        list.pointee.tail = id.slot
      } else {
        jobs.mutable(list.pointee.head).pointee.previous = id.slot
      }
      list.pointee.head = id.slot
    } else {
      job.pointee.next = JobRecord.noLink
      job.pointee.previous = list.pointee.tail
      if list.pointee.tail == JobRecord.noLink {
        list.pointee.head = id.slot
      } else {
        jobs.mutable(list.pointee.tail).pointee.next = id.slot
      }
      list.pointee.tail = id.slot
    }
    if job.pointee.has(JobRecord.Flags.expires), !job.pointee.has(JobRecord.Flags.delivered) {
      let due = Int64(body(of: job).expiryMilliseconds) * 1_000
      job.pointee.timer =
        wallTimers.insert(due: due, subject: id.rawValue, extra: 0, kind: TimerKind.expiry) | wallTimerBit
    }
    if waiting.hasWaiters(job.pointee.queue) { wakeWaiters(of: job.pointee.queue) }
  }

  /// Finds the list of a queue's priority; makes it if it is the first job of that priority.
  @inline(__always)
  private func readyList(of queue: UInt32, priority: UInt8) -> UInt32 {
    let priority = PlantedBug.priorityIgnored.isPlanted ? 0 : priority
    let first = queues.pointer(queue).pointee.firstList
    if first != JobRecord.noLink, readyLists.pointer(first).pointee.priority == UInt32(priority) { return first }
    return findReadyList(of: queue, priority: UInt32(priority))
  }

  @inline(never)
  private func findReadyList(of queue: UInt32, priority: UInt32) -> UInt32 {
    var before = JobRecord.noLink
    var list = queues.pointer(queue).pointee.firstList
    while list != JobRecord.noLink, readyLists.pointer(list).pointee.priority < priority {
      before = list
      list = readyLists.pointer(list).pointee.nextList
    }
    if list != JobRecord.noLink, readyLists.pointer(list).pointee.priority == priority { return list }
    guard let (made, _) = readyLists.allocate() else {
      preconditionFailure("the table of ready lists has room for every priority of every queue")
    }
    readyLists.mutable(made).initialize(to: ReadyList(priority: priority, nextList: list))
    if before == JobRecord.noLink {
      queues.mutable(queue).pointee.firstList = made
    } else {
      readyLists.mutable(before).pointee.nextList = made
    }
    return made
  }

  @inline(__always)
  func leaveReadyList(_ job: UnsafeMutablePointer<JobRecord>) {
    let list = readyLists.mutable(readyList(of: job.pointee.queue, priority: job.pointee.priority))
    unlink(job, head: &list.pointee.head, tail: &list.pointee.tail)
  }

  /// Takes a job out of a list with these ends.
  @inline(__always)
  private func unlink(_ job: UnsafeMutablePointer<JobRecord>, head: inout UInt32, tail: inout UInt32) {
    let (next, previous) = (job.pointee.next, job.pointee.previous)
    if previous == JobRecord.noLink {
      head = next
    } else {
      jobs.mutable(previous).pointee.next = next
    }
    if next == JobRecord.noLink {
      tail = previous
    } else {
      jobs.mutable(next).pointee.previous = previous
    }
  }

  /// Takes a job that is not leased out of wherever its state keeps it.
  private func leavePlace(_ job: UnsafeMutablePointer<JobRecord>) {
    cancelTimer(job)
    switch job.pointee.state {
    case .ready: leaveReadyList(job)
    case .dead: unlink(job, head: &scalars.pointee.deadHead, tail: &scalars.pointee.deadTail)
    case .delayed: job.pointee.clear(JobRecord.Flags.dueIsWall)
    case .leased, .succeeded, .cancelled: break
    }
  }

  /// Starts a relative delay of a job already in state delayed.
  private func enterDelayed(_ id: JobID, _ job: UnsafeMutablePointer<JobRecord>, milliseconds: UInt64) {
    job.pointee.clear(JobRecord.Flags.dueIsWall)
    job.pointee.stamp = UInt64(bitPattern: after(milliseconds))
    startDueTimer(id, job)
  }

  /// Starts the timer of a delayed job by its `stamp`. If the job expires before, that is found when it becomes ready.
  private func startDueTimer(_ id: JobID, _ job: UnsafeMutablePointer<JobRecord>) {
    let due = Int64(bitPattern: job.pointee.stamp)
    let isWall = job.pointee.has(JobRecord.Flags.dueIsWall)
    if isWall {
      job.pointee.timer =
        wallTimers.insert(due: due, subject: id.rawValue, extra: 0, kind: TimerKind.start) | wallTimerBit
    } else {
      job.pointee.timer = bootTimers.insert(due: due, subject: id.rawValue, extra: 0, kind: TimerKind.start)
    }
  }

  func enterDead(_ id: JobID, _ job: UnsafeMutablePointer<JobRecord>, _ reason: DeadReason) {
    count(job) { $0.dead += 1 }
    noteFinished(id)
    changeState(job, to: .dead)
    job.pointee.reason = reason
    job.pointee.next = JobRecord.noLink
    job.pointee.previous = scalars.pointee.deadTail
    if scalars.pointee.deadTail == JobRecord.noLink {
      scalars.pointee.deadHead = id.slot
    } else {
      jobs.mutable(scalars.pointee.deadTail).pointee.next = id.slot
    }
    scalars.pointee.deadTail = id.slot
    enterFinished(id, job, retentionMilliseconds: configuration.deadLetterRetentionMilliseconds)
  }

  /// Notes when a job finished and starts the timer that drops it.
  private func enterFinished(
    _ id: JobID, _ job: UnsafeMutablePointer<JobRecord>, retentionMilliseconds: UInt64
  ) {
    job.pointee.stamp = UInt64(bitPattern: now.wall)
    startTimer(id, job, TimerKind.retention, due: after(retentionMilliseconds))
  }

  @inline(__always)
  private func startLeaseTimer(_ id: JobID, _ job: UnsafeMutablePointer<JobRecord>) {
    let length = UInt64(job.pointee.leaseMilliseconds)
    startTimer(id, job, TimerKind.lease, due: after(PlantedBug.leaseEndsEarly.isPlanted ? length - length / 8 : length))
  }

  @inline(__always)
  private func startTimer(_ id: JobID, _ job: UnsafeMutablePointer<JobRecord>, _ kind: UInt8, due: Int64) {
    job.pointee.timer = bootTimers.insert(due: due, subject: id.rawValue, extra: 0, kind: kind)
  }

  @inline(__always)
  private func cancelTimer(_ job: UnsafeMutablePointer<JobRecord>) { cancel(&job.pointee.timer) }

  /// Removes the timer that a record holds, if there is one, from the wheel that it is in.
  @inline(__always)
  func cancel(_ pending: inout UInt32) {
    let timer = pending
    if timer == JobRecord.noTimer { return }
    pending = JobRecord.noTimer
    if timer & wallTimerBit != 0 {
      wallTimers.remove(timer & ~wallTimerBit)
    } else {
      bootTimers.remove(timer)
    }
  }

  /// So many milliseconds from now, on the boot clock, in µs.
  @inline(__always)
  func after(_ milliseconds: UInt64) -> Int64 { now.boot + Int64(milliseconds) * 1_000 }

  // MARK: Body and history

  /// What the job was enqueued with. Its bytes live as long as the job, unless compaction moves them between turns.
  @inline(__always)
  func body(of job: UnsafePointer<JobRecord>) -> JobBody {
    let bytes = arena.bytes(job.pointee.body)
    let offset = JobBody.offset(in: bytes, isFired: job.pointee.has(JobRecord.Flags.fired))
    guard let body = JobBody(BorrowedBytes(rebasing: bytes[offset...])) else {
      preconditionFailure("a body was checked when it came in")
    }
    return body
  }

  @inline(__always)
  func body(of job: UnsafeMutablePointer<JobRecord>) -> JobBody { body(of: UnsafePointer(job)) }

  /// Which schedule enqueued a job that has the flag `fired`, and for which due time.
  func fire(of job: UnsafePointer<JobRecord>) -> (schedule: BorrowedBytes, dueMilliseconds: Int64) {
    var reader = EventReader(BorrowedBytes(rebasing: arena.bytes(job.pointee.body)[JobBody.timeBytes...]))
    let due = reader.fixed(Int64.self)
    return (reader.take(Int(reader.byte())), due)
  }

  func history(of job: UnsafePointer<JobRecord>) -> JobHistory {
    job.pointee.history.isNone ? JobHistory() : JobHistory(arena.bytes(job.pointee.history))
  }

  func history(of job: UnsafeMutablePointer<JobRecord>) -> JobHistory { history(of: UnsafePointer(job)) }

  /// Copies bytes into the arena.
  func store(_ bytes: BorrowedBytes, _ kind: UInt8, owner: UInt32) -> ArenaReference {
    let (reference, copy) = arena.append(kind: kind, owner: owner, length: bytes.count)
    if let source = bytes.baseAddress { copy.copyMemory(from: source, byteCount: bytes.count) }
    return reference
  }

  private func setHistory(_ id: JobID, _ job: UnsafeMutablePointer<JobRecord>, _ history: JobHistory) {
    if !job.pointee.history.isNone { arena.free(job.pointee.history) }
    let writer = EventWriter(capacity: 1 << 10)
    history.write(to: writer)
    job.pointee.history = store(writer.bytes, RecordKind.history, owner: id.slot)
  }

  // MARK: Unique keys

  private func applyKeyTaken(
    _ slot: UInt32, _ generation: UInt32, _ id: JobID, _ window: UInt64, _ key: BorrowedBytes
  ) -> Bool {
    if scalars.pointee.isReplaying {
      guard keys.isWithinReach(slot), keys.claim(slot: slot, generation: generation) else { return false }
    }
    let reference = store(key, RecordKind.key, owner: slot)
    let due = after(window)
    let hash = hashing(key)
    let timer = bootTimers.insert(due: due, subject: UInt64(slot), extra: 0, kind: TimerKind.keyWindow)
    keys.mutable(slot).initialize(to: KeyRecord(hash: hash, job: id.rawValue, due: due, key: reference, timer: timer))
    keyIndex.insert(hash, slot)
    return true
  }

  // MARK: Clients

  private func applyClientNamed(_ slot: UInt32, _ generation: UInt32, _ name: BorrowedBytes) -> Bool {
    if scalars.pointee.isReplaying {
      guard clients.isWithinReach(slot), clients.claim(slot: slot, generation: generation) else { return false }
    }
    let reference = store(name, RecordKind.clientName, owner: slot)
    let hash = hashing(name)
    clients.mutable(slot).initialize(to: ClientRecord(hash: hash, name: reference))
    clientIndex.insert(hash, slot)
    return true
  }

  private func applyAnswered(_ client: UInt32, _ request: RequestID, _ remembered: Event.Remembered) -> Bool {
    guard !scalars.pointee.isReplaying || clients.isTaken(client) else { return false }
    guard let (slot, _) = answers.allocate() else { return false }
    var answer = AnswerRecord(request: request.rawValue, value: 0, kind: AnswerRecord.Kind.done.rawValue)
    switch remembered {
    case .done: break
    case .enqueued(let id, let isDuplicate):
      answer.kind = (isDuplicate ? AnswerRecord.Kind.duplicate : .enqueued).rawValue
      answer.value = id.rawValue
    case .encoded(let bytes):
      answer.kind = AnswerRecord.Kind.encoded.rawValue
      answer.value = store(bytes, RecordKind.answer, owner: slot).rawValue
    }
    answers.mutable(slot).initialize(to: answer)
    let record = clients.mutable(client)
    if record.pointee.lastAnswer == JobRecord.noLink {
      record.pointee.firstAnswer = slot
    } else {
      answers.mutable(record.pointee.lastAnswer).pointee.next = slot
    }
    record.pointee.lastAnswer = slot
    record.pointee.answerCount += 1
    record.pointee.highest = max(record.pointee.highest, request.rawValue)
    if record.pointee.answerCount > Self.answersRemembered {
      let dropped = answers.pointer(record.pointee.firstAnswer).pointee.request
      record.pointee.highestDropped = max(record.pointee.highestDropped, dropped)
      dropFirstAnswer(client)
    }
    return true
  }

  /// Answers remembered of each client (Protocol.md, "Retrying requests safely").
  static var answersRemembered: UInt32 { 1_024 }

  private func dropFirstAnswer(_ client: UInt32) {
    let record = clients.mutable(client)
    let first = record.pointee.firstAnswer
    let answer = answers.pointer(first).pointee
    if answer.kind == AnswerRecord.Kind.encoded.rawValue { arena.free(ArenaReference(rawValue: answer.value)) }
    record.pointee.firstAnswer = answer.next
    if answer.next == JobRecord.noLink { record.pointee.lastAnswer = JobRecord.noLink }
    record.pointee.answerCount -= 1
    answers.free(first)
  }

  // MARK: Restart

  /// Moves everything that runs on the boot clock to the new one (`now`), and starts all timers from the records.
  ///
  /// The time between the last turn in the log and now is taken from the wall clock, and counts as none if that went back. If the boot clock did
  /// not go back, the machine may have been up all the time: then it was no longer than that clock says, however far the wall clock was set.
  /// Leases run their full length again: nobody knows whether their workers could reach the broker.
  private func applyResumed() {
    let last = scalars.pointee.previous
    let passed = now.wall - last.wall
    let away = max(0, now.boot >= last.boot ? min(passed, now.boot - last.boot) : passed)
    let shift = now.boot - (last.boot + away)
    bootTimers.rebase(now: now.boot)
    wallTimers.rebase(now: now.wall)
    jobs.forEachLive { slot in
      let job = jobs.mutable(slot)
      cancelTimer(job)
      let id = JobID(partition: configuration.partition, generation: jobs.generation(slot), slot: slot)
      switch job.pointee.state {
      case .ready:
        job.pointee.stamp = UInt64(bitPattern: min(now.boot, Int64(bitPattern: job.pointee.stamp) &+ shift))
      case .delayed where PlantedBug.delayOverAtRestart.isPlanted: job.pointee.stamp = UInt64(bitPattern: now.boot)
      case .delayed where !job.pointee.has(JobRecord.Flags.dueIsWall):
        job.pointee.stamp = UInt64(bitPattern: max(now.boot, Int64(bitPattern: job.pointee.stamp) &+ shift))
      default: break
      }
      startTimers(id, job)
    }
    keys.forEachLive { slot in
      let key = keys.mutable(slot)
      if key.pointee.timer != JobRecord.noTimer { bootTimers.remove(key.pointee.timer) }
      key.pointee.due = max(now.boot, key.pointee.due &+ shift)
      key.pointee.timer = bootTimers.insert(
        due: key.pointee.due, subject: UInt64(slot), extra: 0, kind: TimerKind.keyWindow)
    }
    clients.forEachLive { slot in
      while PlantedBug.answersForgottenAtRestart.isPlanted,
        clients.pointer(slot).pointee.firstAnswer != JobRecord.noLink
      {
        dropFirstAnswer(slot)
        clients.mutable(slot).pointee.highestDropped = 0
      }
      let timer = clients.pointer(slot).pointee.timer
      if timer != JobRecord.noTimer { bootTimers.remove(timer) }
      clients.mutable(slot).pointee.timer = bootTimers.insert(
        due: after(Self.clientRememberedMilliseconds), subject: UInt64(slot), extra: 0, kind: TimerKind.clientAway)
    }
    resumeSchedules()
  }

  /// How long a client that is not connected is remembered.
  static var clientRememberedMilliseconds: UInt64 { 600_000 }

  /// Starts the timer that a job's state asks for, from its record alone.
  private func startTimers(_ id: JobID, _ job: UnsafeMutablePointer<JobRecord>) {
    switch job.pointee.state {
    case .delayed: startDueTimer(id, job)
    case .ready:
      if job.pointee.has(JobRecord.Flags.expires), !job.pointee.has(JobRecord.Flags.delivered) {
        let due = Int64(body(of: job).expiryMilliseconds) * 1_000
        job.pointee.timer =
          wallTimers.insert(due: due, subject: id.rawValue, extra: 0, kind: TimerKind.expiry) | wallTimerBit
      }
    case .leased where PlantedBug.leaseOverAtRestart.isPlanted:
      startTimer(id, job, TimerKind.lease, due: now.boot)
    case .leased: startLeaseTimer(id, job)
    case .succeeded, .dead, .cancelled:
      let retention =
        job.pointee.state == .dead
        ? configuration.deadLetterRetentionMilliseconds : body(of: job).retentionMilliseconds
      if job.pointee.has(JobRecord.Flags.cancelledLeased) {
        startTimer(
          id, job, TimerKind.retention, due: after(max(UInt64(job.pointee.leaseMilliseconds), retention)))
      } else {
        let age = max(0, now.wall &- Int64(bitPattern: job.pointee.stamp))
        startTimer(id, job, TimerKind.retention, due: max(now.boot, after(retention) - age))
      }
    }
  }
}
