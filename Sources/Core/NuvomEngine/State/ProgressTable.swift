import NuvomModel

/// A report, in a slot of its own. It holds its message in itself, so that one which replaces another takes no memory.
struct ProgressRecord: BitwiseCopyable {
  /// 64 bytes.
  private typealias Line = (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)

  let job: UInt64
  private let atMilliseconds: Int64
  /// 0…100, or `noPercent`.
  private let percent: UInt8
  private let messageLength: UInt8
  /// Room for the longest message, which is of 255 bytes.
  private var message: (Line, Line, Line, Line)

  private static let noPercent = UInt8.max

  init(_ report: ProgressReport, atMilliseconds: Int64) {
    let empty: Line = (0, 0, 0, 0, 0, 0, 0, 0)
    job = report.id.rawValue
    self.atMilliseconds = atMilliseconds
    percent = report.percent ?? Self.noPercent
    messageLength = UInt8(clamping: report.message.count)
    message = (empty, empty, empty, empty)
    withUnsafeMutableBytes(of: &message) { $0.copyBytes(from: report.message.prefix(Int(messageLength))) }
  }

  var told: JobProgress {
    JobProgress(
      percent: percent == Self.noPercent ? nil : percent,
      message: withUnsafeBytes(of: message) { Array($0.prefix(Int(messageLength))) }, atMilliseconds: atMilliseconds)
  }
}

/// How far workers have said they are with jobs that they hold: at most one report for each leased job. Volatile: neither in the log nor in snapshots.
struct ProgressTable: ~Copyable {
  private static var maximum: Int { 1 << 26 }

  private let reports: Slab<ProgressRecord>
  private let index: ByteTable
  private let hashing: ByteHash
  /// `bytes`, counted when it changes: every turn asks for it, and most brokers are told of no progress.
  private let heldBytes: UnsafeMutablePointer<Int>

  init(hash: ByteHash, slotLimit: UInt32, blocks: any BlockSource) {
    reports = Slab(maximumSlots: min(UInt32(Self.maximum), slotLimit), blocks: blocks)
    index = ByteTable()
    hashing = hash
    heldBytes = .allocate(capacity: 1)
    heldBytes.initialize(to: reports.bytes + index.bytes)
  }

  deinit { heldBytes.deallocate() }

  @inline(__always)
  var isEmpty: Bool { reports.count == 0 }

  /// Reports held.
  var count: Int { reports.count }

  /// Memory held.
  @inline(__always)
  var bytes: Int { heldBytes.pointee }

  /// Whether so many reports more can be kept.
  func hasRoom(for more: Int) -> Bool { count + more <= Self.maximum }

  /// Keeps a report, in place of the job's earlier one. Ask for room first.
  func put(_ report: ProgressReport, atMilliseconds: Int64) {
    let slot: UInt32
    if let known = find(report.id) {
      slot = known
    } else {
      guard let (new, _) = reports.allocate() else { preconditionFailure("the table was asked for room") }
      index.insert(hash(report.id), new)
      heldBytes.pointee = reports.bytes + index.bytes
      slot = new
    }
    reports.mutable(slot).initialize(to: ProgressRecord(report, atMilliseconds: atMilliseconds))
  }

  /// What was last reported of the job, or nil.
  func report(of job: JobID) -> JobProgress? {
    find(job).map { reports.pointer($0).pointee.told }
  }

  /// Forgets what was reported of the job, if anything was.
  @inline(never)
  func remove(_ job: JobID) {
    guard let slot = find(job), index.remove(hash(job), slot) else { return }
    reports.free(slot)
    heldBytes.pointee = reports.bytes + index.bytes
  }

  private func find(_ job: JobID) -> UInt32? {
    index.find(hash(job)) { reports.pointer($0).pointee.job == job.rawValue }
  }

  private func hash(_ job: JobID) -> UInt64 { withUnsafeBytes(of: job.rawValue) { hashing($0) } }
}
