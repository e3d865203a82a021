import MessagePack
import NuvomConnection
import NuvomHistory
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
    /// What it is for the history, if it changes something or takes jobs.
    var operation: History.Operation?
    /// The job that is asked for, to see what became of it.
    var looksFor: UInt64?
    var askedAt: Int64 = 0
  }

  let number: Int
  let role: any Role
  var machine: ConnectionMachine
  var link: Link?
  /// Unanswered requests.
  var asked: [RequestID: Ask] = [:]
  /// Every job that it was ever told of.
  private(set) var jobs: [UInt64] = []
  /// The time of the earliest timer that the world keeps for it.
  var timerAt = Int64.max

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

  /// Hands a request to the machine, and tells the history.
  func submit(_ ask: Ask, now: Int64, _ history: inout HistoryChecker) {
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
    ask.askedAt = now
    asked[id] = ask
    guard let operation = ask.operation else { return }
    history.note(record(now, .sent(request: id.rawValue, operation), &history))
  }

  /// On a new connection the machine has sent again what is unanswered.
  func sentAgain(now: Int64, _ history: inout HistoryChecker) {
    for (id, ask) in asked.sorted(by: { $0.key.rawValue < $1.key.rawValue }) where ask.operation != nil {
      history.note(record(now, .sentAgain(request: id.rawValue), &history))
    }
  }

  /// Takes the machine's answer to a request.
  func take(
    _ id: RequestID, _ answer: ConnectionMachine.Answer, now: Int64, _ history: inout HistoryChecker
  ) -> String? {
    guard let ask = asked.removeValue(forKey: id) else { return "client \(number) was answered \(id) twice" }
    switch answer {
    case .failure(let failure):
      role.heard(.failure(failure), to: ask, now: now)
      // What the client says of itself leaves open what became of the request.
      if ask.operation != nil, !Self.ownCodes.contains(failure.code) {
        var refused = History.Answer()
        refused.error = failure.code
        history.note(record(now, .answered(request: id.rawValue, refused), &history))
      }
      if let job = ask.looksFor, failure.code == "NOT_FOUND" {
        history.note(record(now, .saw(asked: UInt64(ask.askedAt) * 1_000, id: job, nil), &history))
      }
    case .result(let bytes):
      guard let value = try? MessageValue(decoding: bytes) else {
        return "client \(number) got a result that is no MessagePack value"
      }
      role.heard(.result(value), to: ask, now: now)
      if ask.operation != nil {
        let answer = History.Answer(value)
        jobs += answer.ids + answer.deliveries.map(\.id)
        history.note(record(now, .answered(request: id.rawValue, answer), &history))
      }
      if let job = ask.looksFor, let seen = History.SeenJob(value) {
        history.note(record(now, .saw(asked: UInt64(ask.askedAt) * 1_000, id: job, seen), &history))
      }
    }
    return nil
  }

  private static let ownCodes = [
    Failure.timeoutCode, Failure.unreachableCode, Failure.closedCode, Failure.brokerProtocolCode,
  ]

  private func record(_ now: Int64, _ event: History.Event, _ history: inout HistoryChecker) -> History.Record {
    History.Record(client: history.client(named: "client \(number)"), at: UInt64(now) * 1_000, event)
  }
}
