import Foundation
import NuvomFoundationCompat
import NuvomTestKit
import NuvomWorker
import Synchronization
import Testing

/// The beginning of 2026, where the clock of a test's broker begins.
private let start = Date(timeIntervalSince1970: 1_767_225_600)

@Suite("Dates")
struct DateTests {
  // Seconds, since Foundation cannot describe every date to the test's name.
  @Test(
    "A date is its milliseconds since 1970, the nearest; what no number can say is the nearest that it can",
    arguments: [
      (1_767_225_600, 1_767_225_600_000), (1_767_225_600.001, 1_767_225_600_001),
      (1_767_225_600.9996, 1_767_225_601_000), (-1.5, -1_500), (1e30, .max), (-1e30, .min), (.infinity, .max),
      (-.infinity, .min), (.nan, .max),
    ] as [(TimeInterval, Int64)])
  func milliseconds(seconds: TimeInterval, milliseconds: Int64) {
    #expect(Date(timeIntervalSince1970: seconds).millisecondsSince1970 == milliseconds)
  }

  @Test("Every millisecond comes back from its date")
  func comesBack() {
    for milliseconds in (1_767_225_600_000..<1_767_225_601_000) as Range<UInt64> {
      #expect(Date(millisecondsSince1970: milliseconds).millisecondsSince1970 == Int64(milliseconds))
    }
    // The last of year 9999, the last that the protocol has.
    #expect(Date(millisecondsSince1970: 253_402_300_799_999).millisecondsSince1970 == 253_402_300_799_999)
  }

  @Test("A job starts and expires, and a schedule is due, at a date")
  func times() {
    #expect(Job.Time.at(start) == .at(millisecondsSince1970: 1_767_225_600_000))
    #expect(Schedule.Times.at(start) == .at(millisecondsSince1970: 1_767_225_600_000))
    #expect(Job.Time.at(Date.distantPast) == .at(millisecondsSince1970: 0))
  }

  @Test("A task is scheduled at a date, in the handler the fire has one, and a date that is past is due at once")
  func schedule() async throws {
    let fires = Mutex<[Date?]>([])
    let note = TaskDefinition("note") { (_: String) in
      fires.withLock { $0.append(JobContext.current?.schedule?.dueAt) }
    }
    try await TestBroker.run(tasks: [note]) { broker in
      let launch = try await note.schedule("launch", at: start + 60, named: "launch")
      #expect(launch.receipt?.dueAt == start + 60)
      let status = try await launch.status()
      #expect(status.dueAt == start + 60 && status.firesAt == start + 60 && status.lastDueAt == nil)
      #expect(status.createdAt == start && status.updatedAt == start && status.bufferedDueAt == nil)
      await broker.clock.advance(by: .seconds(60))
      #expect(fires.withLock(\.self) == [start + 60])
      #expect(try await launch.status().lastDueAt == start + 60)
      try await note.schedule("past", at: Date.distantPast)
      await broker.clock.advance(by: .milliseconds(1))
      #expect(fires.withLock(\.self) == [start + 60, Date(timeIntervalSince1970: 0)])
    }
  }

  @Test("A schedule begins and ends at dates")
  func limits() throws {
    let options = ScheduleOptions(startAt: start, endAt: start + 1)
    #expect(options == ScheduleOptions(startAtMilliseconds: 1_767_225_600_000, endAtMilliseconds: 1_767_225_601_000))
    #expect(options.startAt == start && options.endAt == start + 1)
    #expect(ScheduleOptions(startAt: nil) == ScheduleOptions())
    var schedule = Schedule("s", .every(.seconds(1)), job: Job(task: "t"))
    #expect(schedule.startAt == nil && schedule.endAt == nil)
    (schedule.startAt, schedule.endAt) = (.distantPast, start)
    #expect(schedule.startAtMilliseconds == 0 && schedule.endAtMilliseconds == 1_767_225_600_000)
    #expect(schedule.startAt == Date(timeIntervalSince1970: 0) && schedule.endAt == start)
  }
}
