import CPlatform
import Glibc

/// The right to write a log's directory; held until this object goes, and given back by the kernel also when the process dies.
final class DirectoryLock: Sendable {
  let file: SystemFile

  private init(file: SystemFile) { self.file = file }

  /// Not by closing alone: a process that is being started elsewhere in this one has copies of all descriptors for a moment.
  deinit { nuvom_file_unlock(file.descriptor) }

  /// Takes the lock, or throws `inUse` with the holder's process id, or `notWritable`.
  static func take(_ directory: String) throws(StorageError) -> DirectoryLock {
    let file = try SystemFile.open(LogFiles.lock(directory), .createOrKeep)
    switch nuvom_file_lock(file.descriptor) {
    case 0: break
    case EAGAIN:
      let holder = holder(file).map { "the process with id \($0)" } ?? "another process"
      throw StorageError(
        .inUse, "the directory is in use by \(holder); stop that broker or choose another directory", path: directory)
    case let code: throw StorageError(call: "lock", path: file.path, errno: code)
    }
    // The process id is for the message alone: a disk too full for it must not keep the broker from its log.
    let text = Array("\(getpid())\n".utf8)
    try? file.truncate(to: 0)
    text.withUnsafeBytes { try? file.write($0, at: 0) }
    return DirectoryLock(file: file)
  }

  /// Whether a broker holds the directory; takes no lock and writes nothing.
  static func isHeld(_ directory: String) -> Bool {
    guard let file = try? SystemFile.open(LogFiles.lock(directory), .read) else { return false }
    return nuvom_file_is_locked(file.descriptor)
  }

  private static func holder(_ file: SystemFile) -> Int32? {
    withUnsafeTemporaryAllocation(byteCount: 16, alignment: 1) { bytes in
      guard let count = try? file.read(into: bytes, at: 0) else { return nil }
      return Int32(String(decoding: bytes[..<count].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
  }
}
