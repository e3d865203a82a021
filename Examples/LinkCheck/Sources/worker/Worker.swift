import NuvomWorkerCommand
import Tasks

/// Runs jobs until it is told to stop. `worker --help` lists its flags.
@main
struct Worker {
  static func main() async {
    // The tasks with @NuvomTask are found by themselves, in every module that is linked. Tasks that are values are named here:
    // tasks: [greet].
    await WorkerCommand.main()
  }
}
