import ArgumentParser
import Foundation
import Logging
import NuvomCommandLine
import NuvomWorker
import ServiceLifecycle

/// Where jobs run.
enum Isolation: String, ExpressibleByArgument, CaseIterable {
  case none
  case process
}

/// The worker; without a subcommand it takes jobs.
struct RunCommand: AsyncParsableCommand {
  static var configuration: CommandConfiguration {
    CommandConfiguration(
      commandName: WorkerProgram.name,
      abstract: "Take jobs from a Nuvom broker and run their tasks until SIGTERM or SIGINT.",
      discussion: """
        Prints one line when it is ready; logs to standard error. On SIGTERM or SIGINT it takes no more jobs, lets what runs finish for \
        as long as --grace says, gives the rest back, and exits with 0.
        """,
      subcommands: [TestCommand.self, ListCommand.self])
  }

  @Option(
    help: ArgumentHelp("The broker; also NUVOM_CONNECT. Default: 127.0.0.1:8866.", valueName: "host:port"))
  var connect: String?
  @Option(
    name: .customLong("queue"),
    help: ArgumentHelp(
      "Where jobs are taken from; may be repeated. In this order; with weights, as often as they say. Default: the queues of the tasks.",
      valueName: "name[=weight]"),
    transform: QueueWeight.init)
  var queues: [QueueWeight] = []
  @Option(help: ArgumentHelp("How many jobs run at once.", valueName: "n")) var concurrency = 10
  @Option(
    help: ArgumentHelp("How long a lease lasts without a sign of life, 1s to 1d. Default: 30s.", valueName: "duration"),
    transform: DurationText.read)
  var lease: Duration = .seconds(30)
  @Option(
    help: ArgumentHelp(
      "How long running jobs may take to finish when it is stopped. Default: 25s.", valueName: "duration"),
    transform: DurationText.read)
  var grace: Duration = .seconds(25)
  @Option(
    help: ArgumentHelp(
      "How long an attempt may take if neither job nor task says so. Default: no limit.", valueName: "duration"),
    transform: DurationText.read)
  var timeout: Duration?
  @Option(help: ArgumentHelp("Where jobs run: in this process, or each in one of its own.", valueName: "none|process"))
  var isolation = Isolation.none
  @Option(
    help: ArgumentHelp(
      "With --isolation process: how much memory each process may take beyond what it starts with. Default: no limit.",
      valueName: "size"),
    transform: SizeText.read)
  var memoryLimit: Int?
  @Option(
    help: ArgumentHelp("What is logged: trace, debug, info, notice, warning, error, critical.", valueName: "level"))
  var logLevel: Logger.Level?
  @Option(
    help: ArgumentHelp(
      "What people see of it in the errors of jobs. Default: host and process number.", valueName: "text"))
  var name: String?

  /// Runs the command of the command line; every failure becomes one line and an exit status.
  static func start() async {
    let failure: Failure
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
      return
    } catch let error as Failure {
      failure = error
    } catch {
      // Help, what is wrong with the command line, which the parser explains itself; and statuses without a word.
      if error is ExitCode || exitCode(for: error) != .failure { exit(withError: error) }
      failure = Failure(.internal, "\(error)")
    }
    Output.remark(failure.line(of: WorkerProgram.name))
    exit(withError: ExitCode(failure.status.rawValue))
  }

  func validate() throws {
    if let timeout, timeout == .zero { throw ValidationError("--timeout must be longer than 0") }
    if memoryLimit != nil && isolation != .process {
      throw ValidationError(
        "--memory-limit is for --isolation process: one process's memory is not divided among its jobs")
    }
  }

  func run() async throws {
    let program = WorkerProgram.current
    let logger = program.logger(logLevel)
    await ProcessExecutor.serveIfChild(program.tasks, logger: logger)
    guard !program.tasks.isEmpty else {
      throw Failure(
        .configuration,
        "this worker has no tasks; link a module with @NuvomTask functions, or give tasks to WorkerCommand.main(tasks:)"
      )
    }
    try program.check()
    let address = try address()
    let name = name ?? "\(ProcessInfo.processInfo.hostName):\(ProcessInfo.processInfo.processIdentifier)"
    let client = NuvomClient.Configuration(address: address, name: name)
    do {
      try await serve(program, client, logger)
    } catch let error as NuvomError {
      throw Failure(error, broker: address)
    } catch let error as WorkerError {
      throw Failure(.usage, error.message, code: error.code.rawValue)
    }
  }

  private func serve(_ program: WorkerProgram, _ clientConfiguration: NuvomClient.Configuration, _ logger: Logger)
    async throws
  {
    let executor: any JobExecutor =
      switch isolation {
      case .none: try InlineExecutor(program.tasks, logger: logger)
      case .process:
        try ProcessExecutor(program.tasks, client: clientConfiguration, memoryLimit: memoryLimit, logger: logger)
      }
    let configuration = WorkerConfiguration(
      name: clientConfiguration.name, concurrency: concurrency, queues: QueueWeight.order(queues), lease: lease,
      gracePeriod: grace, defaultTimeout: timeout)
    let client = NuvomClient(configuration: clientConfiguration, logger: logger)
    let worker = try Worker(
      client: client, executor: executor, configuration: configuration, middleware: program.middleware, logger: logger)
    let announcement = Announcement(client: client, line: readyLine(program, executor, clientConfiguration.address))
    var lifecycle = logger
    // What ends the worker is told once, by this command's own error.
    lifecycle.logLevel = .critical
    let group = ServiceGroup(
      configuration: .init(
        services: [
          .init(service: client), .init(service: worker),
          .init(service: announcement, successTerminationBehavior: .ignore),
        ],
        gracefulShutdownSignals: [.sigterm, .sigint], logger: lifecycle))
    try await group.run()
  }

  private func readyLine(_ program: WorkerProgram, _ executor: any JobExecutor, _ address: BrokerAddress) -> String {
    let tasks = program.tasks.map(\.name).sorted().joined(separator: ", ")
    let queues = queues.isEmpty ? executor.queues : queues.map(\.description)
    let place = isolation == .process ? ", each in a process of its own" : ""
    return Output.printable(
      "\(WorkerProgram.name): ready for \(tasks) from \(queues.joined(separator: ", ")) of \(address), "
        + "\(concurrency) at once\(place)")
  }

  private func address() throws -> BrokerAddress {
    let variable = ProcessInfo.processInfo.environment["NUVOM_CONNECT"].flatMap { $0.isEmpty ? nil : $0 }
    guard let text = connect ?? variable else { return .local }
    do {
      return try BrokerAddress(text)
    } catch {
      let place = connect == nil ? "the environment variable NUVOM_CONNECT" : "--connect"
      throw Failure(
        connect == nil ? .configuration : .usage, "\(place) is \"\(text)\"; write HOST:PORT, as in 127.0.0.1:8866")
    }
  }
}

/// Says that the worker is ready, when its broker answers.
private struct Announcement: Service {
  let client: NuvomClient
  let line: String

  func run() async throws {
    do {
      try await cancelWhenGracefulShutdown {
        while true {
          do {
            return try await client.ping()
          } catch let error as NuvomError where [.timeout, .unreachable].contains(error.code) {
            // The worker's own requests tell of it.
          }
        }
      }
    } catch {
      // What ended the client ends the worker, which tells it.
      return
    }
    try Output.write(line + "\n", to: .standardOutput)
  }
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
