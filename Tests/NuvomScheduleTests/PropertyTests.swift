import NuvomModel
import NuvomSchedule
import SeededNumbers
import Testing

/// Compares with the slowest way to find due times: every minute is looked at.
struct PropertyTests {
  /// A zone of random transitions, hours apart, between random offsets; in no way like a real one.
  static func wildZone(_ numbers: inout SeededNumbers, around middle: Int64) throws -> ZoneRules {
    let offsets = (0..<8).map { _ in Int32(numbers.below(25) - 12) * 3_600 + Int32(numbers.below(4)) * 900 }
    var transition = middle - 120_000
    let transitions = (0..<7).map { _ in
      transition += Int64(1 + numbers.below(1_200)) * 60
      return transition
    }
    return try zoneRules(ZoneRulesTests().file(transitions: transitions, offsets: offsets, footer: ""))
  }

  @Test("In zones wilder than any real one, due times are those that a walk over every minute finds")
  func wild() throws {
    var numbers = SeededNumbers(seed: 7)
    let texts = [
      "30 2 * * *", "0 0 * * *", "0,30 0-23 * * *", "*/15 * * * *", "17 3,15 * * *", "5 */3 * * *", "0 12 1-15 * SUN",
      "45 23 L * *",
    ]
    for _ in 0..<100 {
      // A whole number of days, so that everything lies on whole minutes.
      let middle = Int64(15_000 + numbers.below(10_000)) * 86_400
      let zone = try Self.wildZone(&numbers, around: middle)
      let text = numbers.element(texts)
      let expression = try CronExpression(text)
      let gap = numbers.element(GapPolicy.allCases)
      let fold = numbers.element(FoldPolicy.allCases)
      let window = (middle - 200_000)...(middle + 450_000)
      let expected = try Self.walk(text: text, expression, zone, gap, fold, window)
      var found: [Int64] = []
      var instant = window.lowerBound - 1
      while let due = expression.nextDue(after: instant, in: zone, gap: gap, fold: fold),
        due.seconds <= window.upperBound
      {
        found.append(due.seconds)
        try #require(due.seconds > instant)
        instant = due.seconds
      }
      guard found == expected else {
        let extra = Set(found).subtracting(expected).sorted()
        let missing = Set(expected).subtracting(found).sorted()
        let periods = zone.period(at: middle)
        Issue.record("\(text) \(gap) \(fold) around \(periods): \(extra) too many, \(missing) missing")
        return
      }
      // The same from anywhere between.
      for _ in 0..<20 {
        let after = window.lowerBound + Int64(numbers.below(600_000))
        guard let next = expected.first(where: { $0 > after }) else { continue }
        #expect(expression.nextDue(after: after, in: zone, gap: gap, fold: fold)?.seconds == next)
      }
    }
  }

  @Test("What is rarely due is due at the instant of its next local time, in every zone and from any instant")
  func rare() throws {
    var numbers = SeededNumbers(seed: 8)
    let expressions = try ["0 0 1 1 *", "30 2 29 3 *", "15 23 L-3 6,12 ?", "59 1 29 2 *", "0 12 * 10 SUN#4"].map {
      try CronExpression($0)
    }
    for file in try Fixtures.zoneFiles() {
      let zone = try zoneRules(file.bytes)
      for _ in 0..<20 {
        let expression = numbers.element(expressions)
        let gap = numbers.element(GapPolicy.allCases)
        let fold = numbers.once(in: 2) ? FoldPolicy.first : .last
        let after = Int64(numbers.below(4_000_000_000))
        // The local times that match, as if they were in UTC, from well before on.
        var local = after - 200_000
        var expected: DueTime?
        while expected == nil {
          local = try #require(expression.nextDue(after: local, in: .utc, gap: .skip, fold: .both)).seconds
          let due = zone.instant(ofLocal: CivilTime(localSeconds: local), gap: gap, fold: fold)
          if let due, due.seconds > after { expected = due }
        }
        let found = expression.nextDue(after: after, in: zone, gap: gap, fold: fold)
        guard found == expected else {
          Issue.record("\(file.names[0]), \(expression) \(gap) \(fold) after \(after): \(String(describing: found))")
          return
        }
      }
    }
  }

  /// Looks at each minute some days around the window: what clocks show then, how often, and what they jump over.
  static func walk(
    text: String, _ expression: CronExpression, _ zone: ZoneRules, _ gap: GapPolicy, _ fold: FoldPolicy,
    _ window: ClosedRange<Int64>
  ) throws -> [Int64] {
    func matches(_ local: Int64) -> Bool {
      expression.nextDue(after: local - 1, in: .utc, gap: .skip, fold: .both)?.seconds == local
    }
    let instants = stride(from: window.lowerBound / 60 * 60 - 198_000, through: window.upperBound + 198_000, by: 60)
    var shown: [Int64: [Int64]] = [:]
    for instant in instants { shown[instant + Int64(zone.offset(at: instant)), default: []].append(instant) }
    var due: Set<Int64> = []
    for (local, instants) in shown where matches(local) {
      if expression.keepsRhythm || fold == .both {
        due.formUnion(instants)
      } else if let instant = fold == .first ? instants.min() : instants.max() {
        due.insert(instant)
      }
    }
    if gap == .shift, !expression.keepsRhythm {
      for instant in instants.dropFirst() {
        let local = instant + Int64(zone.offset(at: instant))
        let before = instant - 60 + Int64(zone.offset(at: instant - 60))
        for skipped in stride(from: before + 60, to: local, by: 60) where shown[skipped] == nil && matches(skipped) {
          due.insert(instant)
        }
      }
    }
    return due.filter { window.contains($0) }.sorted()
  }
}
