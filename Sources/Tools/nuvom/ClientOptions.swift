import NuvomCommandLine
import ArgumentParser
import Logging
import NuvomClient

/// Which broker is meant.
struct ConnectOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The broker to talk to; also NUVOM_CONNECT. Default: 127.0.0.1:8866.", valueName: "host:port"))
  var connect: String?

  /// Flags, environment and `.env` in that order.
  func settings() async throws -> Settings { try await Settings(flags: connect.map { [.connect: $0] } ?? [:]) }
}

/// What every command has that asks a broker and prints the answer.
struct ClientOptions: ParsableArguments {
  @OptionGroup var broker: ConnectOptions
  @OptionGroup var form: OutputForm

  var output: Output { form.output }

  /// Connects, runs `body`, and takes leave. An error of the broker's becomes the command's.
  func withClient<Value: Sendable>(
    _ body: @Sendable (NuvomClient) async throws -> Value
  ) async throws -> Value {
    let address = try await broker.settings()[.connect].read(Self.address)
    var configuration = NuvomClient.Configuration(address: address, name: "nuvom \(nuvomVersion)")
    // A person at a terminal wants to hear at once that nobody answers.
    configuration.reconnects = false
    do {
      // What goes wrong is the command's own line.
      let silent = Logger(label: "nuvom") { _ in SwiftLogNoOpLogHandler() }
      return try await NuvomClient.withClient(configuration: configuration, logger: silent, body)
    } catch let error as NuvomError {
      throw Failure(error, broker: address)
    }
  }

  /// Reads a broker's address.
  static func address(_ text: String) throws -> BrokerAddress {
    do {
      return try BrokerAddress(text)
    } catch {
      throw Unreadable(description: "write HOST:PORT, as in 127.0.0.1:8866")
    }
  }

  /// Reads a job's id.
  static func jobID(_ text: String) throws -> JobID {
    guard text.utf8.count <= 16, let id = JobID(text) else {
      throw Unreadable(description: "write a job's id as enqueue prints it, 16 hexadecimal digits")
    }
    return id
  }

  /// Reads a lease's token.
  static func token(_ text: String) throws -> LeaseToken {
    guard let number = UInt64(text), number > 0, number <= UInt64(Int64.max) else {
      throw Unreadable(description: "write the token as dequeue prints it, a number")
    }
    return LeaseToken(rawValue: number)
  }
}
