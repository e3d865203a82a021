import NuvomWorkerCommand
import Tasks

/// Runs jobs until it is told to stop. `worker --help` lists its flags. Tasks with @NuvomTask are found by themselves, in every module that is
/// linked; tasks that are values are named: `WorkerCommand.main(tasks: [greet])`.
@main
struct Worker {
  static func main() async { await WorkerCommand.main() }
}
