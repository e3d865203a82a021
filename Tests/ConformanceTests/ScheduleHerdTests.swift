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
  func define(at due: UInt64) throws {
    for first in stride(from: 0, to: count, by: 10_000) {
      let definitions: [MessageValue] = (first..<first + 10_000).map { number in
        ["name": .string("herd-\(number)"), "at_ms": .uint(due), "job": ["task": "tick"]]
      }
      let answer = try connection.call(UInt64(first) + 1, "schedule", ["schedules": .array(definitions)])
      #expect(answer[2] == .null)
    }
  }
  // Once for the year 9999, to see how long that takes here and now: the herd is to be due when all of it is there.
  let taken = try ContinuousClock().measure { try define(at: 253_402_300_799_999) }
  try define(at: UInt64((Date().timeIntervalSince1970 + 1 + 3 * (taken / .seconds(1))) * 1_000))
  // Answered when the first has fired.
  _ = try connection.call(100_000, "dequeue", ["wait_ms": 60_000])
  var fires: [UInt64] = []
  while fires.last != UInt64(count) {
    let statistics = try connection.call(UInt64(fires.count) + 100_001, "stats")
    guard case .uint(let number)? = statistics[3]?["fires_total"] else { throw BrokerFailure("\(statistics)") }
    if number != fires.last { fires.append(number) }
  }
  #expect(fires.count > 10, "each answer but the last came amid the herd")
}
