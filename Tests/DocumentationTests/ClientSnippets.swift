import Logging
import NuvomClient
import ServiceLifecycle

// The code of NuvomClient's pages. It is compiled, not run.

private let logger = Logger(label: "snippets")

private func thumbnail(of bytes: [UInt8]) async throws -> [UInt8] { bytes }

func clientOverview() async throws {
  // snippet Sources/Client/NuvomClient/NuvomClient.docc/NuvomClient.md
  try await NuvomClient.withClient { client in
    var job = Job(task: "thumbnail", queue: "images", payload: Array("logo.png".utf8))
    job.retention = .seconds(3_600)
    let receipt = try await client.enqueue(job)
    let status = try await client.wait(for: receipt.id)
    print(status.state)
  }
  // end snippet
}

func clientAsService() async throws {
  // snippet Sources/Client/NuvomClient/NuvomClient.docc/NuvomClient.md
  let client = NuvomClient(configuration: .init(address: "127.0.0.1:8866", name: "shop"))
  let group = ServiceGroup(
    configuration: .init(services: [.init(service: client)], gracefulShutdownSignals: [.sigterm], logger: logger))
  try await group.run()
  // end snippet
}

func clientSettling(_ client: NuvomClient) async throws {
  // snippet Sources/Client/NuvomClient/NuvomClient.docc/NuvomClient.md
  for job in try await client.dequeue(queues: ["images"], maximum: 10, wait: .seconds(30)).jobs {
    do {
      let digest = try await thumbnail(of: job.payload)
      try await client.ack(job, result: digest)
    } catch {
      try await client.nack(job, NackReason(type: "\(type(of: error))", message: "\(error)"))
    }
  }
  // end snippet
}

func clientMulti(_ client: NuvomClient, _ job: LeasedJob, _ digest: [UInt8]) async throws {
  // snippet Sources/Client/NuvomClient/NuvomClient.docc/NuvomClient.md
  try await client.multi { operations in
    operations.ack(job, result: digest)
    operations.enqueue(Job(task: "publish", payload: digest))
  }
  // end snippet
}

func clientScheduling(_ client: NuvomClient) async throws {
  // snippet Sources/Client/NuvomClient/NuvomClient.docc/NuvomClient.md
  let backup = Job(task: "backup", queue: "nightly")
  let receipt = try await client.schedule(
    Schedule("backup", .cron("30 2 * * *", timeZone: "Europe/Berlin"), job: backup))
  print(receipt.status, receipt.dueAtMilliseconds ?? 0)

  for try await status in client.schedules(ScheduleFilter(queue: "nightly")) where status.missed > 0 {
    print(status.schedule.name, status.missed)
  }
  let wasThere = try await client.cancelSchedule(named: "backup")
  // end snippet
  _ = wasThere
}

func readmeJobs() async throws {
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
