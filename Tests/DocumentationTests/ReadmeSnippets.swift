import Foundation
import NuvomFoundationCompat
import NuvomTasks

// The README's code of tasks. It is compiled, not run; the rest of it is in Examples/LinkCheck.

private struct PageReport: Codable, Sendable {
  var links: Int
  var dead: [String]
}

#if Macros
  @NuvomTask(queue: "links")
  private func checkPage(root: String, page: String) throws -> PageReport { PageReport(links: 0, dead: []) }

  func readmeTasks(_ folder: String, _ pages: [String]) async throws {
    // snippet README.md
    try await NuvomClient.withClient { _ in
      // On the broker's disk when this returns.
      let job = try await checkPageTask.delay(root: folder, page: "README.md")
      // Waits for a worker, without polling.
      print(try await job.result().dead)

      // One request, all or none.
      let jobs = try await checkPageTask.map(pages.map { .init(root: folder, page: $0) })
      print(try await jobs.results().map(\.links))
    }
    // end snippet
  }

  func readmeSchedules(_ folder: String, _ launch: Date) async throws {
    // snippet README.md
    try await NuvomClient.withClient { _ in
      // Once, in an hour; or at a date.
      try await checkPageTask.schedule(root: folder, page: "README.md", in: .seconds(3_600))
      try await checkPageTask.schedule(root: folder, page: "CHANGELOG.md", at: launch)
      // Every five minutes.
      try await checkPageTask.schedule(
        root: folder, page: "CHANGELOG.md", every: .seconds(300), named: "check.changelog")
      // At nine on working days in Berlin, in winter and in summer.
      try await checkPageTask.schedule(
        root: folder, page: "README.md", cron: "0 9 * * mon-fri", timeZone: "Europe/Berlin", named: "check.readme")
    }
    // end snippet
  }
#endif
