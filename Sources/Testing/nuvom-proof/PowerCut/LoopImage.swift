import BrokerProcess
import Foundation
import Glibc

/// An ext4 file system in a file, mounted over a loop device with direct I/O: what the device was given is in the file, and nothing else. What the file
/// system still holds in memory is what a power cut takes.
final class LoopImage {
  private let file: String
  private let folder: String
  private let device: String
  private var leftover: Leftovers.Ticket?

  /// Makes an empty file system in a file.
  static func make(_ file: String, mebibytes: Int) throws {
    guard FileManager.default.createFile(atPath: file, contents: nil), truncate(file, off_t(mebibytes) << 20) == 0
    else {
      throw BrokerFailure("\(file): \(String(cString: strerror(errno)))")
    }
    try SystemProgram.run("mkfs.ext4", ["-q", "-F", file])
  }

  /// Mounts the file system of a file on a folder, which is made. If it was copied from one that was mounted, this is when its journal is replayed.
  init(mounting file: String, on folder: String) throws {
    self.file = file
    self.folder = folder
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    device = try SystemProgram.run("losetup", ["--find", "--show", "--direct-io=on", file])
    // From here on the device is there only while it is mounted.
    defer { _ = try? SystemProgram.run("losetup", ["--detach", device]) }
    let name = device.split(separator: "/").last.map(String.init) ?? ""
    let isDirect = try String(contentsOfFile: "/sys/block/\(name)/loop/dio", encoding: .utf8).hasPrefix("1")
    guard isDirect else { throw BrokerFailure("the loop device has no direct I/O here") }
    try SystemProgram.run("mount", ["-t", "ext4", device, folder])
    leftover = Leftovers.add { Self.unmount(folder) }
  }

  deinit { unmount() }

  /// Twice is once.
  func unmount() {
    if let leftover { Leftovers.clear(leftover) }
    leftover = nil
  }

  private static func unmount(_ folder: String) {
    if umount2(folder, 0) == 0 { return }
    // Somebody still has a file open there; it goes when they do.
    if umount2(folder, Int32(MNT_DETACH)) != 0 { print("\(folder) is still mounted: umount it") }
  }

  /// Copies what the device has. Nothing may write meanwhile: if the file system's own threads did, the copy is made anew.
  func copy(to other: String) throws {
    for _ in 0..<20 {
      let before = try sectorsWritten()
      // Past the page cache, since the device's writes went past it.
      try SystemProgram.run(
        "dd", ["if=\(file)", "of=\(other)", "bs=1M", "iflag=direct", "conv=sparse", "status=none"])
      if try sectorsWritten() == before { return }
    }
    throw BrokerFailure("the file system does not come to rest")
  }

  private func sectorsWritten() throws -> String {
    let name = device.split(separator: "/").last.map(String.init) ?? ""
    let fields = try String(contentsOfFile: "/sys/block/\(name)/stat", encoding: .utf8).split(separator: " ")
    // Writes that have ended, those under way, sectors written.
    guard fields.count > 8 else { throw BrokerFailure("/sys/block/\(name)/stat: \(fields)") }
    return "\(fields[4]) \(fields[6]) \(fields[8])"
  }
}
