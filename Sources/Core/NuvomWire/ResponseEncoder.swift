public import MessagePack
public import NuvomModel

/// Writes what a broker tells, as whole frames behind what a writer holds already.
///
/// The writer's memory is all it needs, and is kept: for the answers on a job's way nothing is allocated.
public enum ResponseEncoder {
  /// Writes the response to a request.
  ///
  /// - Parameters:
  ///   - answer: what the engine, or the broker for `statistics`, has answered.
  ///   - outcome: the lists that the answer refers to; its deliveries must still be valid.
  ///
  /// No response exceeds a frame: a page of dead letters that would ends earlier and has a `next`, and a job whose payload
  /// and result do not fit together is told without its payload. That a dequeue's deliveries fit is the engine's to see to.
  public static func encode(
    _ answer: Answer, to id: RequestID, outcome: borrowing Outcome, into writer: inout MessageWriter
  ) {
    let frame = writer.beginFrame()
    if case .refused(let code, let operation, let retryAfterMilliseconds) = answer {
      writer.beginResponse(to: id)
      let parameter = operation.flatMap { ParameterName(ofSchedule: $0, refusedWith: code) }
      writer.error(
        code, parameter: parameter, operation: parameter == nil ? operation : nil,
        retryAfterMilliseconds: retryAfterMilliseconds)
      writer.null()
    } else {
      writer.beginResult(to: id)
      writer.result(answer, outcome: outcome)
    }
    writer.endFrame(frame)
  }

  /// Writes the response to a request that was not decoded, or could not be taken.
  public static func encodeRefusal(
    _ code: ErrorCode, to id: RequestID, parameter: ParameterName? = nil, operation: Int? = nil,
    retryAfterMilliseconds: UInt32? = nil, message: String? = nil, into writer: inout MessageWriter
  ) {
    let frame = writer.beginFrame()
    writer.beginResponse(to: id)
    writer.error(
      code, parameter: parameter, operation: operation, retryAfterMilliseconds: retryAfterMilliseconds,
      message: message)
    writer.null()
    writer.endFrame(frame)
  }

  /// Writes the response to a request that the decoder refused. Writes nothing if it does not know which request it was.
  public static func encode(_ refusal: RefusedRequest, into writer: inout MessageWriter) {
    guard let id = refusal.id else { return }
    encodeRefusal(
      refusal.code, to: id, parameter: refusal.parameter, operation: refusal.operation, message: refusal.message,
      into: &writer)
  }

  /// Writes the response to a hello.
  ///
  /// - Parameter highestRequestID: the highest changing request that is remembered of this client; nil if none is.
  public static func encodeHello(
    to id: RequestID, server: String, partition: UInt8, features: [String], highestRequestID: RequestID?,
    into writer: inout MessageWriter
  ) {
    let frame = writer.beginFrame()
    writer.beginResult(to: id)
    writer.mapHeader(6)
    writer.pair("version", ProtocolLimits.version)
    writer.literal("server")
    writer.string(server)
    writer.pair("partition", UInt64(partition))
    writer.literal("features")
    writer.arrayHeader(features.count)
    for feature in features { writer.string(feature) }
    writer.pair("max_frame_bytes", UInt64(ProtocolLimits.frameBytes))
    writer.pair("highest_request_id", highestRequestID?.rawValue ?? 0)
    writer.endFrame(frame)
  }

  /// Writes the last frame of a connection.
  public static func encodeGoodbye(
    _ code: ErrorCode, retryAfterMilliseconds: UInt32? = nil, into writer: inout MessageWriter
  ) {
    let frame = writer.beginFrame()
    writer.arrayHeader(3)
    writer.uint(2)
    writer.literal("goodbye")
    writer.error(code, parameter: nil, operation: nil, retryAfterMilliseconds: retryAfterMilliseconds)
    writer.endFrame(frame)
  }
}

extension MessageWriter {
  /// `[1, id, …`: error and result must follow.
  @inline(__always)
  mutating func beginResponse(to id: RequestID) {
    arrayHeader(4)
    uint(1)
    uint(id.rawValue)
  }

  /// `[1, id, nil, …`: the result must follow.
  @inline(__always)
  mutating func beginResult(to id: RequestID) {
    beginResponse(to: id)
    null()
  }

  /// An error's map.
  mutating func error(
    _ code: ErrorCode, parameter: ParameterName?, operation: Int?, retryAfterMilliseconds: UInt32?,
    message: String? = nil
  ) {
    mapHeader(2 + (parameter == nil ? 0 : 1) + (operation == nil ? 0 : 1) + (retryAfterMilliseconds == nil ? 0 : 1))
    literal("code")
    literal(code.wireName)
    literal("message")
    if let message {
      string(message)
    } else {
      literal(code.message)
    }
    if let parameter {
      literal("field")
      string(parameter.description)
    }
    if let operation { pair("operation", operation) }
    if let retryAfterMilliseconds { pair("retry_after_ms", UInt64(retryAfterMilliseconds)) }
  }

  /// A method's result.
  @inline(__always)
  fileprivate mutating func result(_ answer: Answer, outcome: borrowing Outcome) {
    switch answer {
    case .done:
      mapHeader(0)
    case .settled(let refusals):
      mapHeader(refusals.isEmpty ? 0 : 1)
      refused(refusals, of: outcome, hasTokens: true)
    case .enqueued(let ids, let duplicates):
      mapHeader(duplicates.isEmpty ? 1 : 2)
      literal("ids")
      self.ids(ids, of: outcome)
      if !duplicates.isEmpty {
        literal("duplicates")
        arrayHeader(duplicates.count)
        for index in duplicates { uint(UInt64(outcome.indexes[index])) }
      }
    case .delivered(let deliveries, let refusals):
      mapHeader(refusals.isEmpty ? 1 : 2)
      literal("jobs")
      arrayHeader(deliveries.count)
      for index in deliveries { delivery(outcome.deliveries[index]) }
      refused(refusals, of: outcome, hasTokens: true)
    default:
      rareResult(answer, outcome: outcome)
    }
  }

  /// A result that is not on a job's way.
  @inline(never)
  private mutating func rareResult(_ answer: Answer, outcome: borrowing Outcome) {
    switch answer {
    case .done, .settled, .enqueued, .delivered:
      result(answer, outcome: outcome)
    case .cancelled(let ids, let leased, let refusals):
      mapHeader(1 + (leased.isEmpty ? 0 : 1) + (refusals.isEmpty ? 0 : 1))
      literal("cancelled")
      self.ids(ids, of: outcome)
      if !leased.isEmpty {
        literal("leased")
        self.ids(leased, of: outcome)
      }
      refused(refusals, of: outcome, hasTokens: false)
    case .refused:
      preconditionFailure("a refusal is an error, not a result, and refuses the whole of a multi")
    case .purged(let count, let more):
      mapHeader(2)
      counted("purged", count, more: more)
    case .replayed(let count, let more, let refusals):
      mapHeader(refusals.isEmpty ? 2 : 3)
      counted("replayed", count, more: more)
      refused(refusals, of: outcome, hasTokens: false)
    case .deleted(let count, let more, let refusals):
      mapHeader(refusals.isEmpty ? 2 : 3)
      counted("deleted", count, more: more)
      refused(refusals, of: outcome, hasTokens: false)
    case .large(let index):
      largeResult(outcome.large[index], outcome: outcome)
    }
  }

  private mutating func largeResult(_ answer: LargeAnswer, outcome: borrowing Outcome) {
    switch answer {
    case .results(let answers):
      mapHeader(1)
      literal("results")
      arrayHeader(answers.count)
      for answer in answers { rareResult(answer, outcome: outcome) }
    case .job(let job):
      self.job(job)
    case .jobs(let jobs, let next):
      self.jobs(jobs, next: next)
    case .queues(let queues, let next):
      self.queues(queues, next: next)
    case .queue(let queue):
      self.queue(queue)
    case .statistics(let statistics):
      self.statistics(statistics)
    case .scheduled(let receipts): self.receipts(receipts)
    case .schedule(let schedule): self.schedule(schedule)
    case .schedules(let schedules, let next): self.schedules(schedules, next: next)
    case .named(let refusals, let ids): named(refusals, ids: ids)
    }
  }

  /// A key of the program text and a number.
  @inline(__always)
  mutating func pair(_ key: StaticString, _ value: UInt64) {
    literal(key)
    uint(value)
  }

  /// A key of the program text and a number.
  @inline(__always)
  mutating func pair(_ key: StaticString, _ value: Int) {
    literal(key)
    int(Int64(value))
  }

  /// A key of the program text and a truth.
  @inline(__always)
  mutating func pair(_ key: StaticString, _ value: Bool) {
    literal(key)
    bool(value)
  }

  private mutating func ids(_ range: Range<Int>, of outcome: borrowing Outcome) {
    arrayHeader(range.count)
    for index in range { uint(outcome.ids[index].rawValue) }
  }

  private mutating func counted(_ key: StaticString, _ count: Int, more: Bool) {
    pair(key, count)
    pair("more", more)
  }

  /// The pair `refused`, if anything was.
  @inline(__always)
  private mutating func refused(_ range: Range<Int>, of outcome: borrowing Outcome, hasTokens: Bool) {
    if range.isEmpty { return }
    literal("refused")
    arrayHeader(range.count)
    for index in range {
      let refusal = outcome.refusals[index]
      mapHeader(hasTokens ? 4 : 3)
      pair("id", refusal.id.rawValue)
      if hasTokens { pair("token", refusal.token.rawValue) }
      literal("code")
      literal(refusal.code.wireName)
      literal("message")
      literal(refusal.code.message)
    }
  }

  @inline(__always)
  private mutating func delivery(_ delivery: Delivery) {
    let isLimitUnusual = delivery.maximumAttempts != 3
    let isPostponed = delivery.postponed != 0
    let isFired = !delivery.schedule.isEmpty
    mapHeader(
      7 + (delivery.headers.isEmpty ? 0 : 1) + (delivery.tags.isEmpty ? 0 : 1)
        + (delivery.timeoutMilliseconds == 0 ? 0 : 1) + (isLimitUnusual ? 1 : 0) + (isPostponed ? 1 : 0)
        + (isFired ? 1 : 0))
    pair("id", delivery.id.rawValue)
    pair("token", delivery.token.rawValue)
    pair("attempt", UInt64(delivery.attempt))
    pair("lease_ms", UInt64(delivery.leaseMilliseconds))
    literal("queue")
    string(utf8: delivery.queue)
    literal("task")
    string(utf8: delivery.task)
    literal("payload")
    binary(delivery.payload)
    if !delivery.headers.isEmpty {
      literal("headers")
      raw(delivery.headers)
    }
    if !delivery.tags.isEmpty {
      literal("tags")
      raw(delivery.tags)
    }
    if delivery.timeoutMilliseconds != 0 { pair("timeout_ms", UInt64(delivery.timeoutMilliseconds)) }
    if isLimitUnusual { pair("max_attempts", UInt64(delivery.maximumAttempts)) }
    if isPostponed { pair("postponed", UInt64(delivery.postponed)) }
    if isFired { fire(delivery.schedule, dueMilliseconds: delivery.dueMilliseconds) }
  }
}
