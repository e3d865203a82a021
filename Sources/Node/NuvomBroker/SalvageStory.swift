package import NuvomEngine
import NuvomModel
import NuvomSchedule
package import NuvomStorage
package import NuvomWAL

/// What is gone with the lost part of a damaged log, and what that means, for the person who decides whether to go on without it.
package struct SalvageStory {
  package let part: LostPart
  package let events: LostEvents

  package init(_ part: LostPart, _ events: LostEvents) {
    self.part = part
    self.events = events
  }

  /// As text, a line a fact. The same in `nuvom wal verify` and when `nuvom broker --recover` begins.
  package var lines: [String] {
    var lines: [String] = []
    if let damage = part.damage {
      lines.append("the damage: \(damage.path) at offset \(damage.offset): \(damage.reason)")
    }
    lines.append(kept)
    lines.append(gone)
    if part.batches > 0 { lines += details }
    if part.base != .nothing { lines += consequences }
    if part.base != .nothing { lines.append(files) }
    return lines
  }

  /// When it is done: what was kept, and where the rest is.
  package var outcome: [String] { [kept, files] }

  private var kept: String {
    let verb = part.folder == nil ? "`nuvom broker --recover` salvages" : "salvaged"
    return switch part.base {
    case .nothing:
      "nothing can be salvaged: no snapshot and no beginning of the log is left; restore a copy of the directory"
    case .segments: "\(verb): everything up to batch \(part.lastSequence), with all before it"
    case .snapshot: "\(verb): the snapshot of batch \(part.lastSequence), with all before it"
    }
  }

  private var files: String {
    part.folder.map { "the damaged files are in \($0): \(part.files.count), none was deleted" }
      ?? "the damaged files are kept in a folder of their own in the directory: \(part.files.count)"
  }

  private var gone: String {
    var text = "lost: \(part.unreadableBytes) bytes that cannot be read"
    guard let highest = part.highestSequence else { return text + "; no intact batch is behind the damage" }
    text += "; batches \(part.lastSequence + 1) to \(highest)"
    guard let times = part.times else { return text + ", none of which has events that can be read" }
    text += ", of which \(part.batches) can be read, written between \(Self.time(times.lowerBound)) and "
    return text + Self.time(times.upperBound)
  }

  private var details: [String] {
    var lines = [
      "in what can be read: \(events.enqueued.count) jobs enqueued, \(events.finished.count) finished, \(events.deliveries) deliveries, "
        + "\(events.fires) fires, \(events.schedules.count) schedules defined"
    ]
    if !events.enqueued.isEmpty { lines.append("enqueued there, and gone: \(Self.list(events.enqueued))") }
    let kept = finishedThatReturn
    if !kept.isEmpty {
      lines.append("finished there, and coming again unless a snapshot says otherwise: \(Self.list(kept))")
    }
    if !events.schedules.isEmpty {
      let names = events.schedules.map { String(decoding: $0, as: UTF8.self) }
      lines.append("schedules defined there, and as they were before, or gone: \(Self.some(names))")
    }
    if events.unknown > 0 { lines.append("\(events.unknown) intact batches hold what this version does not know") }
    return lines
  }

  /// Jobs that were there before the damage and finished behind it.
  private var finishedThatReturn: [JobID] {
    let enqueued = Set(events.enqueued)
    return events.finished.filter { !enqueued.contains($0) }
  }

  private var consequences: [String] {
    [
      "what that means: jobs enqueued in the lost part are gone: enqueue them again. Jobs that were acked there are delivered again, and due times that fired "
        + "there fire again by the schedule's rules for missed ones. A request of the lost part that its client retries is done anew. Leases given there are "
        + "refused with LEASE_LOST or NOT_FOUND; no job id and no lease token is given out twice."
    ]
  }

  private static func list(_ ids: [JobID]) -> String { some(ids.map(\.description)) }

  /// As many as a person reads.
  private static func some(_ names: [String]) -> String {
    let shown = names.prefix(50).joined(separator: " ")
    return names.count > 50 ? "\(shown) and \(names.count - 50) more (`nuvom wal verify --json` has all)" : shown
  }

  private static func time(_ microseconds: Int64) -> String {
    "\(ISOTime(seconds: microseconds / 1_000_000, in: .utc))"
  }
}

/// Collects what a look through a damaged log finds behind the damage.
package final class LostBatches: LostBatchHandler {
  package private(set) var events = LostEvents()

  package init() {}

  package func lost(_ batch: Batch) { events.add(batch.body, partition: 0) }
}
