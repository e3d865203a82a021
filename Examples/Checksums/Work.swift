import ArgumentParser
import Foundation
import MessagePack
import NuvomClient

/// Takes jobs, computes checksums, and answers with them, until it is stopped. Prints the id of each job it executed.
struct Work: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Compute checksums of the files that jobs name.")

  @Option(help: "Where the broker listens: HOST:PORT.")
  var connect: String

  /// How long a job is ours before the broker hands it to another worker. When the answer to a dequeue is lost in a crash, the jobs in it
  /// wait for so long.
  private static let lease = Duration.seconds(2)

  func run() async throws {
    let configuration = NuvomClient.Configuration(address: try BrokerAddress(connect), name: "checksums-worker")
    try await NuvomClient.withClient(configuration: configuration, logger: silent) { client in
      var done: [Settlement] = []
      while true {
        // One round trip acknowledges the last jobs with their results and brings the next ones.
        let taken = try await client.dequeue(
          queues: [Checksums.queue], maximum: 4, wait: .seconds(60), lease: Self.lease, settling: done)
        // An ack is refused if the lease was lost meanwhile: another worker has the job, and its answer will count.
        for refusal in taken.refused {
          FileHandle.standardError.write(Data("\(refusal.id) \(refusal.code): \(refusal.message)\n".utf8))
        }
        done = try await execute(taken.jobs, with: client)
      }
    }
  }

  private func execute(_ jobs: [LeasedJob], with client: NuvomClient) async throws -> [Settlement] {
    // A large file can take longer than a lease. Cancelled when this function returns.
    async let _ = extendLeases(of: jobs, with: client)

    var done: [Settlement] = []
    for job in jobs {
      let checksum = await Checksum(ofFileAt: job.payload)
      try FileHandle.standardOutput.write(contentsOf: Data("\(job.id)\n".utf8))
      // A file that cannot be read is an answer as well: trying again would not help.
      done.append(.ack(job, result: try MessagePackEncoder().encode(checksum)))
    }
    return done
  }

  private func extendLeases(of jobs: [LeasedJob], with client: NuvomClient) async throws {
    while true {
      try await Task.sleep(for: Self.lease / 4)
      _ = try await client.settle(jobs.map { .extend($0) })
    }
  }
}
