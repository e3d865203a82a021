import NuvomClient

/// What the process ends with. Zero is "done"; the others follow sysexits.h where it has one.
package enum ExitStatus: Int32 {
  /// The broker answered, and the answer is no: no such job, lease lost, nothing to dequeue, the job failed.
  case refused = 1
  /// `wal verify`: the log's end was being written; opening the log cuts it off.
  case torn = 3
  /// The command line is wrong, or the broker found a value in it wrong.
  case usage = 64
  /// Data is not what it should be: a damaged log, text that is not JSON, a wrong file of schedules, sources that do not build.
  case damaged = 65
  /// What was to be read is not there.
  case missing = 66
  /// The broker cannot be reached, or its address cannot be had.
  case unavailable = 69
  /// An error of this program, or two versions that do not fit together.
  case `internal` = 70
  /// Reading or writing failed.
  case inputOutput = 74
  /// Not now: full, stopping, not finished yet. The same command may succeed later.
  case temporary = 75
  /// A setting is wrong.
  case configuration = 78

  /// The line of `nuvom --help` about it.
  package static let explanation = """
    EXIT STATUS
      0   done
      1   the broker says no: no such job, lease lost, nothing to dequeue
      3   wal verify: the last write is incomplete, and will be cut off
      64  the command line is wrong
      65  data is damaged (a log, JSON, YAML), or sources do not build
      66  the log or file is not there
      69  the broker cannot be reached, or its address is taken
      70  an error of the program, or versions that do not fit together
      74  reading or writing failed, or a directory is in use
      75  not now (full, stopping, not finished yet): try again later
      78  a setting is wrong
    """
}

/// Why a command did not do what was asked: one line for people, a status for scripts.
package struct Failure: Error {
  package let status: ExitStatus
  /// What happened and what to do.
  package let message: String
  /// The broker's code, or the client's or the log's.
  package var code: String?

  package init(_ status: ExitStatus, _ message: String, code: String? = nil) {
    self.status = status
    self.message = message
    self.code = code
  }

  /// As a program shows it: one line.
  package func line(of program: String) -> String { "\(program): \(message)" + (code.map { " (\($0))" } ?? "") }
}

extension Failure {
  package init(_ error: NuvomError, broker: BrokerAddress) {
    var message = error.message
    var cause = error.cause
    if error.code == .unreachable {
      // That nobody listens there is said below, in fewer words.
      cause = error.message.contains("Connection refused") ? nil : cause ?? error.message
      message = "no broker answers at \(broker); start one with `nuvom broker`, or name it with --connect HOST:PORT"
    }
    if let field = error.field { message += "; field \(field)" }
    if let retryAfter = error.retryAfter { message += "; try again in \(DurationText.write(retryAfter))" }
    if let cause { message += "; cause: \(cause)" }
    self.init(ExitStatus(error.code), message, code: error.code.rawValue)
  }
}

extension ExitStatus {
  package init(_ code: NuvomError.Code) {
    switch code {
    case .notFound, .finished, .leaseLost, .cancelled: self = .refused
    case .badParameters, .limitExceeded, .frameTooLarge, .unknownTimeZone, .neverDue: self = .usage
    case .unreachable, .timeout, .closed: self = .unavailable
    case .memoryFull, .diskFull, .shuttingDown, .tooManyConnections: self = .temporary
    case .storageUnknown: self = .inputOutput
    case .unauthorized: self = .configuration
    default: self = .internal
    }
  }
}
