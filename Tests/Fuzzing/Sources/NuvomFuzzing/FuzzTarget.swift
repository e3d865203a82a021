import Glibc

/// What is fuzzed, one at a time: NUVOM_FUZZ_TARGET names it.
///
/// A target reads the bytes, checks what must hold of the result, and returns; a trap of Swift (overflow, bounds, a failed `check`), a finding
/// of AddressSanitizer, too much memory or too much time is a find. It keeps nothing between calls, so that an input finds the same again.
enum FuzzTarget: String, CaseIterable {
  /// The framing of a connection's bytes, and the requests in the frames.
  case frame
  /// Requests alone, carried out by an engine whose log is then replayed.
  case request
  /// MessagePack values: what is read is written, read again, and is the same.
  case msgpack
  /// The events of a batch, replayed and gone on with.
  case events
  /// A segment of the log: whole batches, with anything done to their bytes.
  case segment
  /// The chunks of a snapshot.
  case snapshot
  /// A snapshot's file.
  case snapshotFile = "snapshot-file"
  /// Cron expressions and their due times.
  case cron
  /// A time zone's file.
  case zone

  func run(_ bytes: UnsafeRawBufferPointer) {
    switch self {
    case .frame: fuzzFrames(bytes)
    case .request: fuzzRequests(bytes)
    case .msgpack: fuzzMessagePack(bytes)
    case .events: fuzzEvents(bytes)
    case .segment: fuzzSegment(bytes)
    case .snapshot: fuzzSnapshot(bytes)
    case .snapshotFile: fuzzSnapshotFile(bytes)
    case .cron: fuzzCron(bytes)
    case .zone: fuzzZone(bytes)
    }
  }

  /// The target that the environment names.
  static let chosen: FuzzTarget = {
    let names = allCases.map(\.rawValue).joined(separator: ", ")
    guard let text = getenv("NUVOM_FUZZ_TARGET"), let target = FuzzTarget(rawValue: String(cString: text)) else {
      preconditionFailure("NUVOM_FUZZ_TARGET names one of: \(names)")
    }
    return target
  }()
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  FuzzTarget.chosen.run(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count))
  return 0
}

/// Ends the run if something does not hold; also where preconditions are compiled out.
func check(_ condition: Bool, _ message: @autoclosure () -> String) {
  if condition { return }
  var line = "does not hold: \(message())\n"
  _ = line.withUTF8 { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  abort()
}

/// Takes an input apart.
struct Input {
  private(set) var rest: UnsafeRawBufferPointer

  init(_ bytes: UnsafeRawBufferPointer) { rest = bytes }

  var isAtEnd: Bool { rest.isEmpty }

  /// The next byte; 0 at the end.
  mutating func byte() -> UInt8 {
    guard let first = rest.first else { return 0 }
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
    return first
  }

  mutating func number() -> UInt16 { UInt16(byte()) | UInt16(byte()) << 8 }

  /// The next `count` bytes, or as many as there are.
  mutating func bytes(_ count: Int) -> UnsafeRawBufferPointer {
    let taken = UnsafeRawBufferPointer(rebasing: rest.prefix(count))
    rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
    return taken
  }
}
