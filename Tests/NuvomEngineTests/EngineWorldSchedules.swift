import NuvomModel
import NuvomSchedule
import Testing

@testable import NuvomEngine

// What a test says of schedules. Times are told in milliseconds since the world's beginning.

extension EngineWorld {
  /// The wall clock at the beginning: 2023-11-14 22:13:20 UTC.
  static let beginning: Int64 = 1_700_000_000_000

  /// So long after the beginning, on the wall clock.
  static func wall(_ milliseconds: Int64) -> UInt64 { UInt64(beginning + milliseconds) }

  func definition(_ name: String, _ change: (inout NewSchedule) -> Void) -> NewSchedule {
    var schedule = NewSchedule()
    schedule.name = bytes(name)
    schedule.job = job(name)
    change(&schedule)
    return schedule
  }

  @discardableResult
  func define(_ name: String, id: UInt64? = nil, _ change: (inout NewSchedule) -> Void) -> String {
    say(.schedule, id: id) { $0.schedules = [definition(name, change)] }.text
  }

  @discardableResult
  func every(_ name: String, _ milliseconds: UInt64, _ change: (inout NewSchedule) -> Void = { _ in }) -> String {
    define(name) {
      $0.times = .every(milliseconds: milliseconds)
      change(&$0)
    }
  }

  @discardableResult
  func once(_ name: String, at milliseconds: Int64, _ change: (inout NewSchedule) -> Void = { _ in }) -> String {
    define(name) {
      $0.times = .at(milliseconds: Self.wall(milliseconds))
      change(&$0)
    }
  }

  @discardableResult
  func once(_ name: String, after milliseconds: UInt64, _ change: (inout NewSchedule) -> Void = { _ in }) -> String {
    define(name) {
      $0.times = .after(milliseconds: milliseconds)
      change(&$0)
    }
  }

  @discardableResult
  func cron(
    _ name: String, _ expression: String, zone: String = "UTC", gap: GapPolicy = .shift, fold: FoldPolicy = .first,
    _ change: (inout NewSchedule) -> Void = { _ in }
  ) -> String {
    define(name) {
      $0.times = .cron(bytes(expression), zone: bytes(zone), gap, fold)
      change(&$0)
    }
  }

  /// schedule_pause, schedule_resume, schedule_trigger, schedule_delete.
  @discardableResult
  func change(_ method: Method, _ names: String..., id: UInt64? = nil) -> String {
    say(method, id: id) { $0.names = names.map { bytes($0) } }.text
  }

  func schedule(_ name: String) -> ScheduleDetails? { say(.scheduleGet) { $0.names = [bytes(name)] }.schedule }

  func show(_ name: String) -> String { say(.scheduleGet) { $0.names = [bytes(name)] }.text }

  func list(limit: Int = 100, _ filter: (inout Request.Filter) -> Void = { _ in }) -> String {
    say(.schedules) {
      $0.filter.limit = limit
      filter(&$0.filter)
    }.text
  }

  /// Takes all that is ready, acks it, and tells for which due times it was: "tick 10000".
  func runs(_ queue: String = "q") -> [String] {
    take([queue], max: 10_000).taken.map { job in
      ack(name(job.id))
      return job.schedule.isEmpty ? "\(job.payload) by hand" : "\(job.schedule) \(job.dueMilliseconds - Self.beginning)"
    }
  }

  /// Sets the wall clock without letting time pass, before anything was done.
  func begin(at iso: String) throws {
    let seconds = try #require(ISOTime(iso)?.seconds)
    time.wall = seconds * 1_000_000
    restart()
  }

  /// The due times for which jobs are ready, in UTC.
  func instants() -> [String] {
    take(max: 10_000).taken.map { job in
      ack(name(job.id))
      return "\(ISOTime(seconds: job.dueMilliseconds / 1_000, in: .utc))"
    }
  }
}

/// A zone of which a footer says everything, as its file would: `CET-1CEST,M3.5.0,M10.5.0/3`.
func zone(_ footer: String) throws -> ZoneRules {
  // Of the six counts in a header two are not 0: a type of local time, and the four characters of its name.
  func block() -> [UInt8] {
    var block = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
    for count: UInt8 in [0, 0, 0, 0, 1, 4] { block += [0, 0, 0, count] }
    return block + [0, 0, 0, 0, 0, 0] + Array("LMT\0".utf8)
  }
  let file = block() + block() + Array("\n\(footer)\n".utf8)
  return try file.withUnsafeBytes { try ZoneRules(tzif: $0) }
}

/// Central European time, as it is.
func centralEurope() throws -> ZoneRules { try zone("CET-1CEST,M3.5.0,M10.5.0/3") }
