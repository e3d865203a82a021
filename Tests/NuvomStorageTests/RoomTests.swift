import NuvomWAL
import Testing

@testable import NuvomStorage

@Suite struct RoomTests {
  private let segment = 64 << 10
  private let big = String(repeating: "x", count: 9_000)

  @Test("Under churn disk use stays below three times the live data plus two segments", arguments: [0, 30, 200, 1000])
  func diskBound(liveKilobytes: Int) throws {
    let directory = try LogDirectory()
    let log = try OpenLog(directory) { $0.sync = .never }
    let live = liveKilobytes << 10
    let chunk = String(repeating: "s", count: liveKilobytes == 0 ? 1 : 10 << 10)
    let state = Array(repeating: chunk, count: max(1, liveKilobytes / 10))
    var highest = 0
    log.storage.snapshotEstimate = live
    for round in 0..<400 {
      log.commit(big)
      if log.storage.isSnapshotDue { _ = try log.snapshot(state).get() }
      if round % 7 == 0 { highest = max(highest, directory.size) }
    }
    #expect(highest <= 3 * (live + 4096) + 2 * segment)
    #expect(log.storage.counters.segmentCount <= live * 7 / 4 / segment + 2)
    #expect(directory.names(".spare").count <= 2)
  }

  @Test("Freed segments become spares, and spares segments, without their old content coming back")
  func recycling() throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory) { $0.placement = .inline }
      log.storage.snapshotEstimate = 4 * segment
      for round in 0..<5 {
        for _ in 0..<15 { log.commit("round \(round) " + big) }
        _ = try log.snapshot(["state \(round)"]).get()
      }
      #expect(directory.names(".spare").count == 2)
      for _ in 0..<9 { log.commit("last " + big) }
    }
    let (recovered, _) = try reopened(directory)
    #expect(recovered.chunks == ["1: state 4"])
    #expect(recovered.batches == Array(repeating: "last " + big, count: 9))
  }

  @Test("A recycled file that a crash left without its first batch is an empty segment, not a torn one")
  func recycledAndEmpty() throws {
    let directory = try LogDirectory()
    try directory.write([UInt8](repeating: 0xA5, count: segment), to: "old.spare")
    let header = SegmentHeader(logID: 1, partition: 0, segment: 1, firstSequence: 1)
    _ = try Spare(path: "\(directory.path)/old.spare", bytes: segment).become(
      header, for: .synced, in: Directory(disk: SystemDisk(), path: directory.path))
    #expect(try WALStorage.verify(directory.path).status == .open)
    #expect(try reopened(directory).report.torn == nil)
  }

  @Test(
    "At the disk limit a commit finds no room, keeps its batch, and goes on when a snapshot has freed some",
    arguments: [CommitPlacement.inline, .thread])
  func diskLimit(placement: CommitPlacement) throws {
    let directory = try LogDirectory()
    let limit = 5 * segment
    var committed = 0
    do {
      let log = try OpenLog(directory) {
        $0.placement = placement
        $0.diskLimit = limit
      }
      log.storage.snapshotEstimate = 1 << 10
      var feed: (any SnapshotFeed)?
      var result = CommitResult.noRoom
      repeat {
        if committed == 20 {
          feed = log.beginSnapshot()
        }
        log.clock += 1_000_000
        result = log.commit("\(committed) " + big)
        committed += 1
      } while result != .noRoom && committed < 1000
      #expect(result == .noRoom && committed < 40)
      #expect(log.storage.room(at: log.time) == 0)
      #expect(directory.size <= limit)
      #expect(log.retry() == .noRoom)
      try #require(feed).finish()
      #expect(try log.snapshots.take().get().sequence == 21)
      #expect(log.retry() == .done(UInt64(committed + 1)))
      #expect(log.commit("on") == .done(UInt64(committed + 2)))
      #expect(directory.size <= limit)
    }
    let (recovered, _) = try reopened(directory)
    #expect(recovered.batches == (20..<committed).map { "\($0) " + big } + ["on"])
  }

  @Test("Room falls as batches are written, is refreshed, and keeps a segment and the next snapshot free")
  func room() throws {
    let directory = try LogDirectory()
    let log = try OpenLog(directory) { $0.diskLimit = 10 * 64 << 10 }
    log.storage.snapshotEstimate = 2 * segment
    log.clock += 2_000_000
    let before = log.storage.room(at: log.time)
    #expect(before > 6 * segment && before < 8 * segment)
    log.commit(big)
    #expect(log.storage.room(at: log.time) == before - 9048)
    log.storage.snapshotEstimate += 1_000
    #expect(log.storage.room(at: log.time) == before - 9048 - 1_000, "also what only the next snapshot will have")
    log.storage.snapshotEstimate = 9 * segment
    log.clock += 2_000_000
    #expect(log.storage.room(at: log.time) == 0)
  }

  @Test("Others fill the disk, too: room is looked at anew when an eighth of a segment was written")
  func looksAgain() throws {
    let directory = try LogDirectory()
    let log = try OpenLog(directory) { $0.diskLimit = 10 * 64 << 10 }
    log.clock += 2_000_000
    let before = log.storage.room(at: log.time)
    // What a snapshot has given back is seen without a second's passing.
    let small = String(repeating: "x", count: 1_000)
    _ = try log.snapshot([big]).get()
    log.commit(small)
    #expect(log.storage.room(at: log.time) == before - 1_048)
    for _ in 0..<8 { log.commit(small) }
    #expect(log.storage.room(at: log.time) < before - segment)
  }

  @Test("Before a segment ends the next is there, also when the log holds more than it should")
  func spareInTime() throws {
    let directory = try LogDirectory()
    let log = try OpenLog(directory) {
      $0.placement = .inline
      $0.machine = Machine(
        disk: SystemDisk(), monotonicMicroseconds: { 0 }, randomNumber: { 1 }, hasThreads: false)
    }
    // Nothing is live, and no snapshot frees what is not.
    for _ in 0..<8 { log.commit(big) }
    _ = log.storage.room(at: log.time)
    #expect(!log.storage.runShelf() && directory.names(".wal").count == 2)
    for _ in 0..<2 { log.commit(big) }
    _ = log.storage.room(at: log.time)
    #expect(log.storage.runShelf() && directory.names(".spare").count == 1)
    #expect(!log.storage.runShelf())
  }

  @Test("When room is low, a snapshot that would free something is due before its usual time")
  func dueWhenLow() throws {
    let directory = try LogDirectory()
    let log = try OpenLog(directory) { $0.diskLimit = 16 * 64 << 10 }
    log.storage.snapshotEstimate = 8 * segment
    for _ in 0..<15 { log.commit(big) }
    #expect(!log.storage.isSnapshotDue)
    log.storage.snapshotEstimate = 12 * segment
    log.clock += 2_000_000
    _ = log.storage.room(at: log.time)
    #expect(log.storage.isSnapshotDue)
  }

  @Test("A limit of one segment gives one segment, and the seal has room in it")
  func seals() throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory) { $0.diskLimit = 64 << 10 }
      while case .done = log.commit(big) {}
      #expect(directory.size <= (64 << 10) + 16)
    }
    do {
      let log = try OpenLog(directory) { $0.diskLimit = 64 << 10 }
      try log.seal()
    }
    #expect(try WALStorage.verify(directory.path).status == .sealed)
  }
}
