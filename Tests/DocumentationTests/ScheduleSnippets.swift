import Foundation
import NuvomFoundationCompat
import NuvomTasks

// The code of NuvomTasks' page about schedules. It is compiled, not run.

private let report = TaskReference<Arguments<String>, String>("report")

func fourWays() async throws {
  // snippet Sources/Client/NuvomTasks/NuvomTasks.docc/Scheduling.md
  try await NuvomClient.withClient { _ in
    // Once, in an hour; or at a time.
    try await report.schedule("trial", in: .seconds(3_600))
    try await report.schedule("launch", at: .millisecondsSince1970(1_800_000_000_000))
    // Every five minutes.
    try await report.schedule("stock", every: .seconds(300), named: "report.stock")
    // At nine on working days in Berlin, in winter and in summer.
    try await report.schedule("sales", cron: "0 9 * * mon-fri", timeZone: "Europe/Berlin", named: "report.sales")
  }
  // end snippet
}

func scheduleDates() async throws {
  // snippet Sources/Client/NuvomTasks/NuvomTasks.docc/Scheduling.md
  let launch = Date.now + 86_400
  let schedule = try await report.schedule("launch", at: launch)
  print(schedule.receipt?.dueAt ?? .distantPast)

  try await report.schedule("stock", every: .seconds(300), options: ScheduleOptions(startAt: launch))
  // end snippet
}

func scheduleHandle() async throws {
  // snippet Sources/Client/NuvomTasks/NuvomTasks.docc/Scheduling.md
  let sales = try await report.schedule(
    "sales", cron: "0 8 * * mon-fri", timeZone: "Europe/Berlin", named: "report.sales")
  print(sales.receipt?.status ?? .unchanged, sales.receipt?.changed ?? [])

  try await sales.pause()
  try await sales.resume()
  let job = try await sales.trigger()
  print(try await sales.status().dueAtMilliseconds ?? 0, try await job.result())
  let wasThere = try await sales.cancel()
  // end snippet
  _ = wasThere
}

func scheduleDefinitions(_ client: NuvomClient) async throws {
  // snippet Sources/Client/NuvomTasks/NuvomTasks.docc/Scheduling.md
  let names = ["stock", "sales", "returns"]
  let definitions = try names.map { name in
    try report.scheduleDefinition(
      name, times: .cron("0 6 * * *", timeZone: "Europe/Berlin"), named: "report.\(name)",
      options: ScheduleOptions(jitter: .seconds(600), overlap: .skip))
  }
  try await client.schedule(definitions)
  // end snippet
}

func scheduledHandler() {
  // snippet Sources/Client/NuvomTasks/NuvomTasks.docc/Scheduling.md
  let report = TaskDefinition("report") { (kind: String) in
    guard let schedule = JobContext.current?.schedule else { return "\(kind), asked for by hand" }
    return "\(kind) as of \(schedule.dueAtMilliseconds), for \(schedule.name)"
  }
  // end snippet
  _ = report
}
