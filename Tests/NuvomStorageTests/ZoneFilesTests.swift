import Foundation
import NuvomSchedule
import NuvomStorage
import Testing

/// A zone's file, of which the footer says everything.
private func file(_ footer: String) -> [UInt8] {
  // Of the six counts in a header two are not 0: a type of local time, and the four characters of its name.
  func block() -> [UInt8] {
    var block = Array("TZif2".utf8) + [UInt8](repeating: 0, count: 15)
    for count: UInt8 in [0, 0, 0, 0, 1, 4] { block += [0, 0, 0, count] }
    return block + [0, 0, 0, 0, 0, 0] + Array("LMT\0".utf8)
  }
  return block() + block() + Array("\n\(footer)\n".utf8)
}

/// A directory of zones, as the tz database's is.
private func zones() throws -> (LogDirectory, ZoneFiles) {
  let directory = try LogDirectory()
  for folder in ["Europe", "America/Argentina", "right/Europe", "Etc"] {
    try FileManager.default.createDirectory(
      atPath: "\(directory.path)/\(folder)", withIntermediateDirectories: true)
  }
  for name in [
    "Europe/Berlin", "America/Argentina/Rio_Gallegos", "right/Europe/Berlin", "a.b", "Etc/GMT-14", "localtime",
    "posixrules",
  ] {
    try directory.write(file("CET-1CEST,M3.5.0,M10.5.0/3"), to: name)
  }
  try directory.write(Array("#\tLeap\t1972\tJun\t30\n".utf8), to: "leapseconds")
  try directory.write([], to: "empty")
  return (directory, ZoneFiles(directory: directory.path))
}

@Test(
  "a zone's rules are read from its file",
  arguments: ["Europe/Berlin", "America/Argentina/Rio_Gallegos", "Etc/GMT-14"])
func zoneFile(name: String) throws {
  let (directory, files) = try zones()
  defer { withExtendedLifetime(directory) {} }
  let rules = try #require(try files.rules(named: name))
  #expect(rules.offset(at: 1_767_225_600) == 3_600 && rules.offset(at: 1_782_864_000) == 7_200)
}

@Test(
  "a name that no zone has is none, whatever lies there",
  arguments: [
    "", "/", "Europe", "Europe/", "/Europe/Berlin", "Europe//Berlin", "Europe/Atlantis", "Atlantis", "../etc/passwd",
    "../../../../../../etc/passwd", "Europe/../Europe/Berlin", "./Europe/Berlin", ".", "..", "a.b",
    "right/Europe/Berlin",
    "/etc/passwd", "Europe/Berlin\0", "Europe/Berlin ", "Europe\\Berlin", "Eur\u{F6}pe", "America/Argentina",
    "localtime", "posixrules", "leapseconds", "empty",
  ])
func noZone(name: String) throws {
  let (directory, files) = try zones()
  defer { withExtendedLifetime(directory) {} }
  #expect(try files.rules(named: name) == nil)
}

@Test("a damaged file is an error that names the zone, the file and the remedy", arguments: [4, 43, 60, 100])
func damagedZone(length: Int) throws {
  let (directory, files) = try zones()
  let whole = file("CET-1CEST,M3.5.0,M10.5.0/3")
  try directory.write(Array(whole[..<length]), to: "Europe/Berlin")
  do {
    _ = try files.rules(named: "Europe/Berlin")
    Issue.record("\(length) bytes are no zone")
  } catch {
    #expect(error.zone == "Europe/Berlin")
    #expect(error.message.contains("\(directory.path)/Europe/Berlin") && error.message.contains("tzdata"))
  }
}

@Test("a file is read up to the size that rules may have; one that is larger is an error")
func largeZone() throws {
  let (directory, files) = try zones()
  // What is behind the footer does not matter.
  let whole = file("CET-1")
  let most = whole + [UInt8](repeating: 0, count: ZoneRules.maximumBytes - whole.count)
  try directory.write(most, to: "Europe/Berlin")
  #expect(try files.rules(named: "Europe/Berlin") != nil)
  try directory.write(most + [0], to: "Europe/Berlin")
  #expect(throws: ZoneError.self) { try files.rules(named: "Europe/Berlin") }
}

@Test("UTC needs no files, and other zones of a system without files are none")
func withoutFiles() throws {
  let directory = try LogDirectory()
  for path in [directory.path, "\(directory.path)/nowhere"] {
    let files = ZoneFiles(directory: path)
    #expect(try files.rules(named: "UTC")?.fingerprint == ZoneRules.utc.fingerprint)
    #expect(try files.rules(named: "Europe/Berlin") == nil)
  }
}

@Test("a file that was changed is read anew, and its rules can be told from those before")
func updatedZone() throws {
  let (directory, files) = try zones()
  let before = try #require(try files.rules(named: "Europe/Berlin"))
  let same = try #require(try files.rules(named: "Europe/Berlin"))
  #expect(before.fingerprint == same.fingerprint)
  try directory.write(file("CET-1"), to: "Europe/Berlin")
  let after = try #require(try files.rules(named: "Europe/Berlin"))
  #expect(after.fingerprint != before.fingerprint && after.offset(at: 1_782_864_000) == 3_600)
}
