import NuvomTasks

/// What the broker is told of an attempt that failed. It is within the protocol's bounds, whatever the error says: it shares a request
/// with the settlements of others.
package struct AttemptFailure {
  package var reason: NackReason

  /// About how many bytes it takes on the wire.
  var bytes: Int { reason.type.utf8.count + reason.message.utf8.count + reason.trace.utf8.count }

  package init(_ error: any Error, in configuration: WorkerConfiguration) {
    let place = configuration.name.isEmpty ? "" : "\nworker \(configuration.name)"
    var reason: NackReason
    switch error {
    case let error as RemoteError:
      reason = NackReason(
        type: error.type, message: error.message, trace: error.trace + place, delay: error.delay, retry: error.retry)
    case let error as WorkerCrashed:
      reason = NackReason(
        type: Self.type(error), message: error.description, trace: Self.cut(error.output, 16_000) + place)
    case let error as RetryLater:
      reason = NackReason(type: "RetryLater", message: error.description, trace: place, delay: error.delay)
    case let error as PermanentError:
      reason = NackReason(
        type: error.cause.map(Self.type) ?? "PermanentError", message: error.description,
        trace: Self.trace(error.cause ?? error) + place, retry: false)
    case is ArgumentError:
      reason = NackReason(type: "ArgumentError", message: "\(error)", trace: place, retry: false)
    case is JobTimedOut:
      reason = NackReason(type: "Timeout", message: "\(error)", trace: place)
    default:
      reason = NackReason(type: Self.type(error), message: "\(error)", trace: Self.trace(error) + place)
    }
    reason.type = Self.cut(reason.type, 255)
    reason.message = Self.cut(reason.message, 4_096)
    reason.trace = Self.cut(reason.trace, 16_384)
    // A hundred years.
    reason.delay = reason.delay.map { min(max($0, .zero), .seconds(36_500 * 86_400)) }
    self.reason = reason
  }

  private static func type(_ error: any Error) -> String { "\(Swift.type(of: error))" }

  /// Swift's errors know nothing of where they were thrown: everything they have in them is what there is to see.
  private static func trace(_ error: any Error) -> String { cut(String(reflecting: error), 16_000) }

  private static func cut(_ text: String, _ bytes: Int) -> String {
    guard text.utf8.count > bytes else { return text }
    var end = text.utf8.index(text.startIndex, offsetBy: bytes)
    while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
    return String(text[..<end])
  }
}

/// An attempt's failure that was told by another process.
public struct RemoteError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The error's type.
  public var type: String
  /// What happened.
  public var message: String
  /// Where.
  public var trace: String
  /// The wait before the next attempt; nil: by the job's backoff.
  public var delay: Duration?
  /// False: a dead letter at once.
  public var retry: Bool

  /// A failure; by default one that is retried by the job's own rules.
  public init(type: String, message: String, trace: String = "", delay: Duration? = nil, retry: Bool = true) {
    self.type = type
    self.message = message
    self.trace = trace
    self.delay = delay
    self.retry = retry
  }

  /// Type and message.
  public var description: String { "\(type): \(message)" }
}
