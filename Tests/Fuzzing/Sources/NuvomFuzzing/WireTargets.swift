import MessagePack
import NuvomEngine
import NuvomModel
import NuvomWire

func fuzzFrames(_ bytes: UnsafeRawBufferPointer) {
  var rest = bytes
  var decoder = RequestDecoder()
  var request = Request()
  while case .frame(let frame, let consumed) = FrameScanner.next(in: rest, maximumBytes: ProtocolLimits.frameBytes) {
    check(consumed == frame.count + 4 && consumed <= rest.count, "a frame takes its length and its bytes")
    request.removeAll()
    _ = decoder.decode(frame, into: &request)
    rest = UnsafeRawBufferPointer(rebasing: rest[consumed...])
  }
  // Before the hello less is allowed, and what is allowed then is allowed later.
  if case .frame = FrameScanner.next(in: bytes, maximumBytes: ProtocolLimits.frameBytesBeforeHello) {
    guard case .frame = FrameScanner.next(in: bytes, maximumBytes: ProtocolLimits.frameBytes) else {
      return check(false, "a short frame is a frame")
    }
  }
}

/// The input is requests, each behind its length (2 bytes) and a step of time in seconds (1 byte).
func fuzzRequests(_ bytes: UnsafeRawBufferPointer) {
  var input = Input(bytes)
  var world = PlayedEngine()
  var decoder = RequestDecoder()
  var request = Request()
  while !input.isAtEnd {
    let seconds = input.byte()
    let frame = input.bytes(Int(input.number()))
    request.removeAll()
    guard case .request = decoder.decode(frame, into: &request) else { continue }
    world.handle(request, afterSeconds: Int64(seconds))
  }
  world.checkReplay()
}

func fuzzMessagePack(_ bytes: UnsafeRawBufferPointer) {
  var reader = MessageReader(maximumValues: 65_536)
  let status = reader.parse(bytes)
  if status == .ok {
    var cursor = reader.cursor
    var values = 0
    while !cursor.isAtEnd, values < 1 << 20 {
      _ = cursor.rawBytes
      cursor.skip()
      values += 1
    }
  }
  let value: MessageValue
  do throws(MessagePackError) {
    value = try MessageValue(decoding: bytes, maximumValues: 65_536)
  } catch {
    _ = error.description
    return
  }
  check(status == .ok, "a value was read from bytes that are not one message")
  do {
    let written = try value.encoded()
    let again = try MessageValue(decoding: written, maximumValues: 65_536)
    check(try again.encoded() == written, "what was written is read as the same")
  } catch { check(false, "what was read can be written: \(error)") }
  _ = value.description
  do {
    _ = try MessagePackDecoder().decode(Sample.self, from: Array(bytes))
  } catch {}
}

/// A value with a field of each kind.
private struct Sample: Decodable {
  var a: Int8?
  var b: UInt64?
  var c: Double?
  var d: String?
  var e: [Sample]?
  var f: [String: Bool]?
  var g: [UInt8]?
}
