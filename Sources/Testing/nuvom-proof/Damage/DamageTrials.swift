import Glibc
import NuvomWAL
import SeededNumbers

/// Does each kind of damage to a specimen, and counts how it was judged.
struct DamageTrials {
  private(set) var failures: [String] = []
  private(set) var count = 0
  private var counts: [String: [String: Int]] = [:]
  private var order: [String] = []
  private var random: SeededNumbers
  private let stride: Int
  private var specimen = ""

  init(seed: UInt64, stride: Int) {
    random = SeededNumbers(seed: seed)
    self.stride = stride
  }

  /// How many cases of which damage ended how.
  var summary: [String] {
    order.map { what in
      let outcomes = (counts[what] ?? [:]).sorted { $0.key < $1.key }
      return "\(what): " + outcomes.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
  }

  mutating func run(_ specimen: Specimen) throws {
    self.specimen = specimen.name
    try specimen.restore()
    note(
      "unchanged",
      specimen.misjudged(specimen.expected(specimen.segments.count - 1, specimen.segments.last?.bytes ?? [])),
      "as it was")
    for index in specimen.segments.indices {
      let isLast = index == specimen.segments.count - 1
      // With a snapshot above it nearly all damage of a log is refused, which a sample shows.
      if isLast { try cut(specimen, index, every: specimen.snapshot == nil ? 1 : stride) }
      try flip(specimen, index, every: isLast && specimen.snapshot == nil ? 1 : stride)
    }
    if let snapshot = specimen.snapshot { try change(specimen, snapshot) }
  }

  // MARK: Segments

  private mutating func cut(_ specimen: Specimen, _ index: Int, every step: Int) throws {
    let segment = specimen.segments[index]
    let old = specimen.segments[0].bytes
    for end in Swift.stride(from: 0, through: segment.end + 16, by: step) {
      let head = Array(segment.bytes[..<end])
      let rest = segment.bytes.count - end
      let noise = (0..<min(rest, 512)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let endings: [(String, [UInt8])] = [
        ("cut short", []), ("zeros from a byte on", [UInt8](repeating: 0, count: rest)),
        ("random bytes from a byte on", noise + [UInt8](repeating: 0, count: rest - noise.count)),
        ("an older segment's bytes from a byte on", index == 0 ? [] : (0..<rest).map { old[(end + $0) % old.count] }),
      ]
      for (name, tail) in endings where !(tail.isEmpty && name != "cut short") {
        let bytes = head + tail
        try specimen.put(bytes, segment.name)
        let expected = specimen.expected(index, bytes)
        judge("\(name)", specimen, expected, "\(segment.name) to \(end)")
        // Now and then as a broker does it, which changes the files.
        if count % 61 == 0 {
          note("\(name), opened", specimen.misopened(expected), "\(segment.name) to \(end)", outcome(expected))
          try specimen.restore()
        }
      }
    }
    try specimen.put(segment.bytes, segment.name)
  }

  private mutating func flip(_ specimen: Specimen, _ index: Int, every step: Int) throws {
    let segment = specimen.segments[index]
    let isLast = index == specimen.segments.count - 1
    // Behind the trailer nothing is read; some of it is tried all the same.
    let bits = (min(segment.bytes.count, segment.end + 64)) * 8
    let file = open("\(specimen.directory)/\(segment.name)", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return failures.append("\(segment.name) cannot be opened") }
    defer { close(file) }
    var bytes = segment.bytes
    for bit in Swift.stride(from: 0, to: bits, by: step) {
      let place = bit / 8
      bytes[place] ^= 1 << UInt8(bit % 8)
      try specimen.put(bytes[place], at: place, file)
      judge(
        isLast ? "a bit of the last segment" : "a bit of an earlier segment", specimen, specimen.expected(index, bytes),
        "\(segment.name) bit \(bit)")
      bytes[place] = segment.bytes[place]
      try specimen.put(bytes[place], at: place, file)
    }
  }

  // MARK: Snapshots

  /// A bad snapshot is passed over where the whole log is still there, and refused where it is not.
  private mutating func change(_ specimen: Specimen, _ snapshot: (name: String, bytes: [UInt8], sequence: UInt64))
    throws
  {
    let isLogWhole = specimen.segments[0].firstSequence == 1
    let last = (specimen.segments.last?.next ?? 1) - 1
    let expected: Specimen.Finding = isLogWhole ? .intact(last) : .refused(snapshot.name, offset: 0)
    for end in 0..<snapshot.bytes.count {
      let endings = [
        ("a snapshot cut short", []),
        ("a snapshot's zeros from a byte on", [UInt8](repeating: 0, count: snapshot.bytes.count - end)),
      ]
      for (name, tail) in endings {
        let bytes = snapshot.bytes[..<end] + tail
        // Its last bytes are zeros.
        if bytes.elementsEqual(snapshot.bytes) { continue }
        try specimen.put(Array(bytes), snapshot.name)
        judge(name, specimen, expected, "\(snapshot.name) to \(end)")
      }
    }
    try specimen.put(snapshot.bytes + [0], snapshot.name)
    judge("a snapshot with a byte behind it", specimen, expected, snapshot.name)
    try specimen.put(snapshot.bytes, snapshot.name)
    let file = open("\(specimen.directory)/\(snapshot.name)", O_WRONLY | O_CLOEXEC)
    guard file >= 0 else { return failures.append("\(snapshot.name) cannot be opened") }
    defer { close(file) }
    for bit in 0..<snapshot.bytes.count * 8 {
      let byte = snapshot.bytes[bit / 8]
      try specimen.put(byte ^ 1 << UInt8(bit % 8), at: bit / 8, file)
      judge("a bit of a snapshot", specimen, expected, "\(snapshot.name) bit \(bit)")
      try specimen.put(byte, at: bit / 8, file)
    }
  }

  // MARK: Counting

  private mutating func judge(_ what: String, _ specimen: Specimen, _ expected: Specimen.Finding, _ place: String) {
    note(what, specimen.misjudged(expected), place, outcome(expected))
  }

  private func outcome(_ finding: Specimen.Finding) -> String {
    switch finding {
    case .intact: "nothing lost of what is there"
    case .torn: "cut as torn"
    case .refused: "refused"
    }
  }

  private mutating func note(_ what: String, _ problem: String?, _ place: String, _ outcome: String = "right") {
    let what = "\(specimen), \(what)"
    count += 1
    if counts[what] == nil { order.append(what) }
    counts[what, default: [:]][problem == nil ? outcome : "MISJUDGED", default: 0] += 1
    if let problem { failures.append("\(what), \(place): \(problem)") }
  }
}
