import SeededNumbers
import Testing

@testable import NuvomEngine

private func hash(_ bytes: [UInt8], seed: UInt64 = 1) -> UInt64 {
  let function = ByteHash(seed: seed)
  return bytes.withUnsafeBytes { function($0) }
}

/// The hash that a test's table files a number under.
private typealias HashOfID = (UInt32) -> UInt64

@Test(
  "A table finds what a dictionary finds, through growth and removal",
  arguments: [
    ("hashes", ~0 as UInt64), ("few distinct hashes", 0x7F00_0000_0000_0000), ("no upper bits", 0x0000_FFFF_0000_0000),
  ])
func tableAgainstModel(name: String, mask: UInt64) {
  var random = SeededNumbers(seed: 3)
  let hashes: HashOfID = { id in withUnsafeBytes(of: id.littleEndian) { ByteHash(seed: 9)($0) } & mask }
  let size = mask == ~0 ? 30_000 : 300
  let table = ByteTable()
  var held: [UInt32] = []
  var place: [UInt32: Int] = [:]
  for target in [size, 0, size / 2, size / 3, 0] {
    for _ in 0..<3 * size {
      let id = UInt32(random.below(2 * size))
      let found = table.find(hashes(id)) { $0 == id }
      #expect(found == (place[id] == nil ? nil : id))
      if held.isEmpty || random.below(2 * target + 1) >= held.count {
        if place[id] != nil { continue }
        table.insert(hashes(id), id)
        place[id] = held.count
        held.append(id)
      } else {
        let index = random.below(held.count)
        let victim = held[index]
        let removed = table.remove(hashes(victim), victim)
        let again = table.remove(hashes(victim), victim)
        #expect(removed && !again)
        held[index] = held[held.count - 1]
        place[held[index]] = index
        held.removeLast()
        place[victim] = nil
      }
    }
    let count = table.count
    #expect(count == held.count)
    let missing = held.filter { id in table.find(hashes(id)) { $0 == id } != id }
    #expect(missing.isEmpty)
  }
}

@Test("A table's memory follows its entries, up and down")
func tableMemory() {
  let table = ByteTable()
  let function = ByteHash(seed: 4)
  func hashOf(_ id: UInt32) -> UInt64 { withUnsafeBytes(of: id.littleEndian) { function($0) } }
  let empty = table.bytes
  for id in UInt32(0)..<100_000 { table.insert(hashOf(id), id) }
  let full = table.bytes
  #expect(empty < 256 && full < 100_000 * 24)
  for id in UInt32(0)..<100_000 {
    let removed = table.remove(hashOf(id), id)
    #expect(removed)
  }
  let rest = table.bytes
  #expect(rest < full / 20)
}

@Test("Look-ups rarely ask for equality in vain")
func tableAsksLittle() {
  let table = ByteTable()
  let function = ByteHash(seed: 4)
  func hashOf(_ id: UInt32) -> UInt64 { withUnsafeBytes(of: id.littleEndian) { function($0) } }
  for id in UInt32(0)..<50_000 { table.insert(hashOf(id), id) }
  var asked = 0
  for id in UInt32(50_000)..<100_000 {
    let found = table.find(hashOf(id)) { _ in
      asked += 1
      return false
    }
    #expect(found == nil)
  }
  #expect(asked < 1000)
}

@Test("A table of strings: one hash for two strings is two entries")
func tableCollision() {
  let names = ["mail", "video"]
  let table = ByteTable()
  for id in UInt32(0)..<2 { table.insert(77, id) }
  let found = names.map { name in table.find(77) { names[Int($0)] == name } }
  let stranger = table.find(77) { names[Int($0)] == "audio" }
  #expect(found == [0, 1] && stranger == nil)
}

@Test("More entries under one hash than a segment holds are still found")
func tableOneHash() {
  let table = ByteTable()
  for id in UInt32(0)..<3200 { table.insert(.max, id) }
  let found = table.find(.max) { $0 == 3199 }
  let removed = table.remove(.max, 0)
  let gone = table.find(.max) { $0 == 0 }
  #expect(found == 3199 && removed && gone == nil)
}

@Test("The hash depends on each byte, on the length and on the seed, at each length to 70")
func hashCovers() {
  for length in 0...70 {
    let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    var seen: Set<UInt64> = [hash(bytes), hash(bytes, seed: 2), hash(bytes + [0])]
    for place in 0..<length {
      var other = bytes
      other[place] ^= 0x80
      seen.insert(hash(other))
    }
    #expect(seen.count == length + 3, "length \(length)")
    // At any address: only the bytes count.
    let shifted = ([1] + bytes).withUnsafeBytes { ByteHash(seed: 1)(UnsafeRawBufferPointer(rebasing: $0.dropFirst())) }
    #expect(shifted == hash(bytes))
  }
}

@Test("The hash's upper bits spread keys that differ in little")
func hashSpreads() {
  for prefix in ["", "key-", "a-rather-longer-prefix-of-a-unique-key:"] {
    var buckets = [Int](repeating: 0, count: 1024)
    for number in 0..<16_384 { buckets[Int(hash(Array("\(prefix)\(number)".utf8)) >> 54)] += 1 }
    // 16 on average; at random the fullest of 1024 has about 31.
    #expect((buckets.max() ?? 0) < 40 && (buckets.min() ?? 0) > 0)
  }
}

@Test("Bytes chosen against a known constant do not cancel what came before them")
func hashHasNoKnownZero() {
  // With a public constant in a factor, a step over that constant is zero whatever the rest.
  for constant: UInt64 in [0x2d35_8dcc_aa6c_78a5, 0x8bb8_4b93_962e_acc9, 0x9E37_79B9_7F4A_7C15, 0] {
    let block = withUnsafeBytes(of: constant.littleEndian) { Array($0) }
    let hashes = Set((0..<100).map { hash([UInt8](repeating: $0, count: 16) + block + block + block + [1]) })
    #expect(hashes.count == 100)
  }
}
