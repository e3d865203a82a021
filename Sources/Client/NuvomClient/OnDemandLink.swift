import Logging
import NIOPosix
import NuvomConnection
import Synchronization

/// A link over TCP that is made, and runs, from the first request on until the process ends: for a process that perhaps never asks
/// anything.
package final class OnDemandLink: ClientLink {
  private let configuration: NuvomClient.Configuration
  private let logger: Logger
  private let link: Mutex<NetworkLink?> = Mutex(nil)

  /// A link that does nothing yet.
  package init(configuration: NuvomClient.Configuration, logger: Logger) {
    self.configuration = configuration
    self.logger = logger
  }

  package func perform(_ frame: RequestFrame) async throws -> [UInt8] { try await running.perform(frame) }

  private var running: NetworkLink {
    link.withLock { link in
      if let link { return link }
      let new = NetworkLink(
        configuration: configuration, eventLoop: MultiThreadedEventLoopGroup.singleton.next(), logger: logger)
      // Why it ended is told by each request that fails for it.
      Task { try? await new.run() }
      link = new
      return new
    }
  }

  /// Has been done, or will be.
  package func run() async throws {}

  package func shutDown() { link.withLock(\.self)?.shutDown() }
}
