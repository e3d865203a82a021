import NuvomModel
import PlantedBugs

// Requests to events and answers. What is legal is decided here, before anything changes.

extension Engine {
  /// Decides a request of an open connection: records its events and adds what must be told to `outcome`.
  ///
  /// The request was checked against Protocol.md by the decoder; hello and stats are the broker's. Answers that wait (dequeue, wait) come with
  /// a later call. The bytes in `outcome.deliveries` are valid until the engine is called again.
  public func handle(_ request: borrowing Request, from connection: ConnectionID, into outcome: inout Outcome) {
    let address = Address(connection: connection, request: request.id)
    guard let session = waiting.session(connection) else { return }
    let client = session.pointee.client
    let isRemembered = client != JobRecord.noLink && request.isRemembered
    if isRemembered, request.id.rawValue <= clients.pointer(client).pointee.highest,
      !PlantedBug.retryDoneAgain.isPlanted,
      answerAgain(request, client, address, into: &outcome)
    {
      // A dequeue that is asked again may find that a job has expired for which a fire waits.
      if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
      return
    }
    switch request.method {
    case .enqueue:
      let answer = enqueue(request, 0..<request.jobs.count, into: &outcome)
      respond(answer, to: address, client: isRemembered ? client : nil, into: &outcome)
      if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
    case .dequeue:
      dequeue(request, address, client: isRemembered ? client : nil, into: &outcome)
      if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
    case .ack, .nack, .release, .extend:
      let refusals = settle(request, 0..<request.settlements.count, into: &outcome)
      respond(.settled(refusals: refusals), to: address, client: isRemembered ? client : nil, into: &outcome)
      if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
    case .cancel:
      let answer = cancel(request, 0..<request.ids.count, into: &outcome)
      respond(answer, to: address, client: isRemembered ? client : nil, into: &outcome)
      if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
    case .multi:
      let answer = multi(request, into: &outcome)
      respond(answer, to: address, client: isRemembered ? client : nil, into: &outcome)
      if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
    case .wait: wait(request, address, into: &outcome)
    case .schedule:
      let answer = schedule(request, into: &outcome)
      respond(answer, to: address, client: isRemembered ? client : nil, into: &outcome)
      if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
    case .schedulePause, .scheduleResume, .scheduleTrigger, .scheduleDelete:
      let answer = changeSchedules(request, into: &outcome)
      respond(answer, to: address, client: isRemembered ? client : nil, into: &outcome)
      if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
    default:
      respond(operate(request, into: &outcome), to: address, client: nil, into: &outcome)
      if scalars.pointee.hasWakes { serveWoken(into: &outcome) }
    }
  }

  /// Adds the answer, and remembers it for a client that may retry. What was refused as a whole changed nothing and is simply done anew.
  @inline(__always)
  private func respond(_ answer: Answer, to address: Address, client: UInt32?, into outcome: inout Outcome) {
    if let client { remember(answer, address.request, client, outcome) }
    if case .refused = answer { scalars.pointee.refused += 1 }
    outcome.responses.append((address, answer))
  }

  // MARK: Enqueue

  /// Bytes of log kept free for each unfinished job: its delivery, and its finish with up to 1 KiB of result or error.
  static var logBytesReservedPerJob: Int { 1_200 }

  private func enqueue(_ request: borrowing Request, _ items: Range<Int>, into outcome: inout Outcome) -> Answer {
    if let refusal = budgetRefusal(request, items) { return refusal }
    return enqueueUnchecked(request, items, into: &outcome)
  }

  /// Whether the broker's budgets allow these jobs; checked for all of them before the first is enqueued.
  private func budgetRefusal(_ request: borrowing Request, _ items: Range<Int>) -> Answer? {
    var bytes = 0
    for index in items {
      bytes +=
        request.jobs[index].payload.count + request.jobs[index].headers.count + request.jobs[index].tags.count + 64
    }
    if let refusal = budgetRefusal(bytes: bytes, jobs: items.count) { return refusal }
    // Whether the names are new is asked only when that could matter: each job asks for them anyway.
    if queueNames.count + items.count > queueNames.maximum || taskNames.count + items.count > taskNames.maximum {
      for index in items {
        if queueNames.find(request.jobs[index].queue) == nil || taskNames.find(request.jobs[index].task) == nil {
          return .refused(.limitExceeded)
        }
      }
    }
    return nil
  }

  /// Whether the budgets allow so many bytes and jobs more.
  @inline(__always)
  func budgetRefusal(bytes: Int, jobs count: Int) -> Answer? {
    if isOverMemory { return .refused(.memoryFull, retryAfterMilliseconds: 1_000) }
    if bytes + scalars.pointee.bytesFired > 1 << 20, memoryBytes + bytes > configuration.memoryLimit {
      return .refused(.memoryFull, retryAfterMilliseconds: 1_000)
    }
    if scalars.pointee.diskRoom != .max {
      let counts = scalars.pointee.counts
      let unfinished = Int(counts.ready) + Int(counts.delayed) + Int(counts.leased) + count
      if events.count + bytes + unfinished * Self.logBytesReservedPerJob > scalars.pointee.diskRoom {
        return .refused(.diskFull, retryAfterMilliseconds: 1_000)
      }
    }
    return nil
  }

  @inline(__always)
  private func enqueueUnchecked(
    _ request: borrowing Request, _ items: Range<Int>, into outcome: inout Outcome
  ) -> Answer {
    let firstID = outcome.ids.count
    let firstDuplicate = outcome.indexes.count
    for index in items {
      let job = request.jobs[index]
      if job.uniqueKey.count > 0, let earlier = holder(of: job.uniqueKey) {
        outcome.ids.append(earlier)
        outcome.indexes.append(index - items.lowerBound)
        continue
      }
      outcome.ids.append(enqueue(job))
    }
    return .enqueued(
      ids: firstID..<outcome.ids.count, duplicates: firstDuplicate..<outcome.indexes.count)
  }

  @inline(__always)
  private func enqueue(_ job: NewJob) -> JobID {
    let queue = queueNumber(job.queue)
    let task = taskNumber(job.task)
    guard let (slot, generation) = jobs.allocate() else {
      preconditionFailure("the memory limit is reached before 2^32 jobs")
    }
    let id = JobID(partition: configuration.partition, generation: generation, slot: slot)
    var expiry: UInt64 = 0
    switch job.expiry {
    case .unspecified: break
    case .after(let milliseconds): expiry = UInt64(max(1, now.wallMilliseconds)) + milliseconds
    case .at(let milliseconds): expiry = max(1, milliseconds)
    }
    scratch.removeAll()
    var job = job
    if PlantedBug.payloadCut.isPlanted, job.payload.count > 1_000 {
      job.payload = job.payload.prefixBytes(job.payload.count - 1)
    }
    JobBody.write(job, task: task, expiry: expiry, to: scratch)
    record(.enqueued(id, queue: queue, priority: job.priority, start: job.start, body: scratch.bytes))
    waiting.lines.mutable(queue).pointee.enqueued.add(now.boot)
    if job.uniqueKey.count > 0 { takeKey(job, id) }
    return id
  }

  @inline(__always)
  func queueNumber(_ name: BorrowedBytes) -> UInt32 {
    if let number = queueNames.find(name) { return number }
    let number = UInt32(queueNames.count)
    record(.queueNamed(number, name))
    return number
  }

  @inline(__always)
  func taskNumber(_ name: BorrowedBytes) -> UInt32 {
    if let number = taskNames.find(name) { return number }
    let number = UInt32(taskNames.count)
    record(.taskNamed(number, name))
    return number
  }

  /// The job that holds a unique key, if its window is still open.
  private func holder(of key: BorrowedBytes) -> JobID? {
    let hash = hashing(key)
    guard !PlantedBug.uniqueKeyIgnored.isPlanted,
      let slot = keyIndex.find(hash, where: { arena.bytes(keys.pointer($0).pointee.key).isSame(as: key) })
    else { return nil }
    // The timer that frees it may fire a little late; the window is exact.
    if keys.pointer(slot).pointee.due <= now.boot {
      record(.keyFreed(slot: slot))
      return nil
    }
    return JobID(rawValue: keys.pointer(slot).pointee.job)
  }

  private func takeKey(_ job: NewJob, _ id: JobID) {
    guard let (slot, generation) = keys.allocate() else { return }
    record(
      .keyTaken(
        slot: slot, generation: generation, id, windowMilliseconds: job.uniqueMilliseconds, key: job.uniqueKey))
  }

  // MARK: Dequeue

  private func dequeue(
    _ request: borrowing Request, _ address: Address, client: UInt32?, into outcome: inout Outcome
  ) {
    let refusals = settle(request, 0..<request.settlements.count, into: &outcome)
    if let client { remember(.settled(refusals: refusals), address.request, client, outcome) }
    takeOrWait(request, address, refusals, into: &outcome)
  }

  /// The taking half of a dequeue whose settlements are done: it leases what is ready, or waits.
  func takeOrWait(
    _ request: borrowing Request, _ address: Address, _ refusals: Range<Int>, into outcome: inout Outcome
  ) {
    let first = outcome.deliveries.count
    var left = request.maximum
    var size = ResponseSize(refusals: refusals.count)
    for name in request.queues where left > 0 {
      guard let queue = queueNames.find(name) else { continue }
      left -= take(
        from: queue, maximum: left, leaseMilliseconds: request.leaseMilliseconds, size: &size, into: &outcome)
    }
    if outcome.deliveries.count > first || request.waitMilliseconds == 0 {
      outcome.responses.append(
        (address, .delivered(deliveries: first..<outcome.deliveries.count, refusals: refusals)))
      return
    }
    var waiter = WaitingRoom.Waiter(address: address)
    waiter.maximum = UInt32(request.maximum)
    waiter.leaseMilliseconds = request.leaseMilliseconds
    waiter.hasRefusals = refusals.isEmpty ? 0 : 1
    // The names are made known first: standing in line for a queue that does not exist yet must not lose its place.
    if queueNames.count + request.queues.count > queueNames.maximum,
      request.queues.contains(where: { queueNames.find($0) == nil })
    {
      return refuseToWait(request, address, refusals, into: &outcome)
    }
    guard let slot = waiting.add(waiter, due: after(request.waitMilliseconds)) else {
      return refuseToWait(request, address, refusals, into: &outcome)
    }
    if !refusals.isEmpty { waiting.refusals[slot] = Array(outcome.refusals[refusals]) }
    for (index, name) in request.queues.enumerated() {
      let isRepeated = request.queues[..<index].contains { $0.isSame(as: name) }
      if !isRepeated { waiting.stand(slot, inLineOf: queueNumber(name)) }
    }
  }

  /// A dequeue for which there is no place to wait. One that settled something is answered empty-handed: an error would say that nothing
  /// was done.
  private func refuseToWait(
    _ request: borrowing Request, _ address: Address, _ refusals: Range<Int>, into outcome: inout Outcome
  ) {
    outcome.responses.append(
      (
        address,
        request.settlements.isEmpty
          ? .refused(.limitExceeded, retryAfterMilliseconds: 100) : .delivered(deliveries: 0..<0, refusals: refusals)
      ))
  }

  /// Leases up to `maximum` ready jobs of a queue; returns how many, or `maximum` if the response is full. `size` adds up over the queues of one
  /// response.
  @inline(__always)
  private func take(
    from queue: UInt32, maximum: Int, leaseMilliseconds: UInt32, size: inout ResponseSize, into outcome: inout Outcome
  ) -> Int {
    if queues.pointer(queue).pointee.isPaused != 0, !PlantedBug.pauseIgnored.isPlanted { return 0 }
    var taken = 0
    var list = queues.pointer(queue).pointee.firstList
    while taken < maximum, list != JobRecord.noLink {
      let head = readyLists.pointer(list).pointee.head
      if head == JobRecord.noLink {
        list = readyLists.pointer(list).pointee.nextList
        continue
      }
      let job = jobs.pointer(head)
      let id = JobID(partition: configuration.partition, generation: jobs.generation(head), slot: head)
      let content = body(of: job)
      if job.pointee.has(JobRecord.Flags.expires), !job.pointee.has(JobRecord.Flags.delivered),
        Int64(content.expiryMilliseconds) <= now.wallMilliseconds, !PlantedBug.expiryIgnored.isPlanted
      {
        expire(id, into: &outcome)
        continue
      }
      if !size.takes(content, isFired: job.pointee.has(JobRecord.Flags.fired)) { return maximum }
      let lease = content.leaseMilliseconds != 0 ? content.leaseMilliseconds : leaseMilliseconds
      let token = LeaseToken(rawValue: scalars.pointee.nextToken)
      record(.leased(id, token, leaseMilliseconds: lease))
      var fire: (schedule: BorrowedBytes, dueMilliseconds: Int64) = (.none, 0)
      if job.pointee.has(JobRecord.Flags.fired) { fire = self.fire(of: job) }
      outcome.deliveries.append(
        Delivery(
          id: id, token: token, attempt: UInt32(job.pointee.failures) + 1, leaseMilliseconds: lease,
          timeoutMilliseconds: content.timeoutMilliseconds, postponed: postponed(job),
          maximumAttempts: content.maximumAttempts,
          queue: queueNames.name(queue), task: taskNames.name(content.task), payload: content.payload,
          headers: content.headers, tags: content.tags, schedule: fire.schedule, dueMilliseconds: fire.dueMilliseconds))
      taken += 1
    }
    return taken
  }

  /// How often in a row a job was released with a delay.
  @inline(__always)
  private func postponed(_ job: UnsafePointer<JobRecord>) -> UInt32 {
    job.pointee.history.isNone ? 0 : JobHistory.postponed(in: arena.bytes(job.pointee.history))
  }

  /// Fires what waited for jobs that have finished, and hands jobs that became ready to the dequeues that stand in line for them.
  func serveWoken(into outcome: inout Outcome) {
    // A job that expires as it is about to be handed out may be one for which a fire waits.
    repeat {
      if !buffers.released.isEmpty { fireReleased() }
      serveWaiting(into: &outcome)
    } while !buffers.released.isEmpty && hasTimeForReleased
    scalars.pointee.hasWakes = false
  }

  private func serveWaiting(into outcome: inout Outcome) {
    var index = 0
    while index < waiting.wakes.count {
      let queue = waiting.wakes[index]
      waiting.lines.mutable(queue).pointee.isWoken = false
      index += 1
      while true {
        let place = waiting.lines.pointer(queue).pointee.head
        if place == JobRecord.noLink || queues.pointer(queue).pointee.ready == 0 { break }
        let slot = waiting.memberships.pointer(place).pointee.waiter
        let waiter = waiting.waiters.pointer(slot).pointee
        let first = outcome.deliveries.count
        var size = ResponseSize(refusals: waiter.hasRefusals == 0 ? 0 : waiting.refusals[slot]?.count ?? 0)
        _ = take(
          from: queue, maximum: Int(waiter.maximum), leaseMilliseconds: waiter.leaseMilliseconds, size: &size,
          into: &outcome)
        if outcome.deliveries.count == first { break }
        finish(slot, deliveries: first..<outcome.deliveries.count, into: &outcome)
      }
    }
    waiting.wakes.removeAll(keepingCapacity: true)
  }

  /// Answers a waiting dequeue and lets it go.
  func finish(_ slot: UInt32, deliveries: Range<Int>, into outcome: inout Outcome) {
    let waiter = waiting.waiters.pointer(slot).pointee
    let first = outcome.refusals.count
    if waiter.hasRefusals != 0 { outcome.refusals.append(contentsOf: waiting.refusals[slot] ?? []) }
    outcome.responses.append(
      (waiter.address, .delivered(deliveries: deliveries, refusals: first..<outcome.refusals.count)))
    waiting.remove(slot)
  }

  /// Notes that a queue with a line has a job; the line is served when the present command is decided.
  @inline(never)
  func wakeWaiters(of queue: UInt32) {
    let line = waiting.lines.mutable(queue)
    guard !line.pointee.isWoken, line.pointee.head != JobRecord.noLink else { return }
    line.pointee.isWoken = true
    waiting.wakes.append(queue)
    scalars.pointee.hasWakes = true
  }

  // MARK: Settlements

  /// Does each settlement that its lease allows; the range of refusals of the others.
  @inline(__always)
  private func settle(_ request: borrowing Request, _ items: Range<Int>, into outcome: inout Outcome) -> Range<Int> {
    let first = outcome.refusals.count
    var firstRelease = items.upperBound
    for index in items {
      if request.settlements[index].kind == .release {
        firstRelease = min(firstRelease, index)
      } else {
        settle(request.settlements[index], into: &outcome)
      }
    }
    // Each goes to the front of its queue, so the last goes first: they come out again in the order given.
    for index in (firstRelease..<items.upperBound).reversed() where request.settlements[index].kind == .release {
      settle(request.settlements[index], into: &outcome)
    }
    return first..<outcome.refusals.count
  }

  @inline(__always)
  private func settle(_ settlement: Settlement, into outcome: inout Outcome) {
    if let code = settlementRefusal(settlement) {
      outcome.refusals.append(Refusal(id: settlement.id, token: settlement.token, code: code))
      scalars.pointee.refused += 1
    } else {
      perform(settlement, into: &outcome)
    }
  }

  /// Why a settlement is refused, or nil.
  @inline(__always)
  private func settlementRefusal(_ settlement: Settlement) -> ErrorCode? {
    if let code = leaseRefusal(settlement.id, settlement.token) { return code }
    if settlement.result.count > 1_024, events.count + settlement.result.count > scalars.pointee.diskRoom,
      body(of: jobs.pointer(settlement.id.slot)).retentionMilliseconds > 0
    {
      return .diskFull
    }
    return nil
  }

  /// Why a token does not speak for the job, or nil if it is that of its lease.
  @inline(__always)
  func leaseRefusal(_ id: JobID, _ token: LeaseToken) -> ErrorCode? {
    guard jobs.isLive(id.slot, id.generation), id.partition == configuration.partition else { return .leaseLost }
    let job = jobs.pointer(id.slot)
    guard job.pointee.state == .leased else {
      let isCancelled = job.pointee.state == .cancelled && job.pointee.has(JobRecord.Flags.cancelledLeased)
      return isCancelled && job.pointee.token == token ? .cancelled : .leaseLost
    }
    return job.pointee.token == token || PlantedBug.leaseCheckDropped.isPlanted ? nil : .leaseLost
  }

  @inline(__always)
  private func perform(_ settlement: Settlement, into outcome: inout Outcome) {
    switch settlement.kind {
    case .ack: ack(settlement, into: &outcome)
    case .nack: nack(settlement, into: &outcome)
    case .release: record(.released(settlement.id, delayMilliseconds: settlement.delayMilliseconds))
    case .extend:
      let present = jobs.pointer(settlement.id.slot).pointee.leaseMilliseconds
      let lease = settlement.leaseMilliseconds != 0 ? settlement.leaseMilliseconds : present
      record(.extended(settlement.id, leaseMilliseconds: lease))
    }
  }

  @inline(__always)
  private func ack(_ settlement: Settlement, into outcome: inout Outcome) {
    let job = jobs.pointer(settlement.id.slot)
    waiting.lines.mutable(job.pointee.queue).pointee.acked.add(now.boot)
    if waiting.isWaitedFor(settlement.id) { return ackWaitedFor(settlement, into: &outcome) }
    recordAck(settlement)
  }

  @inline(__always)
  private func recordAck(_ settlement: Settlement) {
    let isKept = settlement.hasResult && body(of: jobs.pointer(settlement.id.slot)).retentionMilliseconds > 0
    let acked = Event.acked(settlement.id, result: isKept ? settlement.result : nil)
    if PlantedBug.ackNotLogged.isPlanted, settlement.token.rawValue % 8 == 0 {
      _ = apply(acked)
    } else {
      record(acked)
    }
  }

  /// An ack that somebody waits for. By itself, as it is rare and its details are large.
  @inline(never)
  private func ackWaitedFor(_ settlement: Settlement, into outcome: inout Outcome) {
    // Taken before, because without retention the job is gone afterwards.
    var details = self.details(of: settlement.id)
    details?.state = .succeeded
    details?.finishedAtMilliseconds = now.wallMilliseconds
    details?.result = settlement.hasResult ? Array(settlement.result) : nil
    details?.token = nil
    details?.leaseMillisecondsLeft = nil
    details?.progress = nil
    recordAck(settlement)
    if let details { tellWaiters(details, into: &outcome) }
  }

  private func nack(_ settlement: Settlement, into outcome: inout Outcome) {
    let job = jobs.pointer(settlement.id.slot)
    let next: Event.Next
    if !settlement.retry {
      next = .dead(.rejected)
    } else if isOutOfAttempts(job) {
      next = .dead(.failed)
    } else if settlement.hasDelay {
      next = settlement.delayMilliseconds == 0 ? .ready : .delayed(milliseconds: settlement.delayMilliseconds)
    } else {
      next = backoff(settlement.id, job)
    }
    // On a full disk the error's first KiB has room kept for it; the rest waits for better times.
    let isShort = scalars.pointee.diskRoom < events.count + (32 << 10)
    record(
      .nacked(
        settlement.id, next, type: settlement.errorType,
        message: isShort ? settlement.errorMessage.prefixBytes(512) : settlement.errorMessage,
        trace: isShort ? .none : settlement.errorTrace))
    if case .dead = next { finishedDead(settlement.id, into: &outcome) }
  }

  func isOutOfAttempts(_ job: UnsafePointer<JobRecord>) -> Bool {
    if PlantedBug.attemptsUnlimited.isPlanted { return false }
    let base = job.pointee.history.isNone ? 0 : history(of: job).attemptsBeforeReplay
    return Int(job.pointee.failures) + 1 - Int(base) >= Int(body(of: job).maximumAttempts)
  }

  /// The wait before the next attempt of a job whose attempt is just ending.
  private func backoff(_ id: JobID, _ job: UnsafePointer<JobRecord>) -> Event.Next {
    let policy = body(of: job).backoff
    let wait = policy.milliseconds(afterAttempt: Int(job.pointee.failures) + 1, of: id)
    return wait == 0 ? .ready : .delayed(milliseconds: wait)
  }

  /// A lease has run out: the attempt counts, and the job goes on or to the dead letters.
  func loseLease(_ id: JobID, into outcome: inout Outcome) {
    let job = jobs.pointer(id.slot)
    if isOutOfAttempts(job) {
      record(.leaseExpired(id, .dead(.leaseExpired)))
      finishedDead(id, into: &outcome)
    } else {
      record(.leaseExpired(id, backoff(id, job)))
    }
  }

  func expire(_ id: JobID, into outcome: inout Outcome) {
    record(.expired(id))
    finishedDead(id, into: &outcome)
  }

  /// A job became a dead letter: tells who waited for it, and keeps their number in bounds.
  private func finishedDead(_ id: JobID, into outcome: inout Outcome) {
    if waiting.isWaitedFor(id), let details = details(of: id) {
      tellWaiters(details, into: &outcome)
    }
    if Int(scalars.pointee.counts.dead) > configuration.deadLetterLimit || PlantedBug.deadLetterDropped.isPlanted {
      let oldest = scalars.pointee.deadHead
      record(
        .removed(
          JobID(partition: configuration.partition, generation: jobs.generation(oldest), slot: oldest), .deadDropped))
    }
  }

  /// Answers every `wait` for a job that has finished.
  func tellWaiters(_ details: JobDetails, into outcome: inout Outcome) {
    guard let slots = waiting.jobWaiters[details.id] else { return }
    let answer = outcome.add(.job(details))
    for slot in slots {
      outcome.responses.append((waiting.waiters.pointer(slot).pointee.address, answer))
      waiting.remove(slot)
    }
  }

  // MARK: Cancel, multi, wait

  private func cancel(_ request: borrowing Request, _ items: Range<Int>, into outcome: inout Outcome) -> Answer {
    let firstRefusal = outcome.refusals.count
    var cancelled: [JobID] = []
    var leased: [JobID] = []
    for index in items {
      let id = request.ids[index]
      if let code = cancelRefusal(id) {
        outcome.refusals.append(Refusal(id: id, token: LeaseToken(rawValue: 0), code: code))
        continue
      }
      if jobs.pointer(id.slot).pointee.state == .leased { leased.append(id) }
      cancel(id, into: &outcome)
      cancelled.append(id)
    }
    let firstID = outcome.ids.count
    outcome.ids.append(contentsOf: cancelled)
    let firstLeased = outcome.ids.count
    outcome.ids.append(contentsOf: leased)
    return .cancelled(
      ids: firstID..<firstLeased, leased: firstLeased..<outcome.ids.count,
      refusals: firstRefusal..<outcome.refusals.count)
  }

  /// Cancels a job that has not finished, and tells those who wait for it.
  func cancel(_ id: JobID, into outcome: inout Outcome) {
    if PlantedBug.leasedNotCancelled.isPlanted, jobs.pointer(id.slot).pointee.state == .leased { return }
    var details: JobDetails?
    if waiting.isWaitedFor(id) { details = self.details(of: id) }
    record(.cancelled(id))
    // Taken before, because without retention the job is gone now.
    if var details {
      details.state = .cancelled
      details.finishedAtMilliseconds = now.wallMilliseconds
      details.dueAtMilliseconds = nil
      details.token = nil
      details.leaseMillisecondsLeft = nil
      details.progress = nil
      tellWaiters(details, into: &outcome)
    }
  }

  private func cancelRefusal(_ id: JobID) -> ErrorCode? {
    guard id.partition == configuration.partition, jobs.isLive(id.slot, id.generation) else { return .notFound }
    return jobs.pointer(id.slot).pointee.state.isFinished ? .finished : nil
  }

  /// All or nothing: everything that could be refused is looked at before anything is done.
  private func multi(_ request: borrowing Request, into outcome: inout Outcome) -> Answer {
    var touched: Set<JobID> = []
    for (number, operation) in request.operations.enumerated() {
      switch operation.method {
      case .enqueue: break
      case .cancel:
        for index in operation.items {
          let id = request.ids[index]
          if let code = cancelRefusal(id) { return .refused(code, operation: number) }
          if !touched.insert(id).inserted { return .refused(.badParameters, operation: number) }
        }
      default:
        for index in operation.items {
          let settlement = request.settlements[index]
          if let code = settlementRefusal(settlement) { return .refused(code, operation: number) }
          if !touched.insert(settlement.id).inserted { return .refused(.badParameters, operation: number) }
        }
      }
    }
    if let first = request.operations.firstIndex(where: { $0.method == .enqueue }),
      case .refused(let code, _, let retryAfter)? = budgetRefusal(request, 0..<request.jobs.count)
    {
      return .refused(code, operation: first, retryAfterMilliseconds: retryAfter)
    }
    var results: [Answer] = []
    results.reserveCapacity(request.operations.count)
    for operation in request.operations {
      switch operation.method {
      case .enqueue: results.append(enqueueUnchecked(request, operation.items, into: &outcome))
      case .cancel: results.append(cancel(request, operation.items, into: &outcome))
      default: results.append(.settled(refusals: settle(request, operation.items, into: &outcome)))
      }
    }
    return outcome.add(.results(results))
  }

  private func wait(_ request: borrowing Request, _ address: Address, into outcome: inout Outcome) {
    let id = request.ids[0]
    guard let details = details(of: id) else {
      outcome.responses.append((address, .refused(.notFound)))
      return
    }
    if details.state.isFinished || request.waitMilliseconds == 0 {
      outcome.responses.append((address, outcome.add(.job(details))))
      return
    }
    var waiter = WaitingRoom.Waiter(address: address)
    waiter.job = id.rawValue
    guard let slot = waiting.add(waiter, due: after(request.waitMilliseconds)) else {
      outcome.responses.append((address, .refused(.limitExceeded, retryAfterMilliseconds: 100)))
      return
    }
    waiting.jobWaiters[id, default: []].append(slot)
  }
}

extension UnsafeRawBufferPointer {
  fileprivate func prefixBytes(_ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: prefix(count))
  }
}

extension Backoff {
  /// The wait in milliseconds after attempt `attempt` (from 1) of a job has failed.
  ///
  /// Jitter shortens it by up to `jitterPercent`, by a hash of job and attempt: retries of a herd spread, and replay and tests see the same.
  func milliseconds(afterAttempt attempt: Int, of id: JobID) -> UInt64 {
    var wait = UInt64(baseMilliseconds)
    let cap = UInt64(capMilliseconds)
    if growth == .exponential {
      let doublings = min(attempt - 1, 40)
      wait = wait > cap >> UInt64(doublings) ? cap : wait << UInt64(doublings)
    }
    wait = min(wait, cap)
    guard jitterPercent > 0, wait > 0 else { return wait }
    // splitmix64's finalizer: a good mix of a counter-like number.
    var mixed = id.rawValue &+ UInt64(attempt) &* 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    mixed ^= mixed >> 31
    let most = wait * UInt64(jitterPercent) / 100
    return wait - (most == 0 ? 0 : mixed % (most + 1))
  }
}
