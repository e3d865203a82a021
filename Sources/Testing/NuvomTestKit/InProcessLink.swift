import NuvomClient
import NuvomConnection
import NuvomModel

/// How a request of a task ended.
enum InProcessEnd: Sendable {
  case result([UInt8])
  case failure(Failure)
  case cancelled
}

/// A task's request on its way.
///
/// Unchecked: what varies is touched under the broker's lock alone.
final class InProcessCall: @unchecked Sendable {
  let frame: RequestFrame
  var id: RequestID?
  var continuation: UnsafeContinuation<InProcessEnd, Never>?
  var isCancelled = false
  /// The answer does not reach the caller.
  var losesAnswer = false

  init(_ frame: RequestFrame) { self.frame = frame }

  func end(_ end: InProcessEnd) {
    continuation?.resume(returning: end)
    continuation = nil
  }
}

/// A client's link to a broker in the same process: the same state machine as over the network, and no socket.
struct InProcessLink: ClientLink {
  let broker: InProcessBroker
  let attachment: Attachment

  func perform(_ frame: RequestFrame) async throws -> [UInt8] {
    // What a handler asks, and not its worker.
    await interruptionPoint()
    let call = InProcessCall(frame)
    let end = await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in broker.submit(call, continuation, through: attachment) }
    } onCancel: {
      broker.cancel(call, through: attachment)
    }
    switch end {
    case .result(let result): return result
    case .failure(let failure): throw NuvomError(failure)
    case .cancelled: throw CancellationError()
    }
  }

  /// The link stands from the beginning: there is nothing to do but to last.
  func run() async throws {
    let failure = await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in broker.run(continuation, through: attachment) }
    } onCancel: {
      broker.shutDown(attachment, grace: 0)
    }
    if let failure { throw NuvomError(failure) }
  }

  func shutDown() { broker.shutDown(attachment, grace: 10_000_000) }
}

/// A client as its broker has it.
///
/// Unchecked: it is touched under the broker's lock alone.
final class Attachment: @unchecked Sendable {
  var machine: ConnectionMachine
  /// Nil while there is no connection.
  var connection: ConnectionID?
  var calls: [RequestID: InProcessCall] = [:]
  /// Sent, and not yet taken by the broker.
  var unread: [UInt8] = []
  /// Those that wait in `run`.
  var runs: [UnsafeContinuation<Failure?, Never>] = []
  /// Set when it is closed.
  var end: Failure??

  init(number: UInt8) {
    var options = ConnectionOptions(clientID: [number], seed: UInt64(number), name: "test client \(number)")
    // The connection can be made again at once, and it is silent only because the clock stands still.
    options.backoffBase = 0
    options.pingAfter = .max
    machine = ConnectionMachine(options: options)
  }
}
