import CrashWorker
import NuvomTasks

/// What the workers wrote down and what the broker says in the end, held against what is promised.
struct WorkerHistory {
  /// Every run of each job, by the tokens, which rise.
  private(set) var runs: [UInt64: [Run]] = [:]
  private(set) var complaints: [String] = []
  /// The ids of the children that ran, by their parents.
  private(set) var children: [UInt64: Set<UInt64>] = [:]

  /// One call of a handler.
  struct Run {
    let begun: Journal.Entry
    /// Nil for a worker that was killed meanwhile.
    var end: Journal.Event?
  }

  init(_ entries: [Journal.Entry]) {
    var jobOfToken: [UInt64: UInt64] = [:]
    for entry in entries where entry.event == .begun {
      if let other = jobOfToken.updateValue(entry.job, forKey: entry.token) {
        complaint("token \(entry.token) was run twice: for job \(other) and for job \(entry.job)")
      }
      runs[entry.job, default: []].append(Run(begun: entry))
      if entry.parent > 0 { children[entry.parent, default: []].insert(entry.job) }
    }
    for job in runs.keys { runs[job]?.sort { $0.begun.token < $1.begun.token } }
    for entry in entries where entry.event != .begun {
      guard let index = runs[entry.job]?.firstIndex(where: { $0.begun.token == entry.token }) else {
        complaint("job \(entry.job) ended under token \(entry.token), under which it did not begin")
        continue
      }
      runs[entry.job]?[index].end = entry.event
    }
    for (job, runs) in runs {
      for (earlier, later) in zip(runs, runs.dropFirst()) where later.begun.attempt <= earlier.begun.attempt {
        complaint("job \(job) fell from attempt \(earlier.begun.attempt) to \(later.begun.attempt)")
      }
    }
  }

  /// The runs that a kill cut off.
  var cutOff: Int { runs.values.joined().count { $0.end == nil } }
  /// The runs that finished, and whose ack the broker never got.
  var unacked: Int {
    runs.values.joined().count { $0.end == .done } - runs.values.count { $0.contains { $0.end == .done } }
  }
  /// The jobs that ran more than once.
  var repeated: Int { runs.values.count { $0.count > 1 } }

  /// A job's end, as the broker tells it.
  ///
  /// - Parameter ackedBefore: the token of an ack that the broker told of earlier, while workers were being killed.
  mutating func check(_ status: JobStatus, ackedBefore: UInt64?) throws {
    let job = status.id.rawValue
    let runs = runs[job] ?? []
    if let ackedBefore, status.state != .succeeded {
      return complaint("job \(job) was acked under token \(ackedBefore), and is \(status.state) now")
    }
    switch status.state {
    case .succeeded:
      guard let token = try status.decodeResult(UInt64.self) else {
        return complaint("job \(job) was acked without what its handler returned")
      }
      if let ackedBefore, ackedBefore != token {
        complaint("job \(job) was acked under token \(ackedBefore), and again under \(token)")
      }
      guard let acked = runs.first(where: { $0.begun.token == token }), acked.end == .done else {
        return complaint("job \(job) was acked under token \(token), under which no handler finished")
      }
      for run in runs where run.begun.token > token {
        complaint("job \(job) was acked under token \(token), and run again under \(run.begun.token)")
      }
      if status.task == CrashTasks.doomed.name { complaint("job \(job) succeeded, though its handler always fails") }
    case .dead:
      if status.task != CrashTasks.doomed.name {
        complaint("job \(job), a \(status.task), is a dead letter: \(status)")
      }
      if status.attempt != status.maximumAttempts || status.errors.count != status.maximumAttempts {
        complaint("job \(job) is a dead letter with attempts left: \(status)")
      }
    case .ready, .delayed, .leased, .cancelled:
      complaint("job \(job) is \(status.state) after all")
    }
  }

  /// A parent has one child, from the run that was acked; a job that failed has none.
  mutating func checkChildren(of status: JobStatus) throws {
    let job = status.id.rawValue
    let children = children[job] ?? []
    guard status.state == .succeeded else {
      if !children.isEmpty { complaint("job \(job) failed, and has the children \(children.sorted())") }
      return
    }
    guard let child = children.first, children.count == 1 else {
      return complaint("job \(job) succeeded, and has the children \(children.sorted()) instead of one")
    }
    let token = try status.decodeResult(UInt64.self)
    for run in runs[child] ?? [] where run.begun.parentToken != token {
      complaint(
        "child \(child) comes from run \(run.begun.parentToken) of job \(job), which was acked under \(token ?? 0)")
    }
  }

  /// Jobs that no producer and no parent enqueued.
  mutating func checkOrigin(enqueued: Set<UInt64>) {
    for (job, runs) in runs where !enqueued.contains(job) && !enqueued.contains(runs[0].begun.parent) {
      complaint("job \(job) was run, and nobody enqueued it")
    }
  }

  mutating func complaint(_ text: String) { complaints.append(text) }
}
