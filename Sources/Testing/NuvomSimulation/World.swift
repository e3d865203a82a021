import NuvomBroker
import NuvomConnection
import NuvomEngine
import NuvomHistory
import NuvomModel
internal import NuvomStorage
import SeededNumbers

/// A simulated world: one broker, its clients, and the clock, network and disk between them. What happens follows from the seed alone.
package final class World {
  private enum Event {
    case turn
    case wake(Int64)
    case storage
    case accept(Link)
    case refused(SimulatedClient)
    case connected(Link)
    case atBroker(Link, [UInt8])
    case atClient(Link, [UInt8])
    case closedAtBroker(Link)
    case closedAtClient(Link)
    case timer(SimulatedClient)
    case think(SimulatedClient)
    case start
    case roomAgain
  }

  private var random: SeededNumbers
  private let weather: Weather
  private let disk: SimulatedDisk
  private let clocks = Clocks()
  private let network = SimulatedNetwork()
  private let archive = Archive()
  private var events = EventQueue<Event>()
  private var broker: SimulatedBroker?
  private var clients: [SimulatedClient] = []
  private var readable: [Link] = []
  private var links = 0
  private var turnAt: Int64?
  private var wakeAt = Int64.max
  private var isStorageAwake = false
  private var acknowledged: UInt64 = 0
  private var isEnding = false
  private var history = HistoryChecker()
  private var model = ReferenceModel()
  private var modelled = 0
  private var digest = Digest()
  private var report = SimulationReport(runs: 1)

  /// Unchecked: a world has one thread.
  private final class Clocks: @unchecked Sendable {
    var elapsed: Int64 = 0
    var bootOffset: Int64 = 5_000_000
    var wallOffset: Int64 = 1_790_000_000_000_000
    var random = SeededNumbers(seed: 0)
    var now: Time { Time(boot: elapsed + bootOffset, wall: elapsed + wallOffset) }
  }

  /// Lets a world live for so many events.
  package static func run(seed: UInt64, steps: Int) -> SimulationReport {
    let world = World(seed: seed)
    world.run(steps: steps)
    return world.report
  }

  /// The same without any trouble but one fault of the disk, while a commit is made on the loop's thread or on one of its own.
  package static func run(
    seed: UInt64, steps: Int, fault: SimulatedDisk.Fault, commitsOnThread: Bool
  ) -> SimulationReport {
    var weather = Weather()
    weather.broker.placement = commitsOnThread ? .thread : .inline
    (weather.largestPayload, weather.largeOdds) = (20_000, 3)
    let world = World(seed: seed, weather: weather, fault: fault)
    world.run(steps: steps)
    return world.report
  }

  private init(seed: UInt64, weather: Weather? = nil, fault: SimulatedDisk.Fault? = nil) {
    random = SeededNumbers(seed: seed)
    self.weather = weather ?? Weather(&random)
    let weather = self.weather
    disk = SimulatedDisk(seed: random.next())
    disk.fault = fault
    clocks.random = SeededNumbers(seed: random.next())
    for index in 0..<weather.producers {
      add(
        ProducerRole(
          index: index + 1, largest: weather.largestPayload, largeOdds: weather.largeOdds,
          isTimed: weather.clockSteps == nil))
    }
    for _ in 0..<weather.workers { add(WorkerRole(isTimed: weather.clockSteps == nil)) }
    add(SchedulerRole())
    add(OperatorRole())
    network.deliver = { [unowned self] bytes, link in toClient(bytes, link) }
    network.hangUp = { [unowned self] link in hangUp(link) }
    startBroker()
    for client in clients {
      client.machine.start(now: clocks.elapsed)
      pump(client)
      events.add(.think(client), at: 1 + delay(weather.pause))
    }
  }

  @discardableResult
  private func add(_ role: any Role) -> SimulatedClient {
    let client = SimulatedClient(number: clients.count + 1, role: role, seed: random.next())
    clients.append(client)
    return client
  }

  private func delay(_ mean: Int64) -> Int64 { Int64(random.below(Int(2 * mean) + 1)) }

  private func complain(_ text: String) {
    if report.complaints.count < 20 { report.complaints.append("step \(report.steps): \(text)") }
  }

  // MARK: Running

  /// Lets so many events happen, then lets everything come to rest and looks at what is there.
  private func run(steps: Int) {
    while report.steps < steps, report.complaints.isEmpty, let (time, event) = events.next() {
      step(time, event)
      trouble()
    }
    endTrouble()
    comeToRest()
    compareStates()
    lookForJobs()
    if !weather.mayLose {
      for complaint in history.complaints() { complain("\(complaint)") }
    }
    finishDigest()
  }

  private func step(_ time: Int64, _ event: Event) {
    clocks.elapsed = max(clocks.elapsed, time)
    report.steps += 1
    digest.add(UInt64(bitPattern: time))
    switch event {
    case .turn: turn()
    case .wake(let time) where time == wakeAt:
      wakeAt = .max
      turn()
    case .wake: break
    case .storage: workStorage()
    case .accept(let link): accept(link)
    case .refused(let client):
      client.machine.connectionLost("refused", now: clocks.elapsed)
      pump(client)
    case .connected(let link) where link.client.link === link:
      link.client.machine.connected(now: clocks.elapsed)
      pump(link.client)
    case .connected: break
    case .atBroker(let link, let bytes):
      guard link.connection != nil, !link.isCut else { return }
      link.unread += bytes
      becomeReadable(link)
    case .atClient(let link, let bytes):
      guard link.client.link === link, !link.isCut else { return }
      bytes.withUnsafeBytes {
        digest.add($0)
        link.client.machine.received($0, now: clocks.elapsed)
      }
      pump(link.client)
    case .closedAtBroker(let link):
      guard let connection = link.connection else { return }
      network.remove(link)
      broker?.broker.disconnect(connection)
      wantTurn()
    case .closedAtClient(let link):
      guard link.client.link === link else { return }
      link.client.link = nil
      link.client.machine.connectionLost("closed", now: clocks.elapsed)
      pump(link.client)
    case .timer(let client):
      client.timerAt = .max
      client.machine.timePassed(now: clocks.elapsed)
      pump(client)
    case .think(let client): think(client)
    case .start: startBroker()
    case .roomAgain: disk.capacity = .max
    }
  }

  // MARK: Trouble

  private func happens(_ odds: Int?) -> Bool { odds.map { random.once(in: $0) } ?? false }

  private func trouble() {
    if happens(weather.networkCuts), let link = network.all.randomElement(using: &random) { cut(link) }
    if happens(weather.clockSteps) { stepClock() }
    guard broker != nil else { return }
    if happens(weather.kills) {
      if random.once(in: 4) { stop() } else { die(power: false) }
    }
    // The power goes amid the next operations of the disk.
    if happens(weather.powerCuts) { disk.operationsUntilPowerCut = random.below(8) }
    if happens(weather.diskFaults) {
      let operation = random.element(SimulatedDisk.Operation.allCases)
      let number = disk.counts[operation.rawValue] + 1 + random.below(5)
      disk.fault = SimulatedDisk.Fault(
        operation, number: number, isFull: random.once(in: 3), isSticky: random.once(in: 4))
    }
    if happens(weather.fullDisks) {
      disk.capacity = disk.used + random.below(200_000)
      events.add(.roomAgain, at: clocks.elapsed + 1_000 + delay(2_000_000))
    }
  }

  /// Nothing passes any more. One end learns of it soon, the other perhaps late.
  private func cut(_ link: Link) {
    report.networkCuts += 1
    link.isCut = true
    events.add(.closedAtClient(link), at: clocks.elapsed + (random.once(in: 3) ? delay(3_000_000) : delay(2_000)))
    events.add(.closedAtBroker(link), at: clocks.elapsed + (random.once(in: 3) ? delay(20_000_000) : delay(2_000)))
  }

  private func stepClock() {
    report.clockSteps += 1
    let most = random.element([1_000, 60_000, 3_600_000, 86_400_000])
    let step = Int64(random.below(most)) * 1_000
    clocks.wallOffset += random.once(in: 2) ? step : -step
    wantTurn()
  }

  // MARK: The broker

  private func startBroker() {
    do {
      let clocks = clocks
      let broker = try SimulatedBroker(
        weather.broker, disk: disk, transport: network, archive: archive, clock: { clocks.now },
        random: { clocks.random.next() })
      if disk.isOff { return die(power: true) }
      self.broker = broker
      report.starts += 1
      checkRecovery(broker)
      afterTurn()
    } catch {
      // A disk that fails, is full or loses its power may keep a broker from starting, once.
      let isExcused = disk.isOff || disk.fault != nil || disk.capacity < .max
      if !isExcused { complain("the broker does not start: \(error)") }
      disk.fault = nil
      die(power: disk.isOff)
      if !isExcused { broker = nil }
    }
  }

  private func checkRecovery(_ broker: SimulatedBroker) {
    digest.add(broker.recovered)
    if broker.report.snapshot != nil { report.recoveriesFromSnapshot += 1 }
    if broker.report.torn != nil { report.tornTails += 1 }
    if broker.report.wasSealed, broker.report.torn != nil { complain("a sealed log has a torn end") }
    if broker.report.lastSequence < acknowledged, !weather.mayLose {
      complain(
        "batch \(acknowledged) was acknowledged, and \(broker.report.lastSequence) is the last that was recovered")
    }
    if !broker.isSame { complain("a batch was read that was never written") }
    if broker.recovered != broker.replayed { complain("the recovered state is not what its events lead to") }
    model = ReferenceModel()
    modelled = 0
    feedModel()
  }

  /// What SIGTERM does, where nothing is under way: goodbye to everybody, and the log's seal.
  private func stop() {
    guard let broker else { return }
    broker.broker.drain()
    broker.broker.endTurn()
    feedModel()
    if broker.broker.isQuiet, !disk.isOff {
      do {
        try broker.broker.seal()
        while broker.storage.runShelf() {}
        report.seals += 1
      } catch {
        if disk.fault == nil { complain("the log was not sealed: \(error)") }
      }
    }
    die(power: disk.isOff)
  }

  /// The process ends, with or without the machine.
  private func die(power: Bool) {
    if let broker, !power { acknowledged = max(acknowledged, broker.storage.lastSequence) }
    if power {
      report.powerCuts += 1
      disk.powerCut()
      clocks.bootOffset = 1_000_000 - clocks.elapsed + delay(1_000_000)
    } else {
      report.kills += 1
      disk.processEnded()
    }
    for link in network.all {
      network.remove(link)
      link.unread = []
      // Its machine sends a reset, or is gone: then the client has to find out.
      let patience = power && random.once(in: 3) ? 5_000_000 : 1_000
      if power { link.isCut = true }
      events.add(.closedAtClient(link), at: max(link.earliestAtClient, clocks.elapsed) + delay(Int64(patience)))
    }
    readable = []
    broker = nil
    wakeAt = .max
    turnAt = nil
    if random.once(in: 2) { disk.fault = nil }
    events.add(.start, at: clocks.elapsed + 1_000 + delay(random.once(in: 4) ? 3_000_000 : 50_000))
  }

  private func wantTurn() {
    guard broker != nil, turnAt == nil else { return }
    let time = clocks.elapsed + delay(30)
    turnAt = time
    events.add(.turn, at: time)
  }

  private func becomeReadable(_ link: Link) {
    if !link.isInTurn {
      link.isInTurn = true
      readable.append(link)
    }
    wantTurn()
  }

  /// What the event loop of the server does: everything that has arrived, then the end of the turn.
  private func turn() {
    turnAt = nil
    guard let broker else { return }
    let links = readable
    readable = []
    for link in links {
      link.isInTurn = false
      guard let connection = link.connection, !link.unread.isEmpty else { continue }
      let used = link.unread.withUnsafeBytes { broker.broker.receive($0, from: connection) }
      link.unread.removeFirst(min(used, link.unread.count))
      // What it did not take for now it is given again when answers have left.
      if !link.unread.isEmpty, broker.broker.isHeldUp(connection) { readable.append(link) }
    }
    for notice in takeNotices() { broker.broker.receive(notice) }
    if let deadline = broker.broker.nextDeadline, deadline <= clocks.now.boot { broker.broker.fireTimers() }
    broker.broker.endTurn()
    report.turns += 1
    afterTurn()
  }

  private func takeNotices() -> [BrokerNotice] {
    guard let broker else { return [] }
    defer { broker.notices.list = [] }
    return broker.notices.list
  }

  private func afterTurn() {
    guard let broker else { return }
    if disk.isOff { return die(power: true) }
    acknowledged = max(acknowledged, broker.storage.lastSequence)
    feedModel()
    if broker.failure != nil {
      report.storageFailures += 1
      disk.fault = nil
      // With the power goes what only the cache had: a failed sync has left it there, and called it clean.
      return die(power: weather.broker.sync == .always && random.once(in: 3))
    }
    if !broker.notices.list.isEmpty { wantTurn() }
    if !readable.isEmpty { wantTurn() }
    if !isStorageAwake, broker.storage.hasWork {
      isStorageAwake = true
      events.add(.storage, at: clocks.elapsed + delay(120))
    }
    if let deadline = broker.broker.nextDeadline {
      let time = max(clocks.elapsed + 10, deadline - clocks.bootOffset)
      if time < wakeAt {
        wakeAt = time
        events.add(.wake(time), at: time)
      }
    }
  }

  /// What the threads of the storage do, a piece at a time.
  private func workStorage() {
    isStorageAwake = false
    guard let broker else { return }
    let first = random.once(in: 2)
    let hasWorked =
      first
      ? broker.storage.runCommit() || broker.storage.runShelf()
      : broker.storage.runShelf() || broker.storage.runCommit()
    if disk.isOff { return die(power: true) }
    if !broker.notices.list.isEmpty { wantTurn() }
    guard hasWorked else { return }
    isStorageAwake = true
    events.add(.storage, at: clocks.elapsed + delay(120))
  }

  private func feedModel() {
    while modelled < archive.batches.count {
      model.apply(archive.batches[modelled].body)
      modelled += 1
    }
    for complaint in model.complaints { complain(complaint) }
  }

  // MARK: The network

  private func accept(_ link: Link) {
    guard let broker, !link.isCut, let connection = broker.broker.connect() else {
      return events.add(.closedAtClient(link), at: clocks.elapsed + delay(weather.delay))
    }
    network.add(link, as: connection)
    events.add(.connected(link), at: clocks.elapsed + delay(weather.delay))
  }

  private func toClient(_ bytes: BorrowedBytes, _ link: Link) {
    // Without power nothing leaves any more.
    if disk.isOff { return }
    var rest = bytes
    while !rest.isEmpty {
      let count = random.once(in: 4) ? 1 + random.below(rest.count) : rest.count
      link.earliestAtClient = max(link.earliestAtClient, clocks.elapsed + delay(weather.delay))
      events.add(.atClient(link, Array(rest[..<(rest.startIndex + count)])), at: link.earliestAtClient)
      rest = BorrowedBytes(rebasing: rest[(rest.startIndex + count)...])
    }
  }

  private func toBroker(_ bytes: [UInt8], _ link: Link) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = random.once(in: 4) ? 1 + random.below(rest.count) : rest.count
      link.earliestAtBroker = max(link.earliestAtBroker, clocks.elapsed + delay(weather.delay))
      events.add(.atBroker(link, Array(rest.prefix(count))), at: link.earliestAtBroker)
      rest = rest.dropFirst(count)
    }
  }

  private func hangUp(_ link: Link) {
    events.add(.closedAtClient(link), at: max(link.earliestAtClient, clocks.elapsed) + delay(weather.delay))
    events.add(.closedAtBroker(link), at: clocks.elapsed + delay(weather.delay))
  }

  // MARK: Clients

  private func pump(_ client: SimulatedClient) {
    while let action = client.machine.nextAction() {
      switch action {
      case .connect:
        links += 1
        let link = Link(number: links, client: client)
        client.link = link
        if broker == nil {
          client.link = nil
          events.add(.refused(client), at: clocks.elapsed + delay(weather.delay))
        } else {
          events.add(.accept(link), at: clocks.elapsed + delay(weather.delay))
        }
      case .send(let bytes):
        guard let link = client.link, !link.isCut else { continue }
        bytes.withUnsafeBytes { digest.add($0) }
        toBroker(bytes, link)
      case .disconnect:
        guard let link = client.link else { continue }
        client.link = nil
        events.add(.closedAtBroker(link), at: max(link.earliestAtBroker, clocks.elapsed) + delay(weather.delay))
      case .answer(let id, let answer):
        report.answers += 1
        if let complaint = client.take(id, answer, now: clocks.elapsed, &history) { complain(complaint) }
      case .notice(.opened(_, let resent)) where resent > 0: client.sentAgain(now: clocks.elapsed, &history)
      case .notice: break
      case .closed(let failure):
        if !isEnding { complain("client \(client.number) closed: \(failure?.message ?? "no reason")") }
      }
    }
    if let deadline = client.machine.nextDeadline, deadline < client.timerAt {
      client.timerAt = deadline
      events.add(.timer(client), at: max(deadline, clocks.elapsed + 1))
    }
  }

  private func think(_ client: SimulatedClient) {
    guard !isEnding else { return }
    if client.asked.count < 6, let ask = client.role.next(now: clocks.elapsed, random: &random) {
      report.requests += 1
      client.submit(ask, now: clocks.elapsed, &history)
      pump(client)
    }
    let pause = random.once(in: 200) ? 2_000_000 : weather.pause
    events.add(.think(client), at: clocks.elapsed + 1 + delay(pause))
  }

  // MARK: The end

  /// No trouble and no new requests any more.
  private func endTrouble() {
    isEnding = true
    disk.fault = nil
    disk.capacity = .max
    disk.operationsUntilPowerCut = nil
  }

  /// All that is under way is answered, or the broker owes an answer.
  private func comeToRest() {
    let limit = report.steps + 200_000
    while report.steps < limit, !isAtRest, report.complaints.isEmpty, let (time, event) = events.next() {
      step(time, event)
    }
    for client in clients where !client.asked.isEmpty && report.complaints.isEmpty {
      complain("client \(client.number) is owed \(client.asked.count) answers")
    }
  }

  /// Asks for some of the jobs that there ever were: what is not known must have been finished.
  private func lookForJobs() {
    guard report.complaints.isEmpty else { return }
    let ids = Set(clients.flatMap(\.jobs)).sorted()
    let inspector = add(InspectorRole(Array(ids.prefix(200)) + ids.dropFirst(200).suffix(200)))
    inspector.machine.start(now: clocks.elapsed)
    while let ask = inspector.role.next(now: clocks.elapsed, random: &random) {
      inspector.submit(ask, now: clocks.elapsed, &history)
    }
    pump(inspector)
    comeToRest()
  }

  private var isAtRest: Bool { clients.allSatisfy { $0.asked.isEmpty } && broker?.broker.isQuiet == true }

  /// What the broker says of its jobs is what the log leads to.
  private func compareStates() {
    guard let broker, report.complaints.isEmpty else { return }
    let statistics = broker.engine.statistics()
    var counts: [String: Int] = [:]
    for job in model.jobs.values { counts[job.state.word, default: 0] += 1 }
    for (word, count) in [
      ("delayed", statistics.delayed), ("ready", statistics.ready), ("leased", statistics.leased),
      ("succeeded", statistics.succeeded), ("dead", statistics.dead), ("cancelled", statistics.cancelled),
    ] where counts[word, default: 0] != Int(count) {
      complain("the broker has \(count) jobs \(word), its log leads to \(counts[word, default: 0])")
    }
    report.jobs = model.known.count
  }

  private func finishDigest() {
    if let broker { digest.add(broker.engine.digest()) }
    disk.forEachFile { name, content in
      var name = name
      name.withUTF8 { digest.add(UnsafeRawBufferPointer($0)) }
      content.withUnsafeBytes { digest.add($0) }
    }
    report.digest = digest.text
    report.deliveries = history.deliveryCount
    report.diskFaults = disk.failures
  }
}
