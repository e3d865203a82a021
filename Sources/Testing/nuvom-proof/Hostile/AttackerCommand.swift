import ArgumentParser
import BrokerProcess
import Glibc

/// What a crowd of strangers does.
enum Attack: String, CaseIterable, ExpressibleByArgument {
  case idle, churn, drip, holders, neverReads, halfFrames, bombs, noise, pipeline
}

/// The attackers' own process, so that what they do does not slow the clients that are measured. It says `complete` when all have come, goes on
/// until its standard input ends, then says what came of it.
struct AttackerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attacker", abstract: "One attack on a broker; nuvom-proof hostile starts it.", shouldDisplay: false)

  @Option var attack: Attack
  @Option var port: UInt16
  @Option var count: Int
  @Option var seed: UInt64 = 1
  @Option(help: "The job that neverReads asks for.") var job: UInt64 = 0
  @Option(help: "Of holders.") var leaseMilliseconds: UInt64 = 2_000

  func run() throws {
    // The clients that are measured go first where there are too few cores.
    setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, 10)
    let crowd: Crowd
    switch attack {
    case .pipeline:
      return try Pipeline(connection: RawConnection(port: port), requests: count).run(tell)
    case .idle: crowd = .idle(count)
    case .churn: crowd = .churn(count)
    case .drip: crowd = .drip(count)
    case .holders: crowd = .holders(count, leaseMilliseconds: leaseMilliseconds)
    case .neverReads: crowd = .neverReads(count, job: job)
    case .halfFrames: crowd = .halfFrames(count)
    case .bombs: crowd = .bombs(count)
    case .noise: crowd = .noise(count, seed: seed)
    }
    let swarm = try Swarm(crowd, port: port)
    var hasTold = false
    while !hasEnded() {
      try swarm.work(milliseconds: 20)
      if swarm.isComplete, !hasTold {
        hasTold = true
        tell("complete \(swarm.open)")
      }
    }
    tell("open \(swarm.open)")
    tell("bare-goodbyes \(swarm.bareGoodbyes)")
    for (name, number) in swarm.counts.sorted(by: { $0.key < $1.key }) {
      tell("\(name.replacing(" ", with: "-")) \(number)")
    }
  }

  private func tell(_ line: String) {
    print(line)
    fflush(nil)
  }

  /// Whether whoever started it has closed its standard input.
  private func hasEnded() -> Bool {
    var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    return poll(&input, 1, 0) > 0
  }
}
