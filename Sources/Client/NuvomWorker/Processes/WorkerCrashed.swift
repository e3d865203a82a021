#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The process that ran a job ended before the job did. The attempt counts; the job is tried again by its own rules.
public struct WorkerCrashed: Error, Hashable, Sendable, CustomStringConvertible {
  /// How a process ends.
  public enum End: Hashable, Sendable {
    /// By a signal, its own doing or another's.
    case signal(Int32)
    /// By itself, with a status.
    case exit(Int32)
  }

  /// How the process ended.
  public let end: End
  /// The last lines that it wrote to standard error, or printed, during the job.
  public let output: String

  /// What happened, without the output.
  public var description: String {
    switch end {
    case .signal(let number): "the process that ran the job was ended by \(Self.name(ofSignal: number))"
    case .exit(let status): "the process that ran the job exited with status \(status) before the job was done"
    }
  }

  static func name(ofSignal number: Int32) -> String {
    let names: [Int32: String] = [
      SIGABRT: "SIGABRT", SIGALRM: "SIGALRM", SIGBUS: "SIGBUS", SIGFPE: "SIGFPE", SIGHUP: "SIGHUP", SIGILL: "SIGILL",
      SIGINT: "SIGINT", SIGKILL: "SIGKILL", SIGPIPE: "SIGPIPE", SIGQUIT: "SIGQUIT", SIGSEGV: "SIGSEGV",
      SIGSYS: "SIGSYS", SIGTERM: "SIGTERM", SIGTRAP: "SIGTRAP", SIGUSR1: "SIGUSR1", SIGUSR2: "SIGUSR2",
      SIGXCPU: "SIGXCPU", SIGXFSZ: "SIGXFSZ",
    ]
    return names[number].map { "\($0) (signal \(number))" } ?? "signal \(number)"
  }
}
