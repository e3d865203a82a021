import NuvomCommandLine
import NuvomStorage

extension Failure {
  init(_ error: StorageError) {
    self.init(ExitStatus(error), error.description, code: error.code.rawValue)
  }
}

extension ExitStatus {
  fileprivate init(_ error: StorageError) {
    switch error.code {
    case .damaged, .newerVersion, .foreign: self = .damaged
    case .diskFull: self = .temporary
    case .inUse, .notWritable, .inputOutput, .cancelled: self = .inputOutput
    }
  }
}
