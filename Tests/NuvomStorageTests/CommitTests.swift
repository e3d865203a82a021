import Glibc
import NuvomWAL
import Testing

@testable import NuvomStorage

@Suite struct CommitTests {
  private let every: [(CommitPlacement, SyncPolicy)] = [
    (.inline, .always), (.thread, .always), (.measured, .always), (.inline, .never), (.thread, .never),
    (.inline, .interval(milliseconds: 1)), (.thread, .interval(milliseconds: 1)),
  ]

  @Test("What was committed comes back in order, by every policy and place, across rolls and a batch beyond a segment")
  func roundTrip() throws {
    let texts = (0..<60).map { "\($0): " + String(repeating: "x", count: $0 == 30 ? 200_000 : $0 * 151) }
    for (placement, policy) in every {
      let directory = try LogDirectory()
      do {
        let log = try OpenLog(directory) {
          $0.placement = placement
          $0.sync = policy
        }
        #expect(log.report.isNew)
        for (index, text) in texts.enumerated() { #expect(log.commit(text) == .done(UInt64(index + 2))) }
        #expect(log.storage.lastSequence == 61)
        #expect(log.storage.counters.batches == 60)
      }
      let (recovered, report) = try reopened(directory)
      #expect(recovered.batches == texts)
      #expect(report.segments.count > 2 && report.torn == nil && !report.wasSealed && report.lastSequence == 61)
    }
  }

  @Test("The commit's place makes no difference in the log's bytes")
  func placesAgree() throws {
    func body(_ placement: CommitPlacement) throws -> [[String]] {
      let directory = try LogDirectory()
      let log = try OpenLog(directory) { $0.placement = placement }
      for round in 0..<50 { log.commit(String(repeating: "r", count: round * 100) + ".") }
      try log.seal()
      // The log's random number is in every checksum, so that the fields are compared.
      return try directory.names(".wal").map { name in
        try directory.bytes(name).withUnsafeBytes { raw in
          var reader = try SegmentReader(raw)
          var lines: [String] = []
          while let batch = reader.next() {
            let header = batch.header
            lines.append(
              "\(batch.offset) \(header.kind) \(header.sequence) \(header.durable) \(header.time) \(batch.body.count)")
          }
          return lines
        }
      }
    }
    let inline = try body(.inline)
    #expect(inline.count > 1)
    #expect(try body(.thread) == inline)
    #expect(try body(.measured) == inline)
  }

  @Test("While a commit is pending the buffer takes the next batch")
  func doubleBuffering() throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory) { $0.placement = .thread }
      var buffer = BatchBuffer()
      buffer.append(UInt8(ascii: "a"))
      #expect(log.storage.submit(&buffer, at: log.time, isBusy: false) == .pending)
      let left = buffer.count
      #expect(left == 0)
      buffer.append(UInt8(ascii: "b"))
      #expect(log.results.take() == .done(2))
      #expect(log.storage.submit(&buffer, at: log.time, isBusy: false) == .pending)
      #expect(log.results.take() == .done(3))
    }
    #expect(try reopened(directory).recovered.batches == ["a", "b"])
  }

  @Test("Each batch says how far the log was durable")
  func durableMarks() throws {
    func marks(_ policy: SyncPolicy) throws -> [UInt64] {
      let directory = try LogDirectory()
      let log = try OpenLog(directory) { $0.sync = policy }
      for _ in 0..<3 { log.commit("x") }
      return try directory.bytes(directory.names(".wal")[0]).withUnsafeBytes { raw in
        var reader = try SegmentReader(raw)
        var marks: [UInt64] = []
        while let batch = reader.next() { marks.append(batch.header.durable) }
        return marks
      }
    }
    #expect(try marks(.always) == [1, 1, 2, 3])
    #expect(try marks(.never) == [1, 1, 1, 1])
  }

  @Test("A write that fails is answered as failed, as is all after it", arguments: [CommitPlacement.inline, .thread])
  func failedWrite(placement: CommitPlacement) throws {
    try failing(with: "/dev/full", placement)
  }

  @Test("A sync that fails is answered as failed, as is all after it", arguments: [CommitPlacement.inline, .thread])
  func failedSync(placement: CommitPlacement) throws {
    try failing(with: "/dev/null", placement)
  }

  /// Puts a device in the place of the segment's open file, and sees to it that nothing is acknowledged any more.
  private func failing(with device: String, _ placement: CommitPlacement) throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory) { $0.placement = placement }
      #expect(log.commit("good") == .done(2))
      let broken = try SystemFile.open(device, .write)
      let present = try #require(log.storage.line.withLock { $0.file } as? SystemFile)
      #expect(dup2(broken.descriptor, present.descriptor) >= 0)
      for _ in 0..<2 {
        guard case .failed = log.commit("bad") else {
          Issue.record("a failed commit was acknowledged")
          return
        }
      }
      #expect(log.storage.lastSequence == 2)
      #expect(throws: StorageError.self) { try log.seal() }
      guard case .failure = log.snapshot(["state"]) else {
        Issue.record("a snapshot was taken of a failed log")
        return
      }
    }
    #expect(try reopened(directory).recovered.batches == ["good"])
  }

  @Test("A sync that fails beside the commits is told once, and nothing is accepted after")
  func failedIntervalSync() throws {
    let directory = try LogDirectory()
    let log = try OpenLog(directory) { $0.sync = .interval(milliseconds: 1) }
    let broken = try SystemFile.open("/dev/null", .write)
    let present = try #require(log.storage.line.withLock { $0.file } as? SystemFile)
    #expect(dup2(broken.descriptor, present.descriptor) >= 0)
    #expect(log.commit("written, never synced") == .done(2))
    guard case .failed(let error) = log.results.take() else {
      Issue.record("the failure was not told")
      return
    }
    #expect(log.commit("next") == .failed(error))
  }

  @Test("A written batch is synced by itself when the interval is over")
  func interval() throws {
    let directory = try LogDirectory()
    let log = try OpenLog(directory) { $0.sync = .interval(milliseconds: 1) }
    log.commit("one")
    let syncs = log.storage.line.wait {
      $0.counters.syncs > 0
        ? .take($0.counters.syncs) : .waitUntil(microseconds: systemMonotonicMicroseconds() + 1000)
    }
    #expect(syncs == 1)
  }
}
