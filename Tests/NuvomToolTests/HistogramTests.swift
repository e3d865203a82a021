import NuvomClient
import Testing

@testable import nuvom

@Suite struct HistogramTests {
  @Test(
    "A histogram is told in one line: only what there is",
    arguments: [
      ([], "-"), ([0, 0, 0], "-"), ([3, 0, 0], "3 up to 1ms"), ([3, 2, 1], "3 up to 1ms, 2 up to 1s, 1 above 1s"),
      ([0, 0, 1], "1 above 1s"),
    ] as [([UInt64], String)])
  func words(_ counts: [UInt64], _ words: String) {
    #expect(Histogram.words(counts.isEmpty ? [] : [.milliseconds(1), .seconds(1)], counts) == words)
  }
}
