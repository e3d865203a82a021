import Foundation
import NuvomTasks
import Tasks

/// Checks all Markdown pages below a folder: `check-links docs`. The broker is that of NUVOM_CONNECT, or the one on this machine.
@main
struct CheckLinks {
  static func main() async throws {
    let root = CommandLine.arguments.dropFirst().first ?? "."
    let folder = URL(filePath: root, directoryHint: .isDirectory).standardizedFileURL.path
    let files = FileManager.default.enumerator(atPath: folder)
    let pages = (files?.compactMap { $0 as? String } ?? []).filter { path in
      path.hasSuffix(".md") && !path.split(separator: "/").contains { $0.hasPrefix(".") }
    }
    guard !pages.isEmpty else { return print("There is no Markdown page below \(root).") }

    let reports = try await NuvomClient.withClient { _ in
      // One request for all jobs; they are on the broker's disk when it returns.
      let jobs = try await checkPageTask.map(pages.sorted().map { .init(root: folder, page: $0) })
      return try await jobs.results(timeout: .seconds(60))
    }

    for report in reports {
      for dead in report.dead { print("\(report.page): \(dead)") }
    }
    let (links, dead) = (reports.map(\.links).reduce(0, +), reports.map(\.dead.count).reduce(0, +))
    print("\(reports.count) pages, \(links) links, \(dead) dead")
    if dead > 0 { exit(1) }
  }
}
