import ArgumentParser
import NuvomClient
import NuvomCommandLine
import NuvomSchedule

struct ScheduleLoadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "load", abstract: "Show how many schedules fire in each minute of a day.",
    discussion: """
      Of the broker's schedules, but for those that are paused or finished, or of a file of definitions as `apply` takes it. By the hour, and the \
      busiest minutes; with --json all of the day's minutes (1440, or an hour more or less when clocks change). Jitter is in it: --jitter is what \
      spreads a herd. Reckoned from the definitions: --max-fires is left out, and an interval of a file without `start` counts from the day's beginning.
      """)

  @Option(help: ArgumentHelp("Definitions; - is standard input. Default: the broker's schedules.", valueName: "file"))
  var file: String?
  @Option(help: ArgumentHelp("The day. Default: today.", valueName: "yyyy-mm-dd")) var date: String?
  @Option(help: ArgumentHelp("The time zone of the day. Default: UTC.", valueName: "zone")) var timezone = "UTC"
  @OptionGroup var client: ClientOptions

  func run() async throws {
    let zones = TimeZones()
    let zone = try zones.rules(of: timezone)
    let day =
      try date.map { try ScheduleLoad.Day($0, zone: zone) } ?? ScheduleLoad.Day(of: WallClock.milliseconds, zone: zone)
    var load = ScheduleLoad(day)
    if let file {
      for definition in try ScheduleFile(path: file, zones: zones).definitions {
        try load.add(definition.schedule, zones)
      }
    } else {
      let statuses = try await client.withClient { client in
        var statuses: [ScheduleStatus] = []
        try await client.eachSchedule { if $0.state == .active { statuses.append($0) } }
        return statuses
      }
      for status in statuses {
        do {
          load.add(try DueTimes(status.schedule, creation: status.createdAtMilliseconds, zones: zones))
        } catch {
          throw Failure(.configuration, "\(Output.printable(status.schedule.name)): \(error)")
        }
      }
    }
    try client.output.answer(load.document, load.text)
  }
}

struct RunSchedulerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runscheduler", abstract: "Say that no scheduler need run, and what is due next.",
    discussion: """
      The broker fires schedules itself, each due time exactly once, so there is no second process, and none that could run twice. This command shows \
      the next ten due times and ends.
      """)

  @OptionGroup var client: ClientOptions

  func run() async throws {
    let next = try await client.withClient { client in
      var next: [ScheduleStatus] = []
      try await client.eachSchedule { status in
        guard status.state == .active, status.firesAtMilliseconds != nil else { return }
        // All of many schedules would be much to keep for ten lines.
        next.append(status)
        if next.count >= 1_000 { next = next.soonest(10) }
      }
      return next.soonest(10)
    }
    let zones = TimeZones()
    let rows = next.map { status in
      let zone = status.schedule.zone(zones)
      return [
        status.firesAtMilliseconds.map { "\(ISOTime(milliseconds: $0, in: zone))" } ?? "-", status.schedule.name,
        status.schedule.words(in: zone), status.schedule.job.task, status.schedule.job.queue,
      ]
    }
    var lines = ["no scheduler need run: the broker fires schedules itself, each due time exactly once", ""]
    lines += next.isEmpty ? ["nothing is due"] : Output.table(["FIRES NEXT", "NAME", "TIMES", "TASK", "QUEUE"], rows)
    try client.output.answer(
      ["needed": false, "next": .array(next.map { $0.document(hasPayload: false) })], lines)
  }
}

extension [ScheduleStatus] {
  /// Those that fire first, in the order in which they do.
  fileprivate func soonest(_ count: Int) -> [ScheduleStatus] {
    let sorted = sorted { first, second in
      (first.firesAtMilliseconds ?? .max, first.schedule.name) < (
        second.firesAtMilliseconds ?? .max, second.schedule.name
      )
    }
    return Array(sorted.prefix(count))
  }
}

extension NuvomClient {
  /// Goes over all schedules that fit, many with a request.
  func eachSchedule(_ filter: ScheduleFilter = ScheduleFilter(), _ body: (ScheduleStatus) -> Void) async throws {
    var after: String?
    repeat {
      let page = try await schedulePage(filter, after: after, limit: 10_000)
      page.schedules.forEach(body)
      after = page.next
    } while after != nil
  }
}
