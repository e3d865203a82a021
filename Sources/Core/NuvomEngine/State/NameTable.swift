import NuvomModel

/// Names and their numbers, for ever: queues and tasks are few, and a number costs a job four bytes instead of its name.
///
/// The name asked for last is tried first: most requests name the queue that the one before them named.
struct NameTable: ~Copyable {
  private let state: UnsafeMutablePointer<NameTableState>
  private let index: ByteTable
  private let hash: ByteHash
  let maximum: Int

  init(maximum: Int, hash: ByteHash) {
    self.maximum = maximum
    self.hash = hash
    state = .allocate(capacity: 1)
    state.initialize(to: NameTableState(names: .allocate(capacity: maximum)))
    index = ByteTable()
  }

  deinit {
    for number in 0..<state.pointee.count { state.pointee.names[number].deallocate() }
    state.pointee.names.deallocate()
    state.deallocate()
  }

  var count: Int { state.pointee.count }
  var bytes: Int { state.pointee.nameBytes + state.pointee.count * 16 + index.bytes }

  /// The name of a number that was given out.
  @inline(__always)
  func name(_ number: UInt32) -> BorrowedBytes { state.pointee.names[Int(number)] }

  @inline(__always)
  func find(_ name: BorrowedBytes) -> UInt32? {
    let last = state.pointee.last
    if last < state.pointee.count, state.pointee.names[last].isSame(as: name) { return UInt32(last) }
    return search(name)
  }

  @inline(never)
  private func search(_ name: BorrowedBytes) -> UInt32? {
    let names = state.pointee.names
    let found = index.find(hash(name)) { names[Int($0)].isSame(as: name) }
    if let found { state.pointee.last = Int(found) }
    return found
  }

  /// Gives the next number to a name that has none. False if it has one, if the number is not the next, or if there are too many.
  func add(_ name: BorrowedBytes, number: UInt32) -> Bool {
    guard Int(number) == state.pointee.count, state.pointee.count < maximum, search(name) == nil else {
      return false
    }
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: name.count, alignment: 1)
    copy.copyMemory(from: name)
    state.pointee.names[Int(number)] = BorrowedBytes(copy)
    state.pointee.count += 1
    state.pointee.nameBytes += name.count
    index.insert(hash(name), number)
    return true
  }
}

private struct NameTableState {
  /// Room for all names there may be: address space, touched as far as it is used.
  let names: UnsafeMutablePointer<BorrowedBytes>
  var count = 0
  var last = 0
  var nameBytes = 0
}

extension UnsafeRawBufferPointer {
  /// Whether both hold the same bytes.
  @inline(__always)
  func isSame(as other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    guard let left = baseAddress, let right = other.baseAddress else { return true }
    // Whole words, the last of which may overlap the one before.
    if count >= 8 {
      var offset = 0
      while offset < count - 8 {
        if !left.hasSame(UInt64.self, as: right, at: offset) { return false }
        offset += 8
      }
      return left.hasSame(UInt64.self, as: right, at: count - 8)
    }
    if count >= 4 {
      return left.hasSame(UInt32.self, as: right, at: 0) && left.hasSame(UInt32.self, as: right, at: count - 4)
    }
    for offset in 0..<count where !left.hasSame(UInt8.self, as: right, at: offset) { return false }
    return true
  }
}

extension UnsafeRawPointer {
  @inline(__always)
  fileprivate func hasSame<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type, as other: UnsafeRawPointer, at offset: Int
  ) -> Bool {
    loadUnaligned(fromByteOffset: offset, as: type) == other.loadUnaligned(fromByteOffset: offset, as: type)
  }
}
