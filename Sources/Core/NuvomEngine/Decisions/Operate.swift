import NuvomModel

// What operators and tools ask: looking at jobs and queues, pausing, purging, dead letters; and what workers say for them to see.

extension Engine {
  /// Answers the methods that neither wait nor are remembered.
  func operate(_ request: borrowing Request, into outcome: inout Outcome) -> Answer {
    switch request.method {
    case .get:
      guard let details = details(of: request.ids[0]) else { return .refused(.notFound) }
      return outcome.add(.job(details))
    case .progress: return takeReports(request, into: &outcome)
    case .queues: return listQueues(request.filter, into: &outcome)
    case .queue:
      guard let queue = queueNames.find(request.queues[0]) else { return .refused(.notFound) }
      return outcome.add(.queue(details(ofQueue: queue)))
    case .pause, .resume:
      if queueNames.find(request.queues[0]) == nil, queueNames.count >= queueNames.maximum {
        return .refused(.limitExceeded)
      }
      let queue = queueNumber(request.queues[0])
      let isPaused = request.method == .pause
      if (queues.pointer(queue).pointee.isPaused != 0) != isPaused { record(.queuePaused(queue, isPaused)) }
      return .done
    case .purge: return purge(request, into: &outcome)
    case .deadList: return listDead(request.filter, into: &outcome)
    case .deadReplay, .deadDelete: return changeDead(request, into: &outcome)
    case .scheduleGet: return getSchedule(request.names[0], into: &outcome)
    case .schedules: return listSchedules(request.filter, into: &outcome)
    default: return .done
    }
  }

  /// Keeps how far workers are. No event comes of it: nothing durable changes.
  private func takeReports(_ request: borrowing Request, into outcome: inout Outcome) -> Answer {
    // What is kept counts to the budget. To be refused harms no job: its lease and its settlement do not need it.
    if isOverMemory || !progress.hasRoom(for: request.reports.count) {
      return .refused(.memoryFull, retryAfterMilliseconds: 1_000)
    }
    let first = outcome.refusals.count
    for index in request.reports.indices {
      let report = request.reports[index]
      if let code = leaseRefusal(report.id, report.token) {
        outcome.refusals.append(Refusal(id: report.id, token: report.token, code: code))
        scalars.pointee.refused += 1
      } else {
        progress.put(report, atMilliseconds: now.wallMilliseconds)
      }
    }
    return .settled(refusals: first..<outcome.refusals.count)
  }

  // MARK: Looking

  /// Everything known of a job, or nil if there is none.
  func details(of id: JobID) -> JobDetails? {
    guard id.partition == configuration.partition, jobs.isLive(id.slot, id.generation) else { return nil }
    let job = jobs.pointer(id.slot)
    let content = body(of: job)
    var details = JobDetails()
    details.id = id
    details.state = job.pointee.state
    details.queue = Array(queueNames.name(job.pointee.queue))
    details.task = Array(taskNames.name(content.task))
    details.payload = Array(content.payload)
    details.headers = Array(content.headers)
    details.tags = Array(content.tags)
    details.priority = job.pointee.priority
    details.maximumAttempts = content.maximumAttempts
    if job.pointee.has(JobRecord.Flags.fired) {
      let fire = fire(of: job)
      details.fire = FireDetails(schedule: Array(fire.schedule), dueMilliseconds: fire.dueMilliseconds)
    }
    let time = arena.bytes(job.pointee.body)
    details.enqueuedAtMilliseconds =
      Int64(UInt32(littleEndian: time.loadUnaligned(as: UInt32.self)))
      | Int64(UInt16(littleEndian: time.loadUnaligned(fromByteOffset: 4, as: UInt16.self))) << 32
    let isHeld = job.pointee.state == .leased || job.pointee.has(JobRecord.Flags.cancelledLeased)
    let hasBegun = isHeld || job.pointee.state == .succeeded || job.pointee.has(JobRecord.Flags.released)
    details.attempt = UInt32(job.pointee.failures) + (hasBegun ? 1 : 0)
    switch job.pointee.state {
    case .delayed:
      let stamp = Int64(bitPattern: job.pointee.stamp)
      let wall = job.pointee.has(JobRecord.Flags.dueIsWall) ? stamp : now.wall + stamp - now.boot
      details.dueAtMilliseconds = wall / 1_000
    case .ready: break
    case .leased:
      details.token = job.pointee.token
      details.progress = progress.report(of: id)
      if job.pointee.timer != JobRecord.noTimer {
        details.leaseMillisecondsLeft = max(0, (bootTimers.timer(job.pointee.timer).due - now.boot) / 1_000)
      }
    case .succeeded, .dead, .cancelled:
      if !job.pointee.has(JobRecord.Flags.cancelledLeased) {
        details.finishedAtMilliseconds = Int64(bitPattern: job.pointee.stamp) / 1_000
      }
      details.deadReason = job.pointee.reason
    }
    if !job.pointee.history.isNone {
      let history = history(of: job)
      details.errors = history.errors
      details.expiredLeases = history.expiredLeases
      details.postponed = history.postponed
      details.result = history.result
    }
    return details
  }

  private func summary(ofQueue queue: UInt32) -> QueueSummary {
    let record = queues.pointer(queue).pointee
    var summary = QueueSummary()
    summary.name = Array(queueNames.name(queue))
    summary.isPaused = record.isPaused != 0
    summary.ready = Int(record.ready)
    summary.delayed = Int(record.delayed)
    summary.leased = Int(record.leased)
    summary.dead = Int(record.dead)
    return summary
  }

  private func details(ofQueue queue: UInt32) -> QueueDetails {
    let record = queues.pointer(queue).pointee
    let line = waiting.lines.pointer(queue).pointee
    var details = QueueDetails()
    details.summary = summary(ofQueue: queue)
    details.succeeded = Int(record.succeeded)
    details.cancelled = Int(record.cancelled)
    details.waiting = Int(line.count)
    details.totals = record.totals
    details.enqueuedPerSecond = line.enqueued.perSecond(now.boot)
    details.ackedPerSecond = line.acked.perSecond(now.boot)
    var list = record.firstList
    while list != JobRecord.noLink {
      let head = readyLists.pointer(list).pointee.head
      if head != JobRecord.noLink {
        let age = (now.boot - Int64(bitPattern: jobs.pointer(head).pointee.stamp)) / 1_000
        details.oldestReadyMilliseconds = max(details.oldestReadyMilliseconds, age)
      }
      list = readyLists.pointer(list).pointee.nextList
    }
    return details
  }

  private func listQueues(_ filter: Request.Filter, into outcome: inout Outcome) -> Answer {
    var first = 0
    if filter.afterName.count > 0 {
      guard let after = queueNames.find(filter.afterName) else { return .refused(.notFound) }
      first = Int(after) + 1
    }
    let end = min(queueNames.count, first + filter.limit)
    let page = (first..<max(first, end)).map { summary(ofQueue: UInt32($0)) }
    return outcome.add(.queues(page, next: end < queueNames.count ? page.last?.name : nil))
  }

  /// The engine's part of `stats`.
  public func statistics() -> Statistics {
    let scalars = scalars.pointee
    var statistics = Statistics()
    statistics.clients = clients.count
    statistics.queues = queueNames.count
    statistics.ready = Int(scalars.counts.ready)
    statistics.delayed = Int(scalars.counts.delayed)
    statistics.leased = Int(scalars.counts.leased)
    statistics.succeeded = Int(scalars.counts.succeeded)
    statistics.cancelled = Int(scalars.counts.cancelled)
    statistics.dead = Int(scalars.counts.dead)
    statistics.totals = scalars.totals
    statistics.deadDropped = scalars.deadDropped
    statistics.schedules = schedules.count
    statistics.scheduleTotals = scalars.scheduleTotals
    statistics.fireLateness = scalars.lateness
    statistics.firesPostponed = scalars.firesPostponed
    statistics.clockSteps = scalars.clockSteps
    statistics.refused = scalars.refused
    statistics.memoryBytes = memoryBytes
    statistics.memoryLimitBytes = configuration.memoryLimit
    return statistics
  }

  // MARK: Purging

  /// Cancels ready jobs, then delayed ones, of a queue. A delayed job is found by a scan, of which one call does a bounded part.
  private func purge(_ request: borrowing Request, into outcome: inout Outcome) -> Answer {
    guard let queue = queueNames.find(request.queues[0]) else { return .refused(.notFound) }
    var purged = 0
    var list = queues.pointer(queue).pointee.firstList
    while purged < request.filter.limit, list != JobRecord.noLink {
      let head = readyLists.pointer(list).pointee.head
      if head == JobRecord.noLink {
        list = readyLists.pointer(list).pointee.nextList
      } else {
        cancel(id(ofLive: head), into: &outcome)
        purged += 1
      }
    }
    var scanned = 0
    var next = jobs.nextLive(from: scalars.pointee.purgeCursor)
    while purged < request.filter.limit, queues.pointer(queue).pointee.delayed > 0, scanned < Self.scanLimit {
      guard let slot = next else {
        next = jobs.nextLive(from: 0)
        continue
      }
      let job = jobs.pointer(slot)
      if job.pointee.queue == queue, job.pointee.state == .delayed {
        cancel(id(ofLive: slot), into: &outcome)
        purged += 1
      }
      scanned += 1
      scalars.pointee.purgeCursor = slot + 1
      next = jobs.nextLive(from: slot + 1)
    }
    let left = queues.pointer(queue).pointee
    return .purged(count: purged, more: left.ready > 0 || left.delayed > 0)
  }

  /// Jobs or dead letters that one request looks at, at the most: about a millisecond.
  static var scanLimit: Int { 10_000 }

  private func id(ofLive slot: UInt32) -> JobID {
    JobID(partition: configuration.partition, generation: jobs.generation(slot), slot: slot)
  }

  // MARK: Dead letters

  private func matches(_ slot: UInt32, _ filter: Request.Filter) -> Bool {
    let job = jobs.pointer(slot)
    if filter.queue.count > 0, !queueNames.name(job.pointee.queue).isSame(as: filter.queue) { return false }
    if let reason = filter.reason, job.pointee.reason != reason { return false }
    return filter.task.count == 0 || taskNames.name(body(of: job).task).isSame(as: filter.task)
  }

  private func listDead(_ filter: Request.Filter, into outcome: inout Outcome) -> Answer {
    var slot = scalars.pointee.deadHead
    if let after = filter.afterID {
      guard jobs.isLive(after.slot, after.generation), jobs.pointer(after.slot).pointee.state == .dead else {
        return .refused(.notFound)
      }
      slot = jobs.pointer(after.slot).pointee.next
    }
    var page: [JobDetails] = []
    var scanned = 0
    var bytes = 0
    var last: UInt32?
    while slot != JobRecord.noLink, page.count < filter.limit, scanned < Self.scanLimit {
      if matches(slot, filter), let details = details(of: id(ofLive: slot)) {
        bytes += details.payload.count + details.headers.count
        for error in details.errors { bytes += error.message.count + error.trace.count }
        if bytes > ProtocolLimits.pageBytes, !page.isEmpty { break }
        page.append(details)
      }
      last = slot
      scanned += 1
      slot = jobs.pointer(slot).pointee.next
    }
    return outcome.add(.jobs(page, next: slot == JobRecord.noLink ? nil : last.map { id(ofLive: $0) }))
  }

  /// Replays or deletes dead letters, given by id or by filter.
  private func changeDead(_ request: borrowing Request, into outcome: inout Outcome) -> Answer {
    let isReplay = request.method == .deadReplay
    let firstRefusal = outcome.refusals.count
    var changed = 0
    var hasMore = false
    func change(_ id: JobID) {
      record(isReplay ? .deadReplayed(id) : .removed(id, .deadDeleted))
      changed += 1
    }
    if !request.ids.isEmpty {
      for index in request.ids.indices {
        let id = request.ids[index]
        let isDead =
          id.partition == configuration.partition && jobs.isLive(id.slot, id.generation)
          && jobs.pointer(id.slot).pointee.state == .dead
        if isDead {
          change(id)
        } else {
          outcome.refusals.append(Refusal(id: id, token: LeaseToken(rawValue: 0), code: .notFound))
        }
      }
    } else {
      var slot = scalars.pointee.deadHead
      var scanned = 0
      while slot != JobRecord.noLink {
        if changed == request.filter.limit || scanned == Self.scanLimit {
          hasMore = true
          break
        }
        let next = jobs.pointer(slot).pointee.next
        if matches(slot, request.filter) { change(id(ofLive: slot)) }
        scanned += 1
        slot = next
      }
    }
    let refusals = firstRefusal..<outcome.refusals.count
    return isReplay
      ? .replayed(count: changed, more: hasMore, refusals: refusals)
      : .deleted(count: changed, more: hasMore, refusals: refusals)
  }
}
