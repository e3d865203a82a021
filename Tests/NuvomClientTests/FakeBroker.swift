import MessagePack
import NIOCore
import NIOPosix
import Testing

/// A broker that does what the test says, over a real socket.
final class FakeBroker: Sendable {
  private let listener: any Channel
  private let connections: AsyncStream<FakeConnection>

  private init(listener: any Channel, connections: AsyncStream<FakeConnection>) {
    self.listener = listener
    self.connections = connections
  }

  /// Listens while `body` runs.
  static func withBroker(_ body: @Sendable (FakeBroker) async throws -> Void) async throws {
    let (connections, accepted) = AsyncStream<FakeConnection>.makeStream()
    let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let (requests, received) = AsyncStream<FakeConnection.Request>.makeStream()
          try channel.pipeline.syncOperations.addHandler(RequestCollector(received))
          accepted.yield(FakeConnection(channel: channel, requests: requests))
        }
      }
      .bind(host: "127.0.0.1", port: 0).get()
    let broker = FakeBroker(listener: listener, connections: connections)
    do {
      try await body(broker)
    } catch {
      try? await listener.close()
      throw error
    }
    try await listener.close()
  }

  var port: Int { listener.localAddress?.port ?? 0 }

  /// The next connection that a client makes, before its hello.
  func accept() async throws -> FakeConnection {
    for await connection in connections { return connection }
    throw CancellationError()
  }

  /// The next connection that a client makes, after its hello was answered.
  func welcome() async throws -> FakeConnection {
    let connection = try await accept()
    let hello = try await connection.next()
    #expect(hello.method == "hello")
    connection.result(hello, ["version": 1, "server": "fake"])
    return connection
  }
}

/// A client's connection, seen from the broker.
final class FakeConnection: Sendable {
  struct Request: Sendable {
    let id: UInt64
    let method: String
    let parameters: MessageValue
  }

  private let channel: any Channel
  private let requests: AsyncStream<Request>

  init(channel: any Channel, requests: AsyncStream<Request>) {
    self.channel = channel
    self.requests = requests
  }

  /// The next request of the client.
  func next() async throws -> Request {
    for await request in requests { return request }
    throw CancellationError()
  }

  /// Returns when the client has closed the connection. Requests that come before are dropped.
  func closedByClient() async { for await _ in requests {} }

  func result(_ request: Request, _ result: MessageValue) { send([1, .uint(request.id), nil, result]) }

  func refuse(_ request: Request, _ error: MessageValue) { send([1, .uint(request.id), error, nil]) }

  func send(_ message: MessageValue) {
    var writer = MessageWriter()
    let mark = writer.beginFrame()
    do { try message.write(to: &writer) } catch { Issue.record("the test's message cannot be encoded: \(error)") }
    writer.endFrame(mark)
    send(bytes: writer.bytes)
  }

  func send(bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

  func close() { channel.close(promise: nil) }
}

/// Puts frames together and hands on the requests in them.
private final class RequestCollector: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let received: AsyncStream<FakeConnection.Request>.Continuation
  private var buffer = ByteBuffer()

  init(_ received: AsyncStream<FakeConnection.Request>.Continuation) { self.received = received }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    buffer.writeImmutableBuffer(unwrapInboundIn(data))
    while let length = buffer.getInteger(at: buffer.readerIndex, as: UInt32.self),
      buffer.readableBytes >= 4 + Int(length)
    {
      buffer.moveReaderIndex(forwardBy: 4)
      guard let bytes = buffer.readBytes(length: Int(length)), let message = try? MessageValue(decoding: bytes),
        case .uint(let id)? = message[1], case .string(let method)? = message[2], let parameters = message[3]
      else {
        Issue.record("the client sent a frame that is no request")
        return
      }
      received.yield(FakeConnection.Request(id: id, method: method, parameters: parameters))
    }
  }

  func channelInactive(context: ChannelHandlerContext) { received.finish() }
}
