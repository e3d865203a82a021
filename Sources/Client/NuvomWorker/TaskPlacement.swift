/// Where a worker's Swift tasks run: nil, and they run on Swift's own threads. A `Task { }` inherits task-local values, and not the executor
/// of its maker; so a test that must know when all tasks of a worker wait says here where they run.
package enum TaskPlacement {
  @TaskLocal package static var executor: (any TaskExecutor)?
}
