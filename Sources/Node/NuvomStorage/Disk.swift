/// A disk as a log uses it: the seam between a storage and the machine's disk, or one that a simulator plays.
///
/// The rules are those of POSIX: what was written is seen by every later read, and is there after the machine has stopped only if the file was
/// synced since; a name that was made, changed or removed only if its directory was. After a sync has failed nothing is known.
package protocol Disk: Sendable {
  /// Opens a file.
  func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> any File
  /// Makes the directory and those above it.
  func makeDirectory(_ path: String) throws(StorageError)
  /// The names in the directory, sorted.
  func names(in directory: String) throws(StorageError) -> [String]
  /// Gives a file another name, in place of any file that has it.
  func rename(_ old: String, to new: String) throws(StorageError)
  /// Removes a file; one that is not there is no error.
  func remove(_ path: String) throws(StorageError)
  /// Makes names (created, renamed, removed) durable.
  func syncDirectory(_ path: String) throws(StorageError)
  /// Bytes that the file system still gives to this user.
  func free(_ directory: String) throws(StorageError) -> Int
  /// Takes the right to write the log in a directory, for as long as the object lives; throws `inUse` if another has it.
  func lock(_ directory: String) throws(StorageError) -> any AnyObject & Sendable
  /// Whether somebody has that right.
  func isLocked(_ directory: String) -> Bool
}

/// How a file is opened.
package enum OpenMode: Sendable {
  /// An existing file, to be read.
  case read
  /// An existing file, to be read and written.
  case write
  /// A new and empty file, in the place of an old one of the name.
  case create
  /// A file that is made unless it exists, with its content kept.
  case createOrKeep
}

/// An open file; it is closed when nobody holds it.
package protocol File: AnyObject, Sendable {
  /// Where it was opened.
  var path: String { get }
  /// Bytes that the file has.
  func size() throws(StorageError) -> Int
  /// Fills `bytes` from `offset` on; gives how many bytes there were, fewer only at the file's end.
  func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(StorageError) -> Int
  /// Writes all of `bytes` at `offset`.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(StorageError)
  /// Lets reads and writes pass by the page cache from now on: offsets, sizes and memory must then be those of whole blocks
  /// (`BlockBuffer.blockBytes`). False where the file system cannot do that.
  func passByCache() -> Bool
  /// Makes the content durable. A failure must never be followed by another try: the kernel has forgotten what it could not write.
  func syncData() throws(StorageError)
  /// Makes content and size durable.
  func sync() throws(StorageError)
  /// Takes blocks for `size` bytes, so that a full disk is known before the first byte. Not every file system can: then
  /// false, and only writing them all tells.
  func allocate(_ size: Int) throws(StorageError) -> Bool
}

/// A directory of a disk.
struct Directory: Sendable {
  let disk: any Disk
  let path: String

  /// The names in it, sorted.
  func names() throws(StorageError) -> [String] { try disk.names(in: path) }
  /// Makes names in it durable.
  func sync() throws(StorageError) { try disk.syncDirectory(path) }
  /// Bytes that the file system still gives to this user.
  func free() throws(StorageError) -> Int { try disk.free(path) }
}

/// What a storage has of the machine around it.
package struct Machine: Sendable {
  /// Where files are.
  package let disk: any Disk
  /// The monotonic clock in microseconds, for how long things take; never for what is written.
  package let monotonicMicroseconds: @Sendable () -> Int64
  /// A number that nobody can guess.
  package let randomNumber: @Sendable () -> UInt64
  /// Whether the storage has threads of its own; without, its owner calls `runCommit` and `runShelf`.
  package let hasThreads: Bool

  /// A machine from its parts.
  package init(
    disk: any Disk, monotonicMicroseconds: @escaping @Sendable () -> Int64,
    randomNumber: @escaping @Sendable () -> UInt64, hasThreads: Bool
  ) {
    self.disk = disk
    self.monotonicMicroseconds = monotonicMicroseconds
    self.randomNumber = randomNumber
    self.hasThreads = hasThreads
  }

  /// The one that this process runs on.
  package static let real = Machine(
    disk: SystemDisk(), monotonicMicroseconds: systemMonotonicMicroseconds,
    randomNumber: { UInt64.random(in: .min ... .max) }, hasThreads: true)
}
