/// Where an engine's large tables get their memory: blocks of one size.
///
/// A node gives a source that has the next block ready: to fetch memory from the system is slow, page by page. For the engine's thread,
/// which asks once for thousands of jobs.
public protocol BlockSource: AnyObject, Sendable {
  /// A block of `blockBytes`, aligned to 4 KiB. What is in it is undefined.
  func take() -> UnsafeMutableRawPointer
  /// Takes a block back. Once for each.
  func give(_ block: UnsafeMutableRawPointer)
}

extension BlockSource {
  /// The size of every block.
  public static var blockBytes: Int { 512 << 10 }
}

/// Blocks from the heap.
public final class HeapBlocks: BlockSource {
  /// A source that keeps nothing.
  public init() {}

  /// Allocates.
  public func take() -> UnsafeMutableRawPointer { .allocate(byteCount: Self.blockBytes, alignment: 4096) }

  /// Deallocates.
  public func give(_ block: UnsafeMutableRawPointer) { block.deallocate() }
}
