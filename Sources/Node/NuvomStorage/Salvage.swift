import NuvomWAL

/// Goes on from the part of a damaged log that is surely right (FORMAT.md, "Salvage"). Nothing is deleted: what is not gone on with is in a
/// folder of its own.
struct Salvage {
  /// The events with which the log goes on.
  let events: [UInt8]
  /// What is given up.
  let lost: LostPart
  /// The header of the segment in which the log goes on, if it is not the walk's last.
  let header: SegmentHeader?

  /// Whether the log goes on in a new segment, behind a snapshot.
  var isFromSnapshot: Bool { header != nil }

  /// Takes everything that is not gone on with out of the directory and of the walk; nil if the log is not damaged.
  static func begin(_ walk: inout LogWalk, _ handler: any SalvageHandler, _ partition: UInt16) throws -> Salvage? {
    guard walk.damage != nil || walk.files.hasSalvage else { return nil }
    var lost = try walk.lostPart(handler)
    var header: SegmentHeader?
    switch lost.base {
    case .segments: break
    case .snapshot:
      guard let snapshot = walk.snapshot?.header else { break }
      header = SegmentHeader(
        logID: snapshot.logID, partition: snapshot.partition, segment: snapshot.sequence &+ 1,
        firstSequence: snapshot.sequence &+ 1)
    case .nothing:
      throw StorageError(
        .damaged,
        "nothing can be salvaged: \(walk.damage?.reason ?? "no part of the log is left"), and nothing else is left to begin with; restore the directory "
          + "from a copy; to begin anew without any of its jobs, move it away yourself",
        path: walk.damage?.path ?? walk.directory, offset: walk.damage?.offset)
    }
    let found = header ?? walk.tail
    guard found?.partition == partition else {
      throw StorageError(
        .foreign, "the log is of another partition than \(partition); use that partition's directory",
        path: walk.directory)
    }
    let events: [UInt8]
    if walk.files.hasSalvage {
      events = try read(LogFiles.salvage(walk.directory))
      try events.withUnsafeBytes { try handler.salvaged($0) }
    } else {
      events = try handler.salvage(lost)
    }
    lost.folder = try setAside(lost.files, of: walk, events)
    let kept = header == nil ? walk.segments.last?.segment : nil
    for file in walk.files.segments.reversed() where kept.map({ file.number > $0 }) ?? true {
      try Directory.remove(file.path)
    }
    for snapshot in walk.rejectedSnapshots { try Directory.remove(snapshot.path) }
    try Directory.sync(walk.directory)
    walk.files.segments.removeAll { file in kept.map { file.number > $0 } ?? true }
    walk.files.snapshots.removeAll { file in walk.rejectedSnapshots.contains { $0.path == file.path } }
    return Salvage(events: events, lost: lost, header: header)
  }

  /// The log goes on: it is not in between any more.
  static func end(_ directory: String) throws(StorageError) {
    try Directory.remove(LogFiles.salvage(directory))
    try Directory.sync(directory)
  }

  /// Gives the files a second name in a folder, and says durably that they are about to lose their first. Gives the folder.
  private static func setAside(_ paths: [String], of walk: LogWalk, _ events: [UInt8]) throws -> String {
    let directory = walk.directory
    let taken = Set(try Directory.names(directory))
    // A salvage that is gone on with uses the folder that it has made.
    let made = (1...).first { !taken.contains("damaged-\($0)") } ?? 1
    let number = walk.files.hasSalvage ? max(1, made - 1) : made
    let folder = "\(directory)/damaged-\(number)"
    try Directory.make(folder)
    for path in paths {
      let name = path.dropFirst(directory.count + 1)
      try Directory.link(path, as: "\(folder)/\(name)")
    }
    try Directory.sync(folder)
    try Directory.sync(directory)
    if walk.files.hasSalvage { return folder }
    let marker = LogFiles.salvage(directory)
    let file = try File.open(LogFiles.temporary(marker), .create)
    try events.withUnsafeBytes { try file.write($0, at: 0) }
    try file.sync()
    try Directory.rename(LogFiles.temporary(marker), to: marker)
    try Directory.sync(directory)
    return folder
  }

  private static func read(_ path: String) throws(StorageError) -> [UInt8] {
    let file = try File.open(path, .read)
    return Array(try ReadBuffer().load(file, at: 0, count: try file.size()))
  }
}
