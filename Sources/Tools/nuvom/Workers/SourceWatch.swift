import Foundation

/// What a package's sources are at a moment: their names, sizes and times of change.
struct SourceSnapshot: Equatable {
  struct Stamp: Equatable {
    let size: UInt64
    let changed: Date
  }

  var files: [String: Stamp] = [:]

  init(files: [String: Stamp] = [:]) { self.files = files }

  /// Looks at the package's manifest, and at everything in these directories that is not hidden. What cannot be looked at is not there.
  init(package: String, directories: [String]) {
    for name in ["Package.swift", "Package.resolved"] { add("\(package)/\(name)") }
    for directory in directories {
      guard let names = FileManager.default.enumerator(atPath: directory) else { continue }
      while let name = names.nextObject() as? String {
        if name.split(separator: "/").last?.hasPrefix(".") == true {
          names.skipDescendants()
        } else {
          add("\(directory)/\(name)")
        }
      }
    }
  }

  private mutating func add(_ path: String) {
    guard let attributes = try? FileManager.default.attributesOfItem(atPath: path),
      attributes[.type] as? FileAttributeType == .typeRegular,
      let size = attributes[.size] as? NSNumber, let changed = attributes[.modificationDate] as? Date
    else { return }
    files[path] = Stamp(size: size.uint64Value, changed: changed)
  }
}

/// Decides when to build again: sources differ from those of the last build, and have not changed since the last look, so that an editor or a
/// checkout that writes many files is met once.
///
/// The sources are looked at twice a second instead of being told of by the kernel: that works on every file system, shared folders of virtual
/// machines and containers among them, has no limit of watches, and no gap when directories come and go.
struct SourceWatch {
  private var built: SourceSnapshot
  private var last: SourceSnapshot

  /// Sources that were just built, or are about to be.
  init(built: SourceSnapshot) {
    self.built = built
    last = built
  }

  /// Takes the next look.
  /// - Returns: whether it is time to build.
  mutating func look(_ present: SourceSnapshot) -> Bool {
    defer { last = present }
    guard present != built, present == last else { return false }
    built = present
    return true
  }
}
