/// The names of a log's files, and which of them a directory has.
struct LogFiles {
  struct Numbered {
    let number: UInt64
    let path: String
    let size: Int
  }

  var segments: [Numbered] = []
  var snapshots: [Numbered] = []
  var spares: [Numbered] = []
  var temporaries: [String] = []
  /// Whether a salvage was begun and not finished.
  var hasSalvage = false

  static func segment(_ directory: String, _ number: UInt64) -> String { "\(directory)/\(padded(number)).wal" }
  static func snapshot(_ directory: String, _ sequence: UInt64) -> String {
    "\(directory)/\(padded(sequence)).snapshot"
  }
  static func spare(_ directory: String, _ number: UInt64) -> String { "\(directory)/\(padded(number)).spare" }
  static func temporary(_ path: String) -> String { path + ".tmp" }
  /// Says that a salvage was begun and not finished (FORMAT.md, "Salvage").
  static func salvage(_ directory: String) -> String { "\(directory)/SALVAGE" }
  static func lock(_ directory: String) -> String { "\(directory)/LOCK" }

  /// Twenty digits, so that names sort as their numbers do.
  private static func padded(_ number: UInt64) -> String {
    let digits = String(number)
    return String(repeating: "0", count: 20 - digits.count) + digits
  }

  /// Looks through the directory; names of no file of ours are left alone.
  init(in directory: Directory) throws(StorageError) {
    for name in try directory.names() {
      let path = "\(directory.path)/\(name)"
      if name == "SALVAGE" { hasSalvage = true }
      if name.hasSuffix(".tmp") {
        temporaries.append(path)
        continue
      }
      guard let dot = name.firstIndex(of: "."), name[..<dot].utf8.count == 20, let number = UInt64(name[..<dot]) else {
        continue
      }
      let file: Numbered
      switch name[dot...] {
      case ".wal", ".snapshot", ".spare":
        file = Numbered(number: number, path: path, size: try directory.disk.open(path, .read).size())
      default: continue
      }
      switch name[dot...] {
      case ".wal": segments.append(file)
      case ".snapshot": snapshots.append(file)
      default: spares.append(file)
      }
    }
  }
}
