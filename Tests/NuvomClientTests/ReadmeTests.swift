import NuvomClient

/// The example of README.md, so that it compiles.
private func example() async throws {
  // snippet README.md
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
  // end snippet
}
