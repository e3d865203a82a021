import NuvomClient
import NuvomCommandLine
import NuvomSchedule
import Testing

@testable import nuvom

@Suite struct ScheduleLoadTests {
  private let zones = TimeZones()

  private func load(_ date: String, _ schedules: [Schedule], zone: String = "Europe/Berlin") throws -> ScheduleLoad {
    var load = ScheduleLoad(try ScheduleLoad.Day(date, zone: try zones.rules(of: zone), named: zone))
    for schedule in schedules { try load.add(schedule, zones) }
    return load
  }

  @Test("Each minute of a day has the schedules that fire in it, and their fires")
  func minutes() throws {
    let load = try load(
      "2026-01-01",
      [
        schedule(.cron("0 * * * *", timeZone: "Europe/Berlin")),
        schedule(.cron("30 2 * * *", timeZone: "Europe/Berlin")),
        schedule(.every(.seconds(20))),
        schedule(.at(millisecondsSince1970: UInt64(try instant("2026-01-01T02:30:59+01:00")))),
        schedule(.at(millisecondsSince1970: UInt64(try instant("2026-01-02T00:00:00+01:00")))),
      ])
    #expect(load.schedules.count == 1_440 && load.count == 5)
    #expect(load.schedules[0] == 2 && load.fires[0] == 4 && load.schedules[1] == 1 && load.fires[1] == 3)
    #expect(load.schedules[150] == 3 && load.fires[150] == 5)
    #expect(load.fires.reduce(0, +) == 4_346)
    #expect(load.busiest(2) == [150, 0] && load.time(ofMinute: 150) == "02:30")
  }

  @Test("The day on which clocks change has an hour less or more")
  func changes() throws {
    let hourly = schedule(.cron("0 * * * *", timeZone: "Europe/Berlin"))
    let spring = try load("2026-03-29", [hourly])
    #expect(spring.schedules.count == 23 * 60 && spring.fires.reduce(0, +) == 23)
    #expect(spring.time(ofMinute: 120) == "03:00 +02:00")
    let autumn = try load("2026-10-25", [hourly])
    #expect(autumn.schedules.count == 25 * 60 && autumn.fires.reduce(0, +) == 25)
    #expect(autumn.time(ofMinute: 120) == "02:00 +02:00" && autumn.time(ofMinute: 180) == "02:00 +01:00")
  }

  @Test("A day that does not end with a whole minute has its last half minute, too")
  func brokenMinute() throws {
    let load = try load("1972-01-07", [schedule(.cron("* * * * * *"))], zone: "Africa/Monrovia")
    #expect(load.schedules.count == 1_396 && load.fires.reduce(0, +) == 1_395 * 60 + 30)
    #expect(load.fires.last == 30 && load.schedules.allSatisfy { $0 == 1 })
    let fast = try self.load("1972-01-07", [schedule(.every(.seconds(1)))], zone: "Africa/Monrovia")
    #expect(fast.fires == load.fires)
  }

  @Test("Jitter spreads a herd, also over midnight")
  func jitter() throws {
    let herd = (0..<600).map { number in
      schedule(.cron("0 0 * * *"), named: "\(number)") { $0.jitter = .seconds(3_600) }
    }
    let load = try load("2026-01-01", herd, zone: "UTC")
    #expect(load.fires.reduce(0, +) == 600 && load.fires[60...].allSatisfy { $0 == 0 })
    #expect(load.fires[..<60].allSatisfy { $0 > 0 && $0 < 40 })
    let late = (0..<200).map { number in
      schedule(.cron("59 23 * * *"), named: "\(number)") { $0.jitter = .seconds(120) }
    }
    let midnight = try self.load("2026-01-01", late, zone: "UTC")
    #expect(midnight.fires[0] > 0 && midnight.fires[1_439] > 0 && midnight.fires.reduce(0, +) == 200)
  }

  @Test("An interval of milliseconds is counted, not walked")
  func fast() throws {
    let load = try load("2026-01-01", [schedule(.every(.milliseconds(1)))])
    #expect(load.fires.allSatisfy { $0 == 60_000 } && load.schedules.allSatisfy { $0 == 1 })
  }

  @Test("For people: a bar for each hour, and the busiest minutes")
  func text() throws {
    let lines = try load("2026-01-01", [schedule(.cron("30 2,3 * * *")), schedule(.cron("30 3 * * *"))], zone: "UTC")
      .text
    #expect(lines[0] == "2026-01-01 UTC: 2 schedules, 3 fires" && lines[2] == "HOUR   FIRES")
    #expect(lines[5] == "02:00      1  " + String(repeating: "█", count: 20))
    #expect(lines[6] == "03:00      2  " + String(repeating: "█", count: 40))
    #expect(
      lines.suffix(3) == [
        "BUSIEST MINUTES  SCHEDULES  FIRES", "03:30                    2      2", "02:30                    1      1",
      ])
  }

  @Test("A day is a date that there is", arguments: ["2026-02-30", "2026-1-1", "today", "1969-12-31", ""])
  func days(_ text: String) {
    #expect(throws: Unreadable.self) { try ScheduleLoad.Day(text, zone: .utc, named: "UTC") }
  }
}
