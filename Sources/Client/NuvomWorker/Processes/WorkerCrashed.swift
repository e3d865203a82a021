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
    case .signal(let number): "the process that ran the job was ended by \(SignalName.nameAndNumber(number))"
    case .exit(let status): "the process that ran the job exited with status \(status) before the job was done"
    }
  }
}
