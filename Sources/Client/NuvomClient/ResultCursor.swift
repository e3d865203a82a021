import MessagePack
import NuvomModel

/// The broker's result is not of the shape that Protocol.md promises.
struct UnexpectedResult: Error {
  /// What was to be found.
  let wanted: String
}

/// Reads a result, in the task that waits for it rather than on the event loop.
func decodeResult<Value>(
  _ bytes: [UInt8], _ body: (inout MessageCursor) throws(UnexpectedResult) -> Value
) throws(NuvomError) -> Value {
  do throws(UnexpectedResult) {
    return try bytes.withUnsafeBufferPointer { bytes throws(UnexpectedResult) -> Value in
      var reader = MessageReader(maximumValues: ProtocolLimits.frameElements)
      guard reader.parse(UnsafeRawBufferPointer(bytes)) == .ok else { throw UnexpectedResult(wanted: "a message") }
      var cursor = reader.cursor
      let value = try body(&cursor)
      extendLifetime(reader)
      return value
    }
  } catch {
    throw NuvomError(
      .brokerProtocol,
      "the broker's answer does not have \(error.wanted) where the protocol wants it; check that the versions of client "
        + "and broker fit together")
  }
}

extension MessageCursor {
  /// Reads a map. `body` reads the value of each key it knows and returns true; values that are nil count as missing, and what
  /// `body` does not know is passed over.
  mutating func fields(
    _ body: (MessageKey, inout MessageCursor) throws(UnexpectedResult) -> Bool
  ) throws(UnexpectedResult) {
    guard let count = readMapHeader() else { throw UnexpectedResult(wanted: "a map") }
    for _ in 0..<count {
      guard let key = readKey() else { throw UnexpectedResult(wanted: "a string as key") }
      if readNull() { continue }
      if try !body(key, &self) { skip() }
    }
  }

  /// Reads an array, an element at each call of `body`.
  mutating func elements<Element>(
    _ body: (inout MessageCursor) throws(UnexpectedResult) -> Element
  ) throws(UnexpectedResult) -> [Element] {
    guard let count = readArrayHeader() else { throw UnexpectedResult(wanted: "an array") }
    var elements: [Element] = []
    elements.reserveCapacity(count)
    for _ in 0..<count { elements.append(try body(&self)) }
    return elements
  }

  mutating func number() throws(UnexpectedResult) -> UInt64 {
    guard let value = readUInt() else { throw UnexpectedResult(wanted: "a number that is not negative") }
    return value
  }

  mutating func count() throws(UnexpectedResult) -> Int {
    guard let value = Int(exactly: try number()) else { throw UnexpectedResult(wanted: "a number below 2^63") }
    return value
  }

  mutating func float() throws(UnexpectedResult) -> Double {
    if let value = readDouble() { return value }
    return Double(try number())
  }

  mutating func flag() throws(UnexpectedResult) -> Bool {
    guard let value = readBool() else { throw UnexpectedResult(wanted: "true or false") }
    return value
  }

  mutating func text() throws(UnexpectedResult) -> String {
    guard let value = readString() else { throw UnexpectedResult(wanted: "a string") }
    return value
  }

  /// A string that is one of the values of a type.
  mutating func named<Value: RawRepresentable<String>>() throws(UnexpectedResult) -> Value {
    let text = try text()
    guard let value = Value(rawValue: text) else {
      throw UnexpectedResult(wanted: "a known name instead of \"\(text)\"")
    }
    return value
  }

  mutating func bytes() throws(UnexpectedResult) -> [UInt8] {
    guard let value = readBytes() else { throw UnexpectedResult(wanted: "bytes") }
    return [UInt8](value)
  }

  mutating func jobID() throws(UnexpectedResult) -> JobID { JobID(rawValue: try number()) }

  mutating func token() throws(UnexpectedResult) -> LeaseToken { LeaseToken(rawValue: try number()) }

  mutating func duration() throws(UnexpectedResult) -> Duration { Duration(wireMilliseconds: try number()) }
}
