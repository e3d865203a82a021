import CPlatform
import Glibc

/// A file of the system's. Every system call that touches the disk is made in this source file.
final class SystemFile: File {
  let descriptor: Int32
  let path: String

  private init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { _ = Glibc.close(descriptor) }

  static func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> SystemFile {
    let descriptor = Glibc.open(path, mode.flags, 0o600)
    guard descriptor >= 0 else { throw StorageError(call: "open", path: path, errno: errno) }
    return SystemFile(descriptor: descriptor, path: path)
  }

  func size() throws(StorageError) -> Int {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw StorageError(call: "fstat", path: path, errno: errno) }
    return Int(status.st_size)
  }

  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(StorageError) -> Int {
    var done = 0
    while done < bytes.count, let base = bytes.baseAddress {
      let count = pread(descriptor, base + done, bytes.count - done, off_t(offset + done))
      if count == 0 { break }
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw StorageError(call: "read", path: path, errno: errno)
      }
    }
    return done
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StorageError) {
    var done = 0
    while done < bytes.count, let base = bytes.baseAddress {
      let count = pwrite(descriptor, base + done, bytes.count - done, off_t(offset + done))
      if count >= 0 {
        done += count
      } else if errno != EINTR {
        throw StorageError(call: "write", path: path, errno: errno)
      }
    }
  }

  func passByCache() -> Bool { nuvom_file_set_direct(descriptor) }

  func syncData() throws(StorageError) {
    guard fdatasync(descriptor) == 0 else { throw StorageError(call: "fdatasync", path: path, errno: errno) }
  }

  func sync() throws(StorageError) {
    guard fsync(descriptor) == 0 else { throw StorageError(call: "fsync", path: path, errno: errno) }
  }

  /// Sets the file's length.
  func truncate(to size: Int) throws(StorageError) {
    guard ftruncate(descriptor, off_t(size)) == 0 else {
      throw StorageError(call: "ftruncate", path: path, errno: errno)
    }
  }

  func allocate(_ size: Int) throws(StorageError) -> Bool {
    let code = nuvom_file_allocate(descriptor, Int64(size))
    guard code == 0 || code == EOPNOTSUPP || code == ENOSYS else {
      throw StorageError(call: "fallocate", path: path, errno: code)
    }
    return code == 0
  }
}

extension OpenMode {
  fileprivate var flags: Int32 {
    switch self {
    case .read: O_RDONLY | O_CLOEXEC
    case .write: O_RDWR | O_CLOEXEC
    case .create: O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC
    case .createOrKeep: O_RDWR | O_CREAT | O_CLOEXEC
    }
  }
}

/// The system's disk.
package struct SystemDisk: Disk {
  /// The one there is.
  package init() {}

  package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File {
    try SystemFile.open(path, mode)
  }

  package func lock(_ directory: String) throws(StorageError) -> any AnyObject & Sendable {
    try DirectoryLock.take(directory)
  }

  package func isLocked(_ directory: String) -> Bool { DirectoryLock.isHeld(directory) }

  package func makeDirectory(_ path: String) throws(StorageError) {
    var status = stat()
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else { throw StorageError(call: "mkdir", path: path, errno: ENOTDIR) }
      return
    }
    var parent = "."
    if let slash = path.lastIndex(of: "/") {
      parent = slash == path.startIndex ? "/" : String(path[..<slash])
      try makeDirectory(parent)
    }
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw StorageError(call: "mkdir", path: path, errno: errno)
    }
    try syncDirectory(parent)
  }

  package func names(in path: String) throws(StorageError) -> [String] {
    guard let stream = opendir(path) else { throw StorageError(call: "opendir", path: path, errno: errno) }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
        })
      errno = 0
    }
    guard errno == 0 else { throw StorageError(call: "readdir", path: path, errno: errno) }
    return names.sorted()
  }

  package func rename(_ old: String, to new: String) throws(StorageError) {
    guard Glibc.rename(old, new) == 0 else { throw StorageError(call: "rename", path: old, errno: errno) }
  }

  package func remove(_ path: String) throws(StorageError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw StorageError(call: "unlink", path: path, errno: errno) }
  }

  package func syncDirectory(_ path: String) throws(StorageError) {
    let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw StorageError(call: "open", path: path, errno: errno) }
    defer { _ = close(descriptor) }
    guard fsync(descriptor) == 0 else { throw StorageError(call: "fsync", path: path, errno: errno) }
  }

  package func free(_ path: String) throws(StorageError) -> Int {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { throw StorageError(call: "statvfs", path: path, errno: errno) }
    let (bytes, isTooMany) = Int(clamping: status.f_bavail).multipliedReportingOverflow(by: Int(status.f_frsize))
    return isTooMany ? .max : bytes
  }
}

@Sendable
func systemMonotonicMicroseconds() -> Int64 {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
}
