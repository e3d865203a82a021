import CrashWorker
import NuvomTasks
import Synchronization

/// Enqueues until it is told to stop, a little ahead of what the workers do.
final class Producer: Sendable {
  private struct State {
    var jobs: [JobID] = []
    var isStopped = false
  }

  private let state = Mutex(State())
  private let pulse: Pulse

  init(pulse: Pulse) { self.pulse = pulse }

  /// Every job whose enqueue was answered.
  var jobs: [JobID] { state.withLock(\.jobs) }

  func stop() { state.withLock { $0.isStopped = true } }

  func run(_ client: NuvomClient) async throws {
    var number = 0
    var lines = 0
    while !state.withLock(\.isStopped) {
      number += 4
      var ids = try await CrashTasks.parent.map([number, number + 1, number + 2], on: client).map(\.id)
      ids.append(try await CrashTasks.parent.delay(number + 3, on: client).id)
      if number % 24 == 0 { ids.append(try await CrashTasks.doomed.delay(number, on: client).id) }
      state.withLock { $0.jobs += ids }
      // Four jobs come to at least eight lines, or sixteen with their children: the producer stays ahead, whatever goes wrong.
      lines += 8
      try await pulse.wait(until: lines)
    }
  }
}

/// Asks the broker now and then which jobs were acked: what it has said once must stay true.
struct Observer {
  /// The tokens of the acks that the broker told of.
  private(set) var acked: [JobID: UInt64] = [:]
  private var finished: Set<JobID> = []

  /// Looks at some of those that were not finished when it looked last.
  mutating func look(at jobs: [JobID], _ client: NuvomClient) async throws {
    let open = Array(jobs.lazy.filter { [finished] in !finished.contains($0) }.prefix(50))
    for status in try await client.statuses(of: open) where status.finishedAtMilliseconds != nil {
      finished.insert(status.id)
      if status.state == .succeeded { acked[status.id] = try status.decodeResult(UInt64.self) ?? 0 }
    }
  }
}

extension NuvomClient {
  /// What the broker knows of each.
  func statuses(of jobs: some Collection<JobID>) async throws -> [JobStatus] {
    try await each(of: jobs) { try await self.get($0) }
  }

  /// The same when each is finished, or after half a minute, which stands for "never".
  func ends(of jobs: some Collection<JobID>) async throws -> [JobStatus] {
    let deadline = ContinuousClock.now + .seconds(30)
    return try await each(of: jobs) { try await self.wait(for: $0, upTo: max(deadline - .now, .zero)) }
  }

  private func each(
    of jobs: some Collection<JobID>, _ ask: @escaping @Sendable (JobID) async throws -> JobStatus
  ) async throws -> [JobStatus] {
    var all: [JobStatus] = []
    var rest = Array(jobs)[...]
    // A connection may have 1,024 requests that wait.
    while !rest.isEmpty {
      all += try await withThrowingTaskGroup(of: JobStatus.self) { group in
        for id in rest.prefix(500) { group.addTask { try await ask(id) } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      rest = rest.dropFirst(500)
    }
    return all
  }
}
