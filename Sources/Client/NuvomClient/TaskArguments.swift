import MessagePack

/// The convention for payloads: `{"args": […], "kwargs": {…}}`.
enum TaskArguments {
  static func encode(_ arguments: some Encodable) throws -> [UInt8] {
    let encoded = try MessagePackEncoder().encode(arguments)
    // A map's encoding begins with 0x80…0x8f, 0xde or 0xdf.
    let isMap = encoded.first.map { $0 & 0xF0 == 0x80 || $0 == 0xDE || $0 == 0xDF } ?? false
    var writer = MessageWriter(capacity: encoded.count + 16)
    writer.mapHeader(2)
    writer.literal("args")
    writer.arrayHeader(isMap ? 0 : 1)
    if !isMap { encoded.withUnsafeBytes { bytes in writer.raw(bytes) } }
    writer.literal("kwargs")
    if isMap { encoded.withUnsafeBytes { bytes in writer.raw(bytes) } } else { writer.mapHeader(0) }
    return writer.bytes
  }

  /// Named arguments if there are any, else the only positional one, else all positional ones as an array.
  static func decode<Value: Decodable>(_ type: Value.Type, from payload: [UInt8]) throws -> Value {
    try MessagePackDecoder().decode(type, from: encodedValue(in: payload))
  }

  private static func encodedValue(in payload: [UInt8]) throws -> [UInt8] {
    let found = payload.withUnsafeBytes { bytes -> [UInt8]? in
      var reader = MessageReader()
      guard reader.parse(bytes) == .ok else { return nil }
      var cursor = reader.cursor
      var positional: [UInt8]?
      var positionalCount = 0
      var named: [UInt8]?
      var namedCount = 0
      for _ in 0..<(cursor.readMapHeader() ?? 0) {
        guard let key = cursor.readKey() else { return nil }
        let value = cursor
        cursor.skip()
        var inside = value
        if key == "args", let count = inside.readArrayHeader() {
          positionalCount = count
          positional = [UInt8](count == 1 ? inside.rawBytes : value.rawBytes)
        } else if key == "kwargs", let count = inside.readMapHeader() {
          namedCount = count
          named = [UInt8](value.rawBytes)
        }
      }
      extendLifetime(reader)
      return namedCount > 0 || positionalCount == 0 ? named ?? positional : positional
    }
    guard let found else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: [], debugDescription: "the payload is not a map with \"args\" and \"kwargs\" in MessagePack"))
    }
    return found
  }
}
