import SeededNumbers
import Testing

@testable import NuvomEngine

/// An element that says which slot and generation it was written for.
private struct Entry: BitwiseCopyable, Equatable {
  var key: UInt64
  var value: UInt64
}

/// What a slab should hold, as dictionaries.
private struct SlabModel {
  var live: [UInt32: UInt32] = [:]
  var values: [UInt32: UInt64] = [:]
  var issued: Set<UInt64> = []

  /// Notes a new slot; false if the pair was given out before, or the slot is taken.
  mutating func take(_ slot: UInt32, _ generation: UInt32, value: UInt64) -> Bool {
    guard live[slot] == nil, issued.insert(UInt64(slot) << 32 | UInt64(generation)).inserted else { return false }
    live[slot] = generation
    values[slot] = value
    return true
  }

  mutating func drop(_ slot: UInt32) {
    live[slot] = nil
    values[slot] = nil
  }
}

/// A change of a slab as a log would tell it.
private enum SlabChange {
  case take(slot: UInt32, generation: UInt32, value: UInt64)
  case change(slot: UInt32, value: UInt64)
  case free(slot: UInt32)
}

private func agrees(_ slab: borrowing Slab<Entry>, _ model: SlabModel) -> Bool {
  var slots: [UInt32] = []
  slab.forEachLive { slots.append($0) }
  return slab.count == model.live.count && slots == model.live.keys.sorted()
    && slots.allSatisfy { slot in
      guard let generation = model.live[slot], let value = model.values[slot] else { return false }
      return slab.generation(slot) == generation && slab.isLive(slot, generation)
        && !slab.isLive(slot, generation + 1)
        && slab.pointer(slot).pointee == Entry(key: UInt64(slot) << 32 | UInt64(generation), value: value)
    }
}

/// Makes a random change that keeps about `target` slots live, on both sides.
private func step(
  _ slab: borrowing Slab<Entry>, _ model: inout SlabModel, _ order: inout [UInt32], target: Int,
  _ random: inout SeededNumbers
) -> SlabChange? {
  if order.isEmpty || random.below(2 * target + 1) >= order.count {
    var slot = UInt32(random.below(8192))
    var generation = UInt32(random.below(60))
    // Now and then a claim, of which the slab decides whether it is due.
    if !random.once(in: 6) || !slab.claim(slot: slot, generation: generation) {
      guard let allocated = slab.allocate() else { return nil }
      (slot, generation) = allocated
    }
    let value = random.next()
    slab.mutable(slot).pointee = Entry(key: UInt64(slot) << 32 | UInt64(generation), value: value)
    guard model.take(slot, generation, value: value) else { return nil }
    order.append(slot)
    return .take(slot: slot, generation: generation, value: value)
  }
  let place = random.below(order.count)
  let slot = order[place]
  if random.once(in: 3) {
    let value = random.next()
    slab.mutable(slot).pointee.value = value
    model.values[slot] = value
    return .change(slot: slot, value: value)
  }
  order[place] = order[order.count - 1]
  order.removeLast()
  slab.free(slot)
  model.drop(slot)
  return .free(slot: slot)
}

private func put(_ copy: PageCopy, into slab: borrowing Slab<Entry>) -> Bool {
  if let floor = copy.floor { return slab.restore(floor: floor, page: copy.index, pageCount: copy.pageCount) }
  return slab.restore(
    page: copy.index, freeBitmap: copy.freeBitmap, generations: copy.generations, elements: copy.elements)
}

@Test("A slab holds what a dictionary holds, and never gives a slot and generation out twice", arguments: 1...6)
func slabAgainstModel(seed: UInt64) {
  var random = SeededNumbers(seed: seed)
  let slab = Slab<Entry>(maximumSlots: 1 << 20, blocks: HeapBlocks())
  var model = SlabModel()
  var order: [UInt32] = []
  // Swings between full and empty, so that pages are released and used again.
  for target in [3000, 0, 500, 0, 4000, 10, 2500, 0] {
    for _ in 0..<8 * max(target, 600) {
      guard step(slab, &model, &order, target: target, &random) != nil else {
        Issue.record("a pair was given out twice")
        return
      }
    }
    let same = agrees(slab, model)
    #expect(same)
  }
}

@Test("Empty pages are given up, but for a few, and come back with higher generations")
func slabReturnsMemory() throws {
  let slab = Slab<Entry>(maximumSlots: 1 << 20, blocks: HeapBlocks())
  var issued: Set<UInt64> = []
  var peaks: [Int] = []
  for _ in 0..<3 {
    var slots: [UInt32] = []
    for _ in 0..<64 * 200 {
      let allocated = slab.allocate()
      let (slot, generation) = try #require(allocated)
      let isNew = issued.insert(UInt64(slot) << 32 | UInt64(generation)).inserted
      #expect(isNew)
      slots.append(slot)
    }
    peaks.append(slab.residentPages)
    for slot in slots { slab.free(slot) }
    let rest = slab.residentPages
    #expect(rest < peaks[0] / 8)
  }
  #expect(peaks[0] == peaks[1] && peaks[1] == peaks[2])
}

@Test("A slot that has used up its generations is retired, and so is a page of them")
func slabRetires() {
  let slab = Slab<Entry>(maximumSlots: 128, blocks: HeapBlocks())
  let last = Slab<Entry>.lastGeneration
  for slot in UInt32(0)..<64 {
    let claimed = slab.claim(slot: slot, generation: last)
    #expect(claimed)
    slab.free(slot)
    let again = slab.claim(slot: slot, generation: last)
    let beyond = slab.isLive(slot, last + 1)
    #expect(!again && !beyond)
  }
  let rest = slab.residentPages
  #expect(rest == 0, "the memory of the page is given back")
  var slots: [UInt32] = []
  while let (slot, _) = slab.allocate() { slots.append(slot) }
  #expect(slots.sorted() == Array(64..<128))
}

@Test("A page that is used up while a snapshot waits for it goes when it was told", arguments: [true, false])
func slabRetiresInSnapshot(isTold: Bool) {
  let slab = Slab<Entry>(maximumSlots: 64, blocks: HeapBlocks())
  for slot in UInt32(0)..<64 { _ = slab.claim(slot: slot, generation: Slab<Entry>.lastGeneration) }
  slab.beginSnapshot()
  for slot in UInt32(0)..<64 { slab.free(slot) }
  if isTold {
    let pages = slab.nextSnapshotPages(maximum: 1)
    #expect(pages.count == 1 && pages[0].freeBitmap == 0)
  }
  slab.endSnapshot()
  let rest = slab.residentPages
  #expect(rest == 0)
}

@Test("A page with some slots retired goes on with the others")
func slabRetiresSome() {
  let slab = Slab<Entry>(maximumSlots: 64, blocks: HeapBlocks())
  for slot in UInt32(0)..<10 {
    let claimed = slab.claim(slot: slot, generation: Slab<Entry>.lastGeneration)
    #expect(claimed)
    slab.free(slot)
  }
  for round in 1...UInt32(3) {
    var slots: [UInt32] = []
    while let (slot, generation) = slab.allocate() {
      #expect(generation == round)
      slots.append(slot)
    }
    #expect(slots.sorted() == Array(10..<64))
    for slot in slots { slab.free(slot) }
  }
}

@Test("claim takes what is free and due, and refuses everything else")
func slabClaims() {
  let slab = Slab<Entry>(maximumSlots: 1000, blocks: HeapBlocks())
  let rows: [(slot: UInt32, generation: UInt32, taken: Bool)] = [
    (0, 1, true), (0, 1, false), (0, 2, false),  // live
    (700, 5, true), (699, 1, true),  // beyond the end, and in between
    (1023, 1, true), (1024, 1, false), (.max, 1, false),  // the maximum, rounded up to a page
    (5, 0, false), (5, 1 << 24, false), (5, .max, false), (5, 1 << 24 - 1, true),  // no such generation
  ]
  for row in rows {
    let taken = slab.claim(slot: row.slot, generation: row.generation)
    #expect(taken == row.taken, "slot \(row.slot), generation \(row.generation)")
  }
  slab.free(700)
  let older = slab.claim(slot: 700, generation: 5)
  let due = slab.claim(slot: 700, generation: 6)
  #expect(!older && due)
  let strangers = [(UInt32(3), UInt32(1)), (.max, 1), (700, .max), (1024, 0)].map { slab.isLive($0.0, $0.1) }
  #expect(strangers == [false, false, false, false])
  let scan = [slab.nextLive(from: 0), slab.nextLive(from: 1), slab.nextLive(from: 6), slab.nextLive(from: 1024)]
  #expect(scan == [0, 5, 699, nil])
}

@Test("A snapshot tells the slab as it was, while it changes, and the changes replay on it", arguments: 1...12)
func slabSnapshots(seed: UInt64) {
  var random = SeededNumbers(seed: seed)
  let slab = Slab<Entry>(maximumSlots: 1 << 20, blocks: HeapBlocks())
  var model = SlabModel()
  var order: [UInt32] = []
  // Some pages released before the beginning, some in use, some empty.
  for target in [4000, 0, 3000] {
    for _ in 0..<6000 { _ = step(slab, &model, &order, target: target, &random) }
  }
  for drained in [true, false] {
    slab.beginSnapshot()
    let frozen = model
    let copy = Slab<Entry>(maximumSlots: 1 << 20, blocks: HeapBlocks())
    var changes: [SlabChange] = []
    var nextPage: UInt32 = 0
    while true {
      let pages = slab.nextSnapshotPages(maximum: 3)
      if pages.isEmpty { break }
      for page in pages {
        #expect(page.index == nextPage)
        nextPage = page.index + page.pageCount
        let fits = put(page, into: copy)
        #expect(fits)
      }
      // Draining makes pages that are awaited empty and released; filling uses released ones that are awaited.
      for _ in 0..<(drained ? 900 : 150) {
        let target = drained ? (changes.count < 6000 ? 0 : 3500) : 6000
        guard let change = step(slab, &model, &order, target: target, &random) else {
          Issue.record("a pair was given out twice")
          return
        }
        changes.append(change)
      }
    }
    slab.endSnapshot()
    let isFrozen = agrees(copy, frozen)
    #expect(isFrozen)
    copy.beginReplay()
    for change in changes {
      switch change {
      case .take(let slot, let generation, let value):
        let taken = copy.claim(slot: slot, generation: generation)
        #expect(taken)
        copy.mutable(slot).pointee = Entry(key: UInt64(slot) << 32 | UInt64(generation), value: value)
      case .change(let slot, let value): copy.mutable(slot).pointee.value = value
      case .free(let slot): copy.free(slot)
      }
    }
    copy.endReplay()
    let isReplayed = agrees(copy, model)
    #expect(isReplayed)
    // What was given out before the snapshot is not given out by the copy.
    for _ in 0..<3000 {
      guard let (slot, generation) = copy.allocate() else { break }
      #expect(!model.issued.contains(UInt64(slot) << 32 | UInt64(generation)))
    }
  }
}

@Test("A replay keeps empty pages until it ends")
func slabReplayKeepsPages() {
  let slab = Slab<Entry>(maximumSlots: 1 << 16, blocks: HeapBlocks())
  slab.beginReplay()
  for slot in UInt32(0)..<64 * 100 { _ = slab.claim(slot: slot, generation: 1) }
  let full = slab.residentPages
  for slot in UInt32(0)..<64 * 100 { slab.free(slot) }
  // Of another slot than the others of its page, and still due: no floor was made of theirs.
  let isDue = slab.claim(slot: 0, generation: 5)
  slab.free(0)
  let other = slab.claim(slot: 1, generation: 2)
  let kept = slab.residentPages
  slab.endReplay()
  let rest = slab.residentPages
  #expect(isDue && other && kept == full && rest < full / 4)
}

@Test("A snapshot that ends early leaves nothing behind")
func slabSnapshotAbandoned() {
  let slab = Slab<Entry>(maximumSlots: 1 << 16, blocks: HeapBlocks())
  for _ in 0..<64 * 50 { _ = slab.allocate() }
  let before = slab.bytes
  slab.beginSnapshot()
  for slot in UInt32(0)..<64 * 50 { slab.mutable(slot).pointee.value = 1 }
  let during = slab.bytes
  // Pages that are new since the beginning are not copied.
  for _ in 0..<64 * 50 { _ = slab.allocate() }
  let grown = slab.bytes
  for slot in UInt32(64 * 50)..<64 * 100 { slab.mutable(slot).pointee.value = 1 }
  let written = slab.bytes
  _ = slab.nextSnapshotPages(maximum: 7)
  slab.endSnapshot()
  let after = slab.bytes
  let copies = during - before
  #expect(copies > 50 * 64 * 16 && written == grown && after == grown - copies)
}

@Test("restore refuses pages that contradict themselves or the slab")
func slabRestoreRefuses() {
  let slab = Slab<Entry>(maximumSlots: 640, blocks: HeapBlocks())
  let good = [UInt32](repeating: 3, count: 64)
  var zero = good
  zero[7] = 0
  var beyond = good
  beyond[7] = 1 << 24 + 1
  var retired = good
  retired[7] = 1 << 24
  func put(_ page: UInt32, _ free: UInt64, _ generations: [UInt32], elementBytes: Int = 64 * 16) -> Bool {
    let elements = [UInt8](repeating: 0, count: elementBytes)
    return generations.withUnsafeBufferPointer { generations in
      elements.withUnsafeBytes {
        slab.restore(page: page, freeBitmap: free, generations: generations, elements: $0)
      }
    }
  }
  #expect(!put(10, .max, good))
  #expect(!put(.max, .max, good))
  #expect(!put(1, .max, good, elementBytes: 64 * 16 - 1))
  #expect(!put(1, .max, Array(good.dropLast())))
  #expect(!put(1, .max, zero))
  #expect(!put(1, .max, beyond))
  #expect(!put(1, 0, retired))
  #expect(put(1, 1 << 7, retired))
  #expect(!put(1, .max, good))
  #expect(put(3, .max, good))
  #expect(put(4, .max, [UInt32](repeating: 1 << 24, count: 64)))
  let floors = [
    slab.restore(floor: 2, page: 9, pageCount: 2), slab.restore(floor: 2, page: 0, pageCount: 2),
    slab.restore(floor: 0, page: 5, pageCount: 1), slab.restore(floor: 1 << 24 + 1, page: 5, pageCount: 1),
    slab.restore(floor: 2, page: .max, pageCount: .max), slab.restore(floor: 9, page: 5, pageCount: 4),
    slab.restore(floor: 1 << 24, page: 9, pageCount: 1), slab.restore(floor: 9, page: 0, pageCount: 1),
  ]
  #expect(floors == [false, false, false, false, false, true, true, true])
  // 63 live in page 1; free: page 0, 3, 5 to 8, and what was never used (2), but not what is retired (4, 9).
  var pages: [UInt32: UInt32] = [:]
  while let (slot, generation) = slab.allocate() { pages[slot >> 6] = generation }
  #expect(pages == [0: 9, 2: 1, 3: 3, 5: 9, 6: 9, 7: 9, 8: 9])
  let count = slab.count
  #expect(count == 63 + 7 * 64)
}
