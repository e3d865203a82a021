/// A paged table of plain structs, addressed by slot, where no pair of slot and generation is ever given out twice.
///
/// Slots live in pages of 64, taken from a `PagePool`: growing moves nothing. Each slot has a 24-bit generation that
/// rises with every `free`; a slot that has used up its generations is retired. A page that becomes wholly free may be
/// released, which leaves its *floor* in the directory: the highest of its slots' next generations, from which all
/// its slots start when it is used again. A few empty pages are kept, so that a queue that swings around empty does
/// not go to the pool.
///
/// The directory is allocated once for `maximumSlots`, 16 bytes for each 64 slots, and touched only as far as pages
/// have been used: a generous maximum costs address space, not memory. It also carries the links of the lists of pages
/// (partly used, empty, released), with the lists' heads as entries at negative indices.
///
/// **Snapshots.** Between `beginSnapshot` and `endSnapshot`, a page is copied before its first change, so that
/// `nextSnapshotPages` tells of every page as it was at the beginning. For that reason elements are changed
/// through `mutable(_:)` only. (A page that was empty at the beginning and was released since is told as its floor. A
/// log that is replayed on top cannot tell the difference: nothing was allocated from that page in between.)
///
/// **Replay.** Which pages are released depends on what was empty when, which a slab that was restored does not know; and
/// a release may raise what is due from a slot above what the log says of it next. So pages are kept between `beginReplay`
/// and `endReplay`. (That the log's slab did release some is no matter: it only makes the log's generations newer.)
///
/// For one thread. All state is behind pointers, because a class's properties would cost an exclusivity check and a
/// struct's `mutating` methods one in the object that holds it; hence methods here are not `mutating`.
struct Slab<Element: BitwiseCopyable>: ~Copyable {
  /// The last generation of a slot; `free` at this generation retires the slot.
  static var lastGeneration: UInt32 { 1 << 24 - 1 }

  private let directory: UnsafeMutablePointer<SlabPageEntry>
  private let pool: PagePool
  private let state: UnsafeMutablePointer<SlabState>
  private let maximumPages: Int

  /// An empty slab for at most `maximumSlots` slots (rounded up to a page). Allocates address space for its directory.
  init(maximumSlots: UInt32, blocks: any BlockSource) {
    precondition(MemoryLayout<Element>.alignment <= 16, "a slab's element is aligned to 16 bytes at most")
    maximumPages = (Int(maximumSlots) + 63) / 64
    let heads = SlabList.count
    directory = UnsafeMutablePointer<SlabPageEntry>.allocate(capacity: maximumPages + heads) + heads
    for list in -heads..<0 {
      directory[list] = SlabPageEntry(word: 0, next: Int32(list), previous: Int32(list))
    }
    pool = PagePool(pageBytes: Self.pageBytes, source: blocks)
    state = .allocate(capacity: 1)
    state.initialize(to: SlabState())
  }

  deinit {
    for index in 0..<state.pointee.pageCount where !directory[index].isReleased {
      header(index).pointee.saved?.release()
    }
    (directory - SlabList.count).deallocate()
    state.deallocate()
  }

  /// Live elements.
  var count: Int { state.pointee.live }

  /// Pages that have memory.
  var residentPages: Int { state.pointee.residentPages }

  /// Memory held: blocks of pages, the used part of the directory, and copies that a snapshot has not collected yet.
  var bytes: Int {
    pool.bytes + state.pointee.savedBytes
      + state.pointee.pageCount * MemoryLayout<SlabPageEntry>.stride
  }

  // MARK: Elements

  /// Whether the pair is live now. Safe for any two numbers, also from outside.
  @inline(__always)
  func isLive(_ slot: UInt32, _ generation: UInt32) -> Bool {
    let index = Int(slot >> 6)
    guard index < state.pointee.pageCount, !directory[index].isReleased else { return false }
    return header(index).pointee.free & Self.bit(slot) == 0 && generations(index)[Int(slot & 63)] == generation
  }

  /// Whether the slot is live, whatever its generation. Safe for any number.
  @inline(__always)
  func isTaken(_ slot: UInt32) -> Bool {
    let index = Int(slot >> 6)
    guard index < state.pointee.pageCount, !directory[index].isReleased else { return false }
    return header(index).pointee.free & Self.bit(slot) == 0
  }

  /// Whether the slot's page exists or would be the next to be opened: slots are given out no further than that, so a log that names
  /// one beyond is damaged, and must not make the directory grow.
  func isWithinReach(_ slot: UInt32) -> Bool { Int(slot >> 6) <= state.pointee.pageCount }

  /// The element of a live slot, to read. Valid until the slot is freed.
  @inline(__always)
  func pointer(_ slot: UInt32) -> UnsafePointer<Element> {
    UnsafePointer(element(slot))
  }

  /// The element of a live slot, to change. Not to be kept across `beginSnapshot`.
  @inline(__always)
  func mutable(_ slot: UInt32) -> UnsafeMutablePointer<Element> {
    if state.pointee.isSnapshotting { save(Int(slot >> 6)) }
    return element(slot)
  }

  /// The generation of a live slot.
  @inline(__always)
  func generation(_ slot: UInt32) -> UInt32 {
    generations(Int(slot >> 6))[Int(slot & 63)]
  }

  /// Calls `body` for every live slot, in slot order. `body` may free the slot that it is called for.
  func forEachLive(_ body: (UInt32) -> Void) {
    var next = nextLive(from: 0)
    while let slot = next {
      body(slot)
      next = slot == .max ? nil : nextLive(from: slot + 1)
    }
  }

  /// The first live slot at or above `start`: a scan in slices begins where it left off, whatever happened in between.
  func nextLive(from start: UInt32) -> UInt32? {
    var index = Int(start >> 6)
    var wanted: UInt64 = .max << UInt64(start & 63)
    while index < state.pointee.pageCount {
      if !directory[index].isReleased {
        let live = ~header(index).pointee.free & wanted
        if live != 0 { return UInt32(index << 6 + live.trailingZeroBitCount) }
      }
      wanted = .max
      index += 1
    }
    return nil
  }

  // MARK: Slots

  /// Takes a free slot; nil when all `maximumSlots` are taken or retired. The element holds stale bytes: initialize it.
  @inline(__always)
  func allocate() -> (slot: UInt32, generation: UInt32)? {
    var index = Int(directory[SlabList.partial].next)
    if index < 0 {
      index = openPage()
      if index < 0 { return nil }
    }
    if state.pointee.isSnapshotting { save(index) }
    let place = header(index).pointee.allocatable.trailingZeroBitCount
    let slot = UInt32(index << 6 + place)
    take(index, slot)
    return (slot, generations(index)[place])
  }

  /// Takes this very slot, as a log said (see `beginReplay`). False, and nothing changes, if the slot is live, retired or beyond the
  /// maximum, or `generation` is older than the one due. Pages up to the slot's come into being (16 bytes each).
  func claim(slot: UInt32, generation: UInt32) -> Bool {
    let index = Int(slot >> 6)
    guard index < maximumPages, generation > 0, generation <= Self.lastGeneration else { return false }
    extend(to: index + 1)
    if directory[index].isReleased {
      guard generation >= directory[index].floor else { return false }
      unlink(index)
      materialize(index)
    } else {
      guard header(index).pointee.allocatable & Self.bit(slot) != 0,
        generation >= generations(index)[Int(slot & 63)]
      else { return false }
      if header(index).pointee.isUntouched { useEmptyPage(index) }
    }
    if state.pointee.isSnapshotting { save(index) }
    generations(index)[Int(slot & 63)] = generation
    take(index, slot)
    return true
  }

  /// Gives a live slot back and raises its generation, or retires it.
  @inline(__always)
  func free(_ slot: UInt32) {
    let index = Int(slot >> 6)
    if state.pointee.isSnapshotting { save(index) }
    let page = header(index)
    precondition(page.pointee.free & Self.bit(slot) == 0, "a slot is freed once")
    let wasListed = page.pointee.allocatable != 0
    let next = max(generations(index)[Int(slot & 63)] + 1, state.pointee.floor)
    generations(index)[Int(slot & 63)] = next
    page.pointee.free |= Self.bit(slot)
    if next <= Self.lastGeneration { page.pointee.allocatable |= Self.bit(slot) }
    state.pointee.live -= 1
    if page.pointee.free == .max {
      settleEmptied(index, wasListed: wasListed)
    } else if !wasListed, page.pointee.allocatable != 0 {
      link(index, into: SlabList.partial)
    }
  }

  // MARK: Snapshots

  /// Freezes what `nextSnapshotPages` will tell: the slab as it is now. One snapshot at a time.
  func beginSnapshot() {
    precondition(!state.pointee.isSnapshotting, "one snapshot of a slab at a time")
    state.pointee.isSnapshotting = true
    state.pointee.snapshotCursor = 0
    state.pointee.snapshotLimit = state.pointee.pageCount
  }

  /// The next pages in page order, at most `maximum` copies of pages (64 released pages count as one); empty at the end.
  func nextSnapshotPages(maximum: Int) -> [PageCopy] {
    precondition(state.pointee.isSnapshotting && maximum > 0, "pages are asked for between begin and end")
    var copies: [PageCopy] = []
    var allowance = maximum * 64
    while allowance > 0, state.pointee.snapshotCursor < state.pointee.snapshotLimit {
      let index = state.pointee.snapshotCursor
      if directory[index].isReleased {
        let floor = directory[index].floor
        var end = index + 1
        while end < state.pointee.snapshotLimit, end - index < allowance, directory[end].isReleased,
          directory[end].floor == floor
        { end += 1 }
        copies.append(PageCopy(index: index, pageCount: end - index, floor: floor))
        allowance -= end - index
        state.pointee.snapshotCursor = end
      } else {
        copies.append(takeSaved(index) ?? copy(index))
        allowance -= 64
        state.pointee.snapshotCursor = index + 1
        if header(index).pointee.isUsedUp { release(index) }
      }
    }
    releaseSurplus(maximum: 2 * maximum)
    return copies
  }

  /// Ends the snapshot, also before its end; copies that were not handed out are dropped.
  func endSnapshot() {
    precondition(state.pointee.isSnapshotting, "a snapshot ends once")
    for index in state.pointee.snapshotCursor..<state.pointee.snapshotLimit where !directory[index].isReleased {
      _ = takeSaved(index)
      if header(index).pointee.isUsedUp { release(index) }
    }
    state.pointee.isSnapshotting = false
    releaseSurplus(maximum: 64)
  }

  /// Puts a page of a snapshot back. False, and nothing changes, if it is beyond the maximum, has been used already, or
  /// its parts contradict each other.
  func restore(
    page index: UInt32, freeBitmap: UInt64, generations source: UnsafeBufferPointer<UInt32>,
    elements: UnsafeRawBufferPointer
  ) -> Bool {
    let index = Int(index)
    guard index < maximumPages, source.count == 64, elements.count == 64 * MemoryLayout<Element>.stride,
      index >= state.pointee.pageCount || isUnused(index)
    else { return false }
    var retired: UInt64 = 0
    for (place, generation) in source.enumerated() {
      guard generation > 0, generation <= Self.lastGeneration + 1 else { return false }
      if generation > Self.lastGeneration { retired |= 1 << UInt64(place) }
    }
    guard retired & ~freeBitmap == 0 else { return false }
    extend(to: index + 1)
    unlink(index)
    materialize(index)
    for place in 0..<64 { generations(index)[place] = source[place] }
    UnsafeMutableRawBufferPointer(start: directory[index].page + Self.elementOffset, count: elements.count)
      .copyMemory(from: elements)
    header(index).pointee.free = freeBitmap
    header(index).pointee.allocatable = freeBitmap & ~retired
    state.pointee.live += (~freeBitmap).nonzeroBitCount
    if header(index).pointee.isUsedUp {
      unlink(index)
      release(index)
    } else if header(index).pointee.isUntouched {
      unlink(index)
      link(index, into: SlabList.empty)
      state.pointee.emptyPages += 1
    } else if header(index).pointee.allocatable == 0 {
      unlink(index)
    }
    return true
  }

  /// Puts a run of released pages of a snapshot back. False, and nothing changes, as with a page.
  func restore(floor: UInt32, page index: UInt32, pageCount: UInt32) -> Bool {
    let end = Int(index) + Int(pageCount)
    guard end <= maximumPages, floor > 0, floor <= Self.lastGeneration + 1 else { return false }
    var known = Int(index)
    while known < min(end, state.pointee.pageCount) {
      guard isUnused(known) else { return false }
      known += 1
    }
    extend(to: end)
    for page in Int(index)..<end {
      if floor > Self.lastGeneration { unlink(page) }
      directory[page].word = SlabPageEntry.released(floor: floor)
    }
    return true
  }

  // MARK: Replay

  /// Keeps empty pages until `endReplay`, so that `claim` judges generations as the log's own slab did.
  func beginReplay() {
    state.pointee.isReplaying = true
  }

  /// Releases what the replay left empty, all at once.
  func endReplay() {
    state.pointee.isReplaying = false
    releaseSurplus(maximum: .max)
  }

  // MARK: Raising

  /// The lowest generation that is still given out, of slots that are live when they are free again.
  var floor: UInt32 { state.pointee.floor }

  /// A generation above all that were given out so far, but for slots that have used up theirs: they are not given out any more.
  var generationBound: UInt32 {
    var highest = state.pointee.floor
    for index in 0..<state.pointee.pageCount {
      if directory[index].isReleased {
        if directory[index].floor <= Self.lastGeneration { highest = max(highest, directory[index].floor) }
      } else {
        for place in 0..<64 where generations(index)[place] < Self.lastGeneration {
          highest = max(highest, generations(index)[place] + 1)
        }
      }
    }
    return highest
  }

  /// From now on no slot is given out in a generation below this one; those that are live stay as they are. False, and nothing changes,
  /// if there is no such generation, or a snapshot is being told. A floor below the present one changes nothing.
  func raise(to floor: UInt32) -> Bool {
    guard floor > 0, floor <= Self.lastGeneration, !state.pointee.isSnapshotting else { return false }
    guard floor > state.pointee.floor else { return true }
    state.pointee.floor = floor
    for index in 0..<state.pointee.pageCount {
      if directory[index].isReleased {
        if directory[index].floor < floor { directory[index].word = SlabPageEntry.released(floor: floor) }
        continue
      }
      var raisable = header(index).pointee.allocatable
      while raisable != 0 {
        let place = raisable.trailingZeroBitCount
        raisable &= raisable - 1
        generations(index)[place] = max(generations(index)[place], floor)
      }
    }
    return true
  }

  // MARK: Pages

  // A page is one block of memory: header, 64 generations, 64 elements.
  private static var generationOffset: Int { 32 }
  private static var elementOffset: Int { generationOffset + 64 * MemoryLayout<UInt32>.stride }
  private static var pageBytes: Int { (elementOffset + 64 * MemoryLayout<Element>.stride + 15) & ~15 }

  /// Released and, as far as is known, never used before.
  private func isUnused(_ index: Int) -> Bool {
    directory[index].word == SlabPageEntry.released(floor: state.pointee.floor)
  }

  @inline(__always)
  private static func bit(_ slot: UInt32) -> UInt64 { 1 << UInt64(slot & 63) }

  @inline(__always)
  private func header(_ index: Int) -> UnsafeMutablePointer<SlabPageHeader> {
    directory[index].page.assumingMemoryBound(to: SlabPageHeader.self)
  }

  @inline(__always)
  private func generations(_ index: Int) -> UnsafeMutablePointer<UInt32> {
    (directory[index].page + Self.generationOffset).assumingMemoryBound(to: UInt32.self)
  }

  @inline(__always)
  private func element(_ slot: UInt32) -> UnsafeMutablePointer<Element> {
    let index = Int(slot >> 6)
    assert(index < state.pointee.pageCount && !directory[index].isReleased, "slot \(slot) is not live")
    return (directory[index].page + Self.elementOffset).assumingMemoryBound(to: Element.self) + Int(slot & 63)
  }

  /// Marks an allocatable slot as live.
  @inline(__always)
  private func take(_ index: Int, _ slot: UInt32) {
    let page = header(index)
    page.pointee.free &= ~Self.bit(slot)
    page.pointee.allocatable &= ~Self.bit(slot)
    if page.pointee.allocatable == 0 { unlink(index) }
    state.pointee.live += 1
  }

  /// Brings a page with free slots to the list of those, the cheapest first; -1 if there is none.
  @inline(never)
  private func openPage() -> Int {
    var index = Int(directory[SlabList.empty].next)
    if index >= 0 {
      useEmptyPage(index)
      return index
    }
    index = Int(directory[SlabList.released].next)
    if index < 0 {
      index = state.pointee.pageCount
      guard index < maximumPages else { return -1 }
      extend(to: index + 1)
    }
    unlink(index)
    materialize(index)
    return index
  }

  private func useEmptyPage(_ index: Int) {
    unlink(index)
    link(index, into: SlabList.partial)
    state.pointee.emptyPages -= 1
  }

  /// Makes directory entries up to `count`, as released pages that were never used.
  private func extend(to count: Int) {
    while state.pointee.pageCount < count {
      directory[state.pointee.pageCount].word = SlabPageEntry.released(floor: state.pointee.floor)
      link(state.pointee.pageCount, into: SlabList.released)
      state.pointee.pageCount += 1
    }
  }

  /// Gives a released page, in no list, its memory and puts it to the partly used ones.
  private func materialize(_ index: Int) {
    let floor = directory[index].floor
    let (memory, block) = pool.take()
    // Zeroed, because copies of pages go to disk: no stale bytes of the process may.
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: Self.pageBytes)
    memory.initializeMemory(
      as: SlabPageHeader.self, to: SlabPageHeader(free: .max, allocatable: .max, saved: nil, block: block))
    (memory + Self.generationOffset).initializeMemory(as: UInt32.self, repeating: floor, count: 64)
    directory[index].word = UInt(bitPattern: memory)
    state.pointee.residentPages += 1
    link(index, into: SlabList.partial)
  }

  /// Finds the place of a page whose last live slot was freed.
  @inline(never)
  private func settleEmptied(_ index: Int, wasListed: Bool) {
    let page = header(index)
    if page.pointee.isUntouched {
      if wasListed { unlink(index) }
      link(index, into: SlabList.empty)
      state.pointee.emptyPages += 1
      releaseSurplus(maximum: 2)
    } else if page.pointee.allocatable == 0 {
      if wasListed { unlink(index) }
      // With a copy that a snapshot will collect, the page goes when it is collected.
      if page.pointee.saved == nil { release(index) }
    } else if !wasListed {
      link(index, into: SlabList.partial)
    }
    // A page with some slots retired stays: one floor for all its slots would retire the others too.
  }

  /// Releases empty pages, the longest empty first, while there are more than 16 and a quarter of the others.
  private func releaseSurplus(maximum: Int) {
    if state.pointee.isReplaying { return }
    var released = 0
    while released < maximum,
      state.pointee.emptyPages > 16 + (state.pointee.residentPages - state.pointee.emptyPages) / 4
    {
      let index = Int(directory[SlabList.empty].previous)
      if header(index).pointee.saved != nil { return }
      unlink(index)
      state.pointee.emptyPages -= 1
      release(index)
      released += 1
    }
  }

  /// Frees the memory of a wholly free page that is in no list, leaving its floor.
  private func release(_ index: Int) {
    var floor: UInt32 = 0
    for place in 0..<64 { floor = max(floor, generations(index)[place]) }
    pool.give(directory[index].page, of: header(index).pointee.block)
    directory[index].word = SlabPageEntry.released(floor: floor)
    state.pointee.residentPages -= 1
    if floor <= Self.lastGeneration { link(index, into: SlabList.released) }
  }

  /// Whether a snapshot runs that has still to tell of this page.
  @inline(__always)
  private func isAwaited(_ index: Int) -> Bool {
    state.pointee.isSnapshotting && index >= state.pointee.snapshotCursor && index < state.pointee.snapshotLimit
  }

  /// Copies a page before its first change, if a snapshot waits for it.
  @inline(never)
  private func save(_ index: Int) {
    guard isAwaited(index), header(index).pointee.saved == nil else { return }
    let saved = copy(index)
    state.pointee.savedBytes += saved.bytes
    header(index).pointee.saved = .passRetained(saved)
  }

  private func copy(_ index: Int) -> PageCopy {
    PageCopy(
      index: index, freeBitmap: header(index).pointee.free, generations: generations(index),
      elementBytes: 64 * MemoryLayout<Element>.stride)
  }

  private func takeSaved(_ index: Int) -> PageCopy? {
    guard let saved = header(index).pointee.saved?.takeRetainedValue() else { return nil }
    header(index).pointee.saved = nil
    state.pointee.savedBytes -= saved.bytes
    return saved
  }

  private func link(_ index: Int, into list: Int) {
    let next = directory[list].next
    directory[index].next = next
    directory[index].previous = Int32(list)
    directory[Int(next)].previous = Int32(index)
    directory[list].next = Int32(index)
  }

  private func unlink(_ index: Int) {
    let entry = directory[index]
    directory[Int(entry.previous)].next = entry.next
    directory[Int(entry.next)].previous = entry.previous
  }
}

/// Where the heads of the lists of pages are in the directory. A page with no free slot, and one whose slots are all
/// retired, is in no list.
private enum SlabList {
  static let count = 3
  static let partial = -1
  static let empty = -2
  static let released = -3
}

private struct SlabState {
  var pageCount = 0
  var residentPages = 0
  var emptyPages = 0
  var live = 0
  /// The lowest generation that is still given out.
  var floor: UInt32 = 1
  var isReplaying = false
  var isSnapshotting = false
  /// The first page that the snapshot has still to tell of, and the end of those that it tells of.
  var snapshotCursor = 0
  var snapshotLimit = 0
  var savedBytes = 0
}

private struct SlabPageHeader {
  /// Slots that are not live.
  var free: UInt64
  /// Slots that are not live and not retired.
  var allocatable: UInt64
  /// The page as it was when the snapshot began, if it has changed and is still awaited.
  var saved: Unmanaged<PageCopy>?
  /// Where the page's memory belongs to.
  var block: UInt32

  /// Wholly free, and no slot retired.
  var isUntouched: Bool { free == .max && allocatable == .max }
  /// Wholly free, and every slot retired.
  var isUsedUp: Bool { free == .max && allocatable == 0 }
}

/// A page's entry in the directory: where its memory is, or, with the lowest bit set, its floor; and its neighbours in
/// the list that it is in.
private struct SlabPageEntry {
  var word: UInt
  var next: Int32
  var previous: Int32

  static func released(floor: UInt32) -> UInt { UInt(floor) << 1 | 1 }

  @inline(__always)
  var isReleased: Bool { word & 1 != 0 }
  var floor: UInt32 { UInt32(truncatingIfNeeded: word >> 1) }
  /// The memory of a page that is not released.
  @inline(__always)
  var page: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: word).unsafelyUnwrapped }
}
