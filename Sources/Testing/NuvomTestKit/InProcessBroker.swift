import Dispatch
import NuvomBroker
import NuvomConnection
import NuvomEngine
import NuvomModel
import Synchronization

/// What can be seen of a broker from outside, and waited for.
struct BrokerProgress: Sendable {
  var events: [BrokerEvent] = []
  /// Requests that wait for something to happen.
  var waiting = 0
  var ready = 0
  var leased = 0
}

/// The broker's loop and engine, with connections that are byte arrays. Every call from outside is a turn, or several: it returns when nothing more
/// follows from it until time passes.
///
/// Unchecked: everything but the constants is touched under the lock alone.
final class InProcessBroker: @unchecked Sendable {
  let progress = Watched(BrokerProgress())
  private let clock: ManualClock
  private let lock = Mutex(())
  private let time: BrokerTime
  private let engine: Engine
  private let broker: Broker
  private let sockets = Sockets()
  private let delivered = Box<[JobID]>([])
  private let leasesEnded = Box<[JobID]>([])
  private var attachments: [Attachment] = []
  private var faults = FaultScript()

  /// A caller's wait for its answer, beyond the wait that it asks of the broker: it shows only where an answer is lost.
  private static let requestTimeout: Int64 = 60_000_000
  private let patience: Duration

  init(clock: ManualClock, wallMilliseconds: Int64, patience: Duration) {
    self.clock = clock
    self.patience = patience
    let time = BrokerTime(clock, wallMilliseconds: wallMilliseconds)
    self.time = time
    engine = Engine(EngineConfiguration(memoryLimit: 1 << 30), now: time.now)
    engine.resume(at: time.now)
    let tap = EventTap { [progress, delivered, leasesEnded] event in
      let happened = event.brokerEvents(at: clock.now)
      progress.change { $0.events += happened }
      switch event.kind {
      case .leased: delivered.value.append(event.id)
      case .leaseExpired, .cancelled: leasesEnded.value.append(event.id)
      default: break
      }
    }
    broker = Broker(
      engine: engine, storage: tap, configuration: BrokerConfiguration(server: "nuvom/test", fsync: "ephemeral"),
      transport: sockets, clock: { time.now }, notify: { _ in })
    clock.move(self)
  }

  // MARK: From clients

  func attach() -> Attachment {
    lock.withLock { _ in
      let attachment = Attachment(number: UInt8(clamping: attachments.count + 1))
      attachments.append(attachment)
      attachment.machine.start(now: time.elapsed)
      pump()
      return attachment
    }
  }

  func submit(
    _ call: InProcessCall, _ continuation: UnsafeContinuation<InProcessEnd, Never>, through attachment: Attachment
  ) {
    lock.withLock { _ in
      call.continuation = continuation
      if call.isCancelled { return call.end(.cancelled) }
      let fault = faults.fault(for: call.frame)
      switch fault {
      case .lose: return call.end(.failure(.lostByScript))
      case .refuse(let failure): return call.end(.failure(failure))
      case .loseAnswer: call.losesAnswer = true
      case .disconnect, nil: break
      }
      let id = attachment.machine.submit(call.frame, timeout: Self.requestTimeout, now: time.elapsed)
      call.id = id
      attachment.calls[id] = call
      if case .disconnect = fault { breakConnection(of: attachment) }
      pump()
    }
    if call.frame.method == .wait { watch(call, through: attachment) }
  }

  /// A test that waits for a job which nobody finishes, while its clock stands still, would wait for ever.
  private func watch(_ call: InProcessCall, through attachment: Attachment) {
    DispatchQueue.global().asyncAfter(deadline: patience.fromNow) { [weak self, weak call] in
      guard let self, let call else { return }
      lock.withLock { _ in
        guard let id = call.id, attachment.calls.removeValue(forKey: id) != nil else { return }
        attachment.machine.cancel(id)
        call.end(.failure(.nobodyFinishes))
        pump()
      }
    }
  }

  func cancel(_ call: InProcessCall, through attachment: Attachment) {
    lock.withLock { _ in
      call.isCancelled = true
      guard let id = call.id, attachment.calls.removeValue(forKey: id) != nil else { return }
      attachment.machine.cancel(id)
      call.end(.cancelled)
      pump()
    }
  }

  func run(_ continuation: UnsafeContinuation<Failure?, Never>, through attachment: Attachment) {
    lock.withLock { _ in
      if let end = attachment.end { continuation.resume(returning: end) } else { attachment.runs.append(continuation) }
    }
  }

  func shutDown(_ attachment: Attachment, grace: Int64) {
    lock.withLock { _ in
      let now = time.elapsed
      attachment.machine.shutDown(deadline: now + grace, now: now)
      pump()
    }
  }

  // MARK: From tests

  func script<Value>(_ body: (inout FaultScript) -> Value) -> Value { lock.withLock { _ in body(&faults) } }

  func endLease(of job: JobID, isReadyAtOnce: Bool) -> Bool {
    lock.withLock { _ in
      let isEnded = broker.endLease(of: job, isReadyAtOnce: isReadyAtOnce)
      pump()
      return isEnded
    }
  }

  var wallMilliseconds: Int64 { lock.withLock { _ in time.now.wallMilliseconds } }

  // MARK: The loop

  /// Carries bytes and does what the machines ask for, until nobody has anything more to say.
  private func pump() {
    var hasMore = true
    while hasMore {
      hasMore = false
      for attachment in attachments where move(attachment) { hasMore = true }
      broker.endTurn()
      for attachment in attachments where hear(attachment) { hasMore = true }
      for job in leasesEnded.take() { faults.leaseEnded(of: job) }
      for job in delivered.take() where faults.delivers(again: job) {
        hasMore = broker.endLease(of: job, isReadyAtOnce: true) || hasMore
      }
    }
    let statistics = engine.statistics()
    let waiting = attachments.reduce(0) { $0 + $1.calls.count }
    progress.change { progress in
      progress.ready = statistics.ready
      progress.leased = statistics.leased
      progress.waiting = waiting
    }
  }

  /// What a client wants: true if there was anything.
  private func move(_ attachment: Attachment) -> Bool {
    var isMoved = false
    if let deadline = attachment.machine.nextDeadline, deadline <= time.elapsed {
      attachment.machine.timePassed(now: time.elapsed)
    }
    while let action = attachment.machine.nextAction() {
      isMoved = true
      carryOut(action, for: attachment)
    }
    guard let connection = attachment.connection, !attachment.unread.isEmpty else { return isMoved }
    let used = attachment.unread.withUnsafeBytes { broker.receive($0, from: connection) }
    attachment.unread.removeFirst(used)
    return isMoved || used > 0
  }

  private func carryOut(_ action: ConnectionMachine.Action, for attachment: Attachment) {
    switch action {
    case .connect:
      attachment.connection = broker.connect()
      if attachment.connection == nil {
        attachment.machine.connectionLost("the broker has no room for a connection", now: time.elapsed)
      } else {
        attachment.machine.connected(now: time.elapsed)
      }
    case .send(let bytes): attachment.unread += bytes
    case .answer(let id, let answer):
      guard let call = attachment.calls.removeValue(forKey: id) else { return }
      switch answer {
      case _ where call.losesAnswer: call.end(.failure(.lostByScript))
      case .result(let result): call.end(.result(result))
      case .failure(let failure): call.end(.failure(failure))
      }
    case .disconnect: hangUp(attachment)
    case .notice: break
    case .closed(let failure):
      attachment.end = .some(failure)
      for run in attachment.runs { run.resume(returning: failure) }
      attachment.runs = []
    }
  }

  /// What the broker has told a client: true if there was anything.
  private func hear(_ attachment: Attachment) -> Bool {
    guard let connection = attachment.connection else { return false }
    let (bytes, isClosed) = sockets.take(connection)
    if !bytes.isEmpty { bytes.withUnsafeBytes { attachment.machine.received($0, now: time.elapsed) } }
    if isClosed, attachment.connection == connection {
      hangUp(attachment)
      attachment.machine.connectionLost("the broker closed the connection", now: time.elapsed)
    }
    return isClosed || !bytes.isEmpty
  }

  /// The broker does what it was sent, and nobody hears of it.
  private func breakConnection(of attachment: Attachment) {
    _ = move(attachment)
    broker.endTurn()
    hangUp(attachment)
    attachment.machine.connectionLost(Failure.lostByScript.message, now: time.elapsed)
  }

  private func hangUp(_ attachment: Attachment) {
    guard let connection = attachment.connection else { return }
    attachment.connection = nil
    attachment.unread = []
    _ = sockets.take(connection)
    broker.disconnect(connection)
    broker.endTurn()
  }
}

extension InProcessBroker: WorldTimers {
  func nextDue(by target: ManualClock.Instant) -> ManualClock.Instant? {
    lock.withLock { _ in
      let target = BrokerTime.microseconds(target)
      var due = deadline.flatMap { time.stop(for: $0, by: target) }
      for attachment in attachments {
        guard let deadline = attachment.machine.nextDeadline, deadline <= target else { continue }
        due = min(due ?? .max, max(deadline, time.elapsed))
      }
      return due.map { ManualClock.Instant(sinceStart: .microseconds($0)) }
    }
  }

  func fireDue() {
    lock.withLock { _ in
      if let deadline, time.reach(deadline) { broker.fireTimers() }
      pump()
    }
  }

  /// The broker's next deadline, on its boot clock.
  ///
  /// The broker's own answer looks every second for a wall clock that was stepped; this one is not.
  private var deadline: Int64? {
    let now = time.now
    if let soon = broker.nextDeadline, soon <= now.boot { return now.boot }
    let (boot, wall) = engine.nextDeadline
    let wallDue = wall.map { now.boot + max(0, $0 - now.wall) }
    return [boot, wallDue].compactMap(\.self).min()
  }
}

/// The broker's side of connections: what was written to each.
private final class Sockets: Transport {
  private var written: [ConnectionID: [UInt8]] = [:]
  private var closed: Set<ConnectionID> = []

  func send(_ bytes: BorrowedBytes, to connection: ConnectionID) { written[connection, default: []] += bytes }
  func close(_ connection: ConnectionID) { closed.insert(connection) }

  func take(_ connection: ConnectionID) -> (bytes: [UInt8], isClosed: Bool) {
    (written.removeValue(forKey: connection) ?? [], closed.remove(connection) != nil)
  }
}

/// A value that a closure and its maker share.
private final class Box<Value> {
  var value: Value
  init(_ value: Value) { self.value = value }
}

extension Box where Value: RangeReplaceableCollection {
  func take() -> Value {
    defer { value = Value() }
    return value
  }
}

extension Failure {
  fileprivate static let lostByScript = Failure(
    code: unreachableCode, message: "the connection was lost, by the test's script")

  fileprivate static let nobodyFinishes = Failure(
    code: timeoutCode,
    message: "the test waited too long for a job while its clock stands still: run a worker, drain the broker before, "
      + "or advance the clock")
}

extension JobEvent {
  /// As tests see it: what makes a job a dead letter is followed by that.
  func brokerEvents(at instant: ManualClock.Instant) -> [BrokerEvent] {
    let first: BrokerEvent? =
      switch kind {
      case .enqueued: BrokerEvent(.enqueued, id, at: instant)
      case .becameReady: BrokerEvent(.ready, id, at: instant)
      case .leased(let token): BrokerEvent(.delivered, id, at: instant, token: token)
      case .extended: BrokerEvent(.extended, id, at: instant)
      case .acked: BrokerEvent(.acked, id, at: instant)
      case .nacked: BrokerEvent(.nacked, id, at: instant)
      case .leaseExpired: BrokerEvent(.leaseExpired, id, at: instant)
      case .released: BrokerEvent(.released, id, at: instant)
      case .cancelled: BrokerEvent(.cancelled, id, at: instant)
      case .expired: nil
      case .replayed: BrokerEvent(.replayed, id, at: instant)
      case .removed: BrokerEvent(.removed, id, at: instant)
      }
    let dead = deadReason.map { BrokerEvent(.dead, id, at: instant, deadReason: $0) }
    return [first, dead].compactMap(\.self)
  }
}
