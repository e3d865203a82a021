import ArgumentParser
import BrokerProcess
import Foundation
import Glibc
import MessagePack

/// A disk that fills up, again and again, under the real process.
struct FullDiskCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "full-disk",
    abstract:
      "Fills the disk of a broker under load and gives it room again: it must refuse jobs, and go on with all else.")

  @Option(help: "How often the disk is filled.") var cycles = 20
  @Option(help: "Size of the disk in MiB.") var mebibytes = 256

  func run() throws {
    let findings = Findings(of: "full-disk")
    let broker = try FaultyBroker()
    let disk = try SmallDisk(at: broker.process.data, mebibytes: mebibytes, otherwise: broker.page)
    defer { disk.remove() }
    findings.say(
      disk.isReal
        ? "a file system of \(mebibytes) MiB"
        : "no file system can be mounted here: the library says that the disk is full")
    try broker.process.start()
    let load = Load(Load.Size(payloadBytes: 32 << 10, requestsInFlight: 4, waitingBytes: 4 << 20))
    load.begin(port: broker.process.port)
    var probe = Probe(connection: try RawConnection(port: broker.process.port))
    try probe.connection.hello()
    var resumed: [Double] = []
    do {
      for cycle in 1...max(1, cycles) { resumed.append(try turn(cycle, broker, disk, load, &probe, findings)) }
    } catch {
      findings.fail("\(error): \(broker.process.log.suffix(500))")
    }
    load.end()
    for problem in try load.check(port: broker.process.port).prefix(10) { findings.fail(problem) }
    broker.process.kill()
    try broker.process.start()
    for problem in try load.compare(port: broker.process.port).prefix(10) {
      findings.fail("after a restart: \(problem)")
    }
    let (refusals, counts) = (load.state.withLock { $0.refusals }, load.counts)
    findings.say(
      "\(resumed.count) cycles: \(refusals) enqueues refused, \(counts.enqueued) jobs enqueued, \(counts.done) done")
    if let longest = resumed.max() {
      findings.say(
        "from room to the first job accepted: median \(tenths(median(resumed))) s, longest \(tenths(longest)) s")
      findings.expect(longest <= 5, "service resumed \(tenths(longest)) s after there was room")
    }
    try findings.close()
  }

  /// Fills the disk, tries what must work and what must not, and gives room again: seconds until a job was accepted then.
  private func turn(
    _ cycle: Int, _ broker: FaultyBroker, _ disk: SmallDisk, _ load: Load, _ probe: inout Probe, _ findings: Findings
  ) throws -> Double {
    for _ in 0..<4 {
      guard try probe.enqueue() == nil else { throw BrokerFailure("cycle \(cycle): refused although there is room") }
    }
    let first = try probe.dequeue()
    let refusals = load.state.withLock { $0.refusals }
    try disk.fill()
    guard load.awaitState(seconds: 30, { $0.refusals >= refusals + 5 || !$0.problems.isEmpty }) else {
      throw BrokerFailure("cycle \(cycle): the disk is full, and nothing was refused")
    }
    // All of it with the disk full. What a snapshot frees meanwhile is filled again, until no job is taken after it.
    try probe.settle("extend", first)
    try probe.settle("nack", first, ["delay_ms": 0])
    for _ in 0..<4 { try probe.settle("ack", try probe.dequeue()) }
    let limit = monotonicNanoseconds() + 30_000_000_000
    while true {
      if let refusal = try probe.enqueue() {
        findings.expect(
          refusal["code"] == "DISK_FULL" && (refusal["retry_after_ms"]?.number ?? 0) > 0,
          "cycle \(cycle): refused with \(refusal)")
        break
      }
      try probe.settle("ack", try probe.dequeue())
      guard monotonicNanoseconds() < limit else {
        throw BrokerFailure("cycle \(cycle): the disk is full, and takes jobs")
      }
      try disk.fill()
      usleep(20_000)
    }
    try disk.makeRoom()
    let began = monotonicNanoseconds()
    while let refusal = try probe.enqueue() {
      guard monotonicNanoseconds() - began < 30_000_000_000 else {
        throw BrokerFailure("cycle \(cycle): there is room for half a minute, and jobs are refused with \(refusal)")
      }
      usleep(20_000)
    }
    let seconds = Double(monotonicNanoseconds() - began) / 1e9
    try probe.settle("ack", try probe.dequeue())
    return seconds
  }
}

/// A client that looks what is refused and what is not.
private struct Probe {
  struct Lease {
    let id: MessageValue
    let token: MessageValue
  }

  let connection: RawConnection
  private var request: UInt64 = 0

  init(connection: RawConnection) { self.connection = connection }

  private mutating func call(_ method: String, _ params: MessageValue) throws -> MessageValue {
    request += 1
    return try connection.call(request, method, params)
  }

  /// The error, if it was refused.
  mutating func enqueue() throws -> MessageValue? {
    let answer = try call(
      "enqueue", ["jobs": [["queue": "probe", "task": "probe", "max_attempts": 100, "backoff_base_ms": 0]]])
    guard let error = answer[2], error != .null else { return nil }
    return error
  }

  mutating func dequeue() throws -> Lease {
    let answer = try call("dequeue", ["queues": ["probe"], "wait_ms": 5_000])
    guard let job = answer[3]?["jobs"]?[0], let id = job["id"], let token = job["token"] else {
      throw BrokerFailure("dequeue: \(answer)")
    }
    return Lease(id: id, token: token)
  }

  mutating func settle(_ method: String, _ lease: Lease, _ more: MessageValue = [:]) throws {
    var fields: [(MessageValue, MessageValue)] = [("id", lease.id), ("token", lease.token)]
    if case .map(let pairs) = more { fields += pairs }
    let answer = try call(method, ["jobs": [.map(fields)]])
    guard answer[2] == .null, answer[3] == [:] else { throw BrokerFailure("\(method): \(answer)") }
  }
}

/// A disk that can be filled: a small file system in memory where one can be mounted, else the preloaded library's word.
private final class SmallDisk {
  let isReal: Bool
  private let folder: URL
  private let page: FaultPage
  private var filler: String { folder.appendingPathComponent("filler").path }

  init(at folder: URL, mebibytes: Int, otherwise page: FaultPage) throws {
    self.folder = folder
    self.page = page
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    isReal = try Self.run("mount", ["-t", "tmpfs", "-o", "size=\(mebibytes)m", "nuvom-proof", folder.path], in: folder)
  }

  /// Takes all that is free; again, what has become so.
  func fill() throws {
    guard isReal else { return page.isFull = true }
    let descriptor = Glibc.open(filler, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw BrokerFailure("open \(filler): \(errno)") }
    defer { close(descriptor) }
    var status = stat()
    fstat(descriptor, &status)
    var size = Int(status.st_size)
    // The broker takes and gives meanwhile: until not a page is left.
    for step in [1 << 20, 4_096] {
      while posix_fallocate(descriptor, off_t(size), off_t(step)) == 0 { size += step }
    }
  }

  func makeRoom() throws {
    guard isReal else { return page.isFull = false }
    guard unlink(filler) == 0 else { throw BrokerFailure("unlink \(filler): \(errno)") }
  }

  /// To be called at the end: else the file system stays.
  func remove() {
    if isReal, (try? Self.run("umount", ["-l", folder.path], in: folder)) != true {
      print("\(folder.path) is still mounted: umount it")
    }
  }

  private static func run(_ program: String, _ arguments: [String], in folder: URL) throws -> Bool {
    let pipe = try FileDescriptor.pipe()
    let errors = folder.deletingLastPathComponent().appendingPathComponent("mount.txt")
    for place in ["/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"] {
      guard FileManager.default.isExecutableFile(atPath: place + program) else { continue }
      return try SpawnedProcess(place + program, arguments, output: pipe.writing, errors: errors).waitForExit() == 0
    }
    return false
  }
}
