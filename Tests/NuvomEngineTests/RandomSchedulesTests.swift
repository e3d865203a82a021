import NuvomModel
import SeededNumbers
import Testing

@testable import NuvomEngine

@Test("whatever happens to clocks, broker and jobs, schedules do what the plain model does", arguments: 1...24)
func randomSchedules(seed: Int) {
  var run = RandomScheduleRun(seed: UInt64(seed))
  for step in 0..<250 {
    run.step()
    run.compare("seed \(seed) step \(step)")
    if run.random.once(in: 60) { run.world.check() }
    if run.hasFailed { break }
  }
  run.world.check()
}

/// What a schedule must do, written as plainly as possible: its due times are gone through one by one. Times are milliseconds of the wall clock.
private struct ScheduleModel {
  enum JobState { case ready, leased, over }

  var queue: String
  var interval: Int64
  var end: Int64?
  var maximum: UInt32
  var misfire: MisfirePolicy
  var catchUp: Int64
  var overlap: OverlapPolicy
  var next: Int64?
  var last: Int64?
  var buffered: Int64?
  var isPaused = false
  var fired: UInt32 = 0
  var missed: UInt32 = 0
  var skipped: UInt32 = 0
  /// The jobs in the order in which they were enqueued, with the due time of those that were not triggered.
  var jobs: [(due: Int64?, state: JobState)] = []
  /// Every due time about which was decided.
  var decided: Set<Int64> = []

  var isFinished: Bool { next == nil && buffered == nil }
  private var isUnfinished: Bool { jobs.last.map { $0.state != .over } ?? false }
  private var isLastFire: Bool { maximum > 0 && fired + 1 >= maximum }

  /// Decides about what has passed, if it may.
  mutating func look(at now: Int64) {
    if isPaused { return }
    fireBuffered()
    var passed: [Int64] = []
    var due = next
    while let present = due, present <= now {
      passed.append(present)
      due = after(present)
    }
    guard let latest = passed.last else { return }
    for due in passed {
      guard next == due else { return }
      next = after(due)
      last = due
      #expect(decided.insert(due).inserted, "\(due) comes once")
      let isWanted = misfire == .all || due == latest
      if isWanted, due >= now - catchUp { decide(due) } else { missed += 1 }
    }
  }

  private func after(_ due: Int64) -> Int64? { due + interval <= end ?? .max ? due + interval : nil }

  private mutating func decide(_ due: Int64) {
    if isUnfinished {
      switch overlap {
      case .allow: break
      case .skip:
        skipped += 1
        return
      case .bufferOne:
        if buffered != nil { skipped += 1 }
        buffered = due
        if isLastFire { next = nil }
        return
      case .cancelPrevious: jobs[jobs.count - 1].state = .over
      }
    }
    fire(due)
  }

  private mutating func fire(_ due: Int64) {
    if isLastFire { next = nil }
    fired += 1
    jobs.append((due, .ready))
  }

  private mutating func fireBuffered() {
    guard let due = buffered, !isUnfinished, !isPaused else { return }
    buffered = nil
    fire(due)
  }

  mutating func finishJob(_ index: Int) {
    jobs[index].state = .over
    fireBuffered()
  }

  mutating func pause(_ isPaused: Bool) {
    self.isPaused = isPaused
    fireBuffered()
  }

  /// A new interval begins with its first whole length, and never at or before what was decided about. What passed during a pause is missed.
  mutating func change(interval new: Int64, at now: Int64) {
    while let passed = next, passed <= now {
      missed += 1
      last = passed
      #expect(decided.insert(passed).inserted, "\(passed) comes once")
      next = after(passed)
    }
    interval = new
    var due = now + new
    while due <= last ?? .min { due += new }
    next = due <= end ?? .max ? due : nil
  }

  mutating func change(overlap new: OverlapPolicy) {
    overlap = new
    if new != .bufferOne, buffered != nil {
      buffered = nil
      skipped += 1
    }
  }
}

/// One run of random operations against an engine and the models of its schedules.
private struct RandomScheduleRun {
  let world = EngineWorld()
  var random: SeededNumbers
  private var models: [String: ScheduleModel] = [:]
  private var made = 0
  private(set) var hasFailed = false
  private let names = ["a", "b", "c", "d", "e"]
  /// Jobs that are leased, and the schedule and number of each.
  private var held: [(job: EngineWorld.Taken, name: String, queue: String, index: Int)] = []
  /// What was delivered: every (schedule, due time) once.
  private var delivered: Set<String> = []

  init(seed: UInt64) {
    random = SeededNumbers(seed: seed)
    // A whole tick of the timers.
    world.time = Time(boot: 1_000_000_000_000 / 16_000 * 16_000, wall: 1_700_000_000_000_000 / 16_000 * 16_000)
    world.restart()
  }

  private var now: Int64 { world.time.wallMilliseconds }
  private mutating func ticks(_ most: Int) -> Int64 { Int64(random.below(most)) * 16 }

  mutating func step() {
    let name = names[random.below(names.count)]
    switch random.below(100) {
    case 0..<14: define(name)
    case 14..<26: update(name)
    case 26..<50: advance(ticks(2_000))
    case 50..<56: stepWall()
    case 56..<64: pause(name)
    case 64..<68: trigger(name)
    case 68..<70: delete(name)
    case 70..<80: take(name)
    case 80..<90: ack()
    case 90..<95: restart()
    case 95..<97: world.beginSnapshot()
    default: world.tellSnapshot()
    }
  }

  // MARK: Operations

  private func definition(_ name: String, _ model: ScheduleModel) -> NewSchedule {
    world.definition(name) {
      $0.times = .every(milliseconds: UInt64(model.interval))
      $0.endMilliseconds = model.end.map { UInt64($0) }
      $0.maximumFires = model.maximum
      $0.misfire = model.misfire
      $0.catchUpMilliseconds = UInt64(model.catchUp)
      $0.overlap = model.overlap
      $0.job.queue = world.bytes(model.queue)
    }
  }

  private mutating func say(_ name: String, _ model: ScheduleModel) -> String {
    world.say(.schedule) { $0.schedules = [definition(name, model)] }.text
  }

  private mutating func define(_ name: String) {
    if models[name] != nil { return }
    made += 1
    let interval = 16 + ticks(400)
    let catchUp = random.once(in: 3) ? 0 : ticks(3_000)
    var model = ScheduleModel(
      queue: "q\(made)", interval: interval, end: random.once(in: 4) ? now + interval + ticks(60_000) : nil,
      maximum: random.once(in: 3) ? UInt32(1 + random.below(6)) : 0, misfire: MisfirePolicy.allCases[random.below(3)],
      catchUp: catchUp, overlap: OverlapPolicy.allCases[random.below(4)])
    model.next = now + interval
    models[name] = model
    let receipt = say(name, model)
    expect(receipt == "created in \(interval) ms", receipt)
  }

  private mutating func update(_ name: String) {
    guard var model = models[name], model.next != nil else { return }
    let before = model
    switch random.below(5) {
    case 0: break
    case 1: model.change(interval: 16 + ticks(400), at: now)
    case 2: model.misfire = MisfirePolicy.allCases[random.below(3)]
    case 3: model.catchUp = ticks(3_000)
    default: model.change(overlap: OverlapPolicy.allCases[random.below(4)])
    }
    if model.next == nil { return }
    if model.interval == before.interval { model.next = before.next }
    models[name] = model
    let receipt = say(name, model)
    expect(receipt.hasPrefix("un") || receipt.hasPrefix("updated"), receipt)
  }

  private mutating func advance(_ milliseconds: Int64) {
    let end = now + milliseconds
    world.advance(milliseconds: milliseconds)
    for name in models.keys {
      while let due = models[name]?.next, due <= end, models[name]?.isPaused == false { models[name]?.look(at: due) }
    }
  }

  private mutating func look() {
    world.fireTimers()
    let now = now
    for name in models.keys { models[name]?.look(at: now) }
  }

  private mutating func stepWall() {
    let step = ticks(random.once(in: 3) ? 20_000 : 1_000) * 1_000
    world.time.wall += random.once(in: 2) ? step : -step
    look()
  }

  private mutating func pause(_ name: String) {
    guard let model = models[name] else { return }
    let reply = world.change(model.isPaused ? .scheduleResume : .schedulePause, name)
    expect(reply == (model.isFinished ? "refused 0 FINISHED" : "ok"), reply)
    if !model.isFinished { models[name]?.pause(!model.isPaused) }
    look()
  }

  private mutating func trigger(_ name: String) {
    guard models[name] != nil else { return }
    world.change(.scheduleTrigger, name)
    models[name]?.jobs.append((due: nil, state: .ready))
  }

  private mutating func delete(_ name: String) {
    let reply = world.change(.scheduleDelete, name)
    expect(reply == (models[name] == nil ? "refused 0 NOT_FOUND" : "ok"), reply)
    models[name] = nil
  }

  private mutating func take(_ name: String) {
    guard let model = models[name] else { return }
    let taken = world.take([model.queue], max: 1 + random.below(3), lease: 86_400_000).taken
    var index = 0
    for job in taken {
      while index < model.jobs.count, models[name]?.jobs[index].state != .ready { index += 1 }
      guard index < model.jobs.count else {
        return expect(false, "\(name) enqueued a job for \(job.dueMilliseconds) that the model does not know")
      }
      if let due = model.jobs[index].due {
        expect(
          job.schedule == name && job.dueMilliseconds == due, "\(name) was due at \(due), not \(job.dueMilliseconds)")
        expect(delivered.insert("\(model.queue) \(due)").inserted, "\(name) fires once for \(due)")
      }
      models[name]?.jobs[index].state = .leased
      held.append((job, name, model.queue, index))
    }
  }

  private mutating func ack() {
    if held.isEmpty { return }
    let (job, name, queue, index) = held.remove(at: random.below(held.count))
    let reply = world.ack(world.name(job.id))
    guard let model = models[name], model.queue == queue else { return }
    let wasCancelled = model.jobs[index].state == .over
    expect(reply.hasSuffix("CANCELLED") == wasCancelled, reply)
    if !wasCancelled { models[name]?.finishJob(index) }
  }

  private mutating func restart() {
    let away = Int64(random.below(3)) * 100
    if random.once(in: 2) {
      world.restartFromSnapshot(awaySeconds: away)
    } else {
      world.restart(awaySeconds: away)
    }
    look()
  }

  // MARK: Comparing

  private mutating func expect(_ isTrue: Bool, _ what: @autoclosure () -> String) {
    if isTrue { return }
    hasFailed = true
    Issue.record("\(what())")
  }

  /// Every schedule stands where the model says.
  mutating func compare(_ comment: String) {
    for (name, model) in models.sorted(by: { $0.key < $1.key }) {
      guard let details = world.schedule(name) else {
        expect(false, "\(comment): \(name) is gone")
        continue
      }
      let state: ScheduleState = model.isFinished ? .finished : model.isPaused ? .paused : .active
      let times = [details.dueMilliseconds, details.lastDueMilliseconds, details.bufferedDueMilliseconds]
      let counts = [details.fired, details.missed, details.skipped]
      let isSame =
        details.state == state && times == [model.next, model.last, model.buffered]
        && counts == [model.fired, model.missed, model.skipped]
      expect(isSame, "\(comment): \(name) is \(details.state) \(times) \(counts), not \(state) \(model)")
      let decided = model.fired + model.missed + model.skipped + (model.buffered == nil ? 0 : 1)
      expect(model.decided.count == Int(decided), "\(comment): \(name) loses no due time")
    }
    let isKnown = world.engine.statistics().schedules == models.count
    expect(isKnown, "\(comment): so many schedules")
  }
}
