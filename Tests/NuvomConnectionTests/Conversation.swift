import MessagePack
import NuvomConnection
import NuvomModel
import Testing

/// A machine between a caller, a broker and a clock, all played by the test. Each step says what happens; `expect` says what the
/// machine wants done since the last one, a line an action.
struct Conversation: ~Copyable {
  var machine: ConnectionMachine
  /// Microseconds.
  var now: Int64 = 0

  init(_ change: (inout ConnectionOptions) -> Void = { _ in }) {
    var options = ConnectionOptions(clientID: [1, 2, 3], seed: 7)
    change(&options)
    machine = ConnectionMachine(options: options)
  }

  /// A conversation after start, connect and hello.
  static func open(_ change: (inout ConnectionOptions) -> Void = { _ in }) -> Conversation {
    var conversation = Conversation(change)
    conversation.machine.start(now: 0)
    conversation.greet()
    while conversation.machine.nextAction() != nil {}
    return conversation
  }

  // MARK: The caller

  @discardableResult
  mutating func submit(
    _ method: Method, settles: Bool = false, wait: UInt64 = 0, timeout: Int64 = 60_000_000
  ) -> RequestID {
    let frame = RequestFrame(method, settles: settles, waitMilliseconds: wait) { writer in writer.mapHeader(0) }
    return machine.submit(frame, timeout: timeout, now: now)
  }

  // MARK: The broker

  mutating func welcome(version: Int64 = 1) {
    broker([1, 0, nil, ["version": .uint(UInt64(version)), "server": "nuvom/test"]])
  }

  mutating func result(_ id: UInt64, _ result: MessageValue = [:]) { broker([1, .uint(id), nil, result]) }

  mutating func refuse(_ id: UInt64, _ code: ErrorCode, retryAfter: UInt64? = nil) {
    broker([1, .uint(id), error(code, retryAfter), nil])
  }

  mutating func goodbye(_ code: ErrorCode, retryAfter: UInt64? = nil) {
    broker([2, "goodbye", error(code, retryAfter)])
  }

  mutating func broker(_ message: MessageValue) { bytes(frame(message)) }

  mutating func bytes(_ bytes: [UInt8]) {
    let now = now
    bytes.withUnsafeBytes { bytes in machine.received(bytes, now: now) }
  }

  private func error(_ code: ErrorCode, _ retryAfter: UInt64?) -> MessageValue {
    var fields: [(MessageValue, MessageValue)] = [("code", .string("\(code.wireName)")), ("message", "do this")]
    if let retryAfter { fields.append(("retry_after_ms", .uint(retryAfter))) }
    return .map(fields)
  }

  // MARK: The clock

  /// Lets time pass up to the machine's next deadline, and on while it is not later than the time given.
  mutating func pass(_ microseconds: Int64) {
    let end = now + microseconds
    while let next = machine.nextDeadline, next <= end {
      now = max(now, next)
      machine.timePassed(now: now)
    }
    now = end
  }

  /// The connection that is asked for after a loss: lets the backoff pass, and greets.
  mutating func reconnect() {
    if let next = machine.nextDeadline { pass(next - now) }
    greet()
  }

  /// The connection that was asked for stands, and the broker welcomes it.
  mutating func greet() {
    machine.connected(now: now)
    welcome()
  }

  // MARK: What the machine wants

  mutating func expect(_ wanted: String..., location: SourceLocation = #_sourceLocation) {
    expectAll(wanted, location: location)
  }

  mutating func expectAll(_ wanted: [String], location: SourceLocation = #_sourceLocation) {
    var lines: [String] = []
    while let action = machine.nextAction() { lines.append(line(action)) }
    #expect(lines == wanted, sourceLocation: location)
  }

  private func line(_ action: ConnectionMachine.Action) -> String {
    switch action {
    case .connect: "connect"
    case .disconnect: "disconnect"
    case .send(let bytes): "send \(request(bytes))"
    case .answer(let id, .result(let result)): "answer \(id.rawValue) \(text(result))"
    case .answer(let id, .failure(let failure)): "answer \(id.rawValue) \(failure.code)"
    case .notice(.opened(_, let resent)): "opened, \(resent) again"
    case .notice(.lost(let failure, _)): "lost: \(failure.code)"
    case .notice(.released(let jobs)): "released \(jobs)"
    case .closed(nil): "closed"
    case .closed(.some(let failure)): "closed: \(failure.code)"
    }
  }

  private func text(_ bytes: [UInt8]) -> String {
    (try? MessageValue(decoding: bytes)).map { "\($0)" } ?? "unreadable"
  }

  /// Number, method and, where there are any, parameters of a request.
  private func request(_ bytes: [UInt8]) -> String {
    guard let message = try? MessageValue(decoding: Array(bytes.dropFirst(4))), case .uint(let id)? = message[1],
      case .string(let method)? = message[2], let parameters = message[3]
    else { return "unreadable" }
    return parameters == [:] || method == "hello" ? "\(id) \(method)" : "\(id) \(method) \(parameters)"
  }
}

/// A message with its length before it.
func frame(_ message: MessageValue) -> [UInt8] {
  var writer = MessageWriter()
  let mark = writer.beginFrame()
  do { try message.write(to: &writer) } catch { Issue.record("the test's message cannot be encoded: \(error)") }
  writer.endFrame(mark)
  return writer.bytes
}
