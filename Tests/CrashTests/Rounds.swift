import BrokerProcess
import Foundation
import Testing

/// Lets clients work, kills the broker when they have had enough answers, and starts it again on the same data; so many times.
func kill(
  _ broker: BrokerProcess, rounds: Int, under clients: [any CrashClient], answers: (Int) -> Int,
  beforeKill: (BrokerProcess) throws -> Void = { _ in }
) throws {
  for round in 0..<rounds {
    let progress = Progress(answers: answers(round))
    let threads = DispatchGroup()
    let port = broker.port
    for client in clients {
      threads.enter()
      Thread.detachNewThread {
        client.work(port: port, progress: progress)
        threads.leave()
      }
    }
    let isReached = progress.wait()
    if isReached { try beforeKill(broker) }
    let wasRunning = broker.isRunning
    broker.kill()
    threads.wait()
    try #require(
      isReached && wasRunning, "round \(round): the broker stood still or ended: \(broker.log.suffix(2_000))")
    try broker.start()
  }
}
