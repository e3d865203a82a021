import BrokerProcess
import Foundation
import MessagePack
import Testing

@Test("While fifty thousand schedules fire at once, the broker answers others between them")
func herd() throws {
  let broker = try BrokerProcess(options: ["--fsync", "never"])
  let connection = try RawConnection(port: broker.port)
  try connection.hello()
  let count = 50_000
  func now() -> Double { Date().timeIntervalSince1970 * 1_000 }
  var herds = 0
  // The herd is to be due when all of it is there. How long that takes here and now nobody knows: so another herd, later, until it is so.
  var milliseconds = 1_500.0
  var due: Double
  repeat {
    herds += 1
    milliseconds *= 2
    due = now() + milliseconds
    for first in stride(from: 0, to: count, by: 10_000) {
      let definitions: [MessageValue] = (first..<first + 10_000).map { number in
        let job: MessageValue = ["task": "tick", "queue": .string("herd-\(herds)")]
        return ["name": .string("herd-\(herds)-\(number)"), "at_ms": .uint(UInt64(due)), "job": job]
      }
      let answer = try connection.call(
        UInt64(herds * count + first) + 1, "schedule", ["schedules": .array(definitions)])
      #expect(answer[2] == .null)
    }
  } while now() >= due
  // Answered when the first has fired.
  _ = try connection.call(1 << 32, "dequeue", ["queues": [.string("herd-\(herds)")], "wait_ms": 60_000])
  var fires: [UInt64] = []
  while fires.last != UInt64(herds * count) {
    let statistics = try connection.call(1 << 32 + UInt64(fires.count) + 1, "stats")
    guard case .uint(let number)? = statistics[3]?["fires_total"] else { throw BrokerFailure("\(statistics)") }
    if number != fires.last { fires.append(number) }
  }
  #expect(fires.count > 10, "each answer but the last came amid the herd")
}
