import Foundation
import Logging
import NuvomWorker

/// A worker to be killed: `CrashWorker HOST:PORT JOURNAL`. It ends by itself only when its standard input does, which is when the test is gone.
@main
struct CrashWorker {
  static func main() async throws {
    let arguments = CommandLine.arguments
    guard arguments.count == 3, let journal = Journal(path: arguments[2]) else {
      print("usage: CrashWorker HOST:PORT JOURNAL")
      exit(64)
    }
    let address = try BrokerAddress(arguments[1])
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while read(STDIN_FILENO, &byte, 1) > 0 {}
      exit(0)
    }
    var logger = Logger(label: "crash-worker") { label in StreamLogHandler.standardError(label: label) }
    logger.logLevel = .error
    try await NuvomClient.withClient(configuration: .init(address: address), logger: logger) { [logger] client in
      let worker = try Worker(
        client: client, tasks: CrashHandlers(journal: journal).tasks,
        configuration: WorkerConfiguration(concurrency: 4, lease: CrashTasks.lease), middleware: [], logger: logger)
      try await worker.run()
    }
  }
}
