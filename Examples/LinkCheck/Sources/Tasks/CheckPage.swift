import Foundation
import NuvomTasks

/// What a page's links came to.
public struct PageReport: Codable, Sendable {
  /// Its path below the root.
  public var page: String
  /// How many it has that lead to files here.
  public var links: Int
  /// Each with the reason.
  public var dead: [String]
}

/// Finds the links of a Markdown page that lead nowhere: to no file, or to no heading in one. Links to other hosts are not followed.
///
/// Running it twice does no harm, as everything that a job does should be: a job is delivered until a worker has said that it is done.
@NuvomTask(
  retries: 2, retryDelay: .seconds(1), timeout: .seconds(10), queue: "links",
  description: "Finds the dead links of a Markdown page")
public func checkPage(root: String, page: String) throws -> PageReport {
  let folder = URL(filePath: root, directoryHint: .isDirectory)
  guard let text = try? MarkdownPage(contentsOf: folder.appending(path: page)) else {
    // No retry would make it readable: a dead letter at once, with this message.
    throw PermanentError("there is no readable page \(page) below \(root)")
  }
  var report = PageReport(page: page, links: 0, dead: [])
  for link in text.links where !link.isElsewhere {
    report.links += 1
    let target = link.file.isEmpty ? page : (page as NSString).deletingLastPathComponent + "/" + link.file
    let file = folder.appending(path: target).standardizedFileURL
    if !FileManager.default.fileExists(atPath: file.path) {
      report.dead.append("\(link.target): there is no such file")
    } else if let heading = link.heading, file.pathExtension == "md" {
      let headings = link.file.isEmpty ? text.headings : try MarkdownPage(contentsOf: file).headings
      if !headings.contains(heading) { report.dead.append("\(link.target): there is no such heading") }
    }
  }
  return report
}
