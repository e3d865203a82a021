import MessagePack
import NuvomEngine
import NuvomModel
import NuvomSchedule
import NuvomWAL
import NuvomWire

/// The core as the broker's loop drives it (`NuvomBroker/Broker.swift`), without storage and transport: what a turn does to the engine, in the same
/// order and with state in the same kind of place.
final class Core {
  let engine: Engine
  let connection: ConnectionID
  let outcome = Place(Outcome())
  private let clock: Place<Time>
  private let payload = Bytes(Frames.payload)
  private let queue = Bytes(Array(Frames.queue.utf8))

  /// Time between two turns of a busy loop, in µs.
  private static let turnMicroseconds: Int64 = 20
  /// Room on a disk that has enough.
  private static let diskRoom = 1 << 40

  /// An engine with so many ready jobs of 100 bytes. With `clientID`, its one connection wants safe retries.
  init(jobs: Int = 0, clientID: String? = nil) throws {
    let start = Time(boot: 1_000_000_000_000, wall: 1_700_000_000_000_000)
    engine = Engine(EngineConfiguration(memoryLimit: 1 << 32, hashSeed: 7), now: start)
    engine.resume(at: start)
    guard let connection = engine.connect() else { throw WrongWork("the engine took no connection") }
    self.connection = connection
    clock = Place(start)
    let name = Bytes(Array((clientID ?? "").utf8))
    guard engine.hello(connection, clientID: name.borrowed) != nil else { throw WrongWork("hello was refused") }
    engine.clearEvents()
    try fill(jobs)
  }

  private func fill(_ count: Int) throws {
    let request = Place(Request())
    var left = count
    while left > 0 {
      let jobs = min(left, 1_000)
      prepareEnqueue(&request.pointer.pointee, jobs: jobs)
      inTurn { handle(request) }
      try expect(outcome.pointer.pointee.ids.count == jobs, "the engine refused jobs")
      forgetOutcome()
      left -= jobs
    }
  }

  // MARK: Turns

  @inline(__always)
  func beginTurn(after microseconds: Int64 = turnMicroseconds) {
    clock.pointer.pointee.boot += microseconds
    clock.pointer.pointee.wall += microseconds
    engine.beginTurn(clock.pointer.pointee, diskRoom: Self.diskRoom)
  }

  @inline(__always)
  func endTurn() {
    _ = engine.compactOnce()
    engine.clearEvents()
  }

  @inline(__always)
  func inTurn(_ body: () -> Void) {
    beginTurn()
    body()
    endTurn()
  }

  var time: LogTime {
    LogTime(bootMicroseconds: clock.pointer.pointee.boot, wallMicroseconds: clock.pointer.pointee.wall)
  }

  @inline(__always)
  func handle(_ request: Place<Request>) {
    engine.handle(request.pointer.pointee, from: connection, into: &outcome.pointer.pointee)
  }

  @inline(__always)
  func forgetOutcome() { outcome.pointer.pointee.removeAll() }

  // MARK: Requests, as the decoder leaves them

  func prepareEnqueue(_ request: inout Request, jobs: Int, start: Moment = .unspecified) {
    request.removeAll()
    request.id = RequestID(rawValue: request.id.rawValue + 1)
    request.method = .enqueue
    var job = NewJob()
    job.queue = queue.borrowed
    job.task = queue.borrowed
    job.payload = payload.borrowed
    job.start = start
    for _ in 0..<jobs { request.jobs.append(job) }
  }

  /// Makes the zone UTC known; returns its name.
  func takeUTC() throws -> Bytes {
    let name = Bytes(Array("UTC".utf8))
    inTurn { engine.take(.utc, ofZone: name.borrowed) }
    return name
  }

  func prepareSchedule(_ request: inout Request, name: Bytes, _ times: ScheduleTimes) {
    request.removeAll()
    request.id = RequestID(rawValue: request.id.rawValue + 1)
    request.method = .schedule
    var schedule = NewSchedule()
    schedule.name = name.borrowed
    schedule.times = times
    schedule.job.queue = queue.borrowed
    schedule.job.task = queue.borrowed
    schedule.job.payload = payload.borrowed
    request.schedules.append(schedule)
  }

  func prepareDequeue(_ request: inout Request, maximum: Int) {
    request.removeAll()
    request.method = .dequeue
    request.queues.append(queue.borrowed)
    request.maximum = maximum
    request.waitMilliseconds = 30_000
  }

  /// Makes a dequeue bring acks of everything that the last one was given.
  @inline(__always)
  func acknowledgeDelivered(in request: Place<Request>) {
    request.pointer.pointee.settlements.removeAll(keepingCapacity: true)
    for index in outcome.pointer.pointee.deliveries.indices {
      let id = outcome.pointer.pointee.deliveries[index].id
      let token = outcome.pointer.pointee.deliveries[index].token
      request.pointer.pointee.settlements.append(Settlement(kind: .ack, id: id, token: token))
    }
  }
}
