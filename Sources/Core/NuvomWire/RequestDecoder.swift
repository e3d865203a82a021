public import NuvomModel
import MessagePack

/// Turns frames into requests, and checks everything that Protocol.md says of a request's form, so that nobody behind it has to.
///
/// What it cannot know it leaves to others: whether hello came first, whether jobs, queues and leases exist.
/// It keeps the memory it needs from frame to frame: decoding allocates nothing once the largest request has come by.
public struct RequestDecoder: ~Copyable {
  private var reader = MessageReader(maximumValues: ProtocolLimits.frameElements)
  /// Scratch for finding a job that a multi settles twice.
  private var settled: [UInt64] = []

  /// A decoder. One serves any number of connections, a frame at a time.
  public init() {}

  /// Decodes one frame (without its length) into `request`, whose former content is gone.
  ///
  /// The request's bytes are the frame's and live as long as it. Unless the result is `.request` the content of `request` means
  /// nothing, but for the method when its parameters are refused. A hello is refused like any other request; that this ends the connection
  /// is the caller's to do.
  public mutating func decode(_ frame: BorrowedBytes, into request: inout Request) -> DecodeResult {
    request.removeAll()
    switch reader.parse(frame) {
    case .ok: break
    case .tooManyValues: return .fatal(RefusedRequest(.limitExceeded))
    default: return .fatal(RefusedRequest(.malformedFrame))
    }
    var cursor = reader.cursor
    guard let elements = cursor.readArrayHeader(), elements >= 2, cursor.readUInt() == 0,
      let number = cursor.readUInt(), number <= UInt64(Int64.max)
    else { return .fatal(RefusedRequest(.malformedFrame)) }
    let id = RequestID(rawValue: number)
    guard elements == 4, let name = cursor.readKey(), let pairs = cursor.readMapHeader() else {
      return .fatal(RefusedRequest(.malformedFrame, id: id))
    }
    guard let method = Method(named: name) else { return .refused(RefusedRequest(.unknownMethod, id: id)) }
    request.id = id
    request.method = method
    do throws(RefusedRequest) {
      try decode(method, from: &cursor, pairs: pairs, into: &request)
      return .request
    } catch {
      var refusal = error
      refusal.id = id
      return refusal.code.isFatal ? .fatal(refusal) : .refused(refusal)
    }
  }

  @inline(__always)
  private mutating func decode(
    _ method: Method, from cursor: inout MessageCursor, pairs: Int, into request: inout Request
  ) throws(RefusedRequest) {
    switch method {
    case .enqueue: try request.readJobs(from: &cursor, pairs: pairs)
    case .dequeue: try request.readDequeue(from: &cursor, pairs: pairs)
    case .ack: try request.readSettlements(.ack, from: &cursor, pairs: pairs)
    case .nack: try request.readSettlements(.nack, from: &cursor, pairs: pairs)
    case .release: try request.readSettlements(.release, from: &cursor, pairs: pairs)
    case .extend: try request.readSettlements(.extend, from: &cursor, pairs: pairs)
    case .progress: try request.readReports(from: &cursor, pairs: pairs)
    case .cancel: try request.readIDs(from: &cursor, pairs: pairs)
    case .multi:
      try request.readOperations(from: &cursor, pairs: pairs)
      try refuseRepeatedSettlements(of: request)
    case .hello: try request.readHello(from: &cursor, pairs: pairs)
    case .get, .wait: try request.readJobID(from: &cursor, pairs: pairs)
    case .queue, .pause, .resume, .purge: try request.readQueue(from: &cursor, pairs: pairs)
    case .queues, .deadList, .deadReplay, .deadDelete: try request.readFilter(from: &cursor, pairs: pairs)
    case .ping, .stats: try cursor.skipPairs(pairs)
    case .schedule: try request.readSchedules(from: &cursor, pairs: pairs)
    case .schedules: try request.readScheduleFilter(from: &cursor, pairs: pairs)
    case .scheduleGet: try request.readScheduleName(from: &cursor, pairs: pairs)
    case .schedulePause, .scheduleResume, .scheduleTrigger, .scheduleDelete:
      try request.readScheduleNames(from: &cursor, pairs: pairs)
    }
  }

  /// Refuses a multi that settles a job twice.
  private mutating func refuseRepeatedSettlements(of request: borrowing Request) throws(RefusedRequest) {
    guard request.settlements.count > 1 else { return }
    settled.removeAll(keepingCapacity: true)
    for settlement in request.settlements { settled.append(settlement.id.rawValue) }
    settled.sort()
    for index in 1..<settled.count where settled[index] == settled[index - 1] {
      let id = JobID(rawValue: settled[index])
      let places = request.settlements.indices.filter { request.settlements[$0].id == id }
      for (number, operation) in request.operations.enumerated()
      where operation.settles && operation.items.contains(places[1]) {
        throw RefusedRequest(item: places[1] - operation.items.lowerBound, of: "jobs").inside(operation: number)
      }
    }
  }
}

extension Method {
  /// The method of this name.
  @inline(__always)
  init?(named name: MessageKey) {
    // By length first: of the methods on a job's way at most five names are compared.
    switch name.bytes.count {
    case 3:
      if name == "ack" { self = .ack } else if name == "get" { self = .get } else { return nil }
    case 4:
      if name == "nack" {
        self = .nack
      } else if name == "ping" {
        self = .ping
      } else if name == "wait" {
        self = .wait
      } else {
        return nil
      }
    case 5:
      switch name {
      case "multi": self = .multi
      case "hello": self = .hello
      case "queue": self = .queue
      case "stats": self = .stats
      case "pause": self = .pause
      case "purge": self = .purge
      default: return nil
      }
    case 6:
      switch name {
      case "extend": self = .extend
      case "cancel": self = .cancel
      case "queues": self = .queues
      case "resume": self = .resume
      default: return nil
      }
    case 7:
      switch name {
      case "enqueue": self = .enqueue
      case "dequeue": self = .dequeue
      case "release": self = .release
      default: return nil
      }
    default:
      switch name {
      case "progress": self = .progress
      case "dead_list": self = .deadList
      case "dead_replay": self = .deadReplay
      case "dead_delete": self = .deadDelete
      case "schedule": self = .schedule
      case "schedules": self = .schedules
      case "schedule_get": self = .scheduleGet
      case "schedule_pause": self = .schedulePause
      case "schedule_resume": self = .scheduleResume
      case "schedule_trigger": self = .scheduleTrigger
      case "schedule_delete": self = .scheduleDelete
      default: return nil
      }
    }
  }
}

extension Request.Operation {
  /// Whether its items are settlements.
  var settles: Bool {
    switch method {
    case .ack, .nack, .release, .extend: true
    default: false
    }
  }
}

extension MessageCursor {
  /// Passes over the parameters of a method that has none.
  mutating func skipPairs(_ count: Int) throws(RefusedRequest) {
    var pairs = count
    while try nextParameter(&pairs) != nil { skip() }
  }

  /// The key of the next parameter. A key that is not a string is not a request's shape.
  @inline(__always)
  mutating func nextParameter(_ pairs: inout Int) throws(RefusedRequest) -> MessageKey? {
    try nextKey(&pairs, or: RefusedRequest(.malformedFrame))
  }
}
