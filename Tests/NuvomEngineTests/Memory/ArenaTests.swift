import SeededNumbers
import Testing

@testable import NuvomEngine

/// A record's bytes are its owner's number, over and over, so that a record can be checked without keeping a copy.
private struct Record {
  var reference: ArenaReference
  let owner: UInt32
  let kind: UInt8
  let length: Int
}

private func byte(_ owner: UInt32, _ place: Int) -> UInt8 {
  UInt8(truncatingIfNeeded: Int(owner) &* 31 &+ place)
}

private func append(_ arena: borrowing Arena, owner: UInt32, length: Int) -> Record {
  let kind = UInt8(owner % 16)
  let (reference, bytes) = arena.append(kind: kind, owner: owner, length: length)
  let buffer = UnsafeMutableRawBufferPointer(start: bytes, count: length)
  for place in sample(length) { buffer[place] = byte(owner, place) }
  return Record(reference: reference, owner: owner, kind: kind, length: length)
}

/// The places of a record that are written and checked: all of a short one, both ends of a long one.
private func sample(_ length: Int) -> [Int] {
  length <= 64 ? Array(0..<length) : Array(0..<32) + Array(length - 32..<length)
}

private func isIntact(_ bytes: UnsafeRawBufferPointer, _ record: Record) -> Bool {
  bytes.count == record.length && sample(record.length).allSatisfy { bytes[$0] == byte(record.owner, $0) }
}

private func size(_ record: Record) -> Int { (record.length < 4_095 ? 6 : 10) + record.length }

/// Compacts once; false if there is no victim.
private func compactOnce(_ arena: borrowing Arena, _ records: inout [UInt32: Record]) -> Bool {
  guard let victim = arena.nextVictim() else { return false }
  let before = records
  var after = records
  arena.compact(
    victim,
    isLive: { owner, _, reference in before[owner]?.reference == reference },
    moved: { owner, kind, old, new in
      #expect(after[owner]?.reference == old && after[owner]?.kind == kind)
      after[owner]?.reference = new
    })
  records = after
  return true
}

@Test("An arena holds what a dictionary holds, through frees, compaction and pins", arguments: 1...4)
func arenaAgainstModel(seed: UInt64) {
  var random = SeededNumbers(seed: seed)
  let arena = Arena(HeapBlocks())
  var records: [UInt32: Record] = [:]
  var owners: [UInt32] = []
  var nextOwner: UInt32 = 0
  var compactions = 0
  for phase in 0..<12 {
    let grows = phase % 3 != 2
    let isPinned = phase % 4 == 3
    let view = isPinned ? arena.pin() : nil
    let frozen = records
    for _ in 0..<1500 {
      if owners.isEmpty || random.below(10) < (grows ? 7 : 2) {
        let length =
          switch random.below(200) {
          case 0: random.below(700_000)
          case 1..<60: random.below(20_000)
          default: random.below(200)
          }
        records[nextOwner] = append(arena, owner: nextOwner, length: length)
        owners.append(nextOwner)
        nextOwner += 1
      } else {
        let place = random.below(owners.count)
        let owner = owners[place]
        owners[place] = owners[owners.count - 1]
        owners.removeLast()
        if let record = records.removeValue(forKey: owner) { arena.free(record.reference) }
      }
      if random.once(in: 20), compactOnce(arena, &records) {
        compactions += 1
        #expect(!isPinned)
      }
    }
    if let view {
      let intact = frozen.values.allSatisfy { isIntact(view.bytes($0.reference), $0) }
      #expect(intact)
      arena.unpin()
    }
    let intact = records.values.allSatisfy { isIntact(arena.bytes($0.reference), $0) }
    #expect(intact)
    let live = arena.liveBytes
    #expect(live == records.values.reduce(0) { $0 + size($1) })
    #expect(Set(records.values.map(\.reference)).count == records.count)
  }
  #expect(compactions > 0)
  for record in records.values { arena.free(record.reference) }
  for _ in 0..<100 { _ = arena.nextVictim() }
  let (live, dead, held) = (arena.liveBytes, arena.deadBytes, arena.bytes)
  #expect(live == 0 && dead == 0)
  // The block being filled, two spare ones and the table.
  #expect(held < 3 * Arena.blockBytes + (64 << 10))
}

@Test("Compaction empties blocks that a few old records hold")
func arenaCompacts() {
  let arena = Arena(HeapBlocks())
  var records: [UInt32: Record] = [:]
  for owner in UInt32(0)..<4000 { records[owner] = append(arena, owner: owner, length: 4088) }
  for owner in UInt32(0)..<4000 where owner % 10 != 0 {
    if let record = records.removeValue(forKey: owner) { arena.free(record.reference) }
  }
  let before = arena.bytes
  while compactOnce(arena, &records) {}
  for _ in 0..<20 { _ = arena.nextVictim() }
  let (after, dead) = (arena.bytes, arena.deadBytes)
  #expect(before > 15 << 20 && after < 10 << 20)
  #expect(dead <= 4 << 20)
  let intact = records.values.allSatisfy { isIntact(arena.bytes($0.reference), $0) }
  #expect(intact)
}

@Test("A block that is half live or more is left alone")
func arenaLeavesFullBlocks() {
  let arena = Arena(HeapBlocks())
  let records = (UInt32(0)..<8000).map { append(arena, owner: $0, length: 4088) }
  for record in records where record.owner % 5 < 2 { arena.free(record.reference) }
  let (dead, live) = (arena.deadBytes, arena.liveBytes)
  #expect(dead > max(4 << 20, live / 2))
  let victim = arena.nextVictim()
  #expect(victim == nil)
}

@Test("A small arena is small, and a large record has a block of its own that goes with it")
func arenaSizes() {
  let arena = Arena(HeapBlocks())
  let empty = arena.bytes
  let small = append(arena, owner: 1, length: 0)
  let first = arena.bytes
  #expect(empty < 1024 && first < 66 << 10)
  #expect(!small.reference.isNone)
  for length in [Arena.longestShared + 1, 5 << 20] {
    let before = arena.bytes
    let large = append(arena, owner: 2, length: length)
    let during = arena.bytes
    let intact = isIntact(arena.bytes(large.reference), large)
    arena.free(large.reference)
    let after = arena.bytes
    #expect(during - before == size(large) && after == before && intact)
  }
  let shared = append(arena, owner: 3, length: Arena.longestShared)
  let intact = isIntact(arena.bytes(shared.reference), shared) && isIntact(arena.bytes(small.reference), small)
  #expect(intact)
}

@Test("Nothing that a pin saw is overwritten before unpin, and all of it is given back afterwards")
func arenaPins() {
  let arena = Arena(HeapBlocks())
  let records =
    (UInt32(0)..<300).map { append(arena, owner: $0, length: 40_000) } + [
      append(arena, owner: 300, length: 1_000_000)
    ]
  let held = arena.bytes
  let view = arena.pin()
  for record in records { arena.free(record.reference) }
  let after = (0..<100).map { append(arena, owner: 1000 + $0, length: 30_000) }
  let during = arena.bytes
  let seen = records.allSatisfy { isIntact(view.bytes($0.reference), $0) }
  #expect(seen && during >= held)
  arena.unpin()
  for _ in 0..<20 { _ = arena.nextVictim() }
  let intact = after.allSatisfy { isIntact(arena.bytes($0.reference), $0) }
  let rest = arena.bytes
  #expect(intact && rest < 10 << 20)
}

@Test("Blocks that fill and empty under a pin are given back after it")
func arenaChurnsUnderPin() {
  let arena = Arena(HeapBlocks())
  _ = arena.pin()
  for owner in UInt32(0)..<200 { arena.free(append(arena, owner: owner, length: 200_000).reference) }
  let during = arena.bytes
  arena.unpin()
  let dead = arena.deadBytes
  for _ in 0..<200 { _ = arena.nextVictim() }
  let after = arena.bytes
  // Kept: the block being filled, one for reuse, and the table, which has grown with the blocks.
  #expect(during > 30 << 20 && dead == 0 && after < 3 * Arena.blockBytes + (64 << 10))
}

@Test("Lengths about those that need a longer header are kept, also through compaction")
func arenaHeaders() {
  let arena = Arena(HeapBlocks())
  var records: [UInt32: Record] = [:]
  for owner in UInt32(0)..<4_000 {
    records[owner] = append(arena, owner: owner, length: 4_093 + Int(owner) % 5)
  }
  let live = arena.liveBytes
  #expect(live == records.values.reduce(0) { $0 + size($1) })
  for owner in UInt32(0)..<4_000 where owner % 7 != 0 {
    if let record = records.removeValue(forKey: owner) { arena.free(record.reference) }
  }
  var compactions = 0
  while compactOnce(arena, &records) { compactions += 1 }
  let intact = records.values.allSatisfy { isIntact(arena.bytes($0.reference), $0) }
  #expect(intact && compactions > 0)
}
