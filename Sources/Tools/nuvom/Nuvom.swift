import ArgumentParser
import Glibc
import Logging
import NuvomServer
import ServiceLifecycle

@main
struct Nuvom: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "nuvom", subcommands: [BrokerCommand.self])
}

struct BrokerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "broker")
  @Option var data = "nuvom-data"
  @Option var listen = "127.0.0.1:8866"
  @Option var fsync = "always"
  @Flag var ephemeral = false
  func run() async throws {
    var configuration = ServerConfiguration(version: "0.1.0")
    configuration.port = Int(listen.split(separator: ":")[1]) ?? 0
    configuration.memoryLimit = 8 << 30
    configuration.directory = ephemeral ? nil : data
    if fsync.hasPrefix("interval") { configuration.sync = .interval(milliseconds: 1000) }
    if fsync == "never" { configuration.sync = .never }
    let server = NuvomServer(configuration: configuration, logger: Logger(label: "nuvom")) { print("nuvom: listening on \($0):\($1)"); fflush(nil) }
    let group = ServiceGroup(services: [server], gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "nuvom"))
    try await group.run()
  }
}
