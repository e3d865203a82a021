extension HistoryChecker {
  /// Each due time once, and none left out.
  mutating func checkSchedules() {
    firedJobs.sort { ($0.schedule, $0.due, $0.id) < ($1.schedule, $1.due, $1.id) }
    var deleted = Array(repeating: 0, count: scheduleNames.count)
    for delete in deletes where verdict(delete.operation).isPossible { deleted[Int(delete.schedule)] += 1 }
    // Triggers of which nobody knows the job.
    var openTriggers = Array(repeating: 0, count: scheduleNames.count)
    for trigger in triggers where trigger.id == 0 && verdict(trigger.operation).isPossible {
      openTriggers[Int(trigger.schedule)] += 1
    }
    var dues: [[FiredJob]] = Array(repeating: [], count: scheduleNames.count)
    for job in firedJobs where !job.isTriggered { dues[Int(job.schedule)].append(job) }
    for schedule in scheduleNames.indices {
      checkOnce(dues[schedule], schedule, allowed: 1 + deleted[schedule] + openTriggers[schedule])
    }
    let defined = definitions.indices.filter { verdict(definitions[$0].operation).isPossible }.sorted { one, other in
      (definitions[one].schedule, operations[definitions[one].operation].sent, one)
        < (definitions[other].schedule, operations[definitions[other].operation].sent, other)
    }
    var ranges = Array(repeating: 0..<0, count: scheduleNames.count)
    for (place, index) in defined.enumerated() {
      let schedule = Int(definitions[index].schedule)
      ranges[schedule] = (ranges[schedule].isEmpty ? place : ranges[schedule].lowerBound)..<place + 1
    }
    for seen in seenSchedules {
      let schedule = Int(seen.schedule)
      if deleted[schedule] > 0 || openTriggers[schedule] > 0 { continue }
      checkSeen(seen, defined[ranges[schedule]].map { definitions[$0] }, dues[schedule])
    }
  }

  private mutating func checkOnce(_ jobs: [FiredJob], _ schedule: Int, allowed: Int) {
    for index in jobs.indices.dropFirst(allowed) where jobs[index - allowed].due == jobs[index].due {
      complain(
        .fireTwice,
        "\(scheduleNames[schedule]) has fired for \(jobs[index].due) as job \(hex(jobs[index - allowed].id)) and job \(hex(jobs[index].id))"
      )
    }
  }

  /// A schedule that was always defined in the same words.
  private mutating func checkSeen(_ track: SeenScheduleTrack, _ definitions: [DefinitionTrack], _ jobs: [FiredJob]) {
    let name = scheduleNames[Int(track.schedule)]
    guard let first = definitions.first, definitions.allSatisfy({ $0.definition == first.definition }) else { return }
    let definition = first.definition
    let before = jobs.filter { $0.received <= track.asked }
    if let latest = before.last?.due, latest > track.seen.lastDue ?? 0 {
      complain(.fireGap, "\(name) is at \(track.seen.lastDue ?? 0), and has fired for \(latest)")
    }
    if definition.firesAll, track.seen.missed > 0 {
      complain(.fireGap, "\(name) has missed \(track.seen.missed) fires")
    }
    if !track.seen.isDrained || definition.cancelsPrevious { return }
    if before.count != Int(track.seen.fired) {
      complain(.fireGap, "\(name) has fired \(track.seen.fired) times, and \(before.count) of its jobs came")
    }
    if !definition.firesAll { return }
    if let last = before.last?.due, last != track.seen.lastDue {
      complain(.fireGap, "\(name) has counted \(track.seen.lastDue ?? 0), and the last that came was for \(last)")
    }
    let promised = definitions.lazy.compactMap { $0.receipt }.first { $0.isCreated }?.due
    if let promised, let start = before.first?.due, start != promised {
      complain(.fireGap, "\(name) was promised for \(promised), and began with \(start)")
    }
    let step = definition.stepMilliseconds
    if step == 0 { return }
    for (one, next) in zip(before, before.dropFirst()) where next.due - one.due != step {
      complain(.fireGap, "\(name) has fired for \(one.due) and next for \(next.due)")
    }
  }
}
