import NuvomCommandLine
import MessagePack
import NuvomClient
import NuvomSchedule

// What the broker's answers look like in JSON: names as in Protocol.md, ids as 16 hexadecimal digits.

extension MessageValue {
  /// A number of things.
  static func count(_ count: Int) -> MessageValue { .int(Int64(count)) }

  /// An id as people see it.
  static func id(_ id: JobID) -> MessageValue { .string(id.description) }

  /// A duration in milliseconds.
  static func milliseconds(_ duration: Duration) -> MessageValue { .int(DurationText.milliseconds(duration)) }

  /// A map of those pairs that have a value.
  static func fields(_ pairs: KeyValuePairs<String, MessageValue?>) -> MessageValue {
    .map(pairs.compactMap { key, value in value.map { (.string(key), $0) } })
  }

  /// What the bytes mean in MessagePack; null if they are none.
  static func decoded(_ bytes: [UInt8]) -> MessageValue { (try? MessageValue(decoding: bytes)) ?? .null }
}

extension HeaderValue {
  var document: MessageValue {
    switch self {
    case .text(let text): .string(text)
    case .bytes(let bytes): .binary(bytes)
    }
  }

  /// Headers in the order of their names; nil for none.
  static func document(_ headers: [String: HeaderValue]) -> MessageValue? {
    headers.isEmpty ? nil : .map(headers.sorted { $0.key < $1.key }.map { (.string($0.key), $0.value.document) })
  }
}

extension LeasedJob {
  var document: MessageValue {
    .fields([
      "id": .id(id), "token": .uint(token.rawValue), "attempt": .count(attempt),
      "max_attempts": .count(maximumAttempts), "postponed": postponed == 0 ? nil : .count(postponed),
      "lease_ms": .milliseconds(lease), "timeout_ms": timeout.map { .milliseconds($0) }, "queue": .string(queue),
      "task": .string(task), "schedule": schedule?.document, "payload": .decoded(payload),
      "payload_base64": .binary(payload), "headers": HeaderValue.document(headers),
      "tags": tags.isEmpty ? nil : .array(tags.map { .string($0) }),
    ])
  }
}

extension JobStatus {
  var document: MessageValue {
    .fields([
      "id": .id(id), "state": .string("\(state.wireName)"), "queue": .string(queue), "task": .string(task),
      "priority": .uint(UInt64(priority)), "attempt": .count(attempt), "max_attempts": .count(maximumAttempts),
      "expired_leases": .count(expiredLeases), "postponed": postponed == 0 ? nil : .count(postponed),
      "enqueued_at_ms": .uint(enqueuedAtMilliseconds),
      "due_at_ms": dueAtMilliseconds.map { .uint($0) }, "lease_ms_left": leaseLeft.map { .milliseconds($0) },
      "token": token.map { .uint($0.rawValue) }, "schedule": schedule?.document, "progress": progress?.document,
      "finished_at_ms": finishedAtMilliseconds.map { .uint($0) },
      "dead_reason": deadReason.map { .string("\($0.wireName)") },
      "payload": .decoded(payload), "payload_base64": .binary(payload),
      "headers": HeaderValue.document(headers), "tags": tags.isEmpty ? nil : .array(tags.map { .string($0) }),
      "result": result.map { .decoded($0) }, "result_base64": result.map { .binary($0) },
      "errors": .array(errors.map(\.document)),
    ])
  }

  /// Name and value on each line.
  var lines: [String] {
    var pairs = [
      ("id", "\(id)"), ("state", "\(state.wireName)" + (deadReason.map { " (\($0.wireName))" } ?? "")),
      ("queue", queue),
      ("task", task), ("priority", "\(priority)"), ("attempt", "\(attempt) of \(maximumAttempts)"),
      ("enqueued", TimeText.write(enqueuedAtMilliseconds)),
    ]
    if let schedule { pairs.append(("schedule", schedule.words)) }
    if let dueAtMilliseconds { pairs.append(("due", TimeText.write(dueAtMilliseconds))) }
    if let token { pairs.append(("token", "\(token.rawValue)")) }
    if let leaseLeft { pairs.append(("lease left", DurationText.writeRoughly(leaseLeft))) }
    if let progress { pairs.append(("progress", progress.words)) }
    if let finishedAtMilliseconds { pairs.append(("finished", TimeText.write(finishedAtMilliseconds))) }
    if expiredLeases > 0 { pairs.append(("expired leases", "\(expiredLeases)")) }
    if postponed > 0 { pairs.append(("postponed", "\(postponed)")) }
    if !tags.isEmpty { pairs.append(("tags", tags.joined(separator: ", "))) }
    for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
      pairs.append(("header", "\(name): \(value.document)"))
    }
    pairs.append(("payload", Output.payload(payload, limit: 2_000)))
    if let result { pairs.append(("result", Output.payload(result, limit: 2_000))) }
    for error in errors {
      let type = error.type.isEmpty ? "" : "\(error.type): "
      pairs.append(("error \(error.attempt)", "\(TimeText.write(error.atMilliseconds))  \(type)\(error.message)"))
    }
    return Output.pairs(pairs)
  }
}

extension ScheduledFire {
  fileprivate var document: MessageValue { ["name": .string(name), "due_at_ms": .uint(dueAtMilliseconds)] }

  /// Which schedule, and for which due time.
  var words: String { "\(name), due \(ISOTime(milliseconds: dueAtMilliseconds, in: .utc))" }
}

extension JobStatus.Progress {
  fileprivate var document: MessageValue {
    .fields([
      "percent": percent.map { .count($0) }, "message": message.map { .string($0) }, "at_ms": .uint(atMilliseconds),
    ])
  }

  /// In one line: "40 %, resizing (2026-01-31T18:30:00Z)".
  fileprivate var words: String {
    said.map { "\($0) (\(TimeText.write(atMilliseconds)))" } ?? TimeText.write(atMilliseconds)
  }

  /// What the worker said: "40 %, resizing"; nil for nothing.
  var said: String? {
    let said = [percent.map { "\($0) %" }, message].compactMap(\.self).joined(separator: ", ")
    return said.isEmpty ? nil : said
  }
}

extension JobStatus.AttemptError {
  fileprivate var document: MessageValue {
    [
      "attempt": .count(attempt), "at_ms": .uint(atMilliseconds), "type": .string(type), "message": .string(message),
      "trace": .string(trace),
    ]
  }
}

extension Refusal {
  var document: MessageValue {
    ["id": .id(id), "code": .string(code.rawValue), "message": .string(message)]
  }
}

extension QueueSummary {
  var document: MessageValue {
    [
      "queue": .string(name), "paused": .bool(isPaused), "ready": .count(ready), "delayed": .count(delayed),
      "leased": .count(leased), "dead": .count(dead),
    ]
  }
}

extension QueueStatus {
  /// All that is known, by its name on the wire.
  var document: MessageValue {
    [
      "queue": .string(summary.name), "paused": .bool(summary.isPaused), "ready": .count(summary.ready),
      "delayed": .count(summary.delayed), "leased": .count(summary.leased), "succeeded": .count(succeeded),
      "cancelled": .count(cancelled), "dead": .count(summary.dead), "waiting": .count(waiting),
      "oldest_ready_ms": .milliseconds(oldestReady), "enqueued_total": .uint(totals.enqueued),
      "delivered_total": .uint(totals.delivered), "acked_total": .uint(totals.acked),
      "nacked_total": .uint(totals.nacked), "released_total": .uint(totals.released),
      "lease_expired_total": .uint(totals.leaseExpired), "expired_total": .uint(totals.expired),
      "cancelled_total": .uint(totals.cancelled), "dead_total": .uint(totals.dead),
      "enqueued_per_second": .double(enqueuedPerSecond), "acked_per_second": .double(ackedPerSecond),
    ]
  }
}

extension BrokerStatistics {
  /// The numbers come in the order of their names.
  var document: MessageValue {
    .map(
      [("version", .string(version)), ("fsync", .string(fsync))]
        + numbers.sorted { $0.key < $1.key }.map { (.string($0.key), .uint($0.value)) }
        + [(.string("fire_lateness"), fireLateness.document)])
  }
}

extension Histogram {
  fileprivate var document: MessageValue {
    [
      "le_ms": .array(bounds.map { .milliseconds($0) }), "counts": .array(counts.map { .uint($0) }),
      "sum_ms": .milliseconds(sum),
    ]
  }

  /// How many were how long, in one line.
  var words: String { Self.words(bounds, counts) }

  /// The counts that there are, each with its bound.
  static func words(_ bounds: [Duration], _ counts: [UInt64]) -> String {
    let within = zip(bounds, counts).filter { $0.1 > 0 }.map { "\($0.1) up to \(DurationText.write($0.0))" }
    let beyond = zip(counts.dropFirst(bounds.count), bounds.suffix(1)).filter { $0.0 > 0 }
      .map { "\($0.0) above \(DurationText.write($0.1))" }
    let all = within + beyond
    return all.isEmpty ? "-" : all.joined(separator: ", ")
  }
}
