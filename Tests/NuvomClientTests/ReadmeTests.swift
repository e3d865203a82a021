import Foundation
import NuvomClient
import Testing

/// The example of README.md, so that it compiles.
private func example() async throws {
  // README
  try await NuvomClient.withClient { client in
    var job = try Job(task: "greet", arguments: ["Ada"])
    job.retention = .seconds(3_600)
    let receipt = try await client.enqueue(job)

    for leased in try await client.dequeue(maximum: 10, wait: .seconds(5)).jobs {
      // … do it …
      try await client.ack(leased, result: Array("done".utf8))
    }
    print(try await client.get(receipt.id).state)
  }
  // README
}

@Test("the README shows this very example")
func readmeExample() throws {
  let file = URL(fileURLWithPath: #filePath)
  let source = try String(contentsOf: file, encoding: .utf8)
  let parts = source.components(separatedBy: "  // README\n")
  let code = parts[1].split(separator: "\n", omittingEmptySubsequences: false).map { $0.dropFirst(2) }
    .joined(separator: "\n")
  let root = file.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
  let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
  #expect(readme.contains(code))
}
