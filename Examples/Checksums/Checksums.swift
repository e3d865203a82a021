import ArgumentParser
import Logging

/// The demonstration kills the broker on purpose: that connections are lost is no news.
let silent = Logger(label: "checksums") { _ in SwiftLogNoOpLogHandler() }

/// An example of a whole job: the SHA-256 of many files, computed by several worker processes.
///
/// - `checksums produce` enqueues a job for each file it is told of (Produce.swift),
/// - `checksums work` takes jobs and answers each with a `Checksum` (Work.swift),
/// - `checksums run` starts a broker, a producer and four workers, kills the broker half-way, and in the end compares all
///   results with what `sha256sum` says (Run.swift). This is `make demo`.
@main
struct Checksums: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compute SHA-256 checksums of files through a Nuvom broker.",
    subcommands: [Produce.self, Work.self, Run.self])

  /// The queue that producer and workers agree on.
  static let queue = "checksums"
}
