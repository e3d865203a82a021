import NuvomModel

/// What a job was enqueued with: the part that never changes, as it is in the log and (behind 6 bytes of enqueue time) in the arena.
///
///     flags u8 · task varint · [max_attempts] · [growth u8, base, cap, jitter u8] · [timeout] · [lease] · [retention] ·
///     [expiry, wall ms] · [headers, counted] · [tags, counted] · payload (the rest)
///
/// Brackets are there if their flag is set, so a plain job costs two bytes beside its payload.
package struct JobBody {
  var task: UInt32 = 0
  package var maximumAttempts: UInt16 = 3
  var backoff = Backoff()
  var timeoutMilliseconds: UInt32 = 0
  var leaseMilliseconds: UInt32 = 0
  package var retentionMilliseconds: UInt64 = 0
  /// Wall clock; 0 is never.
  package var expiryMilliseconds: UInt64 = 0
  var headers = BorrowedBytes.none
  var tags = BorrowedBytes.none
  package var payload = BorrowedBytes.none

  private enum Flag {
    static let maximumAttempts: UInt8 = 1
    static let backoff: UInt8 = 2
    static let timeout: UInt8 = 4
    static let lease: UInt8 = 8
    static let retention: UInt8 = 16
    static let expiry: UInt8 = 32
    static let headers: UInt8 = 64
    static let tags: UInt8 = 128
  }

  /// The enqueue time in front of the body in the arena: wall milliseconds, little-endian.
  static let timeBytes = 6

  /// Where the body begins in the arena: behind the enqueue time and, if a schedule enqueued the job, its fire (due time in wall ms, 8 bytes,
  /// and the schedule's name, counted by a byte).
  @inline(__always)
  static func offset(in bytes: BorrowedBytes, isFired: Bool) -> Int {
    isFired && bytes.count > timeBytes + 8 ? timeBytes + 9 + Int(bytes[timeBytes + 8]) : timeBytes
  }

  /// No body has more beside headers, tags and payload: three single bytes, at most eight numbers and two lengths.
  private static var fixedBytes: Int { 3 + 10 * EventWriter.Pen.longestVarint }

  /// A new job's body as bytes. `expiry` is on the wall clock, 0 for never.
  @inline(__always)
  static func write(_ job: NewJob, task: UInt32, expiry: UInt64, to writer: EventWriter) {
    var flags: UInt8 = 0
    if job.maximumAttempts != 3 { flags |= Flag.maximumAttempts }
    if job.backoff != Backoff() { flags |= Flag.backoff }
    if job.timeoutMilliseconds != 0 { flags |= Flag.timeout }
    if job.leaseMilliseconds != 0 { flags |= Flag.lease }
    if job.retentionMilliseconds != 0 { flags |= Flag.retention }
    if expiry != 0 { flags |= Flag.expiry }
    if job.headers.count > 0 { flags |= Flag.headers }
    if job.tags.count > 0 { flags |= Flag.tags }
    if flags != 0 { return write(job, flags, task: task, expiry: expiry, to: writer) }
    var pen = writer.begin(room: fixedBytes + job.payload.count)
    pen.byte(0)
    pen.varint(UInt64(task))
    pen.raw(job.payload)
    writer.end(pen)
  }

  /// The body of a job that is not plain.
  @inline(never)
  private static func write(_ job: NewJob, _ flags: UInt8, task: UInt32, expiry: UInt64, to writer: EventWriter) {
    var pen = writer.begin(room: fixedBytes + job.headers.count + job.tags.count + job.payload.count)
    pen.byte(flags)
    pen.varint(UInt64(task))
    if flags & Flag.maximumAttempts != 0 { pen.varint(UInt64(job.maximumAttempts)) }
    if flags & Flag.backoff != 0 {
      pen.byte(job.backoff.growth.rawValue)
      pen.varint(UInt64(job.backoff.baseMilliseconds))
      pen.varint(UInt64(job.backoff.capMilliseconds))
      pen.byte(job.backoff.jitterPercent)
    }
    if flags & Flag.timeout != 0 { pen.varint(UInt64(job.timeoutMilliseconds)) }
    if flags & Flag.lease != 0 { pen.varint(UInt64(job.leaseMilliseconds)) }
    if flags & Flag.retention != 0 { pen.varint(job.retentionMilliseconds) }
    if flags & Flag.expiry != 0 { pen.varint(expiry) }
    if flags & Flag.headers != 0 { pen.counted(job.headers) }
    if flags & Flag.tags != 0 { pen.counted(job.tags) }
    pen.raw(job.payload)
    writer.end(pen)
  }

  /// What it was enqueued with, but for names, expiry and what is not in a body.
  var asNew: NewJob {
    var job = NewJob()
    job.maximumAttempts = maximumAttempts
    job.backoff = backoff
    job.timeoutMilliseconds = timeoutMilliseconds
    job.leaseMilliseconds = leaseMilliseconds
    job.retentionMilliseconds = retentionMilliseconds
    job.headers = headers
    job.tags = tags
    job.payload = payload
    return job
  }

  /// Whether the body names an expiry, by its first byte.
  @inline(__always)
  static func namesExpiry(_ bytes: BorrowedBytes) -> Bool { bytes.count > 0 && bytes[0] & Flag.expiry != 0 }

  /// Reads a body; nil if the bytes are none.
  @inline(__always)
  package init?(_ bytes: BorrowedBytes) {
    var reader = EventReader(bytes)
    let flags = reader.byte()
    task = reader.varint32()
    if flags != 0 {
      if flags & Flag.maximumAttempts != 0 { maximumAttempts = UInt16(truncatingIfNeeded: reader.varint()) }
      if flags & Flag.backoff != 0 {
        guard let growth = Backoff.Growth(rawValue: reader.byte()) else { return nil }
        backoff = Backoff(
          growth: growth, baseMilliseconds: reader.varint32(), capMilliseconds: reader.varint32(),
          jitterPercent: min(reader.byte(), 100))
      }
      if flags & Flag.timeout != 0 { timeoutMilliseconds = reader.varint32() }
      if flags & Flag.lease != 0 { leaseMilliseconds = reader.varint32() }
      if flags & Flag.retention != 0 { retentionMilliseconds = reader.milliseconds() }
      if flags & Flag.expiry != 0 { expiryMilliseconds = reader.milliseconds() }
      if flags & Flag.headers != 0 { headers = reader.counted() }
      if flags & Flag.tags != 0 { tags = reader.counted() }
    }
    payload = reader.rest
    if reader.isDamaged { return nil }
  }
}
