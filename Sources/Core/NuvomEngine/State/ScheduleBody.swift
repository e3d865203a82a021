import NuvomModel

/// How a schedule is defined, as it is in the log and in the arena.
///
///     created, updated: wall ms, 6 bytes each · name, counted · times: kind u8 and ms | cron, counted, zone, gap u8, fold u8 ·
///     policies u8 · flags u8 · [start] [end] [max_fires] [jitter] [catch_up] [metadata, counted] [retention] ·
///     queue · priority u8 · job (a `JobBody`, the rest; its expiry counts from the fire)
///
/// Brackets are there if their flag is set. Numbers are varints.
package struct ScheduleBody {
  var createdMilliseconds: Int64 = 0
  var updatedMilliseconds: Int64 = 0
  var name = BorrowedBytes.none
  var times = Times.at(milliseconds: 0)
  var startMilliseconds: UInt64?
  var endMilliseconds: UInt64?
  var maximumFires: UInt32 = 0
  var jitterMilliseconds: UInt64 = 0
  var misfire = MisfirePolicy.once
  var givenCatchUp: UInt64?
  var overlap = OverlapPolicy.allow
  var metadata = BorrowedBytes.none
  var retentionMilliseconds = NewSchedule().retentionMilliseconds
  package var queue: UInt32 = 0
  package var priority: UInt8 = 5
  package var job = BorrowedBytes.none

  /// As `ScheduleTimes`, with the zone's number.
  enum Times {
    case at(milliseconds: Int64)
    case after(milliseconds: Int64)
    case every(milliseconds: Int64)
    case cron(BorrowedBytes, zone: UInt32, GapPolicy, FoldPolicy)
  }

  private enum Kind: UInt8 { case at = 1, after, every, cron }

  private enum Flag {
    static let start: UInt8 = 1
    static let end: UInt8 = 2
    static let maximumFires: UInt8 = 4
    static let jitter: UInt8 = 8
    static let catchUp: UInt8 = 16
    static let metadata: UInt8 = 32
    static let retention: UInt8 = 64
  }

  var catchUpMilliseconds: UInt64 { givenCatchUp ?? misfire.catchUpMilliseconds }

  /// A definition as bytes. The numbers of its names, and of its zone if it has one, are given out already.
  static func write(
    _ schedule: NewSchedule, queue: UInt32, task: UInt32, zone: UInt32, created: Int64, updated: Int64,
    to writer: EventWriter
  ) {
    write(time: created, to: writer)
    write(time: updated, to: writer)
    writer.counted(schedule.name)
    switch schedule.times {
    case .at(let milliseconds):
      writer.byte(Kind.at.rawValue)
      writer.varint(milliseconds)
    case .after(let milliseconds):
      writer.byte(Kind.after.rawValue)
      writer.varint(milliseconds)
    case .every(let milliseconds):
      writer.byte(Kind.every.rawValue)
      writer.varint(milliseconds)
    case .cron(let expression, _, let gap, let fold):
      writer.byte(Kind.cron.rawValue)
      writer.counted(expression)
      writer.varint(UInt64(zone))
      writer.byte(gap.rawValue)
      writer.byte(fold.rawValue)
    }
    writer.byte(schedule.misfire.rawValue << 4 | schedule.overlap.rawValue)
    // To say the default is to say nothing.
    let catchUp =
      schedule.catchUpMilliseconds == schedule.misfire.catchUpMilliseconds ? nil : schedule.catchUpMilliseconds
    var flags: UInt8 = 0
    if schedule.startMilliseconds != nil { flags |= Flag.start }
    if schedule.endMilliseconds != nil { flags |= Flag.end }
    if schedule.maximumFires != 0 { flags |= Flag.maximumFires }
    if schedule.jitterMilliseconds != 0 { flags |= Flag.jitter }
    if catchUp != nil { flags |= Flag.catchUp }
    if schedule.metadata.count > 0 { flags |= Flag.metadata }
    if schedule.retentionMilliseconds != NewSchedule().retentionMilliseconds { flags |= Flag.retention }
    writer.byte(flags)
    if let start = schedule.startMilliseconds { writer.varint(start) }
    if let end = schedule.endMilliseconds { writer.varint(end) }
    if flags & Flag.maximumFires != 0 { writer.varint(UInt64(schedule.maximumFires)) }
    if flags & Flag.jitter != 0 { writer.varint(schedule.jitterMilliseconds) }
    if let catchUp { writer.varint(catchUp) }
    if flags & Flag.metadata != 0 { writer.counted(schedule.metadata) }
    if flags & Flag.retention != 0 { writer.varint(schedule.retentionMilliseconds) }
    writer.varint(UInt64(queue))
    writer.byte(schedule.job.priority)
    var expiry: UInt64 = 0
    // 0 says that there is none, so what expires at once expires after a millisecond.
    if case .after(let milliseconds) = schedule.job.expiry { expiry = max(1, milliseconds) }
    JobBody.write(schedule.job, task: task, expiry: expiry, to: writer)
  }

  private static func write(time: Int64, to writer: EventWriter) {
    for shift in stride(from: 0, to: 48, by: 8) { writer.byte(UInt8(truncatingIfNeeded: time >> Int64(shift))) }
  }

  /// Reads a body; nil if the bytes are none.
  package init?(_ bytes: BorrowedBytes) {
    var reader = EventReader(bytes)
    createdMilliseconds = Self.readTime(&reader)
    updatedMilliseconds = Self.readTime(&reader)
    name = reader.counted()
    guard let kind = Kind(rawValue: reader.byte()) else { return nil }
    switch kind {
    case .at: times = .at(milliseconds: Int64(reader.milliseconds()))
    case .after: times = .after(milliseconds: Int64(reader.milliseconds()))
    case .every:
      let interval = Int64(reader.milliseconds())
      guard interval > 0 else { return nil }
      times = .every(milliseconds: interval)
    case .cron:
      let expression = reader.counted()
      let zone = reader.varint32()
      guard let gap = GapPolicy(rawValue: reader.byte()), let fold = FoldPolicy(rawValue: reader.byte()) else {
        return nil
      }
      times = .cron(expression, zone: zone, gap, fold)
    }
    let policies = reader.byte()
    guard let misfire = MisfirePolicy(rawValue: policies >> 4), let overlap = OverlapPolicy(rawValue: policies & 0xF)
    else { return nil }
    self.misfire = misfire
    self.overlap = overlap
    let flags = reader.byte()
    if flags & Flag.start != 0 { startMilliseconds = reader.milliseconds() }
    if flags & Flag.end != 0 { endMilliseconds = reader.milliseconds() }
    if flags & Flag.maximumFires != 0 { maximumFires = reader.varint32() }
    if flags & Flag.jitter != 0 { jitterMilliseconds = reader.milliseconds() }
    if flags & Flag.catchUp != 0 { givenCatchUp = reader.milliseconds() }
    if flags & Flag.metadata != 0 { metadata = reader.counted() }
    if flags & Flag.retention != 0 { retentionMilliseconds = reader.milliseconds() }
    queue = reader.varint32()
    priority = reader.byte()
    job = reader.rest
    if reader.isDamaged || name.isEmpty || name.count > ProtocolLimits.nameBytes { return nil }
  }

  private static func readTime(_ reader: inout EventReader) -> Int64 {
    var time: Int64 = 0
    for shift in stride(from: 0, to: 48, by: 8) { time |= Int64(reader.byte()) << Int64(shift) }
    return time
  }

  /// The fields in which this definition differs from another, as bits by `ScheduleField`.
  func changes(from old: ScheduleBody) -> UInt32 {
    var changed: UInt32 = 0
    func note(_ field: ScheduleField, _ isChanged: Bool) { if isChanged { changed |= field.bit } }
    switch (times, old.times) {
    case (.at(let new), .at(let old)): note(.at, new != old)
    case (.after(let new), .after(let old)): note(.after, new != old)
    case (.every(let new), .every(let old)): note(.every, new != old)
    case (.cron(let new, let zone, let gap, let fold), .cron(let old, let oldZone, let oldGap, let oldFold)):
      note(.cron, !new.isSame(as: old))
      note(.timeZone, zone != oldZone)
      note(.gap, gap != oldGap)
      note(.fold, fold != oldFold)
    case (.at, _): note(.at, true)
    case (.after, _): note(.after, true)
    case (.every, _): note(.every, true)
    case (.cron, _): note(.cron, true)
    }
    note(.start, startMilliseconds != old.startMilliseconds)
    note(.end, endMilliseconds != old.endMilliseconds)
    note(.maximumFires, maximumFires != old.maximumFires)
    note(.jitter, jitterMilliseconds != old.jitterMilliseconds)
    note(.misfire, misfire != old.misfire)
    note(.catchUp, givenCatchUp != old.givenCatchUp)
    note(.overlap, overlap != old.overlap)
    note(.metadata, !metadata.isSame(as: old.metadata))
    note(.retention, retentionMilliseconds != old.retentionMilliseconds)
    note(.queue, queue != old.queue)
    note(.priority, priority != old.priority)
    guard let job = JobBody(job), let oldJob = JobBody(old.job) else { return changed }
    note(.task, job.task != oldJob.task)
    note(.payload, !job.payload.isSame(as: oldJob.payload))
    note(.headers, !job.headers.isSame(as: oldJob.headers))
    note(.tags, !job.tags.isSame(as: oldJob.tags))
    note(
      .options,
      job.maximumAttempts != oldJob.maximumAttempts || job.backoff != oldJob.backoff
        || job.timeoutMilliseconds != oldJob.timeoutMilliseconds || job.leaseMilliseconds != oldJob.leaseMilliseconds
        || job.retentionMilliseconds != oldJob.retentionMilliseconds
        || job.expiryMilliseconds != oldJob.expiryMilliseconds)
    return changed
  }
}

extension ScheduleField {
  var bit: UInt32 { 1 << UInt32(rawValue) }

  /// Those that say when a schedule is due.
  static let timesMask = [.at, .after, .every, .cron, .timeZone, .gap, .fold, .start, .end]
    .reduce(0) { (mask: UInt32, field: ScheduleField) in mask | field.bit }
}
