import NuvomWorker

/// The tasks of the story, as the test enqueues them. Each returns the token under which it ran: so the broker says, durably, which of
/// the runs was acked.
package enum CrashTasks {
  /// How long a worker's leases last: the shortest that it may ask for.
  package static let lease = Duration.seconds(1)

  /// Enqueues a child with its ack. Kills alone cannot use its attempts up.
  package static let parent = TaskReference<Arguments<Int>, UInt64>(
    "parent", TaskPolicy(queue: "parents", retries: 10_000, retryDelay: .milliseconds(5)))
  /// What a parent enqueues: with the parent's id and the token of the run that enqueued it.
  package static let child = TaskReference<Arguments<UInt64, UInt64>, UInt64>(
    "child", TaskPolicy(queue: "children", retries: 10_000, retryDelay: .zero))
  /// Enqueues a child with an ack that never comes: it always fails.
  package static let doomed = TaskReference<Arguments<Int>, UInt64>(
    "doomed", TaskPolicy(queue: "doomed", retries: 2, retryDelay: .milliseconds(5)))
}

/// A failure that the story wants.
struct MeantToFail: Error {}

/// The same tasks, as a worker runs them.
struct CrashHandlers {
  let journal: Journal

  var tasks: [any RunnableTask] {
    let journal = journal
    let parent = TaskDefinition(CrashTasks.parent.name, CrashTasks.parent.policy) { (number: Int) -> UInt64 in
      try await journal.run { context in
        context.enqueueWithAck(try CrashTasks.child.job(context.id.rawValue, context.token.rawValue))
        switch number % 64 {
        case 0: try await Task.sleep(for: CrashTasks.lease * 1.2)  // lives by its lease being extended
        case 1...15: try await Task.sleep(for: .milliseconds(number % 7))
        case 16...23: try await Task.sleep(for: .milliseconds(100))
        case 32...47: if context.attempt == 1 { throw MeantToFail() }
        default: break
        }
      }
    }
    let child = TaskDefinition(CrashTasks.child.name, CrashTasks.child.policy) {
      (parent: UInt64, parentToken: UInt64) -> UInt64 in
      try await journal.run(parent: parent, parentToken: parentToken) { context in
        if context.token.rawValue % 8 == 0, context.attempt == 1 { throw MeantToFail() }
      }
    }
    let doomed = TaskDefinition(CrashTasks.doomed.name, CrashTasks.doomed.policy) { (_: Int) -> UInt64 in
      try await journal.run { context in
        context.enqueueWithAck(try CrashTasks.child.job(context.id.rawValue, context.token.rawValue))
        throw MeantToFail()
      }
    }
    return [parent, child, doomed]
  }
}
