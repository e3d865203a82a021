import NuvomSchedule
import Testing

struct CivilTimeTests {
  @Test("Every day of 800 years follows the one before, and is the same there and back")
  func days() {
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    var day: Int64 = -146_097 + 10_957
    for year in 1_600..<2_400 {
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      for month in 1...12 {
        for number in 1...(lengths[month - 1] + (month == 2 && isLeap ? 1 : 0)) {
          let civil = CivilTime(year: year, month: month, day: number, hour: 23, minute: 59, second: 58)
          let seconds = day * 86_400 + 86_398
          guard civil.localSeconds == seconds, CivilTime(localSeconds: seconds) == civil, civil.isValid else {
            Issue.record("\(civil) is \(civil.localSeconds), and \(seconds) is \(CivilTime(localSeconds: seconds))")
            return
          }
          day += 1
        }
      }
    }
  }

  @Test(
    "A date or time that does not exist is not valid",
    arguments: [
      CivilTime(year: 2_026, month: 2, day: 29), CivilTime(year: 1_900, month: 2, day: 29),
      CivilTime(year: 2_026, month: 4, day: 31), CivilTime(year: 2_026, month: 0, day: 1),
      CivilTime(year: 2_026, month: 13, day: 1), CivilTime(year: 2_026, month: 1, day: 0),
      CivilTime(year: 10_000, month: 1, day: 1), CivilTime(year: 2_026, month: 1, day: 1, hour: 24),
      CivilTime(year: 2_026, month: 1, day: 1, minute: 60), CivilTime(year: 2_026, month: 1, day: 1, second: 60),
    ])
  func invalid(civil: CivilTime) {
    #expect(!civil.isValid)
  }
}

struct ISOTimeTests {
  @Test(
    "A text is read and written again",
    arguments: [
      ("2026-03-29T03:00:00+02:00", 1_774_746_000, "2026-03-29T03:00:00+02:00"),
      ("2026-03-29 01:00Z", 1_774_746_000, "2026-03-29T01:00:00Z"),
      ("2026-03-29t01:00:00.5z", 1_774_746_000, "2026-03-29T01:00:00.500Z"),
      ("2026-03-28T20:30:00,123456-0430", 1_774_746_000, "2026-03-28T20:30:00.123-04:30"),
      ("1969-12-31T23:59:59-00:00", -1, "1969-12-31T23:59:59Z"),
      ("0000-01-01T00:00:00Z", -62_167_219_200, "0000-01-01T00:00:00Z"),
      ("9999-12-31T23:59:59Z", 253_402_300_799, "9999-12-31T23:59:59Z"),
      ("2026-03-29T02:30", nil, "2026-03-29T02:30:00"), ("2026-03-29", nil, "2026-03-29T00:00:00"),
    ] as [(String, Int64?, String)])
  func reads(text: String, seconds: Int64?, written: String) throws {
    let time = try #require(ISOTime(text))
    #expect(time.seconds == seconds)
    #expect(time.description == written)
  }

  @Test(
    "What is no date and time is refused",
    arguments: [
      "", "2026", "2026-03-32", "2026-03-29T", "2026-3-29T01:00Z", "2026-03-29T1:00Z", "2026-03-29T01Z",
      "2026-03-29T01:00:00.Z",
      "2026-03-29T01:00:60Z", "2026-03-29T24:00Z", "2026-02-29T00:00Z", "2026-03-29T01:00Zx", "2026-03-29T01:00+1",
      "2026-03-29T01:00+24:00", "2026-03-29T01:00+01:60", "20260329T010000Z", " 2026-03-29T01:00Z",
      "+2026-03-29T01:00Z",
      "２026-03-29T01:00Z", "2026-03-29T01:00 +01:00", "2026-03-29T01:00:00.٣Z",
    ])
  func refuses(text: String) {
    #expect(ISOTime(text) == nil)
  }
}
