import Logging
import NuvomServer
import NuvomWorker
import ServiceLifecycle

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A real broker in this process, which keeps nothing, with a client of it.
func withBroker(
  memoryLimit: Int = 1 << 30, _ body: @escaping @Sendable (NuvomClient) async throws -> Void
) async throws {
  let (ports, listening) = AsyncStream<Int>.makeStream()
  var configuration = ServerConfiguration(version: "test")
  configuration.port = 0
  configuration.memoryLimit = memoryLimit
  let server = NuvomServer(configuration: configuration, logger: silent) { _, port in listening.yield(port) }
  let group = ServiceGroup(configuration: .init(services: [.init(service: server)], logger: silent))
  let running = Task { try await group.run() }
  for await port in ports.prefix(1) {
    let address = BrokerAddress(host: "127.0.0.1", port: port)
    try await NuvomClient.withClient(configuration: .init(address: address)) { client in try await body(client) }
  }
  await group.triggerGracefulShutdown()
  try await running.value
}

/// A worker, of a real broker, that runs while `body` does.
func withWorker(
  _ tasks: [any RunnableTask], _ configuration: WorkerConfiguration = WorkerConfiguration(),
  middleware: [any WorkerMiddleware] = Worker.defaultMiddleware,
  _ body: @escaping @Sendable (NuvomClient, Worker) async throws -> Void
) async throws {
  try await withBroker { client in
    let worker = try Worker(
      client: client, tasks: tasks, configuration: configuration, middleware: middleware, logger: silent)
    async let running: Void = worker.run()
    do {
      try await body(client, worker)
      worker.drain()
    } catch {
      worker.drain()
      throw error
    }
    try await running
  }
}

/// Something that happens once, and those who wait for it.
actor Signal {
  private var hasHappened = false
  private var waiting: [CheckedContinuation<Void, Never>] = []

  func happen() {
    hasHappened = true
    for continuation in waiting { continuation.resume() }
    waiting = []
  }

  /// Waits for it, whether the waiting Swift task is cancelled or not.
  func wait() async {
    if hasHappened { return }
    await withCheckedContinuation { waiting.append($0) }
  }
}
