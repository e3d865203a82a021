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
        path: walk.damage?.path ?? walk.directory.path, offset: walk.damage?.offset)
    }
    let found = header ?? walk.tail
    guard found?.partition == partition else {
      throw StorageError(
        .foreign, "the log is of another partition than \(partition); use that partition's directory",
        path: walk.directory.path)
    }
    let events: [UInt8]
    if walk.files.hasSalvage {
      events = try read(LogFiles.salvage(walk.directory.path), on: walk.directory.disk)
      try events.withUnsafeBytes { try handler.salvaged($0) }
    } else {
      events = try handler.salvage(lost)
    }
    lost.folder = try setAside(lost.files, of: walk, keeping: header == nil ? walk.segments.last : nil, events)
    let kept = header == nil ? walk.segments.last?.segment : nil
    walk.files.segments.removeAll { file in kept.map { file.number > $0 } ?? true }
    let rejected = walk.rejectedSnapshots.map(\.path)
    walk.files.snapshots.removeAll { rejected.contains($0.path) }
    return Salvage(events: events, lost: lost, header: header)
  }

  /// The log goes on: it is not in between any more.
  static func end(_ directory: Directory) throws(StorageError) {
    try directory.disk.remove(LogFiles.salvage(directory.path))
    try directory.sync()
  }

  /// Moves the files into a folder, but for the segment in which the log goes on, of which the folder gets a copy. Before the first is moved, `SALVAGE` says
  /// durably that this is under way. Gives the folder.
  private static func setAside(
    _ paths: [String], of walk: LogWalk, keeping kept: SegmentSummary?, _ events: [UInt8]
  ) throws -> String {
    let directory = walk.directory
    let disk = directory.disk
    // A salvage that is gone on with uses the folder that it has made: the last. Folders before it may have been removed.
    let last = try directory.names().compactMap { $0.hasPrefix("damaged-") ? Int($0.dropFirst(8)) : nil }.max() ?? 0
    let folder = "\(directory.path)/damaged-\(walk.files.hasSalvage ? max(1, last) : last + 1)"
    try disk.makeDirectory(folder)
    let inside = Set(try disk.names(in: folder))
    func place(of path: String) -> (name: String, path: String) {
      let name = String(path.dropFirst(directory.path.count + 1))
      return (name, "\(folder)/\(name)")
    }
    if let kept {
      let copy = place(of: kept.path)
      // What is there already is the damaged one; the file in its place may be the fresh one by now.
      if !inside.contains(copy.name) { try Self.copy(kept.path, to: copy.path, on: disk) }
    }
    try disk.syncDirectory(folder)
    try directory.sync()
    if !walk.files.hasSalvage {
      let marker = LogFiles.salvage(directory.path)
      let file = try disk.open(LogFiles.temporary(marker), .create)
      try events.withUnsafeBytes { try file.write($0, at: 0) }
      try file.sync()
      try disk.rename(LogFiles.temporary(marker), to: marker)
      try directory.sync()
    }
    for path in paths.reversed() where path != kept?.path { try disk.rename(path, to: place(of: path).path) }
    try disk.syncDirectory(folder)
    try directory.sync()
    return folder
  }

  private static func copy(_ path: String, to copy: String, on disk: any Disk) throws(StorageError) {
    let source = try disk.open(path, .read)
    let file = try disk.open(copy, .create)
    let buffer = ReadBuffer()
    var offset = 0
    while true {
      let part = try buffer.load(source, at: offset, count: 1 << 20)
      if part.isEmpty { break }
      try file.write(part, at: offset)
      offset += part.count
    }
    try file.sync()
  }

  private static func read(_ path: String, on disk: any Disk) throws(StorageError) -> [UInt8] {
    let file = try disk.open(path, .read)
    let buffer = ReadBuffer()
    let size = try file.size()
    // What is loaded is the buffer's memory.
    return try withExtendedLifetime(buffer) { () throws(StorageError) in
      Array(try buffer.load(file, at: 0, count: size))
    }
  }
}
