import ArgumentParser
import BrokerProcess
import Foundation
import Glibc
import MessagePack

/// The clients of a broker that dies, in a process of their own.
struct ClientsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clients",
    abstract:
      "Lets 8 producers, 8 workers and 100 schedules work with a broker, whatever becomes of it, and records what they see.",
    discussion: """
      It goes on until its standard input ends; then it takes what is left, looks for all that it has seen, and ends. Each client has a file \
      in the folder, which `nuvom-proof check` reads.
      """)

  @Option(help: "The broker's port on this machine.") var port: UInt16
  @Option(help: "The folder of the files.") var history: String
  @Option(help: "Chooses what the clients do.") var seed: UInt64 = 1

  func run() throws {
    signal(SIGPIPE, SIG_IGN)
    let clients = Clients(port: port, folder: history, seed: seed)
    try clients.start()
    let observer = Observer(clients)
    Thread.detachNewThread { observer.run() }
    var byte: UInt8 = 0
    while read(STDIN_FILENO, &byte, 1) > 0 {}
    try clients.finish()
  }
}

/// Tells on standard output how many answers there were, and holds the producers up while much waits in the broker.
private final class Observer: Sendable {
  private let clients: Clients

  init(_ clients: Clients) { self.clients = clients }

  func run() {
    while true {
      if let connection = try? RawConnection(port: clients.port), (try? connection.hello()) != nil { watch(connection) }
      usleep(5_000)
    }
  }

  private func watch(_ connection: RawConnection) {
    var request: UInt64 = 0
    while true {
      request += 1
      guard let statistics = try? connection.call(request, "stats")[3] else { return }
      let waiting = ["ready", "delayed"].reduce(0) { $0 + (statistics[$1]?.number ?? 0) }
      let memory = statistics["memory_bytes"]?.number ?? 0
      let snapshots = statistics["snapshots_total"]?.number ?? 0
      let answers = clients.state.withLock { state in
        state.isHeldUp = waiting > 4_000 || memory > 256 << 20
        return state.answers
      }
      print("\(answers) \(snapshots)")
      fflush(nil)
      usleep(10_000)
    }
  }
}
