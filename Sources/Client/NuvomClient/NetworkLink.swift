import Logging
import NIOCore
import NuvomConnection
import ServiceLifecycle

/// A client's link over TCP: hands what tasks ask to the event loop that owns the connection.
struct NetworkLink: ClientLink {
  private let mailbox: Mailbox
  /// Microseconds.
  private let requestTimeout: Int64
  /// Microseconds.
  private let shutdownGrace: Int64

  init(configuration: NuvomClient.Configuration, eventLoop: any EventLoop, logger: Logger) {
    var random = SystemRandomNumberGenerator()
    var options = ConnectionOptions(
      clientID: (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) }, seed: random.next(),
      name: configuration.name)
    options.reconnects = configuration.reconnects
    options.connectTimeout = configuration.connectTimeout.clampedMicroseconds
    requestTimeout = configuration.requestTimeout.clampedMicroseconds
    shutdownGrace = configuration.shutdownGrace.clampedMicroseconds
    mailbox = Mailbox(
      ConnectionDriver(eventLoop: eventLoop, address: configuration.address, options: options, logger: logger))
  }

  func run() async throws {
    let end = await withTaskCancellationHandler {
      await withGracefulShutdownHandler {
        await withUnsafeContinuation { continuation in mailbox.put(.start(continuation)) }
      } onGracefulShutdown: {
        self.shutDown()
      }
    } onCancel: {
      mailbox.put(.shutDown(grace: 0))
    }
    switch end {
    case .closed(nil): return
    case .closed(.some(let failure)): throw NuvomError(failure)
    case .alreadyRun: throw NuvomError(.closed, "run() may be called once; make a client for each run")
    }
  }

  func shutDown() { mailbox.put(.shutDown(grace: shutdownGrace)) }

  func perform(_ frame: RequestFrame) async throws -> [UInt8] {
    let call = Call(frame, timeout: requestTimeout)
    let end = await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in mailbox.put(.request(call, continuation)) }
    } onCancel: {
      mailbox.put(.cancel(call))
    }
    switch end {
    case .result(let result): return result
    case .failure(let failure): throw NuvomError(failure)
    case .cancelled: throw CancellationError()
    }
  }
}
