import NuvomModel
import NuvomWire
import Testing

/// The ping of Protocol.md, "Frames".
private let ping: [UInt8] = [0, 0, 0, 9, 0x94, 0, 7, 0xA4, 0x70, 0x69, 0x6E, 0x67, 0x80]

/// What the first frame of the bytes is, in words.
private func scan(_ bytes: [UInt8], maximumBytes: Int = ProtocolLimits.frameBytes) -> String {
  bytes.withUnsafeBytes { bytes in
    switch FrameScanner.next(in: bytes, maximumBytes: maximumBytes) {
    case .frame(let frame, let consumed): "frame of \(frame.count), consumed \(consumed)"
    case .incomplete: "incomplete"
    case .refused(let code): "\(code.wireName)"
    }
  }
}

@Test("A frame's end is known from its length, and a length that cannot be is refused before the body comes")
func frameLengths() {
  let rows: [(bytes: [UInt8], maximum: Int, result: String)] = [
    ([], 4_096, "incomplete"),
    ([0], 4_096, "incomplete"),
    ([0, 0, 0], 4_096, "incomplete"),
    ([0, 0, 0, 1], 4_096, "incomplete"),
    ([0, 0, 0, 1, 0xC0], 4_096, "frame of 1, consumed 5"),
    ([0, 0, 0, 1, 0xC0, 0xC0], 4_096, "frame of 1, consumed 5"),
    ([0, 0, 0, 0], 4_096, "MALFORMED_FRAME"),
    ([0, 0, 0x10, 0], 4_096, "incomplete"),
    ([0, 0, 0x10, 1], 4_096, "FRAME_TOO_LARGE"),
    ([0, 0, 0x10, 1], ProtocolLimits.frameBytes, "incomplete"),
    ([1, 0, 0, 0], ProtocolLimits.frameBytes, "incomplete"),
    ([1, 0, 0, 1], ProtocolLimits.frameBytes, "FRAME_TOO_LARGE"),
    ([0xFF, 0xFF, 0xFF, 0xFF], ProtocolLimits.frameBytes, "FRAME_TOO_LARGE"),
    (Array("GET / HTTP/1.1\r\n".utf8), 4_096, "FRAME_TOO_LARGE"),
  ]
  for row in rows {
    #expect(scan(row.bytes, maximumBytes: row.maximum) == row.result, "\(row.bytes)")
  }
}

@Test("The example of Protocol.md is a ping with the number 7")
func exampleFrame() {
  #expect(scan(ping) == "frame of 9, consumed 13")
  var decoder = RequestDecoder()
  var request = Request()
  ping[4...].withUnsafeBytes { bytes in
    guard case .request = decoder.decode(bytes, into: &request) else {
      Issue.record("refused")
      return
    }
    let (method, id) = (request.method, request.id)
    #expect(method == .ping)
    #expect(id.rawValue == 7)
  }
}

@Test("Frames come out the same however the bytes arrive")
func splitAnywhere() {
  let stream = ping + [0, 0, 0, 3, 0x92, 1, 2] + ping
  let whole = frames(of: [stream])
  #expect(whole == [Array(ping[4...]), [0x92, 1, 2], Array(ping[4...])])
  #expect(frames(of: stream.map { [$0] }) == whole)
  for cut in 1..<stream.count {
    #expect(frames(of: [Array(stream[..<cut]), Array(stream[cut...])]) == whole, "cut at \(cut)")
  }
}

/// The frames of a stream that arrives in these parts.
private func frames(of parts: [[UInt8]]) -> [[UInt8]] {
  var received: [UInt8] = []
  var frames: [[UInt8]] = []
  for part in parts {
    received += part
    while let (frame, consumed) = received.withUnsafeBytes(firstFrame) {
      frames.append(frame)
      received.removeFirst(consumed)
    }
  }
  #expect(received.isEmpty)
  return frames
}

private func firstFrame(of bytes: UnsafeRawBufferPointer) -> ([UInt8], Int)? {
  guard case .frame(let frame, let consumed) = FrameScanner.next(in: bytes, maximumBytes: 4_096) else { return nil }
  return ([UInt8](frame), consumed)
}
