import MessagePack
import NIOCore
import NIOEmbedded
import Testing

@testable import NuvomServer

struct ConnectionLimitTests {
  @Test("Who says no hello within ten seconds is sent away, also with half a hello")
  func noHello() throws {
    let world = ServerWorld()
    let silent = try world.connection()
    world.pass(seconds: 4)
    let half = try world.connection()
    try half.send([0, 0, 0])
    world.pass(seconds: 5)
    try half.send([9])
    #expect(!silent.isClosed && !half.isClosed)
    world.pass(seconds: 6)
    #expect(try silent.read()?[2]?["code"] == "IDLE_TIMEOUT")
    #expect(try half.read()?[2]?["code"] == "IDLE_TIMEOUT")
    world.pass(seconds: 1)
    #expect(silent.isClosed && half.isClosed)
  }

  @Test("A client that is silent for ten minutes is sent away, unless it pings or waits")
  func silence() throws {
    let world = ServerWorld()
    let silent = try world.client()
    let pinging = try world.client()
    let waiting = try world.client()
    try waiting.send(1, "dequeue", ["wait_ms": 3_600_000])
    world.pass(seconds: 590)
    #expect(try pinging.ask(1, "ping") == [1, 1, nil, [:]])
    #expect(!silent.isClosed)
    world.pass(seconds: 20)
    #expect(try silent.read()?[2]?["code"] == "IDLE_TIMEOUT")
    world.pass(seconds: 1)
    #expect(silent.isClosed)
    #expect(!pinging.isClosed && !waiting.isClosed)
    #expect(try pinging.ask(2, "enqueue", ["jobs": [["task": "t"]]])[2] == .null)
    #expect(try waiting.read()?[3]?["jobs"]?[0]?["task"] == "t")
  }

  @Test("Who takes nothing of its answers for thirty seconds is closed")
  func slowReader() throws {
    let world = ServerWorld()
    let slow = try world.client()
    slow.stopReading()
    try slow.send(1, "ping")
    slow.becomeUnwritable()
    world.pass(seconds: 29)
    #expect(!slow.isClosed)
    world.pass(seconds: 7)
    #expect(slow.isClosed)
    #expect(world.loop.bufferedBytes == 0)
  }

  @Test("Who begins to take its answers in time stays")
  func recoveredReader() throws {
    let world = ServerWorld()
    let slow = try world.client()
    slow.stopReading()
    try slow.send(1, "ping")
    slow.becomeUnwritable()
    world.pass(seconds: 25)
    slow.resumeReading()
    world.pass(seconds: 25)
    #expect(!slow.isClosed)
    #expect(try slow.read() == [1, 1, nil, [:]])
  }

  @Test("One connection more than allowed is told why not")
  func tooMany() throws {
    let world = ServerWorld(connectionLimit: 1)
    let first = try world.client()
    let second = try world.connection()
    let goodbye = try #require(try second.read())
    #expect(goodbye[2]?["code"] == "TOO_MANY_CONNECTIONS" && goodbye[2]?["retry_after_ms"] == 1_000)
    world.pass(seconds: 1)
    #expect(second.isClosed && !first.isClosed)
  }

  @Test("Of a flood, only some have time to read why they were refused; nobody stays")
  func flood() throws {
    let world = ServerWorld(connectionLimit: 1)
    let first = try world.client()
    let flood = try (0..<300).map { _ in try world.connection() }
    #expect(flood.count { !$0.isClosed } == 256)
    #expect(try flood.allSatisfy { try $0.read()?[2]?["code"] == "TOO_MANY_CONNECTIONS" })
    world.pass(seconds: 1)
    #expect(flood.allSatisfy(\.isClosed) && world.loop.refused == 0)
    #expect(try first.ask(1, "ping") == [1, 1, nil, [:]])
  }

  @Test(
    "No more connections are taken than there are files for, beside the log's",
    arguments: [(files: 20_000, connections: 12_000), (1_024, 832), (100, 24), (10, 1), (.max, 12_000)])
  func files(files: Int, connections: Int) {
    var configuration = ServerConfiguration(version: "test")
    #expect(configuration.fitConnections(intoFiles: files) == (connections < 12_000))
    #expect(configuration.connectionLimit == connections)
  }

  @Test(
    "One new connection is accepted at a time, and many beside so many requests that they make a turn long by themselves"
  )
  func accepting() throws {
    let world = ServerWorld()
    let listener = EmbeddedChannel(loop: world.eventLoop)
    var acceptedAtOnce: UInt? {
      listener.options.compactMap {
        $0.option is ChannelOptions.Types.MaxMessagesPerReadOption ? $0.value as? UInt : nil
      }.last
    }
    world.loop.accept(through: listener)
    #expect(acceptedAtOnce == 1)
    let client = try world.client()
    _ = try client.ask(1, "ping")
    #expect(acceptedAtOnce == 1)
    let ping = try PlayedConnection.frame(2, "ping", [:])
    try client.send(Array(repeatElement(ping, count: 80_000 / ping.count).joined()))
    #expect(acceptedAtOnce == 16)
    // One turn with little, as a commit's end makes, is not the end of it; a few more are.
    try client.send(ping)
    #expect(acceptedAtOnce == 16)
    for _ in 0..<3 { try client.send(ping) }
    #expect(acceptedAtOnce == 1)
  }
}
