/// What a snapshot says about one page of a slab, or about a run of released pages.
///
/// A released page has no elements, only a *floor*: the generation that all its slots start from when it is used
/// again. Neighbours with one floor are told as a run of `pageCount` pages. A page in use has `pageCount` 1, its free
/// bitmap (bit set: slot not live) and 64 generations and elements; the elements of free slots are stale bytes, to be
/// left out by whoever writes them down.
///
/// `@unchecked Sendable`: the memory belongs to this object alone and nothing writes to it after `init`, so any thread
/// may read it, and the last one frees it.
final class PageCopy: @unchecked Sendable {
  /// The (first) page: its slots are `index * 64 ..< (index + 1) * 64`.
  let index: UInt32
  let pageCount: UInt32
  let freeBitmap: UInt64
  /// The generation to start from; nil for a page in use.
  let floor: UInt32?
  /// 64 generations: a live slot's own, a free slot's next. Empty for released pages.
  let generations: UnsafeBufferPointer<UInt32>
  /// 64 elements. Empty for released pages.
  let elements: UnsafeRawBufferPointer

  init(index: Int, pageCount: Int, floor: UInt32) {
    self.index = UInt32(index)
    self.pageCount = UInt32(pageCount)
    self.freeBitmap = .max
    self.floor = floor
    generations = UnsafeBufferPointer(start: nil, count: 0)
    elements = UnsafeRawBufferPointer(start: nil, count: 0)
  }

  /// Copies `elementBytes` of elements that lie straight behind the 64 generations.
  init(index: Int, freeBitmap: UInt64, generations source: UnsafePointer<UInt32>, elementBytes: Int) {
    let generationBytes = 64 * MemoryLayout<UInt32>.stride
    let memory = UnsafeMutableRawPointer.allocate(byteCount: generationBytes + elementBytes, alignment: 16)
    memory.copyMemory(from: source, byteCount: generationBytes + elementBytes)
    self.index = UInt32(index)
    self.pageCount = 1
    self.freeBitmap = freeBitmap
    self.floor = nil
    generations = UnsafeBufferPointer(start: memory.bindMemory(to: UInt32.self, capacity: 64), count: 64)
    elements = UnsafeRawBufferPointer(start: memory + generationBytes, count: elementBytes)
  }

  deinit {
    if let memory = generations.baseAddress { UnsafeMutableRawPointer(mutating: memory).deallocate() }
  }

  /// Bytes that the copy itself holds.
  var bytes: Int { generations.count * 4 + elements.count }
}
