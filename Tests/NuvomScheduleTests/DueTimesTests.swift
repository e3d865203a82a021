import NuvomModel
import NuvomSchedule
import Testing

struct DueTimesTests {
  @Test(
    "An expression is due at",
    arguments: [
      ("* * * * *", "2026-01-01T00:00:00Z", ["2026-01-01T00:01", "2026-01-01T00:02"]),
      ("* * * * *", "2026-01-01T00:00:59Z", ["2026-01-01T00:01"]),
      ("*/15 * * * * *", "2026-12-31T23:59:40Z", ["2026-12-31T23:59:45", "2027-01-01T00:00", "2027-01-01T00:00:15"]),
      ("*/90 * * * *", "2026-01-01T00:00:00Z", ["2026-01-01T01:00", "2026-01-01T02:00"]),
      ("0 12 L * *", "2024-02-01T00:00:00Z", ["2024-02-29T12:00", "2024-03-31T12:00", "2024-04-30T12:00"]),
      ("0 0 L-3 * *", "2026-02-01T00:00:00Z", ["2026-02-25T00:00", "2026-03-28T00:00", "2026-04-27T00:00"]),
      ("0 0 29 2 *", "2096-03-01T00:00:00Z", ["2104-02-29T00:00"]),
      ("0 0 31 * *", "2026-03-31T00:00:00Z", ["2026-05-31T00:00", "2026-07-31T00:00", "2026-08-31T00:00"]),
      // Both fields for days: either is enough, but both are needed where one begins with a star.
      ("0 0 13 * FRI", "2026-02-06T00:00:00Z", ["2026-02-13T00:00", "2026-02-20T00:00", "2026-02-27T00:00"]),
      ("0 0 13 * *", "2026-02-06T00:00:00Z", ["2026-02-13T00:00", "2026-03-13T00:00"]),
      ("0 0 */2 * FRI", "2026-02-06T00:00:00Z", ["2026-02-13T00:00", "2026-02-27T00:00", "2026-03-13T00:00"]),
      ("0 0 1-7 * */7", "2026-02-06T00:00:00Z", ["2026-03-01T00:00", "2026-04-05T00:00"]),
      ("0 0 ? * FRI", "2026-02-06T00:00:00Z", ["2026-02-13T00:00"]),
      ("0 0 13 * ?", "2026-02-06T00:00:00Z", ["2026-02-13T00:00"]),
      ("0 0 29 2 */2", "2026-01-01T00:00:00Z", ["2028-02-29T00:00", "2032-02-29T00:00", "2048-02-29T00:00"]),
      // Nearest weekdays stay in their month.
      (
        "0 0 15W * *", "2026-08-01T00:00:00Z",
        ["2026-08-14T00:00", "2026-09-15T00:00", "2026-10-15T00:00", "2026-11-16T00:00"]
      ),
      ("0 0 1W * *", "2026-07-31T00:00:00Z", ["2026-08-03T00:00", "2026-09-01T00:00"]),
      ("0 0 31W * *", "2026-05-01T00:00:00Z", ["2026-05-29T00:00", "2026-07-31T00:00"]),
      ("0 0 LW * *", "2026-01-01T00:00:00Z", ["2026-01-30T00:00", "2026-02-27T00:00", "2026-03-31T00:00"]),
      ("0 0 * * 5L", "2026-01-01T00:00:00Z", ["2026-01-30T00:00", "2026-02-27T00:00", "2026-03-27T00:00"]),
      ("0 0 * * FRI#2", "2026-01-01T00:00:00Z", ["2026-01-09T00:00", "2026-02-13T00:00"]),
      ("0 0 * * 0#5,1L", "2026-03-01T00:00:00Z", ["2026-03-29T00:00", "2026-03-30T00:00", "2026-04-27T00:00"]),
      ("0 0 1 1 *", "1000-01-01T00:00:00Z", ["1970-01-01T00:00", "1971-01-01T00:00"]),
    ])
  func table(text: String, after: String, due: [String]) throws {
    let expression = try CronExpression(text)
    var instant = try #require(ISOTime(after)?.seconds)
    for expected in due {
      let next = try #require(expression.nextDue(after: instant, in: .utc, gap: .shift, fold: .first))
      #expect(next.oddity == .none)
      #expect(next.seconds == ISOTime(expected + "Z")?.seconds, "\(ISOTime(seconds: next.seconds, in: .utc))")
      instant = next.seconds
    }
  }

  @Test(
    "In a zone, an expression is due at",
    arguments: [
      // Fixed times, around both changes of a year.
      (
        "30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z",
        ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
      ),
      ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]),
      // Several times in one gap are one, together with what is due there anyway.
      (
        "0,30 2-3 * * *", "Europe/Berlin", "2026-03-29T00:00Z",
        ["2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00", "2026-03-30T02:00:00+02:00"]
      ),
      // Rhythms go on as if nothing were.
      (
        "*/30 * * * *", "Europe/Berlin", "2026-03-29T00:15Z",
        ["2026-03-29T01:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"]
      ),
      (
        "30 * * * *", "Europe/Berlin", "2026-10-25T00:00Z",
        ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"]
      ),
      (
        "*/20 2 * * *", "Europe/Berlin", "2026-03-28T01:30Z",
        ["2026-03-28T02:40:00+01:00", "2026-03-30T02:00:00+02:00"]
      ),
      // Half an hour, in the other half of the world.
      (
        "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00Z",
        ["2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"]
      ),
      // A day that never was.
      (
        "0 12 * * *", "Pacific/Apia", "2011-12-29T00:00Z",
        ["2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"]
      ),
      // Midnight comes twice, or not at all.
      ("0 0 * * *", "America/Havana", "2026-03-07T12:00Z", ["2026-03-08T01:00:00-04:00", "2026-03-09T00:00:00-04:00"]),
      ("0 0 * * *", "America/Havana", "2021-11-06T12:00Z", ["2021-11-07T00:00:00-04:00", "2021-11-08T00:00:00-05:00"]),
      // Far ahead.
      ("0 0 1 1 *", "Europe/Berlin", "2026-07-01T00:00Z", ["2027-01-01T00:00:00+01:00", "2028-01-01T00:00:00+01:00"]),
      (
        "0 0 1 7 *", "Pacific/Auckland", "2026-07-02T00:00Z",
        ["2027-07-01T00:00:00+12:00", "2028-07-01T00:00:00+12:00"]
      ),
      ("0 0 29 2 MON", "America/New_York", "2026-07-01T00:00Z", ["2027-02-01T00:00:00-05:00"]),
    ])
  func zones(text: String, zone: String, after: String, due: [String]) throws {
    let expression = try CronExpression(text)
    let zone = try Fixtures.zone(zone)
    var instant = try seconds(after)
    for expected in due {
      let next = try #require(expression.nextDue(after: instant, in: zone, gap: .shift, fold: .first))
      #expect(ISOTime(seconds: next.seconds, in: zone).description == expected)
      instant = next.seconds
    }
  }

  @Test("Policies are for fixed times: a gap is skipped, a fold counts last or twice, and each oddity is told")
  func policies() throws {
    let zone = try Fixtures.zone("Europe/Berlin")
    let fixed = try CronExpression("30 2 * * *")
    let spring = try seconds("2026-03-28T12:00Z")
    #expect(fixed.nextDue(after: spring, in: zone, gap: .shift, fold: .first)?.oddity == .shiftedFromGap)
    #expect(
      try fixed.nextDue(after: spring, in: zone, gap: .skip, fold: .first)?.seconds == seconds("2026-03-30T00:30Z"))
    let autumn = try seconds("2026-10-24T12:00Z")
    let first = DueTime(seconds: try seconds("2026-10-25T00:30Z"), oddity: .firstOfFold)
    let last = DueTime(seconds: try seconds("2026-10-25T01:30Z"), oddity: .lastOfFold)
    #expect(fixed.nextDue(after: autumn, in: zone, gap: .shift, fold: .first) == first)
    #expect(fixed.nextDue(after: autumn, in: zone, gap: .shift, fold: .last) == last)
    #expect(fixed.nextDue(after: autumn, in: zone, gap: .shift, fold: .both) == first)
    #expect(fixed.nextDue(after: first.seconds, in: zone, gap: .shift, fold: .both) == last)
    #expect(
      try fixed.nextDue(after: first.seconds, in: zone, gap: .shift, fold: .first)?.seconds
        == seconds("2026-10-26T01:30Z"))
    let rhythm = try CronExpression("30 * * * *")
    for fold in FoldPolicy.allCases {
      #expect(rhythm.nextDue(after: first.seconds - 1, in: zone, gap: .skip, fold: fold) == first)
      #expect(rhythm.nextDue(after: first.seconds, in: zone, gap: .skip, fold: fold) == last)
    }
  }

  @Test("Nothing is due after the year 9999, whatever is asked")
  func end() throws {
    let expression = try CronExpression("0 0 1 1 *")
    let last = try #require(ISOTime("9999-01-01T00:00:00Z")?.seconds)
    #expect(expression.nextDue(after: last - 1, in: .utc, gap: .shift, fold: .first)?.seconds == last)
    for after in [last, .max, CivilTime.lastSecond] {
      #expect(expression.nextDue(after: after, in: .utc, gap: .shift, fold: .first) == nil)
    }
    #expect(expression.nextDue(after: .min, in: .utc, gap: .shift, fold: .first)?.seconds == 0)
  }
}

@Test(
  "A rhythm is due at its first time and every so long after it",
  arguments: [(-5, 100), (99, 100), (100, 130), (129, 130), (130, 160), (1_000_000, 1_000_030)])
func rhythm(instant: Int64, due: Int64) {
  #expect(Rhythm(first: 100, interval: 30).next(after: instant) == due)
}

@Test(
  "By milliseconds a cron expression is due at the first whole second after the instant",
  arguments: [-1, 0, 1, 999, 1_000])
func cronInMilliseconds(instant: Int64) throws {
  let due = try CronExpression("* * * * * *").nextDue(afterMilliseconds: instant, in: .utc, gap: .shift, fold: .first)
  #expect(due?.milliseconds == (instant < 0 ? 0 : (instant / 1_000 + 1) * 1_000))
}
