import NuvomClient
import NuvomCommandLine
import NuvomSchedule
import Testing

@testable import nuvom

/// An instant of the tests, in milliseconds since 1970 UTC.
func instant(_ text: String) throws -> Int64 {
  let time = try #require(ISOTime(text))
  return try #require(time.seconds) * 1_000 + Int64(time.milliseconds)
}

/// A schedule of a test.
func schedule(_ times: Schedule.Times, named name: String = "s", _ change: (inout Schedule) -> Void = { _ in })
  -> Schedule
{
  var schedule = Schedule(name, times, job: Job(task: "t"))
  change(&schedule)
  return schedule
}

@Suite struct DueTimesTests {
  private let zones = TimeZones()

  /// Due times from 1970 on, in seconds.
  private func seconds(_ schedule: Schedule, creation: UInt64 = 0, count: Int = 3) throws -> [Int64] {
    let times = try DueTimes(schedule, creation: creation, zones: zones)
    var found: [Int64] = []
    var instant: Int64 = -1
    while found.count < count, let due = times.next(after: instant) {
      found.append(due.milliseconds / 1_000)
      instant = due.milliseconds
    }
    return found
  }

  @Test("An interval begins one interval after its creation, or at its start")
  func intervals() throws {
    #expect(try seconds(schedule(.every(.seconds(10))), creation: 4_000) == [14, 24, 34])
    #expect(
      try seconds(schedule(.every(.seconds(10))) { $0.startAtMilliseconds = 7_000 }, creation: 4_000) == [7, 17, 27])
    #expect(try seconds(schedule(.every(.seconds(10))) { $0.endAtMilliseconds = 20_000 }) == [10, 20])
    #expect(throws: Unreadable.self) { try seconds(schedule(.every(.zero))) }
  }

  @Test("What the broker is at is counted from when it is due next, back to where it can have begun")
  func anchored() throws {
    func due(_ schedule: Schedule, next: UInt64) throws -> [Int64] {
      let times = try DueTimes(schedule, creation: 4_000, next: next, zones: zones)
      var found: [Int64] = []
      while found.count < 3, let due = times.next(after: found.last ?? -1) { found.append(due.milliseconds) }
      return found
    }
    // As created: one interval after 4,000, and so on.
    #expect(try due(schedule(.every(.seconds(10))), next: 34_000) == [14_000, 24_000, 34_000])
    // Another interval since.
    #expect(try due(schedule(.every(.seconds(7))), next: 26_000) == [5_000, 12_000, 19_000])
    let started = schedule(.every(.seconds(10))) { $0.startAtMilliseconds = 7_000 }
    #expect(try due(started, next: 27_000) == [7_000, 17_000, 27_000])
    #expect(try due(started, next: 7_000) == [7_000, 17_000, 27_000])
    #expect(try due(schedule(.in(.seconds(5))), next: 30_000) == [30_000])
  }

  @Test("What is due once is due once")
  func once() throws {
    #expect(try seconds(schedule(.at(millisecondsSince1970: 5_000))) == [5])
    #expect(try seconds(schedule(.in(.seconds(5))), creation: 2_000) == [7])
  }

  @Test("Cron is read in its zone, between its start and its end, both included")
  func cron() throws {
    let daily = Schedule.Times.cron("30 2 * * *", timeZone: "Europe/Berlin")
    let start = UInt64(try instant("2026-03-28T01:30:00Z"))
    let end = UInt64(try instant("2026-03-30T00:30:00Z"))
    let due = try seconds(
      schedule(daily) {
        $0.startAtMilliseconds = start
        $0.endAtMilliseconds = end
      }, count: 9)
    let expected = try ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"].map {
      try instant($0) / 1_000
    }
    #expect(due == expected)
    #expect(throws: Unreadable.self) { try seconds(schedule(.cron("61 * * * *"))) }
    #expect(throws: Unreadable.self) { try seconds(schedule(.cron("* * * * *", timeZone: "Europe/Berlim"))) }
  }

  @Test(
    "Fires are counted in a stretch of time as they are by going from one to the next",
    arguments: [
      schedule(.every(.milliseconds(7))), schedule(.every(.seconds(3))) { $0.startAtMilliseconds = 1_000 },
      schedule(.every(.seconds(3))) { $0.jitter = .seconds(40) },
      schedule(.every(.milliseconds(1_500))) { $0.endAtMilliseconds = 30_000 }, schedule(.cron("*/7 * * * * *")),
      schedule(.cron("* * * * *")) { $0.jitter = .seconds(59) }, schedule(.at(millisecondsSince1970: 9_000)),
    ])
  func counts(_ schedule: Schedule) throws {
    let times = try DueTimes(schedule, creation: 2_000, zones: zones)
    for (first, last) in [(0, 60_000), (9_000, 9_001), (8_999, 9_000), (59_500, 130_000), (2_000, 2_000)]
      as [(Int64, Int64)]
    {
      var walked = 0
      var instant: Int64 = -1
      while let due = times.next(after: instant), due.milliseconds + times.delay < last {
        if due.milliseconds + times.delay >= first { walked += 1 }
        instant = due.milliseconds
      }
      #expect(times.fires(from: first, to: last) == walked, "\(first)..<\(last)")
    }
  }

  @Test("Jitter delays by a part that the name alone decides")
  func jitter() throws {
    func delay(_ name: String) throws -> Int64 {
      try DueTimes(schedule(.cron("* * * * *"), named: name) { $0.jitter = .seconds(60) }, creation: 0, zones: zones)
        .delay
    }
    #expect(try delay("a") == delay("a"))
    let delays = try Set((0..<100).map { try delay("schedule \($0)") })
    #expect(delays.count > 90 && delays.allSatisfy { (0..<60_000).contains($0) })
  }
}

@Suite struct SchedulePreviewTests {
  private let zones = TimeZones()

  private func preview(
    _ schedule: Schedule, after: String, count: Int, against others: [Schedule]? = nil
  ) throws -> [String] {
    let rules = try zones.rules(of: "Europe/Berlin")
    let times = try DueTimes(schedule, creation: 0, zones: zones)
    let others = try others?.map { try DueTimes($0, creation: 0, zones: zones) }
    return SchedulePreview(times, after: try instant(after), count: count, against: others, zone: rules).text
  }

  @Test("A due time is one line; what is odd about it stands beside it")
  func lines() throws {
    let night = Schedule.Times.cron("30 2 * * *", timeZone: "Europe/Berlin", fold: .both)
    #expect(
      try preview(schedule(night), after: "2026-03-28T12:00:00Z", count: 2) == [
        "2026-03-29T03:00:00+02:00  gap: its local time does not exist, this is the first instant after it",
        "2026-03-30T02:30:00+02:00",
      ])
    #expect(
      try preview(schedule(night), after: "2026-10-24T12:00:00Z", count: 3) == [
        "2026-10-25T02:30:00+02:00  fold: the first of two instants with this local time",
        "2026-10-25T02:30:00+01:00  fold: the last of two instants with this local time",
        "2026-10-26T02:30:00+01:00",
      ])
  }

  @Test("Jitter is told with the time at which it fires")
  func jitter() throws {
    let schedule = schedule(.cron("0 * * * *"), named: "nightly") { $0.jitter = .seconds(600) }
    let delay = try DueTimes(schedule, creation: 0, zones: zones).delay
    let line = try #require(try preview(schedule, after: "2026-01-01T00:00:00Z", count: 1).first)
    let fires = ISOTime(
      milliseconds: UInt64(try instant("2026-01-01T01:00:00Z") + delay), in: try zones.rules(of: "Europe/Berlin"))
    #expect(
      delay > 0 && line.hasPrefix("2026-01-01T02:00:00+01:00  jitter: fires ") && line.hasSuffix("at \(fires)"),
      "\(line)")
  }

  @Test("Each due time says how many schedules of a list fire in its minute, jitter included")
  func herds() throws {
    let others = [
      schedule(.cron("0 * * * *")), schedule(.every(.seconds(20))), schedule(.cron("1 2 * * *")),
      schedule(.cron("0 * * * *"), named: "late") { $0.jitter = .seconds(86_400) },
    ]
    let lines = try preview(schedule(.cron("0,1 * * * *")), after: "2026-01-01T01:30:00Z", count: 2, against: others)
    #expect(
      lines == [
        "2026-01-01T03:00:00+01:00  2 of the list in this minute",
        "2026-01-01T03:01:00+01:00  2 of the list in this minute",
      ])
  }
}
