public import NuvomModel

/// The name of a parameter as an error shows it: `task`, `jobs[3].task`, `schedules[3].job.task`, `operations[2]`.
public struct ParameterName: Sendable, CustomStringConvertible {
  /// The list that holds the item, if it is in one.
  var list: StaticString?
  /// The item's place in `list`.
  var index = 0
  /// The map inside the item that holds the key, if it is in one.
  var map: StaticString?
  /// The key; nil when the item as a whole is meant.
  var key: StaticString?

  /// The name in words.
  public var description: String {
    var words: [String] = []
    if let list { words.append("\(list)[\(index)]") }
    if let map { words.append("\(map)") }
    if let key { words.append("\(key)") }
    return words.joined(separator: ".")
  }
}

extension ParameterName {
  /// What the engine refuses of a schedule; nil for codes that are not about one.
  init?(ofSchedule index: Int, refusedWith code: ErrorCode) {
    switch code {
    case .unknownTimeZone: key = "time_zone"
    case .neverDue: break
    default: return nil
    }
    list = "schedules"
    self.index = index
  }
}

/// A request that the decoder refused, and why.
///
/// It allocates nothing (but for a wrong cron expression), so that a client that sends nothing but nonsense costs no more than one that does not.
public struct RefusedRequest: Error, Sendable {
  /// Which request; nil if the frame does not tell.
  public var id: RequestID?
  /// Why.
  public var code: ErrorCode
  /// The parameter that is missing or wrong, for `BAD_PARAMS`.
  public var parameter: ParameterName?
  /// The index of the operation, in a multi.
  public var operation: Int?
  /// What is wrong in words, where the code's own message says too little: made only for a cron expression.
  public var message: String?

  init(_ code: ErrorCode, id: RequestID? = nil) {
    self.id = id
    self.code = code
  }

  /// A parameter that is missing, of the wrong type or out of range.
  init(parameter key: StaticString) {
    code = .badParameters
    parameter = ParameterName(key: key)
  }

  /// An item of a list that is of the wrong type or out of range as a whole.
  init(item index: Int, of list: StaticString) {
    code = .badParameters
    parameter = ParameterName(list: list, index: index)
  }

  /// The same, of a parameter inside an item of a list.
  func inside(_ list: StaticString, at index: Int) -> RefusedRequest {
    var refusal = self
    refusal.parameter?.list = list
    refusal.parameter?.index = index
    return refusal
  }

  /// The same, inside an operation of a multi.
  func inside(operation index: Int) -> RefusedRequest {
    var refusal = self
    refusal.operation = index
    return refusal
  }
}

/// How the decoding of a frame ended.
public enum DecodeResult {
  /// The request is complete, and every field of it is within the protocol's ranges.
  case request
  /// Answer the request with this error; the connection goes on.
  case refused(RefusedRequest)
  /// Answer with this error if the request is known, say goodbye, and close the connection.
  case fatal(RefusedRequest)
}
