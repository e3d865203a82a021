import MessagePack
import NuvomConnection
import NuvomModel
import SeededNumbers

/// How a request ended for its client.
enum Heard {
  case result(MessageValue)
  /// It was refused, or what became of it is not known.
  case failure(Failure)
}

/// What a client is for: it says what to ask next, and hears what came of it.
protocol Role: AnyObject {
  /// The next request, or nil for nothing now.
  func next(now: Int64, random: inout SeededNumbers) -> SimulatedClient.Ask?
  /// The answer to a request, or nil if it is not known what became of it.
  func heard(_ answer: Heard, to ask: SimulatedClient.Ask, now: Int64)
}

/// A client: the state machine that ships, driven by the world.
final class SimulatedClient {
  /// A request as a role wants it.
  struct Ask {
    let method: Method
    let parameters: MessageValue
    /// What the role remembers with it.
    var keys: [UInt64] = []
    var number: RequestID = RequestID(rawValue: 0)
    var askedAt: Int64 = 0
  }

  let number: Int
  let role: any Role
  var machine: ConnectionMachine
  var link: Link?
  /// Unanswered requests.
  var asked: [RequestID: Ask] = [:]
  /// The time of the earliest timer that the world keeps for it.
  var timerAt = Int64.max
  var isClosed = false

  init(number: Int, role: any Role, seed: UInt64) {
    self.number = number
    self.role = role
    var options = ConnectionOptions(clientID: Array("client \(number)".utf8), seed: seed)
    options.backoffBase = 5_000
    options.backoffCap = 500_000
    options.pingAfter = 2_000_000
    options.pingTimeout = 1_000_000
    options.connectTimeout = 1_000_000
    machine = ConnectionMachine(options: options)
  }

  /// Hands a request to the machine.
  func submit(_ ask: Ask, now: Int64) {
    var waits: UInt64 = 0
    if let wait = ask.parameters["wait_ms"], case .uint(let milliseconds) = wait { waits = milliseconds }
    let settles = ["ack", "nack", "release"].contains { ask.parameters[$0] != nil }
    guard
      let frame = try? RequestFrame(
        ask.method, settles: ask.method == .dequeue && settles, waitMilliseconds: waits,
        parameters: { writer throws(MessagePackError) in try ask.parameters.write(to: &writer) })
    else { preconditionFailure("roles ask for what can be encoded") }
    let id = machine.submit(frame, timeout: 20_000_000, now: now)
    var ask = ask
    ask.number = id
    ask.askedAt = now
    asked[id] = ask
  }

  /// Takes the machine's answer to a request.
  func take(_ id: RequestID, _ answer: ConnectionMachine.Answer, now: Int64) -> String? {
    guard let ask = asked.removeValue(forKey: id) else { return "client \(number) was answered \(id) twice" }
    switch answer {
    case .failure(let failure): role.heard(.failure(failure), to: ask, now: now)
    case .result(let bytes):
      guard let value = try? MessageValue(decoding: bytes) else {
        return "client \(number) got a result that is no MessagePack value"
      }
      role.heard(.result(value), to: ask, now: now)
    }
    return nil
  }
}
