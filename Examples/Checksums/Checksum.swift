import Crypto
import Foundation

/// The result of a job: a file's SHA-256 and size, or why it cannot be read.
struct Checksum: Codable {
  var sha256: String?
  var size = 0
  var error: String?

  /// Reads a file to its end, piece by piece: it may be larger than memory.
  init(ofFileAt path: [UInt8]) async {
    let file = open(path.map { CChar(bitPattern: $0) } + [0], O_RDONLY | O_CLOEXEC)
    guard file >= 0 else {
      error = String(cString: strerror(errno))
      return
    }
    defer { close(file) }

    var hasher = SHA256()
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(file, &piece, piece.count)
      guard count >= 0 else {
        error = String(cString: strerror(errno))
        return
      }
      if count == 0 { break }
      hasher.update(data: piece.prefix(count))
      size += count
      // Lets other tasks of this process run, such as the one that extends the leases.
      await Task.yield()
    }
    sha256 = hasher.finalize().map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }
}
