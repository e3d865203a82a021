import NuvomModel
import NuvomSchedule

/// The time zones that schedules have named: their names and the fingerprints of their rules are durable, the rules themselves are given by the
/// broker, as values, and are not.
final class ZoneTable {
  let names: NameTable
  /// By the zone's number: of the rules by which the present due times were found.
  private(set) var fingerprints: [UInt64] = []
  /// By the zone's number; nil until the broker has given them.
  private var rules: [ZoneRules?] = []
  /// By the zone's number: how many schedules are in it.
  private var uses: [Int] = []
  /// Rules that were given of zones that no schedule has named.
  private var known: [[UInt8]: ZoneRules] = [:]
  /// Zones whose rules have changed, while due times are found anew.
  var sweeps: [Sweep] = []

  /// A walk over the schedules after the rules of a zone have changed.
  struct Sweep {
    let zone: UInt32
    /// Of the new rules.
    let fingerprint: UInt64
    /// The schedule from which on the due times are still those of the old rules.
    var from: UInt32 = 0
  }

  init(hash: ByteHash) {
    names = NameTable(maximum: Int(ScheduleRecord.noZone), hash: hash)
  }

  /// Gives the next number to a zone, as the log says. False if that cannot be.
  func add(_ name: BorrowedBytes, number: UInt32, fingerprint: UInt64) -> Bool {
    guard names.add(name, number: number) else { return false }
    fingerprints.append(fingerprint)
    uses.append(0)
    rules.append(known.removeValue(forKey: Array(name)))
    return true
  }

  /// Notes that a schedule is in a zone, or (−1) no more.
  func use(_ number: UInt16, _ change: Int = 1) {
    if number != ScheduleRecord.noZone { uses[Int(number)] += change }
  }

  /// The numbers of zones that schedules are in.
  var inUse: [UInt32] { uses.indices.filter { uses[$0] > 0 }.map { UInt32($0) } }

  /// Takes rules of a zone. Those of a zone with a number must have its fingerprint, or a sweep is to follow.
  func take(_ name: BorrowedBytes, _ zoneRules: ZoneRules) {
    if let number = names.find(name) { rules[Int(number)] = zoneRules } else { known[Array(name)] = zoneRules }
  }

  /// Forgets the rules of zones that no schedule is in, so that they are given anew when one is. Fingerprints stay: rules that have changed meanwhile
  /// will be seen to have.
  func forgetUnused() {
    known.removeAll()
    for number in rules.indices where uses[number] == 0 { rules[number] = nil }
  }

  /// Notes that the rules of a zone are others. False if there is no such zone.
  func change(_ number: UInt32, fingerprint: UInt64) -> Bool {
    guard fingerprints.indices.contains(Int(number)) else { return false }
    fingerprints[Int(number)] = fingerprint
    return true
  }

  /// The rules of a zone by its number.
  func rules(_ number: UInt32) -> ZoneRules? {
    rules.indices.contains(Int(number)) ? rules[Int(number)] : nil
  }

  /// The rules of a zone by its name, whether a schedule has named it or not.
  func rules(of name: BorrowedBytes) -> ZoneRules? {
    if let number = names.find(name) { return rules[Int(number)] }
    return known.isEmpty ? nil : known[Array(name)]
  }
}
