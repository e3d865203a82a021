import NuvomModel

/// What happened to a job that did not go straight through: its last errors, lost leases, releases with a delay, replays, its result. One record in
/// the arena, written anew when something is added.
///
///     expired leases · attempts before the last replay + 65,536 × postponed · errors u8 ·
///     errors × [attempt · wall ms · type, message and trace, each counted] · has result u8 · result (the rest)
///
/// Numbers are varints. Two share one because a reader that knows of one only, and takes its 16 bits, reads both forms rightly.
struct JobHistory {
  static let errorsKept = 10

  var expiredLeases: UInt32 = 0
  /// Attempts that had ended when the dead letter was last replayed: they do not count against the allowance.
  var attemptsBeforeReplay: UInt16 = 0
  /// How often in a row the job was released with a delay. It begins anew when an attempt ends, so a dead letter has none.
  var postponed: UInt32 = 0
  var errors: [AttemptError] = []
  var result: [UInt8]?

  init() {}

  mutating func add(_ error: AttemptError) {
    errors.append(error)
    if errors.count > Self.errorsKept { errors.removeFirst() }
  }

  /// Reads a record. Damaged bytes (which only damaged memory could make) read as an empty history.
  init(_ bytes: BorrowedBytes) {
    var reader = EventReader(bytes)
    expiredLeases = reader.varint32()
    (attemptsBeforeReplay, postponed) = Self.readCounts(&reader)
    for _ in 0..<reader.byte() {
      errors.append(
        AttemptError(
          attempt: reader.varint32(), atMilliseconds: Int64(truncatingIfNeeded: reader.varint()),
          type: Array(reader.counted()), message: Array(reader.counted()), trace: Array(reader.counted())))
    }
    if reader.byte() == 1 { result = Array(reader.rest) }
  }

  /// `postponed` alone, for a delivery: nothing is allocated.
  static func postponed(in bytes: BorrowedBytes) -> UInt32 {
    var reader = EventReader(bytes)
    _ = reader.varint()
    return readCounts(&reader).postponed
  }

  private static func readCounts(
    _ reader: inout EventReader
  ) -> (attemptsBeforeReplay: UInt16, postponed: UInt32) {
    let both = reader.varint()
    return (UInt16(truncatingIfNeeded: both), UInt32(truncatingIfNeeded: both >> 16))
  }

  func write(to writer: EventWriter) {
    writer.varint(UInt64(expiredLeases))
    writer.varint(UInt64(postponed) << 16 | UInt64(attemptsBeforeReplay))
    writer.byte(UInt8(errors.count))
    for error in errors {
      writer.varint(UInt64(error.attempt))
      writer.varint(UInt64(bitPattern: error.atMilliseconds))
      error.type.withUnsafeBytes { writer.counted($0) }
      error.message.withUnsafeBytes { writer.counted($0) }
      error.trace.withUnsafeBytes { writer.counted($0) }
    }
    writer.byte(result == nil ? 0 : 1)
    result?.withUnsafeBytes { writer.raw($0) }
  }
}
