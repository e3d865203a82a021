import MessagePack
import NuvomEngine
import NuvomModel
import NuvomSchedule
import NuvomWAL
import Synchronization
import Testing

@testable import NuvomBroker
@testable import NuvomStorage

/// A broker whose clients, storage, clock and event loop are played by the test. `heard` tells what each client's socket was given.
final class BrokerWorld: Transport {
  let storage: ScriptedStorage
  private(set) var clock: PlayedClock
  private var made: Broker?
  private(set) var failures: [StorageError] = []
  private var sockets: [ConnectionID: [UInt8]] = [:]
  private(set) var closed: [ConnectionID] = []
  let zones = ScriptedZones()
  let engine: Engine

  /// `log`: what an engine has recovered from.
  init(log: [[UInt8]] = []) {
    storage = ScriptedStorage()
    let clock = PlayedClock()
    self.clock = clock
    let engine = Engine(EngineConfiguration(), now: clock.time)
    for batch in log {
      let isRead = batch.withUnsafeBytes { engine.replay($0) }
      #expect(isRead)
    }
    engine.resume(at: clock.time)
    self.engine = engine
    let broker = Broker(
      engine: engine, storage: storage, configuration: BrokerConfiguration(server: "nuvom/test", fsync: "always"),
      transport: self, zones: zones, clock: { clock.time }, notify: { _ in })
    broker.onFailure = { [unowned self] error in failures.append(error) }
    made = broker
  }

  var broker: Broker {
    guard let made else { preconditionFailure("the broker is made at the beginning") }
    return made
  }

  // MARK: Transport

  func send(_ bytes: BorrowedBytes, to connection: ConnectionID) { sockets[connection, default: []] += bytes }
  func close(_ connection: ConnectionID) { closed.append(connection) }

  // MARK: Clients

  /// A connection that has said hello and was answered.
  func client(_ name: String? = nil) throws -> ConnectionID {
    let connection = try #require(broker.connect())
    say(connection, hello(name))
    broker.endTurn()
    _ = heard(connection)
    return connection
  }

  func hello(_ name: String? = nil) -> MessageValue {
    [0, 0, "hello", name.map { ["version": 1, "client_id": .string($0)] } ?? ["version": 1]]
  }

  /// Bytes arrive, in the middle of a turn.
  func say(_ connection: ConnectionID, _ message: MessageValue) { bytes(connection, frame(message)) }

  func say(_ connection: ConnectionID, _ id: UInt64, _ method: MessageValue, _ parameters: MessageValue = [:]) {
    say(connection, [0, .uint(id), method, parameters])
  }

  func enqueue(_ connection: ConnectionID, _ id: UInt64, _ payload: String = "x") {
    say(connection, id, "enqueue", ["jobs": [["task": "t", "payload": .string(payload)]]])
  }

  @discardableResult
  func bytes(_ connection: ConnectionID, _ bytes: [UInt8]) -> Int {
    bytes.withUnsafeBytes { broker.receive($0, from: connection) }
  }

  /// What a client's socket was given since the last time, a line a message: "3 ok", "3 LEASE_LOST", "goodbye REPLACED".
  func heard(_ connection: ConnectionID) -> [String] { messages(connection).map(Self.line) }

  /// The same in full.
  func messages(_ connection: ConnectionID) -> [MessageValue] {
    var messages: [MessageValue] = []
    let bytes = sockets.removeValue(forKey: connection) ?? []
    var position = 0
    while position + 4 <= bytes.count {
      let length = bytes[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
      position += 4
      guard position + length <= bytes.count,
        let message = try? MessageValue(decoding: Array(bytes[position..<position + length]))
      else { return messages + [.null] }
      position += length
      messages.append(message)
    }
    return position == bytes.count ? messages : messages + [.null]
  }

  private static func line(_ message: MessageValue) -> String {
    func code(_ value: MessageValue?) -> String? {
      if case .string(let code)? = value?["code"] { code } else { nil }
    }
    if message[0] == 2 { return "goodbye \(code(message[2]) ?? "?")" }
    guard case .uint(let id)? = message[1] else { return "unreadable" }
    if let code = code(message[2]) { return "\(id) \(code)" }
    if case .array(let jobs)? = message[3]?["jobs"] {
      let tokens = jobs.compactMap { job in
        if case .uint(let token)? = job["token"] { "t\(token)" } else { nil }
      }
      return "\(id) took \(tokens.joined(separator: " "))"
    }
    return "\(id) ok"
  }

  // MARK: Time

  /// Lets time pass as an owner of the broker does: called when it is due, and not otherwise.
  func advance(milliseconds: Int64) {
    let end = clock.time.boot + milliseconds * 1_000
    var calls = 0
    while let deadline = broker.nextDeadline, deadline <= end {
      calls += 1
      if calls > 10_000 {
        Issue.record("the broker wants to be called without end")
        return
      }
      clock.pass(max(0, deadline - clock.time.boot))
      broker.fireTimers()
      broker.endTurn()
    }
    clock.pass(end - clock.time.boot)
  }
}

/// Both clocks, moved by the test.
final class PlayedClock {
  private(set) var time = Time(boot: 1_000_000_000, wall: 1_700_000_000_000_000)
  func pass(_ microseconds: Int64) {
    time = Time(boot: time.boot + microseconds, wall: time.wall + microseconds)
  }
}

/// A storage that does what the test says.
final class ScriptedStorage: Storage {
  /// What the next submits and retries answer; when it is empty, they are done at once.
  var script: [CommitProgress] = []
  private(set) var batches: [[UInt8]] = []
  /// Of each batch, whether the broker had more to do.
  private(set) var wasBusy: [Bool] = []
  private(set) var retries = 0
  var freeRoom = Int.max
  var snapshotEstimate = 0
  var isSnapshotDue = false
  private(set) var feeds: [ScriptedFeed] = []
  private(set) var isSealed = false
  private(set) var isClosed = false

  private func next() -> CommitProgress {
    script.isEmpty ? .finished(.done(UInt64(batches.count))) : script.removeFirst()
  }
  func submit(_ batch: inout BatchBuffer, at time: LogTime, isBusy: Bool) -> CommitProgress {
    let isEmpty = batch.isEmpty
    #expect(!isEmpty)
    batches.append(batch.withBody { Array($0) })
    wasBusy.append(isBusy)
    batch.removeAll()
    return next()
  }
  func retry() -> CommitProgress {
    retries += 1
    return next()
  }
  var lastSequence: UInt64 { UInt64(batches.count) }
  func room(at time: LogTime) -> Int { freeRoom }
  func beginSnapshot(
    at time: LogTime, ready: @escaping @Sendable () -> Void,
    completion: @escaping @Sendable (Result<SnapshotInfo, StorageError>) -> Void
  ) -> (any SnapshotFeed)? {
    isSnapshotDue = false
    let feed = ScriptedFeed(batches: batches.count)
    feeds.append(feed)
    return feed
  }
  func seal(at time: LogTime) throws(StorageError) { isSealed = true }
  func close() { isClosed = true }
  var counters: StorageCounters { StorageCounters() }
}

/// A snapshot in memory. Parts are encoded when they are taken.
final class ScriptedFeed: SnapshotFeed {
  struct State {
    var takes = Int.max
    var parts: [[UInt8]] = []
    var isFinished = false
    var isCancelled = false
  }
  let state = Mutex(State())
  /// Batches that the log had when it was begun.
  let batches: Int

  init(batches: Int) { self.batches = batches }

  func offer(kind: UInt32, _ encode: @escaping @Sendable (inout BatchBuffer) -> Bool) -> Bool {
    state.withLock { state in
      if state.takes == 0 { return false }
      state.takes -= 1
      var buffer = BatchBuffer()
      while encode(&buffer) {
        state.parts.append(buffer.withBody { Array($0) })
        buffer.removeAll()
      }
      return true
    }
  }
  func finish() { state.withLock { $0.isFinished = true } }
  func cancel() { state.withLock { $0.isCancelled = true } }
}

/// Time zones that are as the test says.
final class ScriptedZones: ZoneSource {
  /// By their footers; one that is empty is a file that is damaged.
  private let footers = Mutex<[String: String]>([:])

  func set(_ name: String, _ footer: String?) { footers.withLock { $0[name] = footer } }

  func rules(named name: String) throws(ZoneError) -> ZoneRules? {
    if name == "UTC" { return .utc }
    guard let footer = footers.withLock({ $0[name] }) else { return nil }
    // Of the six counts in a header two are not 0: a type of local time, and the four characters of its name.
    func block() -> [UInt8] {
      var block = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
      for count: UInt8 in [0, 0, 0, 0, 1, 4] { block += [0, 0, 0, count] }
      return block + [0, 0, 0, 0, 0, 0] + Array("LMT\0".utf8)
    }
    let file = block() + block() + Array("\n\(footer)\n".utf8)
    do {
      if footer.isEmpty { throw ZoneError(zone: name, message: "the file is damaged; install tzdata anew") }
      return try file.withUnsafeBytes { try ZoneRules(tzif: $0) }
    } catch {
      throw ZoneError(zone: name, message: "\(error)")
    }
  }
}

/// A message with its length before it.
func frame(_ message: MessageValue) -> [UInt8] {
  guard let body = try? message.encoded() else { return [] }
  return withUnsafeBytes(of: UInt32(body.count).bigEndian) { Array($0) } + body
}
