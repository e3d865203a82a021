/// Memory for pages of one size, cut from blocks.
///
/// The first block is small, which is all that a small table needs; the others come from the source. Pages that are given back are used
/// again, and a block with no page in use goes back, but for one, so that a table that swings does not go to the source each time.
///
/// For one thread. All state is behind one pointer, for the reason that `Slab` gives.
struct PagePool: ~Copyable {
  private static let firstBlockBytes = 64 << 10
  private static let none = UInt32.max

  private let source: any BlockSource
  private let pageBytes: Int
  private let state: UnsafeMutablePointer<PoolState>

  init(pageBytes: Int, source: any BlockSource) {
    precondition(pageBytes >= 8 && pageBytes <= Self.firstBlockBytes, "a page is smaller than the smallest block")
    self.pageBytes = pageBytes
    self.source = source
    state = .allocate(capacity: 1)
    state.initialize(to: PoolState())
  }

  deinit {
    for (index, block) in state.pointee.blocks.enumerated() {
      if let base = block.base { giveMemory(base, of: index) }
    }
    state.deinitialize(count: 1)
    state.deallocate()
  }

  /// Memory held.
  var bytes: Int { state.pointee.heldBytes + state.pointee.blocks.capacity * MemoryLayout<PoolBlock>.stride }

  /// A page, and the block that it belongs to. What is in the page is undefined.
  func take() -> (page: UnsafeMutableRawPointer, block: UInt32) {
    if state.pointee.withRoom == Self.none { addBlock() }
    let number = state.pointee.withRoom
    var block = state.pointee.blocks[Int(number)]
    guard let base = block.base else { preconditionFailure("a block with room has memory") }
    let page: UnsafeMutableRawPointer
    if block.freed != Self.none {
      page = base + Int(block.freed) * pageBytes
      block.freed = page.load(as: UInt32.self)
    } else {
      page = base + Int(block.cut) * pageBytes
      block.cut += 1
    }
    if block.used == 0 { state.pointee.emptyBlocks -= 1 }
    block.used += 1
    state.pointee.blocks[Int(number)] = block
    if block.used == block.pages { unlink(number) }
    return (page, number)
  }

  /// Takes a page back into the block that it belongs to.
  func give(_ page: UnsafeMutableRawPointer, of number: UInt32) {
    var block = state.pointee.blocks[Int(number)]
    guard let base = block.base, block.used > 0 else { preconditionFailure("a page is given back once") }
    let wasFull = block.used == block.pages
    page.storeBytes(of: block.freed, as: UInt32.self)
    block.freed = UInt32((page - base) / pageBytes)
    block.used -= 1
    state.pointee.blocks[Int(number)] = block
    if wasFull { link(number) }
    guard block.used == 0 else { return }
    state.pointee.emptyBlocks += 1
    if state.pointee.emptyBlocks > 1 {
      unlink(number)
      state.pointee.emptyBlocks -= 1
      giveMemory(base, of: Int(number))
      state.pointee.blocks[Int(number)] = PoolBlock()
      state.pointee.vacant.append(number)
    }
  }

  private func addBlock() {
    let isFirst = state.pointee.heldBytes == 0
    let size = isFirst ? Self.firstBlockBytes : HeapBlocks.blockBytes
    let base = isFirst ? UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096) : source.take()
    let block = PoolBlock(base: base, pages: UInt32(size / pageBytes), isSmall: isFirst)
    let number: UInt32
    if let vacant = state.pointee.vacant.popLast() {
      number = vacant
      state.pointee.blocks[Int(number)] = block
    } else {
      number = UInt32(state.pointee.blocks.count)
      state.pointee.blocks.append(block)
    }
    state.pointee.heldBytes += size
    state.pointee.emptyBlocks += 1
    link(number)
  }

  private func giveMemory(_ base: UnsafeMutableRawPointer, of index: Int) {
    if state.pointee.blocks[index].isSmall {
      base.deallocate()
      state.pointee.heldBytes -= Self.firstBlockBytes
    } else {
      source.give(base)
      state.pointee.heldBytes -= HeapBlocks.blockBytes
    }
  }

  /// Puts a block to the front of those with room.
  private func link(_ number: UInt32) {
    let next = state.pointee.withRoom
    state.pointee.blocks[Int(number)].next = next
    state.pointee.blocks[Int(number)].previous = Self.none
    if next != Self.none { state.pointee.blocks[Int(next)].previous = number }
    state.pointee.withRoom = number
  }

  private func unlink(_ number: UInt32) {
    let block = state.pointee.blocks[Int(number)]
    if block.previous == Self.none {
      state.pointee.withRoom = block.next
    } else {
      state.pointee.blocks[Int(block.previous)].next = block.next
    }
    if block.next != Self.none { state.pointee.blocks[Int(block.next)].previous = block.previous }
  }
}

private struct PoolState {
  /// By number; those without memory are in `vacant`.
  var blocks: [PoolBlock] = []
  var vacant: [UInt32] = []
  /// The first of the blocks with room.
  var withRoom = UInt32.max
  var emptyBlocks = 0
  var heldBytes = 0
}

private struct PoolBlock {
  var base: UnsafeMutableRawPointer?
  /// Pages that it has, that were cut so far, and that are in use.
  var pages: UInt32 = 0
  var cut: UInt32 = 0
  var used: UInt32 = 0
  /// The first page that was given back; each leads to the next.
  var freed = UInt32.max
  /// The neighbours among blocks with room.
  var next = UInt32.max
  var previous = UInt32.max
  var isSmall = false
}
