/// A piece of the core's work that can be repeated: one row of the microbenchmarks.
public struct Piece: Sendable {
  /// Does the piece so many times more, up to the higher of its `repetitions` in all. Throws if what came out is not what should have: then
  /// something else was measured.
  public typealias Run = (Int) throws -> Void

  /// Unique among the pieces; `codec-…`, `engine-…`, `schedule-…`, `timers-…`, `table-…`, `log-…`, `snapshot-…` or `path-…`.
  public let name: String
  /// What one repetition is.
  public let summary: String
  /// Two counts of repetitions, whose difference is the piece's cost. The lower one makes everything warm; the distance between them spreads what
  /// happens only now and then (a page of a table, a block of the arena).
  public let repetitions: Range<Int>
  /// Builds what the piece works on, and gives the work itself. Each call builds anew.
  public let prepare: @Sendable () throws -> Run

  init(
    _ name: String, _ summary: String, repetitions: Range<Int> = 1_000..<9_000,
    prepare: @escaping @Sendable () throws -> Run
  ) {
    self.name = name
    self.summary = summary
    self.repetitions = repetitions
    self.prepare = prepare
  }

  /// All pieces, in the order in which a job meets them.
  public static let all = codec + engine + schedules + memory + log + snapshots + path

  /// Repetitions of pieces that are about many jobs each.
  static let few = 100..<900
}

/// A piece did not do what it is for.
public struct WrongWork: Error, CustomStringConvertible {
  /// What was found.
  public let description: String

  init(_ description: String) { self.description = description }
}

@inline(__always)
func expect(_ condition: Bool, _ otherwise: @autoclosure () -> String) throws(WrongWork) {
  if !condition { throw WrongWork(otherwise()) }
}

/// A value behind a pointer. The pieces use their state as the broker does: a class's own properties, and what a closure captures, would be
/// checked for exclusive access at each use.
final class Place<Value: ~Copyable> {
  let pointer: UnsafeMutablePointer<Value>

  init(_ value: consuming Value) {
    pointer = .allocate(capacity: 1)
    pointer.initialize(to: value)
  }

  deinit {
    pointer.deinitialize(count: 1)
    pointer.deallocate()
  }
}

/// Bytes at an address that stays, as long as this lives.
final class Bytes {
  let borrowed: UnsafeRawBufferPointer

  init(_ bytes: [UInt8]) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    memory.copyBytes(from: bytes)
    borrowed = UnsafeRawBufferPointer(memory)
  }

  deinit { borrowed.deallocate() }

  /// For a few bytes of a request that differ from one repetition to the next.
  var mutable: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(mutating: borrowed) }
}
