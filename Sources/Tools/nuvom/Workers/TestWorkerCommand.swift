import ArgumentParser
import Foundation
import Logging
import NuvomCommandLine
import NuvomWorker

struct TestWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runtestworker", abstract: "Run one job here, without a broker.", subcommands: [TestRunCommand.self])
}

struct TestRunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run the job that a JSON file describes; print how it ended.",
    discussion: """
      The file: \(JobFile.example); all but the task may be left out. \
      With --exec the command is run by the rules of runworker; without, the worker of the Swift package in the working directory is built, and \
      its command `test` runs it. An attempt that failed is followed by the next at once. Exit status: 0 it succeeded; 1 it failed.
      """)

  @Argument(help: ArgumentHelp("The file; - is standard input.", valueName: "job.json")) var file: String
  @OptionGroup var command: CommandOptions
  @OptionGroup var package: PackageOptions
  @OptionGroup var broker: ConnectOptions
  @OptionGroup var form: OutputForm

  func validate() throws {
    if command.exec == nil {
      if let flag = command.formFlags.first { throw ValidationError("\(flag) belongs to --exec 'command'") }
    } else if package.isGiven {
      throw ValidationError("--exec runs a command; --product and --configuration are for a package's worker")
    }
  }

  func run() async throws {
    guard var configuration = command.configuration() else {
      try await PackageWorker(options: package, arguments: try packageArguments(), broker: broker.settings()).run(
        dev: false)
      return
    }
    let file = try JobFile(file)
    configuration.broker = try await broker.settings()[.connect].read(ClientOptions.address)
    let trial = JobTrial(
      CommandExecutor(configuration), logger: Logger(label: "nuvom.worker"), output: form.output)
    // A command has no definition that says how often.
    guard try await trial.run(file, retries: 0, waits: false) == true else {
      throw ExitCode(ExitStatus.refused.rawValue)
    }
  }

  /// What the package's worker is told.
  private func packageArguments() throws -> [String] {
    let path = file == "-" ? file : URL(fileURLWithPath: file).path
    // Said before the worker is built for nothing.
    guard file == "-" || FileManager.default.fileExists(atPath: path) else {
      throw Failure(.missing, "there is no file \(file)")
    }
    return ["test", path, "--no-wait"] + (form.isJSON ? ["--json"] : [])
  }
}
