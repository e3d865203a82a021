import Foundation
import NuvomWAL
import Testing

@testable import NuvomStorage

@Suite struct SalvageTests {
  /// Some segments of batches named 0, 1, …, not sealed.
  private func log(_ count: Int = 30) throws -> LogDirectory {
    let directory = try LogDirectory()
    let log = try OpenLog(directory)
    for number in 0..<count { log.commit(Self.text(number)) }
    return directory
  }

  private static func text(_ number: Int) -> String { "\(number) " + String(repeating: "x", count: 9000) }

  private func numbers(_ texts: [String]) -> [String] {
    texts.map { $0.split(separator: " ").first.map(String.init) ?? "" }
  }

  /// Changes a byte of the body of this batch; gives the file's name.
  @discardableResult
  private func damage(_ directory: LogDirectory, _ number: Int) throws -> String {
    let text = Array(Self.text(number).utf8)
    for name in directory.names(".wal") {
      var bytes = try directory.bytes(name)
      guard let place = bytes.indices.first(where: { bytes[$0...].starts(with: text) }) else { continue }
      bytes[place + 100] ^= 1
      try directory.write(bytes, to: name)
      return name
    }
    throw StorageError(.damaged, "no batch \(number)", path: directory.path)
  }

  private func refusal(_ directory: LogDirectory, salvaging: Bool = false) throws -> StorageError? {
    do {
      _ = try OpenLog(directory, salvaging: salvaging)
      return nil
    } catch let error as StorageError {
      return error
    }
  }

  @Test("A damaged log goes on up to the damage; what is behind it is told and put aside, and never comes back")
  func middle() throws {
    let directory = try log()
    let name = try damage(directory, 10)
    let damaged = try directory.copy()
    #expect(try refusal(directory)?.code == .damaged)
    let before = try #require(try WALStorage.verify(directory.path).lost)
    do {
      let log = try OpenLog(directory, salvaging: true)
      #expect(numbers(log.recovered.batches) == (0..<10).map(String.init))
      #expect(numbers(log.recovered.lost) == (11..<30).map(String.init))
      let lost = try #require(log.report.salvaged)
      #expect(lost.base == .segments && lost.batches == 19 && lost.damage == before.damage)
      #expect(lost.lastSequence == before.lastSequence && lost.highestSequence == 31)
      #expect(
        lost.unreadableBytes >= 9_000 && lost.unreadableBytes < 9_100 && lost.possibleBytes >= lost.unreadableBytes)
      let folder = try #require(lost.folder)
      // Nothing is deleted: the damaged file and those behind it.
      for old in damaged.names(".wal") where old >= name {
        let kept = try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(old)"))
        #expect(try Array(kept) == damaged.bytes(old), "\(old)")
      }
      log.commit("new")
    }
    #expect(try WALStorage.verify(directory.path).lost == nil)
    let (recovered, report) = try reopened(directory)
    #expect(numbers(recovered.batches) == (0..<10).map(String.init) + ["salvaged", "new"])
    #expect(report.torn == nil && directory.names("SALVAGE").isEmpty)
  }

  @Test("A log that is not damaged opens as without salvage, torn or not", arguments: [false, true])
  func undamaged(isTorn: Bool) throws {
    let directory = try log(3)
    if isTorn {
      let name = try #require(directory.names(".wal").last)
      var bytes = try directory.bytes(name)
      let end = try #require(try WALStorage.verify(directory.path).segments.last?.bytes)
      bytes.replaceSubrange(end..<end + 3, with: [1, 2, 3])
      try directory.write(bytes, to: name)
    }
    let log = try OpenLog(directory, salvaging: true)
    #expect(log.report.salvaged == nil && log.recovered.salvaged.isEmpty && (log.report.torn != nil) == isTorn)
    #expect(numbers(log.recovered.batches) == ["0", "1", "2"] && directory.names("damaged-1").isEmpty)
  }

  @Test("A missing segment, and a header that cannot be read, end what is salvaged before them")
  func segments() throws {
    for isMissing in [true, false] {
      let directory = try log()
      let name = directory.names(".wal")[2]
      if isMissing {
        try directory.remove(name)
      } else {
        var bytes = try directory.bytes(name)
        bytes[20] ^= 1
        try directory.write(bytes, to: name)
      }
      let log = try OpenLog(directory, salvaging: true)
      let lost = try #require(log.report.salvaged)
      let kept = log.recovered.batches.count
      #expect(kept > 5 && numbers(log.recovered.batches) == (0..<kept).map(String.init))
      // Of the file with the bad header the batches are intact.
      let next = isMissing ? kept + 6 : kept
      #expect(numbers(log.recovered.lost).first == "\(next)" && numbers(log.recovered.lost).last == "29")
      #expect(lost.possibleBytes >= (isMissing ? 32 << 20 : 0))
    }
  }

  @Test("What is cut off a file that another follows may have been as much as a whole segment", arguments: [0, 4_096])
  func truncated(bytes: Int) throws {
    let directory = try log()
    let name = directory.names(".wal")[1]
    try directory.write(Array(directory.bytes(name).prefix(bytes)), to: name)
    let lost = try #require(try OpenLog(directory, salvaging: true).report.salvaged)
    #expect(lost.possibleBytes >= 31 << 20 && lost.unreadableBytes <= bytes)
  }

  @Test("A damaged batch that others follow may have been as large as its gap, and no more")
  func gap() throws {
    let directory = try log()
    try damage(directory, 10)
    let lost = try #require(try OpenLog(directory, salvaging: true).report.salvaged)
    #expect(lost.possibleBytes < 10_000)
  }

  @Test("A second salvage has a folder of its own, also where the first was removed")
  func folders() throws {
    let directory = try log()
    try damage(directory, 20)
    #expect(try OpenLog(directory, salvaging: true).report.salvaged?.folder == "\(directory.path)/damaged-1")
    try FileManager.default.createDirectory(atPath: "\(directory.path)/damaged-2", withIntermediateDirectories: false)
    try FileManager.default.removeItem(atPath: "\(directory.path)/damaged-1")
    try damage(directory, 10)
    #expect(try OpenLog(directory, salvaging: true).report.salvaged?.folder == "\(directory.path)/damaged-3")
  }

  @Test("A log that is missing behind its snapshot, or ends before it, goes on from the snapshot")
  func snapshotAlone() throws {
    for isMissing in [true, false] {
      let directory = try LogDirectory()
      let before: LogDirectory
      do {
        let log = try OpenLog(directory)
        log.commit("one")
        before = try directory.copy()
        log.commit("two")
        _ = try log.snapshot(["state"]).get()
        log.commit("three")
      }
      let name = try #require(directory.names(".wal").first)
      if isMissing { try directory.remove(name) } else { try directory.write(before.bytes(name), to: name) }
      #expect(try refusal(directory)?.code == .damaged)
      do {
        let log = try OpenLog(directory, salvaging: true)
        #expect(log.recovered.chunks == ["1: state"] && log.recovered.batches == [])
        #expect(log.report.salvaged?.base == .snapshot && log.report.salvaged?.lastSequence == 3)
        log.commit("four")
      }
      let (recovered, _) = try reopened(directory)
      #expect(recovered.chunks == ["1: state"] && recovered.batches == ["salvaged", "four"])
    }
  }

  @Test("Where nothing is left to go on from, nothing is begun anew: it is refused, and nothing is changed")
  func nothing() throws {
    let directory = try LogDirectory()
    do {
      let log = try OpenLog(directory)
      for _ in 0..<10 { log.commit(Self.text(0)) }
      _ = try log.snapshot(["state"]).get()
      log.commit("behind")
    }
    let snapshot = try #require(directory.names(".snapshot").first)
    var bytes = try directory.bytes(snapshot)
    bytes[70] ^= 1
    try directory.write(bytes, to: snapshot)
    let names = directory.names("").sorted()
    let error = try #require(try refusal(directory, salvaging: true))
    #expect(
      error.code == .damaged && error.message.contains("nothing can be salvaged") && error.path.hasSuffix(snapshot))
    let after = try directory.bytes(snapshot)
    #expect(directory.names("").sorted() == names && after == bytes)
    #expect(try WALStorage.verify(directory.path).lost?.base == .nothing)
  }

  @Test(
    "A salvage that a crash interrupted is refused without being asked for, and finished when it is", arguments: 0...2)
  func interrupted(step: Int) throws {
    let directory = try log()
    let name = try damage(directory, 10)
    let damaged = try directory.copy()
    if step == 2 {
      // The fresh segment has its name.
      _ = try OpenLog(directory, salvaging: true)
    } else if step == 1 {
      // What is not gone on with has lost its name: the damaged segment is the last, and looks torn.
      for old in directory.names(".wal") where old > name { try directory.remove(old) }
    }
    try directory.write(Array("salvaged".utf8), to: "SALVAGE")
    #expect(try WALStorage.verify(directory.path).status == .damaged)
    let error = try #require(try refusal(directory))
    #expect(error.code == .damaged && error.message.contains("--recover"))
    do {
      let log = try OpenLog(directory, salvaging: true)
      #expect(numbers(log.recovered.batches).prefix(10) == (0..<10).map(String.init)[...])
      #expect(log.recovered.salvaged == ["salvaged"])
      log.commit("new")
    }
    let (recovered, _) = try reopened(directory)
    let later = numbers(recovered.batches).dropFirst(10)
    #expect(later.first == "salvaged" && later.last == "new" && Set(later) == ["salvaged", "new"])
    #expect(directory.names("SALVAGE").isEmpty && damaged.names(".wal").count > directory.names(".wal").count)
  }
}
