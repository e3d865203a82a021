import ArgumentParser
import BrokerProcess
import Foundation
import Glibc
import NuvomHistory
import SeededNumbers

/// The power is cut: what the device has by then is all that is left.
struct PowerCutCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "power-cut",
    abstract:
      "Copies a broker's disk at any moment of its work, and holds what a broker makes of the copy against what clients were told.",
    discussion: """
      The log is on an ext4 file system of its own, over a loop device with direct I/O: what the file system holds in memory is not in the \
      copy. For this root and loop devices are needed; where they are not to be had, it says so and passes.
      """)

  @Option(help: "Cuts.") var cuts = 20
  @Option(help: "Chooses the moments of the cuts, and what the clients do.") var seed: UInt64 = 1
  @Option(help: "Milliseconds of work before a cut, at most.") var longest = 1_000
  @Option(help: "Size of the file system in MiB.") var mebibytes = 1_024

  func run() throws {
    let findings = Findings(of: "power-cut")
    findings.say("seed \(seed), \(cuts) cuts")
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("nuvom-power-cut-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let leftover = Leftovers.add { _ = try? FileManager.default.removeItem(at: folder) }
    defer { Leftovers.clear(leftover) }
    if let reason = Self.obstacle(in: folder) {
      findings.say("skipped: \(reason)")
      return try findings.close()
    }
    do {
      try cut(in: folder, findings)
    } catch {
      findings.fail("\(error)")
    }
    try findings.close()
  }

  /// Why no file system can be mounted here; nil if it can.
  private static func obstacle(in folder: URL) -> String? {
    do {
      let file = folder.appendingPathComponent("trial").path
      try LoopImage.make(file, mebibytes: 16)
      try LoopImage(mounting: file, on: folder.appendingPathComponent("trial-mounted").path).unmount()
      return nil
    } catch {
      return "\(error)"
    }
  }

  private func cut(in folder: URL, _ findings: Findings) throws {
    let stage = try PowerCutStage(in: folder.appendingPathComponent("always"), fsync: "always", mebibytes, seed: seed)
    var numbers = SeededNumbers(seed: seed)
    var longestStart: UInt64 = 0
    for cut in 1...max(1, cuts) {
      let found = try stage.cut(after: numbers.below(max(1, longest)))
      longestStart = max(longestStart, found.startNanoseconds)
      for complaint in found.complaints.prefix(10) { findings.fail("cut \(cut): \(complaint)") }
      if found.looks == 0 { findings.fail("cut \(cut): nothing was compared") }
      findings.say("cut \(cut): \(found.records) records, \(found.looks) jobs looked for")
    }
    findings.say("longest start after a cut: \(longestStart / 1_000_000) ms")
    stage.end()
    // Without syncs a cut must show: else these cuts take nothing, and the others have shown nothing.
    let unsafe = try PowerCutStage(in: folder.appendingPathComponent("never"), fsync: "never", mebibytes, seed: seed)
    let found = try unsafe.cut(after: longest)
    unsafe.end()
    findings.say("without syncs, a cut took what \(found.complaints.count) complaints are about")
    findings.expect(!found.complaints.isEmpty, "a cut of a broker without syncs took nothing: these cuts show nothing")
  }
}

/// A broker on a file system of its own, and its clients on another.
private final class PowerCutStage {
  /// What came of a cut.
  struct Found {
    let complaints: [Complaint]
    let records: Int
    let looks: Int
    let startNanoseconds: UInt64
  }

  private let folder: URL
  private let image: LoopImage
  private let broker: BrokerProcess
  private let clients: ClientsProcess
  private var leftover: Leftovers.Ticket?
  private var lastCut: UInt64 = 0

  init(in folder: URL, fsync: String, _ mebibytes: Int, seed: UInt64) throws {
    self.folder = folder
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let file = folder.appendingPathComponent("image").path
    let mounted = folder.appendingPathComponent("mounted")
    try LoopImage.make(file, mebibytes: mebibytes)
    image = try LoopImage(mounting: file, on: mounted.path)
    broker = BrokerProcess(in: mounted, options: ["--fsync", fsync, "--log-level", "warning"])
    try broker.start()
    let pid = broker.pid
    leftover = Leftovers.add { _ = Glibc.kill(pid, SIGKILL) }
    clients = try ClientsProcess(port: broker.port, folder: folder, seed: seed)
  }

  deinit { end() }

  /// Kills the broker; its clients end with it. Twice is once.
  func end() {
    if let leftover { Leftovers.clear(leftover) }
    leftover = nil
    broker.kill()
    image.unmount()
  }

  /// Lets them work for so long, cuts, and lets them go on: what a broker has made of what the device had.
  func cut(after milliseconds: Int) throws -> Found {
    let answers = clients.said.answers
    let limit = monotonicTime() + 30_000_000_000
    while clients.said.answers < answers + 100 {
      guard clients.isRunning, monotonicTime() < limit else {
        throw BrokerFailure("the clients stand still: \(clients.log)")
      }
      usleep(1_000)
    }
    usleep(UInt32(milliseconds) * 1_000)
    let copy = folder.appendingPathComponent("copy")
    broker.signal(SIGSTOP)
    defer { broker.signal(SIGCONT) }
    try awaitStop()
    try image.copy(to: copy.path)
    // Whatever clients have until here left the broker before it stood still.
    let end = monotonicTime()
    broker.signal(SIGCONT)
    defer {
      unlink(copy.path)
      lastCut = end
    }
    return try examine(copy, end)
  }

  /// Waits until no thread of the broker runs, and none is in the kernel with something of ours.
  private func awaitStop() throws {
    let tasks = "/proc/\(broker.pid)/task"
    let limit = monotonicTime() + 30_000_000_000
    while true {
      let states = try FileManager.default.contentsOfDirectory(atPath: tasks).compactMap { task in
        try String(contentsOfFile: "\(tasks)/\(task)/stat", encoding: .utf8).split(separator: ")").last?.dropFirst()
          .first
      }
      if states.allSatisfy({ $0 == "T" }) { return }
      guard monotonicTime() < limit else { throw BrokerFailure("the broker does not stand still: \(states)") }
      usleep(200)
    }
  }

  private func examine(_ copy: URL, _ end: UInt64) throws -> Found {
    let mounted = folder.appendingPathComponent("copy-mounted")
    let image = try LoopImage(mounting: copy.path, on: mounted.path)
    defer { image.unmount() }
    let other = BrokerProcess(in: mounted, options: ["--fsync", "always", "--log-level", "warning"])
    let start = monotonicTime()
    try other.start()
    let startNanoseconds = monotonicTime() - start
    let pid = other.pid
    let leftover = Leftovers.add { _ = Glibc.kill(pid, SIGKILL) }
    defer {
      Leftovers.clear(leftover)
      other.kill()
    }
    // A broker that stood still had read its clock before that, and its sockets after it: leases are for `crash`.
    var history = try RecordedHistory([clients.history.path], slackMilliseconds: 60_000, until: end)
    let closing = try Closing(port: other.port)
    // What was done before the last cut was looked for then.
    let jobs = history.checker.jobs(doneSince: lastCut)
    try closing.look(atJobs: jobs)
    try closing.look(atSchedules: history.checker.schedules, isDrained: false)
    let number = history.checker.client(named: "closing")
    for (at, event) in closing.events { history.checker.note(History.Record(client: number, at: at, event)) }
    return Found(
      complaints: history.checker.complaints(), records: history.checker.recordCount, looks: jobs.count,
      startNanoseconds: startNanoseconds)
  }
}
