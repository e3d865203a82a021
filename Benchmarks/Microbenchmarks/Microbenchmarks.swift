import Benchmark
import Pieces

/// The pieces in time, for people: `swift package benchmark`. Each sample builds its piece anew, outside of the measurement, so that a sample
/// says what the count of instructions says.
let benchmarks: @Sendable () -> Void = {
  for piece in Piece.all {
    let isLarge = piece.repetitions.lowerBound < 1_000
    let configuration = Benchmark.Configuration(
      metrics: [.wallClock, .throughput], warmupIterations: 1, scalingFactor: isLarge ? .one : .kilo,
      maxDuration: .seconds(2), maxIterations: 300)
    Benchmark(piece.name, configuration: configuration) { benchmark in
      let run = try piece.prepare()
      try run(1)
      benchmark.startMeasurement()
      try run(benchmark.scaledIterations.count)
      benchmark.stopMeasurement()
    }
  }
}
