import Logging
import NIOCore
import NIOPosix
import NuvomConnection
import NuvomModel
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// How a request of a task ended.
enum CallEnd: Sendable {
  case result([UInt8])
  case failure(Failure)
  case cancelled
}

/// A task's request on its way.
///
/// Unchecked: what varies is touched on the driver's event loop alone.
final class Call: @unchecked Sendable {
  let frame: RequestFrame
  /// Microseconds.
  let timeout: Int64
  fileprivate var id: RequestID?
  fileprivate var continuation: UnsafeContinuation<CallEnd, Never>?
  fileprivate var isCancelled = false

  init(_ frame: RequestFrame, timeout: Int64) {
    self.frame = frame
    self.timeout = timeout
  }

  fileprivate func end(_ end: CallEnd) {
    continuation?.resume(returning: end)
    continuation = nil
  }
}

/// How `run` ends.
enum RunEnd: Sendable {
  case closed(Failure?)
  case alreadyRun
}

/// What tasks hand to the event loop.
enum Submission: Sendable {
  case request(Call, UnsafeContinuation<CallEnd, Never>)
  case cancel(Call)
  case start(UnsafeContinuation<RunEnd, Never>)
  case shutDown(grace: Int64)
}

/// Takes submissions from any thread and wakes the event loop once for all that came before it looked: a thousand tasks
/// that send at the same time cost one wake-up and one write.
final class Mailbox: Sendable {
  private struct Contents {
    var submissions: [Submission] = []
    var isLoopWoken = false
  }

  private let contents = Mutex(Contents())
  private let driver: ConnectionDriver

  init(_ driver: ConnectionDriver) { self.driver = driver }

  func put(_ submission: Submission) {
    let mustWake = contents.withLock { contents in
      contents.submissions.append(submission)
      defer { contents.isLoopWoken = true }
      return !contents.isLoopWoken
    }
    if mustWake {
      driver.eventLoop.execute { self.driver.take(self.takeAll()) }
    }
  }

  private func takeAll() -> [Submission] {
    contents.withLock { contents in
      contents.isLoopWoken = false
      defer { contents.submissions = [] }
      return contents.submissions
    }
  }
}

/// Runs one client's ``ConnectionMachine`` on an event loop: the place where its actions become sockets, timers and resumed tasks.
///
/// Unchecked: everything but the constants is touched on `eventLoop` alone.
final class ConnectionDriver: @unchecked Sendable {
  let eventLoop: any EventLoop
  private let address: BrokerAddress
  private let logger: Logger
  private var machine: ConnectionMachine

  private enum Run {
    case notStarted
    case running(UnsafeContinuation<RunEnd, Never>)
    case ended(Failure?)
  }

  private var run = Run.notStarted
  private var calls: [RequestID: Call] = [:]
  /// Rises with each connection, so that what an older one still tells is not taken for news of this one.
  private var attempt = 0
  private var channel: (any Channel)?
  private var outgoing = ByteBuffer()
  private var timer: Scheduled<Void>?
  private var timerDeadline = Int64.max

  init(eventLoop: any EventLoop, address: BrokerAddress, options: ConnectionOptions, logger: Logger) {
    self.eventLoop = eventLoop
    self.address = address
    self.logger = logger
    machine = ConnectionMachine(options: options)
  }

  /// Microseconds of the clock that NIO's timers run on.
  private var now: Int64 { Int64(NIODeadline.now().uptimeNanoseconds / 1_000) }

  // MARK: From tasks

  func take(_ submissions: [Submission]) {
    let now = now
    for submission in submissions {
      switch submission {
      case .request(let call, let continuation): start(call, continuation, now: now)
      case .cancel(let call): cancel(call)
      case .start(let continuation): start(continuation, now: now)
      case .shutDown(let grace):
        let deadline = now.addingReportingOverflow(grace)
        machine.shutDown(deadline: deadline.overflow ? .max : deadline.partialValue, now: now)
      }
    }
    runActions()
  }

  private func start(_ call: Call, _ continuation: UnsafeContinuation<CallEnd, Never>, now: Int64) {
    call.continuation = continuation
    if call.isCancelled { return call.end(.cancelled) }
    let id = machine.submit(call.frame, timeout: call.timeout, now: now)
    call.id = id
    calls[id] = call
  }

  private func cancel(_ call: Call) {
    call.isCancelled = true
    guard let id = call.id, calls.removeValue(forKey: id) != nil else { return }
    machine.cancel(id)
    call.end(.cancelled)
  }

  private func start(_ continuation: UnsafeContinuation<RunEnd, Never>, now: Int64) {
    switch run {
    case .notStarted:
      run = .running(continuation)
      machine.start(now: now)
    case .running:
      continuation.resume(returning: .alreadyRun)
    case .ended(let failure):
      continuation.resume(returning: .closed(failure))
    }
  }

  // MARK: From the connection

  fileprivate func received(_ bytes: ByteBuffer, on attempt: Int) {
    guard attempt == self.attempt else { return }
    let now = now
    bytes.withUnsafeReadableBytes { bytes in machine.received(bytes, now: now) }
  }

  fileprivate func readAll(on attempt: Int) {
    guard attempt == self.attempt else { return }
    runActions()
  }

  fileprivate func lost(_ cause: String, on attempt: Int) {
    guard attempt == self.attempt else { return }
    machine.connectionLost(cause, now: now)
    runActions()
  }

  // MARK: Actions

  private func runActions() {
    while let action = machine.nextAction() {
      switch action {
      case .send(let bytes): outgoing.writeBytes(bytes)
      case .answer(let id, let answer): end(id, with: answer)
      case .connect: connect()
      case .disconnect: disconnect()
      case .notice(let notice): log(notice)
      case .closed(let failure): close(failure)
      }
    }
    if outgoing.readableBytes > 0, let channel {
      channel.writeAndFlush(outgoing, promise: nil)
      outgoing.clear()
    }
    setTimer()
  }

  private func end(_ id: RequestID, with answer: ConnectionMachine.Answer) {
    guard let call = calls.removeValue(forKey: id) else { return }
    switch answer {
    case .result(let result): call.end(.result(result))
    case .failure(let failure): call.end(.failure(failure))
    }
  }

  private func connect() {
    attempt += 1
    let attempt = attempt
    logger.debug("connecting", metadata: ["broker": "\(address)"])
    ClientBootstrap(group: eventLoop)
      .channelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(ConnectionHandler(driver: self, attempt: attempt))
        }
      }
      .connect(host: address.host, port: address.port)
      .whenComplete { [self] result in
        switch result {
        case .success(let channel) where attempt == self.attempt:
          self.channel = channel
          machine.connected(now: now)
          runActions()
        case .success(let channel):
          channel.close(promise: nil)
        case .failure(let error):
          lost("no broker answers at \(address): \(Self.reason(error))", on: attempt)
        }
      }
  }

  /// What the system said, without what NIO tried.
  private static func reason(_ error: any Error) -> String {
    guard let error = error as? NIOConnectionError else { return "\(error)" }
    let attempts = error.connectionErrors.map { attempt in
      (attempt.error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(attempt.error)"
    }
    let names = [error.dnsAError, error.dnsAAAAError].compactMap { $0.map { "\($0)" } }
    return (attempts.isEmpty ? names : attempts).joined(separator: "; ")
  }

  private func disconnect() {
    attempt += 1
    outgoing.clear()
    channel?.close(promise: nil)
    channel = nil
  }

  private func close(_ failure: Failure?) {
    if let failure {
      logger.error("client closed", metadata: ["code": "\(failure.code)", "reason": "\(failure.message)"])
    } else {
      logger.debug("client closed")
    }
    if case .running(let continuation) = run { continuation.resume(returning: .closed(failure)) }
    run = .ended(failure)
  }

  private func log(_ notice: ConnectionMachine.Notice) {
    switch notice {
    case .opened(let server, let resent):
      logger.info(
        "connected", metadata: ["broker": "\(address)", "server": "\(server)", "resent_requests": "\(resent)"])
    case .lost(let failure, let wait):
      logger.warning(
        "no connection; trying again",
        metadata: [
          "broker": "\(address)", "code": "\(failure.code)", "reason": "\(failure.message)",
          "retry_in_ms": "\(wait / 1_000)",
        ])
    case .released(let jobs):
      logger.debug("released deliveries that nobody waits for", metadata: ["jobs": "\(jobs)"])
    }
  }

  /// One timer for everything that is due. It is not moved when things get later: it fires, finds nothing, and is set again.
  private func setTimer() {
    guard let deadline = machine.nextDeadline else {
      timer?.cancel()
      timer = nil
      return
    }
    if timer != nil, timerDeadline <= deadline { return }
    timer?.cancel()
    timerDeadline = deadline
    let time = NIODeadline.uptimeNanoseconds(
      UInt64(clamping: deadline.multipliedReportingOverflow(by: 1_000).partialValue))
    timer = eventLoop.scheduleTask(deadline: time) { [self] in
      timer = nil
      machine.timePassed(now: now)
      runActions()
    }
  }
}

/// Hands a channel's events to the driver.
private final class ConnectionHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let driver: ConnectionDriver
  private let attempt: Int

  init(driver: ConnectionDriver, attempt: Int) {
    self.driver = driver
    self.attempt = attempt
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    driver.received(unwrapInboundIn(data), on: attempt)
  }

  func channelReadComplete(context: ChannelHandlerContext) { driver.readAll(on: attempt) }

  func channelInactive(context: ChannelHandlerContext) {
    driver.lost("the broker closed the connection", on: attempt)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    driver.lost("the connection failed: \(error)", on: attempt)
    context.close(promise: nil)
  }
}
