import ArgumentParser
import MessagePack
import NuvomClient
import NuvomCommandLine
import NuvomSchedule

// What a schedule looks like: in JSON by the names of Protocol.md, for people as command lines say it.

extension Schedule {
  /// When it is due, in the fields' order; the first says in which way.
  var timeFields: KeyValuePairs<String, MessageValue?> {
    switch times {
    case .at(let time): ["at_ms": .uint(time)]
    case .in(let delay): ["in_ms": .milliseconds(delay)]
    case .every(let interval): ["every_ms": .milliseconds(interval)]
    case .cron(let text, let zone, let gap, let fold):
      ["cron": .string(text), "time_zone": .string(zone), "gap": .string(gap.rawValue), "fold": .string(fold.rawValue)]
    }
  }

  /// Everything but name, times and job.
  ///
  /// - Parameter window: the catch-up window: as the broker shows it, or as it compares it.
  func ruleFields(catchUp window: Duration?) -> KeyValuePairs<String, MessageValue?> {
    [
      "start_at_ms": startAtMilliseconds.map { .uint($0) }, "end_at_ms": endAtMilliseconds.map { .uint($0) },
      "max_fires": .count(maximumFires ?? 0), "jitter_ms": .milliseconds(jitter), "misfire": .string(misfire.rawValue),
      "catch_up_ms": window.map { .milliseconds($0) },
      "overlap": .string(overlap.rawValue),
      "metadata": metadataValue,
      "retention_ms": .milliseconds(retention),
    ]
  }

  /// When it is due, in a few words.
  func words(in zone: ZoneRules = .utc) -> String {
    switch times {
    case .at(let time): "at \(ISOTime(milliseconds: time, in: zone))"
    case .in(let delay): "in \(DurationText.write(delay))"
    case .every(let interval): "every \(DurationText.write(interval))"
    case .cron(let text, let zone, _, _): zone == "UTC" ? text : "\(text) \(zone)"
    }
  }

  /// The zone in which its times are shown: its own, or UTC if it has none or this machine does not know it.
  func zone(_ zones: TimeZones) -> ZoneRules {
    guard case .cron(_, let zone, _, _) = times, let rules = try? zones.rules(of: zone) else { return .utc }
    return rules
  }
}

extension Job {
  /// The fields of a schedule's job that a change of it names, without its payload.
  var namedFields: KeyValuePairs<String, MessageValue?> {
    [
      "queue": .string(queue), "task": .string(task), "headers": HeaderValue.document(headers),
      "tags": tags.isEmpty ? nil : .array(tags.map { .string($0) }), "priority": .uint(UInt64(priority)),
    ]
  }

  /// The rest of its fields.
  var optionFields: KeyValuePairs<String, MessageValue?> {
    var expiry: Duration?
    if case .after(let duration)? = self.expiry { expiry = duration }
    return [
      "expires_in_ms": expiry.map { .milliseconds($0) }, "max_attempts": .count(maximumAttempts),
      "backoff": .string(backoff.isExponential ? "exponential" : "fixed"),
      "backoff_base_ms": .milliseconds(backoff.base), "backoff_cap_ms": .milliseconds(backoff.cap),
      "jitter_percent": .count(backoff.jitterPercent), "timeout_ms": timeout.map { .milliseconds($0) },
      "lease_ms": lease.map { .milliseconds($0) }, "retention_ms": .milliseconds(retention),
    ]
  }
}

extension ScheduleStatus {
  /// - Parameter hasPayload: false for a list's, whose jobs come without.
  func document(hasPayload: Bool) -> MessageValue {
    var job = Self.pairs(schedule.job.namedFields) + Self.pairs(schedule.job.optionFields)
    if hasPayload {
      job.append(("payload", .decoded(schedule.job.payload)))
      job.append(("payload_base64", .binary(schedule.job.payload)))
    }
    let standing: KeyValuePairs<String, MessageValue?> = [
      "job": .map(job), "created_at_ms": .uint(createdAtMilliseconds), "updated_at_ms": .uint(updatedAtMilliseconds),
      "due_at_ms": dueAtMilliseconds.map { .uint($0) }, "fires_at_ms": firesAtMilliseconds.map { .uint($0) },
      "last_due_at_ms": lastDueAtMilliseconds.map { .uint($0) }, "last_job": lastJob.map { .id($0) },
      "buffered_due_at_ms": bufferedDueAtMilliseconds.map { .uint($0) }, "fired_total": .uint(fired),
      "missed_total": .uint(missed), "skipped_total": .uint(skipped), "triggered_total": .uint(triggered),
    ]
    return .map(
      [("name", .string(schedule.name)), ("state", .string(state.rawValue))] + Self.pairs(schedule.timeFields)
        + Self.pairs(schedule.ruleFields(catchUp: schedule.catchUp ?? schedule.misfire.standardCatchUp))
        + Self.pairs(standing))
  }

  private static func pairs(_ fields: KeyValuePairs<String, MessageValue?>) -> [(MessageValue, MessageValue)] {
    fields.compactMap { key, value in value.map { (.string(key), $0) } }
  }

  /// Name and value on each line.
  func lines(_ zones: TimeZones) -> [String] {
    let zone = schedule.zone(zones)
    func time(_ milliseconds: UInt64) -> String { "\(ISOTime(milliseconds: milliseconds, in: zone))" }
    let job = schedule.job
    var pairs = [("name", schedule.name), ("state", state.rawValue), ("times", schedule.words(in: zone))]
    if case .cron(_, _, let gap, let fold) = schedule.times {
      pairs += [("gap, fold", "\(gap.rawValue), \(fold.rawValue)")]
    }
    if let start = schedule.startAtMilliseconds { pairs.append(("start", time(start))) }
    if let end = schedule.endAtMilliseconds { pairs.append(("end", time(end))) }
    if let maximum = schedule.maximumFires { pairs.append(("max fires", "\(maximum)")) }
    if schedule.jitter != .zero { pairs.append(("jitter", "up to \(DurationText.write(schedule.jitter))")) }
    let window = schedule.catchUp ?? schedule.misfire.standardCatchUp
    let limit =
      window == Schedule.MisfirePolicy.once.standardCatchUp ? "" : ", up to \(DurationText.write(window)) late"
    pairs.append(("misfire", schedule.misfire.rawValue + limit))
    pairs.append(("overlap", ChoiceText.write(schedule.overlap)))
    if schedule.retention != Schedule.standardRetention {
      pairs.append(("known for", "\(DurationText.write(schedule.retention)) when finished"))
    }
    for (key, value) in schedule.metadata.sorted(by: { $0.key < $1.key }) {
      pairs.append(("metadata", "\(key)=\(value)"))
    }
    pairs += [("task", job.task), ("queue", job.queue), ("priority", "\(job.priority)")]
    pairs.append(("max attempts", "\(job.maximumAttempts)"))
    if job.backoff != .exponential() { pairs.append(("backoff", job.backoff.words)) }
    if case .after(let expiry)? = job.expiry { pairs.append(("expires in", DurationText.write(expiry))) }
    if let timeout = job.timeout { pairs.append(("timeout", DurationText.write(timeout))) }
    if let lease = job.lease { pairs.append(("lease", DurationText.write(lease))) }
    if job.retention != .zero { pairs.append(("retention", DurationText.write(job.retention))) }
    if !job.tags.isEmpty { pairs.append(("tags", job.tags.joined(separator: ", "))) }
    for (key, value) in job.headers.sorted(by: { $0.key < $1.key }) {
      pairs.append(("header", "\(key)=\(value.words)"))
    }
    pairs.append(("payload", Output.payload(job.payload, limit: 2_000)))
    pairs.append(("next due", dueAtMilliseconds.map(time) ?? "-"))
    if let fires = firesAtMilliseconds, fires != dueAtMilliseconds { pairs.append(("fires", time(fires))) }
    if let last = lastDueAtMilliseconds { pairs.append(("last due", time(last))) }
    if let lastJob { pairs.append(("last job", "\(lastJob)")) }
    if let buffered = bufferedDueAtMilliseconds { pairs.append(("waits for it", "the fire of \(time(buffered))")) }
    pairs.append(("fired", "\(fired), missed \(missed), skipped \(skipped), triggered \(triggered)"))
    pairs.append(("created", time(createdAtMilliseconds)))
    if updatedAtMilliseconds != createdAtMilliseconds { pairs.append(("updated", time(updatedAtMilliseconds))) }
    return Output.pairs(pairs)
  }
}

extension Job.Backoff {
  /// How long it waits, in a few words.
  fileprivate var words: String {
    let wait =
      isExponential
      ? "\(DurationText.write(base)), doubling up to \(DurationText.write(cap))" : DurationText.write(base)
    return wait + (jitterPercent == 0 ? "" : ", up to \(jitterPercent) % less")
  }
}

extension HeaderValue {
  fileprivate var words: String {
    switch self {
    case .text(let text): text
    case .bytes(let bytes): MessageValue.binary(bytes).description
    }
  }
}

extension ScheduleRefusal {
  var document: MessageValue {
    ["name": .string(name), "code": .string(code.rawValue), "message": .string(message)]
  }
}

extension [ScheduleRefusal] {
  /// Names each on standard error; the first decides the exit status.
  func report() throws {
    for refusal in self {
      Output.remark("nuvom: \(Output.printable(refusal.name)): \(refusal.message) (\(refusal.code))")
    }
    if let first { throw ExitCode(ExitStatus(first.code).rawValue) }
  }
}
