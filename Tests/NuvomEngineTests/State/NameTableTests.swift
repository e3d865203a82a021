import Testing

@testable import NuvomEngine

@Test("Bytes are the same only if each of them is, at each length to 20", arguments: 0...20)
func sameBytes(length: Int) {
  let bytes = (0..<length).map { UInt8($0 + 1) }
  func isSame(_ other: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { left in other.withUnsafeBytes { left.isSame(as: $0) } }
  }
  #expect(isSame(bytes) && !isSame(bytes + [0]))
  for place in 0..<length {
    var other = bytes
    other[place] ^= 0x80
    #expect(!isSame(other), "byte \(place)")
  }
}
