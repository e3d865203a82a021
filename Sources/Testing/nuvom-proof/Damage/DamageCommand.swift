import ArgumentParser
import Foundation
import NuvomBroker
import NuvomEngine
import NuvomStorage
import NuvomWAL

/// Cuts and changes a log and a snapshot wherever they can be, and compares how a start judges them with the rules.
struct DamageCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "damage",
    abstract: "A log with every kind of event, cut at every byte and with every bit flipped.",
    discussion: """
      A cut file ends there, or goes on with zeros, random bytes or an older segment's bytes. Each start must find the longest complete beginning, with the \
      state that a replay of it gives, and refuse exactly what had been durable.
      """)

  @Option(help: "Bytes of the segment that is cut, at least.") var size = 4_096
  @Option(help: "What the random bytes are made from.") var seed: UInt64 = 1
  @Option(
    help:
      "Of damage to segments before the last, and to those below a snapshot, which is nearly always refused, one case in so many is tried."
  )
  var stride = 29

  func validate() throws {
    guard (1...4 << 20).contains(size), stride > 0 else {
      throw ValidationError("--size is 1 to 4194304, --stride 1 or more")
    }
  }

  func run() throws {
    let room = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : NSTemporaryDirectory()
    let folder = "\(room)/nuvom-damage-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let findings = Findings(of: "damage")
    findings.say("seed \(seed)")
    var trials = DamageTrials(seed: seed, stride: stride)
    let log = try tellLog(in: "\(folder)/log", findings)
    try trials.run(log)
    try trials.run(try tellSnapshot(in: "\(folder)/snapshot", findings))
    try trials.run(try tellKeptLog(in: "\(folder)/kept"))
    for line in trials.summary { findings.say(line) }
    for failure in trials.failures { findings.fail(failure) }
    findings.say("\(trials.count) cases were judged by the rules")
    try findings.close()
  }

  /// A log of three segments: a round, a batch that is larger than a segment, and the rounds that are cut.
  private func tellLog(in directory: String, _ findings: Findings) throws -> Specimen {
    let story = try RecordedStory(directory, segmentBytes: segmentBytes)
    try story.tellRound()
    story.rollSegment()
    try fill(story)
    try story.close(sealing: false)
    let specimen = try Specimen("a log", story)
    let tags = specimen.tagsOfTail
    let missing = Engine.allEventTags.filter { !tags.contains($0) }
    guard missing.isEmpty else { throw ValidationError("the log lacks events with the tags \(missing)") }
    findings.say(
      "\(specimen.segments.count) segments; the last has \(specimen.segments.last?.end ?? 0) bytes, "
        + "\(specimen.segments.last?.places.count ?? 0) batches, all \(tags.count) kinds of events")
    return specimen
  }

  /// A snapshot in the middle of a segment, behind which the log goes on; older segments are gone.
  private func tellSnapshot(in directory: String, _ findings: Findings) throws -> Specimen {
    let story = try RecordedStory(directory, segmentBytes: segmentBytes)
    try story.tellRound()
    story.rollSegment()
    try fill(story)
    let info = try story.takeSnapshot()
    for number in 0..<3 { story.tellJob("job \(number) behind the snapshot") }
    try story.close(sealing: false)
    let specimen = try Specimen("a snapshot and its log", story)
    findings.say("a snapshot of \(info.bytes) bytes after batch \(info.sequence), \(specimen.segments.count) segments")
    return specimen
  }

  /// A snapshot for which the whole log is still there, so that it can be passed over.
  private func tellKeptLog(in directory: String) throws -> Specimen {
    let story = try RecordedStory(directory, segmentBytes: segmentBytes)
    try story.tellRound()
    _ = try story.takeSnapshot()
    story.tellJob("behind the snapshot")
    try story.close(sealing: false)
    return try Specimen("a snapshot with the whole log", story)
  }

  private var segmentBytes: Int { max(64 << 10, (size + (32 << 10) + 4_095) & ~4_095) }

  /// Goes on in a fresh segment, and tells rounds until so many bytes are in it.
  private func fill(_ story: RecordedStory) throws {
    func last() throws -> (number: UInt64, bytes: Int) {
      let segment = try WALStorage.verify(story.directory).segments.last
      return (segment?.segment ?? 0, (segment?.bytes ?? 0) - SegmentHeader.size)
    }
    let large = try last().number
    while try last().number == large { story.tellJob("on the way to the next segment") }
    repeat { try story.tellRound() } while try last().bytes < size
  }
}
