import NuvomCommandLine
import ArgumentParser
import NuvomStorage

/// The version of this build.
let nuvomVersion = "0.1.0"

@main
struct Nuvom: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nuvom",
    abstract: "A job broker: takes jobs, keeps them on disk, hands each to a worker until one says it is done.",
    discussion: """
      FIRST STEPS
        nuvom broker &              start a broker here, on 127.0.0.1:8866
        nuvom enqueue resize --kwargs '{"width": 80}'
                                    hand it a job; prints the job's id
        nuvom runworker --exec 'cat >> jobs.txt'
                                    run a command for each job, until Ctrl-C
        nuvom queues                see what is where

      Every setting is a flag, an environment variable NUVOM_…, or a line of the \
      file .env in the working directory; the first of these wins. `nuvom config` \
      shows all settings and where they come from. Every command that prints takes \
      --json. For the shell's completion of commands and flags: \
      nuvom --generate-completion-script bash (or zsh, fish).

      \(ExitStatus.explanation)
      """,
    version: nuvomVersion,
    subcommands: [],
    groupedSubcommands: [
      CommandGroup(name: "Broker", subcommands: [BrokerCommand.self, WALCommand.self, ConfigCommand.self]),
      CommandGroup(
        name: "Producer",
        subcommands: [
          EnqueueCommand.self, StatusCommand.self, GetCommand.self, InspectCommand.self, WaitCommand.self,
          CancelCommand.self, RetryCommand.self,
        ]),
      CommandGroup(name: "Schedules", subcommands: [ScheduleCommand.self, RunSchedulerCommand.self]),
      CommandGroup(
        name: "Worker", subcommands: [RunWorkerCommand.self, TestWorkerCommand.self]),
      CommandGroup(
        name: "Worker by hand",
        subcommands: [
          DequeueCommand.self, AckCommand.self, NackCommand.self, ReleaseCommand.self, ExtendCommand.self,
          ProgressCommand.self,
        ]),
      CommandGroup(name: "Sources", subcommands: [DiscoverCommand.self, ListCommand.self]),
      CommandGroup(
        name: "Operator",
        subcommands: [
          QueuesCommand.self, QueueCommand.self, PauseCommand.self, ResumeCommand.self, PurgeCommand.self,
          DeadCommand.self, StatsCommand.self, PingCommand.self, VersionCommand.self, SimulateCommand.self,
        ]),
    ])

  /// Runs the command of the command line; every failure becomes one line and an exit status.
  static func main() async {
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
    } catch let error as StorageError {
      failure = Failure(error)
    } catch let error as Unreadable {
      failure = Failure(.usage, error.description)
    } catch {
      // Help, version, what is wrong with the command line, which the parser explains itself; and statuses without a word.
      if error is ExitCode || exitCode(for: error) != .failure { exit(withError: error) }
      failure = Failure(.internal, "\(error)")
    }
    Output.remark(failure.line(of: "nuvom"))
    exit(withError: ExitCode(failure.status.rawValue))
  }
}

struct VersionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "version", abstract: "Print the version of this program and of the protocol it speaks.")

  @OptionGroup var form: OutputForm

  func run() throws {
    try form.output.answer(["version": .string(nuvomVersion), "protocol": 1], ["nuvom \(nuvomVersion)"])
  }
}

/// How a command prints.
struct OutputForm: ParsableArguments {
  @Flag(name: .customLong("json"), help: "Print one JSON document.")
  var isJSON = false

  var output: Output { Output(isJSON: isJSON) }
}
