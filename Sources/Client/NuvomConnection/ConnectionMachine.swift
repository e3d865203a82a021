import MessagePack
public import NuvomModel

/// One client's side of the protocol, across all its connections: what is asked, what is unanswered, and what to do next.
///
/// It does nothing itself. Whoever drives it tells it what happened and at which time, then carries out ``nextAction()`` until
/// there is none, and calls ``timePassed(now:)`` at ``nextDeadline``. Times are microseconds of a clock that never steps.
///
/// After a lost connection the unanswered requests are sent again, in their order and under their numbers, so that the broker
/// can tell a retry from a new request. A driver must hand on only the events of the connection it made last.
public struct ConnectionMachine: ~Copyable, Sendable {
  /// What the driver is to do.
  public enum Action: Equatable, Sendable {
    /// Open a TCP connection, then call ``ConnectionMachine/connected(now:)`` or ``ConnectionMachine/connectionLost(_:now:)``.
    case connect
    /// Write these bytes; flush after the last action.
    case send([UInt8])
    /// Close the connection, or give up making it. Nothing of it need be told any more.
    case disconnect
    /// The request is over.
    case answer(RequestID, Answer)
    /// For the log; nothing need be done.
    case notice(Notice)
    /// The machine is closed, by ``ConnectionMachine/shutDown(deadline:now:)`` or by a failure that no retry mends.
    case closed(Failure?)
  }

  /// How a request ended.
  public enum Answer: Equatable, Sendable {
    /// The result, encoded.
    case result([UInt8])
    /// It was refused, timed out, or the client closed.
    case failure(Failure)
  }

  /// What a person who reads the log may want to know.
  public enum Notice: Equatable, Sendable {
    /// Hello was accepted by this version of the broker, and so many requests are sent again.
    case opened(server: String, resent: Int)
    /// The connection is gone; the next attempt is made in so many microseconds.
    case lost(Failure, retryIn: Int64)
    /// Deliveries arrived for a dequeue that nobody waits for any more; they are given back.
    case released(jobs: Int)
  }

  /// Where the machine is.
  enum State: Equatable {
    /// `start` was not called. Requests are kept. → connecting, closed
    case created
    /// A TCP connection was asked for, and must stand by the deadline. → greeting, waiting, closed
    case connecting(deadline: Int64)
    /// TCP stands, hello is sent and nothing else; the answer must come by the deadline. → open, waiting, closed
    case greeting(deadline: Int64)
    /// The broker accepted hello. Requests are sent as they come, changing ones as far as the window allows. → waiting, closed
    case open
    /// There is no connection; the next is made at the time given. Requests are kept. → connecting, closed
    case waiting(until: Int64)
    /// It is over. Requests are refused with this.
    case closed(Failure)
  }

  /// A request that is not answered.
  private struct Entry {
    var frame: [UInt8]
    let method: Method
    /// Its answer is remembered by the broker, and it counts to the window.
    let changes: Bool
    /// It may be answered late by intent.
    let waits: Bool
    /// When its caller stops waiting.
    let deadline: Int64
    /// It was sent at least once: only the broker knows whether it was done.
    var isSent = false
    /// Whether somebody wants the answer. Nobody does after a cancellation, nor for the machine's own requests.
    var hasCaller: Bool
  }

  /// Hello is numbered apart, so that requests' numbers rise over the machine's life.
  private static let helloID = RequestID(rawValue: 0)

  private let options: ConnectionOptions
  private(set) var state = State.created
  private var backoff: ReconnectBackoff
  private var frames = FrameBuffer()
  private var reader = MessageReader(maximumValues: ProtocolLimits.frameElements)

  private var entries: [RequestID: Entry] = [:]
  private var lastID: UInt64 = 0
  /// Not yet sent, in order. May hold numbers of requests that are no more.
  private var unsentChanges = RequestQueue()
  private var unsentOthers = RequestQueue()
  /// Changing requests that are sent and unanswered.
  private var changesInFlight = 0
  /// No entry's deadline is earlier. Often too early itself: entries go without its being mended.
  private var earliestDeadline = Int64.max

  /// The code with which the last response of this connection refused its request.
  private var precedingRefusal: String?
  private var lastReceived: Int64 = 0
  private var isPinged = false
  /// When the last open connection was lost, until the next is open.
  private var lostAt: Int64?
  /// Why the last connection was lost, or why the broker of this one answers nothing: what a time limit is explained by.
  private var lastFailure: Failure?
  /// When `shutDown` stops waiting for answers.
  private var drainDeadline: Int64?

  private var actions: [Action] = []
  private var actionsTaken = 0

  /// A machine that was not started.
  public init(options: ConnectionOptions) {
    self.options = options
    backoff = ReconnectBackoff(options)
  }

  // MARK: What the driver asks

  /// The next thing to do, or nil when all is done.
  public mutating func nextAction() -> Action? {
    guard actionsTaken < actions.count else {
      actions.removeAll(keepingCapacity: true)
      actionsTaken = 0
      return nil
    }
    defer { actionsTaken += 1 }
    return actions[actionsTaken]
  }

  /// When ``timePassed(now:)`` is to be called, if nothing happens before. May be earlier than anything is due.
  public var nextDeadline: Int64? {
    var next = earliestDeadline
    if let drainDeadline { next = min(next, drainDeadline) }
    switch state {
    case .created: break
    case .connecting(let deadline), .greeting(let deadline), .waiting(let deadline): next = min(next, deadline)
    case .open: next = min(next, silenceDeadline)
    case .closed: return nil
    }
    return next == .max ? nil : next
  }

  // MARK: What callers want

  /// Begins to connect. Called again it does nothing.
  public mutating func start(now: Int64) {
    guard state == .created else { return }
    connect(now: now)
  }

  /// Takes a request. It is answered exactly once, unless ``cancel(_:)`` comes first.
  ///
  /// - Parameters:
  ///   - request: within the protocol's limits (``RequestFrame/violation``).
  ///   - timeout: how long its caller waits, on top of the wait that it asks of the broker.
  /// - Returns: its number; numbers rise from call to call.
  public mutating func submit(_ request: RequestFrame, timeout: Int64, now: Int64) -> RequestID {
    let id = nextID()
    if case .closed(let failure) = state {
      actions.append(.answer(id, .failure(failure)))
    } else if drainDeadline != nil {
      actions.append(.answer(id, .failure(.closed())))
    } else {
      let wait = Int64(clamping: request.waitMilliseconds).multipliedReportingOverflow(by: 1_000)
      let limit = wait.overflow ? Int64.max : wait.partialValue.saturatingAdd(timeout)
      let deadline = now.saturatingAdd(limit)
      earliestDeadline = min(earliestDeadline, deadline)
      enqueue(request, id: id, deadline: deadline, hasCaller: true)
    }
    return id
  }

  /// Nobody waits for the request any more: it is not sent if it was not yet, and its answer is dropped. Deliveries that a
  /// cancelled dequeue still brings are released. An unknown number is no error: the answer may just have left.
  public mutating func cancel(_ id: RequestID) {
    guard entries[id]?.hasCaller == true else { return }
    abandon(id)
    finishDrainingIfDone()
  }

  /// Takes no more requests, and closes when the unanswered ones are answered, or at the deadline. What waits for a job
  /// (a dequeue or wait that was asked to) fails at once. Called again, the earlier deadline counts.
  public mutating func shutDown(deadline: Int64, now: Int64) {
    if case .closed = state { return }
    drainDeadline = min(drainDeadline ?? .max, deadline)
    for id in sortedIDs(where: { $0.hasCaller && $0.waits }) {
      actions.append(.answer(id, .failure(.closed())))
      abandon(id)
    }
    if state == .created { return close(nil) }
    if deadline <= now { return close(nil) }
    finishDrainingIfDone()
  }

  // MARK: What happens to the connection

  /// The TCP connection that was asked for stands.
  public mutating func connected(now: Int64) {
    guard case .connecting = state else { return }
    state = .greeting(deadline: now.saturatingAdd(options.connectTimeout))
    lastReceived = now
    let options = self.options
    var hello = RequestFrame(.hello) { writer in
      writer.mapHeader(3)
      writer.literal("version")
      writer.uint(ProtocolLimits.version)
      writer.literal("client_id")
      writer.binary(options.clientID)
      writer.literal("name")
      writer.string(options.name)
    }
    hello.number(Self.helloID)
    actions.append(.send(hello.bytes))
  }

  /// The connection could not be made, or is gone.
  public mutating func connectionLost(_ cause: String, now: Int64) {
    switch state {
    case .connecting, .greeting, .open:
      lose(Failure(code: Failure.unreachableCode, message: cause), now: now)
    case .created, .waiting, .closed:
      break
    }
  }

  /// Bytes arrived, in any portions.
  public mutating func received(_ bytes: BorrowedBytes, now: Int64) {
    switch state {
    case .greeting, .open: break
    case .created, .connecting, .waiting, .closed: return
    }
    lastReceived = now
    isPinged = false
    // Taken out while frames are handled: a frame may end the connection, and then the rest is worth nothing.
    var buffer = frames
    frames = FrameBuffer()
    do throws(FrameBuffer.Violation) {
      var isUsable = true
      try buffer.append(bytes) { frame in
        isUsable = handle(frame, now: now)
        return isUsable
      }
      if isUsable { frames = buffer }
    } catch {
      switch error {
      case .emptyFrame: lose(.brokerProtocol("the broker sent an empty frame"), now: now)
      case .frameTooLarge(let length):
        lose(.brokerProtocol("the broker announced a frame of \(length) bytes, more than allowed"), now: now)
      }
    }
    finishDrainingIfDone()
  }

  /// Does what is due.
  public mutating func timePassed(now: Int64) {
    if let drainDeadline, drainDeadline <= now { return close(nil) }
    switch state {
    case .connecting(let deadline) where deadline <= now:
      lose(Failure(code: Failure.unreachableCode, message: "connecting took too long"), now: now)
    case .greeting(let deadline) where deadline <= now:
      lose(Failure(code: Failure.unreachableCode, message: "the broker did not answer hello in time"), now: now)
    case .waiting(let until) where until <= now:
      connect(now: now)
    case .open where silenceDeadline <= now:
      if isPinged {
        lose(Failure(code: Failure.unreachableCode, message: "the broker answers nothing any more"), now: now)
      } else {
        isPinged = true
        enqueue(RequestFrame(.ping), id: nextID(), deadline: .max, hasCaller: false)
      }
    default: break
    }
    expireRequests(now: now)
    finishDrainingIfDone()
  }

  // MARK: Requests

  private mutating func nextID() -> RequestID {
    lastID += 1
    return RequestID(rawValue: lastID)
  }

  private mutating func enqueue(_ request: RequestFrame, id: RequestID, deadline: Int64, hasCaller: Bool) {
    var request = request
    request.number(id)
    entries[id] = Entry(
      frame: request.bytes, method: request.method, changes: request.changes, waits: request.waitMilliseconds > 0,
      deadline: deadline, hasCaller: hasCaller)
    if request.changes { unsentChanges.append(id) } else { unsentOthers.append(id) }
    sendUnsent()
  }

  /// Sends what may be sent. Requests that change nothing pass those that wait for the window: an extend must not wait for it.
  private mutating func sendUnsent() {
    guard state == .open else { return }
    while let id = unsentOthers.popFirst() { send(id) }
    while changesInFlight < options.window, let id = unsentChanges.popFirst() {
      if send(id) { changesInFlight += 1 }
    }
  }

  @discardableResult
  private mutating func send(_ id: RequestID) -> Bool {
    guard let index = entries.index(forKey: id) else { return false }
    entries.values[index].isSent = true
    actions.append(.send(entries.values[index].frame))
    return true
  }

  private mutating func remove(_ id: RequestID) -> Entry? {
    guard let entry = entries.removeValue(forKey: id) else { return nil }
    if entry.isSent && entry.changes { changesInFlight -= 1 }
    return entry
  }

  /// Its caller is gone. A request that was sent stays until it is answered: its number and its place in the window are in use.
  private mutating func abandon(_ id: RequestID) {
    guard let index = entries.index(forKey: id) else { return }
    if entries.values[index].isSent {
      entries.values[index].hasCaller = false
    } else {
      entries.remove(at: index)
    }
  }

  private mutating func fail(_ id: RequestID, with failure: Failure) {
    guard let entry = remove(id), entry.hasCaller else { return }
    actions.append(.answer(id, .failure(failure)))
  }

  private func sortedIDs(where isMeant: (Entry) -> Bool) -> [RequestID] {
    entries.filter { isMeant($0.value) }.map(\.key).sorted()
  }

  private mutating func expireRequests(now: Int64) {
    guard earliestDeadline <= now else { return }
    for id in sortedIDs(where: { $0.hasCaller && $0.deadline <= now }) {
      guard let entry = entries[id] else { continue }
      actions.append(.answer(id, .failure(expiry(of: entry))))
      abandon(id)
    }
    earliestDeadline = entries.values.lazy.filter(\.hasCaller).map(\.deadline).min() ?? .max
  }

  private func expiry(of entry: Entry) -> Failure {
    let fate =
      entry.isSent && entry.changes
      ? "whether it was done is unknown: ask for the state before repeating it" : "it may be repeated"
    switch state {
    case .open:
      return Failure(
        code: Failure.timeoutCode, message: "the broker did not answer \(entry.method.wireName) in time; \(fate)",
        cause: lastFailure?.message)
    case .created:
      return Failure(
        code: Failure.unreachableCode,
        message: "the client does not run: call run() in a task of its own, or use withClient")
    default:
      return Failure(
        code: Failure.unreachableCode,
        message: "no connection to the broker; check that it runs and the address is right; \(fate)",
        cause: lastFailure?.message)
    }
  }

  // MARK: The connection

  /// When the silence of the broker asks for a ping, or is too long after one.
  private var silenceDeadline: Int64 {
    let silence = isPinged ? options.pingAfter.saturatingAdd(options.pingTimeout) : options.pingAfter
    return lastReceived.saturatingAdd(silence)
  }

  private mutating func connect(now: Int64) {
    state = .connecting(deadline: now.saturatingAdd(options.connectTimeout))
    actions.append(.connect)
  }

  private mutating func lose(_ failure: Failure, now: Int64) {
    actions.append(.disconnect)
    if state == .open { lostAt = now }
    state = .waiting(until: now)
    precedingRefusal = nil
    frames.removeAll()
    isPinged = false
    lastFailure = failure
    // Unwanted answers will not come any more. Deliveries on their way were released by the broker, or their leases run out.
    for (id, entry) in entries
    where !entry.hasCaller && (entry.method == .ping || entry.method == .dequeue || !entry.changes) {
      _ = remove(id)
    }
    guard options.reconnects else { return close(failure) }
    let wait = max(backoff.next(), Int64(clamping: failure.retryAfterMilliseconds ?? 0).saturatingMultiply(1_000))
    state = .waiting(until: now.saturatingAdd(wait))
    actions.append(.notice(.lost(failure, retryIn: wait)))
    finishDrainingIfDone()
  }

  private mutating func close(_ failure: Failure?) {
    switch state {
    case .created, .waiting: break
    case .connecting, .greeting, .open: actions.append(.disconnect)
    case .closed: return
    }
    let reason = failure ?? .closed()
    state = .closed(reason)
    for id in sortedIDs(where: \.hasCaller) { actions.append(.answer(id, .failure(reason))) }
    entries = [:]
    unsentChanges = RequestQueue()
    unsentOthers = RequestQueue()
    changesInFlight = 0
    actions.append(.closed(failure))
  }

  private mutating func finishDrainingIfDone() {
    guard drainDeadline != nil else { return }
    if case .closed = state { return }
    // Releases of unwanted deliveries are worth waiting for, unwanted answers are not.
    if !entries.values.contains(where: { $0.hasCaller || $0.method == .release }) { close(nil) }
  }

  // MARK: What the broker says

  /// - Returns: whether the connection is still of use.
  private mutating func handle(_ frame: BorrowedBytes, now: Int64) -> Bool {
    switch Incoming(frame, with: &reader) {
    case .result(Self.helloID, let result): return opened(with: result, now: now)
    case .refusal(Self.helloID, let failure): return end(for: failure, now: now)
    case .goodbye(let failure): return end(for: failure, now: now)
    case .unknownNotification: return true
    case .malformed(let what):
      lose(.brokerProtocol("the broker sent \(what)"), now: now)
      return false
    case .result(let id, let result): return answered(id, .result(result), now: now)
    case .refusal(let id, let failure): return answered(id, .failure(failure), now: now)
    }
  }

  private mutating func answered(_ id: RequestID, _ answer: Answer, now: Int64) -> Bool {
    guard state == .open, let entry = entries[id], entry.isSent else {
      lose(.brokerProtocol("the broker answered a request \(id.rawValue) that is not open"), now: now)
      return false
    }
    if case .failure(let failure) = answer { precedingRefusal = failure.code } else { precedingRefusal = nil }
    if case .failure(let failure) = answer, options.reconnects, entry.hasCaller,
      failure.isCode(.shuttingDown) || failure.isCode(.storageUnknown)
    {
      // It was not done, or nobody knows: it stays, and is sent again to the broker that comes back.
      lastFailure = failure
      return true
    }
    _ = remove(id)
    if entry.hasCaller {
      actions.append(.answer(id, answer))
    } else if entry.method == .dequeue, case .result(let result) = answer {
      release(deliveriesIn: result)
    }
    sendUnsent()
    return true
  }

  private mutating func opened(with result: [UInt8], now: Int64) -> Bool {
    guard case .greeting = state else {
      lose(.brokerProtocol("the broker answered hello twice"), now: now)
      return false
    }
    let welcome = Welcome(result)
    guard let welcome, welcome.version == ProtocolLimits.version else {
      let failure = Failure(
        .unsupportedVersion,
        "the broker answered hello in a version of the protocol that this client does not speak; "
          + "use a client of the broker's version")
      close(failure)
      return false
    }
    state = .open
    lastFailure = nil
    backoff.reset()
    if let lostAt, now - lostAt > options.retryLimit { forgetSent() }
    lostAt = nil
    let resent = sortedIDs(where: \.isSent)
    actions.append(.notice(.opened(server: welcome.server, resent: resent.count)))
    for id in resent { send(id) }
    sendUnsent()
    return true
  }

  /// The broker may not remember what was sent so long ago, and would do it twice.
  private mutating func forgetSent() {
    let failure = Failure(
      .requestForgotten,
      "the connection was away too long to repeat the request safely; ask for the state before repeating it")
    for id in sortedIDs(where: { $0.isSent && $0.changes }) { fail(id, with: failure) }
  }

  /// The broker ends the connection, for a reason that may hold for the next one too.
  private mutating func end(for failure: Failure, now: Int64) -> Bool {
    switch ErrorCode(wireName: failure.code) {
    case .replaced, .unsupportedVersion, .unauthorized, .helloRequired, .badParameters, .redirect:
      close(failure)
    case .malformedFrame, .frameTooLarge, .limitExceeded:
      // One of those that were sent is to blame, and would be again. If it was not named, none of them is repeated.
      if precedingRefusal != failure.code {
        for id in sortedIDs(where: \.isSent) { fail(id, with: failure) }
      }
      lose(failure, now: now)
    default:
      lose(failure, now: now)
    }
    return false
  }

  private mutating func release(deliveriesIn result: [UInt8]) {
    let leases = Leases(result).all
    if leases.isEmpty { return }
    let frame = RequestFrame(.release) { writer in
      writer.mapHeader(1)
      writer.literal("jobs")
      writer.arrayHeader(leases.count)
      for lease in leases {
        writer.mapHeader(2)
        writer.literal("id")
        writer.uint(lease.id)
        writer.literal("token")
        writer.uint(lease.token)
      }
    }
    actions.append(.notice(.released(jobs: leases.count)))
    enqueue(frame, id: nextID(), deadline: .max, hasCaller: false)
  }
}

/// Numbers of requests, first in, first out.
private struct RequestQueue {
  private var ids: [RequestID] = []
  private var first = 0

  mutating func append(_ id: RequestID) { ids.append(id) }

  mutating func popFirst() -> RequestID? {
    guard first < ids.count else { return nil }
    defer {
      first += 1
      // Moved to the front only when half of it is used up: constant time for each element.
      if first == ids.count {
        ids.removeAll(keepingCapacity: true)
        first = 0
      } else if first > 1_024, first * 2 > ids.count {
        ids.removeFirst(first)
        first = 0
      }
    }
    return ids[first]
  }
}

/// What the broker says to hello.
private struct Welcome {
  var version: UInt64 = 0
  var server = ""

  init?(_ result: [UInt8]) {
    var reader = MessageReader(maximumValues: ProtocolLimits.frameElements)
    var isMap = false
    result.withUnsafeBytes { bytes in
      guard reader.parse(bytes) == .ok else { return }
      var cursor = reader.cursor
      guard let count = cursor.readMapHeader() else { return }
      isMap = true
      for _ in 0..<count {
        guard let key = cursor.readKey() else { return }
        if key == "version", let version = cursor.readUInt() {
          self.version = version
        } else if key == "server", let server = cursor.readString() {
          self.server = server
        } else {
          cursor.skip()
        }
      }
    }
    // The cursor points into the reader.
    extendLifetime(reader)
    if !isMap { return nil }
  }
}

/// The leases of a dequeue's result, as far as it can be read: it is nobody's any more.
private struct Leases {
  var all: [(id: UInt64, token: UInt64)] = []

  init(_ result: [UInt8]) {
    var reader = MessageReader(maximumValues: ProtocolLimits.frameElements)
    result.withUnsafeBytes { bytes in
      guard reader.parse(bytes) == .ok else { return }
      var cursor = reader.cursor
      for _ in 0..<(cursor.readMapHeader() ?? 0) {
        guard let key = cursor.readKey() else { return }
        guard key == "jobs", let count = cursor.readArrayHeader() else {
          cursor.skip()
          continue
        }
        for _ in 0..<count { readDelivery(&cursor) }
      }
    }
    extendLifetime(reader)
  }

  private mutating func readDelivery(_ cursor: inout MessageCursor) {
    guard let fields = cursor.readMapHeader() else { return cursor.skip() }
    var id: UInt64?
    var token: UInt64?
    for _ in 0..<fields {
      guard let key = cursor.readKey() else { return }
      if key == "id", let value = cursor.readUInt() {
        id = value
      } else if key == "token", let value = cursor.readUInt() {
        token = value
      } else {
        cursor.skip()
      }
    }
    if let id, let token { all.append((id, token)) }
  }
}

extension ErrorCode {
  init?(wireName: String) {
    guard let code = ErrorCode.allCases.first(where: { "\($0.wireName)" == wireName }) else { return nil }
    self = code
  }
}

extension Int64 {
  func saturatingAdd(_ other: Int64) -> Int64 {
    let sum = addingReportingOverflow(other)
    return sum.overflow ? (other < 0 ? .min : .max) : sum.partialValue
  }

  func saturatingMultiply(_ other: Int64) -> Int64 {
    let product = multipliedReportingOverflow(by: other)
    return product.overflow ? .max : product.partialValue
  }
}
