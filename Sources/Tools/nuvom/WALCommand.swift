import NuvomCommandLine
import ArgumentParser
import Glibc
import MessagePack
import NuvomBroker
import NuvomEngine
import NuvomModel
import NuvomStorage

struct WALCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wal", abstract: "Look into a broker's log.", subcommands: [VerifyCommand.self])
}

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read a log and say whether it is intact.",
    discussion: """
      Changes nothing, and may be run while a broker uses the log. Exit status: 0 intact; 3 its last write is incomplete, which the \
      broker cuts off when it starts and of which nobody was told; 65 damaged, or written by a newer version: the broker will not start; \
      66 there is no log; 74 it cannot be read.
      """)

  @Argument(help: "The directory that was given to the broker with --data.") var directory: String
  @OptionGroup var form: OutputForm

  func run() throws {
    let report: VerifyReport
    let lost = LostBatches()
    do {
      report = try WALStorage.verify(directory, lost: lost)
    } catch let error as StorageError where error.errno == ENOENT {
      throw noLog
    }
    if report.status == .empty { throw noLog }
    let story = report.lost.map { SalvageStory($0, lost.events) }
    try form.output.answer(report.document(story), report.lines + (story?.lines ?? []))
    switch report.status {
    case .sealed, .open, .empty: break
    case .torn: throw ExitCode(ExitStatus.torn.rawValue)
    case .damaged: throw ExitCode(ExitStatus.damaged.rawValue)
    }
  }

  private var noLog: Failure {
    Failure(.missing, "there is no log in \(directory); name the directory that was given to the broker with --data")
  }
}

extension VerifyReport {
  fileprivate var batches: Int { segments.reduce(0) { $0 + $1.batches } }

  fileprivate var lines: [String] {
    var lines: [String] = []
    if let snapshot {
      lines.append("snapshot of batch \(snapshot.sequence), \(SizeText.write(snapshot.bytes))")
    }
    for rejected in rejectedSnapshots { lines.append("snapshot not usable: \(rejected.path): \(rejected.problem)") }
    lines += Output.table(
      ["SEGMENT", "BATCHES", "FIRST", "LAST", "BYTES", "FILE"],
      segments.map { segment in
        let last = segment.batches == 0 ? "-" : "\(segment.lastSequence)"
        return [
          "\(segment.segment)", "\(segment.batches)", "\(segment.firstSequence)", last, "\(segment.bytes)",
          segment.path,
        ]
      })
    let amount = "\(batches) batches in \(segments.count) segments"
    switch status {
    case .empty: break
    case .sealed: lines.append("intact: \(amount), closed cleanly")
    case .open: lines.append("intact: \(amount), " + (isInUse ? "a broker is running on it" : "not closed cleanly"))
    case .torn:
      if let torn { lines.append("torn: \(torn.line); the broker cuts this off when it starts, nobody was told of it") }
      if isInUse {
        lines.append("a broker is running on it: what it is just writing looks torn; verify again when it has stopped")
      }
    case .damaged:
      if let damage {
        lines.append(
          "damaged: \(damage.line); the broker will not start: keep a copy, check the disk, then restore a backup, or see below"
        )
      } else {
        lines.append("a start with --recover was interrupted: start the broker with --recover once more to finish it")
      }
    }
    return lines
  }

  fileprivate func document(_ story: SalvageStory?) -> MessageValue {
    [
      "lost": story?.document ?? .null,
      "status": .string(status.rawValue), "in_use": .bool(isInUse), "batches": .count(batches),
      "snapshot": snapshot.map { ["sequence": .uint($0.sequence), "bytes": .count($0.bytes)] } ?? .null,
      "rejected_snapshots": .array(
        rejectedSnapshots.map { ["path": .string($0.path), "problem": .string("\($0.problem)")] }),
      "segments": .array(
        segments.map { segment in
          [
            "path": .string(segment.path), "segment": .uint(segment.segment), "batches": .count(segment.batches),
            "first_sequence": .uint(segment.firstSequence), "last_sequence": .uint(segment.lastSequence),
            "bytes": .count(segment.bytes), "file_bytes": .count(segment.fileBytes),
          ]
        }),
      "torn": torn?.document ?? .null, "damage": damage?.document ?? .null,
    ]
  }
}

extension LogFault {
  fileprivate var line: String { "\(path) at offset \(offset): \(reason)" }

  fileprivate var document: MessageValue {
    [
      "path": .string(path), "offset": .count(offset), "reason": .string(reason), "bytes": .count(bytes),
    ]
  }
}

extension SalvageStory {
  fileprivate var document: MessageValue {
    [
      "salvageable": .bool(part.base != .nothing), "last_sequence": .uint(part.lastSequence),
      "unreadable_bytes": .count(part.unreadableBytes), "batches": .count(part.batches),
      "highest_sequence": part.highestSequence.map { .uint($0) } ?? .null,
      "from_us": part.times.map { .int($0.lowerBound) } ?? .null,
      "to_us": part.times.map { .int($0.upperBound) } ?? .null,
      "enqueued": .array(events.enqueued.map { .string($0.description) }),
      "finished": .array(events.finished.map { .string($0.description) }), "deliveries": .count(events.deliveries),
      "fires": .count(events.fires),
      "schedules": .array(events.schedules.map { .string(String(decoding: $0, as: UTF8.self)) }),
      "files": .array(part.files.map { .string($0) }), "folder": part.folder.map { .string($0) } ?? .null,
    ]
  }
}
