import ArgumentParser
import Foundation
import NuvomClient
import UnixSignals

/// The demonstration: a broker, a producer and four workers, each a process of its own, and a crash of the broker in their midst.
struct Run: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Kill a broker half-way through a job, and compare every result with sha256sum.")

  @Argument(help: "The files to read: all below this directory. By default those that git tracks here.")
  var directory: String?

  func run() async throws {
    let isGood = try await withThrowingTaskGroup(of: Bool.self) { group in
      defer { group.cancelAll() }
      group.addTask { try await demonstrate() }
      // Control-C cancels the other task, which then ends its processes.
      group.addTask {
        for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) { break }
        throw ExitCode(130)
      }
      return try await group.next() ?? false
    }
    if !isGood { throw ExitCode.failure }
  }

  private func demonstrate() async throws -> Bool {
    // A producer that dies is noticed by its exit status, and need not end this process too.
    signal(SIGPIPE, SIG_IGN)
    guard let checksums = Bundle.main.executableURL else { throw DemonstrationError("this program has no path") }
    let nuvom = checksums.deletingLastPathComponent().appending(path: "nuvom")
    let folder = URL(filePath: ".demo")
    try? FileManager.default.removeItem(at: folder)
    let files = try listFiles(below: directory)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)

    let broker = try Broker(nuvom, in: folder)
    defer { broker.process.kill() }
    let workers = try (1...4).map { number in
      try Child("worker-\(number)", checksums, ["work", "--connect", broker.address], in: folder)
    }
    defer { workers.forEach { $0.kill() } }
    let paths = Pipe()
    let producer = try Child("producer", checksums, ["produce", "--connect", broker.address], in: folder, input: paths)
    defer { producer.kill() }
    let client = NuvomClient(
      configuration: .init(address: try BrokerAddress(broker.address), name: "checksums-run"), logger: silent)
    async let _ = client.run()

    var progress = Progress(total: files.count)
    progress.tell("\(files.count) files; processes: broker on \(broker.address), producer, \(workers.count) workers")
    let begin = ContinuousClock.now
    let beginDate = Date()

    /// Looks at the broker's numbers until `condition` holds.
    func watch(until condition: (BrokerStatistics) -> Bool) async throws {
      while true {
        let statistics = try await client.statistics()
        progress.show(Int(statistics.totals.acked))
        if condition(statistics) { return }
        let broken = (workers + [producer]).first { child in
          child.exitStatus.map { $0 != 0 || child !== producer } ?? false
        }
        if let broken { throw DemonstrationError("\(broken.name) ended early: see .demo/\(broken.name).log") }
        try await Task.sleep(for: .milliseconds(10))
      }
    }

    // The last quarter of the paths comes as the broker is killed: so the crash is in the midst of the work however fast the
    // machine is, and hits the producer as well as the workers.
    let (first, last) = (files.prefix(files.count * 3 / 4), files.dropFirst(files.count * 3 / 4))
    let feed = DispatchQueue(label: "paths")
    feed.async { try? paths.fileHandleForWriting.write(contentsOf: list(first)) }
    try await watch { $0.totals.acked >= files.count / 2 }

    feed.async {
      try? paths.fileHandleForWriting.write(contentsOf: list(last))
      try? paths.fileHandleForWriting.close()
    }
    let killed = ContinuousClock.now
    broker.process.kill()
    progress.tell("broker killed with SIGKILL")
    try broker.restart()
    progress.tell("broker restarted on the same log, serving after \(text(ContinuousClock.now - killed))")

    // When the producer has ended, all jobs are there; when the broker then has none to do, all are done.
    try await watch { _ in producer.exitStatus == 0 }
    try await watch { statistics in
      ["ready", "delayed", "leased"].allSatisfy { statistics.numbers[$0] == 0 }
    }
    let time = ContinuousClock.now - begin

    // What became of each job.
    let ids = producer.outputLines.compactMap { JobID($0) }
    guard ids.count == files.count else {
      throw DemonstrationError("the producer has ids of \(ids.count) jobs for \(files.count) files")
    }
    var comparison = Comparison(expected: try sha256sums(of: files, in: folder), since: beginDate)
    for (file, result) in zip(files, try await results(of: ids, client)) { comparison.add(file, result) }
    let executions = workers.flatMap(\.outputLines)

    client.shutDown()
    progress.tell(
      """
      \(files.count) jobs, \(comparison.bytes) bytes, \(text(time)) with the crash: \
      \(Int(Double(files.count) / (time / .seconds(1)))) jobs a second
      compared with sha256sum: \(comparison.summary)
      lost \(comparison.lost), duplicated \(executions.count - Set(executions).count)
      """)
    if comparison.isGood { try FileManager.default.removeItem(at: folder) }
    return comparison.isGood
  }

  /// The results of finished jobs; nil where the broker knows of none. Asks for many at a time: they share a connection.
  private func results(of ids: [JobID], _ client: NuvomClient) async throws -> [Checksum?] {
    var results: [JobID: Checksum] = [:]
    for start in stride(from: 0, to: ids.count, by: 500) {
      try await withThrowingTaskGroup(of: JobStatus?.self) { group in
        for id in ids[start..<min(start + 500, ids.count)] {
          group.addTask {
            do {
              return try await client.wait(for: id)
            } catch let error as NuvomError where error.code == .notFound {
              return nil
            }
          }
        }
        for try await status in group {
          if let status { results[status.id] = try status.decodeResult() }
        }
      }
    }
    return ids.map { results[$0] }
  }
}

/// As `12.3 s` or `45 ms`.
private func text(_ time: Duration) -> String {
  let milliseconds = Int(time / .milliseconds(1))
  return milliseconds < 1_000 ? "\(milliseconds) ms" : "\(milliseconds / 1_000).\(milliseconds % 1_000 / 100) s"
}
