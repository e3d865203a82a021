import Foundation
import NuvomSchedule
import Testing

/// What oracle/make_fixtures.py wrote (oracle/README.md).
enum Fixtures {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("fixtures")

  static func lines(_ file: String) throws -> [Substring] {
    try String(contentsOf: folder.appendingPathComponent(file), encoding: .utf8).split(separator: "\n")
  }

  /// The bytes of every TZif file of the tz database, each once, with the zone's names.
  static func zoneFiles() throws -> [(names: [String], bytes: [UInt8])] {
    let blob = [UInt8](try Data(contentsOf: folder.appendingPathComponent("zones.bin")))
    return try lines("zones.txt").dropFirst().map { line in
      let parts = line.split(separator: " ")
      let offset = try #require(Int(parts[0]))
      let count = try #require(Int(parts[1]))
      return (parts[2...].map(String.init), Array(blob[offset..<(offset + count)]))
    }
  }

  static func zone(_ name: String) throws -> ZoneRules {
    try zoneRules(#require(try zoneFiles().first { $0.names.contains(name) }, "no zone \(name)").bytes)
  }

  static func zones() throws -> [String: ZoneRules] {
    var zones: [String: ZoneRules] = [:]
    for file in try zoneFiles() {
      let zone = try zoneRules(file.bytes)
      for name in file.names { zones[name] = zone }
    }
    return zones
  }
}

func zoneRules(_ bytes: [UInt8]) throws -> ZoneRules {
  try bytes.withUnsafeBytes { try ZoneRules(tzif: $0) }
}

/// An instant written in ISO 8601 with an offset.
func seconds(_ text: String) throws -> Int64 {
  try #require(ISOTime(text)?.seconds, "\(text) is no instant")
}
