public import Logging
import NIOCore
public import NIOCore
import NIOPosix
import NuvomConnection
public import ServiceLifecycle

/// A connection to a Nuvom broker, for any number of tasks at once.
///
/// Requests of all tasks share one TCP connection and do not wait for each other's answers. A lost connection is made again, and
/// requests that were not answered are sent again in a way that the broker does none of them twice. ``run()`` must run for as
/// long as the client is used:
/// ```swift
/// try await NuvomClient.withClient { client in
///   let receipt = try await client.enqueue(Job(task: "resize", arguments: ["width": 80]))
/// }
/// ```
///
/// All methods throw ``NuvomError``, or `CancellationError` as soon as their task is cancelled: then nobody knows whether the
/// request was done. The jobs that a cancelled dequeue still brings are given back to their queue.
public final class NuvomClient: Service, Sendable {
  /// How a client behaves. What it does not say has the protocol's defaults.
  public struct Configuration: Sendable {
    /// Where the broker listens.
    public var address: BrokerAddress
    /// What people see of this client in the broker's statistics, at most 255 bytes.
    public var name: String
    /// How long a request waits for its answer, connecting and reconnecting included; a wait that the request asks for is added.
    public var requestTimeout: Duration = .seconds(60)
    /// How long one attempt to connect may take.
    public var connectTimeout: Duration = .seconds(5)
    /// Whether a connection that is lost, or cannot be made, is tried again, with waits of 50 ms to 5 s. If not, that ends the client.
    public var reconnects = true
    /// How long a graceful shutdown waits for the answers to requests in flight.
    public var shutdownGrace: Duration = .seconds(10)

    /// A client of the broker at an address: by default that of `NUVOM_CONNECT`, or the local one.
    public init(address: BrokerAddress = .standard, name: String = "") {
      self.address = address
      self.name = name
    }
  }

  private let link: any ClientLink

  /// A client that does nothing until ``run()``; requests are kept until then.
  ///
  /// - Parameters:
  ///   - configuration: where and how.
  ///   - eventLoopGroup: the threads that its connection runs on; by default the process's own.
  ///   - logger: by default one that tells of lost connections, and of a broker that is not there.
  public convenience init(
    configuration: Configuration = Configuration(),
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    logger: Logger = NuvomClient.defaultLogger
  ) {
    self.init(link: NetworkLink(configuration: configuration, eventLoop: eventLoopGroup.next(), logger: logger))
  }

  /// A client whose requests something else than the network carries.
  package init(link: any ClientLink) { self.link = link }

  /// Connects, and keeps the connection until a graceful shutdown (requests in flight are answered first), ``shutDown()`` or a
  /// cancellation (they fail at once). May be called once.
  ///
  /// - Throws: ``NuvomError`` when the broker refuses this client for good, or when the connection is lost and
  ///   ``Configuration/reconnects`` is off.
  public func run() async throws { try await link.run() }

  /// Takes no more requests, and ends ``run()`` when those in flight are answered, or after ``Configuration/shutdownGrace``. Waiting
  /// dequeues and waits end at once. Called again it does nothing more.
  public func shutDown() { link.shutDown() }

  /// Tells warnings and errors by the program's logging system.
  public static var defaultLogger: Logger {
    var logger = Logger(label: "nuvom.client")
    logger.logLevel = .warning
    return logger
  }

  /// Makes a client, runs it while `body` runs, and shuts it down gracefully. It is the ``current`` one in `body`.
  ///
  /// - Throws: what `body` throws.
  public static func withClient<Result: Sendable>(
    configuration: Configuration = Configuration(),
    eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    logger: Logger = NuvomClient.defaultLogger,
    _ body: @Sendable (NuvomClient) async throws -> Result
  ) async throws -> Result {
    let client = NuvomClient(configuration: configuration, eventLoopGroup: eventLoopGroup, logger: logger)
    // Why the client ended by itself is told by each request that fails for it, so that run's own error says nothing new.
    async let running: Void? = try? client.run()
    do {
      let result = try await $current.withValue(client) { try await body(client) }
      client.shutDown()
      await running
      return result
    } catch {
      client.shutDown()
      await running
      throw error
    }
  }

  /// Sends a request and returns its encoded result.
  func perform(_ frame: RequestFrame) async throws -> [UInt8] {
    if let violation = frame.violation { throw NuvomError(violation) }
    return try await link.perform(frame)
  }
}
