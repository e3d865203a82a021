import MessagePack
import NuvomEngine
import NuvomModel
import NuvomWAL
import Testing

@testable import NuvomBroker
@testable import NuvomStorage

private let diskError = StorageError(.inputOutput, "the disk broke", path: "log")

// MARK: When replies leave

@Test("a reply leaves when its turn's batch is on disk, and all of a turn share one batch")
func repliesAfterCommit() throws {
  let world = BrokerWorld()
  let (a, b) = (try world.client(), try world.client())
  let before = world.storage.batches.count
  world.storage.script = [.pending]
  world.enqueue(a, 1)
  world.enqueue(b, 1)
  world.broker.endTurn()
  #expect(world.storage.batches.count == before + 1)
  #expect(world.heard(a) == [] && world.heard(b) == [])
  world.broker.receive(.committed(.done(1)))
  #expect(world.heard(a) == ["1 ok"] && world.heard(b) == ["1 ok"])
}

@Test("a read waits for the state that it saw")
func readsWait() throws {
  let world = BrokerWorld()
  let (a, b) = (try world.client(), try world.client())
  world.storage.script = [.pending]
  world.enqueue(a, 1)
  world.broker.endTurn()
  world.say(b, 7, "queue", ["queue": "default"])
  world.say(b, 8, "ping")
  world.broker.endTurn()
  #expect(world.heard(b) == [])
  world.broker.receive(.committed(.done(1)))
  #expect(world.heard(a) == ["1 ok"])
  #expect(world.heard(b) == ["7 ok", "8 ok"])
}

@Test("a turn in which much was decided goes to the free log before its end, and only then")
func earlyCommit() throws {
  let world = BrokerWorld()
  let a = try world.client()
  let before = world.storage.batches.count
  world.storage.script = [.pending]
  let payload = MessageValue.binary([UInt8](repeating: 7, count: 200 << 10))
  func large(_ id: UInt64) -> [UInt8] {
    frame([0, .uint(id), "enqueue", ["jobs": [["task": "t", "payload": payload]]]])
  }
  world.enqueue(a, 1)
  #expect(world.storage.batches.count == before)
  world.bytes(a, large(2))
  #expect(world.storage.wasBusy.dropFirst(before) == [true] && world.heard(a) == [])
  // The log is at work: what follows gathers.
  world.bytes(a, large(3))
  world.broker.endTurn()
  #expect(world.storage.batches.count == before + 1)
  world.broker.receive(.committed(.done(1)))
  #expect(world.heard(a) == ["1 ok", "2 ok", "3 ok"])
  #expect(world.storage.wasBusy.dropFirst(before) == [true, false])
}

@Test("while the log stands still, jobs are taken in up to a bound, and settled beyond it")
func boundedBatch() throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.enqueue(a, 1)
  world.broker.endTurn()
  world.say(a, 2, "dequeue")
  world.broker.endTurn()
  _ = world.heard(a)
  world.storage.script = [.pending]
  let payload = MessageValue.binary([UInt8](repeating: 7, count: 8 << 20))
  let large = frame([0, 3, "enqueue", ["jobs": [["task": "t", "payload": payload]]]])
  // One is on its way to the disk, 32 gather behind it: with what is around them, more than 256 MiB.
  for _ in 0..<33 {
    world.bytes(a, large)
    world.broker.endTurn()
  }
  world.enqueue(a, 4)
  world.say(a, 5, "ack", ["jobs": [["id": 4_294_967_296, "token": 1]]])
  world.broker.endTurn()
  world.broker.receive(.committed(.done(1)))
  #expect(world.heard(a).suffix(3) == ["3 ok", "4 DISK_FULL", "5 ok"])
  world.enqueue(a, 6)
  world.broker.endTurn()
  #expect(world.heard(a) == ["6 ok"])
}

@Test("two turns during one commit become the next batch, and leave after it in order")
func turnsDuringCommit() throws {
  let world = BrokerWorld()
  let a = try world.client()
  let before = world.storage.batches.count
  world.storage.script = [.pending, .pending]
  for id in UInt64(1)...3 {
    world.enqueue(a, id)
    world.broker.endTurn()
  }
  #expect(world.storage.batches.count == before + 1)
  world.broker.receive(.committed(.done(1)))
  #expect(world.heard(a) == ["1 ok"])
  #expect(world.storage.batches.count == before + 2)
  world.broker.receive(.committed(.done(2)))
  #expect(world.heard(a) == ["2 ok", "3 ok"])
}

@Test("a commit that ends in the middle of a turn lets nothing of the turn out")
func commitWithinTurn() throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.storage.script = [.pending, .pending]
  world.enqueue(a, 1)
  world.broker.endTurn()
  world.enqueue(a, 2)
  world.broker.receive(.committed(.done(1)))
  #expect(world.heard(a) == ["1 ok"])
  #expect(!world.broker.isQuiet)
  world.broker.endTurn()
  #expect(world.heard(a) == [])
  world.broker.receive(.committed(.done(2)))
  #expect(world.heard(a) == ["2 ok"])
}

@Test("a turn in which nothing changed writes nothing")
func idleTurns() throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.enqueue(a, 1)
  world.broker.endTurn()
  _ = world.heard(a)
  let before = world.storage.batches.count
  world.say(a, 2, "ping")
  world.broker.endTurn()
  world.broker.endTurn()
  #expect(world.heard(a) == ["2 ok"])
  #expect(world.storage.batches.count == before)
  #expect(world.broker.nextDeadline == nil)
}

// MARK: When the disk fails or is full

@Test("after a failed commit nobody is acknowledged, and everybody is told why", arguments: [false, true])
func failedCommit(isLate: Bool) throws {
  let world = BrokerWorld()
  let (a, b) = (try world.client(), try world.client())
  world.storage.script = [isLate ? .pending : .finished(.failed(diskError))]
  world.enqueue(a, 1)
  world.broker.endTurn()
  world.enqueue(b, 2)
  if isLate { world.broker.receive(.committed(.failed(diskError))) }
  world.broker.endTurn()
  #expect(world.heard(a) == ["goodbye STORAGE_UNKNOWN"])
  #expect(world.heard(b) == ["goodbye STORAGE_UNKNOWN"])
  #expect(world.closed == [a, b])
  #expect(world.failures == [diskError])
  #expect(!world.broker.isQuiet)
}

@Test("without room for a segment replies wait, and leave when there is room again")
func noRoom() throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.storage.script = [.finished(.noRoom), .finished(.noRoom), .finished(.done(1))]
  world.enqueue(a, 1)
  world.broker.endTurn()
  world.say(a, 2, "ping")
  world.broker.endTurn()
  #expect(world.heard(a) == [])
  world.advance(milliseconds: 150)
  #expect(world.storage.retries == 1)
  #expect(world.heard(a) == [])
  world.advance(milliseconds: 100)
  #expect(world.storage.retries == 2)
  #expect(world.heard(a) == ["1 ok", "2 ok"])
}

@Test("with the log full new jobs are refused, and settlements go on")
func diskFull() throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.enqueue(a, 1)
  world.say(a, 2, "dequeue")
  world.broker.endTurn()
  #expect(world.heard(a) == ["1 ok", "2 took t1"])
  world.storage.freeRoom = 0
  world.enqueue(a, 3)
  world.broker.endTurn()
  #expect(world.heard(a) == ["3 DISK_FULL"])
}

// MARK: Deliveries

@Test("what could not be handed to a socket is given back, its attempt not counted", arguments: [false, true])
func givenBack(isCommitting: Bool) throws {
  let world = BrokerWorld()
  let (a, b) = (try world.client(), try world.client())
  world.enqueue(a, 1)
  world.broker.endTurn()
  world.storage.script = [.pending]
  world.say(a, 2, "dequeue", ["lease_ms": 60_000])
  if isCommitting { world.broker.endTurn() }
  world.broker.disconnect(a)
  world.broker.disconnect(a)
  world.say(b, 3, "dequeue")
  world.broker.endTurn()
  if isCommitting { world.broker.receive(.committed(.done(1))) } else { world.broker.receive(.committed(.done(2))) }
  #expect(world.heard(b) == ["3 took t2"])
  #expect(world.heard(a).filter { $0.contains("took") } == [])
}

@Test("a delivery that reached its socket outlives the connection")
func leasesOutliveConnections() throws {
  let world = BrokerWorld()
  let (a, b) = (try world.client(), try world.client())
  world.enqueue(a, 1)
  world.say(a, 2, "dequeue", ["lease_ms": 60_000])
  world.broker.endTurn()
  #expect(world.heard(a) == ["1 ok", "2 took t1"])
  world.broker.disconnect(a)
  world.say(b, 3, "dequeue")
  world.broker.endTurn()
  #expect(world.heard(b) == ["3 took "])
}

@Test("a connection that was told goodbye is leased nothing any more")
func endingWaits() throws {
  let world = BrokerWorld()
  let (a, b) = (try world.client(), try world.client())
  world.say(a, 1, "dequeue", ["wait_ms": 60_000])
  world.broker.endTurn()
  world.broker.end(a, .idleTimeout)
  world.enqueue(b, 2)
  world.say(b, 3, "dequeue")
  world.broker.endTurn()
  #expect(world.heard(a) == ["goodbye IDLE_TIMEOUT"])
  #expect(world.heard(b) == ["2 ok", "3 took t1"])
}

@Test("a waiting dequeue is answered by another connection's enqueue, in the same batch")
func wokenByOther() throws {
  let world = BrokerWorld()
  let (a, b) = (try world.client(), try world.client())
  world.say(a, 1, "dequeue", ["wait_ms": 60_000])
  world.broker.endTurn()
  #expect(world.heard(a) == [] && world.broker.isWaiting(a))
  let before = world.storage.batches.count
  world.enqueue(b, 2)
  world.broker.endTurn()
  #expect(world.heard(a) == ["1 took t1"] && !world.broker.isWaiting(a))
  #expect(world.storage.batches.count == before + 1)
}

@Test("a wait runs out at its deadline")
func waitRunsOut() throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.say(a, 1, "dequeue", ["wait_ms": 1_000])
  world.broker.endTurn()
  world.advance(milliseconds: 999)
  #expect(world.heard(a) == [])
  world.advance(milliseconds: 2)
  #expect(world.heard(a) == ["1 took "])
}

// MARK: Hello and goodbye

@Test("the first request must be a good hello, and the only one")
func helloRules() throws {
  let rows: [(first: MessageValue, heard: [String])] = [
    ([0, 5, "ping", [:]], ["5 HELLO_REQUIRED", "goodbye HELLO_REQUIRED"]),
    ([0, 5, "stats", [:]], ["5 HELLO_REQUIRED", "goodbye HELLO_REQUIRED"]),
    ([0, 5, "nonsense", [:]], ["5 HELLO_REQUIRED", "goodbye HELLO_REQUIRED"]),
    ([0, 5, "ack", ["jobs": 3]], ["5 HELLO_REQUIRED", "goodbye HELLO_REQUIRED"]),
    ([0, 5, "hello", ["version": 2]], ["5 UNSUPPORTED_VERSION", "goodbye UNSUPPORTED_VERSION"]),
    ([0, 5, "hello", ["version": "1"]], ["5 BAD_PARAMS", "goodbye BAD_PARAMS"]),
    ([0, 5, "hello", ["version": 1, "client_id": ""]], ["5 BAD_PARAMS", "goodbye BAD_PARAMS"]),
    (["what"], ["goodbye MALFORMED_FRAME"]),
    ([0, 5, "hello", ["version": 1]], ["5 ok"]),
  ]
  let world = BrokerWorld()
  for row in rows {
    let connection = try #require(world.broker.connect())
    world.say(connection, row.first)
    world.say(connection, 6, "ping")
    world.broker.endTurn()
    let isOpen = row.heard == ["5 ok"]
    #expect(world.heard(connection) == row.heard + (isOpen ? ["6 ok"] : []), "\(row.first)")
    #expect(world.closed.contains(connection) == !isOpen)
    if isOpen {
      world.say(connection, 7, "hello", ["version": 1])
      world.say(connection, 8, "stats")
      world.broker.endTurn()
      #expect(world.heard(connection) == ["7 BAD_PARAMS", "8 ok"])
    }
  }
}

@Test("a refused request leaves the connection open; a broken frame ends it, after what was owed")
func fatalFrames() throws {
  let rows: [(bytes: [UInt8], last: String)] = [
    ([0, 0, 0, 0], "goodbye MALFORMED_FRAME"), ([0, 0, 0, 1, 0xC1], "goodbye MALFORMED_FRAME"),
    ([0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3], "goodbye FRAME_TOO_LARGE"),
    ([0, 0, 0, 5, 0xDD, 0xFF, 0xFF, 0xFF, 0xFF], "goodbye MALFORMED_FRAME"),
  ]
  for row in rows {
    let world = BrokerWorld()
    let a = try world.client()
    let consumed = world.bytes(
      a, frame([0, 1, "ping", [:]]) + frame([0, 2, "nonsense", [:]]) + row.bytes + frame([0, 3, "ping", [:]]))
    #expect(consumed > 0)
    world.broker.endTurn()
    #expect(world.heard(a) == ["1 ok", "2 UNKNOWN_METHOD", row.last])
    #expect(world.closed == [a])
  }
}

@Test("frames may be split anywhere")
func splitFrames() throws {
  let bytes =
    frame([0, 1, "enqueue", ["jobs": [["task": "t", "payload": "hello"]]]]) + frame([0, 2, "ping", [:]])
    + frame([0, 3, "dequeue", ["queues": ["default"]]])
  for cut in 0...bytes.count {
    let world = BrokerWorld()
    let a = try world.client()
    let used = world.bytes(a, Array(bytes[..<cut]))
    world.broker.endTurn()
    #expect(used <= cut)
    #expect(world.bytes(a, Array(bytes[used...])) == bytes.count - used)
    world.broker.endTurn()
    #expect(world.heard(a) == ["1 ok", "2 ok", "3 took t1"], "cut at \(cut)")
  }
}

@Test("a second connection of a client replaces the first, and is answered what was done")
func replaced() throws {
  let world = BrokerWorld()
  let first = try world.client("me")
  world.enqueue(first, 1)
  world.say(first, 2, "dequeue", ["queues": ["empty"], "wait_ms": 60_000])
  world.broker.endTurn()
  #expect(world.heard(first) == ["1 ok"])
  let second = try world.client("me")
  #expect(world.heard(first) == ["goodbye REPLACED"])
  #expect(world.closed == [first])
  world.enqueue(second, 1)
  world.say(second, 3, "queue", ["queue": "default"])
  world.say(second, 4, "dequeue", ["max": 9])
  world.broker.endTurn()
  #expect(world.heard(second) == ["1 ok", "3 ok", "4 took t1"])
  world.broker.disconnect(first)
  #expect(world.broker.connections == 1)
}

@Test("drain says goodbye behind what is owed, and the log is sealed when all is quiet")
func draining() throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.storage.script = [.pending]
  world.enqueue(a, 1)
  world.broker.endTurn()
  world.broker.drain()
  #expect(!world.broker.isQuiet)
  world.broker.endTurn()
  world.enqueue(a, 2)
  world.broker.endTurn()
  #expect(world.heard(a) == [] && !world.broker.isQuiet)
  world.broker.receive(.committed(.done(1)))
  #expect(world.heard(a) == ["1 ok", "goodbye SHUTTING_DOWN"])
  #expect(world.closed == [a] && world.broker.isQuiet)
  try world.broker.seal()
  #expect(world.storage.isSealed && world.storage.isClosed)
}

@Test("a connection whose answers pile up is held up, and goes on when they have left", arguments: [false, true])
func heldUp(isCommitting: Bool) throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.enqueue(a, 1, String(repeating: "x", count: 600 << 10))
  world.say(a, 2, "dequeue", ["lease_ms": 60_000])
  world.broker.endTurn()
  #expect(world.heard(a) == ["1 ok", "2 took t1"])
  if isCommitting {
    world.storage.script = [.pending]
    world.enqueue(a, 3)
    world.broker.endTurn()
  }
  // The first job of an empty broker.
  let id: MessageValue = .uint(JobID(partition: 0, generation: 1, slot: 0).rawValue)
  let requests = (UInt64(10)...14).flatMap { frame([0, .uint($0), "get", ["id": id]]) }
  let used = world.bytes(a, requests)
  #expect(used == requests.count / 5 * 2)
  #expect(world.broker.isHeldUp(a))
  #expect(world.bytes(a, Array(requests[used...])) == 0)
  world.broker.endTurn()
  if isCommitting {
    #expect(world.heard(a) == [] && world.broker.isHeldUp(a))
    world.broker.receive(.committed(.done(1)))
    world.broker.endTurn()
  }
  #expect(world.heard(a) == (isCommitting ? ["3 ok"] : []) + ["10 ok", "11 ok"])
  #expect(!world.broker.isHeldUp(a))
  let more = world.bytes(a, Array(requests[used...]))
  #expect(more == used)
}

@Test("answers to many connections leave before the turn's end when they pile up")
func answersOfATurn() throws {
  let world = BrokerWorld()
  let clients = try (0..<6).map { _ in try world.client() }
  world.enqueue(clients[0], 1, String(repeating: "x", count: 900 << 10))
  world.broker.endTurn()
  #expect(world.heard(clients[0]) == ["1 ok"])
  // The first job of an empty broker.
  let id: MessageValue = .uint(JobID(partition: 0, generation: 1, slot: 0).rawValue)
  for client in clients { world.say(client, 2, "get", ["id": id]) }
  #expect(clients.prefix(5).allSatisfy { world.heard($0) == ["2 ok"] })
  #expect(world.heard(clients[5]) == [])
  world.broker.endTurn()
  #expect(world.heard(clients[5]) == ["2 ok"])
}

@Test("while a commit keeps answers back, all connections together are owed a bounded amount")
func answersOfACommit() throws {
  let world = BrokerWorld()
  let clients = try (0..<12).map { _ in try world.client() }
  world.enqueue(clients[0], 1, String(repeating: "x", count: 8 << 20))
  world.broker.endTurn()
  #expect(world.heard(clients[0]) == ["1 ok"])
  let id: MessageValue = .uint(JobID(partition: 0, generation: 1, slot: 0).rawValue)
  let request = frame([0, 2, "get", ["id": id]])
  world.storage.script = [.pending]
  world.enqueue(clients[0], 3)
  world.broker.endTurn()
  let taken = clients.map { world.bytes($0, request) }
  #expect(taken.filter { $0 == 0 }.count == 4)
  #expect(world.broker.owesTooMuch)
  // Also somebody who is gone was owed something.
  world.broker.disconnect(clients[1])
  world.broker.endTurn()
  #expect(world.broker.owesTooMuch && world.bytes(clients[11], request) == 0)
  world.broker.receive(.committed(.done(1)))
  world.broker.endTurn()
  #expect(!world.broker.owesTooMuch)
  #expect(world.heard(clients[2]) == ["2 ok"])
  #expect(world.bytes(clients[11], request) == request.count)
  world.broker.endTurn()
  #expect(world.heard(clients[11]) == ["2 ok"])
}

@Test("a dequeue's response has no more elements than a frame may have, and 10,000 plain jobs fit into one")
func elementsOfDequeue() throws {
  func elements(_ value: MessageValue) -> Int {
    switch value {
    case .array(let values): 1 + values.reduce(0) { $0 + elements($1) }
    case .map(let pairs): 1 + pairs.reduce(0) { $0 + elements($1.0) + elements($1.1) }
    default: 1
    }
  }
  let world = BrokerWorld()
  let a = try world.client()
  let full: MessageValue = [
    "queue": "full", "task": "t", "payload": "x", "timeout_ms": 5_000, "max_attempts": 5, "tags": ["a", "b", "c"],
    "headers": ["d": "e", "f": "g", "h": "i"],
  ]
  for id in 1...10 {
    world.say(a, UInt64(id), "enqueue", ["jobs": .array(Array(repeating: full, count: 1_000))])
    world.say(
      a, UInt64(id) + 10, "enqueue", ["jobs": .array(Array(repeating: ["task": "t", "payload": "x"], count: 1_000))])
    world.broker.endTurn()
  }
  _ = world.heard(a)
  func take(_ id: UInt64, _ queue: MessageValue) throws -> (jobs: Int, elements: Int) {
    world.say(a, id, "dequeue", ["queues": [queue], "max": 10_000])
    world.broker.endTurn()
    let answer = try #require(world.messages(a).first)
    guard case .array(let jobs)? = answer[3]?["jobs"] else { return (0, 0) }
    return (jobs.count, elements(answer))
  }
  let plain = try take(100, "default")
  #expect(plain.jobs == 10_000)
  let first = try take(101, "full")
  #expect(first.elements <= ProtocolLimits.frameElements && first.elements > ProtocolLimits.frameElements * 9 / 10)
  let second = try take(102, "full")
  #expect(first.jobs + second.jobs == 10_000 && second.jobs > 0)
}
