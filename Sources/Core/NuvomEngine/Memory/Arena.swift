/// Where a record lies in an `Arena`: 24 bits of block above 20 bits of offset. Zero is no record.
struct ArenaReference: Equatable, Hashable, BitwiseCopyable, Sendable {
  static let none = ArenaReference(rawValue: 0)

  /// At most 44 bits.
  let rawValue: UInt64

  @inline(__always)
  init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  @inline(__always)
  fileprivate init(block: Int, offset: Int) {
    rawValue = UInt64(block) << 20 | UInt64(offset)
  }

  @inline(__always)
  var isNone: Bool { rawValue == 0 }
  @inline(__always)
  fileprivate var block: Int { Int(rawValue >> 20) }
  @inline(__always)
  fileprivate var offset: Int { Int(rawValue & 0xF_FFFF) }
}

/// Immutable byte records, packed one after another into blocks of 512 KiB.
///
/// A record is a header of 6 bytes (the owner's slot; 4 bits of kind and 12 of length) and its bytes, at no particular alignment.
/// Where 12 bits are all set, the length follows in 4 bytes. One of more than 128 KiB has a block of its own. `free` only counts: a block is given back when nothing in it is live. Blocks
/// held by a few old records are emptied by compaction, a block at a time, when the caller asks: `nextVictim`, then
/// `compact`.
///
/// **Pinning.** While pinned, no block is given back, reused or compacted, so that another thread can read, through the
/// `ArenaView`, every record that was live at `pin`. What becomes free meanwhile is given back after `unpin`, little by little,
/// because returning a block to the system takes tens of microseconds.
///
/// For one thread. All state is behind one pointer, for the reason that `Slab` gives.
struct Arena: ~Copyable {
  static let blockBytes = HeapBlocks.blockBytes
  /// The first block of an arena, which is all that a small broker needs.
  static let firstBlockBytes = 1 << 16
  /// A longer record has a block of its own.
  static let longestShared = 128 << 10
  static let longestRecord = 1 << 28 - 1
  /// The length from which on it has bytes of its own in the header.
  private static let longLength = 0xFFF

  private let source: any BlockSource
  private let state: UnsafeMutablePointer<ArenaState>

  init(_ source: any BlockSource) {
    self.source = source
    state = .allocate(capacity: 1)
    state.initialize(to: ArenaState())
  }

  deinit {
    for block in 1..<state.pointee.blockCount { giveMemory(state.pointee.blocks[block]) }
    state.pointee.blocks.deallocate()
    state.deallocate()
  }

  /// Memory held, the table of blocks included.
  var bytes: Int {
    state.pointee.heldBytes + state.pointee.blockCapacity * MemoryLayout<ArenaBlock>.stride
  }

  /// Bytes of live records with their headers.
  var liveBytes: Int { state.pointee.liveBytes }

  /// Bytes of freed records that are still in the way.
  var deadBytes: Int { state.pointee.usedBytes - state.pointee.liveBytes }

  /// Appends a record of `length` bytes (at most `longestRecord`), which the caller fills at once. The pointer is valid
  /// until the record is freed or moved.
  @inline(__always)
  func append(
    kind: UInt8, owner: UInt32, length: Int
  ) -> (reference: ArenaReference, bytes: UnsafeMutableRawPointer) {
    precondition(kind < 16 && length >= 0 && length <= Self.longestRecord, "a record fits its header")
    let size = Self.recordSize(length)
    var block = state.pointee.current
    if size > state.pointee.room || length > Self.longestShared { block = makeRoom(size: size, length: length) }
    let offset = Int(state.pointee.blocks[block].used)
    let record = state.pointee.blocks[block].base.unsafelyUnwrapped + offset
    record.storeBytes(of: owner, as: UInt32.self)
    record.storeBytes(of: UInt16(kind) << 12 | UInt16(min(length, Self.longLength)), toByteOffset: 4, as: UInt16.self)
    if length >= Self.longLength { record.storeBytes(of: UInt32(length), toByteOffset: 6, as: UInt32.self) }
    state.pointee.blocks[block].used += UInt32(size)
    state.pointee.blocks[block].live += UInt32(size)
    if block == state.pointee.current { state.pointee.room -= size }
    state.pointee.usedBytes += size
    state.pointee.liveBytes += size
    return (ArenaReference(block: block, offset: offset), record + Self.headerBytes(length))
  }

  /// The bytes of a live record.
  @inline(__always)
  func bytes(_ reference: ArenaReference) -> UnsafeRawBufferPointer {
    assert(!reference.isNone && reference.block < state.pointee.blockCount)
    let record = UnsafeRawPointer(state.pointee.blocks[reference.block].base.unsafelyUnwrapped) + reference.offset
    return Self.bytes(record)
  }

  /// Gives a live record up. Once for each record.
  @inline(__always)
  func free(_ reference: ArenaReference) {
    let block = reference.block
    let record = UnsafeRawPointer(state.pointee.blocks[block].base.unsafelyUnwrapped) + reference.offset
    let size = Self.recordSize(Self.length(record))
    precondition(state.pointee.blocks[block].live >= UInt32(size), "a record is freed once")
    state.pointee.blocks[block].live -= UInt32(size)
    state.pointee.liveBytes -= size
    if state.pointee.blocks[block].live == 0 { settleEmptied(block) }
  }

  // MARK: Compaction

  /// A block worth compacting: less than half live, while the dead bytes exceed 4 MiB and half of the live ones.
  ///
  /// Looks at 1024 blocks a call, going round, and picks the emptiest of them. Nil while pinned. Ask now and then also
  /// without a wish to compact: it returns surplus blocks to the system.
  func nextVictim() -> Int? {
    if state.pointee.isPinned { return nil }
    releaseSurplus(maximum: 2)
    guard deadBytes > max(4 << 20, liveBytes / 2) else { return nil }
    var victim: Int?
    var fewest = UInt32.max
    for _ in 0..<min(1024, state.pointee.blockCount) {
      if state.pointee.victimCursor >= state.pointee.blockCount { state.pointee.victimCursor = 1 }
      let index = state.pointee.victimCursor
      state.pointee.victimCursor += 1
      guard index < state.pointee.blockCount, index != state.pointee.current else { continue }
      let block = state.pointee.blocks[index]
      if block.live > 0, block.live < block.capacity / 2, block.live < fewest {
        fewest = block.live
        victim = index
      }
    }
    return victim
  }

  /// Moves the live records of a block that `nextVictim` named out of it, and gives it back.
  ///
  /// `isLive` must answer as `free` was called; `moved` tells where a record is now, and the old reference is void after it.
  /// Neither may use the arena.
  func compact(
    _ victim: Int, isLive: (_ owner: UInt32, _ kind: UInt8, _ reference: ArenaReference) -> Bool,
    moved: (_ owner: UInt32, _ kind: UInt8, _ old: ArenaReference, _ new: ArenaReference) -> Void
  ) {
    precondition(!state.pointee.isPinned && victim != state.pointee.current, "a closed block, while not pinned")
    let base = UnsafeRawPointer(state.pointee.blocks[victim].base.unsafelyUnwrapped)
    let end = Int(state.pointee.blocks[victim].used)
    var offset = 0
    while offset < end {
      let record = base + offset
      let length = Self.length(record)
      let size = Self.recordSize(length)
      let kind = UInt8(record.loadUnaligned(fromByteOffset: 4, as: UInt16.self) >> 12)
      let owner = record.loadUnaligned(as: UInt32.self)
      let old = ArenaReference(block: victim, offset: offset)
      if isLive(owner, kind, old) {
        let (new, bytes) = append(kind: kind, owner: owner, length: length)
        bytes.copyMemory(from: record + Self.headerBytes(length), byteCount: length)
        precondition(state.pointee.blocks[victim].live >= UInt32(size), "isLive answers as free was called")
        state.pointee.blocks[victim].live -= UInt32(size)
        state.pointee.liveBytes -= size
        moved(owner, kind, old, new)
      }
      offset += size
    }
    precondition(state.pointee.blocks[victim].live == 0, "isLive answers as free was called")
    settleEmptied(victim)
  }

  // MARK: Pinning

  /// Keeps every block where it is until `unpin`, and returns a view for another thread. Once at a time. The view must
  /// not be used after `unpin`, nor after the arena is gone.
  func pin() -> ArenaView {
    precondition(!state.pointee.isPinned, "an arena is pinned once at a time")
    state.pointee.isPinned = true
    return ArenaView(blocks: (0..<state.pointee.blockCount).map { UnsafeRawPointer(state.pointee.blocks[$0].base) })
  }

  /// Ends the pin. Blocks that became empty meanwhile are reused, or given back a few at a time by later calls.
  func unpin() {
    precondition(state.pointee.isPinned, "unpin follows pin")
    state.pointee.isPinned = false
    var block = state.pointee.deferred
    state.pointee.deferred = 0
    while block != 0 {
      let next = state.pointee.blocks[block].next
      retire(block)
      block = Int(next)
    }
    let current = state.pointee.current
    if current != 0, state.pointee.blocks[current].live == 0 { settleEmptied(current) }
    releaseSurplus(maximum: 2)
  }

  // MARK: Blocks

  @inline(__always)
  private static func headerBytes(_ length: Int) -> Int { length < longLength ? 6 : 10 }

  @inline(__always)
  static func recordSize(_ length: Int) -> Int { headerBytes(length) + length }

  @inline(__always)
  private static func length(_ record: UnsafeRawPointer) -> Int {
    let length = Int(record.loadUnaligned(fromByteOffset: 4, as: UInt16.self) & 0xFFF)
    return length < longLength ? length : Int(record.loadUnaligned(fromByteOffset: 6, as: UInt32.self))
  }

  @inline(__always)
  fileprivate static func bytes(_ record: UnsafeRawPointer) -> UnsafeRawBufferPointer {
    let length = length(record)
    return UnsafeRawBufferPointer(start: record + headerBytes(length), count: length)
  }

  /// A block with room for the record: one of its own, or a new current block.
  @inline(never)
  private func makeRoom(size: Int, length: Int) -> Int {
    if length > Self.longestShared { return addBlock(capacity: size) }
    let old = state.pointee.current
    let new: Int
    if state.pointee.idle != 0 {
      new = state.pointee.idle
      state.pointee.idle = Int(state.pointee.blocks[new].next)
      state.pointee.idleCount -= 1
    } else {
      let isFirst = state.pointee.heldBytes == 0 && size <= Self.firstBlockBytes
      new = addBlock(capacity: isFirst ? Self.firstBlockBytes : Self.blockBytes)
    }
    state.pointee.current = new
    state.pointee.room = Int(state.pointee.blocks[new].capacity)
    if old != 0, state.pointee.blocks[old].live == 0 { settleEmptied(old) }
    return new
  }

  private func addBlock(capacity: Int) -> Int {
    let block: Int
    if state.pointee.vacant != 0 {
      block = state.pointee.vacant
      state.pointee.vacant = Int(state.pointee.blocks[block].next)
    } else {
      block = state.pointee.blockCount
      precondition(block < 1 << 24, "an arena has at most 2^24 blocks")
      if block == state.pointee.blockCapacity { growTable() }
      state.pointee.blockCount += 1
    }
    let base =
      capacity == Self.blockBytes
      ? source.take() : UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
    state.pointee.blocks[block] = ArenaBlock(base: base, capacity: UInt32(capacity), used: 0, live: 0, next: 0)
    state.pointee.heldBytes += capacity
    return block
  }

  private func giveMemory(_ block: ArenaBlock) {
    guard let base = block.base else { return }
    if Int(block.capacity) == Self.blockBytes { source.give(base) } else { base.deallocate() }
  }

  private func growTable() {
    let capacity = state.pointee.blockCapacity * 2
    let blocks = UnsafeMutablePointer<ArenaBlock>.allocate(capacity: capacity)
    blocks.initialize(from: state.pointee.blocks, count: state.pointee.blockCount)
    state.pointee.blocks.deallocate()
    state.pointee.blocks = blocks
    state.pointee.blockCapacity = capacity
  }

  /// Finds the use of a block with no live byte: start over in it, keep it, or give it back.
  @inline(never)
  private func settleEmptied(_ block: Int) {
    if block == state.pointee.current {
      if state.pointee.isPinned { return }
      state.pointee.usedBytes -= Int(state.pointee.blocks[block].used)
      state.pointee.blocks[block].used = 0
      state.pointee.room = Int(state.pointee.blocks[block].capacity)
    } else if state.pointee.isPinned {
      state.pointee.blocks[block].next = UInt32(state.pointee.deferred)
      state.pointee.deferred = block
    } else {
      retire(block)
      releaseSurplus(maximum: 2)
    }
  }

  /// Puts an empty block to those for reuse, or, if it has not the common size, to those to give back.
  private func retire(_ block: Int) {
    state.pointee.usedBytes -= Int(state.pointee.blocks[block].used)
    state.pointee.blocks[block].used = 0
    if Int(state.pointee.blocks[block].capacity) == Self.blockBytes {
      state.pointee.blocks[block].next = UInt32(state.pointee.idle)
      state.pointee.idle = block
      state.pointee.idleCount += 1
    } else {
      state.pointee.blocks[block].next = UInt32(state.pointee.surplus)
      state.pointee.surplus = block
    }
  }

  /// Gives empty blocks back to their source until one for reuse is left.
  private func releaseSurplus(maximum: Int) {
    for _ in 0..<maximum {
      let block: Int
      if state.pointee.surplus != 0 {
        block = state.pointee.surplus
        state.pointee.surplus = Int(state.pointee.blocks[block].next)
      } else if state.pointee.idleCount > 1 {
        block = state.pointee.idle
        state.pointee.idle = Int(state.pointee.blocks[block].next)
        state.pointee.idleCount -= 1
      } else {
        return
      }
      state.pointee.heldBytes -= Int(state.pointee.blocks[block].capacity)
      giveMemory(state.pointee.blocks[block])
      state.pointee.blocks[block] = ArenaBlock(
        base: nil, capacity: 0, used: 0, live: 0, next: UInt32(state.pointee.vacant))
      state.pointee.vacant = block
    }
  }
}

/// The records of a pinned `Arena`, for another thread to read.
///
/// `@unchecked Sendable`: the table is a copy, and until `unpin` the arena neither frees nor writes to any byte of a record that
/// was live at `pin`, its header included; what is appended meanwhile lies elsewhere.
struct ArenaView: @unchecked Sendable {
  fileprivate let blocks: [UnsafeRawPointer?]

  /// The bytes of a record that was live at `pin`.
  func bytes(_ reference: ArenaReference) -> UnsafeRawBufferPointer {
    guard let base = blocks[reference.block] else { preconditionFailure("no record \(reference.rawValue) at pin") }
    return Arena.bytes(base + reference.offset)
  }
}

/// Blocks are numbered from 1, so that a number 0 ends a list and no reference is zero.
private struct ArenaState {
  var blocks: UnsafeMutablePointer<ArenaBlock>
  var blockCount = 1
  var blockCapacity = 16
  /// The block being filled, and the bytes left in it.
  var current = 0
  var room = 0
  /// Heads of lists: empty blocks for reuse, empty blocks to give back, blocks that became empty while pinned, and
  /// numbers without a block.
  var idle = 0
  var idleCount = 0
  var surplus = 0
  var deferred = 0
  var vacant = 0
  var victimCursor = 1
  var isPinned = false
  var heldBytes = 0
  var usedBytes = 0
  var liveBytes = 0

  init() {
    blocks = .allocate(capacity: blockCapacity)
    blocks[0] = ArenaBlock(base: nil, capacity: 0, used: 0, live: 0, next: 0)
  }
}

private struct ArenaBlock {
  var base: UnsafeMutableRawPointer?
  var capacity: UInt32
  /// Bytes appended, and of those the bytes of live records.
  var used: UInt32
  var live: UInt32
  /// The next in the list that the block is in.
  var next: UInt32
}
