import NuvomWAL
import Testing

@testable import NuvomStorage

@Suite struct RecoveryTests {
  /// A log of these batches, closed without a seal.
  private func log(_ texts: [String], _ edit: (inout WALOptions) -> Void = { _ in }) throws -> LogDirectory {
    let directory = try LogDirectory()
    let log = try OpenLog(directory, edit)
    for text in texts { log.commit(text) }
    return directory
  }

  private func code(_ directory: LogDirectory) throws -> StorageError.Code? {
    do {
      _ = try OpenLog(directory)
      return nil
    } catch let error as StorageError {
      return error.code
    }
  }

  private let first = "00000000000000000001.wal"

  @Test("A sealed log says so, goes on, and is open again")
  func seal() throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory)
      log.commit("one")
      try log.seal()
    }
    #expect(try WALStorage.verify(directory.path).status == .sealed)
    do {
      let log = try OpenLog(directory)
      #expect(log.report.wasSealed && log.recovered.batches == ["one"] && log.report.lastSequence == 3)
      #expect(log.commit("two") == .done(5))
    }
    let (recovered, report) = try reopened(directory)
    #expect(recovered.batches == ["one", "two"] && !report.wasSealed)
  }

  @Test("Opening again and again fills and outgrows the segment without losing a batch")
  func manyOpenings() throws {
    let directory = try log([String(repeating: "x", count: (64 << 10) - 4096 - 300)])
    for _ in 0..<12 { try OpenLog(directory).seal() }
    #expect(try reopened(directory).recovered.batches.count == 1)
    #expect(try directory.bytes(first).count > 64 << 10)
    do {
      let log = try OpenLog(directory)
      for _ in 0..<40 { log.commit(String(repeating: "y", count: 5000)) }
    }
    #expect(try reopened(directory).recovered.batches.count == 41)
  }

  @Test("Any byte of a log changed: refused with file and offset, or a torn tail, and never another content")
  func everyByteChanged() throws {
    let directory = try log(["one", "two", "three"])
    let content = try directory.bytes(first)
    let offsets = try content.withUnsafeBytes { raw in
      var reader = try SegmentReader(raw)
      var offsets: [Int] = []
      while let batch = reader.next() { offsets.append(batch.offset) }
      return offsets + [reader.offset]
    }
    #expect(offsets.count == 5)
    for index in offsets[0]..<offsets[4] {
      var flipped = content
      flipped[index] ^= 1 << (index % 8)
      try directory.write(flipped, to: first)
      let report = try WALStorage.verify(directory.path)
      let place = offsets.last { $0 <= index }
      let fault = index >= offsets[3] ? report.torn : report.damage
      #expect(fault?.offset == place && fault?.path == "\(directory.path)/\(first)")
      #expect(report.status == (index >= offsets[3] ? .torn : .damaged))
    }
  }

  @Test("A torn tail is cut and reported, and the log goes on behind it")
  func tornTail() throws {
    let directory = try log(["one", "two"])
    var content = try directory.bytes(first)
    let last = try #require(content.lastIndex { $0 != 0 })
    content[last] ^= 0xFF
    try directory.write(content, to: first)
    do {
      let log = try OpenLog(directory)
      #expect(log.recovered.batches == ["one"])
      let torn = try #require(log.report.torn)
      #expect(torn.path.hasSuffix(first) && torn.offset == 4096 + 48 + 56 && torn.bytes == 51)
      #expect(log.commit("three") == .done(4))
    }
    let (recovered, report) = try reopened(directory)
    #expect(recovered.batches == ["one", "three"] && report.torn == nil)
  }

  @Test("Damage is refused with file and offset, and nothing is changed")
  func damage() throws {
    let directory = try log(["one", "two", "three"])
    var content = try directory.bytes(first)
    content[4096 + 48 + 48] ^= 1
    try directory.write(content, to: first)
    for _ in 0..<2 {
      do {
        _ = try OpenLog(directory)
        Issue.record("a damaged log was opened")
      } catch let error as StorageError {
        #expect(error.code == .damaged && error.path.hasSuffix(first) && error.offset == 4096 + 48)
      }
      #expect(try directory.bytes(first) == content)
    }
  }

  private func rolled() throws -> LogDirectory {
    try log((0..<30).map { "\($0)" + String(repeating: "x", count: 9000) })
  }

  @Test("A missing segment is damage, wherever it was")
  func missingSegment() throws {
    for index in 0..<3 {
      let directory = try rolled()
      let names = directory.names(".wal")
      #expect(names.count > 4)
      try directory.remove(names[index])
      #expect(try code(directory) == .damaged)
      #expect(try WALStorage.verify(directory.path).status == .damaged)
    }
  }

  @Test("A bad batch or header in an earlier segment is damage, also in its last batch")
  func damageInEarlierSegment() throws {
    for fromEnd in [true, false] {
      let directory = try rolled()
      let name = directory.names(".wal")[1]
      var content = try directory.bytes(name)
      let last = try #require(content.lastIndex { $0 != 0 })
      content[fromEnd ? last : 20] ^= 1
      try directory.write(content, to: name)
      #expect(try code(directory) == .damaged)
    }
  }

  @Test("Exchanged, foreign and renamed segments are refused")
  func misplacedSegments() throws {
    let directory = try rolled()
    let names = directory.names(".wal")
    let (one, two) = (try directory.bytes(names[1]), try directory.bytes(names[2]))
    try directory.write(two, to: names[1])
    try directory.write(one, to: names[2])
    #expect(try code(directory) == .damaged)
    let other = try rolled()
    try other.write(one, to: names[1])
    #expect(try code(other) == .damaged)
  }

  @Test("A directory in use is refused with the holder's process id, and free after close")
  func lock() throws {
    let directory = try LogDirectory()
    let holder = try OpenLog(directory)
    #expect(try WALStorage.verify(directory.path).isInUse)
    do {
      _ = try OpenLog(directory)
      Issue.record("two brokers in one directory")
    } catch let error as StorageError {
      #expect(error.code == .inUse && error.message.contains("process with id "))
    }
    holder.storage.close()
    holder.storage.close()
    #expect(try !WALStorage.verify(directory.path).isInUse)
    #expect(try code(directory) == nil)
  }

  @Test("A newer format version is refused as such")
  func newerVersion() throws {
    let directory = try log(["one"])
    var content = try directory.bytes(first)
    content[8] = 2
    let sum = content.withUnsafeBytes { nuvomChecksum($0, count: 4092) }
    for index in 0..<4 { content[4092 + index] = UInt8(truncatingIfNeeded: sum >> (8 * index)) }
    try directory.write(content, to: first)
    #expect(try code(directory) == .newerVersion)
    #expect(throws: StorageError.self) { try WALStorage.verify(directory.path) }
  }

  @Test("A snapshot of a newer format version is refused as such, and never passed over for an older one")
  func newerSnapshot() throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory)
      log.commit("one")
      _ = try log.snapshot(["state"]).get()
    }
    let name = try #require(directory.names(".snapshot").first)
    var content = try directory.bytes(name)
    content[8] = 2
    let sum = content.withUnsafeBytes { nuvomChecksum($0, count: 60) }
    for index in 0..<4 { content[60 + index] = UInt8(truncatingIfNeeded: sum >> (8 * index)) }
    try directory.write(content, to: name)
    #expect(try code(directory) == .newerVersion)
    #expect(throws: StorageError.self) { try WALStorage.verify(directory.path) }
  }

  @Test("A path that is a file is refused as not writable, and another partition's log as foreign")
  func wrongPlaces() throws {
    let directory = try log(["one"])
    #expect(throws: StorageError.self) { try WALStorage.verify("\(directory.path)/nowhere") }
    do {
      _ = try WALStorage.open(
        "\(directory.path)/\(first)", at: LogTime(bootMicroseconds: 0, wallMicroseconds: 0), handler: Recovered()
      ) { _ in }
      Issue.record("a file was opened as a directory")
    } catch let error as StorageError {
      #expect(error.code == .notWritable)
    }
    do {
      _ = try OpenLog(directory) { $0.partition = 1 }
      Issue.record("another partition's log was opened")
    } catch let error as StorageError {
      #expect(error.code == .foreign)
    }
  }

  @Test("Unfinished files of a crash are removed, others left alone, and directories made")
  func leftovers() throws {
    let directory = try log(["one"])
    try directory.write([1, 2, 3], to: "00000000000000000007.snapshot.tmp")
    try directory.write([1, 2, 3], to: "00000000000000000009.spare")
    try directory.write([1, 2, 3], to: "notes.txt")
    #expect(try reopened(directory).recovered.batches == ["one"])
    #expect(directory.names(".tmp").isEmpty && directory.names("notes.txt").count == 1)
    #expect(try directory.names(".spare").allSatisfy { try directory.bytes($0).count == 64 << 10 })
    let (storage, report) = try WALStorage.open(
      "\(directory.path)/a/b", at: LogTime(bootMicroseconds: 0, wallMicroseconds: 0), handler: Recovered()
    ) { _ in }
    #expect(report.isNew)
    storage.close()
  }

  @Test("An empty directory is no log")
  func empty() throws {
    let directory = try LogDirectory()
    #expect(try WALStorage.verify(directory.path).status == .empty)
  }
}
