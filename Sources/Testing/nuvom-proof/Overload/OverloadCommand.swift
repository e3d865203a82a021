import ArgumentParser
import BrokerProcess
import Foundation
import MessagePack

/// Twice what fits, for a while.
struct OverloadCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "overload", abstract: "Producers offer twice what fits, under a limit of memory and one of disk.",
    discussion: """
      The broker refuses with a typed error and retry_after_ms, lets workers go on, stays below its limit, and gives back every job that it \
      acknowledged. Where it may, it runs in a control group, in which the kernel would kill it if it outgrew its limit.
      """)

  /// What there is too little of.
  enum Scarce: String, CaseIterable, ExpressibleByArgument {
    case memory, disk
  }

  @Argument(help: "memory, disk; both if none is named.") var scarce: [Scarce] = []
  @Option(help: "How long it lasts, each.") var seconds = 60
  @Option(help: "The limit, in MiB.") var limitMib = 64
  @Option var producers = 4
  @Option var workers = 4
  @Option var payloadBytes = 1_024
  @Option(help: "What the process may take beyond --memory-limit: itself, tables that grow by steps, buffers, MiB.")
  var overheadMib = 128

  func run() throws {
    let findings = Findings(of: "overload")
    for scarce in scarce.isEmpty ? Scarce.allCases : scarce {
      do {
        try overload(scarce, findings)
      } catch {
        findings.fail("\(scarce.rawValue): \(error)")
      }
    }
    try findings.close()
  }

  private func overload(_ scarce: Scarce, _ findings: Findings) throws {
    let name = scarce.rawValue
    let options =
      switch scarce {
      case .memory: ["--memory-limit", "\(limitMib)MiB"]
      case .disk: ["--memory-limit", "2GiB", "--disk-limit", "\(limitMib)MiB"]
      }
    let code = scarce == .memory ? "MEMORY_FULL" : "DISK_FULL"
    let broker = try BrokerProcess(options: options)
    let group = scarce == .memory ? ControlGroup(for: broker.pid, limit: (limitMib + overheadMib) << 20) : nil
    let peak = ResidentPeak(of: broker.pid)
    defer { peak.stop() }
    findings.say(
      "\(name): limit \(limitMib) MiB, \(seconds) s, \(producers) producers, \(workers) workers, jobs of \(payloadBytes) bytes\(scarce == .memory && group == nil ? "; no control group here: nothing would kill it" : "")"
    )

    // Until it is full nobody takes anything: twice the limit is offered.
    let load = Flood(port: broker.port, payloadBytes: payloadBytes)
    for producer in 0..<producers { try load.addProducer(producer) }
    let until = monotonicMicroseconds() + 120_000_000
    var tally = load.look()
    while tally.refused < producers, tally.problems.isEmpty, monotonicMicroseconds() < until {
      pause(seconds: 0.05)
      tally = load.look()
    }
    let fitting = tally.accepted
    findings.say("  \(name): \(fitting) jobs fit, of \(readable(bytes: fitting * payloadBytes)) in all")
    findings.expect(tally.refused > 0, "\(name): nothing was ever refused")

    for worker in 0..<workers { try load.addWorker(worker, restSeconds: 0.01) }
    var enqueues: [UInt32] = []
    var works: [UInt32] = []
    var acked = 0
    var idleSeconds = 0
    let began = monotonicMicroseconds()
    var diskPeak = 0
    while tally.problems.isEmpty, monotonicMicroseconds() - began < Int64(seconds) * 1_000_000 {
      pause(seconds: 1)
      tally = load.look()
      enqueues += tally.enqueueTimes
      works += tally.workerTimes
      // There may be nothing to take when producers wait; an answer comes.
      if tally.workerTimes.isEmpty { idleSeconds += 1 }
      acked = tally.acked
      diskPeak = max(diskPeak, diskBytes(broker.data))
    }
    let lasted = Double(monotonicMicroseconds() - began) / 1_000_000
    load.stopPushing()
    load.stopWorking()
    load.waitForEnd()
    tally = load.look()

    let codes = tally.codes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    findings.say(
      """
        \(name): refusals \(codes.isEmpty ? "none" : codes), retry after \(tally.retryAfter.map { "\($0.lowerBound)…\($0.upperBound) ms" } ?? "-"); \
      \(tally.accepted) accepted
      """)
    findings.say(
      """
        \(name): workers \(Int(Double(acked) / lasted)) jobs/s, their requests' p99 \(readable(microseconds: Latencies(works).p99)); enqueues that \
      were accepted: p99 \(readable(microseconds: Latencies(enqueues).p99))
      """)
    findings.say(
      "  \(name): resident at most \(readable(bytes: peak.bytes))\(scarce == .disk ? ", files at most \(readable(bytes: diskPeak))" : "")"
    )

    for problem in tally.problems { findings.fail("\(name): \(problem)") }
    findings.expect(
      Set(tally.codes.keys) == [code], "\(name): refused with \(tally.codes.keys.sorted()) instead of \(code)")
    findings.expect(tally.accepted > fitting, "\(name): nothing was accepted when workers had made room")
    findings.expect(idleSeconds == 0, "\(name): in \(idleSeconds) s of \(Int(lasted)) no worker was answered")
    if scarce == .memory {
      findings.expect(
        peak.bytes <= (limitMib + overheadMib) << 20, "\(name): it took more than the limit and \(overheadMib) MiB")
    } else {
      // The file system counts a block or two of its own to a file.
      findings.expect(
        diskPeak <= (limitMib << 20) + (64 << 10),
        "\(name): its files took \(diskPeak - (limitMib << 20)) bytes more than the limit")
    }
    findings.expect(
      broker.isRunning, "\(name): the broker has ended: \(group?.killed == true ? "killed by the kernel" : broker.log)")
    try compare(tally, name, findings)
    try enqueueAgain(broker, name, findings)
    findings.expect(group?.killed != true, "\(name): the kernel killed the broker")
    broker.kill()
    group?.remove()
  }

  /// Every job that was acknowledged was delivered, once.
  private func compare(_ tally: Flood.Tally, _ name: String, _ findings: Findings) throws {
    var missing = 0
    var unknown = 0
    for producer in 0..<producers {
      let expected = Set(0..<tally.enqueued[producer, default: 0])
      let delivered = tally.delivered[producer, default: []]
      missing += expected.subtracting(delivered).count
      unknown += delivered.subtracting(expected).count
    }
    findings.say(
      "  \(name): \(tally.acked) delivered with their bytes; \(missing) missing, \(tally.deliveredTwice) twice, \(unknown) that nobody enqueued"
    )
    findings.expect(missing == 0, "\(name): \(missing) acknowledged jobs were not delivered")
    findings.expect(tally.deliveredTwice == 0, "\(name): \(tally.deliveredTwice) jobs were delivered twice")
    findings.expect(unknown == 0, "\(name): \(unknown) jobs were delivered that were refused")
    findings.expect(tally.acked == tally.accepted, "\(name): \(tally.accepted) accepted, \(tally.acked) acked")
  }

  /// When all is done there is room again.
  private func enqueueAgain(_ broker: BrokerProcess, _ name: String, _ findings: Findings) throws {
    let connection = try RawConnection(port: broker.port)
    try connection.hello()
    let payload = MessageValue.binary([UInt8](repeating: 7, count: payloadBytes))
    let deadline = monotonicMicroseconds() + 5_000_000
    var request: UInt64 = 0
    var answer = MessageValue.null
    repeat {
      request += 1
      answer = try connection.call(request, "enqueue", ["jobs": [["task": "t", "payload": payload]]])
      if answer[2] == .null { return }
      pause(seconds: 0.1)
    } while monotonicMicroseconds() < deadline
    findings.fail("\(name): five seconds after everything was acked there is no room: \(answer)")
  }

  /// What the files of a folder take of the disk.
  private func diskBytes(_ folder: URL) -> Int {
    let files = (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
    return files.reduce(0) { sum, file in
      var information = stat()
      return lstat(file.path, &information) == 0 ? sum + Int(information.st_blocks) * 512 : sum
    }
  }
}
