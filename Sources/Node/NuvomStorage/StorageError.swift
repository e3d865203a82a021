import Glibc

/// Why the log could not be opened, written or read.
public struct StorageError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure it is, for programs.
  public enum Code: String, Sendable {
    /// Another broker holds the directory.
    case inUse
    /// The directory cannot be made, read or written.
    case notWritable
    /// A file is of a newer format version.
    case newerVersion
    /// Content that had been durable is not what was written.
    case damaged
    /// The files belong to another log or partition.
    case foreign
    /// The disk, or the disk limit, has no room.
    case diskFull
    /// A read, write or sync failed; what is on disk is unknown from here on.
    case inputOutput
    /// The operation was ended because the storage is closed or the snapshot cancelled.
    case cancelled
  }

  /// The kind of failure.
  public let code: Code
  /// What happened and what to do about it, for people.
  public let message: String
  /// The file or directory that it is about.
  public let path: String
  /// Where in the file, if that is known.
  public let offset: Int?
  /// The errno of the system call behind it, if there was one.
  public let errno: Int32?

  /// A failure from its parts; `message` says what happened and what to do about it.
  public init(_ code: Code, _ message: String, path: String, offset: Int? = nil, errno: Int32? = nil) {
    self.code = code
    self.message = message
    self.path = path
    self.offset = offset
    self.errno = errno
  }

  /// A failed system call.
  init(call: String, path: String, errno: Int32) {
    let code: Code
    let remedy: String
    switch errno {
    case ENOSPC, EDQUOT: (code, remedy) = (.diskFull, "free space on this file system or raise the quota")
    case EACCES, EPERM, EROFS, ENOTDIR:
      (code, remedy) = (.notWritable, "give the broker's user read and write access to a directory of its own")
    default: (code, remedy) = (.inputOutput, "check the disk and the kernel's log")
    }
    self.init(code, "\(call) failed: \(String(cString: strerror(errno))); \(remedy)", path: path, errno: errno)
  }

  /// Message, file and offset in one line.
  public var description: String {
    let place = offset.map { "\(path) at offset \($0)" } ?? path
    return "\(place): \(message)"
  }
}
