import ArgumentParser
import NuvomClient
import NuvomCommandLine
import NuvomSchedule

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
      try await client.gatherSchedules(into: [ScheduleStatus]()) { next, status in
        guard status.state == .active, status.firesAtMilliseconds != nil else { return }
        next.append(status)
        // All of many schedules would be much to keep for ten lines.
        if next.count == 1_000 { next = next.soonest(10) }
      }.soonest(10)
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
