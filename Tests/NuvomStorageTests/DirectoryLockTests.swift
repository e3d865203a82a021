import Glibc
import Testing

@testable import NuvomStorage

@Test("A lock that was given back is free, also while a copy of its descriptor is open")
func lockWithCopy() throws {
  let directory = try LogDirectory()
  var lock: DirectoryLock? = try DirectoryLock.take(directory.path)
  let copy = dup(try #require(lock).file.descriptor)
  defer { close(copy) }
  #expect(throws: StorageError.self) { try DirectoryLock.take(directory.path) }
  lock = nil
  #expect(throws: Never.self) { try DirectoryLock.take(directory.path) }
}
