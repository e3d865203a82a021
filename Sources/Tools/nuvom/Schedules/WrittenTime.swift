import NuvomCommandLine
import NuvomSchedule

/// A clock time as a person writes it: with its offset from UTC, or as the clocks of a zone show it that is named elsewhere.
struct WrittenTime: Equatable {
  let time: ISOTime
  let text: String

  /// Reads ISO 8601.
  init(_ text: String) throws {
    guard let time = ISOTime(text) else {
      throw Unreadable(
        description:
          "write a time in ISO 8601, as 2027-01-31T18:30:00Z or 2027-01-31T19:30:00+01:00, or without an offset in the time zone given"
      )
    }
    self.time = time
    self.text = text
  }

  /// Whether it says its offset itself.
  var isComplete: Bool { time.offset != nil }
}

/// The zone in which times are read that say no offset, and what is to be said about them.
struct LocalTimes {
  /// Nil: nobody named one.
  let zone: (name: String, rules: ZoneRules)?
  /// What was taken for something, which the person who wrote it should know.
  private(set) var remarks: [String] = []

  /// In a zone; nil if nobody named one.
  init(zone: (name: String, rules: ZoneRules)?) { self.zone = zone }

  /// Milliseconds since 1970 UTC. A time that comes twice is the first, one that does not exist the first instant after the gap.
  ///
  /// - Parameter field: what the time is called where it is written.
  mutating func milliseconds(_ written: WrittenTime, field: String) throws(Unreadable) -> UInt64 {
    let seconds: Int64
    if let stated = written.time.seconds {
      seconds = stated
    } else {
      let rules = zone?.rules ?? .utc
      // A gap that is not skipped has an instant.
      let due = rules.instant(ofLocal: written.time.civil, gap: .shift, fold: .first)
      seconds = due?.seconds ?? written.time.civil.localSeconds
      let taken = ISOTime(seconds: seconds, in: rules)
      if let zone {
        switch due?.oddity {
        case .shiftedFromGap:
          remarks.append("\(field): \(written.text) does not exist in \(zone.name); taken for \(taken)")
        case .firstOfFold, .lastOfFold:
          remarks.append("\(field): \(written.text) comes twice in \(zone.name); taken for \(taken)")
        case .some(.none), nil: break
        }
      } else {
        remarks.append("\(field): \(written.text) names no time zone; taken for UTC")
      }
    }
    guard seconds >= 0 else { throw Unreadable(description: "\(written.text) is before 1970") }
    return UInt64(seconds) * 1_000 + UInt64(written.time.milliseconds)
  }
}

extension ISOTime {
  /// An instant in milliseconds since 1970 UTC, as the clocks of a zone show it.
  init(milliseconds: UInt64, in zone: ZoneRules) {
    self.init(seconds: Int64(clamping: milliseconds / 1_000), in: zone)
    self.milliseconds = Int(milliseconds % 1_000)
  }
}
