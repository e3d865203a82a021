import ArgumentParser
import BrokerProcess
import Foundation
import Glibc

/// Operations on the log's files that fail, at the real process under load.
struct DiskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disk",
    abstract:
      "Lets reads, writes, syncs, renames and more of the log's files fail, one by one, and looks at what is left.")

  @Option(help: "The last of each kind of operation that is made to fail.") var upTo = 20
  @Option(help: "The same for files that are made and removed as the log grows: 32 MiB are written for each.")
  var rollsUpTo = 2
  @Option(help: "Brokers at a time.") var lanes = 2

  func run() throws {
    let findings = Findings(of: "disk")
    try log(findings)
    try start(findings)
    try rolls(findings)
    try findings.close()
  }

  // MARK: The log itself

  /// A write or sync of the current segment that fails is the end, and nothing is acknowledged after it.
  private func log(_ findings: Findings) throws {
    let faults = [FileOperation.write, .sync].flatMap { operation in
      cases(operation, .segment, "log", upTo: upTo)
    }
    let outcomes = inLanes(lanes, faults) { fault in
      DiskCase(fault).run(Load.Size(), answersBefore: 20 + fault.occurrence * 7) { ending in
        ending == nil ? "the broker went on" : nil
      }
    }
    report("log", outcomes, findings)
  }

  // MARK: The start

  private func start(_ findings: Findings) throws {
    let template = try FaultyBroker()
    try template.process.start()
    let load = Load(Load.Size(payloadBytes: 32 << 10, waitingBytes: 2 << 20))
    load.begin(port: template.process.port)
    // Several segments, of which a snapshot has made some needless.
    let isLoaded = load.awaitAnswers(1_500)
    template.process.kill()
    load.awaitEnd()
    guard isLoaded else { return findings.fail("start: the load stood still: \(template.process.log.suffix(500))") }
    try template.process.start()
    for problem in try load.check(port: template.process.port) { findings.fail("start: \(problem)") }
    template.process.kill()
    let data = template.process.data
    let operations: [FileOperation] = [
      .open, .create, .allocate, .read, .write, .truncate, .sync, .rename, .remove, .syncDirectory,
    ]
    let counted = try DiskCase.countOperations(ofStartOn: data)
    let faults = operations.flatMap { operation in
      cases(operation, .all, "the start's", upTo: min(upTo, counted(operation)))
    }
    let outcomes = inLanes(lanes, faults) { fault in DiskCase(fault).start(data, load) }
    withExtendedLifetime(template) {}
    report("start", outcomes, findings)
  }

  // MARK: Files that come and go

  private func rolls(_ findings: Findings) throws {
    let mayGoOn: [(FileOperation, FileKinds, String)] = [
      (.create, .newSpare, "new spare's"), (.allocate, .newSpare, "new spare's"), (.write, .newSpare, "new spare's"),
      (.sync, .newSpare, "new spare's"), (.rename, .newSpare, "new spare's"),
      (.syncDirectory, .newSpare, "new spare's"),
      (.open, .spare, "spare's"), (.write, .spare, "spare's"), (.sync, .spare, "spare's"), (.rename, .spare, "spare's"),
      (.syncDirectory, .spare, "next segment's"),
    ]
    let mustGoOn: [(FileOperation, FileKinds, String)] = [
      (.create, .newSnapshot, "snapshot's"), (.write, .newSnapshot, "snapshot's"), (.sync, .newSnapshot, "snapshot's"),
      (.rename, .newSnapshot, "snapshot's"), (.syncDirectory, .newSnapshot, "snapshot's"),
      (.rename, .segment, "old segment's"), (.remove, [.segment, .snapshot], "old file's"),
      (.syncDirectory, [.segment, .snapshot], "old file's"),
    ]
    let faults =
      mayGoOn.flatMap { place in
        cases(place.0, place.1, place.2, upTo: rollsUpTo).map { fault in
          // Without room for a new file nothing is lost: the broker refuses, and goes on.
          (fault, fault.error == ENOSPC && fault.kinds == .newSpare)
        }
      }
      + mustGoOn.flatMap { place in cases(place.0, place.1, place.2, upTo: rollsUpTo).map { ($0, true) } }
    let size = Load.Size(payloadBytes: 64 << 10, jobsPerRequest: 4, requestsInFlight: 8)
    let outcomes = inLanes(lanes, faults) { fault, isHarmless in
      DiskCase(fault).run(size, answersBefore: 50, goingOn: true) { ending in
        isHarmless && ending != nil ? "the broker ended with \(ending ?? 0)" : nil
      }
    }
    report("files that come and go", outcomes, findings)
  }

  // MARK: Cases

  private func cases(_ operation: FileOperation, _ kinds: FileKinds, _ place: String, upTo: Int) -> [Fault] {
    (1..<upTo + 1).flatMap { occurrence in
      [EIO, ENOSPC].flatMap { error in
        [false, true].map { isSticky in
          Fault(
            operation: operation, kinds: kinds, error: error, occurrence: occurrence, isSticky: isSticky, place: place)
        }
      }
    }
  }

  private func report(_ part: String, _ outcomes: [DiskCase.Outcome], _ findings: Findings) {
    for outcome in outcomes {
      for problem in outcome.problems { findings.fail("\(part): \(outcome.fault): \(problem)") }
    }
    let reached = outcomes.filter(\.isReached)
    let ended = reached.compactMap(\.exitMilliseconds).sorted()
    findings.say(
      "\(part): \(outcomes.count) faults, \(reached.count) met, \(ended.count) of them ended the broker, \(reached.count - ended.count) did not"
    )
    if !ended.isEmpty {
      let late = ended.filter { $0 > 100 }.count
      findings.say(
        """
        \(part): from the failed call to the end of the process: median \(tenths(ended[ended.count / 2])) ms, \
        p99 \(tenths(ended[ended.count * 99 / 100])) ms, longest \(tenths(ended.last ?? 0)) ms; over 100 ms: \(late)
        """)
    }
    let farewells = reached.flatMap(\.farewells)
    if !farewells.isEmpty {
      let told = farewells.filter { $0 == "STORAGE_UNKNOWN" }.count
      findings.say(
        "\(part): of \(farewells.count) clients \(told) were told STORAGE_UNKNOWN, \(farewells.count - told) were cut off without a word"
      )
      findings.expect(told * 10 >= farewells.count * 9, "\(part): too few clients were told STORAGE_UNKNOWN")
    }
    for outcome in reached where outcome.exitMilliseconds ?? 0 > 100 {
      findings.say("\(part): \(tenths(outcome.exitMilliseconds ?? 0)) ms after \(outcome.fault)")
    }
    // A second new spare is seldom needed: of those, some come too late. But a place that is never met tests nothing.
    let places = Dictionary(grouping: outcomes) { "\($0.fault.place) \($0.fault.operation.name)" }
    for (place, outcomes) in places.sorted(by: { $0.key < $1.key }) {
      let met = outcomes.filter(\.isReached).count
      if met < outcomes.count { findings.say("\(part): \(place): \(met) of \(outcomes.count) faults met") }
      findings.expect(met > 0, "\(part): \(place): not one fault was met: this has tested nothing")
    }
  }
}

/// One broker, one fault.
struct DiskCase {
  struct Outcome: Sendable {
    let fault: Fault
    var problems: [String] = []
    var isReached = false
    /// From the failed call to the end of the process, if it was its end.
    var exitMilliseconds: Double?
    /// How the clients' connections ended, if it was its end.
    var farewells: [String?] = []
  }

  let fault: Fault

  init(_ fault: Fault) { self.fault = fault }

  /// Lets the fault happen under load, and compares what clients were told with what a start without faults finds.
  ///
  /// - Parameters:
  ///   - goingOn: The broker may go on: then the load does, for as long as a few segments take.
  ///   - judge: What is wrong with the broker's having ended with that status, or with its not having ended (nil).
  func run(_ size: Load.Size, answersBefore: Int, goingOn: Bool = false, judge: (Int32?) -> String?) -> Outcome {
    var outcome = Outcome(fault: fault)
    do {
      let broker = try FaultyBroker()
      // A spare is made beside the first requests, and then seldom, for freed segments take its place: that first one is to meet the fault.
      let isMetAtStart = fault.kinds == .newSpare
      if isMetAtStart { broker.page.order(fault) }
      try broker.process.start()
      let load = Load(size)
      load.begin(port: broker.process.port)
      guard load.awaitAnswers(answersBefore) else {
        broker.process.kill()
        load.awaitEnd()
        outcome.problems.append("the load stood still")
        return outcome
      }
      if !isMetAtStart { broker.page.order(fault) }
      let ending = watch(broker, load, goingOn: goingOn)
      outcome.isReached = broker.page.failures > 0
      if outcome.isReached, let problem = judge(ending?.status) { outcome.problems.append(problem) }
      let farewells: [String?]
      if let ending {
        farewells = load.awaitEnd()
        outcome.problems += problems(of: broker, ending: ending.status)
        outcome.farewells = farewells
        // A socket that is closed with requests unread resets the connection, and may take the goodbye with it: then there is no answer either.
        if farewells.contains(where: { $0 != nil && $0 != "STORAGE_UNKNOWN" }) {
          outcome.problems.append("a client was told \(farewells) instead of STORAGE_UNKNOWN")
        }
        if let failedAt = broker.page.failedAt {
          let milliseconds = Double(ending.at - failedAt) / 1e6
          outcome.exitMilliseconds = milliseconds
          if milliseconds > 1_000 {
            outcome.problems.append("the process ended \(milliseconds) ms after the failed call")
          }
        }
      } else {
        load.end()
        broker.process.kill()
      }
      broker.page.callOff()
      try broker.process.start()
      outcome.problems += try load.check(port: broker.process.port).prefix(5)
    } catch {
      outcome.problems.append("\(error)")
    }
    return outcome
  }

  /// Waits for the broker's end; nil if it goes on.
  private func watch(_ broker: FaultyBroker, _ load: Load, goingOn: Bool) -> (status: Int32, at: Int64)? {
    guard goingOn else { return broker.end(within: 20) }
    // Until the fault was met, and then for some more work.
    let limit = monotonicNanoseconds() + 20_000_000_000
    while broker.process.isRunning, broker.page.failures == 0, monotonicNanoseconds() < limit { usleep(1_000) }
    let (answers, refusals) = load.state.withLock { ($0.answers, $0.refusals) }
    while broker.process.isRunning, monotonicNanoseconds() < limit {
      if load.state.withLock({ $0.answers >= answers + 300 || $0.refusals >= refusals + 5 }) { return nil }
      usleep(1_000)
    }
    return broker.end(within: 1)
  }

  /// What a broker that has ended for its disk owes the one who reads its log.
  private func problems(of broker: FaultyBroker, ending: Int32) -> [String] {
    var problems: [String] = []
    if ending <= 0 { problems.append("it ended with \(ending)") }
    let lines = broker.process.log.split(separator: "\n")
    let message = lines.last.map(String.init) ?? ""
    let files = broker.page.failedFiles.map { $0 == "." ? broker.process.data.path : $0 }
    if !files.contains(where: message.contains) { problems.append("its last line names none of \(files): \(message)") }
    let remedy = fault.error == ENOSPC ? "free space" : "check the disk"
    for part in [" failed: ", String(cString: strerror(fault.error)), remedy] where !message.contains(part) {
      problems.append("its last line does not say \"\(part)\": \(message)")
    }
    return problems
  }

  /// Lets the fault happen while a broker starts on a copy of `data`: it starts all the same, or says why not, and the next start finds what the
  /// load has left there.
  func start(_ data: URL, _ load: Load) -> Outcome {
    var outcome = Outcome(fault: fault)
    do {
      let broker = try FaultyBroker(copyOf: data)
      broker.page.order(fault)
      let status = try broker.process.startUnlessItEnds()
      let ended = monotonicNanoseconds()
      outcome.isReached = broker.page.failures > 0
      if let status {
        if let failedAt = broker.page.failedAt { outcome.exitMilliseconds = Double(ended - failedAt) / 1e6 }
        outcome.problems += problems(of: broker, ending: status)
      }
      broker.process.kill()
      broker.page.callOff()
      try broker.process.start()
      outcome.problems += try load.compare(port: broker.process.port).prefix(5)
    } catch {
      outcome.problems.append("\(error)")
    }
    return outcome
  }

  /// How often a start on a copy of `data` does what, until it listens.
  static func countOperations(ofStartOn data: URL) throws -> (FileOperation) -> Int {
    let broker = try FaultyBroker(copyOf: data)
    try broker.process.start()
    return { operation in broker.page.met(operation) }
  }
}
