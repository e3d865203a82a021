import ArgumentParser
import BrokerProcess
import Foundation
import Glibc
import MessagePack

/// Hostile clients against the real broker, while others work with it.
struct HostileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "hostile", abstract: "Hostile clients, while active ones are measured.",
    discussion: """
      The active clients' p99 is to be at most twice that of quiet windows. It is printed; a failure is only what no busy machine explains. \
      Memory, refusals and answers are exact.
      """)

  /// The scenes, in their order.
  enum Scene: String, CaseIterable, ExpressibleByArgument {
    case idle, flood, churn, drip, halfOpen, neverReads, halfFrames, bombs, noise, pipeline
  }

  @Argument(help: "The scenes to play; all if none is named.") var scenes: [Scene] = []
  @Flag(help: "The long form: more windows.") var long = false
  @Option(help: "Active clients, one request in flight each.") var clients = 4
  @Option(help: "Windows of each kind.") var windows: Int?
  @Option var windowSeconds = 1.0
  @Option(help: "Idle connections.") var idle = 10_000
  @Option(help: "Connections that come in the flood.") var flood = 15_000
  @Option(help: "Connections that the broker then allows.") var limit = 12_000
  @Option(help: "Requests of the pipeline.") var requests = 1_000_000
  @Option(help: "Of the random bytes.") var seed: UInt64 = 1
  @Flag(help: "A broker without a log: what is left of a request's time is the broker's alone.") var ephemeral = false
  @Option(help: "How many times the quiet p99 is a failure, if it is also above --p99-floor-ms.") var p99Ratio = 4.0
  @Option var p99FloorMs = 50.0

  func run() throws {
    let findings = Findings(of: "hostile")
    let files = raiseOpenFiles()
    // The attackers' own files; those of the broker are below its own limit.
    let scale = min(1, Double(files - 200) / Double(max(flood, idle)))
    let sizes = Sizes(
      idle: Int(Double(idle) * scale), flood: Int(Double(flood) * scale), limit: Int(Double(limit) * scale))
    findings.say(
      "hostile: seed \(seed), \(clients) active clients, windows of \(windowSeconds) s, \(ephemeral ? "no log" : "every reply synced")"
    )
    if scale < 1 {
      findings.say("only \(files) files a process here (ulimit -Hn): \(sizes.flood) connections instead of \(flood)")
    }
    for scene in scenes.isEmpty ? Scene.allCases : scenes {
      do {
        try play(scene, sizes, findings)
      } catch {
        findings.fail("\(scene.rawValue): \(error)")
      }
    }
    try findings.close()
  }

  private struct Sizes {
    let idle: Int
    let flood: Int
    let limit: Int
  }

  private var count: Int { windows ?? (long ? 20 : 4) }

  private func play(_ scene: Scene, _ sizes: Sizes, _ findings: Findings) throws {
    var options = ["--max-connections", "\(sizes.limit)", "--memory-limit", "256MiB"]
    if scene == .idle { options[1] = "\(sizes.idle + clients + 1)" }
    let stage = try Stage(
      clients: clients, windows: count, windowSeconds: windowSeconds, ephemeral: ephemeral, options: options)
    let act = Act(
      scene: scene, stage: stage, findings: findings, windows: count, isLong: long, port: stage.broker.port,
      folder: stage.broker.folder, seed: seed)
    switch scene {
    case .idle: try act.idle(sizes.idle)
    case .flood: try act.flood(sizes.flood, limit: sizes.limit - clients - 1)
    case .churn: try act.churn()
    case .drip: try act.drip()
    case .halfOpen: try act.halfOpen()
    case .neverReads: try act.neverReads()
    case .halfFrames: try act.halfFrames()
    case .bombs: try act.bombs()
    case .noise: try act.noise()
    case .pipeline: try act.pipeline(requests)
    }
    try stage.waitForTheStrangersEnd(seconds: 30)
    stage.measureQuiet(count)
    judge(scene, stage, findings)
  }

  /// What holds for every scene.
  private func judge(_ scene: Scene, _ stage: Stage, _ findings: Findings) {
    let quiet = median(stage.quiet.map(\.p99))
    let attacked = median(stage.attacked.map(\.p99))
    let ratio = quiet > 0 ? attacked / quiet : 0
    let after = (try? stage.broker.residentBytes()) ?? 0
    findings.say(
      """
        \(scene.rawValue): p99 \(readable(microseconds: quiet)) quiet, \(readable(microseconds: attacked)) attacked: \(tenths(ratio)) times \
      (target 2); \(stage.quiet.reduce(0) { $0 + $1.count }) and \(stage.attacked.reduce(0) { $0 + $1.count }) requests; \
      memory after it \(readable(bytes: after - stage.residentBefore)) more
      """)
    for problem in stage.end() { findings.fail("\(scene.rawValue): \(problem)") }
    findings.expect(
      stage.attacked.allSatisfy { $0.count > 0 }, "\(scene.rawValue): in a window no request was answered")
    findings.expect(
      ratio <= p99Ratio || attacked <= p99FloorMs * 1_000,
      "\(scene.rawValue): p99 of active clients is \(tenths(ratio)) times the quiet one")
    findings.expect(
      stage.broker.isRunning, "\(scene.rawValue): the broker has ended: \(stage.broker.log.suffix(2_000))")
  }

  /// As many files as the system allows; that number.
  private func raiseOpenFiles() -> Int {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0 else { return 1_024 }
    limit.rlim_cur = limit.rlim_max
    _ = setrlimit(resource, &limit)
    return Int(clamping: limit.rlim_cur)
  }
}
