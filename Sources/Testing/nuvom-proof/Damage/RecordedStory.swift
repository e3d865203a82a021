import NuvomBroker
import NuvomEngine
import NuvomModel
import NuvomSchedule
import NuvomStorage
import NuvomWAL

/// A log on disk in which every kind of event is: an engine's life with clients, told round after round.
///
/// The same rounds always make the same events. What was committed is remembered here too, so that what is read from the disk has
/// something to be compared with that never was there.
final class RecordedStory {
  /// What was committed, in order.
  private(set) var batches: [(sequence: UInt64, body: [UInt8])] = []
  private(set) var time = Time(boot: 1_000_000_000_000, wall: 1_700_000_000_000_000)
  let directory: String
  private let options: WALOptions
  private var engine: Engine
  private var storage: WALStorage
  private var buffer = BatchBuffer(bodyCapacity: 4_096)
  private var outcome = Outcome()
  private var connection = ConnectionID(rawValue: 0)
  private var request: UInt64 = 0
  private var round = 0
  private var zones: [String: ZoneRules] = ["UTC": .utc]
  private var kept: [UnsafeMutableRawBufferPointer] = []
  /// The last token of each job, by its id.
  private var tokens: [JobID: LeaseToken] = [:]

  /// Few slots, since thousands of engines are made; few dead letters, so that some are dropped.
  static var configuration: EngineConfiguration {
    var configuration = EngineConfiguration(hashSeed: 7, deadLetterLimit: 3)
    configuration.slotLimit = 1 << 16
    return configuration
  }

  /// Begins a log in a directory that is empty or missing.
  init(_ directory: String, segmentBytes: Int = 64 << 10) throws {
    self.directory = directory
    var options = WALOptions()
    options.segmentBytes = segmentBytes
    options.placement = .inline
    self.options = options
    (engine, storage) = try Self.open(directory, options, time)
    start()
  }

  deinit {
    storage.close()
    kept.forEach { $0.deallocate() }
  }

  // MARK: Starts and ends

  private static func open(_ directory: String, _ options: WALOptions, _ time: Time) throws -> (Engine, WALStorage) {
    let recovery = EngineRecovery(configuration, now: time)
    let (storage, _) = try WALStorage.open(
      directory, options: options, at: LogTime(time), handler: recovery, completion: { _ in })
    return (try recovery.finished(), storage)
  }

  private func start() {
    engine.resume(at: time)
    for (name, rules) in zones.sorted(by: { $0.key < $1.key }) { engine.take(rules, ofZone: bytes(name)) }
    flush()
  }

  /// Ends the log, cleanly or as a crash does, and begins again after so many seconds.
  private func restart(sealing: Bool, awaySeconds: Int64) throws {
    try close(sealing: sealing)
    time = Time(boot: time.boot + awaySeconds * 1_000_000, wall: time.wall + awaySeconds * 1_000_000)
    (engine, storage) = try Self.open(directory, options, time)
    // As when a part of the log had been lost, since that is an event, too.
    if let events = engine.salvage(LostEvents(), unreadableBytes: 40) {
      events.withUnsafeBytes { buffer.append($0) }
      submit(events)
    }
    start()
  }

  /// Ends the log, cleanly or as a crash does.
  func close(sealing: Bool) throws {
    if sealing { try storage.seal(at: LogTime(time)) }
    storage.close()
  }

  // MARK: What clients say

  private func bytes(_ text: String) -> BorrowedBytes { bytes(Array(text.utf8)) }

  /// Bytes that live as long as the story.
  private func bytes(_ values: [UInt8]) -> BorrowedBytes {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: values.count, alignment: 1)
    copy.copyBytes(from: values)
    kept.append(copy)
    return BorrowedBytes(copy)
  }

  private func flush() {
    _ = engine.compactOnce()
    if engine.eventBytes.count > 0 {
      buffer.append(engine.eventBytes)
      submit(Array(engine.eventBytes))
    }
    engine.clearEvents()
    for delivery in outcome.deliveries { tokens[delivery.id] = delivery.token }
    outcome.removeAll()
  }

  /// Commits what is in the buffer.
  private func submit(_ events: [UInt8]) {
    guard case .finished(.done(let sequence)) = storage.submit(&buffer, at: LogTime(time), isBusy: false) else {
      preconditionFailure("a commit on an empty disk is done at once")
    }
    batches.append((sequence, events))
  }

  /// Says a request; gives the ids that the answer names, those of deliveries included.
  @discardableResult
  private func say(_ method: Method, id: UInt64? = nil, _ fill: (inout Request) -> Void) -> [JobID] {
    var said = Request()
    said.method = method
    request = id ?? request + 1
    said.id = RequestID(rawValue: request)
    fill(&said)
    engine.beginTurn(time)
    engine.handle(said, from: connection, into: &outcome)
    let ids = outcome.deliveries.map(\.id) + outcome.ids
    flush()
    return ids
  }

  private func job(_ payload: String, _ change: (inout NewJob) -> Void = { _ in }) -> NewJob {
    var job = NewJob()
    job.queue = bytes("queue-\(round)")
    job.task = bytes("task-\(round % 3)")
    job.payload = bytes(payload)
    job.backoff = Backoff(growth: .fixed, baseMilliseconds: 600_000, capMilliseconds: 600_000, jitterPercent: 0)
    change(&job)
    return job
  }

  private func settle(_ kind: Settlement.Kind, _ id: JobID, _ change: (inout Settlement) -> Void = { _ in }) {
    let method: Method =
      switch kind {
      case .ack: .ack
      case .nack: .nack
      case .release: .release
      case .extend: .extend
      }
    say(method) {
      var settlement = Settlement(kind: kind, id: id, token: tokens[id] ?? LeaseToken(rawValue: 0))
      change(&settlement)
      $0.settlements = [settlement]
    }
  }

  private func define(_ name: String, _ times: ScheduleTimes, _ change: (inout NewSchedule) -> Void = { _ in }) {
    say(.schedule) {
      var schedule = NewSchedule()
      schedule.name = bytes("\(name)-\(round)")
      schedule.times = times
      schedule.job = job(name)
      change(&schedule)
      $0.schedules = [schedule]
    }
  }

  private func change(_ method: Method, _ schedule: String) {
    say(method) { $0.names = [bytes("\(schedule)-\(round)")] }
  }

  /// Lets time go by on both clocks, and does what becomes due when it is due.
  private func advance(milliseconds: Int64) {
    let end = Time(boot: time.boot + milliseconds * 1_000, wall: time.wall + milliseconds * 1_000)
    while true {
      let (boot, wall) = engine.nextDeadline
      let next = min(boot.map { $0 - time.boot } ?? .max, wall.map { $0 - time.wall } ?? .max)
      if next > end.boot - time.boot { break }
      let step = max(0, next)
      time = Time(boot: time.boot + step, wall: time.wall + step)
      fireTimers()
    }
    time = end
    fireTimers()
  }

  private func fireTimers() {
    var isDone = false
    while !isDone {
      engine.beginTurn(time)
      isDone = engine.fireTimers(limit: 20, into: &outcome)
      flush()
    }
  }

  // MARK: The story

  /// Tells a round, in which every kind of event happens. Its end is a clean one or a crash, in turn.
  func tellRound() throws {
    round += 1
    connection = engine.connect() ?? connection
    engine.beginTurn(time)
    _ = engine.hello(connection, clientID: bytes("client-\(round)"))
    flush()
    request = 0
    tellJobs()
    try tellSchedules()
    // The client is forgotten, and what was kept has been kept long enough.
    engine.beginTurn(time)
    engine.disconnect(connection)
    flush()
    advance(milliseconds: 700_000)
    try restart(sealing: round % 2 == 0, awaySeconds: 10)
    connection = engine.connect() ?? connection
  }

  private func tellJobs() {
    let unique = { [self] (job: inout NewJob) in
      job.uniqueKey = bytes("key-\(round)")
      job.uniqueMilliseconds = 1_000
      job.retentionMilliseconds = 60_000
    }
    say(.enqueue) { $0.jobs = [job("unique", unique)] }
    say(.enqueue) { $0.jobs = [job("unique", unique)] }
    let dueAt = UInt64(time.wallMilliseconds) + 500
    say(.enqueue) {
      $0.jobs = [
        job("delayed") { $0.start = .after(milliseconds: 500) },
        job("at a time") { $0.start = .at(milliseconds: dueAt) },
        job("expires") {
          $0.expiry = .after(milliseconds: 400)
          $0.priority = 9
        },
      ]
    }
    say(.enqueue) { request in
      request.jobs = (0..<7).map { number in
        job("job \(number) of round \(round)") {
          $0.headers = bytes([0x81, 0xA1, 0x61, 0x01])
          $0.tags = bytes([0x91, 0xA1, 0x62])
          $0.retentionMilliseconds = number == 2 ? 0 : 3_600_000
          $0.timeoutMilliseconds = 5_000
        }
      }
    }
    let taken = say(.dequeue) {
      $0.queues = [bytes("queue-\(round)")]
      $0.maximum = 8
      $0.leaseMilliseconds = 30_000
    }
    settle(.extend, taken[0]) { $0.leaseMilliseconds = 40_000 }
    settle(.ack, taken[1]) {
      $0.hasResult = true
      $0.result = bytes([0xA4, 0x64, 0x6F, 0x6E, 0x65])
    }
    settle(.ack, taken[3])
    settle(.nack, taken[4]) {
      $0.errorType = bytes("Broken")
      $0.errorMessage = bytes("it broke")
      $0.errorTrace = bytes("here")
    }
    for dead in taken[5...6] {
      settle(.nack, dead) {
        $0.retry = false
        $0.errorMessage = bytes("it cannot be done")
      }
    }
    settle(.release, taken[7])
    say(.cancel) { $0.ids = [taken[2]] }
    // Delays end, the key is free again, what was not begun expires.
    advance(milliseconds: 2_000)
    say(.dequeue) {
      $0.queues = [bytes("queue-\(round)")]
      $0.leaseMilliseconds = 1_000
      $0.settlements = [Settlement(kind: .ack, id: taken[0], token: tokens[taken[0]] ?? LeaseToken(rawValue: 0))]
    }
    advance(milliseconds: 2_000)
    say(.deadReplay) {
      $0.ids = [taken[5]]
      $0.filter.limit = 10
    }
    say(.deadDelete) {
      $0.ids = [taken[6]]
      $0.filter.limit = 10
    }
    say(.pause) { $0.queues = [bytes("queue-\(round)")] }
    say(.resume) { $0.queues = [bytes("queue-\(round)")] }
  }

  private func tellSchedules() throws {
    let zone = "Test/Zone-\(round)"
    take(hours: 1, ofZone: zone)
    define("cron", .cron(bytes("0 */5 * * * *"), zone: bytes(zone), .shift, .first)) {
      $0.maximumFires = 100
      $0.jitterMilliseconds = 1_000
      $0.metadata = bytes([0x81, 0xA1, 0x61, 0xA1, 0x62])
      $0.endMilliseconds = UInt64(time.wallMilliseconds) + 3_600_000
    }
    define("far", .cron(bytes("30 3 1 1 *"), zone: bytes(zone), .skip, .both))
    define("skipping", .every(milliseconds: 2_000)) { $0.overlap = .skip }
    define("waiting", .every(milliseconds: 2_000)) {
      $0.overlap = .bufferOne
      $0.misfire = .skip
      $0.job.retentionMilliseconds = 1_000
    }
    define("once", .after(milliseconds: 1_000)) {
      $0.retentionMilliseconds = 1_000
      $0.job.expiry = .after(milliseconds: 60_000)
    }
    advance(milliseconds: 5_000)
    define("skipping", .every(milliseconds: 4_000)) { $0.overlap = .skip }
    change(.scheduleTrigger, "cron")
    change(.schedulePause, "skipping")
    change(.scheduleResume, "skipping")
    take(hours: 2, ofZone: zone)
    advance(milliseconds: 10)
    // The first job of `waiting` is done, so the fire that waited for it happens.
    say(.purge) {
      $0.queues = [bytes("queue-\(round)")]
      $0.filter.limit = 1_000
    }
    define("missing", .every(milliseconds: 20_000)) {
      $0.misfire = .skip
      $0.catchUpMilliseconds = 1_000
    }
    try restart(sealing: round % 2 == 1, awaySeconds: 30)
    connection = engine.connect() ?? connection
    engine.beginTurn(time)
    _ = engine.hello(connection, clientID: bytes("client-\(round)"))
    flush()
    advance(milliseconds: 1_000)
    for name in ["cron", "skipping", "waiting", "missing"] { change(.scheduleDelete, name) }
  }

  private func take(hours: Int, ofZone name: String) {
    guard let rules = FixedZone.rules(hours: hours) else { preconditionFailure("a zone of a fixed offset is one") }
    zones[name] = rules
    engine.beginTurn(time)
    engine.take(rules, ofZone: bytes(name))
    flush()
  }

  /// Enqueues and cancels a job that is larger than a segment, so that the log goes on in another one.
  func rollSegment() {
    connection = engine.connect() ?? connection
    let ids = say(.enqueue) {
      $0.jobs = [job(String(repeating: "large ", count: options.segmentBytes / 6))]
    }
    say(.cancel) { $0.ids = ids }
  }

  /// What the engine knows, in words.
  var stateLines: [String] { engine.stateLines() }
  var digest: UInt64 { engine.digest() }

  /// Enqueues a small job, which stays.
  func tellJob(_ payload: String) { say(.enqueue) { $0.jobs = [job(payload)] } }

  /// Writes a snapshot of the state after the last batch, and waits until it is on disk.
  func takeSnapshot() throws -> SnapshotInfo {
    engine.beginTurn(time)
    let header = engine.beginSnapshot()
    defer { engine.endSnapshot() }
    let ended = Signal<Result<SnapshotInfo, StorageError>>()
    guard
      let feed = storage.beginSnapshot(at: LogTime(time), ready: {}, completion: { ended.tell($0) })
    else { preconditionFailure("one snapshot at a time") }
    var encoders = [SnapshotEncoder(header)]
    while let chunk = engine.nextSnapshotChunk(pages: 16) { encoders.append(chunk.encoder()) }
    let queue = PartQueue(encoders)
    // One offer for all of it: the function is asked for part after part.
    for kind in [SnapshotChunkKind.header, .table] {
      let isTaken = feed.offer(kind: kind.rawValue) { buffer in
        guard let part = queue.next(kind) else { return false }
        part.withUnsafeBytes { buffer.append($0) }
        return true
      }
      precondition(isTaken, "there is room for two")
    }
    feed.finish()
    return try ended.wait().get()
  }
}

/// The parts of a snapshot, for the thread that writes it.
private final class PartQueue: @unchecked Sendable {
  private var encoders: ArraySlice<SnapshotEncoder>
  private var isHeaderGiven = false

  init(_ encoders: [SnapshotEncoder]) { self.encoders = encoders[...] }

  func next(_ kind: SnapshotChunkKind) -> [UInt8]? {
    if kind == .header {
      defer { isHeaderGiven = true }
      return isHeaderGiven ? nil : encoders.popFirst()?.next()
    }
    while let encoder = encoders.first {
      if let part = encoder.next() { return part }
      encoders.removeFirst()
    }
    return nil
  }
}

/// Zones that nobody has to have installed.
enum FixedZone {
  /// A zone so many hours (1…9) east of Greenwich, all year round.
  static func rules(hours: Int) -> ZoneRules? {
    func counted(_ version: Character) -> [UInt8] {
      var block = Array("TZif\(version)".utf8) + [UInt8](repeating: 0, count: 15)
      for count in [0, 0, 0, 0, 1, 4] as [UInt8] { block += [0, 0, 0, count] }
      let offset = UInt32(hours * 3_600)
      block += withUnsafeBytes(of: offset.bigEndian) { Array($0) } + [0, 0]
      return block + Array("+0\(hours)\0".utf8)
    }
    let file = counted("2") + counted("2") + Array("\n<+0\(hours)>-\(hours)\n".utf8)
    return file.withUnsafeBytes { try? ZoneRules(tzif: $0) }
  }
}
