import CPlatform
import Glibc

/// An open file. Every system call that touches the disk is made in this source file, so that there is one place to make them fail.
final class File: Sendable {
  let descriptor: Int32
  let path: String

  private init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  deinit { _ = Glibc.close(descriptor) }

  enum Mode {
    /// An existing file, to be read.
    case read
    /// An existing file, to be read and written.
    case write
    /// A new and empty file, in the place of an old one of the name.
    case create
    /// A file that is made unless it exists, with its content kept.
    case createOrKeep

    var flags: Int32 {
      switch self {
      case .read: O_RDONLY | O_CLOEXEC
      case .write: O_RDWR | O_CLOEXEC
      case .create: O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC
      case .createOrKeep: O_RDWR | O_CREAT | O_CLOEXEC
      }
    }
  }

  static func open(_ path: String, _ mode: Mode) throws(StorageError) -> File {
    let descriptor = Glibc.open(path, mode.flags, 0o600)
    guard descriptor >= 0 else { throw StorageError(call: "open", path: path, errno: errno) }
    return File(descriptor: descriptor, path: path)
  }

  /// Bytes that the file has.
  func size() throws(StorageError) -> Int {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw StorageError(call: "fstat", path: path, errno: errno) }
    return Int(status.st_size)
  }

  /// Fills `bytes` from `offset` on; gives how many bytes there were, fewer only at the file's end.
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

  /// Writes all of `bytes` at `offset`.
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

  /// Lets reads and writes pass by the page cache from now on: offsets, sizes and memory must then be those of whole blocks
  /// (`BlockBuffer.blockBytes`). False where the file system cannot do that.
  func passByCache() -> Bool { nuvom_file_set_direct(descriptor) }

  /// Makes the content durable. A failure must never be followed by another try: the kernel has forgotten what it could not write.
  func syncData() throws(StorageError) {
    guard fdatasync(descriptor) == 0 else { throw StorageError(call: "fdatasync", path: path, errno: errno) }
  }

  /// Makes content and size durable.
  func sync() throws(StorageError) {
    guard fsync(descriptor) == 0 else { throw StorageError(call: "fsync", path: path, errno: errno) }
  }

  /// Sets the file's length.
  func truncate(to size: Int) throws(StorageError) {
    guard ftruncate(descriptor, off_t(size)) == 0 else {
      throw StorageError(call: "ftruncate", path: path, errno: errno)
    }
  }

  /// Takes blocks for `size` bytes, so that a full disk is known before the first byte. Not every file system can: then
  /// false, and only writing them all tells.
  func allocate(_ size: Int) throws(StorageError) -> Bool {
    let code = nuvom_file_allocate(descriptor, Int64(size))
    guard code == 0 || code == EOPNOTSUPP || code == ENOSYS else {
      throw StorageError(call: "fallocate", path: path, errno: code)
    }
    return code == 0
  }
}

/// Names in a directory.
enum Directory {
  /// Makes the directory and those above it.
  static func make(_ path: String) throws(StorageError) {
    var status = stat()
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else { throw StorageError(call: "mkdir", path: path, errno: ENOTDIR) }
      return
    }
    var parent = "."
    if let slash = path.lastIndex(of: "/") {
      parent = slash == path.startIndex ? "/" : String(path[..<slash])
      try make(parent)
    }
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw StorageError(call: "mkdir", path: path, errno: errno)
    }
    try sync(parent)
  }

  /// The names in the directory, sorted.
  static func names(_ path: String) throws(StorageError) -> [String] {
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

  /// Gives a file another name, in place of any file that has it.
  static func rename(_ old: String, to new: String) throws(StorageError) {
    guard Glibc.rename(old, new) == 0 else { throw StorageError(call: "rename", path: old, errno: errno) }
  }

  /// Gives a file another name beside the one that it has. One of the name that is there already is no error.
  static func link(_ path: String, as name: String) throws(StorageError) {
    guard Glibc.link(path, name) == 0 || errno == EEXIST else {
      throw StorageError(call: "link", path: path, errno: errno)
    }
  }

  /// Removes a file; one that is not there is no error.
  static func remove(_ path: String) throws(StorageError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw StorageError(call: "unlink", path: path, errno: errno) }
  }

  /// Makes names (created, renamed, removed) durable.
  static func sync(_ path: String) throws(StorageError) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw StorageError(call: "open", path: path, errno: errno) }
    defer { _ = close(descriptor) }
    guard fsync(descriptor) == 0 else { throw StorageError(call: "fsync", path: path, errno: errno) }
  }

  /// Bytes that the file system still gives to this user.
  static func free(_ path: String) throws(StorageError) -> Int {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { throw StorageError(call: "statvfs", path: path, errno: errno) }
    let (bytes, isTooMany) = Int(clamping: status.f_bavail).multipliedReportingOverflow(by: Int(status.f_frsize))
    return isTooMany ? .max : bytes
  }
}

/// The monotonic clock, for how long things take; never for what is written.
func monotonicMicroseconds() -> Int64 {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
}

/// A number that nobody can guess.
func randomNumber() -> UInt64 { UInt64.random(in: .min ... .max) }
