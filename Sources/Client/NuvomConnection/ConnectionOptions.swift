/// What a ``ConnectionMachine`` is told once. Times in microseconds.
public struct ConnectionOptions: Sendable {
  /// 1…64 random bytes that no other client has: the broker remembers answers under them.
  public var clientID: [UInt8]
  /// For people, at most 255 bytes.
  public var name: String
  /// Whether a lost connection is made again. If not, its loss is the end of the machine.
  public var reconnects = true
  /// How long connecting may take, and then hello.
  public var connectTimeout: Int64 = 5_000_000
  /// The wait before the first attempt to reconnect; it doubles with each failure.
  public var backoffBase: Int64 = 50_000
  /// No wait is longer.
  public var backoffCap: Int64 = 5_000_000
  /// Where the waits' jitter comes from: clients with different seeds do not come back all at once.
  public var seed: UInt64
  /// After so much silence of the broker it is pinged.
  public var pingAfter: Int64 = 30_000_000
  /// After so much more silence the connection is given up.
  public var pingTimeout: Int64 = 15_000_000
  /// How many changing requests may be unanswered. The broker remembers the answers to the last 1,024 of a client.
  public var window = 1_000
  /// A changing request that was sent is not sent again this long after its connection was lost: the broker remembers for ten minutes.
  public var retryLimit: Int64 = 540_000_000

  /// Defaults, but for what has none.
  public init(clientID: [UInt8], seed: UInt64, name: String = "") {
    self.clientID = clientID
    self.seed = seed
    self.name = name
  }
}

/// The wait before the next attempt to connect: doubled with each failure, shortened by up to half of it.
struct ReconnectBackoff: Sendable {
  private let base: Int64
  private let cap: Int64
  private var random: UInt64
  private var failures = 0

  init(_ options: ConnectionOptions) {
    base = options.backoffBase
    cap = options.backoffCap
    random = options.seed
  }

  /// Counts a failure and says how many microseconds to wait.
  mutating func next() -> Int64 {
    let full = min(cap, base << min(failures, 20))
    failures += 1
    // SplitMix64: enough to spread clients, and the same for the same seed.
    random &+= 0x9E37_79B9_7F4A_7C15
    var mixed = random
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    mixed ^= mixed >> 31
    return full - Int64(mixed % UInt64(full / 2 + 1))
  }

  /// The broker accepted us: the next failure is a first one.
  mutating func reset() { failures = 0 }
}
