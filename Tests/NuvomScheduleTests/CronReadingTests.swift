import NuvomModel
import NuvomSchedule
import Testing

struct CronReadingTests {
  @Test(
    "An expression means the same as the plain one beside it",
    arguments: [
      ("@hourly", "0 * * * *"), ("@daily", "0 0 * * *"), ("@midnight", "0 0 * * *"), ("@weekly", "0 0 * * 0"),
      ("@monthly", "0 0 1 * *"), ("@yearly", "0 0 1 1 *"), ("@Annually ", "0 0 1 1 *"),
      ("  0\t0  *\t \t* *  ", "0 0 * * *"),
      ("0 0 * jan,Feb,DEC mon-fri", "0 0 * 1,2,12 1-5"),
      ("0 0 0 * * *", "0 0 * * *"),
      ("0 0 * * 7", "0 0 * * 0"), ("0 0 * * 5-7", "0 0 * * 5,6,0"), ("0 0 * * FRI-SUN", "0 0 * * 5,6,0"),
      ("0 0 * * SUN-TUE", "0 0 * * 0-2"), ("0 0 * * MON-SUN", "0 0 * * 0-6"),
      ("5/15 * * * *", "5,20,35,50 * * * *"), ("10-30/7 * * * *", "10,17,24 * * * *"),
      ("5/90 0 * * *", "5 0 * * *"), ("5-7/99999999999999999999 0 * * *", "5 0 * * *"),
      ("0 0 * * 4/2", "0 0 * * 4,6"), ("0 0 * * 1/2", "0 0 * * 0,1,3,5"),
      ("007 00 * * *", "7 0 * * *"), ("1,1,1 0 * * *", "1 0 * * *"), ("3-3 0 * * *", "3 0 * * *"),
      ("0 0 * * fril", "0 0 * * 5L"), ("0 0 * * 7#2", "0 0 * * SUN#2"), ("0 0 lw * *", "0 0 LW * *"),
      ("0 0 L-0 * *", "0 0 L * *"), ("0 0 L-0W * *", "0 0 LW * *"),
    ])
  func sameMeaning(text: String, plain: String) throws {
    #expect(try CronExpression(text) == CronExpression(plain))
  }

  @Test(
    "What begins with a star in minute or hour keeps its rhythm, and nothing else does",
    arguments: [
      ("* * * * *", true), ("*/5 0 * * *", true), ("30 * * * *", true), ("0 */2 * * *", true), ("@hourly", true),
      ("*,30 0 * * *", true), ("* 0 0 * * *", false), ("0-59 0-23 * * *", false), ("@daily", false),
      ("30,* 0 * * *", false),
    ])
  func rhythm(text: String, keeps: Bool) throws {
    #expect(try CronExpression(text).keepsRhythm == keeps)
  }

  @Test(
    "An expression that is wrong is refused with its column and what would be right",
    arguments: [
      ("", .expression, "0 fields"), (" \t ", .expression, "0 fields"), ("* * * *", .expression, "4 fields"),
      ("* * * * * * *", .expression, "7 fields"), ("@reboot", .expression, "program"),
      ("@every 5m", .expression, "@daily"), ("@daily x", .expression, "alone"), ("@", .expression, "@daily"),
      ("60 * * * * *", .second, "0 to 59"), ("? * * * * *", .second, "write *"),
      ("60 * * * *", .minute, "0 to 59"), ("-1 * * * *", .minute, "*/5"), ("*/0 * * * *", .minute, "1 and more"),
      ("5, * * * *", .minute, "missing"), (", * * * *", .minute, "expected"), ("5,,6 * * * *", .minute, "expected"),
      ("5- * * * *", .minute, "missing"), ("5/ * * * *", .minute, "missing"), ("*/ * * * *", .minute, "missing"),
      ("** * * * *", .minute, "expected"), ("*5 * * * *", .minute, "expected"), ("*-5 * * * *", .minute, "expected"),
      ("5 30-10 * * *", .hour, "out of range"), ("* 22-4 * * *", .hour, "22-23,0-4"), ("* 24 * * *", .hour, "0 to 23"),
      ("* ? * * *", .hour, "write *"), ("* 1.5 * * *", .hour, ". was not"), ("* H * * *", .hour, "H was not"),
      ("* * 0 * *", .dayOfMonth, "1 to 31"), ("* * 32 * *", .dayOfMonth, "1 to 31"),
      ("* * L-31 * *", .dayOfMonth, "0 to 30"), ("* * W * *", .dayOfMonth, "15W"), ("* * 1-5W * *", .dayOfMonth, "15W"),
      ("* * ?,5 * *", .dayOfMonth, "alone"), ("* * 5,? * *", .dayOfMonth, "? was not"),
      ("* * L-L * *", .dayOfMonth, "L was not"), ("* * 5L * *", .dayOfMonth, "L was not"),
      ("* * * 0 *", .month, "1 to 12"), ("* * * 13 *", .month, "1 to 12"), ("* * * JANUARY *", .month, "U was not"),
      ("* * * JA *", .month, "JAN"), ("* * * MON *", .month, "MAY"), ("* * * ? *", .month, "write *"),
      ("* * * DEC-JAN *", .month, "12-12,1-1"), ("* * * Mär *", .month, "M was not"),
      ("* * * * 8", .dayOfWeek, "0 to 7"), ("* * * * FRY", .dayOfWeek, "FRI"), ("* * * * L", .dayOfWeek, "5L"),
      ("* * * * 5#0", .dayOfWeek, "1 to 5"), ("* * * * 5#6", .dayOfWeek, "1 to 5"),
      ("* * * * 1-5#2", .dayOfWeek, "# was not"), ("* * * * 1-5L", .dayOfWeek, "L was not"),
      ("* * * * FRI-MON", .dayOfWeek, "5-7,0-1"), ("* * ? * ?", .dayOfWeek, "write *"),
      ("* * * * €", .dayOfWeek, "€ was not"), ("* * * * 5\n", .dayOfWeek, "not expected"),
      ("0 0 31 2 *", .dayOfMonth, "days"), ("0 0 30 FEB ?", .dayOfMonth, "days"),
      ("0 0 31 2,4,6,9,11 *", .dayOfMonth, "days"), ("0 0 */31 * FRI#2", .dayOfMonth, "days"),
      ("0 0 L-29 2 *", .dayOfMonth, "days"), ("0 0 31W 4 *", .dayOfMonth, "days"),
    ] as [(String, CronError.Column, String)])
  func refused(text: String, column: CronError.Column, remedy: String) throws {
    let error = try #require(throws: CronError.self) { try CronExpression(text) }
    #expect(error.column == column, "\(error)")
    #expect(error.message.contains(remedy), "\(error)")
  }

  @Test("A text may have 255 bytes and no more")
  func length() throws {
    let longest = "0 0 * * 1" + String(repeating: ",1", count: 123)
    #expect(longest.utf8.count == 255)
    #expect(try CronExpression(longest) == CronExpression("0 0 * * 1"))
    let error = #expect(throws: CronError.self) { try CronExpression(longest + " ") }
    #expect(error?.column == .expression)
  }

  @Test("What is due only in a February of 28 days is not taken for never due")
  func shortFebruary() throws {
    let expression = try CronExpression("0 0 */21 2 FRIL")
    let due = try #require(expression.nextDue(after: 0, in: .utc, gap: .shift, fold: .first))
    #expect(ISOTime(seconds: due.seconds, in: .utc).description == "1974-02-22T00:00:00Z")
  }
}
