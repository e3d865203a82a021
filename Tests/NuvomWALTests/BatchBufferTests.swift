import Testing

@testable import NuvomWAL

@Suite struct BatchBufferTests {
  private func body(_ buffer: borrowing BatchBuffer) -> [UInt8] { buffer.withBody { Array($0) } }

  @Test("Integers are little-endian")
  func encodings() {
    var buffer = BatchBuffer(bodyCapacity: 0)
    buffer.append(UInt8(0x01))
    buffer.append(UInt16(0x0203))
    buffer.append(UInt32(0x0405_0607))
    buffer.append(UInt64(0x08090A0B_0C0D0E0F))
    #expect(body(buffer) == [1, 3, 2, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8])
  }

  @Test("The body survives growth, and is emptied")
  func growth() {
    var buffer = BatchBuffer(bodyCapacity: 3)
    var expected: [UInt8] = []
    for round in 0..<200 {
      let piece = (0..<round).map { UInt8(truncatingIfNeeded: $0 + round) }
      piece.withUnsafeBytes { buffer.append($0) }
      expected += piece
    }
    #expect(body(buffer) == expected)
    buffer.removeAll()
    #expect(body(buffer).isEmpty)
    buffer.shrink(to: 10)
    buffer.append(UInt8(4))
    #expect(body(buffer) == [4])
  }

  @Test("Sealing leaves the body, pads to eight, and clears the trailer whatever the memory held")
  func sealing() {
    for count in 0..<20 {
      var buffer = BatchBuffer(bodyCapacity: 40)
      for _ in 0..<40 { buffer.append(UInt8.max) }
      buffer.removeAll()
      for _ in 0..<count { buffer.append(UInt8.max) }
      let expected = body(buffer)
      let sealed = Array(
        buffer.seal(
          kind: .events, sequence: 3, durable: 2, time: LogTime(bootMicroseconds: 1, wallMicroseconds: 2),
          seed: ChecksumSeed(logID: 1, partition: 0, segment: 1)))
      #expect(sealed.count == 48 + (count + 7) / 8 * 8 + 8)
      let announced = buffer.sealedSize
      #expect(sealed.count == announced)
      #expect(Array(sealed[48..<(48 + count)]) == expected)
      #expect(sealed[(48 + count)...].allSatisfy { $0 == 0 })
      #expect(body(buffer) == expected)
    }
  }
}
