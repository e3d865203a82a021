import NuvomModel

/// What happened in batches of a damaged log that cannot follow from what is before them any more.
package struct LostEvents: Sendable, Equatable {
  /// Jobs that were enqueued, by clients or schedules.
  package private(set) var enqueued: [JobID] = []
  /// Jobs that finished: acked, cancelled, expired, or dead after an attempt.
  package private(set) var finished: [JobID] = []
  /// Leases given.
  package private(set) var deliveries = 0
  /// Schedules that were made or defined anew.
  package private(set) var schedules: [[UInt8]] = []
  /// Fires of schedules.
  package private(set) var fires = 0
  /// Batches that are intact and yet hold no events of this version.
  package private(set) var unknown = 0
  private var highestGeneration: UInt32 = 0
  private var highestToken: UInt64 = 0

  package init() {}

  /// Takes a batch's events.
  package mutating func add(_ batch: BorrowedBytes, partition: UInt8) {
    var reader = EventReader(batch)
    while !reader.isAtEnd {
      guard let event = Event.read(from: &reader, partition: partition) else {
        unknown += 1
        return
      }
      add(event)
    }
  }

  private mutating func add(_ event: Event) {
    switch event {
    case .scheduled(_, _, _, _, let body), .rescheduled(_, _, _, _, _, let body):
      if let body = ScheduleBody(body) { schedules.append(Array(body.name)) }
    case .fired: fires += 1
    default: break
    }
    guard let change = JobEvent(event) else { return }
    highestGeneration = max(highestGeneration, change.id.generation)
    switch change.kind {
    case .enqueued: enqueued.append(change.id)
    case .leased(let token):
      deliveries += 1
      highestToken = max(highestToken, token.rawValue)
    case .acked, .cancelled, .expired: finished.append(change.id)
    default: if change.deadReason != nil { finished.append(change.id) }
    }
  }

  /// The fewest bytes that the log takes for a job that came and went, and for a lease.
  private static var bytesOfJob: Int { 10 }
  private static var bytesOfLease: Int { 4 }

  /// What no engine may give out any more that goes on without these events and without what stood in so many bytes that nobody can read;
  /// nil if that would use up the ids.
  func salvage(_ engine: Engine, unreadableBytes: Int) -> Event? {
    let highest = Int(max(highestGeneration + 1, engine.jobs.generationBound))
    let (generation, isTooMuch) = highest.addingReportingOverflow(unreadableBytes / Self.bytesOfJob + 1)
    guard !isTooMuch, generation <= Int(Slab<JobRecord>.lastGeneration) else { return nil }
    let token = max(highestToken, engine.scalars.pointee.nextToken) + UInt64(unreadableBytes / Self.bytesOfLease) + 1
    return .salvaged(generation: UInt32(generation), token: LeaseToken(rawValue: token))
  }
}

extension Engine {
  /// Takes note, while a log is replayed, that events of it are lost, besides those of so many bytes that cannot be read: no id and no
  /// token that they may have given out is given out again. Returns the events that say so, to be put into the log before anything else;
  /// nil, and nothing changes, if so much is lost that ids would run out.
  package func salvage(_ lost: LostEvents, unreadableBytes: Int) -> [UInt8]? {
    guard let event = lost.salvage(self, unreadableBytes: unreadableBytes) else { return nil }
    let writer = EventWriter(capacity: 64)
    event.write(to: writer)
    return replay(writer.bytes) ? Array(writer.bytes) : nil
  }
}
