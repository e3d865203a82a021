public import NuvomEngine
public import NuvomModel
public import NuvomStorage
import MessagePack
public import NuvomWAL
import NuvomSchedule
import NuvomWire
import PlantedBugs

/// The transport under a broker: what carries bytes to connections. Called on the broker's thread only.
public protocol Transport: AnyObject {
  /// Hands bytes to a connection's socket. They are the caller's and must be copied.
  func send(_ bytes: BorrowedBytes, to connection: ConnectionID)
  /// Closes a connection when everything handed to it has been sent.
  func close(_ connection: ConnectionID)
}

/// What other threads tell a broker: its owner brings them to `Broker.receive(_:)` on the broker's thread.
public enum BrokerNotice: Sendable {
  /// A commit that was on its way has ended.
  case committed(CommitResult)
  /// The snapshot being written takes another chunk.
  case snapshotReady
  /// The snapshot is on disk, or is not.
  case snapshotEnded(Result<SnapshotInfo, StorageError>)
}

/// What a broker needs to know beside its engine and storage.
public struct BrokerConfiguration: Sendable {
  /// As hello and stats tell it, `nuvom/0.1.0`.
  public var server: String
  /// As stats tells it: always, interval:MS, never or ephemeral.
  public var fsync: String

  /// Name and version of the server, and the durability that its storage was opened with.
  public init(server: String, fsync: String) {
    self.server = server
    self.fsync = fsync
  }
}

/// The loop: takes the requests that are waiting, decides them, puts their events into the log, and lets the answers out when the events
/// are durable.
///
/// A *turn* begins with the first thing that happens (`receive`, `fireTimers`, …) and ends with `endTurn`: everything decided in it is one
/// batch of the log. While a commit is on its way to the disk, turns go on and gather in the next batch; what they tell is held back. So a
/// reply, also that of a read, leaves only when all state that it observed is durable, and everything leaves in the order of the log.
///
/// It reads no socket and no clock of its own: bytes are given to it, it gives bytes to a `Transport`, and the clock is a closure, so that
/// a simulator drives the very loop that ships. For one thread.
public final class Broker {
  private let engine: Engine
  private let storage: (any Storage)?
  private let configuration: BrokerConfiguration
  private let transport: any Transport
  private let clock: () -> Time
  private let notify: @Sendable (BrokerNotice) -> Void
  private let zones: any ZoneSource
  private let started: Time
  // Used anew for each request. Behind pointers: a class's properties are checked for exclusive access at each use.
  private let decoder: UnsafeMutablePointer<RequestDecoder>
  private let request: UnsafeMutablePointer<Request>
  private let outcome: UnsafeMutablePointer<Outcome>
  private var batch = BatchBuffer()

  private let turn: UnsafeMutablePointer<Turn>
  private var connectionCount = 0
  /// Peers with something in `held`.
  private var held: [Peer] = []
  private var commit = Commit.idle
  private var snapshot = SnapshotState.none
  private var snapshots: UInt64 = 0
  /// After a snapshot that failed: when the next may be tried, in boot µs.
  private var snapshotRetryAt = Int64.min
  private var hasMoreTimers = false

  /// The storage has failed: the process is to end. The owner is told once.
  public var onFailure: ((StorageError) -> Void)?
  /// The rules of a zone that a definition names are there, but not to be read; the definition is refused as of an unknown zone.
  public var onZoneError: ((ZoneError) -> Void)?

  /// What each request touches. Behind a pointer, as above.
  private struct Turn {
    /// By the slot of the connection's number.
    var peers: [Peer?] = []
    /// Peers with something in `Peer.told`, in the order in which they got it.
    var told: [Peer] = []
    /// Those whose turn it is to be let out.
    var leaving: [Peer] = []
    var isInTurn = false
    /// Bytes in `Peer.told` and `Peer.held`, of all peers together.
    var owed = 0
    var leftRequests = false
  }

  private var peers: [Peer?] {
    _read { yield turn.pointee.peers }
    _modify { yield &turn.pointee.peers }
  }

  private var told: [Peer] {
    _read { yield turn.pointee.told }
    _modify { yield &turn.pointee.told }
  }

  private var isInTurn: Bool {
    get { turn.pointee.isInTurn }
    set { turn.pointee.isInTurn = newValue }
  }

  /// What is true of the log.
  private enum Commit {
    /// Nothing on its way: the next turn with events submits a batch.
    case idle
    /// A batch is on its way; `held` waits for it.
    case inFlight
    /// A batch waits for room since the disk is full. Tried again at the time.
    case noRoom(retryAt: Int64)
    /// The log has failed: nothing is told any more.
    case failed
  }

  /// What is true of the snapshot.
  private enum SnapshotState {
    case none
    /// The state is frozen as of the batch on its way; begins when that is durable.
    case frozen(header: [UInt8])
    /// Parts are being offered. `waiting` was not taken yet; `isBlocked` until `snapshotReady`.
    case telling(any SnapshotFeed, waiting: SnapshotPart?, isBlocked: Bool)
    /// All parts were taken; the file is being completed.
    case finishing
  }

  private enum SnapshotPart: Sendable {
    case header([UInt8])
    case chunk(SnapshotChunk)
  }

  /// A broker around an engine that has recovered. `storage` is nil for an ephemeral one. `notify` may be called on any thread.
  public init(
    engine: Engine, storage: (any Storage)?, configuration: BrokerConfiguration, transport: any Transport,
    zones: any ZoneSource = ZoneFiles(), clock: @escaping () -> Time,
    notify: @escaping @Sendable (BrokerNotice) -> Void
  ) {
    self.engine = engine
    self.storage = storage
    self.configuration = configuration
    self.transport = transport
    self.zones = zones
    self.clock = clock
    self.notify = notify
    started = clock()
    turn = .allocate(capacity: 1)
    turn.initialize(to: Turn())
    decoder = .allocate(capacity: 1)
    decoder.initialize(to: RequestDecoder())
    request = .allocate(capacity: 1)
    request.initialize(to: Request())
    outcome = .allocate(capacity: 1)
    outcome.initialize(to: Outcome())
  }

  deinit {
    turn.deinitialize(count: 1)
    turn.deallocate()
    decoder.deinitialize(count: 1)
    decoder.deallocate()
    request.deinitialize(count: 1)
    request.deallocate()
    outcome.deinitialize(count: 1)
    outcome.deallocate()
  }

  // MARK: Connections

  /// A connection has come. Nil if there are too many.
  public func connect() -> ConnectionID? {
    guard let connection = engine.connect() else { return nil }
    let slot = Int(UInt32(truncatingIfNeeded: connection.rawValue))
    while peers.count <= slot { peers.append(nil) }
    peers[slot] = Peer(connection)
    connectionCount += 1
    return connection
  }

  /// A connection is gone. What was told to it and did not leave is given back. Twice is once.
  public func disconnect(_ connection: ConnectionID) {
    guard let peer = peer(connection) else { return }
    beginTurn()
    peers[Int(UInt32(truncatingIfNeeded: connection.rawValue))] = nil
    connectionCount -= 1
    engine.disconnect(connection)
    let undelivered = peer.heldDeliveries + peer.toldDeliveries
    peer.heldDeliveries = []
    peer.toldDeliveries = []
    peer.isEnding = true
    if !undelivered.isEmpty {
      engine.giveBack(undelivered, into: &outcome.pointee)
      tellOutcome()
    }
  }

  /// Ends a connection with a reason, which it is told last.
  public func end(_ connection: ConnectionID, _ code: ErrorCode, retryAfterMilliseconds: UInt32? = nil) {
    guard let peer = peer(connection), !peer.isEnding else { return }
    beginTurn()
    end(peer, code, retryAfterMilliseconds: retryAfterMilliseconds)
  }

  private func end(_ peer: Peer, _ code: ErrorCode, retryAfterMilliseconds: UInt32? = nil) {
    ResponseEncoder.encodeGoodbye(code, retryAfterMilliseconds: retryAfterMilliseconds, into: &peer.told)
    peer.isEnding = true
    // Or a job could be leased to somebody who is not told any more.
    engine.endWaits(of: peer.connection)
    list(peer)
  }

  /// Connections now.
  public var connections: Int { connectionCount }

  /// Whether a connection has a request that waits (dequeue, wait).
  public func isWaiting(_ connection: ConnectionID) -> Bool { engine.isWaiting(connection) }

  @inline(__always)
  private func peer(_ connection: ConnectionID) -> Peer? {
    let slot = Int(UInt32(truncatingIfNeeded: connection.rawValue))
    guard slot < peers.count, let peer = peers[slot], peer.connection == connection else { return nil }
    return peer
  }

  @inline(__always)
  private func list(_ peer: Peer) {
    turn.pointee.owed += peer.noteTold()
    if !peer.isListed {
      peer.isListed = true
      told.append(peer)
    }
  }

  // MARK: Requests

  /// Answers waiting for a connection, in bytes, over which its next request is not taken. A small request can have a large answer: what is
  /// told to one connection stays below this and one answer, whatever it sends.
  private static let answerLimit = 1 << 20

  /// The same for all connections together, while a commit keeps their answers back.
  private static let answersLimit = 64 << 20

  /// Whether all connections together are owed so much that no request is taken until the log lets answers out.
  @inline(__always)
  public var owesTooMuch: Bool { turn.pointee.owed > Self.answersLimit }

  /// Whether the last `receive(_:from:)` left whole requests behind because the connection was held up. Its answers may have left since.
  public private(set) var leftRequests: Bool {
    get { turn.pointee.leftRequests }
    set { turn.pointee.leftRequests = newValue }
  }

  /// Whether a connection's requests wait until answers to earlier ones have left.
  @inline(__always)
  public func isHeldUp(_ connection: ConnectionID) -> Bool { peer(connection).map(isHeldUp) ?? false }

  @inline(__always)
  private func isHeldUp(_ peer: Peer) -> Bool {
    peer.told.count + peer.held.count > Self.answerLimit || owesTooMuch
  }

  /// Takes the bytes that a connection has sent, and decides every whole request in them, or until it is held up. Returns how many bytes
  /// were used up: the owner gives the rest again, with what follows or when answers have left. All, if the connection is ending.
  public func receive(_ bytes: BorrowedBytes, from connection: ConnectionID) -> Int {
    leftRequests = false
    guard let peer = peer(connection), !peer.isEnding else { return bytes.count }
    beginTurn()
    var position = 0
    var isPartial = false
    while position < bytes.count, !isPartial, !isHeldUp(peer) {
      let rest = BorrowedBytes(rebasing: bytes[position...])
      let limit = peer.isOpen ? ProtocolLimits.frameBytes : ProtocolLimits.frameBytesBeforeHello
      switch FrameScanner.next(in: rest, maximumBytes: limit) {
      case .incomplete: isPartial = true
      case .refused(let code):
        end(peer, code)
        return bytes.count
      case .frame(let frame, let consumed):
        position += consumed
        take(frame, from: peer)
        if peer.isEnding { return bytes.count }
      }
    }
    leftRequests = position < bytes.count && !isPartial
    // Under load the disk should be at work while the next connections are read.
    let isMuch = engine.eventBytes.count > Self.turnBytes || turn.pointee.owed > Self.turnAnswerBytes
    if isMuch, case .idle = commit { endTurn(isBusy: true) }
    return position
  }

  /// Bytes of answers after which it ends as well: however many connections ask for large jobs at once, their answers go to their sockets one after the other.
  private static let turnAnswerBytes = 4 << 20

  /// Bytes of events after which a turn ends though more has arrived, if the log is free.
  private static let turnBytes = 128 << 10

  @inline(__always)
  private func take(_ frame: BorrowedBytes, from peer: Peer) {
    switch decoder.pointee.decode(frame, into: &request.pointee) {
    case .request:
      if peer.isOpen, !Self.isRare(request.pointee.method) {
        engine.handle(request.pointee, from: peer.connection, into: &outcome.pointee)
        tellOutcome(to: peer)
      } else {
        takeRare(from: peer)
      }
    case .refused(let refusal):
      // The decoder knows the method of a request whose parameters it refuses.
      let isHello = refusal.code == .badParameters && request.pointee.method == .hello
      if !peer.isOpen, !isHello { return refuseFirst(refusal.id, .helloRequired, peer) }
      ResponseEncoder.encode(refusal, into: &peer.told)
      list(peer)
      if !peer.isOpen { end(peer, refusal.code) }
    case .fatal(let refusal):
      ResponseEncoder.encode(refusal, into: &peer.told)
      end(peer, refusal.code)
    }
  }

  /// Methods that need more of the broker than its engine.
  @inline(__always)
  private static func isRare(_ method: Method) -> Bool {
    method == .hello || method == .stats || method == .schedule
  }

  /// hello, stats and schedule, and whatever comes before hello.
  @inline(never)
  private func takeRare(from peer: Peer) {
    let id = request.pointee.id
    switch request.pointee.method {
    case .hello where !peer.isOpen: takeHello(from: peer)
    case .hello:
      ResponseEncoder.encodeRefusal(.badParameters, to: id, into: &peer.told)
      list(peer)
    case .stats where peer.isOpen:
      let answer = outcome.pointee.add(.statistics(statistics()))
      ResponseEncoder.encode(answer, to: id, outcome: outcome.pointee, into: &peer.told)
      outcome.pointee.removeAll()
      list(peer)
    case .schedule where peer.isOpen:
      readZonesOfRequest()
      engine.handle(request.pointee, from: peer.connection, into: &outcome.pointee)
      tellOutcome(to: peer)
    default: refuseFirst(id, .helloRequired, peer)
    }
  }

  private func refuseFirst(_ id: RequestID?, _ code: ErrorCode, _ peer: Peer) {
    if let id { ResponseEncoder.encodeRefusal(code, to: id, into: &peer.told) }
    end(peer, code)
  }

  private func takeHello(from peer: Peer) {
    let id = request.pointee.id
    let hello = request.pointee.hello
    guard hello.version == ProtocolLimits.version else { return refuseFirst(id, .unsupportedVersion, peer) }
    guard let welcome = engine.hello(peer.connection, clientID: hello.clientID) else {
      return refuseFirst(id, .limitExceeded, peer)
    }
    if let replaced = welcome.replaced, let old = self.peer(replaced) { end(old, .replaced) }
    peer.isOpen = true
    ResponseEncoder.encodeHello(
      to: id, server: configuration.server, partition: 0, features: Self.features,
      highestRequestID: welcome.highestRequest == 0 ? nil : RequestID(rawValue: welcome.highestRequest),
      into: &peer.told)
    list(peer)
  }

  /// What hello tells beyond the version. Grows as the protocol does.
  private static var features: [String] { ["multi", "safe-retry", "schedules"] }

  private func statistics() -> Statistics {
    var statistics = engine.statistics()
    statistics.version = configuration.server
    statistics.uptimeMilliseconds = (clock().boot - started.boot) / 1_000
    statistics.connections = connectionCount
    statistics.fsync = configuration.fsync
    statistics.snapshots = snapshots
    if let counters = storage?.counters {
      statistics.walBytes = UInt64(counters.bytesWritten)
      statistics.walSyncs = UInt64(counters.syncs)
      statistics.walBatches = UInt64(counters.batches)
      statistics.diskBytes = UInt64(counters.diskBytes)
    }
    return statistics
  }

  /// Encodes what the engine wants to be told, while its bytes are valid. The asking connection, if there is one, is found without looking.
  @inline(__always)
  private func tellOutcome(to asking: Peer? = nil) {
    for index in outcome.pointee.responses.indices {
      let address = outcome.pointee.responses[index].address
      let found = asking?.connection == address.connection ? asking : peer(address.connection)
      guard let peer = found, !peer.isEnding else { continue }
      if case .delivered(let deliveries, _) = outcome.pointee.responses[index].answer {
        for delivery in outcome.pointee.deliveries[deliveries] {
          peer.toldDeliveries.append((delivery.id, delivery.token))
        }
      }
      ResponseEncoder.encode(
        outcome.pointee.responses[index].answer, to: address.request, outcome: outcome.pointee,
        into: &peer.told)
      list(peer)
    }
    outcome.pointee.removeAll()
  }

  // MARK: Time zones

  /// Reads the rules of all zones that schedules are in, in a turn: before the first request, and from time to time, since systems are updated.
  /// Due times that follow from rules that changed are found anew; rules of zones that no schedule is in are forgotten, and read when one is. All in
  /// one turn: a system has some six hundred zones, of a few KiB each. `endTurn` is to follow.
  /// - Throws: the first that is not to be had; the rules of the others are taken, and it goes on by those it had, if there were any.
  public func readZones() throws(ZoneError) {
    beginTurn()
    engine.forgetUnusedZones()
    var problem: ZoneError?
    for name in engine.zonesInUse {
      do throws(ZoneError) {
        guard let rules = try zones.rules(named: name) else {
          throw ZoneError(zone: name, message: "schedules use it, and this system has no rules of it; install tzdata")
        }
        take(rules, name)
      } catch {
        problem = problem ?? error
      }
    }
    hasMoreTimers = true
    if let problem { throw problem }
  }

  /// Gives the engine the rules of zones that definitions name and it does not know. What is not to be had it refuses.
  private func readZonesOfRequest() {
    for schedule in request.pointee.schedules {
      guard case .cron(_, let zone, _, _) = schedule.times, !engine.knowsZone(zone) else { continue }
      let name = String(decoding: zone, as: UTF8.self)
      do throws(ZoneError) {
        guard let rules = try zones.rules(named: name) else { return }
        take(rules, name)
      } catch {
        onZoneError?(error)
        return
      }
    }
  }

  private func take(_ rules: ZoneRules, _ name: String) {
    var name = name
    name.withUTF8 { engine.take(rules, ofZone: BorrowedBytes($0)) }
  }

  // MARK: Turns

  /// Timers that one turn fires at most; the rest follow in the next, after connections had their say. So many take about as long as a sync: when a
  /// hundred thousand are due at once, whoever asks for something waits for two syncs instead of one.
  private static let timersPerTurn = 128
  /// What makes a snapshot fail, a full disk, seldom ends at once.
  private static let snapshotRetryMicroseconds: Int64 = 10_000_000
  /// Pages that one part of a snapshot copies: about 0.1 ms.
  private static let pagesPerPart = 128

  private func beginTurn() {
    if isInTurn { return }
    isInTurn = true
    let now = clock()
    var room = Int.max
    if let storage {
      // Before the room: what fires have made since the last commit is in no batch, but the next snapshot will have it.
      storage.snapshotEstimate = engine.liveBytes
      room = batch.count > Self.batchLimit ? 0 : storage.room(at: LogTime(now)) - batch.count
    }
    engine.beginTurn(now, diskRoom: room)
  }

  /// Bytes that gather for the next commit before jobs are refused: with a disk that stands still, the batch must not outgrow memory or the
  /// log's format. Settlements go on; what they can add is bounded by the jobs that are leased.
  private static let batchLimit = 256 << 20

  /// Does what is due. To be called at `nextDeadline`.
  public func fireTimers() {
    beginTurn()
    hasMoreTimers = !engine.fireTimers(limit: Self.timersPerTurn, into: &outcome.pointee)
    tellOutcome()
    if case .noRoom(let retryAt) = commit, let storage, clock().boot >= retryAt {
      settle(storage.retry())
    }
  }

  /// Ends a job's lease before its time: for tests (`Engine.endLease`). False if nobody holds the job. `endTurn` is to follow.
  package func endLease(of job: JobID, isReadyAtOnce: Bool) -> Bool {
    beginTurn()
    let isEnded = engine.endLease(of: job, isReadyAtOnce: isReadyAtOnce, into: &outcome.pointee)
    tellOutcome()
    return isEnded
  }

  /// Ends the turn: commits what was decided, and lets out what is durable. To be called when everything that had arrived was given.
  public func endTurn() { endTurn(isBusy: false) }

  /// `isBusy`: there is more to decide, which need not wait for this turn's commit.
  private func endTurn(isBusy: Bool) {
    guard isInTurn else { return }
    isInTurn = false
    _ = engine.compactOnce()
    guard let storage else {
      engine.clearEvents()
      return letOutTold()
    }
    batch.append(engine.eventBytes)
    engine.clearEvents()
    advance(storage, isBusy: isBusy)
    pumpSnapshot(storage)
  }

  /// Something that another thread has told (`notify`), now on the broker's thread. `endTurn` is to follow, as in any turn.
  public func receive(_ notice: BrokerNotice) {
    guard let storage else { return }
    switch notice {
    case .committed(let result):
      settle(.finished(result))
      // In the middle of a turn its end goes on: what it has told so far is in no batch yet.
      if !isInTurn { advance(storage) }
    case .snapshotReady:
      if case .telling(let feed, let waiting, _) = snapshot {
        snapshot = .telling(feed, waiting: waiting, isBlocked: false)
      }
    case .snapshotEnded(let result):
      engine.endSnapshot()
      snapshot = .none
      switch result {
      case .success: snapshots += 1
      case .failure: snapshotRetryAt = clock().boot + Self.snapshotRetryMicroseconds
      }
    }
    pumpSnapshot(storage)
  }

  /// Submits the next batch, if the log is free and there is one.
  private func advance(_ storage: any Storage, isBusy: Bool = false) {
    guard case .idle = commit else {
      if PlantedBug.replyBeforeCommit.isPlanted { letOutTold() }
      return
    }
    if batch.isEmpty {
      letOutTold()
      if case .none = snapshot, isSnapshotDue(storage) {
        beginTelling(storage, header: engine.beginSnapshot())
      }
      return
    }
    // Frozen here, the state is exactly that after this batch, however many turns follow before it is durable.
    if case .none = snapshot, isSnapshotDue(storage) { snapshot = .frozen(header: engine.beginSnapshot()) }
    for peer in told {
      peer.isListed = false
      if peer.held.count == 0 { held.append(peer) }
      peer.hold()
    }
    told.removeAll(keepingCapacity: true)
    commit = .inFlight
    settle(storage.submit(&batch, at: LogTime(clock()), isBusy: isBusy))
  }

  private func isSnapshotDue(_ storage: any Storage) -> Bool {
    storage.snapshotEstimate = engine.liveBytes
    return storage.isSnapshotDue && clock().boot >= snapshotRetryAt
  }

  /// Takes note of how a commit went, and lets out what waited for it.
  private func settle(_ progress: CommitProgress) {
    switch progress {
    case .pending: commit = .inFlight
    case .finished(.done):
      commit = .idle
      for peer in held { letOut(peer) }
      held.removeAll(keepingCapacity: true)
      if case .frozen(let header) = snapshot, let storage { beginTelling(storage, header: header) }
    case .finished(.noRoom): commit = .noRoom(retryAt: clock().boot + 100_000)
    case .finished(.failed(let error)): fail(error)
    }
  }

  /// Lets out what was told while nothing waited for the log.
  private func letOutTold() {
    // A socket that fails ends its connection at once, which may tell others something: that is for the next turn.
    swap(&turn.pointee.told, &turn.pointee.leaving)
    for peer in turn.pointee.leaving {
      peer.isListed = false
      peer.hold()
      letOut(peer)
    }
    turn.pointee.leaving.removeAll(keepingCapacity: true)
  }

  /// Hands what a peer was owed to its socket, and closes an ending one that is owed nothing more.
  @inline(__always)
  private func letOut(_ peer: Peer) {
    turn.pointee.owed -= peer.held.count
    if self.peer(peer.connection) === peer {
      peer.held.withBytes { transport.send($0, to: peer.connection) }
      if peer.isEnding, !peer.isListed { transport.close(peer.connection) }
    }
    peer.release()
  }

  /// The log has failed: whatever waits is unknown, nothing is acknowledged any more.
  private func fail(_ error: StorageError) {
    if case .failed = commit { return }
    commit = .failed
    for peer in peers {
      guard let peer else { continue }
      peer.isEnding = true
      var farewell = MessageWriter()
      ResponseEncoder.encodeGoodbye(.storageUnknown, retryAfterMilliseconds: 1_000, into: &farewell)
      farewell.withBytes { transport.send($0, to: peer.connection) }
      transport.close(peer.connection)
    }
    onFailure?(error)
  }

  /// When the broker must be called though nothing arrives, in µs of the boot clock; nil for never.
  ///
  /// Then: `fireTimers`, `endTurn`. With timers on the wall clock pending, at the latest in a second: that clock may step.
  public var nextDeadline: Int64? {
    let now = clock()
    if hasMoreTimers { return now.boot }
    if case .telling(_, _, false) = snapshot { return now.boot }
    var (deadline, wall) = engine.nextDeadline
    if let wall {
      let due = now.boot + min(max(0, wall - now.wall), 1_000_000)
      deadline = deadline.map { min($0, due) } ?? due
    }
    if case .noRoom(let retryAt) = commit { deadline = deadline.map { min($0, retryAt) } ?? retryAt }
    return deadline
  }

  // MARK: Snapshots

  private func beginTelling(_ storage: any Storage, header: [UInt8]) {
    let notify = notify
    let feed = storage.beginSnapshot(
      at: LogTime(clock()), ready: { notify(.snapshotReady) }, completion: { notify(.snapshotEnded($0)) })
    guard let feed else {
      engine.endSnapshot()
      snapshot = .none
      return
    }
    snapshot = .telling(feed, waiting: .header(header), isBlocked: false)
  }

  /// Offers the next part of the snapshot: one a turn, so that no turn is long.
  private func pumpSnapshot(_ storage: any Storage) {
    guard case .telling(let feed, let waiting, false) = snapshot else { return }
    guard let part = waiting ?? engine.nextSnapshotChunk(pages: Self.pagesPerPart).map({ .chunk($0) }) else {
      feed.finish()
      snapshot = .finishing
      return
    }
    let isTaken =
      switch part {
      case .header(let bytes):
        feed.offer(kind: SnapshotChunkKind.header.rawValue, Self.pieces(SnapshotEncoder(bytes)))
      case .chunk(let chunk):
        feed.offer(kind: SnapshotChunkKind.table.rawValue, Self.pieces(chunk.encoder()))
      }
    snapshot = .telling(feed, waiting: isTaken ? nil : part, isBlocked: !isTaken)
  }

  private static func pieces(_ encoder: SnapshotEncoder) -> @Sendable (inout BatchBuffer) -> Bool {
    { buffer in
      guard let piece = encoder.next() else { return false }
      piece.withUnsafeBytes { buffer.append($0) }
      return true
    }
  }

  // MARK: The end

  /// Stops: every connection is told goodbye behind what it is owed. When `isQuiet`, the owner calls `seal`.
  public func drain() {
    beginTurn()
    for peer in peers {
      guard let peer, !peer.isEnding else { continue }
      end(peer, .shuttingDown, retryAfterMilliseconds: 1_000)
    }
  }

  /// Whether everything decided is durable and everything told has left.
  public var isQuiet: Bool {
    guard !isInTurn, case .idle = commit else { return false }
    return batch.isEmpty && told.isEmpty && held.isEmpty
  }

  /// Ends the log cleanly, so that the next start knows that nothing of it can be missing. Once, when `isQuiet`.
  public func seal() throws {
    guard let storage else { return }
    if case .telling(let feed, _, _) = snapshot { feed.cancel() }
    try storage.seal(at: LogTime(clock()))
    storage.close()
    engine.endSnapshot()
  }
}

/// What a chunk of a snapshot file holds.
public enum SnapshotChunkKind: UInt32, Sendable {
  /// The first: what is in no table.
  case header = 1
  /// Pages of a table.
  case table = 2
}

extension LogTime {
  /// Both clocks of a turn, as the log has them.
  public init(_ time: Time) { self.init(bootMicroseconds: time.boot, wallMicroseconds: time.wall) }
}
