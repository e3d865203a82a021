import NuvomModel
import NuvomSchedule
import Testing

/// Compares with what three other implementations say (oracle/README.md). `oracle/make_fixtures.py --explain` prints what is due around a transition.
struct OracleTests {
  @Test("10,000 random expressions are due when croniter, cronsim or the oracle say so")
  func expressions() throws {
    let lines = try Fixtures.lines("expressions.txt")
    #expect(lines.count == 10_000)
    for line in lines {
      let parts = line.split(separator: "|")
      let expression = try CronExpression(String(parts[1]))
      var instant = try #require(Int64(parts[2]))
      for step in parts[3].split(separator: " ") {
        let expected = instant + (try #require(Int64(step)))
        let due = expression.nextDue(after: instant, in: .utc, gap: .shift, fold: .first)
        guard due == DueTime(seconds: expected) else {
          let found = due.map { ISOTime(seconds: $0.seconds, in: .utc).description } ?? "never"
          Issue.record(
            "\(parts[1]) after \(ISOTime(seconds: instant, in: .utc)): \(ISOTime(seconds: expected, in: .utc)), not \(found)"
          )
          break
        }
        instant = expected
      }
    }
  }

  @Test("Every zone has the offsets and transitions from 1970 to 2037 that zoneinfo finds")
  func transitions() throws {
    let zones = try Fixtures.zones()
    let (_, lines) = try transitionLines()
    #expect(lines.count > 300)
    for line in lines {
      let zone = try #require(zones[line.zone])
      var period = zone.period(at: 432_000)
      #expect(Int(period.offset) == line.offset, "\(line.zone)")
      var found: [Transition] = []
      while period.end < 2_145_916_800 {
        let next = zone.period(at: period.end)
        #expect(next.start == period.end)
        if next.offset != period.offset { found.append(Transition(seconds: next.start, offset: next.offset, shape: 0)) }
        period = next
      }
      let expected = line.transitions.map { Transition(seconds: $0.seconds, offset: $0.offset, shape: 0) }
      #expect(found == expected, "\(line.zone)")
    }
  }

  @Test("Around every transition of every zone up to 2037, each expression is due when the oracle says, by each policy")
  func dueTimes() throws {
    let zones = try Fixtures.zones()
    let (shapes, lines) = try transitionLines()
    var compared = 0
    for line in lines {
      let zone = try #require(zones[line.zone])
      var seen: Set<Int> = []
      for transition in line.transitions {
        // Before 2020, what is alike in a zone is compared once: that is enough, and takes a third of the time.
        guard seen.insert(transition.shape).inserted || transition.seconds >= 1_577_836_800 else { continue }
        for rule in shapes[transition.shape] {
          for policy in rule.policies {
            var found: [DueTime] = []
            var instant = transition.seconds - rule.reach - 1
            while let due = rule.expression.nextDue(after: instant, in: zone, gap: policy.gap, fold: policy.fold),
              due.seconds <= transition.seconds + rule.reach
            {
              found.append(DueTime(seconds: due.seconds - transition.seconds, oddity: due.oddity))
              instant = due.seconds
            }
            compared += 1
            if found != rule.due {
              func text(_ due: [DueTime]) -> String {
                due.map { "\(ISOTime(seconds: transition.seconds + $0.seconds, in: zone)) \($0.oddity)" }
                  .joined(separator: ", ")
              }
              let at = ISOTime(seconds: transition.seconds, in: .utc)
              Issue.record(
                "\(line.zone) \(at) \(rule.text), \(policy): \(text(rule.due)); but found \(text(found))")
              return
            }
          }
        }
      }
    }
    #expect(compared > 100_000)
  }

  // MARK: - transitions.txt

  struct Transition: Equatable {
    let seconds: Int64
    let offset: Int32
    let shape: Int
  }

  struct ZoneLine {
    let zone: String
    let offset: Int
    let transitions: [Transition]
  }

  /// What is due around a transition.
  struct Rule {
    let text: String
    let expression: CronExpression
    let policies: [(gap: GapPolicy, fold: FoldPolicy)]
    /// How many seconds before and after the transition are told of.
    let reach: Int64
    /// Relative to the transition.
    let due: [DueTime]

    init(_ line: Substring) throws {
      let parts = line.split(separator: "|", omittingEmptySubsequences: false)
      text = String(parts[0])
      expression = try CronExpression(text)
      let names = parts[1].split(separator: ",")
      var policies: [(gap: GapPolicy, fold: FoldPolicy)] = []
      for gap in GapPolicy.allCases {
        for fold in FoldPolicy.allCases where names == ["any"] || names.contains("\(gap)-\(fold)") {
          policies.append((gap, fold))
        }
      }
      self.policies = policies
      reach = 3_600 * (try #require(Int64(parts[2])))
      due = try parts[3].split(separator: " ").map { item in
        let marks: [Character: DueTime.Oddity] = ["g": .shiftedFromGap, "f": .firstOfFold, "l": .lastOfFold]
        let oddity = item.last.flatMap { marks[$0] }
        return DueTime(
          seconds: try #require(Int64(oddity == nil ? item : item.dropLast())), oddity: oddity ?? .none)
      }
    }
  }

  func transitionLines() throws -> (shapes: [[Rule]], zones: [ZoneLine]) {
    var shapes: [[Rule]] = []
    var zones: [ZoneLine] = []
    var isShape = true
    for line in try Fixtures.lines("transitions.txt").dropFirst() {
      if line == "zones" {
        isShape = false
      } else if line.hasPrefix("shape ") {
        shapes.append([])
      } else if isShape {
        shapes[shapes.count - 1].append(try Rule(line))
      } else {
        let parts = line.split(separator: " ")
        let transitions = try parts[2...].map { item in
          let numbers = item.split(separator: ":")
          return Transition(
            seconds: try #require(Int64(numbers[0])), offset: try #require(Int32(numbers[1])),
            shape: try #require(Int(numbers[2])))
        }
        zones.append(ZoneLine(zone: String(parts[0]), offset: try #require(Int(parts[1])), transitions: transitions))
      }
    }
    return (shapes, zones)
  }
}
