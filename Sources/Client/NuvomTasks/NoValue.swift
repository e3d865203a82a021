/// What a task returns that returns nothing: nil on the wire.
public struct NoValue: Codable, Hashable, Sendable {
  /// The only value.
  public init() {}
  /// Any value will do.
  public init(from decoder: any Decoder) {}
  /// Writes nil.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encodeNil()
  }
}
