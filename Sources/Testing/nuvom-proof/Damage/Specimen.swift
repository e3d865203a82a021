import Foundation
import NuvomBroker
import NuvomEngine
import NuvomModel
import NuvomStorage
import NuvomWAL

/// A log as it is on disk, what is in it, and what its state is after each of its batches. Trials change its files and put them back.
final class Specimen {
  /// One batch of a segment, as it lies in the file.
  struct Place {
    let range: Range<Int>
    let sequence: UInt64
    let durable: UInt64
    let kind: BatchKind
  }

  /// A segment's file, and its batches.
  struct Segment {
    let name: String
    let bytes: [UInt8]
    let firstSequence: UInt64
    let places: [Place]

    /// Where the content ends.
    var end: Int { places.last?.range.upperBound ?? SegmentHeader.size }
    /// The sequence behind its last batch.
    var next: UInt64 { firstSequence + UInt64(places.count) }
  }

  let name: String
  let directory: String
  let segments: [Segment]
  /// The newest snapshot's file name, content and sequence.
  let snapshot: (name: String, bytes: [UInt8], sequence: UInt64)?
  /// The digest after each batch, from the memory of who wrote them.
  private let digests: [UInt64: UInt64]
  private let now: Time

  init(_ name: String, _ story: RecordedStory) throws {
    self.name = name
    directory = story.directory
    now = story.time
    let files = try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
    segments = try files.filter { $0.hasSuffix(".wal") }.map { try Self.read($0, in: story.directory) }
    snapshot = try files.last { $0.hasSuffix(".snapshot") }.map { name in
      let bytes = try Self.bytes(of: "\(story.directory)/\(name)")
      return (name, bytes, try bytes.withUnsafeBytes { try SnapshotHeader.decode($0).sequence })
    }
    digests = Self.digests(of: story)
  }

  private static func read(_ name: String, in directory: String) throws -> Segment {
    let bytes = try bytes(of: "\(directory)/\(name)")
    return try bytes.withUnsafeBytes { raw in
      var reader = try SegmentReader(raw)
      var places: [Place] = []
      while let batch = reader.next() {
        places.append(
          Place(
            range: batch.offset..<batch.offset + batch.header.encodedSize, sequence: batch.header.sequence,
            durable: batch.header.durable, kind: batch.header.kind))
      }
      return Segment(name: name, bytes: bytes, firstSequence: reader.header.firstSequence, places: places)
    }
  }

  private static func bytes(of path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  /// What a replay of the remembered batches gives, after each of them and after each that the log wrote by itself.
  private static func digests(of story: RecordedStory) -> [UInt64: UInt64] {
    let engine = Engine(RecordedStory.configuration, now: story.time)
    var digests: [UInt64: UInt64] = [0: engine.digest()]
    var sequence: UInt64 = 0
    for batch in story.batches {
      while sequence + 1 < batch.sequence {
        sequence += 1
        digests[sequence] = digests[sequence - 1]
      }
      let isReplayed = batch.body.withUnsafeBytes { engine.replay($0) }
      precondition(isReplayed, "an engine reads what an engine wrote")
      sequence = batch.sequence
      digests[sequence] = engine.digest()
    }
    // A seal, perhaps.
    digests[sequence + 1] = digests[sequence]
    return digests
  }

  /// The kinds of events in the last segment, by their tags.
  var tagsOfTail: Set<UInt8> {
    guard let tail = segments.last else { return [] }
    return tail.bytes.withUnsafeBytes { bytes in
      var tags: Set<UInt8> = []
      for place in tail.places where place.kind == .events {
        let length = Int(bytes.loadUnaligned(fromByteOffset: place.range.lowerBound + 8, as: UInt32.self).littleEndian)
        let start = place.range.lowerBound + BatchHeader.size
        tags.formUnion(Engine.eventTags(in: UnsafeRawBufferPointer(rebasing: bytes[start..<start + length])))
      }
      return tags
    }
  }

  // MARK: Trials

  /// How a start went.
  enum Finding: Equatable, CustomStringConvertible {
    /// All up to this batch is there.
    case intact(UInt64)
    /// All up to this batch is there, and what was behind it, from this offset on, is cut.
    case torn(UInt64, offset: Int)
    /// The start is refused, with file and offset.
    case refused(String, offset: Int)

    var description: String {
      switch self {
      case .intact(let last): "intact up to batch \(last)"
      case .torn(let last, let offset): "torn at \(offset), good up to batch \(last)"
      case .refused(let file, let offset): "refused at \(file), offset \(offset)"
      }
    }
  }

  /// What is wrong with a start's result, or nil; `expected` is what the rules say.
  func misjudged(_ expected: Finding) -> String? {
    let recovery = EngineRecovery(RecordedStory.configuration, now: now)
    do {
      let report = try WALStorage.verify(directory, giving: recovery)
      let last = report.segments.last?.lastSequence ?? 0
      let found: Finding
      if let damage = report.damage {
        found = .refused(String(damage.path.dropFirst(directory.count + 1)), offset: damage.offset)
      } else if let torn = report.torn {
        found = .torn(last, offset: torn.offset)
      } else {
        found = .intact(last)
      }
      guard found == expected else { return "\(found); by the rules: \(expected)" }
      if case .refused = found { return nil }
      return try differs(recovery.finished(), after: last)
    } catch { return "error: \(error)" }
  }

  private func differs(_ engine: Engine, after sequence: UInt64) -> String? {
    let digest = engine.digest()
    guard let wanted = digests[sequence] else { return "there never was a batch \(sequence)" }
    return digest == wanted ? nil : "the state is not the one after batch \(sequence)"
  }

  /// As `misjudged`, by opening the log as a broker does: what is refused leaves all files as they were, what is opened is intact from
  /// then on. The directory is changed by that.
  func misopened(_ expected: Finding) -> String? {
    let recovery = EngineRecovery(RecordedStory.configuration, now: now)
    var options = WALOptions()
    options.segmentBytes = 64 << 10
    do {
      let (storage, report) = try WALStorage.open(
        directory, options: options, at: LogTime(now), handler: recovery, completion: { _ in })
      storage.close()
      if case .refused = expected { return "opened; by the rules: \(expected)" }
      if let difference = try differs(recovery.finished(), after: report.lastSequence) { return difference }
      let again = EngineRecovery(RecordedStory.configuration, now: now)
      let after = try WALStorage.verify(directory, giving: again)
      guard after.status == .open, after.segments.last?.lastSequence == report.lastSequence + 1 else {
        return "opened, and then \(after.status) up to \(after.segments.last?.lastSequence ?? 0)"
      }
      return try differs(again.finished(), after: report.lastSequence)
    } catch let error as StorageError where error.code == .damaged {
      if case .refused(let file, let offset) = expected, error.path == "\(directory)/\(file)", error.offset == offset {
        return nil
      }
      return "\(error); by the rules: \(expected)"
    } catch { return "error: \(error)" }
  }

  /// Writes a file of the directory.
  func put(_ bytes: [UInt8], _ name: String) throws {
    let path = "\(directory)/\(name)"
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
    defer { Glibc.close(descriptor) }
    let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
    guard count == bytes.count else { throw CocoaError(.fileWriteOutOfSpace) }
  }

  /// Changes one byte of a file.
  func put(_ byte: UInt8, at offset: Int, _ file: Int32) throws {
    var byte = byte
    guard pwrite(file, &byte, 1, off_t(offset)) == 1 else { throw CocoaError(.fileWriteUnknown) }
  }

  /// Puts all files back as they were, and takes others away.
  func restore() throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: directory) where name != "LOCK" {
      try FileManager.default.removeItem(atPath: "\(directory)/\(name)")
    }
    for segment in segments { try put(segment.bytes, segment.name) }
    if let snapshot { try put(snapshot.bytes, snapshot.name) }
  }
}
