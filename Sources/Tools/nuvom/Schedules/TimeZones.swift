import NuvomCommandLine
import NuvomSchedule
import NuvomStorage

/// The time zones that this machine knows, each read once.
final class TimeZones {
  private let files = ZoneFiles()
  private var known: [String: ZoneRules] = ["UTC": .utc]

  /// The rules of a zone.
  /// - Throws: if there is none of the name: nobody's time is taken for UTC in silence.
  func rules(of name: String) throws(Unreadable) -> ZoneRules {
    if let rules = known[name] { return rules }
    let found: ZoneRules?
    do {
      found = try files.rules(named: name)
    } catch {
      throw Unreadable(description: "the rules of the time zone \(name) cannot be read: \(error)")
    }
    guard let found else {
      throw Unreadable(
        description:
          "this machine knows no time zone \"\(Output.printable(name))\"; write a name as Europe/Berlin, or install the time zone data (tzdata)"
      )
    }
    known[name] = found
    return found
  }
}
