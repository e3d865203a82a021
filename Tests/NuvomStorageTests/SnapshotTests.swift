import Foundation
import CPlatform
import NuvomWAL
import Testing

@testable import NuvomStorage

/// The unseeded checksum that file headers carry.
func nuvomChecksum(_ bytes: UnsafeRawBufferPointer, count: Int) -> UInt32 { nuvom_crc32c(0, bytes.baseAddress, count) }

@Suite struct SnapshotTests {
  private let big = String(repeating: "x", count: 20_000)

  @Test("A snapshot replaces the segments below it; what follows is replayed", arguments: [SyncPolicy.always, .never])
  func snapshotAndReplay(policy: SyncPolicy) throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory) { $0.sync = policy }
      for _ in 0..<10 { log.commit(big) }
      #expect(log.storage.isSnapshotDue)
      let chunks = (0..<20).map { "chunk \($0)" }
      let info = try log.snapshot(chunks).get()
      #expect(info.sequence == 11)
      #expect(!log.storage.isSnapshotDue && log.storage.counters.segmentCount == 1)
      #expect(log.storage.counters.bytesSinceSnapshot == 0)
      log.commit("after")
      #expect(log.storage.counters.bytesSinceSnapshot == 56)
    }
    let (recovered, report) = try reopened(directory)
    #expect(recovered.snapshot == 11 && recovered.chunks == (0..<20).map { "1: chunk \($0)" })
    #expect(recovered.batches == ["after"])
    #expect(report.snapshot?.sequence == 11 && report.segments.count == 1)
    #expect(try WALStorage.verify(directory.path).snapshot?.sequence == 11)
  }

  @Test(
    "A snapshot frees no segment with a batch that it does not have, wherever it lies in the segment", arguments: 0...8)
  func batchesDuringSnapshot(before: Int) throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory) { $0.sync = .never }
      for _ in 0..<before { log.commit(big) }
      let feed = try #require(log.beginSnapshot())
      for index in 0..<8 { log.commit("\(index) " + big) }
      feed.finish()
      #expect(try log.snapshots.take().get().sequence == UInt64(before) + 1)
    }
    #expect(try reopened(directory).recovered.batches == (0..<8).map { "\($0) " + big })
  }

  @Test("A snapshot of a pending batch waits for it")
  func snapshotOfPendingBatch() throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory) { $0.placement = .thread }
      var buffer = BatchBuffer()
      buffer.append(UInt8(ascii: "p"))
      #expect(log.storage.submit(&buffer, at: log.time, isBusy: false) == .pending)
      #expect(try log.snapshot(["state with p"]).get().sequence == 2)
      #expect(log.results.take() == .done(2))
    }
    #expect(try reopened(directory).recovered.chunks == ["1: state with p"])
  }

  @Test("For a damaged newest snapshot the older one and its segments are used; without them the log is refused")
  func fallBack() throws {
    let directory = try LogDirectory()
    let before: LogDirectory
    do {
      let log = try OpenLog(directory)
      log.commit("one")
      _ = try log.snapshot(["old state"]).get()
      for _ in 0..<10 { log.commit(big) }
      before = try directory.copy()
      _ = try log.snapshot(["new state"]).get()
    }
    let name = try #require(directory.names(".snapshot").first)
    let whole = try directory.bytes(name)
    var flipped = whole
    flipped[80] ^= 1
    for broken in [flipped, Array(whole.dropLast()), Array(whole[..<70]), []] {
      try directory.write(broken, to: name)
      #expect(try WALStorage.verify(directory.path).damage?.path.hasSuffix(name) == true)
      #expect(throws: StorageError.self) { try OpenLog(directory) }
      let other = try before.copy()
      try other.write(broken, to: name)
      let (recovered, report) = try reopened(other)
      #expect(recovered.snapshot == 2 && recovered.chunks == ["1: old state"] && recovered.batches.count == 10)
      #expect(report.rejectedSnapshots.count == 1)
    }
    try directory.write(whole, to: name)
    #expect(try reopened(directory).recovered.chunks == ["1: new state"])
  }

  @Test("A snapshot that the disk does not give is a failure of the disk, not a damaged log")
  func unreadable() throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory)
      log.commit("one")
      _ = try log.snapshot(["state"]).get()
    }
    let name = try #require(directory.names(".snapshot").first)
    try directory.remove(name)
    // A directory can be opened, and not be read.
    try FileManager.default.createDirectory(atPath: "\(directory.path)/\(name)", withIntermediateDirectories: false)
    #expect {
      try OpenLog(directory)
    } throws: { error in
      guard let error = error as? StorageError else { return false }
      return error.code == .inputOutput && error.path.hasSuffix(name) && error.message.contains("check the disk")
    }
  }

  @Test("A crash at any step of a snapshot's end leaves a log that opens with the same content")
  func crashWhileReplacing() throws {
    let directory = try LogDirectory()
    let log = try OpenLog(directory)
    for _ in 0..<10 { log.commit(big) }
    let old = try directory.copy()
    _ = try log.snapshot(["state"]).get()
    log.storage.close()
    let name = try #require(directory.names(".snapshot").first)
    // The snapshot has its name; segments go oldest first, each step a state that a crash may leave.
    try old.write(directory.bytes(name), to: name)
    for segment in old.names(".wal").dropLast() {
      let crashed = try old.copy()
      let (recovered, _) = try reopened(crashed)
      #expect(recovered.chunks == ["1: state"] && recovered.batches.isEmpty)
      #expect(crashed.names(".wal").count == 1)
      try old.remove(segment)
    }
  }

  @Test("A log that ends before its snapshot is damaged, as is a snapshot without a log")
  func logBehindSnapshot() throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory)
      log.commit("one")
      log.commit("two")
      _ = try log.snapshot(["state"]).get()
    }
    let name = directory.names(".wal")[0]
    var content = try directory.bytes(name)
    for index in (4096 + 48 + 56)..<content.count { content[index] = 0 }
    try directory.write(content, to: name)
    #expect(try WALStorage.verify(directory.path).status == .damaged)
    try directory.remove(name)
    #expect(try WALStorage.verify(directory.path).status == .damaged)
  }

  @Test("A cancelled snapshot leaves nothing, one is written at a time, and chunks of an ended one are dropped")
  func cancel() throws {
    let directory = try LogDirectory()
    let log = try OpenLog(directory)
    log.commit("one")
    let feed = try #require(log.beginSnapshot())
    #expect(feed.offer(kind: 1, once("1")))
    #expect(log.beginSnapshot() == nil)
    #expect(!log.storage.isSnapshotDue)
    feed.cancel()
    guard case .failure(let error) = log.snapshots.take() else {
      Issue.record("a cancelled snapshot succeeded")
      return
    }
    #expect(error.code == .cancelled)
    #expect(directory.names(".snapshot.tmp").isEmpty && directory.names(".snapshot").isEmpty)
    for _ in 0..<20 {
      #expect(
        feed.offer(kind: 1) { _ in
          Issue.record("a dropped chunk was encoded")
          return false
        })
    }
    #expect(try log.snapshot(["state"]).get().sequence == 2)
  }

  @Test("Closing ends a snapshot that was not finished")
  func closeWhileWriting() throws {
    let directory = try LogDirectory()
    let log = try OpenLog(directory)
    let feed = try #require(log.beginSnapshot())
    #expect(feed.offer(kind: 1, once("1")))
    log.storage.close()
    guard case .failure = log.snapshots.take() else {
      Issue.record("the snapshot succeeded")
      return
    }
    #expect(directory.names(".snapshot.tmp").isEmpty)
  }
}
