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
