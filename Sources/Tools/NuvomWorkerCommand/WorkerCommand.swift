import ArgumentParser
import Foundation
public import Logging
import NuvomCommandLine
@_exported public import NuvomWorker

/// The command line of a worker: everything that a program needs around its tasks.
/// ```swift
/// import NuvomWorkerCommand
///
/// @main struct Main {
///   static func main() async { await WorkerCommand.main(tasks: [greet, resize]) }
/// }
/// ```
/// Without a subcommand it takes jobs from a broker until SIGTERM or SIGINT, and prints one line when it is ready; `test` runs one job
/// without a broker; `list` prints the tasks. `--help` shows the flags.
public enum WorkerCommand {
  /// Reads the command line, does what it says, and ends the process with a status other than 0 if that fails. Call it first in `main`: with
  /// `--isolation process` the program is started again for each process that runs jobs.
  ///
  /// - Parameters:
  ///   - tasks: what the worker can run, beside the tasks with `@NuvomTask` that are linked into the program, which do not belong here.
  ///   - middleware: wraps each attempt, the first outermost.
  ///   - logger: nil: a logger to standard error. Its level is that of `--log-level` if that was given.
  public static func main(
    tasks: [any RunnableTask] = [], middleware: [any WorkerMiddleware] = Worker.defaultMiddleware, logger: Logger? = nil
  ) async {
    let program = WorkerProgram(linked: linkedTasks(), given: tasks, middleware: middleware, logger: logger)
    await WorkerProgram.$current.withValue(program) { await RunCommand.start() }
  }
}

/// What the commands are about.
struct WorkerProgram: Sendable {
  /// Commands are made by the parser, which has no place for it.
  @TaskLocal static var current = WorkerProgram(linked: [], given: [], middleware: [], logger: nil)

  /// Those with `@NuvomTask`.
  let linked: [any RunnableTask]
  /// Those that `main` was given.
  let given: [any RunnableTask]
  let middleware: [any WorkerMiddleware]
  let logger: Logger?

  /// Every task that the program has. The list is put together here and nowhere else.
  var tasks: [any RunnableTask] { linked + given }

  /// The executable's.
  static var name: String { URL(fileURLWithPath: CommandLine.arguments.first ?? "worker").lastPathComponent }

  /// - Throws: ``Failure`` for a task that was given and is linked, too: it is most likely the same one.
  func check() throws {
    let names = Set(linked.map(\.name))
    guard let twice = given.first(where: { names.contains($0.name) }) else { return }
    throw Failure(
      .configuration,
      "the task \(twice.name) is given to WorkerCommand.main(tasks:), and @NuvomTask has linked one of that name: leave it out of the "
        + "list, or rename it if it is another", code: WorkerError.Code.duplicateTask.rawValue)
  }

  func logger(_ level: Logger.Level?) -> Logger {
    var logger =
      self.logger ?? Logger(label: "nuvom.worker") { label in StreamLogHandler.standardError(label: label) }
    if let level { logger.logLevel = level }
    return logger
  }
}
