import NuvomEngine
import NuvomWAL

extension Piece {
  /// As the broker offers them to the storage.
  private static let pagesPerPart = 128
  private static let rounds = 2..<12

  static let snapshots = [
    Piece("snapshot-copy-16384", "a snapshot of 16,384 jobs, all pages copied by the loop", repetitions: rounds) {
      let core = try Core(jobs: 16_384)
      return { count in
        for _ in 0..<count {
          var parts = 0
          _ = core.engine.beginSnapshot()
          while core.engine.nextSnapshotChunk(pages: pagesPerPart) != nil { parts += 1 }
          core.engine.endSnapshot()
          try expect(parts > 2, "the snapshot lacks its jobs")
        }
      }
    },
    Piece("snapshot-encode-8192", "a chunk of 8,192 jobs encoded and sealed by the thread", repetitions: rounds) {
      let core = try Core(jobs: 16_384)
      _ = core.engine.beginSnapshot()
      var largest: (chunk: SnapshotChunk, bytes: Int)?
      while let chunk = core.engine.nextSnapshotChunk(pages: pagesPerPart) {
        let bytes = chunk.encoder().next()?.count ?? 0
        if bytes > largest?.bytes ?? 0 { largest = (chunk, bytes) }
      }
      guard let chunk = largest?.chunk else { throw WrongWork("the snapshot has no chunk") }
      let buffer = Place(BatchBuffer())
      let seed = ChecksumSeed(logID: 0xABCD, partition: 0, snapshotSequence: 1)
      return { count in
        for _ in 0..<count {
          var bytes = 0
          let encoder = chunk.encoder()
          while let piece = encoder.next() {
            buffer.pointer.pointee.removeAll()
            piece.withUnsafeBytes { buffer.pointer.pointee.append($0) }
            bytes += buffer.pointer.pointee.sealChunk(kind: 2, index: 1, seed: seed).count
          }
          try expect(bytes > 8_192 * 140, "the chunk lacks its jobs")
        }
        withExtendedLifetime(core) {}
      }
    },
  ]
}
