import ArgumentParser
import MessagePack
import NuvomClient
import NuvomCommandLine
import NuvomSchedule

struct SchedulePreviewCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "preview",
    abstract: "Print when a definition will be due, and beside each odd time why. Needs no broker.",
    discussion: """
      One due time a line, in ISO 8601 with its offset from UTC. Odd are times in the gap when summer time begins, in the fold when it ends, and those \
      that fire later by jitter. --against FILE says for each how many schedules of a file of definitions (as `apply` takes) fire in the same minute; an interval \
      there without `start` counts from --after.
      """)

  @Option(help: ArgumentHelp("A cron expression.", valueName: "expr")) var cron: String?
  @Option(
    help: ArgumentHelp("Every so long, the first time so long after --after.", valueName: "duration"),
    transform: DurationText.read)
  var every: Duration?
  @OptionGroup var zone: ZoneOptions
  @Option(
    help: ArgumentHelp("Due times after this. Default: now.", valueName: "time"), transform: WrittenTime.init)
  var after: WrittenTime?
  @Option(help: ArgumentHelp("How many, from 1 to 100000. Default: 10.", valueName: "n")) var count = 10
  @Option(
    help: ArgumentHelp("The schedule's jitter; it is derived from --name.", valueName: "duration"),
    transform: DurationText.read)
  var jitter: Duration?
  @Option(help: "The schedule's name.") var name: String?
  @Option(
    help: ArgumentHelp("Definitions with which each minute is compared; - is standard input.", valueName: "file"))
  var against: String?
  @OptionGroup var form: OutputForm

  func validate() throws {
    guard (cron == nil) != (every == nil) else { throw ValidationError("give --cron or --every, one of them") }
    guard (jitter == nil) == (name == nil) else {
      throw ValidationError("--jitter is derived from --name; give both or neither")
    }
    if cron == nil && (zone.dstGap != nil || zone.dstFold != nil) {
      throw ValidationError("--dst-gap and --dst-fold are for --cron: an interval has no local times")
    }
    guard (1...100_000).contains(count) else { throw ValidationError("--count is from 1 to 100000") }
  }

  func run() throws {
    let zones = TimeZones()
    let zoneName = zone.timezone ?? "UTC"
    let rules = try zones.rules(of: zoneName)
    var local = LocalTimes(zone: zone.timezone.map { ($0, rules) })
    let now = WallClock.milliseconds
    let after = try after.map { try local.milliseconds($0, field: "--after") } ?? now
    for remark in local.remarks { Output.remark("nuvom: \(remark)") }
    var schedule = Schedule(
      name ?? "",
      every.map { .every($0) }
        ?? .cron(cron ?? "", timeZone: zoneName, gap: zone.dstGap ?? .shift, fold: zone.dstFold ?? .first),
      job: Job(task: ""))
    schedule.jitter = jitter ?? .zero
    let times = try DueTimes(schedule, creation: after, zones: zones)
    var others: [DueTimes]?
    if let against {
      others = try ScheduleFile(path: against, zones: zones).definitions.map {
        try DueTimes($0.schedule, creation: after, zones: zones)
      }
    }
    let preview = SchedulePreview(times, after: Int64(clamping: after), count: count, against: others, zone: rules)
    if preview.lines.isEmpty {
      throw Failure(.refused, "it is never due after \(ISOTime(milliseconds: after, in: rules))")
    }
    try form.output.answer(["time_zone": .string(zoneName), "due": preview.document], preview.text)
  }
}
