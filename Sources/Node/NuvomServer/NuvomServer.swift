public import Logging
public import ServiceLifecycle
import NIOCore
import NIOPosix
import NuvomBroker
import NuvomEngine
import NuvomModel
import NuvomStorage
import NuvomWAL

/// A broker that listens: opens its log, serves, and on graceful shutdown lets replies out, seals the log and ends.
public final class NuvomServer: Service {
  private let configuration: ServerConfiguration
  private let logger: Logger
  private let onListening: @Sendable (_ host: String, _ port: Int) -> Void

  /// Nothing is opened before `run`. `onListening` is called once when connections are served, with the port that was bound.
  public init(
    configuration: ServerConfiguration, logger: Logger,
    onListening: @escaping @Sendable (_ host: String, _ port: Int) -> Void
  ) {
    self.configuration = configuration
    self.logger = logger
    self.onListening = onListening
  }

  /// Serves until graceful shutdown, then returns. Throws a `StorageError` if the log cannot be opened or fails, and NIO's error if the
  /// address cannot be bound.
  public func run() async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    do {
      try await serve(on: group)
      try await group.shutdownGracefully()
    } catch {
      try? await group.shutdownGracefully()
      throw error
    }
  }

  private func serve(on group: MultiThreadedEventLoopGroup) async throws {
    let eventLoop = group.next()
    let failure = eventLoop.makePromise(of: Void.self)
    let box: LoopBox
    do {
      box = try await eventLoop.submit { [configuration, logger] in
        try LoopBox(Self.makeLoop(eventLoop, configuration, logger, failure))
      }.get()
    } catch {
      // A promise that nobody keeps ends a debug build.
      failure.fail(error)
      throw error
    }
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 4_096)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { box.loop.accept(through: channel) }
      }
      .childChannelOption(.socketOption(.so_keepalive), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.allowRemoteHalfClosure, value: false)
      // One read a turn and connection, so that no connection can keep the others' replies waiting for its next bytes.
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelOption(.writeBufferWaterMark, value: .init(low: 256 << 10, high: 1 << 20))
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(ConnectionHandler(loop: box.loop))
        }
      }
    let channel = try await bootstrap.bind(host: configuration.host, port: configuration.port).get()
    let port = channel.localAddress?.port ?? configuration.port
    logger.info("listening", metadata: ["host": "\(configuration.host)", "port": "\(port)"])
    onListening(configuration.host, port)
    let ended = failure.futureResult
    try await withGracefulShutdownHandler {
      try await ended.get()
    } onGracefulShutdown: {
      eventLoop.execute {
        channel.close(promise: nil)
        box.loop.drain(failure)
      }
    }
  }

  /// Opens the log and builds the broker. On the event loop, which serves nothing yet and may be blocked.
  private static func makeLoop(
    _ eventLoop: any EventLoop, _ configuration: ServerConfiguration, _ logger: Logger,
    _ ended: EventLoopPromise<Void>
  ) throws -> BrokerLoop {
    let loop = BrokerLoop(eventLoop: eventLoop, configuration: configuration, logger: logger)
    let box = LoopBox(loop)
    let notify: @Sendable (BrokerNotice) -> Void = { notice in eventLoop.execute { box.loop.receive(notice) } }
    let now = systemTime()
    let recovery = EngineRecovery(
      EngineConfiguration(
        memoryLimit: configuration.memoryLimit, isLogged: configuration.directory != nil,
        hashSeed: .random(in: .min ... .max), blocks: PreparedBlocks()),
      now: now)
    // Told before anything is moved: a salvage that does not come to its end finds the lost part in another place.
    recovery.willSalvage = { part, events in
      for line in SalvageStory(part, events).lines { logger.warning("\(line)") }
    }
    var storage: WALStorage?
    if let directory = configuration.directory {
      var options = WALOptions()
      options.sync = configuration.sync
      options.diskLimit = configuration.diskLimit
      let (opened, report) = try WALStorage.open(
        directory, options: options, at: LogTime(now), handler: recovery,
        salvage: configuration.isRecovering ? recovery : nil, completion: { notify(.committed($0)) })
      storage = opened
      log(report, logger)
      if let salvaged = report.salvaged {
        for line in SalvageStory(salvaged, recovery.lost).outcome { logger.warning("\(line)") }
      } else if configuration.isRecovering {
        logger.notice("the log is not damaged: nothing was to be salvaged, and nothing is lost")
      }
    }
    let engine = try recovery.finished()
    engine.resume(at: systemTime())
    let broker = Broker(
      engine: engine, storage: storage,
      configuration: BrokerConfiguration(
        server: "nuvom/\(configuration.version)", fsync: configuration.fsyncName),
      transport: loop, clock: systemTime, notify: notify)
    try broker.readZones()
    loop.start(broker) { error in
      logger.critical("the log failed", metadata: ["error": "\(error)"])
      ended.fail(error)
    }
    return loop
  }

  private static func log(_ report: RecoveryReport, _ logger: Logger) {
    logger.info(
      "log opened",
      metadata: [
        "new": "\(report.isNew)", "segments": "\(report.segments.count)", "batches": "\(report.batches)",
        "bytes": "\(report.bytes)", "clean": "\(report.wasSealed)", "milliseconds": "\(report.microseconds / 1_000)",
      ])
    if let torn = report.torn {
      logger.warning(
        "the log's end was cut: it was being written when the broker stopped, and nobody was told of it",
        metadata: ["file": "\(torn.path)", "offset": "\(torn.offset)", "reason": "\(torn.reason)"])
    }
    for rejected in report.rejectedSnapshots {
      logger.warning(
        "a snapshot was not usable", metadata: ["file": "\(rejected.path)", "problem": "\(rejected.problem)"])
    }
  }
}

/// Carries the loop to its event loop.
///
/// `@unchecked Sendable`: what is inside is touched on that event loop only.
private final class LoopBox: @unchecked Sendable {
  let loop: BrokerLoop
  init(_ loop: BrokerLoop) { self.loop = loop }
}
