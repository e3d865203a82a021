import NuvomEngine
import NuvomModel
import NuvomSchedule

/// Blocks that are used again: to fetch them from the system would take most of the time. For one thread.
private final class KeptBlocks: BlockSource, @unchecked Sendable {
  static let shared = KeptBlocks()
  private var free: [UnsafeMutableRawPointer] = []

  func take() -> UnsafeMutableRawPointer {
    free.popLast() ?? .allocate(byteCount: Self.blockBytes, alignment: 4096)
  }

  func give(_ block: UnsafeMutableRawPointer) { free.append(block) }
}

/// An engine with its log, driven by requests.
struct PlayedEngine: ~Copyable {
  static let beginning = Time(boot: 1_000_000_000, wall: 1_700_000_000_000_000)

  /// Small limits, so that short inputs reach them.
  static var configuration: EngineConfiguration {
    var configuration = EngineConfiguration(memoryLimit: 64 << 20, hashSeed: 7, deadLetterLimit: 3)
    configuration.slotLimit = 1 << 16
    configuration.blocks = KeptBlocks.shared
    return configuration
  }

  let engine: Engine
  var time = Self.beginning
  private var log: [[UInt8]] = []
  private var outcome = Outcome()
  private var connection = ConnectionID(rawValue: 0)

  init() {
    engine = Engine(Self.configuration, now: Self.beginning)
    engine.resume(at: Self.beginning)
    "UTC".withStaticBytes { engine.take(.utc, ofZone: $0) }
    if let connection = engine.connect() {
      self.connection = connection
      engine.beginTurn(time)
      _ = "fuzz".withStaticBytes { engine.hello(connection, clientID: $0) }
    }
    flush()
  }

  mutating func handle(_ request: borrowing Request, afterSeconds seconds: Int64) {
    if seconds > 0 { pass(seconds < 200 ? seconds : (seconds - 199) * 40_000) }
    engine.beginTurn(time)
    // A broker looks for a definition's zone first; the engine asks for no other.
    var isKnown = true
    for schedule in request.schedules {
      if case .cron(_, let zone, _, _) = schedule.times, !engine.knowsZone(zone) { isKnown = false }
    }
    if isKnown, request.method != .hello { engine.handle(request, from: connection, into: &outcome) }
    flush()
  }

  /// Lets time go by, and does what becomes due.
  private mutating func pass(_ seconds: Int64) {
    time = Time(boot: time.boot + seconds * 1_000_000, wall: time.wall + seconds * 1_000_000)
    for _ in 0..<20 {
      engine.beginTurn(time)
      let isDone = engine.fireTimers(limit: 50, into: &outcome)
      flush()
      if isDone { break }
    }
  }

  private mutating func flush() {
    _ = engine.compactOnce()
    if engine.eventBytes.count > 0 { log.append(Array(engine.eventBytes)) }
    engine.clearEvents()
    outcome.removeAll()
  }

  /// What was decided can be read again, and gives as much.
  func checkReplay() {
    let copy = Engine(Self.configuration, now: Self.beginning)
    for batch in log {
      check(batch.withUnsafeBytes { copy.replay($0) }, "what an engine wrote, an engine reads")
    }
    check(Figures(copy) == Figures(engine), "the log gives the state: \(Figures(copy)), not \(Figures(engine))")
    goOn(copy, from: time)
  }
}

/// What two engines that know the same agree in.
private struct Figures: Equatable {
  var statistics: Statistics
  let liveBytes: Int

  init(_ engine: Engine) {
    statistics = engine.statistics()
    liveBytes = engine.liveBytes
    // Not what is remembered, but what is true of one process.
    statistics.connections = 0
    statistics.memoryBytes = 0
    statistics.fireLateness = FireLateness()
    statistics.firesPostponed = 0
    statistics.clockSteps = 0
    statistics.refused = 0
  }
}

/// A broker's life with a recovered engine: it starts, what is due fires, a snapshot is told and read.
func goOn(_ engine: Engine, from time: Time) {
  var outcome = Outcome()
  engine.resume(at: time)
  engine.clearEvents()
  for name in engine.zonesInUse {
    var name = name
    name.withUTF8 { engine.take(.utc, ofZone: BorrowedBytes($0)) }
  }
  for seconds in [0, 1, 100, 3_000_000] as [Int64] {
    engine.beginTurn(Time(boot: time.boot + seconds * 1_000_000, wall: time.wall + seconds * 1_000_000))
    _ = engine.fireTimers(limit: 200, into: &outcome)
    engine.clearEvents()
    outcome.removeAll()
  }
  var parts = [engine.beginSnapshot()]
  while let chunk = engine.nextSnapshotChunk(pages: 8) {
    let encoder = chunk.encoder()
    while let part = encoder.next() { parts.append(part) }
  }
  engine.endSnapshot()
  let restored = Engine(PlayedEngine.configuration, now: time)
  for (index, part) in parts.enumerated() {
    let isRead = part.withUnsafeBytes { index == 0 ? restored.restoreHeader($0) : restored.restoreChunk($0) }
    check(isRead, "part \(index) of an engine's snapshot is read by an engine")
  }
  check(restored.isRestored, "an engine's snapshot is whole")
  check(Figures(restored) == Figures(engine), "a snapshot gives the state")
}

extension StaticString {
  func withStaticBytes<Result>(_ body: (BorrowedBytes) -> Result) -> Result {
    withUTF8Buffer { body(BorrowedBytes($0)) }
  }
}

extension String {
  func withStaticBytes<Result>(_ body: (BorrowedBytes) -> Result) -> Result {
    var copy = self
    return copy.withUTF8 { body(BorrowedBytes($0)) }
  }
}
