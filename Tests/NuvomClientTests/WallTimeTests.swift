import NuvomClient
import Testing

@Suite("Times of the wall clock")
struct WallTimeTests {
  @Test("A number of any type is a time; what no time can say is the nearest that one can")
  func numbers() {
    #expect(UnixTime(millisecondsSince1970: UInt64(7)).millisecondsSince1970 == 7)
    #expect(UnixTime(millisecondsSince1970: UInt64.max).millisecondsSince1970 == .max)
    #expect(UnixTime(millisecondsSince1970: Int8(-1)).millisecondsSince1970 == -1)
  }

  @Test("A job starts and expires, and a schedule is due, at any time of the wall clock; before 1970 counts as 1970")
  func at() {
    struct Century: WallTime { let millisecondsSince1970: Int64 = 946_684_800_000 }
    #expect(Job.Time.at(Century()) == .at(millisecondsSince1970: 946_684_800_000))
    #expect(Job.Time.at(.millisecondsSince1970(-1)) == .at(millisecondsSince1970: 0))
    #expect(Schedule.Times.at(Century()) == .at(millisecondsSince1970: 946_684_800_000))
    #expect(Schedule.Times.at(.millisecondsSince1970(Int64.min)) == .at(millisecondsSince1970: 0))
  }
}
