/// What a task is called with. Tasks with a closure of several parameters have ``Arguments``; `@NuvomTask` writes a type of its own
/// for each function; a type of your own can conform by being `Codable` and saying so.
///
/// On the wire it is `{"args": […], "kwargs": {…}}` in MessagePack, as Python calls a function, so that other languages can produce
/// and read it.
public protocol TaskInput: Sendable {
  /// Writes each argument, by position or by name.
  func encode(to arguments: inout ArgumentEncoder) throws
  /// Reads each argument.
  /// - Throws: `ArgumentError`: the payload does not fit the task.
  init(from arguments: inout ArgumentDecoder) throws
}

// A struct is called by the names of its properties.
extension TaskInput where Self: Codable {
  /// Writes the properties by their names.
  public func encode(to arguments: inout ArgumentEncoder) throws { try arguments.whole(self) }
  /// Reads the properties by their names.
  public init(from arguments: inout ArgumentDecoder) throws { self = try arguments.whole(Self.self) }
}

/// The arguments of a closure, in their order.
///
/// A single one that encodes as a map (a struct, a dictionary) travels as named arguments, all others by position.
public struct Arguments<each Argument: Codable & Sendable>: TaskInput {
  /// The arguments.
  public let values: (repeat each Argument)

  /// Arguments in their order.
  public init(_ values: repeat each Argument) { self.values = (repeat each values) }

  /// Writes each argument by its position.
  public func encode(to arguments: inout ArgumentEncoder) throws {
    var count = 0
    for _ in repeat (each Argument).self { count += 1 }
    for value in repeat each values {
      if count == 1 { try arguments.whole(value) } else { try arguments.positional(value) }
    }
  }

  /// Reads each argument by its position.
  public init(from arguments: inout ArgumentDecoder) throws {
    var count = 0
    for _ in repeat (each Argument).self { count += 1 }
    var position = 0
    func next<Value: Codable>(_ type: Value.Type) throws -> Value {
      defer { position += 1 }
      return try count == 1 ? arguments.whole(type) : arguments.argument(nil, at: position, as: type)
    }
    values = try (repeat next((each Argument).self))
  }
}
