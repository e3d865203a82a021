import CPlatform
import Testing

@testable import NuvomWAL

@Suite struct ChecksumTests {
  @Test("The published check value of CRC-32C comes out")
  func checkValue() {
    #expect(nuvom_crc32c(0, "123456789", 9) == 0xE306_9283)
    #expect(nuvom_crc32c_table(0, "123456789", 9) == 0xE306_9283)
  }

  @Test("The processor's instruction and the table agree at every length and alignment, whole and continued")
  func instructionAgreesWithTable() {
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 151 &+ 7) }
    bytes.withUnsafeBytes { bytes in
      for start in 0..<9 {
        for count in 0..<(bytes.count - start) {
          let part = bytes.baseAddress.map { $0 + start }
          let whole = nuvom_crc32c(0, part, count)
          #expect(whole == nuvom_crc32c_table(0, part, count))
          let half = count / 2
          #expect(whole == nuvom_crc32c(nuvom_crc32c(0, part, half), part.map { $0 + half }, count - half))
        }
      }
    }
  }

  @Test("Segments, partitions and logs differ in their seed")
  func seedsDiffer() {
    let seeds = (1...2000).map { ChecksumSeed(logID: 7, partition: 0, segment: UInt64($0)).value }
    #expect(Set(seeds).count == seeds.count)
    #expect(ChecksumSeed(logID: 7, partition: 0, segment: 1) != ChecksumSeed(logID: 8, partition: 0, segment: 1))
    #expect(ChecksumSeed(logID: 7, partition: 0, segment: 1) != ChecksumSeed(logID: 7, partition: 1, segment: 1))
  }
}
