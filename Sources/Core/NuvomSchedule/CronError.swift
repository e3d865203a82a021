/// Why a text is no cron expression.
public struct CronError: Error, Hashable, Sendable, CustomStringConvertible {
  /// A field of an expression, in the order written.
  public enum Column: String, Sendable, CaseIterable {
    /// The text as a whole.
    case expression
    case second
    case minute
    case hour
    case dayOfMonth = "day-of-month"
    case month
    case dayOfWeek = "day-of-week"
  }

  /// Where.
  public let column: Column
  /// What is wrong, and what would be right.
  public let message: String

  /// Column and message.
  public var description: String { "\(column.rawValue): \(message)" }

  init(_ column: Column, _ message: String) {
    self.column = column
    self.message = message
  }
}
