import MessagePack
import NuvomModel
import NuvomSchedule

extension Request {
  /// schedule: `{"schedules": [definition, …]}`.
  mutating func readSchedules(from cursor: inout MessageCursor, pairs: Int) throws(RefusedRequest) {
    guard var list = try cursor.onlyList("schedules", pairs: pairs) else {
      throw RefusedRequest(parameter: "schedules")
    }
    let count = try list.list("schedules", count: Ranges.items)
    for index in 0..<count {
      do throws(RefusedRequest) {
        schedules.append(try NewSchedule(from: &list))
      } catch {
        throw error.inside("schedules", at: index)
      }
    }
  }

  /// schedule_get: `{"name": str}`.
  mutating func readScheduleName(from cursor: inout MessageCursor, pairs count: Int) throws(RefusedRequest) {
    var pairs = count
    while let key = try cursor.nextParameter(&pairs) {
      if key == "name" { names = [try cursor.name("name")] } else { cursor.skip() }
    }
    if names.isEmpty { throw RefusedRequest(parameter: "name") }
  }

  /// schedule_pause, schedule_resume, schedule_trigger, schedule_delete: `{"names": [str, …]}`.
  mutating func readScheduleNames(from cursor: inout MessageCursor, pairs: Int) throws(RefusedRequest) {
    guard var list = try cursor.onlyList("names", pairs: pairs) else { throw RefusedRequest(parameter: "names") }
    for index in 0..<(try list.list("names", count: Ranges.items)) {
      guard let name = list.readUTF8(), isName(name) else { throw RefusedRequest(item: index, of: "names") }
      names.append(name)
    }
  }

  /// schedules.
  mutating func readScheduleFilter(from cursor: inout MessageCursor, pairs count: Int) throws(RefusedRequest) {
    filter.limit = 100
    var pairs = count
    while let key = try cursor.nextParameter(&pairs) {
      switch key {
      case "limit":
        filter.limit = Int(truncatingIfNeeded: try cursor.uint("limit", in: 1...UInt64(ProtocolLimits.itemsPerRequest)))
      case "after": filter.afterName = try cursor.name("after")
      case "prefix": filter.prefix = try cursor.text("prefix", maximumBytes: ProtocolLimits.nameBytes)
      case "queue": filter.queue = try cursor.name("queue")
      case "task": filter.task = try cursor.name("task")
      default: cursor.skip()
      }
    }
  }
}

extension NewSchedule {
  /// Reads one definition's map.
  fileprivate init(from cursor: inout MessageCursor) throws(RefusedRequest) {
    self.init()
    guard var pairs = cursor.readMapHeader() else { throw .wholeItem }
    var times = TimesReading()
    var isJobGiven = false
    while let key = try cursor.nextKey(&pairs, or: .wholeItem) {
      switch key {
      case "name": name = try cursor.name("name")
      case "at_ms", "in_ms", "every_ms", "cron", "time_zone", "gap", "fold": try times.read(key, from: &cursor)
      case "start_at_ms": startMilliseconds = try cursor.uint("start_at_ms", in: Ranges.time)
      case "end_at_ms": endMilliseconds = try cursor.uint("end_at_ms", in: Ranges.time)
      case "max_fires": maximumFires = try cursor.uint32("max_fires", in: Ranges.shortDuration)
      case "jitter_ms": jitterMilliseconds = try cursor.uint("jitter_ms", in: 0...ProtocolLimits.jitterMilliseconds)
      case "misfire": misfire = try cursor.choice("misfire") { $0.wireName }
      case "catch_up_ms": catchUpMilliseconds = try cursor.uint("catch_up_ms", in: Ranges.duration)
      case "overlap": overlap = try cursor.choice("overlap") { $0.wireName }
      case "metadata": metadata = try cursor.metadata("metadata")
      case "retention_ms": retentionMilliseconds = try cursor.uint("retention_ms", in: Ranges.duration)
      case "job":
        job = try NewJob(scheduledFrom: &cursor)
        isJobGiven = true
      default: cursor.skip()
      }
    }
    if name.isEmpty { throw RefusedRequest(parameter: "name") }
    if !isJobGiven { throw RefusedRequest(parameter: "job") }
    self.times = try times.finished()
  }
}

/// Which of the parameters that say when a schedule is due were given.
private struct TimesReading {
  private var times: ScheduleTimes?
  private var cron: BorrowedBytes?
  private var zone: BorrowedBytes?
  private var gap: GapPolicy?
  private var fold: FoldPolicy?

  /// Takes the parameter that `key` names.
  mutating func read(_ key: MessageKey, from cursor: inout MessageCursor) throws(RefusedRequest) {
    switch key {
    case "at_ms": try set(.at(milliseconds: try cursor.uint("at_ms", in: Ranges.time)), "at_ms")
    case "in_ms": try set(.after(milliseconds: try cursor.uint("in_ms", in: Ranges.duration)), "in_ms")
    case "every_ms":
      let interval = try cursor.uint("every_ms", in: 1...ProtocolLimits.durationMilliseconds)
      try set(.every(milliseconds: interval), "every_ms")
    case "cron": cron = try cursor.text("cron", maximumBytes: CronExpression.maximumBytes)
    case "time_zone": zone = try cursor.name("time_zone")
    case "gap": gap = try cursor.choice("gap") { $0.wireName }
    default: fold = try cursor.choice("fold") { $0.wireName }
    }
  }

  private mutating func set(_ value: ScheduleTimes, _ key: StaticString) throws(RefusedRequest) {
    if times != nil { throw RefusedRequest(parameter: key) }
    times = value
  }

  func finished() throws(RefusedRequest) -> ScheduleTimes {
    guard let cron else {
      // What belongs to a cron expression must not be ignored silently.
      if zone != nil { throw RefusedRequest(parameter: "time_zone") }
      if gap != nil { throw RefusedRequest(parameter: "gap") }
      if fold != nil { throw RefusedRequest(parameter: "fold") }
      guard let times else { throw RefusedRequest(parameter: "cron") }
      return times
    }
    if times != nil { throw RefusedRequest(parameter: "cron") }
    do throws(CronError) {
      _ = try CronExpression(cron)
    } catch {
      var refusal = RefusedRequest(parameter: "cron")
      refusal.message = error.description
      throw refusal
    }
    return .cron(cron, zone: zone ?? utcName(), gap ?? .shift, fold ?? .first)
  }
}

private let utc: StaticString = "UTC"

/// The bytes of the default zone's name, which live as long as the program.
private func utcName() -> BorrowedBytes { BorrowedBytes(start: utc.utf8Start, count: utc.utf8CodeUnitCount) }

extension NewJob {
  /// Reads the job of a schedule, which may not have what belongs to one job only.
  fileprivate init(scheduledFrom cursor: inout MessageCursor) throws(RefusedRequest) {
    // A walk of its own, so that jobs that are enqueued pay nothing for what is refused here.
    var keys = cursor
    do throws(RefusedRequest) {
      guard var pairs = keys.readMapHeader() else { throw .wholeItem }
      while let key = try keys.nextKey(&pairs, or: .wholeItem) {
        switch key {
        case "delay_ms": throw RefusedRequest(parameter: "delay_ms")
        case "start_at_ms": throw RefusedRequest(parameter: "start_at_ms")
        case "expires_at_ms": throw RefusedRequest(parameter: "expires_at_ms")
        case "unique_key": throw RefusedRequest(parameter: "unique_key")
        case "unique_ms": throw RefusedRequest(parameter: "unique_ms")
        default: keys.skip()
        }
      }
      try self.init(from: &cursor)
    } catch {
      var refusal = error
      refusal.parameter?.map = "job"
      throw refusal
    }
  }
}

extension MessageCursor {
  /// One of a few words.
  fileprivate mutating func choice<Choice: CaseIterable>(
    _ key: StaticString, _ name: (Choice) -> StaticString
  ) throws(RefusedRequest) -> Choice {
    guard let word = readKey(), let choice = Choice.allCases.first(where: { name($0) ~= word }) else {
      throw RefusedRequest(parameter: key)
    }
    return choice
  }

  /// A schedule's metadata, as it is encoded: a map with string keys.
  fileprivate mutating func metadata(_ key: StaticString) throws(RefusedRequest) -> BorrowedBytes {
    let encoded = rawBytes
    guard encoded.count <= ProtocolLimits.metadataBytes, let pairs = readMapHeader() else {
      throw RefusedRequest(parameter: key)
    }
    for _ in 0..<pairs {
      guard let name = readUTF8(), isValidUTF8(name) else { throw RefusedRequest(parameter: key) }
      skip()
    }
    return encoded
  }
}
