package import NuvomStorage
import SeededNumbers

/// A disk that keeps what POSIX promises, and nothing more.
///
/// What was written and not synced may, after the power was cut, be there, be missing, or be torn, sector by sector and in any order; names that
/// were changed and whose directory was not synced may have their old meaning. After a sync has failed, what it was to write may be missing for ever,
/// though a later sync succeeds. It can fail at any operation, be full, and lose its power in the midst of one.
///
/// Unchecked: a world has one thread.
package final class SimulatedDisk: Disk, @unchecked Sendable {
  /// What can be made to fail.
  package enum Operation: Int, CaseIterable, Sendable {
    case write, sync, rename, directorySync, allocate, open, remove
  }

  /// Operations that are to fail.
  package struct Fault: Sendable {
    package let operation: Operation
    /// Which of them, from 1 on.
    package let number: Int
    package let isFull: Bool
    /// Also all after it.
    package let isSticky: Bool

    package init(_ operation: Operation, number: Int, isFull: Bool, isSticky: Bool) {
      self.operation = operation
      self.number = number
      self.isFull = isFull
      self.isSticky = isSticky
    }
  }

  static let sectorBytes = 512

  private var random: SeededNumbers
  private var names: [String: Inode] = [:]
  private var durableNames: [String: Inode] = [:]
  private var changes: [Change] = []
  private weak var holder: Lock?

  /// Bytes that all files may have.
  package var capacity = Int.max
  package var fault: Fault?
  /// How often each operation was asked for since the disk was made.
  package private(set) var counts = [Int](repeating: 0, count: Operation.allCases.count)
  /// How many operations were made to fail.
  package private(set) var failures = 0
  /// After so many more operations that change something the power is gone.
  package var operationsUntilPowerCut: Int?
  /// The power is gone: nothing that is done now has any effect.
  package private(set) var isOff = false

  package init(seed: UInt64) { random = SeededNumbers(seed: seed) }

  final class Inode {
    var content: [UInt8] = []
    /// Bytes from the beginning that have once been synced; what is beyond is at the mercy of the next power cut.
    var durableSize = 0
    /// What was overwritten since the last sync, oldest first.
    var overwritten: [Overwritten] = []
    /// The same, of writes whose sync failed.
    var lost: [Overwritten] = []

    /// Pages that are written again are the next sync's again, with all that is in them.
    func dirty(_ range: Range<Int>) {
      let pages = range.lowerBound / 4_096 * 4_096..<(range.upperBound + 4_095) / 4_096 * 4_096
      var left: [Overwritten] = []
      for write in lost {
        for start in stride(from: 0, to: write.bytes.count, by: SimulatedDisk.sectorBytes) {
          let sector = Overwritten(
            offset: write.offset + start, bytes: Array(write.bytes.dropFirst(start).prefix(SimulatedDisk.sectorBytes)))
          if pages.contains(sector.offset) { overwritten.append(sector) } else { left.append(sector) }
        }
      }
      lost = left
    }
  }

  /// What a write replaced; in whole sectors.
  struct Overwritten {
    let offset: Int
    let bytes: [UInt8]
  }

  private enum Change {
    case create(String, Inode)
    case rename(String, String)
    case remove(String)

    func apply(to names: inout [String: Inode]) {
      switch self {
      case .create(let name, let inode): names[name] = inode
      case .rename(let old, let new): if let inode = names.removeValue(forKey: old) { names[new] = inode }
      case .remove(let name): names[name] = nil
      }
    }
  }

  private final class Lock: Sendable {}

  // MARK: Disk

  package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
    if let inode = names[path] {
      if case .create = mode {
        try begin(.open, path)
        return OpenFile(self, path, try make(path))
      }
      return OpenFile(self, path, inode)
    }
    switch mode {
    case .read, .write: throw StorageError(.inputOutput, "open failed: there is no such file", path: path, errno: 2)
    case .create, .createOrKeep:
      try begin(.open, path)
      return OpenFile(self, path, try make(path))
    }
  }

  private func make(_ path: String) throws(StorageError) -> Inode {
    let inode = Inode()
    // Reads see nothing of what is done without power; but the object is wanted.
    if !isOff { change(.create(path, inode)) }
    return inode
  }

  package func makeDirectory(_ path: String) throws(StorageError) {}

  package func names(in directory: String) throws(StorageError) -> [String] {
    names.keys.filter { $0.hasPrefix(directory + "/") }.map { String($0.dropFirst(directory.count + 1)) }.sorted()
  }

  package func rename(_ old: String, to new: String) throws(StorageError) {
    try begin(.rename, old)
    guard !isOff else { return }
    guard names[old] != nil else {
      throw StorageError(.inputOutput, "rename failed: there is no such file", path: old, errno: 2)
    }
    change(.rename(old, new))
  }

  package func remove(_ path: String) throws(StorageError) {
    guard names[path] != nil else { return }
    try begin(.remove, path)
    if !isOff { change(.remove(path)) }
  }

  package func syncDirectory(_ path: String) throws(StorageError) {
    try begin(.directorySync, path)
    guard !isOff else { return }
    durableNames = names
    changes.removeAll(keepingCapacity: true)
  }

  package func free(_ directory: String) throws(StorageError) -> Int { max(0, capacity - used) }

  package func lock(_ directory: String) throws(StorageError) -> any AnyObject & Sendable {
    if holder != nil { throw StorageError(.inUse, "the directory is in use", path: directory) }
    let lock = Lock()
    holder = lock
    return lock
  }

  package func isLocked(_ directory: String) -> Bool { holder != nil }

  /// Bytes of all files.
  package var used: Int { names.values.reduce(0) { $0 + $1.content.count } }

  private func change(_ change: Change) {
    change.apply(to: &names)
    changes.append(change)
  }

  /// Counts an operation, and throws if it is to fail.
  private func begin(_ operation: Operation, _ path: String) throws(StorageError) {
    if isOff { return }
    if let left = operationsUntilPowerCut {
      operationsUntilPowerCut = left - 1
      if left <= 0 {
        isOff = true
        return
      }
    }
    counts[operation.rawValue] += 1
    guard let fault, fault.operation == operation else { return }
    let number = counts[operation.rawValue]
    guard fault.isSticky ? number >= fault.number : number == fault.number else { return }
    failures += 1
    throw failure(operation, path, isFull: fault.isFull)
  }

  private func failure(_ operation: Operation, _ path: String, isFull: Bool) -> StorageError {
    isFull
      ? StorageError(.diskFull, "\(operation) failed: no space left on device", path: path, errno: 28)
      : StorageError(.inputOutput, "\(operation) failed: input/output error", path: path, errno: 5)
  }

  // MARK: The end of a process, and of power

  /// The process that used the disk is gone; what it wrote is there.
  package func processEnded() {
    isOff = false
    operationsUntilPowerCut = nil
    holder = nil
  }

  /// The power was cut: what was not made durable is decided now.
  package func powerCut() {
    processEnded()
    let kept = random.below(changes.count + 1)
    var survivors = durableNames
    for change in changes[..<kept] { change.apply(to: &survivors) }
    for (_, inode) in survivors.sorted(by: { $0.key < $1.key }) { settle(inode) }
    names = survivors
    durableNames = survivors
    changes.removeAll(keepingCapacity: true)
  }

  /// Rolls back, sector by sector, some of what was written and not synced.
  private func settle(_ inode: Inode) {
    let writes = inode.lost + inode.overwritten
    inode.lost = []
    inode.overwritten = []
    var versions: [Int: [(write: Int, offset: Int)]] = [:]
    for (index, write) in writes.enumerated() {
      for sector in stride(from: 0, to: write.bytes.count, by: Self.sectorBytes) {
        versions[write.offset + sector, default: []].append((index, sector))
      }
    }
    let keepsAll = random.once(in: 3)
    for (offset, overwritten) in versions.sorted(by: { $0.key < $1.key }) where !keepsAll {
      let survivors = random.below(overwritten.count + 1)
      guard survivors < overwritten.count else { continue }
      let (write, start) = overwritten[survivors]
      let old = writes[write].bytes[start..<min(start + Self.sectorBytes, writes[write].bytes.count)]
      // A sector that was being written when the power went may be new to its middle.
      let torn = random.once(in: 8) ? random.below(old.count) : 0
      inode.content.replaceSubrange(offset + torn..<offset + old.count, with: old.dropFirst(torn))
    }
    if inode.content.count > inode.durableSize {
      let size = inode.durableSize + random.below(inode.content.count - inode.durableSize + 1)
      inode.content.removeSubrange(size...)
      for offset in stride(from: inode.durableSize, to: size, by: Self.sectorBytes) where random.once(in: 2) {
        let end = min(offset + Self.sectorBytes, size)
        inode.content.replaceSubrange(offset..<end, with: repeatElement(0, count: end - offset))
      }
    }
    inode.durableSize = inode.content.count
  }

  /// All that is on the disk, in an order: for the digest of a run.
  package func forEachFile(_ body: (String, [UInt8]) -> Void) {
    for (name, inode) in names.sorted(by: { $0.key < $1.key }) { body(name, inode.content) }
  }

  // MARK: Files

  private final class OpenFile: File, @unchecked Sendable {
    let disk: SimulatedDisk
    let path: String
    let inode: Inode

    init(_ disk: SimulatedDisk, _ path: String, _ inode: Inode) {
      self.disk = disk
      self.path = path
      self.inode = inode
    }

    func size() throws(StorageError) -> Int { inode.content.count }

    func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(StorageError) -> Int {
      let count = max(0, min(bytes.count, inode.content.count - offset))
      inode.content.withUnsafeBytes { content in
        bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: content[offset..<offset + count]))
      }
      return count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StorageError) {
      if disk.isOff { return }
      try disk.begin(.write, path)
      // The power went in the midst of it: the first part may have come through.
      let count = disk.isOff ? disk.random.below(bytes.count + 1) : bytes.count
      if offset + count > inode.content.count {
        let growth = offset + count - inode.content.count
        guard growth <= disk.capacity - disk.used else { throw disk.failure(.write, path, isFull: true) }
      }
      put(UnsafeRawBufferPointer(rebasing: bytes[..<count]), at: offset)
    }

    private func put(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
      let end = offset + bytes.count
      if !inode.lost.isEmpty { inode.dirty(offset..<end) }
      // Of what was durable, the old sectors are kept until the next sync.
      if offset < inode.durableSize {
        let first = offset / SimulatedDisk.sectorBytes * SimulatedDisk.sectorBytes
        let sectors = (end - first + SimulatedDisk.sectorBytes - 1) / SimulatedDisk.sectorBytes
        let last = min(inode.durableSize, first + sectors * SimulatedDisk.sectorBytes)
        inode.overwritten.append(Overwritten(offset: first, bytes: Array(inode.content[first..<last])))
      }
      if end > inode.content.count { inode.content += repeatElement(0, count: end - inode.content.count) }
      inode.content.withUnsafeMutableBytes { content in
        UnsafeMutableRawBufferPointer(rebasing: content[offset..<end]).copyMemory(from: bytes)
      }
    }

    func passByCache() -> Bool { true }
    func syncData() throws(StorageError) { try sync() }

    func sync() throws(StorageError) {
      if disk.isOff { return }
      do throws(StorageError) {
        try disk.begin(.sync, path)
      } catch {
        inode.lost += inode.overwritten
        inode.overwritten = []
        throw error
      }
      if disk.isOff { return }
      inode.overwritten.removeAll(keepingCapacity: true)
      inode.durableSize = inode.content.count
    }

    func allocate(_ size: Int) throws(StorageError) -> Bool {
      if disk.isOff { return true }
      try disk.begin(.allocate, path)
      let growth = size - inode.content.count
      guard growth > 0, !disk.isOff else { return true }
      guard growth <= disk.capacity - disk.used else { throw disk.failure(.allocate, path, isFull: true) }
      inode.content += repeatElement(0, count: growth)
      return true
    }
  }
}
