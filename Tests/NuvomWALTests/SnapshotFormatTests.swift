import Testing

@testable import NuvomWAL

@Suite struct SnapshotFormatTests {
  private let header = SnapshotHeader(
    logID: 99, partition: 1, sequence: 42, time: LogTime(bootMicroseconds: 5, wallMicroseconds: 6))

  private func file(_ chunks: [(UInt32, String)], header: SnapshotHeader) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: SnapshotHeader.size)
    bytes.withUnsafeMutableBytes { header.encode(into: $0) }
    var buffer = BatchBuffer(bodyCapacity: 4)
    for (index, chunk) in chunks.enumerated() {
      buffer.removeAll()
      Array(chunk.1.utf8).withUnsafeBytes { buffer.append($0) }
      bytes += Array(buffer.sealChunk(kind: chunk.0, index: UInt32(index), seed: header.seed))
    }
    buffer.removeAll()
    buffer.append(UInt64(chunks.count))
    buffer.append(UInt64(bytes.count))
    bytes += Array(
      buffer.sealChunk(kind: ChunkHeader.footerKind, index: UInt32(chunks.count), seed: header.seed))
    return bytes
  }

  private func chunks(_ bytes: [UInt8]) throws -> [(UInt32, String)] {
    try bytes.withUnsafeBytes { raw in
      let header: SnapshotHeader
      do throws(HeaderProblem) { header = try SnapshotHeader.decode(raw) } catch { throw SnapshotProblem.header(error) }
      var reader = SnapshotReader(header: header, fileSize: raw.count)
      var found: [(UInt32, String)] = []
      while !reader.isComplete {
        let rest = UnsafeRawBufferPointer(rebasing: raw[reader.offset...])
        let size = try ChunkHeader.size + reader.header(rest).bodyLength
        if let chunk = try reader.accept(UnsafeRawBufferPointer(rebasing: rest[..<size])) {
          found.append((chunk.kind, String(decoding: chunk.body, as: UTF8.self)))
        }
      }
      return found
    }
  }

  private let content: [(UInt32, String)] = [(1, "queues"), (2, ""), (7, "a longer chunk of jobs")]

  @Test("A snapshot comes back as it was written")
  func roundTrip() throws {
    let found = try chunks(file(content, header: header))
    #expect(found.map(\.0) == content.map(\.0) && found.map(\.1) == content.map(\.1))
    #expect(try chunks(file([], header: header)).isEmpty)
    #expect(try file(content, header: header).withUnsafeBytes { try SnapshotHeader.decode($0) } == header)
  }

  @Test("Cut at any byte it is not a snapshot, and with bytes behind it neither")
  func cuts() {
    let bytes = file(content, header: header)
    for cut in bytes.indices { #expect(throws: SnapshotProblem.self) { try chunks(Array(bytes[..<cut])) } }
    #expect(throws: SnapshotProblem.footer) { try chunks(bytes + [0]) }
  }

  @Test("Any bit flipped, it is not a snapshot")
  func flips() {
    let bytes = file(content, header: header)
    for index in bytes.indices {
      for bit in 0..<8 {
        var flipped = bytes
        flipped[index] ^= 1 << bit
        #expect(throws: SnapshotProblem.self) { try chunks(flipped) }
      }
    }
  }

  @Test("Chunks of another snapshot, repeated or in another order are refused")
  func order() {
    var other = header
    other.sequence = 43
    let bytes = file(content, header: header)
    let start = SnapshotHeader.size
    let first = bytes[start..<(start + 22)]
    let second = bytes[(start + 22)..<(start + 38)]
    let rest = bytes[(start + 38)...]
    #expect(throws: SnapshotProblem.chunk(offset: start)) { try chunks(Array(bytes[..<start] + second + first + rest)) }
    #expect(throws: SnapshotProblem.chunk(offset: start + 22)) {
      try chunks(Array(bytes[..<start] + first + first + rest))
    }
    #expect(throws: SnapshotProblem.chunk(offset: start)) {
      try chunks(Array(file(content, header: other)[..<start] + bytes[start...]))
    }
  }
}
