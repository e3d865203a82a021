import BrokerProcess
import Glibc
import MessagePack
import NuvomHistory

/// A client's connection, through as many lives of the broker as it has, and the record of all that was sent and received. For one thread.
///
/// What was not answered is sent again over the next connection, as Protocol.md says.
final class RecordingLine {
  /// A request under way.
  struct Request {
    let number: UInt64
    let method: String
    let operation: History.Operation?
    let frame: [UInt8]
  }

  let name: String
  private let port: UInt16
  private var writer: HistoryWriter
  private var connection: RawConnection?
  private var lastRequest: UInt64 = 0
  private(set) var unanswered: [Request] = []

  /// Begins, or goes on with, the client's file in a folder.
  init(name: String, port: UInt16, folder: String) throws {
    self.name = name
    self.port = port
    let file = try HistoryFile(path: "\(folder)/\(name).history")
    writer = try HistoryWriter(client: name) { try file.append($0) }
  }

  /// Connects and sends again what is unanswered. Throws if there is no broker now.
  func connect() throws {
    let connection = try RawConnection(port: port)
    let asked = monotonicTime()
    let answer = try connection.hello(clientID: name)
    guard let highest = answer[3]?["highest_request_id"]?.number else { throw BrokerFailure("hello: \(answer)") }
    try note(.greeted(asked: asked, highest: highest))
    for request in unanswered {
      if request.operation != nil { try note(.sentAgain(request: request.number)) }
      guard connection.send(request.frame) else { throw BrokerFailure("the broker is gone") }
    }
    self.connection = connection
  }

  /// Forgets the connection; what is unanswered waits for the next.
  func disconnect() { connection = nil }

  /// Records what is asked, and sends it. What is not to be judged has no operation.
  func send(_ method: String, _ params: [(MessageValue, MessageValue)], _ operation: History.Operation?) throws {
    lastRequest += 1
    let message: MessageValue = [0, .uint(lastRequest), .string(method), .map(params)]
    let request = Request(
      number: lastRequest, method: method, operation: operation, frame: RawConnection.frame(try message.encoded()))
    unanswered.append(request)
    if let operation { try note(.sent(request: request.number, operation)) }
    guard let connection, connection.send(request.frame) else { throw BrokerFailure("the broker is gone") }
  }

  /// Receives and records the next answer: to which request, the message, and what it says.
  func receive() throws -> (request: Request, message: MessageValue, answer: History.Answer) {
    guard let message = try connection?.receive() else { throw BrokerFailure("the broker is gone") }
    guard message[0] == 1, let number = message[1]?.number else { throw BrokerFailure("\(name) was told \(message)") }
    guard let place = unanswered.firstIndex(where: { $0.number == number }) else {
      // For the checker to judge.
      try note(.answered(request: number, History.Answer(message)))
      throw BrokerFailure("\(name) was told \(message)")
    }
    let request = unanswered.remove(at: place)
    let answer = History.Answer(message)
    if request.operation != nil { try note(.answered(request: number, answer)) }
    return (request, message, answer)
  }

  func note(_ event: History.Event) throws { try writer.note(event, at: monotonicTime()) }
}

/// A file to whose end records are written, each with a call of its own: they outlive this process.
private final class HistoryFile {
  private let descriptor: Int32
  private let path: String

  init(path: String) throws {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw BrokerFailure("\(path): \(String(cString: strerror(errno)))") }
  }

  deinit { close(descriptor) }

  func append(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes
    while !rest.isEmpty {
      let count = write(descriptor, rest.baseAddress, rest.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw BrokerFailure("\(path): \(String(cString: strerror(errno)))") }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }
}

/// Nanoseconds of the machine's clock that never goes back, the same for all processes.
func monotonicTime() -> UInt64 { UInt64(clamping: monotonicNanoseconds()) }

extension History.Answer {
  /// What a response says, of whatever request.
  init(_ message: MessageValue) {
    self.init()
    if case .string(let code)? = message[2]?["code"] { error = code }
    take(message[3] ?? .null)
  }

  private mutating func take(_ result: MessageValue) {
    for part in result.list("results") { take(part) }
    ids += result.list("ids").map(\.number)
    duplicates += result.list("duplicates").map { Int(clamping: $0.number) }
    for refusal in result.list("refused") {
      guard let id = refusal["id"]?.number else { continue }
      refused.append(
        History.Refusal(id: id, token: refusal["token"]?.number ?? 0, code: refusal["code"]?.text ?? ""))
    }
    for receipt in result.list("schedules") {
      receipts.append(History.Receipt(isCreated: receipt["status"] == "created", due: receipt["due_at_ms"]?.number))
    }
    for job in result.list("jobs") {
      var delivery = History.Delivery(
        id: job["id"]?.number ?? 0, token: job["token"]?.number ?? 0,
        attempt: UInt32(clamping: job["attempt"]?.number ?? 0),
        payload: History.digest(of: job["payload"]?.bytes ?? []),
        leaseNanoseconds: min(job["lease_ms"]?.number ?? 0, 1 << 40) * 1_000_000)
      if let fire = job["schedule"] {
        delivery.fire = History.Fire(schedule: fire["name"]?.text ?? "", due: fire["due_at_ms"]?.number ?? 0)
      }
      deliveries.append(delivery)
    }
  }
}

extension MessageValue {
  /// The elements of an array in a map; none if it is left out.
  func list(_ key: String) -> [MessageValue] { if case .array(let list)? = self[key] { list } else { [] } }

  /// The text of a string; nil for anything else.
  var text: String? { if case .string(let text) = self { text } else { nil } }

  /// The bytes of binary data; nil for anything else.
  var bytes: [UInt8]? { if case .binary(let bytes) = self { bytes } else { nil } }
}
