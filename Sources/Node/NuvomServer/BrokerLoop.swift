import Logging
import NIOCore
import NuvomBroker
import NuvomModel
import NuvomStorage

/// Runs a broker on an event loop: gives it the bytes of connections, calls it when it is due, and ends a turn when everything that had
/// arrived was read.
///
/// NIO handles all ready channels of one poll and then runs the tasks that were submitted meanwhile. So the turn is ended by a task that the
/// first bytes of the turn submit: however many connections spoke, they share one write to the log and one sync.
///
/// Everything in it happens on the event loop.
final class BrokerLoop: Transport {
  let eventLoop: any EventLoop
  private let logger: Logger
  private let configuration: ServerConfiguration
  /// Set once, right after the broker is made around this transport.
  private(set) var broker: Broker? {
    _read { yield turn.pointee.broker }
    _modify { yield &turn.pointee.broker }
  }
  private let turn: UnsafeMutablePointer<Turn>
  private var wake: (task: Scheduled<Void>, at: Int64)?
  private var isDraining = false
  private var whenEnded: EventLoopPromise<Void>?
  private var sweep: Scheduled<Void>?
  private var zones: Scheduled<Void>?
  /// The options of the channel that new connections come through, and what was said to it last.
  private var listener: (any NIOSynchronousChannelOptions)?
  private var acceptedAtOnce: UInt = 1
  /// Connections that were refused and have a moment to read why.
  var refused = 0
  /// Whether one more may have it.
  var keepsRefused: Bool { refused < configuration.refusedLimit }
  /// Bytes of incomplete frames and unsent responses, over all connections.
  private(set) var bufferedBytes = 0
  private var isShedding = false
  /// Connections whose requests wait because of what all connections together are owed.
  private var heldUp: [ConnectionHandler] = []

  /// What each request touches. Behind a pointer: a class's stored properties are checked for exclusive access each time.
  private struct Turn {
    var broker: Broker?
    /// By the slot of the connection's number.
    var handlers: [ConnectionHandler?] = []
    var isOpen = false
    var began: NIODeadline
    /// Bytes that were read in it, half of those of the one before, a quarter of those before that …
    var received = 0
    /// See `outgoing`.
    var outgoing = ByteBuffer()
  }

  private var handlers: [ConnectionHandler?] {
    _read { yield turn.pointee.handlers }
    _modify { yield &turn.pointee.handlers }
  }

  private let clock: () -> Time

  /// `clock` is the broker's too: deadlines are times of it.
  init(
    eventLoop: any EventLoop, configuration: ServerConfiguration, logger: Logger,
    clock: @escaping () -> Time = systemTime
  ) {
    self.clock = clock
    turn = .allocate(capacity: 1)
    turn.initialize(to: Turn(began: eventLoop.now))
    self.eventLoop = eventLoop
    self.configuration = configuration
    self.logger = logger
  }

  deinit {
    turn.deinitialize(count: 1)
    turn.deallocate()
  }

  func start(_ broker: Broker, whenFailed: @escaping (StorageError) -> Void) {
    self.broker = broker
    broker.onFailure = whenFailed
    broker.onZoneError = { [logger] error in
      logger.error("a schedule was refused for its time zone", metadata: ["error": "\(error)"])
    }
    openTurn()
    scheduleZones()
  }

  /// Time zone data is updated while brokers run: its rules are read again once an hour.
  private func scheduleZones() {
    zones = eventLoop.assumeIsolated().scheduleTask(in: .hours(1)) {
      guard let broker = self.broker else { return }
      self.openTurn()
      do throws(ZoneError) {
        try broker.readZones()
      } catch {
        self.logger.error(
          "time zone rules were not read; schedules go on by the old ones", metadata: ["error": "\(error)"])
      }
      self.scheduleZones()
    }
  }

  // MARK: Connections

  /// New connections will come through this channel.
  func accept(through channel: any Channel) {
    listener = channel.syncOptions
    setAccepting()
  }

  /// How many new connections are accepted before anybody is read from. To take one in costs as much as some twenty requests: in a flood of them,
  /// one at a time, so that those who have a request or two do not wait for many. Beside turns that are long by themselves one would be too
  /// few, for a fleet that comes back is to be there in seconds.
  private func setAccepting() {
    // A listener that is closed accepts nothing.
    try? listener?.setOption(.maxMessagesPerRead, value: acceptedAtOnce)
  }

  /// `Turn.received` of turns that are long.
  private static let longTurnBytes = 32 << 10

  /// Takes a connection in; nil, with the reason, if it is refused.
  func connect(_ handler: ConnectionHandler) -> Result<ConnectionID, Refusal> {
    guard let broker, !isDraining else { return .failure(Refusal(code: .shuttingDown)) }
    guard broker.connections < configuration.connectionLimit, let connection = broker.connect() else {
      return .failure(Refusal(code: .tooManyConnections))
    }
    let slot = Self.slot(connection)
    while handlers.count <= slot { handlers.append(nil) }
    handlers[slot] = handler
    if sweep == nil { scheduleSweep() }
    return .success(connection)
  }

  /// Why a connection was not taken in.
  struct Refusal: Error {
    let code: ErrorCode
  }

  func disconnect(_ connection: ConnectionID) {
    handlers[Self.slot(connection)] = nil
    guard let broker else { return }
    broker.disconnect(connection)
    openTurn()
  }

  /// Gives bytes to the broker; how many it used up.
  @inline(__always)
  func receive(_ bytes: UnsafeRawBufferPointer, from connection: ConnectionID) -> Int {
    guard let broker else { return bytes.count }
    openTurn()
    return broker.receive(bytes, from: connection)
  }

  /// Whether the last `receive` left whole requests behind.
  var leftRequests: Bool { broker?.leftRequests ?? false }

  /// Whether the broker takes nothing from a connection until answers have left.
  func isHeldUp(_ connection: ConnectionID) -> Bool { broker?.isHeldUp(connection) ?? false }

  func end(_ connection: ConnectionID, _ code: ErrorCode) {
    broker?.end(connection, code, retryAfterMilliseconds: 1_000)
    openTurn()
  }

  /// Counts a change of buffered bytes. When they are more than allowed, connections are closed until they are not: at once, since a turn may go on
  /// adding to them. It may be in the middle of letting answers out, as is every socket that fails.
  func buffer(_ change: Int) {
    bufferedBytes += change
    guard change > 0, bufferedBytes > configuration.bufferLimit, !isShedding else { return }
    isShedding = true
    shed()
    isShedding = false
  }

  /// Closes the connection for which most is kept, until all together keep no more than allowed: so nobody suffers for what others keep.
  private func shed() {
    while bufferedBytes > configuration.bufferLimit {
      let most = handlers.lazy.compactMap(\.self).max { $0.counted < $1.counted }
      guard let most, most.counted > 0 else { return }
      let code = most.shed()
      logger.info(
        "connection closed: all connections together keep too much memory, and this one the most",
        metadata: ["code": "\(code.wireName)", "peer": "\(most.peerName)"])
    }
  }

  /// Whether the requests of all connections wait; who asks has one that does, and is called when they go on.
  func holdsUpAll(_ handler: ConnectionHandler) -> Bool {
    guard broker?.owesTooMuch == true else { return false }
    heldUp.append(handler)
    return true
  }

  /// Closes connections that break the rules of time: no hello, silence, no reading.
  private func sweepConnections() {
    sweep = nil
    if let broker, broker.connections > 0 { scheduleSweep() }
    let now = eventLoop.now
    for handler in handlers {
      guard let handler, let connection = handler.connection else { continue }
      let isWaiting = broker?.isWaiting(connection) ?? false
      if let code = handler.overdue(now: now, isWaiting: isWaiting) {
        logger.info("connection closed", metadata: ["code": "\(code.wireName)", "peer": "\(handler.peerName)"])
        end(connection, code)
        if code == .slowReader { handler.abort() }
      }
    }
  }

  /// While nobody is connected nothing is swept: an idle broker does not wake up.
  private func scheduleSweep() {
    sweep = eventLoop.assumeIsolated().scheduleTask(in: .seconds(5)) { self.sweepConnections() }
  }

  private static func slot(_ connection: ConnectionID) -> Int {
    Int(UInt32(truncatingIfNeeded: connection.rawValue))
  }

  private func handler(_ connection: ConnectionID) -> ConnectionHandler? {
    let slot = Self.slot(connection)
    guard slot < handlers.count, let handler = handlers[slot], handler.connection == connection else { return nil }
    return handler
  }

  // MARK: Transport

  /// The bytes as a buffer for a channel to send.
  ///
  /// Mostly the same memory again: when a socket took all of the bytes before, nobody holds their buffer any more. Where one still waits, or was
  /// large, a new one takes its place.
  func outgoing(_ bytes: BorrowedBytes) -> ByteBuffer {
    if turn.pointee.outgoing.capacity > Self.outgoingKept { turn.pointee.outgoing = ByteBuffer() }
    turn.pointee.outgoing.clear(minimumCapacity: bytes.count)
    turn.pointee.outgoing.writeBytes(bytes)
    return turn.pointee.outgoing
  }

  private static let outgoingKept = 64 << 10

  func send(_ bytes: BorrowedBytes, to connection: ConnectionID) {
    handler(connection)?.send(bytes)
  }

  func close(_ connection: ConnectionID) {
    handler(connection)?.close()
  }

  // MARK: Turns

  @inline(__always)
  private func openTurn() {
    if turn.pointee.isOpen { return }
    turn.pointee.isOpen = true
    turn.pointee.began = eventLoop.now
    eventLoop.assumeIsolated().execute { self.endTurn() }
  }

  /// Takes note that so many bytes were read. When the present turn began: the time of all that is read in it.
  func heard(_ bytes: Int) -> NIODeadline {
    openTurn()
    turn.pointee.received += bytes
    return turn.pointee.began
  }

  private func endTurn() {
    turn.pointee.isOpen = false
    let atOnce: UInt = turn.pointee.received >= Self.longTurnBytes ? 16 : 1
    turn.pointee.received /= 2
    if atOnce != acceptedAtOnce {
      acceptedAtOnce = atOnce
      setAccepting()
    }
    guard let broker else { return }
    broker.endTurn()
    if !heldUp.isEmpty, !broker.owesTooMuch {
      let waiting = heldUp
      heldUp = []
      for handler in waiting { handler.resume() }
    }
    scheduleWake()
    if isDraining { finishDraining() }
  }

  /// Sees to it that the broker is called when it is due. A wake-up that turns out too early costs less than moving it with each lease.
  private func scheduleWake() {
    guard let deadline = broker?.nextDeadline else { return }
    if let wake, wake.at <= deadline { return }
    wake?.task.cancel()
    // Never at once: NIO would run it before it looks at its connections, and again, for as long as there are timers to fire.
    let delay = max(10, deadline - clock().boot)
    let task = eventLoop.assumeIsolated().scheduleTask(in: .microseconds(delay)) {
      self.wake = nil
      self.broker?.fireTimers()
      self.endTurn()
    }
    wake = (task, deadline)
  }

  /// What another thread had to tell, now on the event loop.
  func receive(_ notice: BrokerNotice) {
    broker?.receive(notice)
    endTurn()
  }

  // MARK: The end

  /// Says goodbye to everybody, lets out what they are owed, and seals the log. Fulfils the promise when that is done.
  func drain(_ promise: EventLoopPromise<Void>) {
    if isDraining { return promise.succeed() }
    isDraining = true
    whenEnded = promise
    broker?.drain()
    endTurn()
    // A client that does not take its last bytes must not hold up the end.
    eventLoop.assumeIsolated().scheduleTask(in: .seconds(3)) {
      for handler in self.handlers { handler?.abort() }
      self.finishDraining()
    }
  }

  private func finishDraining() {
    guard let broker, let promise = whenEnded, broker.isQuiet, broker.connections == 0 else { return }
    whenEnded = nil
    sweep?.cancel()
    zones?.cancel()
    wake?.task.cancel()
    self.broker = nil
    do {
      try broker.seal()
      promise.succeed()
    } catch {
      promise.fail(error)
    }
  }
}
