import ArgumentParser
import Foundation
import NuvomClient

/// Reads paths, each ended by a zero byte (as `find -print0` writes them), and enqueues a job for each. Prints the jobs' ids, one a
/// line, in the order of the paths.
struct Produce: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Enqueue a job for each path on standard input.")

  @Option(help: "Where the broker listens: HOST:PORT.")
  var connect: String

  func run() async throws {
    let configuration = NuvomClient.Configuration(address: try BrokerAddress(connect), name: "checksums-producer")
    try await NuvomClient.withClient(configuration: configuration, logger: silent) { client in
      var unread: [UInt8] = []
      while true {
        let bytes = FileHandle.standardInput.availableData
        if bytes.isEmpty { break }
        unread += bytes

        // Enqueue the complete paths; what follows the last zero byte waits for its rest.
        var paths = unread.split(separator: 0, omittingEmptySubsequences: false).map { [UInt8]($0) }
        unread = paths.removeLast()
        while !paths.isEmpty {
          let batch = paths.prefix(500)
          paths.removeFirst(batch.count)
          try await enqueue(batch, with: client)
        }
      }
    }
  }

  /// When `enqueue` returns, the jobs are on the broker's disk. If the broker crashes meanwhile, the client connects again and
  /// repeats the request, and the broker sees to it that no job is there twice: nothing to do here.
  private func enqueue(_ paths: some Collection<[UInt8]>, with client: NuvomClient) async throws {
    let jobs = paths.map { path in
      // A payload is any bytes. A path is, too: it need not be UTF-8.
      var job = Job(task: "sha256", queue: Checksums.queue, payload: path)
      // Without a retention, a job and its result are gone as soon as it is done.
      job.retention = .seconds(3_600)
      return job
    }
    let receipts = try await client.enqueue(jobs)
    let lines = receipts.map { "\($0.id)\n" }.joined()
    try FileHandle.standardOutput.write(contentsOf: Data(lines.utf8))
  }
}
