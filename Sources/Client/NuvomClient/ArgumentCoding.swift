import MessagePack

/// Writes a task's arguments as `{"args": […], "kwargs": {…}}`.
public struct ArgumentEncoder {
  private var positionals: [[UInt8]] = []
  private var named: [(name: String, value: [UInt8])] = []
  /// The encoded map that is all named arguments at once.
  private var map: [UInt8]?

  package init() {}

  /// The next argument by position.
  /// - Throws: `EncodingError`.
  public mutating func positional(_ value: some Encodable) throws {
    positionals.append(try MessagePackEncoder().encode(value))
  }

  /// An argument by name.
  /// - Throws: `EncodingError`.
  public mutating func named(_ name: String, _ value: some Encodable) throws {
    named.append((name, try MessagePackEncoder().encode(value)))
  }

  /// All arguments as one value: what encodes as a map is named arguments, anything else the only one by position.
  /// - Throws: `EncodingError`.
  public mutating func whole(_ value: some Encodable) throws {
    let encoded = try MessagePackEncoder().encode(value)
    // A map's encoding begins with 0x80…0x8f, 0xde or 0xdf.
    let isMap = encoded.first.map { $0 & 0xF0 == 0x80 || $0 == 0xDE || $0 == 0xDF } ?? false
    if isMap { map = encoded } else { positionals.append(encoded) }
  }

  package var payload: [UInt8] {
    let size =
      (map?.count ?? 0) + positionals.reduce(0) { $0 + $1.count } + named.reduce(0) { $0 + $1.value.count + 16 }
    var writer = MessageWriter(capacity: size + 32)
    writer.mapHeader(2)
    writer.literal("args")
    writer.arrayHeader(positionals.count)
    for value in positionals { value.withUnsafeBytes { writer.raw($0) } }
    writer.literal("kwargs")
    if let map {
      map.withUnsafeBytes { writer.raw($0) }
    } else {
      writer.mapHeader(named.count)
      for (name, value) in named {
        writer.string(name)
        value.withUnsafeBytes { writer.raw($0) }
      }
    }
    return writer.bytes
  }
}

/// Reads a task's arguments from `{"args": […], "kwargs": {…}}`, each by its name if it was given by name, else by its position, as
/// Python binds the arguments of a call.
public struct ArgumentDecoder {
  private var positionals: [[UInt8]] = []
  private var named: [String: [UInt8]] = [:]
  private var map: [UInt8] = []
  private var read: Set<String> = []
  private var positionalsRead = 0

  package init(_ payload: [UInt8]) throws(ArgumentError) {
    // Whoever enqueued no payload gave no arguments.
    if payload.isEmpty { return }
    let isRead = payload.withUnsafeBytes { bytes -> Bool in
      var reader = MessageReader()
      guard reader.parse(bytes) == .ok else { return false }
      defer { extendLifetime(reader) }
      var cursor = reader.cursor
      guard let count = cursor.readMapHeader() else { return false }
      for _ in 0..<count {
        guard let key = cursor.readKey() else { return false }
        var value = cursor
        cursor.skip()
        if key == "args" {
          guard let count = value.readArrayHeader() else { return false }
          for _ in 0..<count {
            positionals.append([UInt8](value.rawBytes))
            value.skip()
          }
        } else if key == "kwargs" {
          map = [UInt8](value.rawBytes)
          guard let count = value.readMapHeader() else { return false }
          for _ in 0..<count {
            guard let name = value.readString() else { return false }
            named[name] = [UInt8](value.rawBytes)
            value.skip()
          }
        }
      }
      return true
    }
    guard isRead else {
      throw ArgumentError(
        nil, "the payload is not {\"args\": […], \"kwargs\": {…}} in MessagePack: enqueue the task's arguments so")
    }
  }

  /// An argument.
  ///
  /// - Parameters:
  ///   - name: nil if it has none.
  ///   - position: its place among all parameters, from 0; nil if it is taken by name only.
  /// - Throws: ``ArgumentError`` if it is missing, or is no `Value`.
  public mutating func argument<Value: Decodable>(
    _ name: String?, at position: Int?, as type: Value.Type = Value.self
  ) throws -> Value {
    guard let value = try take(name, at: position, as: type) else {
      // What may be nil may be left out.
      if let absent = (type as? any ExpressibleByNilLiteral.Type)?.init(nilLiteral: ()) as? Value { return absent }
      throw ArgumentError(
        Self.label(name, position), "the argument \(Self.label(name, position)) is missing: it is a \(type)")
    }
    return value
  }

  /// An argument, or its default if it was not given.
  /// - Throws: ``ArgumentError`` if it is no `Value`.
  public mutating func argument<Value: Decodable>(
    _ name: String?, at position: Int?, default defaultValue: @autoclosure () throws -> Value
  ) throws -> Value {
    try take(name, at: position, as: Value.self) ?? defaultValue()
  }

  /// All arguments as one value: the only one by position, or else the named ones as a map.
  /// - Throws: ``ArgumentError``.
  public mutating func whole<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
    if positionals.isEmpty, !named.isEmpty {
      read = Set(named.keys)
      return try Self.decode(map, as: type, label: nil)
    }
    // Nothing at all fits a struct whose fields may be left out.
    if positionals.isEmpty, let value = try? MessagePackDecoder().decode(type, from: [0x80]) { return value }
    return try argument(nil, at: 0, as: type)
  }

  /// For who knows nothing of the task: the named arguments as a map if there are any, else the only one by position, else all of those as an array.
  mutating func everything<Value: Decodable>(as type: Value.Type) throws -> Value {
    if !named.isEmpty { return try Self.decode(map, as: type, label: nil) }
    if positionals.count < 2 { return try whole(type) }
    var array = MessageWriter()
    array.arrayHeader(positionals.count)
    for value in positionals { value.withUnsafeBytes { array.raw($0) } }
    return try Self.decode(array.bytes, as: type, label: nil)
  }

  /// - Throws: ``ArgumentError`` if something was given that the task does not take.
  package func finish() throws(ArgumentError) {
    if positionals.count > positionalsRead {
      throw ArgumentError(
        nil, "\(positionals.count) arguments were given by position, the task takes \(positionalsRead) so")
    }
    let unknown = named.keys.filter { !read.contains($0) }.sorted()
    if let name = unknown.first {
      throw ArgumentError(
        name, "the task has no argument named \(unknown.joined(separator: ", ")), or it was given twice")
    }
  }

  private mutating func take<Value: Decodable>(
    _ name: String?, at position: Int?, as type: Value.Type
  ) throws -> Value? {
    if let name, let value = named[name], position.map({ $0 >= positionals.count }) ?? true {
      read.insert(name)
      return try Self.decode(value, as: type, label: name)
    }
    guard let position, position < positionals.count else { return nil }
    positionalsRead = max(positionalsRead, position + 1)
    return try Self.decode(positionals[position], as: type, label: Self.label(name, position))
  }

  private static func decode<Value: Decodable>(_ bytes: [UInt8], as type: Value.Type, label: String?) throws -> Value {
    do {
      return try MessagePackDecoder().decode(type, from: bytes)
    } catch {
      let what = label.map { "the argument \($0) is" } ?? "the arguments are"
      throw ArgumentError(label, "\(what) no \(type): \(error)")
    }
  }

  private static func label(_ name: String?, _ position: Int?) -> String {
    name ?? position.map { "number \($0 + 1)" } ?? ""
  }
}
