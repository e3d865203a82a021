import NuvomCommandLine
import ArgumentParser
import Glibc
import Logging
import NIOCore
import NuvomBroker
import NuvomServer
import NuvomStorage
import ServiceLifecycle

struct BrokerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "broker", abstract: "Run a broker until SIGTERM or SIGINT.",
    discussion: """
      Prints "nuvom: listening on HOST:PORT" when it serves; logs to standard error. On SIGTERM it takes no more connections, lets \
      replies out, closes its log and exits with 0. If its disk fails it says so and exits at once: what it had acknowledged is safe. \
      A log that is damaged is refused with its place: `nuvom wal verify` tells what is lost, --recover goes on without it.
      """)

  @OptionGroup var options: BrokerOptions

  func run() async throws {
    let settings = try await Settings(flags: options.flags)
    var configuration = try ServerConfiguration(settings)
    configuration.isRecovering = options.recover
    if options.recover, configuration.directory == nil {
      throw Failure(.usage, "--recover goes on from a log, and --ephemeral keeps none; give one of them")
    }
    let level = try settings[.logLevel].read(Logger.Level.read)
    ProcessLimits.prepare()
    let openFiles = ProcessLimits.raiseOpenFiles()
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    let logger = Logger(label: "nuvom")
    let wanted = configuration.connectionLimit
    if configuration.fitConnections(intoFiles: openFiles) {
      logger.warning(
        "the system allows fewer open files than --max-connections needs, so fewer connections are taken; raise the hard limit (ulimit -Hn, LimitNOFILE)",
        metadata: [
          "open-files": "\(openFiles)", "max-connections": "\(wanted)", "taken": "\(configuration.connectionLimit)",
        ])
    }
    let server = NuvomServer(configuration: configuration, logger: logger) { host, port in
      let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
      // Who closed standard output does not want the line; the broker serves all the same.
      try? Output.write("nuvom: listening on \(address)\n", to: .standardOutput)
    }
    var lifecycle = Logger(label: "nuvom.lifecycle")
    // What ends the broker is told once, by this command's own error.
    lifecycle.logLevel = .critical
    let group = ServiceGroup(services: [server], gracefulShutdownSignals: [.sigterm, .sigint], logger: lifecycle)
    do {
      try await group.run()
    } catch let error as StorageError {
      throw error
    } catch let error as EngineRecovery.Inconsistency {
      throw Failure(.damaged, error.description)
    } catch let error as ZoneError {
      throw Failure(.configuration, error.description)
    } catch let error as IOError {
      throw cannotListen(configuration, String(cString: strerror(error.errnoCode)))
    } catch is SocketAddressError.UnknownHost {
      throw cannotListen(configuration, "no such host")
    } catch {
      throw Failure(.internal, "the broker ended: \(error)")
    }
  }

  private func cannotListen(_ configuration: ServerConfiguration, _ reason: String) -> Failure {
    Failure(
      .unavailable,
      "cannot listen on \(configuration.host):\(configuration.port): \(reason); choose another address with --listen")
  }
}
