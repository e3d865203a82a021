import SeededNumbers
import Testing

@testable import NuvomEngine

/// What a wheel should hold: by node, the due time and the order of insertion.
private struct WheelModel {
  var due: [UInt32: Int64] = [:]

  var earliest: Int64? { due.values.min() }
}

private func tick(_ due: Int64) -> Int64 { due >> 7 + (due & 127 == 0 ? 0 : 1) }

/// Due times at every distance that a wheel's levels tell apart.
private func someDue(_ now: Int64, _ random: inout SeededNumbers) -> Int64 {
  let distance = Int64(random.below(1 << random.below(50)))
  return random.once(in: 10) ? now - distance : now + distance
}

@Test("A wheel pops what is due, in order, never early, and says when to come back", arguments: 1...8)
func wheelAgainstModel(seed: UInt64) {
  var random = SeededNumbers(seed: seed)
  // Real clocks, a clock at its beginning, and times before zero.
  var now: Int64 = [1_760_000_000_000_000, 0, -50_000_000, 123][Int(seed % 4)]
  let wheel = TimerWheel(now: now)
  var model = WheelModel()
  for _ in 0..<3000 {
    for _ in 0..<random.below(6) {
      let due = someDue(now, &random)
      let node = wheel.insert(due: due, subject: UInt64(bitPattern: due), extra: UInt32(seed), kind: 7)
      #expect(node != 0 && model.due[node] == nil)
      model.due[node] = due
    }
    if random.once(in: 2), let node = model.due.keys.min(by: { $0 &* 0x9E37_79B1 < $1 &* 0x9E37_79B1 }) {
      let stored = wheel.timer(node).due
      #expect(stored == model.due[node])
      wheel.remove(node)
      model.due[node] = nil
    }
    now += Int64(random.below(1 << random.below(34)))
    var budget = 100_000
    var lastTick = Int64.min
    var popped: [Int64] = []
    while let timer = wheel.popDue(now: now, budget: &budget) {
      // Overdue timers come first, in the order of insertion.
      popped.append(timer.due)
      lastTick = max(lastTick, tick(timer.due))
    }
    #expect(budget > 0)
    #expect(popped.allSatisfy { tick($0) <= now >> 7 && $0 <= now })
    let expected = model.due.values.filter { tick($0) <= now >> 7 }.sorted()
    #expect(popped.sorted() == expected)
    model.due = model.due.filter { tick($0.value) > now >> 7 }
    let deadline = wheel.nextDeadline()
    if let earliest = model.earliest, let deadline {
      #expect(deadline > now && deadline <= tick(earliest) << 7)
    } else {
      #expect(model.due.isEmpty && deadline == nil)
    }
    let count = wheel.count
    #expect(count == model.due.count)
  }
  var seen: [UInt32: Int64] = [:]
  wheel.forEach { node, timer in seen[node] = timer.due }
  #expect(seen == model.due)
}

@Test("Timers inserted ahead of time pop in the order of ticks, and of insertion within a tick", arguments: 1...4)
func wheelOrder(seed: UInt64) {
  var random = SeededNumbers(seed: seed)
  let wheel = TimerWheel(now: 1_000_000)
  let dues = (0..<2000).map { _ in 1_000_128 + Int64(random.below(2_000_000)) }
  for (order, due) in dues.enumerated() {
    _ = wheel.insert(due: due, subject: UInt64(order), extra: 0, kind: 0)
  }
  var popped: [Int] = []
  for now in stride(from: Int64(1_000_000), through: 3_100_000, by: 9_999) {
    var budget = 10_000
    while let timer = wheel.popDue(now: now, budget: &budget) { popped.append(Int(timer.subject)) }
  }
  #expect(popped == dues.indices.sorted { (tick(dues[$0]), $0) < (tick(dues[$1]), $1) })
}

@Test("A budget bounds a turn, cascades included, and changes neither what pops nor the order", arguments: 1...4)
func wheelBudget(seed: UInt64) {
  var random = SeededNumbers(seed: seed)
  let bounded = TimerWheel(now: 0)
  let free = TimerWheel(now: 0)
  for order in 0..<3000 {
    let due = Int64(random.below(3_600_000_000))
    _ = bounded.insert(due: due, subject: UInt64(order), extra: 0, kind: 0)
    _ = free.insert(due: due, subject: UInt64(order), extra: 0, kind: 0)
  }
  let now: Int64 = 3_000_000_000
  var unlimited = Int.max
  var expected: [UInt64] = []
  while let timer = free.popDue(now: now, budget: &unlimited) { expected.append(timer.subject) }
  var popped: [UInt64] = []
  var turns = 0
  while let deadline = bounded.nextDeadline(), deadline <= now {
    var budget = 7
    turns += 1
    var inTurn = 0
    while let timer = bounded.popDue(now: now, budget: &budget) {
      popped.append(timer.subject)
      inTurn += 1
    }
    #expect(inTurn <= 7 && budget >= 0)
    // Each turn's work is bounded, and each does some, but for the last.
    if budget == 7 { #expect(bounded.nextDeadline().map { $0 > now } ?? true) }
  }
  #expect(popped == expected && turns >= popped.count / 7)
}

@Test("A timer far away, or at the end of time, waits and pops; also across zero")
func wheelFar() {
  let rows: [(start: Int64, due: Int64)] = [
    (0, 1 << 56), (0, Int64.max - 300), (0, .max), (-1_000_000, 5), (-1 << 60, 1 << 60), (.min, .max), (.min, 0),
    (1 << 55 - 1, 1 << 55), (5, 5), (5, .min), (128, 129),
  ]
  for row in rows {
    let wheel = TimerWheel(now: row.start)
    let node = wheel.insert(due: row.due, subject: 1, extra: 2, kind: 3)
    // Followed as an owner would: to each deadline in turn.
    var now = row.start
    var wakes = 0
    var fired: Int64?
    while fired == nil, let deadline = wheel.nextDeadline(), wakes < 1000 {
      now = max(now, deadline)
      var budget = 10
      if let timer = wheel.popDue(now: now, budget: &budget) {
        fired = now
        #expect(timer.subject == 1 && timer.extra == 2 && timer.kind == 3 && timer.due == row.due)
      }
      wakes += 1
    }
    let due = max(row.due, row.start)
    // One a level, and one for each 1142 years.
    let far = max(0, Int((due >> 55) - (row.start >> 55)))
    #expect(node != 0 && wakes <= 10 + far, "\(row)")
    if let fired {
      // The last tick of all time is rounded down, because there is none after it.
      #expect(fired >= due || due > Int64.max - 128, "\(row)")
      #expect(fired - 127 <= due, "\(row)")
    } else {
      Issue.record("never fired: \(row)")
    }
  }
}

@Test(
  "After a step of the clock and rebase, each timer fires at its time by the new clock",
  arguments: [-3_600, -1, 0, 90], [true, false])
func wheelRebase(seconds: Int64, isWithinTick: Bool) {
  var random = SeededNumbers(seed: 5)
  let start: Int64 = 1_760_000_000_000_000
  let wheel = TimerWheel(now: start)
  var due: [UInt64: Int64] = [:]
  for order in UInt64(0)..<1000 {
    let time = start + Int64(random.below(1 << random.below(40)))
    due[order] = time
    _ = wheel.insert(due: time, subject: order, extra: 0, kind: 0)
  }
  for order in UInt64(1000)..<1020 {
    due[order] = start + 9_000_000
    _ = wheel.insert(due: start + 9_000_000, subject: order, extra: 0, kind: 0)
  }
  // A turn that stops leaves timers due, or timers on their way down: rebase takes those along.
  var budget = isWithinTick ? 1_000_000 : 30
  while let timer = wheel.popDue(now: start + 10_000_000, budget: &budget) {
    due[timer.subject] = nil
    if timer.subject >= 1000 { break }
  }
  var now = start + seconds * 1_000_000
  wheel.rebase(now: now)
  for _ in 0..<400 where !due.isEmpty {
    var budget = 1_000_000
    while let timer = wheel.popDue(now: now, budget: &budget) {
      #expect(timer.due <= now)
      #expect(due.removeValue(forKey: timer.subject) == timer.due)
    }
    #expect(due.values.allSatisfy { tick($0) > now >> 7 })
    if let deadline = wheel.nextDeadline() { now = max(deadline, now + 1_000_000) }
    now += 10_000_000_000 * (due.count < 500 ? 10 : 1)
  }
  let count = wheel.count
  #expect(due.isEmpty && count == 0)
}

@Test("Without rebase, a clock that stepped back fires nothing early")
func wheelSteppedBack() {
  let wheel = TimerWheel(now: 1_000_000)
  for due in Int64(0)..<10 { _ = wheel.insert(due: 2_000_000 + due, subject: 0, extra: 0, kind: 0) }
  var budget = 1000
  for due in Int64(0)..<3 {
    let popped = wheel.popDue(now: 3_000_000, budget: &budget)?.due
    #expect(popped == 2_000_000 + due)
  }
  let early = wheel.popDue(now: 1_500_000, budget: &budget)
  #expect(early == nil)
  let deadline = wheel.nextDeadline()
  #expect(deadline == 2_000_128)
}

@Test("Nodes are used again, and chunks hold as many as there are")
func wheelNodes() {
  let wheel = TimerWheel(now: 0)
  let empty = wheel.bytes
  for _ in 0..<10_000 { wheel.remove(wheel.insert(due: 1_000, subject: 0, extra: 0, kind: 0)) }
  let churned = wheel.bytes
  let nodes = (0..<10_000).map { wheel.insert(due: $0 * 1_000, subject: 0, extra: 0, kind: 0) }
  let full = wheel.bytes
  #expect(churned == empty && full > empty && Set(nodes).count == nodes.count)
  for node in nodes { wheel.remove(node) }
  let deadline = wheel.nextDeadline()
  #expect(deadline == nil)
}
