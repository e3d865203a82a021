import Glibc
import MessagePack
import NuvomHistory

/// What a client does with its line.
protocol Role: SendableMetatype {
  /// Sends what is to be sent now; if that is nothing, and nothing is under way, it waits a little.
  mutating func send(_ line: RecordingLine) throws
  /// Takes an answer.
  mutating func take(_ answer: History.Answer, to request: RecordingLine.Request, _ message: MessageValue) throws
  /// Whether it is done, nothing being under way.
  var isFinished: Bool { get }
}

/// A client on its thread, which it is handed to and used by alone.
final class ClientThread<Client: Role>: @unchecked Sendable {
  private var role: Client
  private let line: RecordingLine
  private let clients: Clients

  init(role: Client, line: RecordingLine, clients: Clients) {
    self.role = role
    self.line = line
    self.clients = clients
  }

  func run() {
    while true {
      do {
        try line.connect()
        while true {
          try role.send(line)
          if line.unanswered.isEmpty {
            if role.isFinished { return }
            continue
          }
          let (request, message, answer) = try line.receive()
          try role.take(answer, to: request, message)
          clients.state.withLock { $0.answers += 1 }
        }
      } catch {
        // A broker that is gone comes again. What else may be wrong shows as an answer that never comes.
        line.disconnect()
        usleep(2_000)
      }
    }
  }
}
