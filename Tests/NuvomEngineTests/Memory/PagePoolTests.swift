import Synchronization
import SeededNumbers
import Testing

@testable import NuvomEngine

/// Counts the blocks that are out.
private final class CountedBlocks: BlockSource {
  let out = Mutex(0)
  private let heap = HeapBlocks()

  func take() -> UnsafeMutableRawPointer {
    out.withLock { $0 += 1 }
    return heap.take()
  }

  func give(_ block: UnsafeMutableRawPointer) {
    out.withLock { $0 -= 1 }
    heap.give(block)
  }

  var count: Int { out.withLock { $0 } }
}

@Test("No two pages in use overlap, whatever is taken and given back")
func pagesAreApart() {
  let pageBytes = 2_880
  let pool = PagePool(pageBytes: pageBytes, source: CountedBlocks())
  var numbers = SeededNumbers(seed: 7)
  var pages: [(page: UnsafeMutableRawPointer, block: UInt32, mark: UInt8)] = []
  for step in 0..<20_000 {
    if pages.isEmpty || numbers.next() % 5 < 3 {
      let (page, block) = pool.take()
      let mark = UInt8(truncatingIfNeeded: step)
      page.initializeMemory(as: UInt8.self, repeating: mark, count: pageBytes)
      pages.append((page, block, mark))
    } else {
      let (page, block, mark) = pages.remove(at: Int(numbers.next() % UInt64(pages.count)))
      let isIntact = UnsafeRawBufferPointer(start: page, count: pageBytes).allSatisfy { $0 == mark }
      #expect(isIntact)
      pool.give(page, of: block)
    }
  }
  for (page, block, _) in pages { pool.give(page, of: block) }
}

@Test("A pool begins small, and gives empty blocks back but for one")
func poolGivesBack() {
  let source = CountedBlocks()
  do {
    let pool = PagePool(pageBytes: 4_096, source: source)
    var pages: [(page: UnsafeMutableRawPointer, block: UInt32)] = []
    for _ in 0..<16 { pages.append(pool.take()) }
    let small = pool.bytes
    #expect(source.count == 0 && small < 66 << 10)
    for _ in 0..<2_000 { pages.append(pool.take()) }
    #expect(source.count == 16)
    for (page, block) in pages { pool.give(page, of: block) }
    #expect(source.count <= 1)
    let again = pool.take()
    #expect(source.count <= 1)
    pool.give(again.page, of: again.block)
  }
  #expect(source.count == 0)
}
