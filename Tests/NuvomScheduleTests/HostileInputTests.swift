import NuvomModel
import NuvomSchedule
import SeededNumbers
import Testing

struct HostileInputTests {
  @Test("Whatever the text, it is read or refused; and what is read is due again and again, always later")
  func texts() {
    var numbers = SeededNumbers(seed: 5)
    let pieces = ["*", "?", "L", "W", "#", "/", "-", ",", "0", "1", "5", "7", "15", "31", "59", "FRI", "jan", "@daily"]
    var read = 0
    for _ in 0..<100_000 {
      var text: [UInt8] = []
      if numbers.once(in: 4) {
        text = (0..<numbers.below(40)).map { _ in UInt8.random(in: 0...255, using: &numbers) }
      } else {
        for _ in 0..<(numbers.once(in: 3) ? 6 : 5) {
          let count = numbers.once(in: 2) ? 0 : 1 + numbers.below(3)
          text += Array((count == 0 ? "*" : "").utf8)
          for _ in 0..<count { text += Array(numbers.element(pieces).utf8) }
          text.append(32)
        }
      }
      guard let expression = try? text.withUnsafeBytes({ try CronExpression($0) }) else { continue }
      read += 1
      var instant = Int64(numbers.below(4_000_000_000))
      for _ in 0..<3 {
        guard let due = expression.nextDue(after: instant, in: .utc, gap: .shift, fold: .first), due.seconds > instant
        else {
          Issue.record("\(String(decoding: text, as: UTF8.self)) after \(instant)")
          return
        }
        instant = due.seconds
      }
    }
    #expect(read > 500)
  }

  @Test("Whatever the bytes of a zone, they are read or refused; and in what is read, everything can be asked")
  func zones() throws {
    var numbers = SeededNumbers(seed: 6)
    let files = try Fixtures.zoneFiles().map(\.bytes)
    let expressions = try ["30 2 * * *", "*/20 * * * *", "0 0 29 2 *"].map { try CronExpression($0) }
    var read = 0
    for _ in 0..<10_000 {
      var bytes = numbers.element(files)
      for _ in 0...numbers.below(4) {
        switch numbers.below(4) {
        case 0: bytes[numbers.below(bytes.count)] = UInt8.random(in: 0...255, using: &numbers)
        case 1: bytes[numbers.below(bytes.count)] ^= 1 << UInt8(numbers.below(8))
        case 2: bytes.removeLast(numbers.below(min(bytes.count, 40)))
        default: bytes.swapAt(numbers.below(bytes.count), numbers.below(bytes.count))
        }
        if bytes.isEmpty { break }
      }
      guard let zone = try? zoneRules(bytes) else { continue }
      read += 1
      var instant = Int64(numbers.below(4_000_000_000))
      for expression in expressions {
        for fold in FoldPolicy.allCases {
          guard let due = expression.nextDue(after: instant, in: zone, gap: .shift, fold: fold) else { continue }
          #expect(due.seconds > instant)
          instant = due.seconds
          _ = zone.abbreviation(at: instant)
          _ = zone.instant(ofLocal: CivilTime(localSeconds: instant), gap: .shift, fold: fold)
        }
      }
    }
    #expect(read > 1_000)
  }
}
