public import MessagePack
public import NuvomModel

/// A request as it goes over the wire, before it has a number.
///
/// It is encoded by whoever asks, not on the connection's event loop. The number is written into its place when the request is
/// handed to the ``ConnectionMachine``, which is why it has a fixed width here.
public struct RequestFrame: Sendable {
  /// Length, request, parameters.
  public private(set) var bytes: [UInt8]
  /// What is asked.
  public let method: Method
  /// Whether the broker remembers the answer for a retry (Protocol.md, "Retrying requests safely").
  public let changes: Bool
  /// How long the broker may wait before it answers, on top of the request's time limit.
  public let waitMilliseconds: UInt64

  private static let numberOffset = 7

  /// Encodes a request.
  ///
  /// - Parameters:
  ///   - settles: whether a dequeue carries settlements.
  ///   - waitMilliseconds: the wait that a dequeue or wait asks for.
  ///   - parameters: writes exactly one map.
  /// - Throws: what `parameters` throws, nothing else. Whether the frame is within the protocol's limits says ``violation``.
  public init<E: Error>(
    _ method: Method, settles: Bool = false, waitMilliseconds: UInt64 = 0,
    parameters: (inout MessageWriter) throws(E) -> Void
  ) throws(E) {
    var writer = MessageWriter(capacity: 256)
    let mark = writer.beginFrame()
    writer.arrayHeader(4)
    writer.uint(0)
    // A uint 64 whatever its value: the number's place is at a fixed offset.
    writer.uint(.max)
    writer.literal(method.wireName)
    try parameters(&writer)
    writer.endFrame(mark)
    self.bytes = writer.bytes
    self.method = method
    self.changes =
      switch method {
      case .enqueue, .ack, .nack, .release, .cancel, .multi, .schedule, .scheduleTrigger, .scheduleDelete: true
      case .dequeue: settles
      default: false
      }
    self.waitMilliseconds = waitMilliseconds
  }

  /// A request without parameters.
  public init(_ method: Method) {
    self.init(method) { writer in writer.mapHeader(0) }
  }

  /// Why the broker would end the connection on reading this frame, or nil. Refused here, it costs nobody else's requests.
  public var violation: Failure? {
    let length = bytes.count - 4
    if length > ProtocolLimits.frameBytes {
      return Failure(
        .frameTooLarge,
        "the request has \(length) bytes, \(ProtocolLimits.frameBytes) are allowed; split it into smaller requests")
    }
    // Every element has at least one byte, so that only large frames need be counted.
    guard length > ProtocolLimits.frameElements else { return nil }
    return bytes.withUnsafeBytes { bytes in
      var reader = MessageReader(maximumValues: ProtocolLimits.frameElements)
      guard reader.parse(UnsafeRawBufferPointer(rebasing: bytes[4...])) == .tooManyValues else { return nil }
      return Failure(
        .limitExceeded,
        "the request has more than \(ProtocolLimits.frameElements) values; split it into smaller requests")
    }
  }

  /// Gives the request its number.
  package mutating func number(_ id: RequestID) {
    withUnsafeBytes(of: id.rawValue.bigEndian) { digits in
      for (index, digit) in digits.enumerated() { bytes[Self.numberOffset + index] = digit }
    }
  }
}
