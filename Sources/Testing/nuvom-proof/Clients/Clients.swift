import BrokerProcess
import Foundation
import Synchronization

/// Producers, workers and definers, each with a thread, a connection and a file of its own.
final class Clients: Sendable {
  /// What all of them share.
  struct State {
    var answers: UInt64 = 0
    /// Producers and definers make nothing more, and finish what they have begun.
    var isStopping = false
    /// Workers finish, too.
    var isDrained = false
    /// The broker has more than shall wait.
    var isHeldUp = false
    var jobs: Set<UInt64> = []
    var done: Set<UInt64> = []
    var schedules: [String] = []
  }

  let port: UInt16
  let folder: String
  let seed: UInt64
  let state = Mutex(State())
  private let makers = DispatchGroup()
  private let workers = DispatchGroup()

  init(port: UInt16, folder: String, seed: UInt64) {
    self.port = port
    self.folder = folder
    self.seed = seed
  }

  /// Starts 8 producers, 8 workers and 2 definers.
  func start() throws {
    for index in 0..<8 { try run(Producer(index: index, seed: seed, clients: self), "producer-\(index)", in: makers) }
    for index in 0..<2 { try run(Definer(index: index, seed: seed, clients: self), "definer-\(index)", in: makers) }
    for index in 0..<8 { try run(Worker(index: index, clients: self), "worker-\(index)", in: workers) }
  }

  private func run(_ role: some Role, _ name: String, in group: DispatchGroup) throws {
    let line = try RecordingLine(name: name, port: port, folder: folder)
    let thread = ClientThread(role: role, line: line, clients: self)
    group.enter()
    Thread.detachNewThread {
      thread.run()
      group.leave()
    }
  }

  /// Ends the makers, takes what is left, and looks for everything that was ever seen.
  func finish() throws {
    state.withLock { $0.isStopping = true }
    makers.wait()
    let closing = try Closing(port: port, folder: folder)
    let schedules = state.withLock { $0.schedules }
    try closing.pause(schedules)
    try closing.drain()
    state.withLock { $0.isDrained = true }
    workers.wait()
    let (jobs, done) = state.withLock { ($0.jobs, $0.done) }
    // What is done is gone; of a million such a part will do.
    try closing.look(atJobs: jobs.filter { !done.contains($0) || $0 % 16 == 0 }.sorted())
    try closing.look(atSchedules: schedules, isDrained: true)
  }
}
