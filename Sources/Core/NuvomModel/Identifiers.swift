/// The name of a job: partition (8 bits), generation (24), slot (32).
///
/// A slot is a place in the engine's table of jobs. Its generation rises each time the place is given up, so that no id is ever used
/// twice and an id can be looked up without a hash table.
@frozen
public struct JobID: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  /// The 64 bits as they travel on the wire.
  public var rawValue: UInt64

  /// Takes any 64 bits: whether such a job exists is the engine's to say.
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Composes an id. `generation` uses its lower 24 bits.
  @inlinable public init(partition: UInt8, generation: UInt32, slot: UInt32) {
    rawValue = UInt64(partition) << 56 | UInt64(generation & 0xFF_FFFF) << 32 | UInt64(slot)
  }

  /// The partition that owns the job.
  @inlinable public var partition: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 56) }
  /// How often the slot was given up before this job.
  @inlinable public var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) & 0xFF_FFFF }
  /// The job's place in the table.
  @inlinable public var slot: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
}

extension JobID: CustomStringConvertible, LosslessStringConvertible {
  /// Sixteen hexadecimal digits.
  public var description: String {
    let digits = String(rawValue, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  /// Reads what `description` writes; leading zeros may be missing.
  public init?(_ description: String) {
    guard !description.isEmpty, let value = UInt64(description, radix: 16) else { return nil }
    self.init(rawValue: value)
  }
}

/// Proof of a lease: a number that rises with every delivery of a partition, also across restarts.
@frozen
public struct LeaseToken: RawRepresentable, Hashable, Comparable, Sendable, BitwiseCopyable {
  /// The number. Zero is no token.
  public var rawValue: UInt64
  /// Takes any number: whether it is a job's current token is the engine's to say.
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
  /// Older deliveries have smaller tokens.
  @inlinable public static func < (left: LeaseToken, right: LeaseToken) -> Bool { left.rawValue < right.rawValue }
}

/// A connection as the broker numbers it. Numbers are not used twice while a broker runs.
@frozen
public struct ConnectionID: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  /// The number.
  public var rawValue: UInt64
  /// Any number.
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// The number of a request: chosen by the client, unique among those in flight on a connection.
@frozen
public struct RequestID: RawRepresentable, Hashable, Comparable, Sendable, BitwiseCopyable {
  /// The number, at most 2^63 − 1.
  public var rawValue: UInt64
  /// Any number.
  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
  /// Later requests of a client that wants safe retries have larger numbers.
  @inlinable public static func < (left: RequestID, right: RequestID) -> Bool { left.rawValue < right.rawValue }
}
