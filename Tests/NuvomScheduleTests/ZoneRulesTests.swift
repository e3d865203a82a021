import NuvomModel
import NuvomSchedule
import Testing

struct ZoneRulesTests {
  @Test(
    "A zone's clocks show what they show",
    arguments: [
      ("Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29T01:59:59+01:00", "CET"),
      ("Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00+02:00", "CEST"),
      ("Europe/Berlin", "1800-01-01T00:00:00Z", "1800-01-01T00:53:28+00:53:28", "LMT"),
      ("Europe/Berlin", "2999-07-01T00:00:00Z", "2999-07-01T02:00:00+02:00", "CEST"),
      // In winter, on the negative side of its standard time.
      ("Europe/Dublin", "2040-01-01T00:00:00Z", "2040-01-01T00:00:00Z", "GMT"),
      ("Europe/Dublin", "2040-07-01T00:00:00Z", "2040-07-01T01:00:00+01:00", "IST"),
      ("America/St_Johns", "2026-01-01T00:00:00Z", "2025-12-31T20:30:00-03:30", "NST"),
      ("Australia/Lord_Howe", "2026-01-01T00:00:00Z", "2026-01-01T11:00:00+11:00", "+11"),
      ("Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T05:45:00+05:45", "+0545"),
      ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T23:59:59-10:00", "-10"),
      ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31T00:00:00+14:00", "+14"),
      ("Etc/UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "UTC"),
    ])
  func clocks(zone: String, instant: String, local: String, abbreviation: String) throws {
    let zone = try Fixtures.zone(zone)
    let instant = try seconds(instant)
    #expect(ISOTime(seconds: instant, in: zone).description == local)
    #expect(zone.abbreviation(at: instant) == abbreviation)
  }

  @Test("Every instant has an offset, however far away")
  func farAway() throws {
    let zone = try Fixtures.zone("Europe/Berlin")
    #expect(zone.offset(at: .min) == 3_208)
    #expect([3_600, 7_200].contains(zone.offset(at: .max)))
    #expect(ZoneRules.utc.offset(at: .max) == 0)
  }

  @Test("The fingerprint tells files apart, and is the same for the same bytes")
  func fingerprint() throws {
    let files = try Fixtures.zoneFiles()
    let prints = try files.map { try zoneRules($0.bytes).fingerprint }
    #expect(Set(prints + [ZoneRules.utc.fingerprint]).count == files.count + 1)
    #expect(try zoneRules(files[0].bytes).fingerprint == prints[0])
  }

  @Test(
    "A local time is an instant by the policies",
    arguments: [
      ("Europe/Berlin", "2026-07-01T12:00", "2026-07-01T10:00Z", "2026-07-01T10:00Z", "2026-07-01T10:00Z"),
      // Gap: shifted, shifted, skipped.
      ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00Z", "2026-03-29T01:00Z", nil),
      ("Europe/Berlin", "2026-03-29T02:00", "2026-03-29T01:00Z", "2026-03-29T01:00Z", nil),
      ("Europe/Berlin", "2026-03-29T03:00", "2026-03-29T01:00Z", "2026-03-29T01:00Z", "2026-03-29T01:00Z"),
      ("Europe/Berlin", "2026-03-29T01:59:59", "2026-03-29T00:59:59Z", "2026-03-29T00:59:59Z", "2026-03-29T00:59:59Z"),
      ("Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00Z", "2011-12-30T10:00Z", nil),
      // Fold: first, last, first.
      ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T00:30Z"),
      ("Europe/Berlin", "2026-10-25T02:00", "2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T00:00Z"),
      ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00Z", "2026-10-25T02:00Z", "2026-10-25T02:00Z"),
      // The day that Kwajalein went over to the other side of the date line.
      ("Pacific/Kwajalein", "1993-08-21T12:00", "1993-08-21T12:00Z", "1993-08-21T12:00Z", nil),
    ] as [(String, String, String, String, String?)])
  func localTimes(zone: String, local: String, first: String, last: String, skipping: String?) throws {
    let zone = try Fixtures.zone(zone)
    let civil = try #require(ISOTime(local)?.civil)
    #expect(try zone.instant(ofLocal: civil, gap: .shift, fold: .first)?.seconds == seconds(first))
    #expect(try zone.instant(ofLocal: civil, gap: .shift, fold: .last)?.seconds == seconds(last))
    #expect(try zone.instant(ofLocal: civil, gap: .skip, fold: .both)?.seconds == skipping.map(seconds))
  }

  @Test("Each instant's local time leads back to it, in every zone and around every transition")
  func thereAndBack() throws {
    for file in try Fixtures.zoneFiles() {
      let zone = try zoneRules(file.bytes)
      var period = zone.period(at: 0)
      while period.end < 2_145_916_800 {
        for instant in stride(from: period.end - 90_000, through: period.end + 90_000, by: 20_001) {
          let civil = ISOTime(seconds: instant, in: zone).civil
          let first = try #require(zone.instant(ofLocal: civil, gap: .skip, fold: .first))
          let last = try #require(zone.instant(ofLocal: civil, gap: .skip, fold: .last))
          guard instant == first.seconds || instant == last.seconds else {
            Issue.record("\(file.names[0]): \(instant) is neither \(first) nor \(last)")
            return
          }
        }
        period = zone.period(at: period.end)
      }
    }
  }

  // MARK: - Files

  /// A file of version 2, with one type of local time for each offset; all transitions are to the type at their own index.
  func file(transitions: [Int64], offsets: [Int32], footer: String) -> [UInt8] {
    func bigEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
      withUnsafeBytes(of: number.bigEndian) { Array($0) }
    }
    func header(_ counts: [UInt32]) -> [UInt8] {
      Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15) + counts.flatMap { bigEndian($0) }
    }
    var bytes = header([0, 0, 0, 0, 0, 0])
    bytes += header([0, 0, 0, UInt32(transitions.count), UInt32(offsets.count), 4])
    bytes += transitions.flatMap { bigEndian($0) }
    bytes += (0..<transitions.count).map { UInt8($0 + 1) }
    bytes += offsets.flatMap { bigEndian($0) + [0, 0] }
    return bytes + Array("XXX\0\n\(footer)\n".utf8)
  }

  @Test(
    "A footer's rule holds for all years",
    arguments: [
      ("EST5EDT,M3.2.0,M11.1.0", "2026-07-01T00:00Z", -14_400),
      ("EST5EDT,M3.2.0,M11.1.0", "2026-12-01T00:00Z", -18_000),
      ("EST5EDT,M3.2.0,M11.1.0", "2026-03-08T06:59:59Z", -18_000),
      ("EST5EDT,M3.2.0,M11.1.0", "2026-03-08T07:00Z", -14_400),
      ("EST5EDT,M3.2.0,M11.1.0", "1850-07-01T00:00Z", -14_400),
      // The southern half has summer over New Year.
      ("NZST-12NZDT,M9.5.0,M4.1.0/3", "2027-01-01T00:00Z", 46_800),
      ("NZST-12NZDT,M9.5.0,M4.1.0/3", "2026-12-31T11:59Z", 46_800),
      ("NZST-12NZDT,M9.5.0,M4.1.0/3", "2026-07-01T00:00Z", 43_200),
      // Times before midnight and after the day: Godthab, Gaza.
      ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -7_200),
      ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00Z", -3_600),
      ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-27T23:59:59Z", 7_200),
      ("EET-2EEST,M3.4.4/50,M10.4.4/50", "2026-03-28T00:00Z", 10_800),
      // Days of the year, with and without 29 February; the last day's change is in the next year.
      ("AAA0BBB,J60/0,J365/25", "2024-03-01T00:00Z", 3_600), ("AAA0BBB,J60/0,J365/25", "2024-02-29T23:59Z", 0),
      ("AAA0BBB,59/0,300/0", "2024-02-29T00:00Z", 3_600), ("AAA0BBB,59/0,300/0", "2023-02-28T23:59Z", 0),
      ("AAA0BBB,J60/0,J365/25", "2024-12-31T23:59:59Z", 3_600), ("AAA0BBB,J60/0,J365/25", "2025-01-01T00:00Z", 0),
      // Summer all year.
      ("EST5EDT,0/0,J365/25", "2026-01-01T04:59:59Z", -14_400), ("EST5EDT,0/0,J365/25", "2026-01-01T05:00Z", -14_400),
      ("XXX-3<+0430>-4:30,J1/0,J365/25:30", "2026-12-31T21:00Z", 16_200),
      ("<+1245>-12:45:30", "2026-01-01T00:00Z", 45_930),
    ])
  func footers(footer: String, instant: String, offset: Int32) throws {
    let zone = try zoneRules(file(transitions: [], offsets: [0], footer: footer))
    #expect(zone.offset(at: try seconds(instant)) == offset)
  }

  @Test(
    "A footer that is no rule is refused",
    arguments: [
      "E5", "5", "EST", "EST5EDT", "EST5EDT,M3.2.0", "EST5EDT,M3.2.0,M11.1.0,", "EST25", "EST5EDT,M0.2.0,M11.1.0",
      "EST5EDT,M13.1.0,M11.1.0", "EST5EDT,M3.6.0,M11.1.0", "EST5EDT,M3.0.0,M11.1.0", "EST5EDT,M3.2.7,M11.1.0",
      "EST5EDT,J0,J365",
      "EST5EDT,366,1", "EST5EDT,M3.2.0/168,M11.1.0", "<EST5", "EST5 ", "EST5:60", "EST--5", "ABCDEFGHIJKLMNOPQ5",
      "EST5EDT4,M3.2.0,M11.1.0/",
    ])
  func noFooters(footer: String) {
    #expect(throws: ZoneRulesError.self) { try zoneRules(file(transitions: [], offsets: [0], footer: footer)) }
  }

  @Test("Of a file of version 1 the times of four bytes count, and nothing is known after the last")
  func versionOne() throws {
    var bytes = Array("TZif".utf8) + [UInt8](repeating: 0, count: 16)
    bytes += [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 4]
    bytes += [0x40, 0, 0, 0, 1] + [0, 0, 0, 0, 0, 0] + [0, 0, 0x0E, 0x10, 1, 0] + Array("XXX\0".utf8)
    let zone = try zoneRules(bytes)
    #expect(zone.offset(at: 0x3FFF_FFFF) == 0)
    #expect(zone.offset(at: 0x4000_0000) == 3_600)
    #expect(zone.abbreviation(at: 0x7000_0000) == "XXX")
  }

  @Test("A file is refused whose transitions do not ascend, or that says what cannot be")
  func refusals() throws {
    #expect(try zoneRules(file(transitions: [1, 2], offsets: [0, 1, 2], footer: "")).offset(at: 2) == 2)
    for bytes in [
      file(transitions: [2, 2], offsets: [0, 1, 2], footer: ""),
      file(transitions: [1, 2], offsets: [0, 1], footer: ""),
      file(transitions: [1 << 60], offsets: [0, 1], footer: ""), file(transitions: [], offsets: [], footer: ""),
      file(transitions: [], offsets: [100_000], footer: ""), file(transitions: [], offsets: [.min], footer: ""),
      Array(file(transitions: [1], offsets: [0, 1], footer: "").dropLast(2)), [], Array("TZif".utf8),
      Array("TZif1".utf8) + [UInt8](repeating: 0, count: 100),
    ] {
      #expect(throws: ZoneRulesError.self) { try zoneRules(bytes) }
    }
  }

  @Test("A zone that counts leap seconds is refused, and says what to use")
  func leapSeconds() {
    var bytes = file(transitions: [], offsets: [0], footer: "")
    bytes[44 + 31] = 1
    bytes.insert(contentsOf: [UInt8](repeating: 0, count: 12), at: 44 + 44 + 6 + 4)
    let error = #expect(throws: ZoneRulesError.self) { try zoneRules(bytes) }
    #expect(error?.message.contains("right/") == true)
  }
}
