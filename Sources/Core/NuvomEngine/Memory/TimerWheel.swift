/// A timer of a `TimerWheel`: when it is due and what its owner wants to be told then. 32 bytes.
struct WheelTimer: BitwiseCopyable {
  fileprivate var next: UInt32
  fileprivate var previous: UInt32
  /// Microseconds, on the clock of the wheel's owner.
  fileprivate(set) var due: Int64
  let subject: UInt64
  let extra: UInt32
  let kind: UInt8
  fileprivate var isPending: Bool
}

/// Timers in a hierarchical wheel: 8 levels of 64 slots over ticks of 128 µs, inserted and removed in constant time.
///
/// A timer's *tick* is its due time rounded up, so it never fires early, and at most 128 µs late by the `now` that
/// `popDue` is given. Its level is the highest 6-bit digit in which its tick differs from the wheel's own time, and it
/// lies in that digit's slot. So the occupied slots of a level all lie ahead of the wheel's time, the lowest level in use
/// holds the earliest timers, and the first occupied slot there is the next to need attention: its timers fire (level 0)
/// or are dealt out to lower levels (a *cascade*). What lies beyond the eighth level, 1142 years, waits in a list apart.
///
/// Lists are circles that run through a head in the node pool, so that a removal need not know its list. Nodes live in
/// chunks that stay where they are: growing copies nothing. Chunks are kept until the wheel goes.
///
/// For one thread. All state is behind pointers, for the reason that `Slab` gives.
struct TimerWheel: ~Copyable {
  /// Microseconds in a tick.
  static let tick: Int64 = 1 << 7

  private let chunks: UnsafeMutablePointer<UnsafeMutablePointer<WheelTimer>>
  private let occupied: UnsafeMutablePointer<UInt64>
  private let state: UnsafeMutablePointer<WheelState>

  /// An empty wheel at `now`. Its directory of chunks is 8 MiB of address space, of which 8 bytes for each 4096 timers are
  /// touched.
  init(now: Int64) {
    chunks = .allocate(capacity: 1 << (32 - WheelLayout.chunkBits))
    occupied = .allocate(capacity: WheelLayout.levels)
    occupied.initialize(repeating: 0, count: WheelLayout.levels)
    state = .allocate(capacity: 1)
    state.initialize(to: WheelState(time: Self.floor(now)))
    addChunk()
    for list in 0..<WheelLayout.heads {
      node(list).initialize(
        to: WheelTimer(next: list, previous: list, due: 0, subject: 0, extra: 0, kind: 0, isPending: false))
    }
  }

  deinit {
    for chunk in 0..<state.pointee.chunkCount { chunks[chunk].deallocate() }
    chunks.deallocate()
    occupied.deallocate()
    state.deallocate()
  }

  /// Timers that are pending.
  var count: Int { state.pointee.count }

  /// Memory held.
  var bytes: Int { state.pointee.chunkCount << WheelLayout.chunkBits * MemoryLayout<WheelTimer>.stride }

  /// Adds a timer, also one that is overdue. The node names it until it is popped or removed; it is never 0.
  @inline(__always)
  func insert(due: Int64, subject: UInt64, extra: UInt32, kind: UInt8) -> UInt32 {
    let id = takeNode()
    node(id).initialize(
      to: WheelTimer(
        next: id, previous: id, due: due, subject: subject, extra: extra, kind: kind, isPending: true))
    place(id)
    state.pointee.count += 1
    return id
  }

  /// Removes a pending timer.
  @inline(__always)
  func remove(_ id: UInt32) {
    precondition(node(id).pointee.isPending, "a timer is removed once, and not after it was popped")
    unlink(id)
    giveBack(id)
  }

  /// A pending timer.
  @inline(__always)
  func timer(_ id: UInt32) -> WheelTimer {
    assert(node(id).pointee.isPending)
    return node(id).pointee
  }

  /// Takes out the next timer that is due at `now`, in the order of ticks. Its node is void.
  ///
  /// Each timer that is popped, or dealt out by a cascade, takes one from `budget`. Nil means that nothing is due or that the
  /// budget is spent; in that case, `nextDeadline` is not after `now`.
  @inline(__always)
  func popDue(now: Int64, budget: inout Int) -> WheelTimer? {
    let reached = Self.floor(now)
    while budget > 0 {
      if let id = first(WheelLayout.cascading) {
        budget -= 1
        unlink(id)
        place(id)
      } else if let id = first(WheelLayout.due) {
        // Only after the clock stepped back can a timer in this list not be due.
        if Self.ceiling(node(id).pointee.due) > reached { return nil }
        budget -= 1
        unlink(id)
        giveBack(id)
        return node(id).pointee
      } else if !openNextSlot(reached) {
        return nil
      }
    }
    return nil
  }

  /// When `popDue` must be called next: the tick of the earliest timer, or before that a cascade; nil without timers.
  func nextDeadline() -> Int64? {
    if first(WheelLayout.cascading) != nil { return Self.microseconds(state.pointee.time) }
    if let id = first(WheelLayout.due) { return Self.microseconds(Self.ceiling(node(id).pointee.due)) }
    guard let (_, start) = nextSlot() else { return nil }
    return Self.microseconds(start)
  }

  /// Sets the wheel to another time, for a clock that stepped back. All timers are dealt out anew, by the next `popDue`s and
  /// within their budgets.
  func rebase(now: Int64) {
    splice(WheelLayout.due, to: WheelLayout.cascading)
    for level in 0..<WheelLayout.levels {
      while occupied[level] != 0 {
        let slot = occupied[level].trailingZeroBitCount
        occupied[level] &= occupied[level] - 1
        splice(UInt32(level << 6 + slot), to: WheelLayout.cascading)
      }
    }
    splice(WheelLayout.far, to: WheelLayout.cascading)
    state.pointee.time = Self.floor(now)
  }

  /// Calls `body` for each pending timer, in no order that means anything, but the same for the same history.
  func forEach(_ body: (_ node: UInt32, _ timer: WheelTimer) -> Void) {
    for list in 0..<WheelLayout.heads {
      var id = node(list).pointee.next
      while id != list {
        body(id, node(id).pointee)
        id = node(id).pointee.next
      }
    }
  }

  // MARK: Time

  private static let longestTick = Int64.max >> 7

  @inline(__always)
  private static func floor(_ time: Int64) -> Int64 { time >> 7 }

  /// The tick at which a time is reached. The last tick is the exception: there is no time left after it.
  @inline(__always)
  private static func ceiling(_ time: Int64) -> Int64 {
    min(time >> 7 + (time & 127 == 0 ? 0 : 1), longestTick)
  }

  @inline(__always)
  private static func microseconds(_ tick: Int64) -> Int64 { min(tick, longestTick) << 7 }

  /// The next slot in use and the tick at which it begins. Only right while nothing is due and no cascade under way.
  @inline(__always)
  private func nextSlot() -> (list: UInt32, start: Int64)? {
    for level in 0..<WheelLayout.levels where occupied[level] != 0 {
      let slot = occupied[level].trailingZeroBitCount
      let shift = Int64(6 * level)
      let start = (state.pointee.time >> (shift + 6)) << (shift + 6) | Int64(slot) << shift
      return (UInt32(level << 6 + slot), start)
    }
    if first(WheelLayout.far) != nil {
      let span: Int64 = 1 << Int64(6 * WheelLayout.levels)
      return (WheelLayout.far, (state.pointee.time | (span - 1)) + 1)
    }
    return nil
  }

  /// Moves the wheel's time to the next slot that begins by `reached`, and its timers to where `popDue` takes them; or
  /// moves the time to `reached` and answers false.
  @inline(never)
  private func openNextSlot(_ reached: Int64) -> Bool {
    guard let (list, start) = nextSlot(), start <= reached else {
      if reached > state.pointee.time { state.pointee.time = reached }
      return false
    }
    state.pointee.time = start
    if list < WheelLayout.far { occupied[Int(list >> 6)] &= ~(1 << UInt64(list & 63)) }
    splice(list, to: list < 64 ? WheelLayout.due : WheelLayout.cascading)
    return true
  }

  // MARK: Lists

  /// Appends a node, in no list, to the one for its due time.
  @inline(__always)
  private func place(_ id: UInt32) {
    let tick = Self.ceiling(node(id).pointee.due)
    let list: UInt32
    if tick <= state.pointee.time {
      list = WheelLayout.due
    } else {
      let difference = UInt64(bitPattern: tick ^ state.pointee.time)
      let level = (63 - difference.leadingZeroBitCount) / 6
      if level < WheelLayout.levels {
        let slot = (tick &>> Int64(6 * level)) & 63
        occupied[level] |= 1 &<< UInt64(slot)
        list = UInt32(truncatingIfNeeded: Int64(level << 6) | slot)
      } else {
        list = WheelLayout.far
      }
    }
    let head = node(list)
    let last = head.pointee.previous
    head.pointee.previous = id
    node(last).pointee.next = id
    node(id).pointee.next = list
    node(id).pointee.previous = last
  }

  @inline(__always)
  private func unlink(_ id: UInt32) {
    let next = node(id).pointee.next
    let previous = node(id).pointee.previous
    node(next).pointee.previous = previous
    node(previous).pointee.next = next
    // With the same node on both sides it was the only one, and that node is the list's head.
    if next == previous, next < WheelLayout.far { occupied[Int(next >> 6)] &= ~(1 &<< UInt64(next & 63)) }
  }

  @inline(__always)
  private func first(_ list: UInt32) -> UInt32? {
    let id = node(list).pointee.next
    return id == list ? nil : id
  }

  /// Moves all of a list to the end of another.
  private func splice(_ source: UInt32, to target: UInt32) {
    guard let begin = first(source) else { return }
    let end = node(source).pointee.previous
    node(source).pointee.next = source
    node(source).pointee.previous = source
    let last = node(target).pointee.previous
    node(last).pointee.next = begin
    node(begin).pointee.previous = last
    node(end).pointee.next = target
    node(target).pointee.previous = end
  }

  // MARK: Nodes

  @inline(__always)
  private func node(_ id: UInt32) -> UnsafeMutablePointer<WheelTimer> {
    chunks[Int(id >> WheelLayout.chunkBits)] + Int(id & (1 << WheelLayout.chunkBits - 1))
  }

  @inline(__always)
  private func takeNode() -> UInt32 {
    let free = state.pointee.firstFree
    if free != 0 {
      state.pointee.firstFree = node(free).pointee.next
      return free
    }
    let fresh = state.pointee.firstFresh
    if Int(fresh >> WheelLayout.chunkBits) == state.pointee.chunkCount { addChunk() }
    state.pointee.firstFresh = fresh + 1
    return fresh
  }

  @inline(__always)
  private func giveBack(_ id: UInt32) {
    node(id).pointee.isPending = false
    node(id).pointee.next = state.pointee.firstFree
    state.pointee.firstFree = id
    state.pointee.count -= 1
  }

  private func addChunk() {
    chunks[state.pointee.chunkCount] = .allocate(capacity: 1 << WheelLayout.chunkBits)
    state.pointee.chunkCount += 1
  }
}

/// The first nodes are the heads of the lists: one for each slot, `level * 64 + slot`, then these three.
private enum WheelLayout {
  static let levels = 8
  static let chunkBits = 12
  static let far: UInt32 = 512
  /// Timers on their way from a slot to lower levels.
  static let cascading: UInt32 = 513
  /// Timers to be popped.
  static let due: UInt32 = 514
  static let heads: UInt32 = 515
}

private struct WheelState {
  /// The tick up to which slots have been opened.
  var time: Int64
  var count = 0
  var chunkCount = 0
  var firstFree: UInt32 = 0
  var firstFresh = WheelLayout.heads

  init(time: Int64) {
    self.time = time
  }
}
