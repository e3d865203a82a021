import Glibc

/// Times of requests, in microseconds.
struct Latencies {
  private var sorted: [UInt32]

  init(_ times: [UInt32]) { sorted = times.sorted() }

  var count: Int { sorted.count }

  /// The time that this share of all requests did not exceed; 0 if there were none.
  func percentile(_ share: Double) -> Double {
    guard let last = sorted.last else { return 0 }
    let index = Int(Double(sorted.count) * share)
    return Double(index < sorted.count ? sorted[index] : last)
  }

  var p99: Double { percentile(0.99) }
}

/// The middle one; 0 if there are none. Of several windows it forgets those in which the machine was busy with something else.
func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  return sorted.isEmpty ? 0 : sorted[sorted.count / 2]
}

/// Microseconds that only rise.
func monotonicMicroseconds() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
}

/// Waits; a measurement's windows are real time.
func pause(seconds: Double) { usleep(UInt32(max(0, seconds) * 1_000_000)) }

/// Microseconds as people read them.
func readable(microseconds: Double) -> String {
  microseconds < 10_000 ? "\(Int(microseconds)) µs" : "\(tenths(microseconds / 1_000)) ms"
}

/// Bytes as people read them.
func readable(bytes: Int) -> String {
  abs(bytes) < 1 << 20 ? "\(tenths(Double(bytes) / 1_024)) KiB" : "\(tenths(Double(bytes) / 1_048_576)) MiB"
}

/// A number with one digit behind the point.
func tenths(_ number: Double) -> String {
  let scaled = Int((abs(number) * 10).rounded())
  return "\(number < 0 ? "-" : "")\(scaled / 10).\(scaled % 10)"
}
