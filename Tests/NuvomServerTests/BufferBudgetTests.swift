import MessagePack
import Testing

@testable import NuvomServer

/// What all connections together may keep in memory.
struct BufferBudgetTests {
  private let limit = 1 << 20

  /// A job whose `get` is answered with so many bytes, and a little.
  private func job(of bytes: Int, by client: PlayedConnection) throws -> MessageValue {
    let payload = MessageValue.binary([UInt8](repeating: 7, count: bytes))
    let enqueued = try client.ask(1, "enqueue", ["jobs": [["task": "t", "payload": payload]]])
    return try #require(enqueued[3]?["ids"]?[0])
  }

  @Test("Answers that nobody reads count, and the connection that lets most of them wait is closed")
  func unreadAnswers() throws {
    let world = ServerWorld(bufferLimit: limit)
    let good = try world.client()
    let small = try job(of: 100_000, by: good)
    let large = try job(of: 600_000, by: good)
    let little = try world.client()
    little.stopReading()
    try little.send(1, "get", ["id": small])
    let much = try world.client()
    much.stopReading()
    try much.send(1, "get", ["id": large])
    #expect(world.loop.bufferedBytes > 700_000)
    #expect(!much.isClosed)
    // What breaks the limit is not what has most.
    let last = try world.client()
    last.stopReading()
    for id in 1...4 as ClosedRange<UInt64> { try last.send(id, "get", ["id": small]) }
    #expect(much.isClosed)
    #expect(!little.isClosed && !last.isClosed)
    #expect(world.loop.bufferedBytes < limit)
    #expect(try good.ask(9, "ping") == [1, 9, nil, [:]])
  }

  @Test("What was read in the end does not count any more")
  func readAnswers() throws {
    let world = ServerWorld(bufferLimit: limit)
    let client = try world.client()
    let job = try job(of: 300_000, by: client)
    client.stopReading()
    try client.send(2, "get", ["id": job])
    #expect(world.loop.bufferedBytes > 300_000)
    client.resumeReading()
    #expect(world.loop.bufferedBytes == 0)
    #expect(try client.read()?[1] == 2)
    client.stopReading()
    try client.send(3, "get", ["id": job])
    try client.channel.close().wait()
    world.eventLoop.run()
    #expect(world.loop.bufferedBytes == 0)
  }

  @Test("Of frames that are half here, the largest gives way, and its sender is told")
  func halfFrames() throws {
    let world = ServerWorld(bufferLimit: limit)
    let large = try world.client()
    try large.send([0, 0x80, 0, 0] + [UInt8](repeating: 0xc6, count: 800_000))
    let small = try world.client()
    try small.send([0, 0x10, 0, 0] + [UInt8](repeating: 0xc6, count: 200_000))
    #expect(world.loop.bufferedBytes > 1_000_000 && world.loop.bufferedBytes <= limit)
    try small.send([UInt8](repeating: 0xc6, count: 100_000))
    let goodbye = try #require(try large.read())
    #expect(goodbye[2]?["code"] == "MEMORY_FULL" && goodbye[2]?["retry_after_ms"] == 1_000)
    try large.send([UInt8](repeating: 0xc6, count: 100_000))
    #expect(world.loop.bufferedBytes < 400_000)
    world.pass(seconds: 1)
    #expect(large.isClosed && !small.isClosed)
  }

  @Test("Requests that waited for large answers before them go on when these have left, without another byte")
  func heldUp() throws {
    let world = ServerWorld()
    let client = try world.client()
    let job = try job(of: 5 << 20, by: client)
    let requests = try (1...4).flatMap { try PlayedConnection.frame($0, "get", ["id": job]) }
    try client.send(requests)
    for id in 1...4 as ClosedRange<UInt64> { #expect(try client.read()?[1] == .uint(id)) }
    #expect(world.loop.bufferedBytes == 0)
  }

  @Test("Who reads no answer is asked for no more of them")
  func notReading() throws {
    let world = ServerWorld()
    let client = try world.client()
    let job = try job(of: 5 << 20, by: client)
    client.stopReading()
    client.becomeUnwritable()
    try client.send(try (1...4).flatMap { try PlayedConnection.frame($0, "get", ["id": job]) })
    #expect(world.loop.bufferedBytes < 6 << 20)
    client.resumeReading()
    for id in 1...4 as ClosedRange<UInt64> { #expect(try client.read()?[1] == .uint(id)) }
  }
}
