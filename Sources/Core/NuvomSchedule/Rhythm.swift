public import NuvomModel

/// Due times that come every so long from a first one on. In milliseconds, as everything of an interval.
public struct Rhythm: Hashable, Sendable {
  /// The first due time.
  public let first: Int64
  /// So long between two; at least 1.
  public let interval: Int64

  /// A rhythm from its first due time on.
  public init(first: Int64, interval: Int64) {
    precondition(interval > 0, "an interval has a length")
    self.first = first
    self.interval = interval
  }

  /// The first due time after an instant.
  public func next(after instant: Int64) -> Int64 {
    instant < first ? first : first + ((instant - first) / interval + 1) * interval
  }
}

extension CronExpression {
  /// As `nextDue(after:in:gap:fold:)`, by an instant in milliseconds: a due time is a whole second, so what is after the instant is after its second.
  public func nextDue(
    afterMilliseconds instant: Int64, in zone: ZoneRules, gap: GapPolicy, fold: FoldPolicy
  ) -> (milliseconds: Int64, oddity: DueTime.Oddity)? {
    let second = instant < 0 ? -1 : instant / 1_000
    return nextDue(after: second, in: zone, gap: gap, fold: fold).map { ($0.seconds * 1_000, $0.oddity) }
  }
}
