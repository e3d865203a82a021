import NuvomModel
import Testing

@testable import NuvomEngine

// What a fire does while the job of the one before is not finished.

extension EngineWorld {
  /// A schedule whose first job a worker has, and whose next fire is ten seconds away.
  func overlapping(_ policy: OverlapPolicy, _ change: (inout NewSchedule) -> Void = { _ in }) {
    every("tick", 10_000) {
      $0.overlap = policy
      change(&$0)
    }
    advance(seconds: 10)
    _ = take(lease: 86_400_000)
  }
}

@Test("by default a fire enqueues beside what is not finished")
func overlapAllow() {
  let world = EngineWorld()
  world.overlapping(.allow)
  world.advance(seconds: 20)
  #expect(world.runs() == ["tick 20000", "tick 30000"])
  world.check()
}

@Test("a fire that is skipped enqueues nothing and is counted; when the job is finished the next fires")
func overlapSkip() {
  let world = EngineWorld()
  world.overlapping(.skip)
  world.advance(seconds: 20)
  #expect(world.runs() == [])
  #expect(world.show("tick") == "tick active in 10000 ms last 0 ms ago fired 1 skipped 2")
  world.restart()
  world.ack("j1")
  world.fireTimers()
  #expect(world.runs() == [])
  world.advance(seconds: 10)
  #expect(world.runs() == ["tick 40000"])
  #expect(world.engine.statistics().scheduleTotals.skipped == 2)
  world.check()
}

@Test("a job that waits to be tried again is not finished")
func overlapRetry() {
  let world = EngineWorld()
  world.overlapping(.skip)
  world.nack("j1", delay: 15_000)
  world.advance(seconds: 10)
  #expect(world.schedule("tick")?.skipped == 1)
  world.check()
}

@Test("a buffered fire comes when the job is finished, and only the latest of several")
func overlapBuffer() {
  let world = EngineWorld()
  world.overlapping(.bufferOne)
  world.advance(seconds: 10)
  #expect(world.show("tick") == "tick active in 10000 ms last 0 ms ago buffered 0 ms ago fired 1")
  world.check()
  world.advance(seconds: 15)
  #expect(world.show("tick") == "tick active in 5000 ms last 5000 ms ago buffered 5000 ms ago fired 1 skipped 1")
  world.check()
  world.ack("j1")
  #expect(world.runs() == ["tick 30000"])
  #expect(world.show("tick") == "tick active in 5000 ms last 5000 ms ago fired 2 skipped 1")
  world.advance(seconds: 5)
  #expect(world.runs() == ["tick 40000"])
  #expect(world.engine.statistics().scheduleTotals.late == 0, "to wait for a job is not to be late")
  world.check()
}

/// How a job may come to its end.
enum JobEnd: CaseIterable { case ack, dead, cancel, leaseLost, purged }

@Test("a buffered fire comes whatever the end of the job was", arguments: JobEnd.allCases)
func bufferedEnds(end: JobEnd) {
  let world = EngineWorld()
  world.every("tick", 10_000) {
    $0.overlap = .bufferOne
    $0.job.maximumAttempts = 1
  }
  world.advance(seconds: 10)
  if end != .purged { _ = world.take(lease: 15_000) } else { world.dequeue("none") }
  world.advance(seconds: 10)
  #expect(world.schedule("tick")?.bufferedDueMilliseconds != nil)
  switch end {
  case .ack: world.ack("j1")
  case .dead: world.nack("j1")
  case .cancel: world.cancel("j1")
  case .leaseLost: world.advance(seconds: 6)
  case .purged: #expect(world.purge() == "purged 1")
  }
  #expect(world.runs() == ["tick 20000"])
  world.check()
}

@Test("a buffered fire comes when the job expires, also where that is found as it is about to be handed out")
func bufferedExpiry() {
  let world = EngineWorld()
  world.every("tick", 10_000) {
    $0.overlap = .bufferOne
    $0.job.expiry = .after(milliseconds: 14_992)
  }
  world.pause()
  world.advance(seconds: 20)
  #expect(world.dequeue(wait: 60_000) == "…")
  world.time = Time(boot: world.time.boot + 5_000_000, wall: world.time.wall + 5_000_000)
  // Its timer has not fired when the waiting dequeue is about to get it.
  world.resume()
  #expect(world.heard == ["j1 t1 a1 tick"])
  #expect(world.schedule("tick")?.lastDueMilliseconds == EngineWorld.beginning + 20_000)
  #expect(world.engine.statistics().totals.expired == 1)
  world.check()
}

@Test("a fire that waits survives a restart, from the log and from a snapshot", arguments: [false, true])
func bufferedRestart(fromSnapshot: Bool) {
  let world = EngineWorld()
  world.overlapping(.bufferOne)
  world.advance(seconds: 10)
  world.takeSnapshot()
  if fromSnapshot { world.restartFromSnapshot() } else { world.restart() }
  world.check()
  world.ack("j1")
  #expect(world.runs() == ["tick 20000"])
  world.check()
}

@Test(
  "a fire that waits comes after a restart if its job finished before a snapshot, behind it, or is gone",
  arguments: 0...1)
func bufferedSnapshotTail(kind: Int) {
  let world = EngineWorld()
  world.overlapping(.bufferOne)
  world.advance(seconds: 10)
  world.change(.schedulePause, "tick")
  if kind == 0 { world.takeSnapshot() }
  world.ack("j1")
  if kind == 1 { world.takeSnapshot() }
  world.check()
  world.restartFromSnapshot()
  world.fireTimers()
  #expect(world.runs() == [], "it is paused")
  world.check()
  world.change(.scheduleResume, "tick")
  #expect(world.runs() == ["tick 20000"])
  world.check()
}

@Test("a paused schedule's fire goes on waiting, and comes when it is resumed")
func bufferedPause() {
  let world = EngineWorld()
  world.overlapping(.bufferOne)
  world.advance(seconds: 10)
  world.change(.schedulePause, "tick")
  world.ack("j1")
  world.advance(seconds: 15)
  #expect(world.runs() == [])
  world.check()
  world.change(.scheduleResume, "tick")
  #expect(world.runs() == ["tick 20000"])
  world.fireTimers()
  #expect(world.runs() == ["tick 30000"])
  world.check()
}

@Test("a deleted schedule's fire does not come")
func bufferedDelete() {
  let world = EngineWorld()
  world.overlapping(.bufferOne)
  world.advance(seconds: 10)
  world.change(.scheduleDelete, "tick")
  world.ack("j1")
  world.advance(seconds: 100)
  #expect(world.runs() == [])
  world.check()
}

@Test("the last fire that is allowed may wait; then the schedule is finished")
func bufferedLast() {
  let world = EngineWorld()
  world.overlapping(.bufferOne) { $0.maximumFires = 2 }
  world.advance(seconds: 30)
  #expect(world.show("tick") == "tick active last 20000 ms ago buffered 20000 ms ago fired 1")
  world.check()
  world.restart()
  world.ack("j1")
  #expect(world.runs() == ["tick 20000"])
  #expect(world.show("tick").hasPrefix("tick finished"))
  world.check()
}

@Test("a schedule never fires more often than an update allows, also where a fire waits", arguments: [1, 2, 3])
func bufferedFewer(allowed: UInt32) {
  let world = EngineWorld()
  world.overlapping(.bufferOne) { $0.maximumFires = 5 }
  world.advance(seconds: 10)
  world.overlappingAgain { $0.maximumFires = allowed }
  world.check()
  world.ack("j1")
  for _ in 0..<10 {
    world.advance(seconds: 10)
    _ = world.runs()
  }
  #expect(world.schedule("tick")?.fired == allowed && world.schedule("tick")?.state == .finished)
  #expect(world.schedule("tick")?.skipped == (allowed == 1 ? 1 : 0))
  world.check()
}

extension EngineWorld {
  func overlappingAgain(_ change: (inout NewSchedule) -> Void) {
    every("tick", 10_000) {
      $0.overlap = .bufferOne
      change(&$0)
    }
  }
}

@Test("a waiting fire is dropped, and counted, when the policy that made it wait is changed")
func bufferedPolicyChange() {
  let world = EngineWorld()
  world.overlapping(.bufferOne)
  world.advance(seconds: 10)
  #expect(world.every("tick", 10_000) == "updated overlap in 10000 ms")
  world.ack("j1")
  #expect(world.runs() == [])
  #expect(world.show("tick") == "tick active in 10000 ms last 0 ms ago fired 1 skipped 1")
  world.check()
}

@Test("a waiting fire goes before a due time that comes in the same moment")
func bufferedOrder() {
  let world = EngineWorld()
  world.every("tick", 10_000) {
    $0.overlap = .bufferOne
    $0.job.maximumAttempts = 1
  }
  world.advance(seconds: 10)
  _ = world.take(lease: 20_000)
  // The lease ends at 30,000, with the third due time; the second waits.
  world.advance(seconds: 10)
  world.time = Time(boot: world.time.boot + 12_000_000, wall: world.time.wall + 12_000_000)
  world.fireTimers()
  #expect(world.runs() == ["tick 20000"])
  #expect(world.runs() == ["tick 30000"])
  #expect(world.schedule("tick")?.skipped == 0)
  world.check()
}

@Test("a trigger beside a waiting fire makes it wait for the triggered job")
func bufferedTrigger() {
  let world = EngineWorld()
  world.overlapping(.bufferOne)
  world.advance(seconds: 10)
  #expect(world.change(.scheduleTrigger, "tick") == "j2")
  world.check()
  world.ack("j1")
  #expect(world.schedule("tick")?.bufferedDueMilliseconds != nil)
  #expect(world.runs() == ["tick 20000"])
  #expect(world.runs() == ["tick 20000"])
  #expect(world.show("tick") == "tick active in 10000 ms last 0 ms ago fired 2 triggered 1")
  world.check()
}

@Test("a fire cancels the job before, whether a worker has it or not", arguments: [true, false])
func overlapCancel(isLeased: Bool) {
  let world = EngineWorld()
  world.every("tick", 10_000) {
    $0.overlap = .cancelPrevious
    $0.job.retentionMilliseconds = 60_000
  }
  world.advance(seconds: 10)
  if isLeased { #expect(world.dequeue(lease: 600_000) == "j1 t1 a1 tick") }
  let first = world.schedule("tick")?.lastJob
  world.advance(seconds: 10)
  let details = first.flatMap { world.engine.details(of: $0) }
  #expect(details?.state == .cancelled)
  if isLeased { #expect(world.ack("j1") == "refused j1 CANCELLED") }
  #expect(world.runs() == ["tick 20000"])
  #expect(world.engine.statistics().totals.cancelled == 1)
  world.check()
  world.restart()
  world.advance(seconds: 10)
  #expect(world.runs() == ["tick 30000"])
  #expect(world.engine.statistics().totals.cancelled == 1, "what is finished is not cancelled")
  world.check()
}

@Test("somebody who waits for a job that a fire cancels is told")
func overlapCancelTold() {
  let world = EngineWorld()
  world.every("tick", 10_000) { $0.overlap = .cancelPrevious }
  world.advance(seconds: 10)
  let job = world.name(world.schedule("tick")?.lastJob ?? JobID(rawValue: 0))
  #expect(world.wait(job, milliseconds: 60_000) == "…")
  world.advance(seconds: 10)
  #expect(world.heard == ["j1 cancelled attempt 0"])
  world.check()
}
