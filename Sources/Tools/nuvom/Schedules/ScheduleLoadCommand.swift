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
      try date.map { try ScheduleLoad.Day($0, zone: zone, named: timezone) }
      ?? ScheduleLoad.Day(of: WallClock.milliseconds, zone: zone, named: timezone)
    let load: ScheduleLoad
    if let file {
      var ofFile = ScheduleLoad(day)
      for definition in try ScheduleFile(path: file, zones: zones).definitions {
        try ofFile.add(definition.schedule, zones)
      }
      load = ofFile
    } else {
      load = try await client.withClient { client in
        let zones = TimeZones()
        return try await client.gatherSchedules(into: ScheduleLoad(day)) { load, status in
          guard status.state == .active else { return }
          do {
            let times = try DueTimes(
              status.schedule, creation: status.createdAtMilliseconds, next: status.dueAtMilliseconds, zones: zones)
            load.add(times)
          } catch {
            throw Failure(.configuration, "\(Output.printable(status.schedule.name)): \(error)")
          }
        }
      }
    }
    try client.output.answer(load.document, load.text)
  }
}
