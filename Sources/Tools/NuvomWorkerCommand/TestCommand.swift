import ArgumentParser
import NuvomCommandLine
import NuvomWorker

struct TestCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "test", abstract: "Run one job here, without a broker: with its timeout, retries, waits and hooks.",
    discussion: """
      JOB.json is \(JobFile.example); all but the \
      first may be left out, and then are the task's. Prints SUCCESS or FAILED, with the result or the error. Exit status 0 or 1. What the \
      job would enqueue with its ack is shown, not enqueued.
      """)

  @Argument(help: ArgumentHelp("A file; - is standard input.", valueName: "job.json")) var file: String
  @Flag(help: "Do not wait between attempts.") var noWait = false
  @Flag(name: .customLong("json"), help: "Print one JSON document.") var isJSON = false

  func run() async throws {
    let program = WorkerProgram.current
    try program.check()
    let file = try JobFile(file)
    let logger = program.logger(nil)
    let executor: InlineExecutor
    do {
      executor = try InlineExecutor(program.tasks, logger: logger)
    } catch let error as WorkerError {
      throw Failure(.configuration, error.message, code: error.code.rawValue)
    }
    let trial = JobTrial(executor, logger: logger, output: Output(isJSON: isJSON))
    guard let succeeded = try await trial.run(file, waits: !noWait) else {
      let names = program.tasks.map(\.name).sorted().joined(separator: ", ")
      throw Failure(.usage, "there is no task named \(file.job.task); there are: \(names)")
    }
    if !succeeded { throw ExitCode(ExitStatus.refused.rawValue) }
  }
}
