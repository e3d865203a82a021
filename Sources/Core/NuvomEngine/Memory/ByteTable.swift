/// An index from byte strings to numbers that grows and shrinks step by step. It stores neither the strings nor the
/// hashes: the caller gives a hash (`ByteHash`) and says whether the string of a candidate equals.
///
/// Extendible hashing: the hash's top bits choose a *segment* through a directory, a segment is an open-addressing table
/// with linear probing of at most 4096 entries. A full segment splits in two by its next bit, two sparse
/// neighbours merge. So the longest pause is a split, a few tens of microseconds at any size of the table, and the
/// directory's doubling, a copy of 8 bytes for some two thousand entries. (A table in one piece would have to be moved and
/// zeroed, and every look-up would have to try two while that goes on.)
///
/// An entry is 8 bytes: the upper 32 bits of the hash, with the lowest of them set so that no entry is zero, and the
/// number. That is enough to place an entry anew without asking the caller for its hash.
///
/// For one thread. All state is behind pointers, for the reason that `Slab` gives.
struct ByteTable: ~Copyable {
  private let state: UnsafeMutablePointer<ByteTableState>

  init() {
    state = .allocate(capacity: 1)
    state.initialize(to: ByteTableState())
    let segment = TableSegment.make(depth: 0, slotBits: TableSegment.smallestBits)
    state.pointee.directory[0] = segment
    state.pointee.segmentBytes = segment.bytes
  }

  deinit {
    var index = 0
    while index < 1 << state.pointee.depth {
      let segment = state.pointee.directory[index]
      index += 1 << (state.pointee.depth - segment.depth)
      segment.destroy()
    }
    state.pointee.directory.deallocate()
    state.deallocate()
  }

  /// Entries.
  var count: Int { state.pointee.count }

  /// Memory held.
  var bytes: Int {
    state.pointee.segmentBytes + (1 << state.pointee.depth) * MemoryLayout<TableSegment>.stride
  }

  /// The number under this hash for which `equals` answers true.
  @inline(__always)
  func find(_ hash: UInt64, where equals: (UInt32) -> Bool) -> UInt32? {
    let fragment = Self.fragment(hash)
    let segment = state.pointee.directory[index(fragment)]
    let mask = segment.mask
    let slots = segment.slots
    var place = TableSegment.home(fragment) & mask
    while true {
      let entry = slots[place]
      if entry == 0 { return nil }
      if entry >> 32 == fragment, equals(UInt32(truncatingIfNeeded: entry)) {
        return UInt32(truncatingIfNeeded: entry)
      }
      place = (place + 1) & mask
    }
  }

  /// Adds a number. Look first: the same pair twice is two entries.
  func insert(_ hash: UInt64, _ id: UInt32) {
    let fragment = Self.fragment(hash)
    var segment = state.pointee.directory[index(fragment)]
    while segment.isFull {
      enlarge(segment, fragment)
      segment = state.pointee.directory[index(fragment)]
    }
    segment.add(fragment << 32 | UInt64(id))
    state.pointee.count += 1
  }

  /// Removes a number. False if it is not there under this hash.
  func remove(_ hash: UInt64, _ id: UInt32) -> Bool {
    let fragment = Self.fragment(hash)
    let segment = state.pointee.directory[index(fragment)]
    guard segment.remove(fragment << 32 | UInt64(id)) else { return false }
    state.pointee.count -= 1
    if segment.count < segment.capacity / 8 { diminish(segment, fragment) }
    return true
  }

  // MARK: Segments

  @inline(__always)
  private static func fragment(_ hash: UInt64) -> UInt64 { hash >> 32 | 1 }

  @inline(__always)
  private func index(_ fragment: UInt64) -> Int { index(fragment, depth: state.pointee.depth) }

  @inline(__always)
  private func index(_ fragment: UInt64, depth: Int) -> Int {
    Int(truncatingIfNeeded: fragment &>> UInt64(truncatingIfNeeded: 32 - depth))
  }

  /// Makes room in a full segment: twice the slots up to the largest size, then a split.
  @inline(never)
  private func enlarge(_ segment: TableSegment, _ fragment: UInt64) {
    // The depth has an end, in case that many entries share their top bits: then one segment grows beyond the size.
    if segment.slotBits < TableSegment.largestBits || segment.depth == Self.largestDepth {
      replace(segment, fragment, by: TableSegment.make(depth: segment.depth, slotBits: segment.slotBits + 1))
      return
    }
    if segment.depth == state.pointee.depth { doubleDirectory() }
    let depth = segment.depth + 1
    let low = TableSegment.make(depth: depth, slotBits: TableSegment.largestBits)
    let high = TableSegment.make(depth: depth, slotBits: TableSegment.largestBits)
    segment.forEach { entry in (index(entry >> 32, depth: depth) & 1 == 0 ? low : high).add(entry) }
    let span = 1 << (state.pointee.depth - depth)
    let start = index(fragment, depth: segment.depth) << 1 * span
    for place in start..<start + span { state.pointee.directory[place] = low }
    for place in start + span..<start + 2 * span { state.pointee.directory[place] = high }
    state.pointee.segmentBytes += low.bytes + high.bytes - segment.bytes
    segment.destroy()
  }

  /// Gives memory back when an eighth or less of a segment is used: half the slots if it is the only one, else a merger with
  /// its neighbour, if both fill less than a quarter of one.
  @inline(never)
  private func diminish(_ segment: TableSegment, _ fragment: UInt64) {
    if segment.depth == 0 {
      if segment.slotBits > TableSegment.smallestBits {
        replace(segment, fragment, by: TableSegment.make(depth: 0, slotBits: segment.slotBits - 1))
      }
      return
    }
    let own = index(fragment, depth: segment.depth)
    let neighbour = state.pointee.directory[(own ^ 1) << (state.pointee.depth - segment.depth)]
    let few = 1 << (TableSegment.largestBits - 2)
    guard neighbour.depth == segment.depth, segment.count + neighbour.count < few else { return }
    let merged = TableSegment.make(depth: segment.depth - 1, slotBits: TableSegment.largestBits)
    segment.forEach { merged.add($0) }
    neighbour.forEach { merged.add($0) }
    let span = 1 << (state.pointee.depth - merged.depth)
    let start = (own >> 1) * span
    for place in start..<start + span { state.pointee.directory[place] = merged }
    state.pointee.segmentBytes += merged.bytes - segment.bytes - neighbour.bytes
    segment.destroy()
    neighbour.destroy()
  }

  /// Moves a segment's entries to another of the same depth.
  private func replace(_ old: TableSegment, _ fragment: UInt64, by new: TableSegment) {
    old.forEach { new.add($0) }
    let span = 1 << (state.pointee.depth - old.depth)
    let start = index(fragment, depth: old.depth) * span
    for place in start..<start + span { state.pointee.directory[place] = new }
    state.pointee.segmentBytes += new.bytes - old.bytes
    old.destroy()
  }

  private static let largestDepth = 19

  private func doubleDirectory() {
    let count = 1 << state.pointee.depth
    let directory = UnsafeMutablePointer<TableSegment>.allocate(capacity: 2 * count)
    for place in 0..<2 * count { directory[place] = state.pointee.directory[place >> 1] }
    state.pointee.directory.deallocate()
    state.pointee.directory = directory
    state.pointee.depth += 1
  }
}

private struct ByteTableState {
  /// `1 << depth` places, by the hash's top bits; a segment of less depth has several.
  var directory = UnsafeMutablePointer<TableSegment>.allocate(capacity: 1)
  var depth = 0
  var count = 0
  var segmentBytes = 0
}

/// A segment: 16 bytes of header (count, depth, bits of the number of slots), then the slots.
private struct TableSegment: BitwiseCopyable {
  static let smallestBits = 4
  static let largestBits = 12

  private let header: UnsafeMutablePointer<UInt32>

  static func make(depth: Int, slotBits: Int) -> TableSegment {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 16 + 8 << slotBits, alignment: 16)
    let header = memory.bindMemory(to: UInt32.self, capacity: 4)
    header[0] = 0
    header[1] = UInt32(depth)
    header[2] = UInt32(slotBits)
    header[3] = UInt32(1 << slotBits - 1)
    (memory + 16).initializeMemory(as: UInt64.self, repeating: 0, count: 1 << slotBits)
    return TableSegment(header: header)
  }

  func destroy() {
    UnsafeMutableRawPointer(header).deallocate()
  }

  var count: Int { Int(header[0]) }
  var depth: Int { Int(header[1]) }
  var slotBits: Int { Int(header[2]) }
  @inline(__always)
  var mask: Int { Int(header[3]) }
  var capacity: Int { mask + 1 }
  var bytes: Int { 16 + 8 * capacity }
  var isFull: Bool { count >= capacity / 4 * 3 }
  @inline(__always)
  var slots: UnsafeMutablePointer<UInt64> {
    (UnsafeMutableRawPointer(header) + 16).assumingMemoryBound(to: UInt64.self)
  }

  /// Where the search for a fragment begins: by its lower bits, because the upper ones are alike in one segment.
  @inline(__always)
  static func home(_ fragment: UInt64) -> Int { Int(truncatingIfNeeded: fragment >> 1) }

  func forEach(_ body: (UInt64) -> Void) {
    for place in 0..<capacity where slots[place] != 0 { body(slots[place]) }
  }

  func add(_ entry: UInt64) {
    var place = Self.home(entry >> 32) & mask
    while slots[place] != 0 { place = (place + 1) & mask }
    slots[place] = entry
    header[0] += 1
  }

  func remove(_ entry: UInt64) -> Bool {
    var hole = Self.home(entry >> 32) & mask
    while slots[hole] != entry {
      if slots[hole] == 0 { return false }
      hole = (hole + 1) & mask
    }
    // Entries behind move up if the hole lies on their way from home, so that searches need no tombstones.
    var place = hole
    while true {
      place = (place + 1) & mask
      let candidate = slots[place]
      if candidate == 0 { break }
      let distance = (place - Self.home(candidate >> 32)) & mask
      if distance >= (place - hole) & mask {
        slots[hole] = candidate
        hole = place
      }
    }
    slots[hole] = 0
    header[0] -= 1
    return true
  }
}
