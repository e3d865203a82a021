import NuvomSchedule
import Testing

struct JitterTests {
  func offset(of name: String, within window: UInt64) -> UInt64 {
    Array(name.utf8).withUnsafeBytes { jitter(of: $0, windowMilliseconds: window) }
  }

  @Test("A name's offset never changes, on no machine and in no version")
  func fixed() {
    #expect(offset(of: "nightly-report", within: 60_000) == 4_935)
    #expect(offset(of: "nightly-report", within: 1) == 0)
    #expect(offset(of: "nightly-report", within: 0) == 0)
    #expect(offset(of: "", within: .max) == 17_665_956_581_633_026_202)
  }

  @Test("Names that differ in their last letters only are spread evenly over the window")
  func spread() {
    var counts = [Int](repeating: 0, count: 60)
    for number in 0..<60_000 { counts[Int(offset(of: "schedule-\(number)", within: 60_000) / 1_000)] += 1 }
    // 1,000 each, give or take five standard deviations.
    #expect(counts.allSatisfy { 840...1_160 ~= $0 }, "\(counts)")
  }
}
