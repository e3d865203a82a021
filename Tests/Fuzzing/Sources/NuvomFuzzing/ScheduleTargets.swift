import NuvomModel
import NuvomSchedule

/// The input is eight bytes of a time, one of policies, then the expression.
func fuzzCron(_ bytes: UnsafeRawBufferPointer) {
  var input = Input(bytes)
  let start = instant(&input)
  let policies = input.byte()
  let gap: GapPolicy = policies & 1 == 0 ? .shift : .skip
  let fold = FoldPolicy.allCases[Int(policies >> 1) % FoldPolicy.allCases.count]
  let expression: CronExpression
  do throws(CronError) {
    expression = try CronExpression(input.rest)
  } catch {
    _ = error.description
    return
  }
  var now = start
  for _ in 0..<6 {
    guard let due = expression.nextDue(after: now, in: .utc, gap: gap, fold: fold) else { break }
    check(due.seconds > now, "the next due time lies ahead: \(due.seconds) after \(now)")
    check(due.seconds <= CivilTime.lastSecond, "no due time is behind the year 9999")
    now = due.seconds
  }
}

/// The input is eight bytes of a time, then the file.
func fuzzZone(_ bytes: UnsafeRawBufferPointer) {
  var input = Input(bytes)
  let start = instant(&input)
  let rules: ZoneRules
  do throws(ZoneRulesError) {
    rules = try ZoneRules(tzif: input.rest)
  } catch {
    _ = error.description
    return
  }
  var now = start
  for _ in 0..<20 {
    let period = rules.period(at: now)
    check(period.start <= now && now < period.end, "a period holds the time that it was asked for")
    check(rules.offset(at: now) == period.offset, "a period's offset is that of its times")
    _ = rules.abbreviation(at: now)
    guard period.end <= CivilTime.lastSecond else { break }
    now = period.end
  }
  guard let daily = try? CronExpression("30 2 * * *") else { return check(false, "this is an expression") }
  now = start
  for _ in 0..<6 {
    guard let due = daily.nextDue(after: now, in: rules, gap: .shift, fold: .both) else { break }
    check(due.seconds > now, "the next due time lies ahead")
    now = due.seconds
  }
}

/// A time from eight bytes, within the years that schedules may name.
private func instant(_ input: inout Input) -> Int64 {
  var value: UInt64 = 0
  for _ in 0..<8 { value = value << 8 | UInt64(input.byte()) }
  return Int64(value % UInt64(CivilTime.lastSecond))
}
