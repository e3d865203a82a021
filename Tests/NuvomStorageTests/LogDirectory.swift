import Foundation
import NuvomWAL
import Synchronization

@testable import NuvomStorage

/// A directory of its own for one test, removed with this value.
final class LogDirectory {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "nuvom-storage-\(UInt64.random(in: .min ... .max))"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Names of the files that end in `suffix`, in order.
  func names(_ suffix: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).filter { $0.hasSuffix(suffix) }.sorted()
  }

  func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: "\(path)/\(name)")))
  }

  func write(_ bytes: [UInt8], to name: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: "\(path)/\(name)"))
  }

  func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: "\(path)/\(name)") }

  /// Bytes of all the files.
  var size: Int { names("").reduce(0) { $0 + ((try? bytes($1).count) ?? 0) } }

  /// A copy, as a crash at this moment would leave the directory.
  func copy() throws -> LogDirectory {
    let other = try LogDirectory()
    for name in names("") { try other.write(bytes(name), to: name) }
    return other
  }
}

/// What a recovery gave, in words.
final class Recovered: SalvageHandler {
  var snapshot: UInt64?
  /// What was behind a damage, and the events that a salvage went on with.
  var lost: [String] = []
  var salvaged: [String] = []
  var chunks: [String] = []
  var batches: [String] = []

  func snapshotBegins(_ header: SnapshotHeader) { (snapshot, chunks, batches) = (header.sequence, [], []) }
  func snapshotRejected() { (snapshot, chunks, batches) = (nil, [], []) }
  func chunk(kind: UInt32, _ body: UnsafeRawBufferPointer) {
    chunks.append("\(kind): \(String(decoding: body, as: UTF8.self))")
  }
  func batch(_ batch: Batch) { batches.append(String(decoding: batch.body, as: UTF8.self)) }
  func lost(_ batch: Batch) { lost.append(String(decoding: batch.body, as: UTF8.self)) }
  func salvage(_ lost: LostPart) -> [UInt8] {
    salvaged.append("new")
    return Array("salvaged".utf8)
  }
  func salvaged(_ events: UnsafeRawBufferPointer) { salvaged.append(String(decoding: events, as: UTF8.self)) }
}

/// Results that other threads deliver, waited for in order.
final class Mailbox<Message: Sendable>: Sendable {
  private let messages = Monitor<[Message]>([])
  func put(_ message: Message) { messages.notify { $0.append(message) } }
  func take() -> Message { messages.wait { $0.isEmpty ? .wait : .take($0.removeFirst()) } }
}

/// An open log and what it answered.
final class OpenLog {
  let storage: WALStorage
  let report: RecoveryReport
  let recovered = Recovered()
  let results = Mailbox<CommitResult>()
  let snapshots = Mailbox<Result<SnapshotInfo, StorageError>>()
  private let chunkTaken = Mailbox<Bool>()
  private var buffer = BatchBuffer(bodyCapacity: 16)
  var clock: Int64 = 0

  init(_ directory: LogDirectory, salvaging: Bool = false, _ edit: (inout WALOptions) -> Void = { _ in }) throws {
    var options = WALOptions()
    options.segmentBytes = 64 << 10
    edit(&options)
    let results = results
    (storage, report) = try WALStorage.open(
      directory.path, options: options, at: LogTime(bootMicroseconds: 1, wallMicroseconds: 2), handler: recovered,
      salvage: salvaging ? recovered : nil
    ) { results.put($0) }
  }

  deinit { storage.close() }

  var time: LogTime { LogTime(bootMicroseconds: clock, wallMicroseconds: clock) }

  /// Commits one batch and waits for its result.
  @discardableResult
  func commit(_ text: String) -> CommitResult {
    Array(text.utf8).withUnsafeBytes { buffer.append($0) }
    return result(of: storage.submit(&buffer, at: time, isBusy: false))
  }

  func retry() -> CommitResult { result(of: storage.retry()) }

  private func result(of progress: CommitProgress) -> CommitResult {
    switch progress {
    case .finished(let result): result
    case .pending: results.take()
    }
  }

  /// Begins a snapshot whose end goes to `snapshots`.
  func beginSnapshot() -> (any SnapshotFeed)? {
    storage.beginSnapshot(
      at: time, ready: { [chunkTaken] in chunkTaken.put(true) }, completion: { [snapshots] in snapshots.put($0) })
  }

  /// Takes a snapshot of these chunks and waits for its end.
  func snapshot(_ chunks: [String]) -> Result<SnapshotInfo, StorageError> {
    guard let feed = beginSnapshot() else {
      return .failure(StorageError(.cancelled, "one is being written", path: ""))
    }
    for chunk in chunks {
      while !feed.offer(kind: 1, once(chunk)) {
        _ = chunkTaken.take()
      }
    }
    feed.finish()
    return snapshots.take()
  }

  func seal() throws { try storage.seal(at: time) }
}

/// Encodes one chunk that holds the text.
func once(_ text: String) -> @Sendable (inout BatchBuffer) -> Bool {
  let isGiven = Mutex(false)
  return { buffer in
    if isGiven.withLock({ given in
      defer { given = true }; return given
    }) {
      return false
    }
    Array(text.utf8).withUnsafeBytes { buffer.append($0) }
    return true
  }
}

/// Opens the log once more and gives what was in it.
func reopened(_ directory: LogDirectory) throws -> (recovered: Recovered, report: RecoveryReport) {
  let log = try OpenLog(directory)
  return (log.recovered, log.report)
}
