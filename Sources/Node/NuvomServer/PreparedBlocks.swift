import CPlatform
import Dispatch
import NuvomEngine
import Synchronization

/// Blocks whose pages exist before the engine asks for them.
///
/// The system makes a page at its first touch, which costs a tenth of all that is done with the jobs in it. So another thread touches the next
/// blocks ahead of time. (Huge pages would be cheaper still where they are at hand, and stop the loop for milliseconds where they
/// are not, as on virtual machines.) When nothing was taken for a while, what is ready goes back.
final class PreparedBlocks: BlockSource {
  /// Blocks that are kept ready: filling two takes the engine longer than preparing one.
  private static let wanted = 2
  /// How long an unused stock is kept.
  private static let patience = DispatchTimeInterval.milliseconds(100)

  private struct Stock {
    var ready: [Block] = []
    var taken: UInt64 = 0
    var isPreparing = false
    var isWatched = false
  }

  /// `@unchecked Sendable`: nobody touches a block but the one whose hands it is in.
  private struct Block: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
  }

  private let stock = Mutex(Stock())
  private let queue = DispatchQueue(label: "nuvom-memory")

  func take() -> UnsafeMutableRawPointer {
    let (block, isShort) = stock.withLock { stock in
      stock.taken += 1
      let block = stock.ready.popLast()
      let isShort = !stock.isPreparing
      stock.isPreparing = true
      return (block, isShort)
    }
    if isShort { queue.async { self.prepare() } }
    return (block ?? Self.map()).base
  }

  func give(_ block: UnsafeMutableRawPointer) {
    let block = Block(base: block)
    let isKept = stock.withLock { stock in
      guard stock.ready.count < Self.wanted else { return false }
      stock.ready.append(block)
      return true
    }
    // Not on the engine's thread: the system takes its time for this too.
    if isKept { watch() } else { queue.async { Self.unmap(block) } }
  }

  private func prepare() {
    while true {
      let isEnough = stock.withLock { stock in
        if stock.ready.count < Self.wanted { return false }
        stock.isPreparing = false
        return true
      }
      if isEnough { return watch() }
      let block = Self.map()
      nuvom_memory_touch(block.base, Self.blockBytes)
      stock.withLock { $0.ready.append(block) }
    }
  }

  /// While there is a stock, looks now and then whether it is still of use.
  private func watch() {
    let taken = stock.withLock { stock -> UInt64? in
      if stock.isWatched || stock.ready.isEmpty { return nil }
      stock.isWatched = true
      return stock.taken
    }
    guard let taken else { return }
    queue.asyncAfter(deadline: .now() + Self.patience) {
      let unused = self.stock.withLock { stock -> [Block] in
        stock.isWatched = false
        guard stock.taken == taken, !stock.isPreparing else { return [] }
        defer { stock.ready = [] }
        return stock.ready
      }
      unused.forEach(Self.unmap)
      self.watch()
    }
  }

  private static func map() -> Block {
    guard let base = nuvom_memory_map(blockBytes) else {
      preconditionFailure("the system gives no memory; --memory-limit keeps the broker below what there is")
    }
    return Block(base: base)
  }

  private static func unmap(_ block: Block) { nuvom_memory_unmap(block.base, blockBytes) }
}
