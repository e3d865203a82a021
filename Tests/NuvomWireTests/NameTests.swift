import NuvomModel
import Testing

@testable import NuvomWire

@Suite("Names of queues and tasks")
struct NameTests {
  private func isGood(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { isName($0) } }

  @Test("A byte that is no printable ASCII is found at each place of each length to 20", arguments: 1...20)
  func controlCharacters(length: Int) {
    for place in 0..<length {
      for byte in UInt8.min...UInt8.max {
        var name = [UInt8](repeating: UInt8(ascii: " "), count: length)
        for index in name.indices { name[index] = [0x20, 0x7E, 0x61][index % 3] }
        name[place] = byte
        // A single byte from 0x80 on is no UTF-8.
        #expect(isGood(name) == (0x20..<0x7F).contains(byte), "byte \(byte) at \(place)")
      }
    }
  }

  @Test("UTF-8 behind, before and across eight bytes of ASCII is looked at")
  func beyondASCII() {
    for text in ["ünïcödé", "12345678é", "1234567é", "é12345678", "12345678901234é"] {
      #expect(isGood(Array(text.utf8)), "\(text)")
      #expect(!isGood(Array(text.utf8) + [0xC3]), "\(text), cut")
      #expect(!isGood(Array("\(text)\u{85}".utf8)), "\(text) and a control character")
      #expect(!isGood(Array("\(text)\u{7F}".utf8)), "\(text) and DEL")
    }
    #expect(
      !isGood([]) && isGood([UInt8](repeating: 0x61, count: 255)) && !isGood([UInt8](repeating: 0x61, count: 256)))
  }
}
