import Logging
import MessagePack
import NIOCore
import NIOEmbedded
import NuvomEngine
import NuvomModel
import Testing

@testable import NuvomBroker
@testable import NuvomServer

/// The server's loop and handlers over channels and a clock that the test plays.
final class ServerWorld {
  let eventLoop = EmbeddedEventLoop()
  let loop: BrokerLoop

  init(bufferLimit: Int = 512 << 20, connectionLimit: Int = 100) {
    var configuration = ServerConfiguration(version: "test")
    configuration.bufferLimit = bufferLimit
    configuration.connectionLimit = connectionLimit
    let clock = { [eventLoop] in Time(boot: Int64(eventLoop.now.uptimeNanoseconds / 1_000), wall: 0) }
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    loop = BrokerLoop(eventLoop: eventLoop, configuration: configuration, logger: logger, clock: clock)
    let start = Time(boot: 0, wall: 0)
    let engine = Engine(EngineConfiguration(), now: start)
    engine.resume(at: start)
    let broker = Broker(
      engine: engine, storage: nil, configuration: BrokerConfiguration(server: "nuvom/test", fsync: "ephemeral"),
      transport: loop, clock: clock, notify: { _ in })
    loop.start(broker, whenFailed: { _ in })
    eventLoop.run()
  }

  deinit { try? eventLoop.syncShutdownGracefully() }

  /// Lets time pass; what is due in it happens.
  func pass(seconds: Int64) { eventLoop.advanceTime(by: .seconds(seconds)) }

  /// A connection that has come and said nothing.
  func connection() throws -> PlayedConnection { try PlayedConnection(self) }

  /// One that has said hello and was answered.
  func client() throws -> PlayedConnection {
    let client = try PlayedConnection(self)
    #expect(try client.ask(0, "hello", ["version": 1])[2] == .null)
    return client
  }
}

/// A client's end of a connection: what it sends, what it has read, and whether it reads.
final class PlayedConnection {
  let channel: EmbeddedChannel
  let handler: ConnectionHandler
  private let socket = PlayedSocket()
  private let eventLoop: EmbeddedEventLoop

  fileprivate init(_ world: ServerWorld) throws {
    eventLoop = world.eventLoop
    handler = ConnectionHandler(loop: world.loop)
    channel = EmbeddedChannel(handlers: [socket, handler], loop: world.eventLoop)
    try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 8_866)).wait()
    eventLoop.run()
  }

  /// Whether the broker has closed it.
  var isClosed: Bool { !channel.isActive }

  func send(_ bytes: [UInt8]) throws {
    guard channel.isActive else { return }
    try channel.writeInbound(ByteBuffer(bytes: bytes))
    eventLoop.run()
  }

  func send(_ id: UInt64, _ method: String, _ params: MessageValue = [:]) throws {
    try send(Self.frame(id, method, params))
  }

  static func frame(_ id: UInt64, _ method: String, _ params: MessageValue) throws -> [UInt8] {
    let body = try ([0, .uint(id), .string(method), params] as MessageValue).encoded()
    return withUnsafeBytes(of: UInt32(body.count).bigEndian) { Array($0) } + body
  }

  /// What it is told next.
  func read() throws -> MessageValue? {
    while true {
      if received.count >= 4 {
        let length = received[..<4].reduce(0) { length, byte in length << 8 | Int(byte) }
        if received.count >= 4 + length {
          defer { received.removeFirst(4 + length) }
          return try MessageValue(decoding: Array(received[4..<4 + length]))
        }
      }
      guard let more = try channel.readOutbound(as: ByteBuffer.self) else { return nil }
      received += more.readableBytesView
    }
  }

  private var received: [UInt8] = []

  func ask(_ id: UInt64, _ method: String, _ params: MessageValue = [:]) throws -> MessageValue {
    try send(id, method, params)
    return try #require(try read())
  }

  /// The socket takes nothing more from the broker, as when its client does not read.
  func stopReading() { socket.isStopped = true }

  /// The client takes what waits.
  func resumeReading() {
    socket.isStopped = false
    channel.isWritable = true
    channel.flush()
    channel.pipeline.fireChannelWritabilityChanged()
    eventLoop.run()
  }

  /// The channel tells the handler when more than its high-water mark waits; an embedded one leaves that to the test.
  func becomeUnwritable() {
    channel.isWritable = false
    channel.pipeline.fireChannelWritabilityChanged()
  }
}

/// Between handler and channel: keeps what was written in the channel while its client does not read.
private final class PlayedSocket: ChannelOutboundHandler {
  typealias OutboundIn = ByteBuffer
  var isStopped = false

  func flush(context: ChannelHandlerContext) {
    if !isStopped { context.flush() }
  }

  /// An embedded channel takes the end of one half for the end of both.
  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    if mode == .output { promise?.succeed() } else { context.close(mode: mode, promise: promise) }
  }
}
