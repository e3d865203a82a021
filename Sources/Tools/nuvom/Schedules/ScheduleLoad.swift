import MessagePack
import NuvomClient
import NuvomCommandLine
import NuvomSchedule

/// How many schedules fire in each minute of a day, jitter included, so that herds can be seen before they happen.
struct ScheduleLoad {
  /// A day of a zone: 24 hours, or 23 or 25 when clocks change.
  struct Day {
    let name: String
    let zone: ZoneRules
    let zoneName: String
    /// Milliseconds since 1970 UTC.
    let start: Int64
    let end: Int64

    /// - Throws: if the text is no date.
    init(_ text: String, zone: ZoneRules, named zoneName: String) throws(Unreadable) {
      guard let noon = ISOTime("\(text)T12:00"), text.utf8.count == 10 else {
        throw Unreadable(description: "write a date as 2027-01-31")
      }
      var midnight = noon.civil
      midnight.hour = 0
      let next = CivilTime(localSeconds: midnight.localSeconds + 86_400)
      // Where clocks change at midnight, the day begins with the first instant that is its own.
      guard let first = zone.instant(ofLocal: midnight, gap: .shift, fold: .first),
        let last = zone.instant(ofLocal: next, gap: .shift, fold: .first), first.seconds >= 0
      else { throw Unreadable(description: "there is no such day, or it is before 1970") }
      self.zone = zone
      self.zoneName = zoneName
      name = text
      start = first.seconds * 1_000
      end = last.seconds * 1_000
    }

    /// The day of an instant.
    init(of milliseconds: UInt64, zone: ZoneRules, named zoneName: String) throws(Unreadable) {
      let today = ISOTime(milliseconds: milliseconds, in: zone)
      try self.init(String("\(today)".prefix(10)), zone: zone, named: zoneName)
    }

    /// Rounded up: where clocks were once set by less than a minute, a day ends within one.
    var minutes: Int { Int((end - start + 59_999) / 60_000) }
  }

  let day: Day
  /// For each minute of the day, the schedules that fire in it.
  private(set) var schedules: [Int]
  /// For each minute of the day, the fires.
  private(set) var fires: [Int]
  /// How many schedules were looked at.
  private(set) var count = 0

  init(_ day: Day) {
    self.day = day
    schedules = Array(repeating: 0, count: day.minutes)
    fires = schedules
  }

  /// Counts a schedule's fires.
  mutating func add(_ times: DueTimes) {
    count += 1
    var instant = day.start - times.delay - 1
    while let due = times.next(after: instant), due.milliseconds + times.delay < day.end {
      let minute = Int((due.milliseconds + times.delay - day.start) / 60_000)
      let minuteEnd = min(day.start + Int64(minute + 1) * 60_000, day.end)
      // All of the minute at once: an interval of milliseconds has very many.
      fires[minute] += times.fires(from: due.milliseconds + times.delay, to: minuteEnd)
      schedules[minute] += 1
      instant = max(due.milliseconds, minuteEnd - times.delay - 1)
    }
  }

  /// Counts the fires of a definition that nobody has created yet: its interval, if it has one, counts from the day's beginning.
  mutating func add(_ schedule: Schedule, _ zones: TimeZones) throws(Unreadable) {
    var creation = day.start
    if case .every(let interval) = schedule.times { creation -= DurationText.milliseconds(interval) }
    add(try DueTimes(schedule, creation: UInt64(max(0, creation)), zones: zones))
  }

  /// The minutes in which most schedules fire, the fullest first.
  func busiest(_ count: Int) -> [Int] {
    let used = schedules.indices.filter { schedules[$0] > 0 }
    return Array(used.sorted { (schedules[$1], fires[$1], $0) < (schedules[$0], fires[$0], $1) }.prefix(count))
  }

  /// The clock's time in a minute: hour and minute, with the offset on days that have an hour twice.
  func time(ofMinute minute: Int) -> String {
    let time = "\(ISOTime(seconds: (day.start / 1_000) + Int64(minute) * 60, in: day.zone))"
    let isUsual = day.zone.offset(at: day.start / 1_000) == day.zone.offset(at: day.end / 1_000 - 1)
    return String(time.dropFirst(11).prefix(5)) + (isUsual ? "" : " " + time.dropFirst(19))
  }

  /// A histogram by the hour, and the busiest minutes.
  var text: [String] {
    let hours = stride(from: 0, to: day.minutes, by: 60).map { first in
      (first: first, fires: fires[first..<min(first + 60, day.minutes)].reduce(0, +))
    }
    let most = hours.map(\.fires).max() ?? 0
    let rows = hours.map { hour in
      [time(ofMinute: hour.first), "\(hour.fires)", Self.bar(hour.fires, of: most)]
    }
    var lines = ["\(day.name) \(day.zoneName): \(count) schedules, \(fires.reduce(0, +)) fires", ""]
    lines += Output.table(["HOUR", "FIRES", ""], rows)
    let busiest = busiest(10).map { [time(ofMinute: $0), "\(schedules[$0])", "\(fires[$0])"] }
    if !busiest.isEmpty { lines += [""] + Output.table(["BUSIEST MINUTES", "SCHEDULES", "FIRES"], busiest) }
    return lines
  }

  private static func bar(_ number: Int, of most: Int) -> String {
    if number == 0 || most == 0 { return "" }
    return String(repeating: "█", count: max(1, Int((Double(number) / Double(most) * 40).rounded())))
  }

  var document: MessageValue {
    [
      "date": .string(day.name), "time_zone": .string(day.zoneName), "start_at_ms": .int(day.start),
      "schedules": .count(count),
      "fires": .count(fires.reduce(0, +)), "schedules_by_minute": .array(schedules.map { .count($0) }),
      "fires_by_minute": .array(fires.map { .count($0) }),
    ]
  }
}
