import NuvomCommandLine
import ArgumentParser
import Foundation
import Logging
import NuvomWorker
import ServiceLifecycle

struct RunWorkerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "runworker", abstract: "Run jobs: by a command for each, or by the Swift package here.",
    discussion: """
      With --exec, runs a command for each job, in any language. Its exit status decides: 0 done, its output is the result; 64, 65 or 78 \
      a dead letter at once; anything else, or a signal, failed, and tried again by the job's own rules. The end of its standard error is the error's \
      message and trace. When the job's timeout has passed, its lease is lost or it is cancelled, the command and all that it started get \
      SIGTERM, soon after SIGKILL; what it left in the background ends with it. In its environment: NUVOM_JOB_ID, NUVOM_TASK, \
      NUVOM_QUEUE, NUVOM_ATTEMPT, NUVOM_MAX_ATTEMPTS, NUVOM_LEASE_TOKEN, NUVOM_CONNECT, and each header that is text as NUVOM_HEADER_… \
      in capitals; for a job that a schedule enqueued also NUVOM_SCHEDULE, its name, and NUVOM_DUE_AT_MS, the due time that the job is about, in \
      milliseconds since 1970-01-01 UTC.

      Without --exec, builds the worker of the Swift package in the working directory, its executable product that depends on \
      NuvomWorkerCommand or NuvomWorker, and becomes it; what follows -- are its arguments. With --dev it builds and starts it again when sources \
      change; while they do not build, the last one that did goes on.

      On SIGTERM or SIGINT it takes nothing new, lets what runs finish (--grace), and gives the rest back, the attempt not counted.
      """)

  @OptionGroup var command: CommandOptions
  @Option(
    name: .customLong("queue"),
    help: ArgumentHelp(
      "With --exec: a queue to take from; may be repeated: the first that has a job, or by weight if one has a weight. Default: default.",
      valueName: "name[=weight]"),
    transform: QueueWeight.init)
  var queues: [QueueWeight] = []
  @Option(
    name: .customLong("task"),
    help: ArgumentHelp(
      "With --exec: a task that the command knows; may be repeated. Jobs of others are given back, to come again later. Default: all.",
      valueName: "name"))
  var tasks: [String] = []
  @Option(
    help: ArgumentHelp("With --exec: so many jobs at once. Default: as many as there are processors.", valueName: "n"))
  var concurrency: Int?
  @Option(
    help: ArgumentHelp(
      "With --exec: how long others must wait for a job whose worker died, 1s to 1d. Default: 30s.",
      valueName: "duration"),
    transform: DurationText.read)
  var lease: Duration?
  @Option(
    help: ArgumentHelp(
      "With --exec: how long an attempt may take whose job says nothing. Default: no limit.", valueName: "duration"),
    transform: DurationText.read)
  var timeout: Duration?
  @Option(
    help: ArgumentHelp(
      "With --exec: how long what runs may take to finish at the end. Default: 25s.", valueName: "duration"),
    transform: DurationText.read)
  var grace: Duration?
  @Option(
    help: ArgumentHelp("With --exec: what is logged to standard error. Default: info.", valueName: "level"))
  var logLevel: String?
  @OptionGroup var package: PackageOptions
  @Flag(help: "In a package: build and start again when sources change.") var dev = false
  @OptionGroup var broker: ConnectOptions
  @Argument(parsing: .postTerminator, help: ArgumentHelp("For the package's worker.", valueName: "arguments"))
  var arguments: [String] = []

  /// The flags that were given and mean nothing to a package's worker.
  private var commandFlags: [String] {
    let given: [(String, Bool)] = [
      ("--queue", !queues.isEmpty), ("--task", !tasks.isEmpty), ("--concurrency", concurrency != nil),
      ("--lease", lease != nil), ("--timeout", timeout != nil), ("--grace", grace != nil),
      ("--log-level", logLevel != nil),
    ]
    return command.formFlags + given.filter(\.1).map(\.0)
  }

  func validate() throws {
    if command.exec == nil {
      if let flag = commandFlags.first {
        throw ValidationError(
          "\(flag) belongs to --exec 'command'; what is meant for the package's worker follows --, as in: nuvom runworker -- \(flag) …"
        )
      }
    } else if dev || !arguments.isEmpty || package.isGiven {
      throw ValidationError(
        "--exec runs a command; --product, --configuration, --dev and what follows -- are for a package's worker")
    }
    if let timeout, timeout <= .zero {
      throw ValidationError("--timeout must be more than 0; leave it out for no limit")
    }
  }

  func run() async throws {
    guard var executor = command.configuration() else {
      try await PackageWorker(options: package, arguments: arguments, broker: broker.settings()).run(dev: dev)
      return
    }
    var flags: [Setting: String] = [:]
    flags[.connect] = broker.connect
    flags[.logLevel] = logLevel
    let settings = try await Settings(flags: flags)
    let address = try settings[.connect].read(ClientOptions.address)
    let level = try settings[.logLevel].read(Logger.Level.read)
    executor.tasks = Set(tasks)
    executor.broker = address
    try await run(executor, address, level)
  }

  private func run(
    _ executor: CommandExecutor.Configuration, _ address: BrokerAddress, _ level: Logger.Level
  ) async throws {
    LoggingSystem.bootstrap { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    let logger = Logger(label: "nuvom.worker")
    let name = "nuvom \(nuvomVersion) on \(ProcessInfo.processInfo.hostName)"
    let client = NuvomClient(
      configuration: NuvomClient.Configuration(address: address, name: name), logger: Logger(label: "nuvom.client"))
    let configuration = WorkerConfiguration(
      name: name, concurrency: concurrency ?? ProcessInfo.processInfo.activeProcessorCount,
      queues: QueueWeight.order(queues), lease: lease ?? .seconds(30), gracePeriod: grace ?? .seconds(25),
      defaultTimeout: timeout)
    do {
      let worker = try Worker(
        client: client, executor: CommandExecutor(executor), configuration: configuration, logger: logger)
      logger.info(
        "taking jobs",
        metadata: [
          "broker": "\(address)", "command": "\(executor.command)", "at once": "\(configuration.concurrency)",
        ])
      var lifecycle = Logger(label: "nuvom.lifecycle")
      // What ends the worker is told once, by this command's own error.
      lifecycle.logLevel = .critical
      try await ServiceGroup(
        services: [client, worker], gracefulShutdownSignals: [.sigterm, .sigint], logger: lifecycle
      ).run()
    } catch let error as NuvomError {
      throw Failure(error, broker: address)
    } catch let error as WorkerError {
      throw Failure(.usage, error.message, code: error.code.rawValue)
    }
  }
}
