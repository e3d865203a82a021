import ArgumentParser
import BrokerProcess
import Foundation
import Glibc
import SeededNumbers

/// The real process, killed with SIGKILL at any point of its work, again and again on the same data. A kill does not lose what the kernel has: that is
/// for `power-cut`.
struct CrashCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "crash",
    abstract:
      "Kills a broker under full load again and again, and holds what its clients saw against what it promises.",
    discussion: """
      After each kill the state is read from the log in two ways, which must agree: from the last snapshot and what is behind it, and from the \
      first event on.
      """)

  @Option(help: "Kills.") var rounds = 50
  @Option(help: "Chooses the moments of the kills, and what the clients do.") var seed: UInt64 = 1
  @Option(help: "Milliseconds of work before a kill, at most.") var longest = 1_200
  @Flag(help: "Keep the histories.") var keep = false

  func run() throws {
    let findings = Findings(of: "crash")
    findings.say("seed \(seed), \(rounds) kills")
    var left = max(1, rounds)
    var story: UInt64 = 0
    while left > 0 {
      let kills = min(left, Self.killsOfAStory)
      do { try tell(story: seed &+ story, kills, findings) } catch { findings.fail("seed \(seed &+ story): \(error)") }
      left -= kills
      story += 1
    }
    try findings.close()
  }

  /// Kills on the same data: so that the clients' records have room in memory when they are judged. The next story begins on an empty disk, with the
  /// next seed.
  private static let killsOfAStory = 100

  private func tell(story seed: UInt64, _ kills: Int, _ findings: Findings) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("nuvom-crash-\(UUID().uuidString)")
    let home = folder.appendingPathComponent("broker")
    try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
    defer {
      if keep { findings.say("kept: \(folder.path)") } else { try? FileManager.default.removeItem(at: folder) }
    }
    let broker = BrokerProcess(in: home, options: ["--fsync", "always", "--log-level", "warning"])
    try broker.start()
    let clients = try ClientsProcess(port: broker.port, folder: folder, seed: seed)
    var story = try KillStory(broker: broker, clients: clients, numbers: SeededNumbers(seed: seed), longest: longest)
    for round in 1...kills { try story.kill(round, findings) }
    findings.say(
      "\(kills) kills after \(clients.said.answers) answers: \(story.killsAmidSnapshots) while a snapshot was being written; before \(story.killsAmidStarts) starts another was killed on its way"
    )
    findings.say(
      "\(kills) states recovered, \(story.comparisonsWithSnapshot) of them with a snapshot, are those of a replay: of one from the first event \(story.comparisonsFromFirstEvent) times, else of one from an older snapshot"
    )
    findings.say("longest start after a kill: \(story.longestStart / 1_000_000) ms")
    try clients.finish()
    let history = try RecordedHistory([clients.history.path])
    history.tell(findings)
    // The story was one: else nothing was tried.
    findings.expect(
      history.checker.deliveryCount > 20 * kills && history.checker.fireDeliveryCount > kills,
      "too little was done between the kills")
    findings.expect(kills < 10 || story.comparisonsWithSnapshot > 0, "no snapshot was written")
  }
}

/// Kills that follow each other on the same data.
private struct KillStory {
  let broker: BrokerProcess
  let clients: ClientsProcess
  var numbers: SeededNumbers
  let longest: Int
  private let replay: IndependentReplay
  private(set) var killsAmidSnapshots = 0
  private(set) var killsAmidStarts = 0
  private(set) var comparisonsWithSnapshot = 0
  private(set) var comparisonsFromFirstEvent = 0
  private(set) var longestStart: UInt64 = 0

  init(broker: BrokerProcess, clients: ClientsProcess, numbers: SeededNumbers, longest: Int) throws {
    self.broker = broker
    self.clients = clients
    self.numbers = numbers
    self.longest = longest
    replay = try IndependentReplay(of: broker.data.path, mirror: broker.folder.appendingPathComponent("mirror").path)
  }

  mutating func kill(_ round: Int, _ findings: Findings) throws {
    // The clients are all there again: load, not a queue before the door.
    let answers = clients.said.answers
    try follow(round, seconds: 30) { $0.answers > answers + 100 }
    guard clients.said.answers > answers + 100 else { throw BrokerFailure("round \(round): the broker stands still") }
    // Every third kill waits for a snapshot that is being written.
    let isHunting = round % 3 == 0
    let pause = Double(numbers.below(max(1, longest))) / 1_000
    try follow(round, seconds: pause) { _ in false }
    if isHunting { try follow(round, seconds: 2) { _ in isSnapshotBeingWritten } }
    guard broker.isRunning else {
      throw BrokerFailure("round \(round): the broker ended by itself: \(broker.log.suffix(2_000))")
    }
    broker.kill()
    if isSnapshotBeingWritten { killsAmidSnapshots += 1 }
    let comparison = try replay.compare()
    if comparison.hasSnapshot { comparisonsWithSnapshot += 1 }
    if comparison.isFromFirstEvent { comparisonsFromFirstEvent += 1 }
    for line in comparison.difference {
      findings.fail(
        "round \(round): the two ways to read the log up to batch \(comparison.position) do not agree: \(line)")
    }
    if round % 5 == 0 { try killAmidStart() }
    let start = monotonicTime()
    try broker.start()
    longestStart = max(longestStart, monotonicTime() - start)
  }

  /// Kills one that has hardly begun to read the log, or to write what it goes on with.
  private mutating func killAmidStart() throws {
    let pipe = try FileDescriptor.pipe()
    let starting = try SpawnedProcess(
      SpawnedProcess.program("nuvom", variable: "NUVOM_BINARY"),
      ["broker", "--listen", "127.0.0.1:0", "--data", broker.data.path, "--log-level", "warning"], output: pipe.writing,
      errors: broker.folder.appendingPathComponent("standard-error.txt"))
    usleep(UInt32(numbers.below(100_000)))
    starting.kill()
    killsAmidStarts += 1
    // It may have written, and nobody has seen it: the next comparison tells.
    replay.hold()
  }

  /// Replays what is written until the condition holds, or for so long.
  private func follow(
    _ round: Int, seconds: Double, until condition: (ClientsProcess.Progress) -> Bool
  ) throws {
    let end = monotonicTime() + UInt64(seconds * 1e9)
    var nextLook: UInt64 = 0
    while monotonicTime() < end, !condition(clients.said) {
      guard clients.isRunning else { throw BrokerFailure("round \(round): the clients have ended: \(clients.log)") }
      if monotonicTime() >= nextLook {
        replay.follow()
        nextLook = monotonicTime() + 100_000_000
      }
      replay.hold()
      usleep(2_000)
    }
  }

  private var isSnapshotBeingWritten: Bool {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: broker.data.path)) ?? []
    return names.contains { $0.hasSuffix(".snapshot.tmp") }
  }
}
