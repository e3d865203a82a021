import Foundation

/// A file's path. Bytes, because a name need not be UTF-8 and may hold spaces and line ends.
typealias Path = [UInt8]

/// All regular files below a directory; without one, the files that git tracks in the present directory, or all that are not hidden if
/// this is no git repository.
func listFiles(below directory: String?) throws -> [Path] {
  if let directory {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: directory, isDirectory: &isDirectory), isDirectory.boolValue else {
      throw DemonstrationError("\(directory) is not a directory; name one, or none for this repository")
    }
    return separate(try runTool(["find", "-H", directory, "-type", "f", "-print0"]).output)
  }
  let tracked = try runTool(["git", "ls-files", "-z"])
  guard tracked.status == 0, !tracked.output.isEmpty else {
    return separate(try runTool(["find", ".", "-name", ".?*", "-prune", "-o", "-type", "f", "-print0"]).output)
  }
  return separate(tracked.output)
}

/// What `sha256sum` says of each file. Those that it cannot read are missing.
func sha256sums(of files: [Path], in folder: URL) throws -> [Path: String] {
  let paths = folder.appending(path: "paths")
  try list(files).write(to: paths)
  let (status, output) = try runTool(
    ["xargs", "-0", "-r", "sha256sum", "--zero", "--"], input: try FileHandle(forReadingFrom: paths))
  // 123: some files could not be read.
  guard status == 0 || status == 123 else {
    throw DemonstrationError("sha256sum failed; it is in the package coreutils (xargs: findutils)")
  }
  var sums: [Path: String] = [:]
  for line in separate(output) {
    // 64 digits, two characters, the path.
    sums[Path(line.dropFirst(66))] = String(decoding: line.prefix(64), as: UTF8.self)
  }
  return sums
}

/// Whether a file's content, name or rights changed after a time. A file that is not there any more did change.
func hasChanged(_ file: Path, since time: Date) -> Bool {
  var status = stat()
  guard stat(file.map { CChar(bitPattern: $0) } + [0], &status) == 0 else { return true }
  let changed = Double(status.st_ctim.tv_sec) + Double(status.st_ctim.tv_nsec) / 1e9
  return changed >= time.timeIntervalSince1970
}

/// Paths as programs hand them to each other: each ended by a zero byte.
func list(_ paths: some Collection<Path>) -> Data { Data(paths.flatMap { $0 + [0] }) }

private func separate(_ list: Data) -> [Path] { list.split(separator: 0).map { Path($0) } }
