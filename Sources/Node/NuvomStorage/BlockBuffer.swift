/// Builds what is written past the page cache: whole blocks, from a block's beginning on.
///
/// A batch ends amid a block, as a rule. So the next write begins with that block again, its old bytes unchanged, and the last block is
/// filled up with zeros. (A cached write does the same to the disk: it writes whole pages.)
///
/// `@unchecked Sendable` for the reason that `WALStorage` gives: it belongs to whoever commits.
final class BlockBuffer: @unchecked Sendable {
  /// A size and alignment that every disk's blocks divide.
  static let blockBytes = 4096

  private var memory: UnsafeMutableRawBufferPointer

  /// For a file that goes on at `offset`: reads the block that `offset` lies in.
  init(_ file: any File, at offset: Int) throws(StorageError) {
    memory = .allocate(byteCount: 64 << 10, alignment: Self.blockBytes)
    let block = UnsafeMutableRawBufferPointer(rebasing: memory[..<Self.blockBytes])
    guard try file.read(into: block, at: Self.blockStart(offset)) == Self.blockBytes else {
      throw StorageError(.inputOutput, "the file is shorter than its header says", path: file.path, offset: offset)
    }
  }

  deinit { memory.deallocate() }

  /// The blocks that put `bytes` at `offset`, where the last bytes ended, and where they go. Valid until the next use.
  func blocks(with bytes: UnsafeRawBufferPointer, at offset: Int) -> (bytes: UnsafeRawBufferPointer, offset: Int) {
    let start = Self.blockStart(offset)
    let head = offset - start
    let end = head + bytes.count
    let size = Self.blockStart(end + Self.blockBytes - 1)
    if size > memory.count { grow(to: size, keeping: head) }
    UnsafeMutableRawBufferPointer(rebasing: memory[head..<end]).copyMemory(from: bytes)
    UnsafeMutableRawBufferPointer(rebasing: memory[end..<size]).initializeMemory(as: UInt8.self, repeating: 0)
    return (UnsafeRawBufferPointer(rebasing: memory[..<size]), start)
  }

  /// After a write that began at `start`: the next begins in the block that `offset` lies in.
  func goOn(at offset: Int, after start: Int) {
    let last = Self.blockStart(offset) - start
    guard last > 0 else { return }
    memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[last..<last + Self.blockBytes]))
  }

  private func grow(to size: Int, keeping head: Int) {
    let larger = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(size, 2 * memory.count), alignment: Self.blockBytes)
    larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[..<head]))
    memory.deallocate()
    memory = larger
  }

  /// Where the block of an offset begins.
  static func blockStart(_ offset: Int) -> Int { offset & ~(blockBytes - 1) }
}
