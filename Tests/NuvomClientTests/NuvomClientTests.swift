import Logging
import MessagePack
@testable import NuvomClient
import ServiceLifecycle
import Testing

/// Runs a client against a broker that the test plays.
private func converse(
  _ change: (inout NuvomClient.Configuration) -> Void = { _ in },
  _ body: @Sendable (NuvomClient, FakeBroker) async throws -> Void
) async throws {
  var configuration = NuvomClient.Configuration(name: "test")
  change(&configuration)
  let chosen = configuration
  try await FakeBroker.withBroker { broker in
    var configuration = chosen
    configuration.address = BrokerAddress(host: "127.0.0.1", port: broker.port)
    try await NuvomClient.withClient(configuration: configuration) { client in try await body(client, broker) }
  }
}

/// The code that a request fails with; nil if it does not.
private func code(_ body: () async throws -> Void) async -> NuvomError.Code? {
  do {
    try await body()
    return nil
  } catch {
    return (error as? NuvomError)?.code
  }
}

@Suite("The client on a socket")
struct NuvomClientTests {
  @Test("says hello with its name and an id, and enqueues")
  func helloAndEnqueue() async throws {
    try await converse { client, broker in
      async let receipt = client.enqueue(Job(task: "resize", payload: [1, 2]))
      let connection = try await broker.accept()
      let hello = try await connection.next()
      #expect(hello.method == "hello")
      #expect(hello.parameters["version"] == 1)
      #expect(hello.parameters["name"] == "test")
      guard case .binary(let id)? = hello.parameters["client_id"] else { return #expect(Bool(false), "no client_id") }
      #expect(id.count == 16)
      connection.result(hello, ["version": 1, "server": "fake"])
      let request = try await connection.next()
      #expect(request.method == "enqueue")
      #expect(request.parameters == ["jobs": [["queue": "default", "task": "resize", "payload": .binary([1, 2])]]])
      connection.result(request, ["ids": [77]])
      #expect(try await receipt == EnqueueReceipt(id: JobID(rawValue: 77), isDuplicate: false))
    }
  }

  @Test("sends without waiting for answers, and takes them in any order")
  func pipelining() async throws {
    try await converse { client, broker in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 1...100 {
          group.addTask {
            let status = try await client.get(JobID(rawValue: UInt64(number)))
            #expect(status.id.rawValue == UInt64(number))
          }
        }
        let connection = try await broker.welcome()
        var requests: [FakeConnection.Request] = []
        while requests.count < 100 { requests.append(try await connection.next()) }
        for request in requests.reversed() {
          connection.result(request, ["id": request.parameters["id"] ?? nil, "state": "ready"])
        }
        try await group.waitForAll()
      }
    }
  }

  @Test("sends an unanswered request again after a lost connection, as the same client, under its number")
  func reconnects() async throws {
    try await converse { client, broker in
      async let receipt = client.enqueue(Job(task: "once"))
      let first = try await broker.accept()
      let firstHello = try await first.next()
      first.result(firstHello, ["version": 1])
      let request = try await first.next()
      first.close()
      let second = try await broker.accept()
      let secondHello = try await second.next()
      #expect(secondHello.parameters["client_id"] == firstHello.parameters["client_id"])
      second.result(secondHello, ["version": 1])
      let again = try await second.next()
      #expect(again.id == request.id)
      #expect(again.parameters == request.parameters)
      second.result(again, ["ids": [1]])
      #expect(try await receipt.id.rawValue == 1)
    }
  }

  @Test(
    "survives a connection that ends in the middle, by goodbye or by garbage",
    arguments: ["goodbye", "garbage", "half a frame"])
  func survives(_ what: String) async throws {
    try await converse { client, broker in
      async let pong: Void = client.ping()
      let first = try await broker.welcome()
      _ = try await first.next()
      switch what {
      case "goodbye":
        first.send([2, "goodbye", ["code": "SHUTTING_DOWN", "message": "bye", "retry_after_ms": 10]])
      case "garbage": first.send(bytes: Array("HTTP/1.1 400 Bad Request\r\n".utf8))
      default:
        first.send(bytes: [0, 0, 0, 9, 0x94])
        first.close()
      }
      let second = try await broker.welcome()
      second.result(try await second.next(), [:])
      try await pong
    }
  }

  @Test("gives up on a broker that does not answer hello, and tries again")
  func slowHello() async throws {
    try await converse({ $0.connectTimeout = .milliseconds(50) }) { client, broker in
      async let pong: Void = client.ping()
      let slow = try await broker.accept()
      await slow.closedByClient()
      // The same short limit holds for the next attempts, and a busy machine may miss it: the broker serves whichever lasts.
      while true {
        do {
          let quick = try await broker.welcome()
          quick.result(try await quick.next(), [:])
          break
        } catch is CancellationError {
          continue
        }
      }
      try await pong
    }
  }

  @Test("ends for good when the broker does not speak its version; requests say so")
  func wrongVersion() async throws {
    try await FakeBroker.withBroker { broker in
      let address = BrokerAddress(host: "127.0.0.1", port: broker.port)
      let client = NuvomClient(configuration: .init(address: address))
      async let running = code { try await client.run() }
      async let request = code { try await client.ping() }
      let connection = try await broker.accept()
      connection.refuse(try await connection.next(), ["code": "UNSUPPORTED_VERSION", "message": "1"])
      #expect(await running == .unsupportedVersion)
      #expect(await request == .unsupportedVersion)
      #expect(await code { try await client.ping() } == .unsupportedVersion)
    }
  }

  @Test("a cancelled task is free at once, and its answer disturbs nobody")
  func cancellation() async throws {
    try await converse { client, broker in
      let task = Task { try await client.get(JobID(rawValue: 1)) }
      let connection = try await broker.welcome()
      let request = try await connection.next()
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      connection.result(request, ["id": 1])
      async let pong: Void = client.ping()
      connection.result(try await connection.next(), [:])
      try await pong
    }
  }

  @Test("a task that is cancelled before it asks does not ask")
  func cancelledBefore() async throws {
    try await converse { client, broker in
      let task = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        try await client.ping()
      }
      await #expect(throws: CancellationError.self) { try await task.value }
      let connection = try await broker.welcome()
      async let statistics = client.statistics()
      let request = try await connection.next()
      #expect(request.method == "stats")
      connection.result(request, ["version": "1"])
      #expect(try await statistics.version == "1")
    }
  }

  @Test("gives back the jobs that arrive for a cancelled dequeue")
  func releasesDeliveries() async throws {
    try await converse { client, broker in
      let task = Task { try await client.dequeue(wait: .seconds(60)) }
      let connection = try await broker.welcome()
      let request = try await connection.next()
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      connection.result(request, ["jobs": [["id": 5, "token": 9, "attempt": 1, "task": "t"]]])
      let release = try await connection.next()
      #expect(release.method == "release")
      #expect(release.parameters == ["jobs": [["id": 5, "token": 9]]])
      connection.result(release, [:])
    }
  }

  @Test("a graceful shutdown waits for answers, takes no more requests, and ends run")
  func shutdown() async throws {
    try await FakeBroker.withBroker { broker in
      let address = BrokerAddress(host: "127.0.0.1", port: broker.port)
      let client = NuvomClient(configuration: .init(address: address))
      async let running = code { try await client.run() }
      async let receipt = client.enqueue(Job(task: "last"))
      let connection = try await broker.welcome()
      let request = try await connection.next()
      client.shutDown()
      #expect(await code { try await client.ping() } == .closed)
      connection.result(request, ["ids": [1]])
      #expect(try await receipt.id.rawValue == 1)
      #expect(await running == nil)
      await connection.closedByClient()
      #expect(await code { try await client.run() } == nil)
    }
  }

  @Test("a service group shuts it down gracefully")
  func service() async throws {
    try await FakeBroker.withBroker { broker in
      let address = BrokerAddress(host: "127.0.0.1", port: broker.port)
      let client = NuvomClient(configuration: .init(address: address))
      let group = ServiceGroup(
        configuration: .init(
          services: [.init(service: client)], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
      let running = Task { try await group.run() }
      async let receipt = client.enqueue(Job(task: "last"))
      let connection = try await broker.welcome()
      let request = try await connection.next()
      await group.triggerGracefulShutdown()
      connection.result(request, ["ids": [1]])
      #expect(try await receipt.id.rawValue == 1)
      try await running.value
    }
  }

  @Test("cancelling run fails what is in flight")
  func cancelledRun() async throws {
    try await FakeBroker.withBroker { broker in
      let address = BrokerAddress(host: "127.0.0.1", port: broker.port)
      let client = NuvomClient(configuration: .init(address: address))
      let running = Task { try await client.run() }
      async let request = code { try await client.ping() }
      let connection = try await broker.welcome()
      _ = try await connection.next()
      running.cancel()
      #expect(await request == .closed)
      try await running.value
    }
  }

  @Test("run is refused while it runs")
  func runTwice() async throws {
    try await converse { client, broker in
      _ = try await broker.welcome()
      #expect(await code { try await client.run() } == .closed)
    }
  }

  @Test("without reconnecting, a broker that is not there is an error at once")
  func unreachable() async throws {
    // Port 1 is reserved, and nobody listens there.
    var configuration = NuvomClient.Configuration(address: "127.0.0.1:1")
    configuration.reconnects = false
    let error = await code {
      try await NuvomClient.withClient(configuration: configuration) { client in try await client.ping() }
    }
    #expect(error == .unreachable)
  }

  @Test("an error keeps all that the broker says")
  func errors() async throws {
    try await converse { client, broker in
      let task = Task { try await client.multi { $0.cancel([JobID(rawValue: 1)]) } }
      let connection = try await broker.welcome()
      connection.refuse(
        try await connection.next(),
        ["code": "MEMORY_FULL", "message": "later", "field": "jobs", "operation": 0, "retry_after_ms": 1_500])
      let wanted = NuvomError(
        .memoryFull, "later", field: "jobs", operation: 0, retryAfter: .milliseconds(1_500))
      await #expect(throws: wanted) { try await task.value }
    }
  }

  @Test("a thousand tasks enqueue at once")
  func manyTasks() async throws {
    try await converse { client, broker in
      try await withThrowingTaskGroup(of: UInt64.self) { group in
        for _ in 1...1_000 { group.addTask { try await client.enqueue(Job(task: "t")).id.rawValue } }
        let connection = try await broker.welcome()
        for number in 1...1_000 {
          connection.result(try await connection.next(), ["ids": [.uint(UInt64(number))]])
        }
        #expect(try await group.reduce(into: Set()) { $0.insert($1) }.count == 1_000)
      }
    }
  }
}
