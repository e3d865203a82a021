/// Whether the bytes are valid UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF. Allocates nothing.
public func isValidUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
  var index = 0
  let count = bytes.count

  /// Whether the byte at `index + distance` is there and within the range.
  func has(_ range: ClosedRange<UInt8>, at distance: Int) -> Bool {
    index + distance < count && range.contains(bytes[index + distance])
  }

  while index < count {
    // Eight ASCII characters at a time: names are nearly always ASCII.
    if index + 8 <= count,
      bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
    {
      index += 8
      continue
    }
    let lead = bytes[index]
    switch lead {
    case 0x00...0x7f:
      index += 1
    case 0xc2...0xdf:
      guard has(0x80...0xbf, at: 1) else { return false }
      index += 2
    case 0xe0...0xef:
      let second: ClosedRange<UInt8> = lead == 0xe0 ? 0xa0...0xbf : lead == 0xed ? 0x80...0x9f : 0x80...0xbf
      guard has(second, at: 1), has(0x80...0xbf, at: 2) else { return false }
      index += 3
    case 0xf0...0xf4:
      let second: ClosedRange<UInt8> = lead == 0xf0 ? 0x90...0xbf : lead == 0xf4 ? 0x80...0x8f : 0x80...0xbf
      guard has(second, at: 1), has(0x80...0xbf, at: 2), has(0x80...0xbf, at: 3) else { return false }
      index += 4
    default:
      return false
    }
  }
  return true
}
