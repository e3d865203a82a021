import MessagePack
import NuvomModel

// The methods that look at and look after the broker; none of them is on a job's way.

extension Request {
  /// hello.
  mutating func readHello(from cursor: inout MessageCursor, pairs count: Int) throws(RefusedRequest) {
    // The version comes first: of another version's hello nothing else is known.
    var versions = cursor
    var pairs = count
    var isVersionGiven = false
    while let key = try versions.nextParameter(&pairs) {
      if key == "version" {
        hello.version = try versions.uint("version", in: 0...UInt64.max)
        isVersionGiven = true
      } else {
        versions.skip()
      }
    }
    guard isVersionGiven else { throw RefusedRequest(parameter: "version") }
    guard hello.version == ProtocolLimits.version else { throw RefusedRequest(.unsupportedVersion) }

    pairs = count
    while let key = try cursor.nextParameter(&pairs) {
      switch key {
      case "client_id": hello.clientID = try cursor.bytes("client_id", count: 1...ProtocolLimits.clientIDBytes)
      case "name": hello.name = try cursor.text("name", maximumBytes: ProtocolLimits.nameBytes)
      case "host": hello.host = try cursor.text("host", maximumBytes: ProtocolLimits.nameBytes)
      case "tasks":
        let tasks = try cursor.list("tasks", count: 0...ProtocolLimits.frameElements)
        for index in 0..<tasks {
          guard let task = cursor.readUTF8(), isName(task) else { throw RefusedRequest(item: index, of: "tasks") }
        }
      case "credentials":
        guard cursor.kind == .map else { throw RefusedRequest(parameter: "credentials") }
        cursor.skip()
      default: cursor.skip()
      }
    }
  }

  /// cancel: `{"ids": [id, …]}`.
  mutating func readIDs(from cursor: inout MessageCursor, pairs: Int) throws(RefusedRequest) {
    guard let list = try cursor.onlyList("ids", pairs: pairs) else { throw RefusedRequest(parameter: "ids") }
    try appendIDs(from: list)
  }

  private mutating func appendIDs(from start: MessageCursor) throws(RefusedRequest) {
    var list = start
    let count = try list.list("ids", count: Ranges.items)
    guard ids.count + count <= ProtocolLimits.itemsPerRequest else { throw RefusedRequest(parameter: "ids") }
    for index in 0..<count {
      guard let id = list.readUInt() else { throw RefusedRequest(item: index, of: "ids") }
      ids.append(JobID(rawValue: id))
    }
  }

  /// get, wait.
  mutating func readJobID(from cursor: inout MessageCursor, pairs count: Int) throws(RefusedRequest) {
    var pairs = count
    var id: JobID?
    if method == .wait { waitMilliseconds = 30_000 }
    while let key = try cursor.nextParameter(&pairs) {
      switch key {
      case "id": id = try cursor.jobID("id")
      case "wait_ms" where method == .wait: waitMilliseconds = try cursor.uint("wait_ms", in: Ranges.wait)
      default: cursor.skip()
      }
    }
    guard let id else { throw RefusedRequest(parameter: "id") }
    ids.append(id)
  }

  /// queue, pause, resume, purge.
  mutating func readQueue(from cursor: inout MessageCursor, pairs count: Int) throws(RefusedRequest) {
    var pairs = count
    var name: BorrowedBytes?
    if method == .purge { filter.limit = ProtocolLimits.itemsPerRequest }
    while let key = try cursor.nextParameter(&pairs) {
      switch key {
      case "queue": name = try cursor.name("queue")
      case "limit" where method == .purge: filter.limit = try cursor.limit(ProtocolLimits.itemsPerRequest)
      default: cursor.skip()
      }
    }
    guard let name else { throw RefusedRequest(parameter: "queue") }
    queues.append(name)
  }

  /// queues, dead_list, dead_replay, dead_delete.
  mutating func readFilter(from cursor: inout MessageCursor, pairs count: Int) throws(RefusedRequest) {
    let (limit, maximum) =
      switch method {
      case .queues: (1_000, ProtocolLimits.itemsPerRequest)
      case .deadList: (100, 1_000)
      default: (1_000, ProtocolLimits.itemsPerRequest)
      }
    filter.limit = limit
    var pairs = count
    var list: MessageCursor?
    while let key = try cursor.nextParameter(&pairs) {
      switch (method, key) {
      case (_, "limit"): filter.limit = try cursor.limit(maximum)
      case (.queues, "after"): filter.afterName = try cursor.name("after")
      case (.queues, _): cursor.skip()
      case (.deadList, "after"): filter.afterID = try cursor.jobID("after")
      case (_, "queue"): filter.queue = try cursor.name("queue")
      case (_, "task"): filter.task = try cursor.name("task")
      case (_, "reason"): filter.reason = try DeadReason(from: &cursor)
      case (.deadReplay, "ids"), (.deadDelete, "ids"): list = cursor.later()
      default: cursor.skip()
      }
    }
    guard let list else { return }
    // Either the ids or a filter: of both it would not be clear which holds.
    guard filter.queue.isEmpty, filter.task.isEmpty, filter.reason == nil else {
      throw RefusedRequest(parameter: "ids")
    }
    try appendIDs(from: list)
  }
}

extension MessageCursor {
  /// How many at most, from 1.
  fileprivate mutating func limit(_ maximum: Int) throws(RefusedRequest) -> Int {
    Int(truncatingIfNeeded: try uint("limit", in: 1...UInt64(maximum)))
  }
}

extension DeadReason {
  fileprivate init(from cursor: inout MessageCursor) throws(RefusedRequest) {
    guard let name = cursor.readKey(), let reason = Self.allCases.first(where: { $0.wireName ~= name }) else {
      throw RefusedRequest(parameter: "reason")
    }
    self = reason
  }
}
