import MessagePack
import NuvomEngine
import NuvomModel
import Testing

@testable import NuvomBroker
@testable import NuvomStorage

private let berlin = "CET-1CEST,M3.5.0,M10.5.0/3"

extension BrokerWorld {
  fileprivate func schedule(_ connection: ConnectionID, _ id: UInt64, _ name: String, _ times: MessageValue) {
    guard case .map(let times) = times else { return }
    let pairs: [(MessageValue, MessageValue)] = [("name", .string(name)), ("job", ["task": "t"])]
    say(connection, id, "schedule", ["schedules": [.map(pairs + times)]])
  }

  fileprivate func due(_ name: String) throws -> MessageValue? {
    let connection = try client()
    say(connection, 1, "schedule_get", ["name": .string(name)])
    broker.endTurn()
    return messages(connection).first?[3]?["due_at_ms"]
  }
}

@Test("the answer to a schedule, and the job that it fires, leave when they are on disk")
func scheduleDurability() throws {
  let world = BrokerWorld()
  let (a, b) = (try world.client(), try world.client())
  world.storage.script = [.pending]
  world.schedule(a, 1, "tick", ["every_ms": 1_000])
  world.broker.endTurn()
  world.say(b, 1, "schedule_get", ["name": "tick"])
  world.broker.endTurn()
  #expect(world.heard(a) == [] && world.heard(b) == [])
  world.broker.receive(.committed(.done(1)))
  #expect(world.heard(a) == ["1 ok"] && world.heard(b) == ["1 ok"])
  world.say(b, 2, "dequeue", ["wait_ms": 60_000])
  world.broker.endTurn()
  world.storage.script = [.pending]
  world.advance(milliseconds: 1_001)
  #expect(world.heard(b) == [])
  world.broker.receive(.committed(.done(2)))
  #expect(world.heard(b) == ["2 took t1"])
}

@Test("a job that was fired, and the schedule that moved on, are in one batch: no part of the log has one of them")
func fireInOneBatch() throws {
  let world = BrokerWorld()
  let a = try world.client()
  world.schedule(a, 1, "tick", ["every_ms": 100])
  world.broker.endTurn()
  world.advance(milliseconds: 1_050)
  var fired: UInt64 = 0
  for count in 0...world.storage.batches.count {
    let part = BrokerWorld(log: Array(world.storage.batches[..<count]))
    let statistics = part.engine.statistics()
    #expect(statistics.scheduleTotals.fired == statistics.totals.enqueued)
    if count > 0, statistics.schedules == 1 {
      let last = 1_700_000_000_000 + 100 * Int64(statistics.totals.enqueued)
      #expect(try part.due("tick") == .uint(UInt64(last + 100)))
    }
    fired = statistics.scheduleTotals.fired
  }
  #expect(fired == 10)
}

@Test("a definition's zone is looked for when it is named; none, and a damaged one, are refused")
func zonesOfRequests() throws {
  let world = BrokerWorld()
  let a = try world.client()
  func define(_ id: UInt64, _ zone: String) -> [String] {
    world.schedule(a, id, "c", ["cron": "@daily", "time_zone": .string(zone)])
    world.broker.endTurn()
    return world.heard(a)
  }
  #expect(define(1, "Europe/Berlin") == ["1 UNKNOWN_TIME_ZONE"])
  world.zones.set("Europe/Berlin", "")
  #expect(define(2, "Europe/Berlin") == ["2 UNKNOWN_TIME_ZONE"])
  world.zones.set("Europe/Berlin", berlin)
  #expect(define(3, "Europe/Berlin") == ["3 ok"])
  #expect(define(4, "UTC") == ["4 ok"])
  // Of a zone that is known nothing is read again.
  world.zones.set("Europe/Berlin", nil)
  #expect(define(5, "Europe/Berlin") == ["5 ok"])
}

/// The log of a broker with a schedule in each of two zones.
private func logWithZones() throws -> [[UInt8]] {
  let world = BrokerWorld()
  world.zones.set("Europe/Berlin", berlin)
  world.zones.set("Europe/London", "GMT0BST,M3.5.0/1,M10.5.0")
  let a = try world.client()
  world.schedule(a, 1, "berlin", ["cron": "0 12 * 7 *", "time_zone": "Europe/Berlin"])
  world.schedule(a, 2, "london", ["cron": "0 12 * 7 *", "time_zone": "Europe/London"])
  world.broker.endTurn()
  #expect(world.heard(a) == ["1 ok", "2 ok"])
  #expect(try world.due("berlin") == 1_719_828_000_000)
  return world.storage.batches
}

@Test(
  "a broker whose system lacks a zone that schedules are in does not start, and says what to do", arguments: [nil, ""])
func missingZone(footer: String?) throws {
  let world = BrokerWorld(log: try logWithZones())
  world.zones.set("Europe/Berlin", footer)
  world.zones.set("Europe/London", "GMT0BST,M3.5.0/1,M10.5.0")
  do {
    try world.broker.readZones()
    Issue.record("a zone is missing")
  } catch {
    #expect(error.zone == "Europe/Berlin" && error.message.contains("tzdata"))
    #expect(error.description.contains("Europe/Berlin"))
  }
  world.broker.endTurn()
  let london = Array("Europe/London".utf8)
  let isKnown = london.withUnsafeBytes { world.engine.knowsZone($0) }
  #expect(isKnown, "the others are taken")
}

@Test("rules that have changed, before the start or while the broker runs, move the due times and are in the log")
func changedZones() throws {
  let world = BrokerWorld(log: try logWithZones())
  world.zones.set("Europe/Berlin", "CET-1")
  world.zones.set("Europe/London", "GMT0BST,M3.5.0/1,M10.5.0")
  try world.broker.readZones()
  world.broker.endTurn()
  world.advance(milliseconds: 1)
  #expect(try world.due("berlin") == 1_719_831_600_000)
  #expect(try world.due("london") == 1_719_831_600_000)
  let batches = world.storage.batches.count
  try world.broker.readZones()
  world.broker.endTurn()
  world.advance(milliseconds: 1)
  #expect(world.storage.batches.count == batches, "the same rules are no news")
  world.zones.set("Europe/London", "GMT0")
  try world.broker.readZones()
  world.broker.endTurn()
  world.advance(milliseconds: 1)
  #expect(try world.due("london") == 1_719_835_200_000)
  #expect(try world.due("berlin") == 1_719_831_600_000)
  let restarted = BrokerWorld(log: try logWithZones() + world.storage.batches)
  #expect(try restarted.due("london") == 1_719_835_200_000)
}

@Test("a broker that lost a zone while it runs goes on by the rules it had")
func lostZone() throws {
  let world = BrokerWorld()
  world.zones.set("Europe/Berlin", berlin)
  let a = try world.client()
  world.schedule(a, 1, "c", ["cron": "* * * * * *", "time_zone": "Europe/Berlin"])
  world.broker.endTurn()
  world.zones.set("Europe/Berlin", nil)
  #expect(throws: ZoneError.self) { try world.broker.readZones() }
  world.broker.endTurn()
  _ = world.heard(a)
  world.say(a, 2, "dequeue", ["wait_ms": 60_000])
  world.broker.endTurn()
  world.advance(milliseconds: 1_001)
  #expect(world.heard(a) == ["2 took t1"])
}

@Test("rules of a zone that no schedule is in are forgotten when zones are read, and read anew for the next definition")
func forgottenZone() throws {
  let world = BrokerWorld()
  world.zones.set("Europe/Berlin", berlin)
  let a = try world.client()
  world.schedule(a, 1, "c", ["cron": "0 12 * 7 *", "time_zone": "Europe/Berlin"])
  world.broker.endTurn()
  #expect(try world.due("c") == 1_719_828_000_000)
  world.say(a, 2, "schedule_delete", ["names": ["c"]])
  world.broker.endTurn()
  world.zones.set("Europe/Berlin", "CET-1")
  try world.broker.readZones()
  world.broker.endTurn()
  world.schedule(a, 3, "c", ["cron": "0 12 * 7 *", "time_zone": "Europe/Berlin"])
  world.broker.endTurn()
  world.advance(milliseconds: 1)
  #expect(try world.due("c") == 1_719_831_600_000)
  let restarted = BrokerWorld(log: world.storage.batches)
  #expect(try restarted.due("c") == 1_719_831_600_000)
}

@Test("what fires make while a commit is on its way counts for the disk's room")
func firesAmidCommit() throws {
  let world = BrokerWorld()
  let a = try world.client()
  let job: MessageValue = ["task": "t", "payload": .string(String(repeating: "x", count: 100_000))]
  world.say(a, 1, "schedule", ["schedules": [["name": "tick", "every_ms": 1_000, "job": job]]])
  world.broker.endTurn()
  world.storage.script = [.pending]
  world.advance(milliseconds: 1_001)
  let before = world.storage.snapshotEstimate
  world.advance(milliseconds: 3_500)
  #expect(world.engine.statistics().scheduleTotals.fired == 4)
  world.say(a, 2, "stats")
  #expect(world.storage.snapshotEstimate >= before + 300_000)
}
