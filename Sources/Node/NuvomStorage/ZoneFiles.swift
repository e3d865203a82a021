import Glibc
public import NuvomSchedule

/// Where a broker has the rules of time zones from.
public protocol ZoneSource: Sendable {
  /// The rules of a zone by its IANA name, as they are now; nil if there is no such zone.
  /// - Throws: if there seems to be one, but its rules cannot be read.
  func rules(named name: String) throws(ZoneError) -> ZoneRules?
}

/// Why the rules of a time zone are not to be had.
public struct ZoneError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The zone's name.
  public let zone: String
  /// What happened and what to do about it.
  public let message: String

  /// A failure from its parts.
  public init(zone: String, message: String) {
    self.zone = zone
    self.message = message
  }

  /// Zone and message in one line.
  public var description: String { "time zone \(zone): \(message)" }
}

/// The time zones of the system: compiled files of the tz database (RFC 9636) in a directory.
public struct ZoneFiles: ZoneSource {
  /// Where the files are.
  public let directory: String

  /// Files of a directory; by default what the environment's TZDIR names, or `/usr/share/zoneinfo`.
  public init(directory: String? = nil) {
    self.directory = directory ?? getenv("TZDIR").map { String(cString: $0) } ?? "/usr/share/zoneinfo"
  }

  /// `UTC` needs no file. Read anew each time, so that rules that were updated are seen.
  public func rules(named name: String) throws(ZoneError) -> ZoneRules? {
    if name == "UTC" { return .utc }
    guard Self.isZoneName(name) else { return nil }
    let path = "\(directory)/\(name)"
    var status = stat()
    // Not a zone: nothing of the name, or a directory (`Europe`).
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    // One byte more, so that a file that is too large is seen to be.
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: ZoneRules.maximumBytes + 1, alignment: 8)
    defer { bytes.deallocate() }
    let count: Int
    do throws(StorageError) {
      count = try SystemFile.open(path, .read).read(into: bytes, at: 0)
    } catch {
      throw ZoneError(zone: name, message: error.description)
    }
    // What lies beside the zones (`leapseconds`, `tzdata.zi`) is none, and not a damaged one.
    guard count >= 4, bytes[..<4].elementsEqual("TZif".utf8) else { return nil }
    do throws(ZoneRulesError) {
      return try ZoneRules(tzif: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
    } catch {
      throw ZoneError(zone: name, message: "\(path) is no usable zone file (\(error)); install tzdata anew")
    }
  }

  /// Whether a name can be a zone's, and nothing else's on the disk. Those under `right/` count leap seconds, which the broker's clock does not.
  /// `localtime` and `posixrules` are what a system has made them, not zones.
  private static func isZoneName(_ name: String) -> Bool {
    if name == "localtime" || name == "posixrules" { return false }
    let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    let isPlain = parts.allSatisfy { part in
      !part.isEmpty
        && part.allSatisfy { byte in
          switch byte {
          case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"):
            true
          default: false
          }
        }
    }
    return isPlain && parts.first.map { !$0.elementsEqual("right".utf8) } ?? false
  }
}
