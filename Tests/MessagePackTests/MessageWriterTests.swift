import MessagePack
import Testing

@Suite("Writing a message")
struct MessageWriterTests {
  @Test("Each write appends its bytes")
  func writes() {
    let writes: [(String, (inout MessageWriter) -> Void)] = [
      ("c0", { writer in writer.null() }),
      ("c2", { writer in writer.bool(false) }),
      ("c3", { writer in writer.bool(true) }),
      ("d3 8000000000000000", { writer in writer.int(.min) }),
      ("05", { writer in writer.int(5) }),
      ("cf ffffffffffffffff", { writer in writer.uint(.max) }),
      ("cb 3ff8000000000000", { writer in writer.double(1.5) }),
      ("a5 7175657565", { writer in writer.literal("queue") }),
      ("a0", { writer in writer.literal("") }),
      ("a2 c3a9", { writer in writer.string("é") }),
      ("a1 61", { writer in [97].withUnsafeBytes { bytes in writer.string(utf8: .init(rebasing: bytes[..<1])) } }),
      ("c4 02 0102", { writer in writer.binary([1, 2]) }),
      ("c4 00", { writer in writer.binary([]) }),
      ("d4 05 07", { writer in [UInt8(7)].withUnsafeBytes { bytes in writer.extension(type: 5, bytes) } }),
      ("92", { writer in writer.arrayHeader(2) }),
      ("de 0010", { writer in writer.mapHeader(16) }),
      ("c3 c2", { writer in bytes("c3 c2").withUnsafeBytes { bytes in writer.raw(bytes) } }),
      ("", { writer in writer.raw(UnsafeRawBufferPointer(start: nil, count: 0)) }),
    ]
    var all = MessageWriter()
    var expected: [UInt8] = []
    for (hexadecimal, write) in writes {
      var writer = MessageWriter()
      write(&writer)
      #expect(writer.bytes == bytes(hexadecimal))
      #expect(writer.count == bytes(hexadecimal).count)
      write(&all)
      expected += bytes(hexadecimal)
    }
    #expect(all.bytes == expected)
  }

  @Test("Two frames in one buffer each get their length")
  func frames() {
    var writer = MessageWriter()
    let first = writer.beginFrame()
    writer.literal("a")
    #expect(writer.endFrame(first) == 2)
    let second = writer.beginFrame()
    writer.binary([UInt8](repeating: 7, count: 300))
    #expect(writer.endFrame(second) == 303)
    #expect(writer.bytes == bytes("00000002 a161 0000012f c5012c") + [UInt8](repeating: 7, count: 300))
  }

  @Test("A message that was begun is taken back, and what was before it stays")
  func takingBack() {
    var writer = MessageWriter()
    writer.uint(1)
    let mark = writer.beginFrame()
    writer.literal("too long")
    writer.removeAll(since: mark)
    writer.uint(2)
    #expect(writer.bytes == [1, 2])
  }

  @Test("A buffer grows by large and small writes, and is used again after removeAll", arguments: [true, false])
  func reuse(keepingCapacity: Bool) {
    var writer = MessageWriter(capacity: 1)
    for size in [10, 100_000, 3] {
      for index in 0..<size { writer.uint(UInt64(index & 0x7f)) }
      let block = [UInt8](repeating: 9, count: size)
      block.withUnsafeBytes { bytes in writer.raw(bytes) }
      #expect(writer.bytes == (0..<size).map { index in UInt8(index & 0x7f) } + block)
      writer.removeAll(keepingCapacity: keepingCapacity)
      #expect(writer.count == 0)
      #expect(writer.bytes == [])
    }
  }
}
