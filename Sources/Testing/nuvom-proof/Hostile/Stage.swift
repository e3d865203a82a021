import BrokerProcess
import MessagePack

/// A broker with active clients that do not know what comes, and what they and its memory show before, while and after it comes.
final class Stage {
  let broker: BrokerProcess
  /// The most memory that the broker took since the attack began.
  let peak: ResidentPeak
  private let control: RawConnection
  private let clients: ActiveClients
  private let clientCount: Int
  private let windowSeconds: Double
  private(set) var quiet: [Latencies] = []
  private(set) var attacked: [Latencies] = []
  /// Resident memory before the attack came.
  let residentBefore: Int
  private var requests: UInt64 = 0

  init(clients count: Int, windows: Int, windowSeconds: Double, ephemeral: Bool, options: [String]) throws {
    self.windowSeconds = windowSeconds
    clientCount = count
    broker = try BrokerProcess(ephemeral: ephemeral, options: options)
    control = try RawConnection(port: broker.port, patience: 60)
    try control.hello()
    clients = try ActiveClients(port: broker.port, count: count)
    // The first second is that of a process whose memory is new.
    _ = clients.measure(seconds: 1)
    residentBefore = try broker.residentBytes()
    peak = ResidentPeak(of: broker.pid)
    measureQuiet(windows)
  }

  /// Windows without an attack.
  func measureQuiet(_ windows: Int) { quiet += (0..<windows).map { _ in clients.measure(seconds: windowSeconds) } }

  /// Waits until a second is as good as a quiet one; how many were not.
  func waitForCalm(seconds: Int) -> Int {
    let limit = 2 * median(quiet.map(\.p99))
    return (0..<seconds).first { _ in
      let window = clients.measure(seconds: 1)
      return window.count > 0 && window.p99 <= limit
    } ?? seconds
  }

  /// Windows with it.
  func measureAttacked(_ windows: Int) {
    attacked += (0..<windows).map { _ in clients.measure(seconds: windowSeconds) }
  }

  /// The result of a request. An error in its place is thrown.
  @discardableResult
  func ask(_ method: String, _ params: MessageValue = [:]) throws -> MessageValue {
    requests += 1
    let answer = try control.call(requests, method, params)
    guard answer[2] == .null, let result = answer[3] else { throw BrokerFailure("\(method): \(answer)") }
    return result
  }

  /// Waits until only the active clients are connected.
  func waitForTheStrangersEnd(seconds: Double) throws {
    let deadline = monotonicMicroseconds() + Int64(seconds * 1_000_000)
    while try ask("stats")["connections"] != .uint(UInt64(clientCount + 1)) {
      guard monotonicMicroseconds() < deadline else {
        throw BrokerFailure("there are connections left \(seconds) s after the attack: \(try ask("stats"))")
      }
      pause(seconds: 0.05)
    }
  }

  /// Ends the clients; what went wrong with them.
  func end() -> [String] {
    clients.end()
    peak.stop()
    return clients.problems
  }
}
