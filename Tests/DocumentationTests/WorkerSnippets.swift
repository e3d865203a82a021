import Logging
import NuvomWorker
import ServiceLifecycle

// The code of NuvomWorker's pages. It is compiled, not run.

private let logger = Logger(label: "snippets")
private let greet = TaskDefinition("greet") { (name: String) in "hello \(name)" }

private func pageSomebody(_ text: String) async {}

func workerOverview() async throws {
  // snippet Sources/Client/NuvomWorker/NuvomWorker.docc/NuvomWorker.md
  let client = NuvomClient()
  let worker = try Worker(client: client, tasks: [greet], configuration: .init(concurrency: 20))
  let group = ServiceGroup(
    configuration: .init(
      services: [.init(service: client), .init(service: worker)], gracefulShutdownSignals: [.sigterm, .sigint],
      logger: logger))
  try await group.run()
  // end snippet
}

func workerProcesses() async throws {
  // snippet Sources/Client/NuvomWorker/NuvomWorker.docc/NuvomWorker.md
  await ProcessExecutor.serveIfChild([greet])
  let broker = NuvomClient.Configuration()
  let client = NuvomClient(configuration: broker)
  let executor = try ProcessExecutor([greet], client: broker, memoryLimit: 512 << 20)
  let worker = try Worker(client: client, executor: executor)
  // end snippet
  _ = worker
}

func workerQueues() -> WorkerConfiguration {
  // snippet Sources/Client/NuvomWorker/NuvomWorker.docc/NuvomWorker.md
  var configuration = WorkerConfiguration(concurrency: 20)
  configuration.queues = .weighted(["mail": 3, "reports": 1])
  // end snippet
  return configuration
}

func workerMiddleware(_ client: NuvomClient) throws {
  // snippet Sources/Client/NuvomWorker/NuvomWorker.docc/NuvomWorker.md
  struct Alarm: WorkerMiddleware {
    func handle(_ context: JobContext, next: @Sendable () async throws -> [UInt8]?) async throws -> [UInt8]? {
      do {
        return try await next()
      } catch {
        if context.attempt == context.maximumAttempts { await pageSomebody("\(context.job.task): \(error)") }
        throw error
      }
    }
  }

  let worker = try Worker(client: client, tasks: [greet], middleware: Worker.defaultMiddleware + [Alarm()])
  // end snippet
  _ = worker
}
