// The wheel and the table are the engine's own and not public. `Memory/` holds links to their files, so that what is counted here is their text as it
// stands, and nothing has to be made public for it. (`NameTable.swift` is there for the comparison of bytes in it.)

extension Piece {
  static let memory = [
    Piece("timers-insert-remove", "a timer 30 s ahead, and one of 64 earlier ones removed: a lease that is acked") {
      let wheel = Wheel()
      for index in 0..<10_000 { _ = wheel.insert(due: 20_000_000 + Int64(index) * 1_000) }
      let pending = Place((0..<64).map { _ in wheel.insert(due: 30_000_000) })
      return { count in
        for index in 0..<count {
          wheel.now += 20
          wheel.wheel.remove(pending.pointer.pointee[index & 63])
          pending.pointer.pointee[index & 63] = wheel.insert(due: wheel.now + 30_000_000)
        }
        try expect(wheel.wheel.count == 10_064, "timers were lost")
      }
    },
    Piece("timers-insert-fire", "a timer 100 ms ahead, and the firing of one that is due", repetitions: 4_000..<36_000)
    {
      let wheel = Wheel()
      return { count in
        var fired = 0
        for _ in 0..<count {
          wheel.now += TimerWheel.tick
          _ = wheel.insert(due: wheel.now + 100_000)
          var budget = 2_000
          while wheel.wheel.popDue(now: wheel.now, budget: &budget) != nil { fired += 1 }
        }
        try expect(count - fired < 1_000, "timers did not fire")
      }
    },
    Piece("table-find", "hash of a key of 16 bytes and its look-up among 100,000") {
      let table = try Table(keys: 100_000)
      return { count in
        var key: UInt32 = 0
        for _ in 0..<count {
          key = (key + 7_919) % 100_000
          try expect(table.find(key) == key, "a key was not found")
        }
      }
    },
    Piece("table-insert-remove", "a key more and one less among 100,000") {
      let table = try Table(keys: 100_000)
      return { count in
        var key: UInt32 = 0
        for _ in 0..<count {
          key = (key + 7_919) % 100_000
          try expect(table.table.remove(table.hash(key), key), "a key was not found")
          table.table.insert(table.hash(key), key)
        }
      }
    },
  ]
}

private final class Wheel {
  let wheel = TimerWheel(now: 0)
  private let clock = Place<Int64>(0)

  var now: Int64 {
    @inline(__always) get { clock.pointer.pointee }
    @inline(__always) set { clock.pointer.pointee = newValue }
  }

  @inline(__always)
  func insert(due: Int64) -> UInt32 { wheel.insert(due: due, subject: 1, extra: 2, kind: 3) }
}

/// A table of the keys 0, 1, 2, …, each 16 bytes.
private final class Table {
  let table = ByteTable()
  private let hashing = ByteHash(seed: 7)
  private let keys: Bytes

  init(keys count: Int) throws {
    var bytes = [UInt8](repeating: 0x5A, count: count * 16)
    bytes.withUnsafeMutableBytes { bytes in
      for key in 0..<count { bytes.storeBytes(of: UInt32(key).littleEndian, toByteOffset: key * 16, as: UInt32.self) }
    }
    keys = Bytes(bytes)
    for key in 0..<UInt32(count) { table.insert(hash(key), key) }
    try expect(table.count == count, "keys were lost")
  }

  @inline(__always)
  private func bytes(_ key: UInt32) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: keys.borrowed[Int(key) * 16..<Int(key) * 16 + 16])
  }

  @inline(__always)
  func hash(_ key: UInt32) -> UInt64 { hashing(bytes(key)) }

  /// As the engine finds a unique key: candidates are compared with the key's bytes.
  @inline(__always)
  func find(_ key: UInt32) -> UInt32? {
    let wanted = bytes(key)
    return table.find(hash(key)) { bytes($0).isSame(as: wanted) }
  }
}
