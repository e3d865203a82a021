import MessagePack

/// Bytes from hexadecimal digits; spaces are for the reader.
func bytes(_ hexadecimal: String) -> [UInt8] {
  let digits = hexadecimal.compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count - 1, by: 2).map { index in UInt8(digits[index] << 4 | digits[index + 1]) }
}

/// How a fresh reader ends with the bytes, and where it stopped.
func parse(_ bytes: [UInt8], maximumValues: Int = 262_144) -> (status: DecodeStatus, offset: Int) {
  var reader = MessageReader(maximumValues: maximumValues)
  let status = bytes.withUnsafeBytes { bytes in reader.parse(bytes) }
  return (status, reader.offset)
}

/// Parses bytes that must be a message, and hands out a cursor at its beginning.
func read<Result>(_ bytes: [UInt8], _ body: (inout MessageCursor) throws -> Result) rethrows -> Result {
  var reader = MessageReader()
  return try bytes.withUnsafeBytes { bytes in
    let status = reader.parse(bytes)
    precondition(status == .ok, "the test's message is \(status)")
    var cursor = reader.cursor
    return try body(&cursor)
  }
}
