import NuvomModel
import Testing

@testable import NuvomEngine

@Test("releases with a delay are counted while they follow one another; one without a delay changes nothing")
func postponing() {
  let world = EngineWorld()
  world.enqueue("x")
  #expect(world.dequeue() == "j1 t1 a1 x")
  world.release("j1", delay: 1_000)
  #expect(world.get("j1") == "j1 delayed attempt 1 in 1000 ms postponed 1")
  world.advance(milliseconds: 1_001)
  #expect(world.dequeue() == "j1 t2 a1 p1 x")
  world.release("j1")
  let taken = world.take().taken
  #expect(taken.map(\.postponed) == [1])
  world.giveBack(taken)
  #expect(world.dequeue() == "j1 t4 a1 p1 x")
  world.release("j1", delay: 1_000)
  world.check()
  world.advance(milliseconds: 1_001)
  #expect(world.dequeue() == "j1 t5 a1 p2 x")
  #expect(world.get("j1") == "j1 leased attempt 1 left 30000 ms t5 postponed 2")
  world.check()
}

@Test(
  "an attempt that ends, or a replay of the dead letter, begins the count anew",
  arguments: ["nack", "run out", "dead"])
func countingAnew(ending: String) {
  let world = EngineWorld()
  world.enqueue("x") { $0.maximumAttempts = 2 }
  world.dequeue()
  world.release("j1", delay: 1_000)
  world.advance(milliseconds: 1_001)
  #expect(world.dequeue(lease: 1_000) == "j1 t2 a1 p1 x")
  switch ending {
  case "nack": world.nack("j1", delay: 0)
  case "dead": world.nack("j1", retry: false)
  default: world.advance(milliseconds: 2_700)
  }
  #expect(!world.get("j1").contains("postponed"))
  if ending == "dead" { #expect(world.dead(.deadReplay, "j1") == "replayed 1") }
  #expect(world.dequeue() == "j1 t3 a2 x")
  world.release("j1", delay: 1_000)
  #expect(world.get("j1").contains("postponed 1"))
  world.check()
}

@Test("the count survives a restart from the log and from a snapshot, beside all else that a job has gone through")
func postponedSurvives() {
  let world = EngineWorld()
  world.enqueue("x") { $0.maximumAttempts = 2 }
  world.dequeue()
  world.nack("j1", retry: false)
  world.dead(.deadReplay, "j1")
  for round in 1...3 {
    world.dequeue()
    world.release("j1", delay: 1_000)
    world.advance(milliseconds: 1_001)
    #expect(world.get("j1") == "j1 ready attempt 2 postponed \(round) errors [1]")
  }
  world.takeSnapshot()
  world.check()
  world.restart()
  #expect(world.dequeue() == "j1 t5 a2 p3 x")
  world.restartFromSnapshot()
  #expect(world.get("j1").contains("postponed 3"))
  // The allowance still counts from the replay.
  world.nack("j1", token: 5, delay: 0)
  #expect(world.dequeue() == "j1 t6 a3 x")
  world.nack("j1")
  #expect(world.get("j1") == "j1 dead attempt 3 failed errors [1, 2, 3]")
  world.check()
}

@Test(
  "the two counts that share a number of the history do not touch each other, and an older record has none postponed")
func sharedNumber() {
  let rows: [(beforeReplay: UInt16, postponed: UInt32)] = [(0, 0), (.max, 0), (0, .max), (.max, .max), (7, 65_536)]
  for (beforeReplay, postponed) in rows {
    var history = JobHistory()
    history.expiredLeases = 9
    history.attemptsBeforeReplay = beforeReplay
    history.postponed = postponed
    history.result = [1]
    let writer = EventWriter()
    history.write(to: writer)
    let read = JobHistory(writer.bytes)
    #expect(read.expiredLeases == 9 && read.result == [1])
    #expect(read.attemptsBeforeReplay == beforeReplay && read.postponed == postponed)
    #expect(JobHistory.postponed(in: writer.bytes) == postponed)
  }
  // Two lost leases, five attempts before the replay, no error, no result, as written before anything was postponed.
  let older: [UInt8] = [2, 5, 0, 0]
  older.withUnsafeBytes { bytes in
    #expect(JobHistory(bytes).attemptsBeforeReplay == 5 && JobHistory(bytes).postponed == 0)
  }
}
