#if canImport(FoundationEssentials)
  public import FoundationEssentials
#else
  public import Foundation
#endif
public import NuvomClient
public import NuvomTasks

extension Schedule {
  /// No due time is before this; nil: no limit. What is before 1970 counts as 1970.
  public var startAt: Date? {
    get { startAtMilliseconds.map { Date(millisecondsSince1970: $0) } }
    set { startAtMilliseconds = newValue.map(\.brokerMilliseconds) }
  }

  /// No due time is after this; nil: no limit. What is before 1970 counts as 1970.
  public var endAt: Date? {
    get { endAtMilliseconds.map { Date(millisecondsSince1970: $0) } }
    set { endAtMilliseconds = newValue.map(\.brokerMilliseconds) }
  }
}

extension ScheduleOptions {
  /// No due time is before this; nil: no limit. What is before 1970 counts as 1970.
  public var startAt: Date? {
    get { startAtMilliseconds.map { Date(millisecondsSince1970: $0) } }
    set { startAtMilliseconds = newValue.map(\.brokerMilliseconds) }
  }

  /// No due time is after this; nil: no limit. What is before 1970 counts as 1970.
  public var endAt: Date? {
    get { endAtMilliseconds.map { Date(millisecondsSince1970: $0) } }
    set { endAtMilliseconds = newValue.map(\.brokerMilliseconds) }
  }

  /// Nothing special but that no due time is before the one, or after the other; nil: no limit.
  public init(startAt: Date?, endAt: Date? = nil) {
    self.init()
    self.startAt = startAt
    self.endAt = endAt
  }
}

extension ScheduledFire {
  /// For which of the schedule's due times: the time that the job is about, whenever it runs.
  public var dueAt: Date { Date(millisecondsSince1970: dueAtMilliseconds) }
}

extension ScheduleReceipt {
  /// The next due time; nil: it is finished.
  public var dueAt: Date? { dueAtMilliseconds.map { Date(millisecondsSince1970: $0) } }
}

extension ScheduleStatus {
  /// When it was created.
  public var createdAt: Date { Date(millisecondsSince1970: createdAtMilliseconds) }
  /// When its definition last changed.
  public var updatedAt: Date { Date(millisecondsSince1970: updatedAtMilliseconds) }
  /// The next due time; nil: there is none.
  public var dueAt: Date? { dueAtMilliseconds.map { Date(millisecondsSince1970: $0) } }
  /// The next due time with the schedule's jitter.
  public var firesAt: Date? { firesAtMilliseconds.map { Date(millisecondsSince1970: $0) } }
  /// The last due time that was fired or counted.
  public var lastDueAt: Date? { lastDueAtMilliseconds.map { Date(millisecondsSince1970: $0) } }
  /// The due time of the fire that waits for the last job to finish.
  public var bufferedDueAt: Date? { bufferedDueAtMilliseconds.map { Date(millisecondsSince1970: $0) } }
}

extension Date {
  fileprivate var brokerMilliseconds: UInt64 { UInt64(clamping: millisecondsSince1970) }
}
