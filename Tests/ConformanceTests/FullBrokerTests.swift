import BrokerProcess
import MessagePack
import Testing

@Suite("A disk or a memory that is full")
struct FullBrokerTests {
  /// 100 jobs of a kilobyte are a frame. Of what the log may take, each accepted job keeps some for its delivery and finish.
  @Test(
    "Enqueues are refused with a time to try again; all jobs that were taken in can be delivered and acked; then there is room again",
    arguments: [("--disk-limit", "160MiB", "DISK_FULL"), ("--memory-limit", "16MiB", "MEMORY_FULL")])
  func refusesAndGoesOn(flag: String, limit: String, code: String) throws {
    let broker = try BrokerProcess(options: [flag, limit])
    let connection = try RawConnection(port: broker.port)
    _ = try connection.hello()
    var id: UInt64 = 0
    func call(_ method: String, _ params: MessageValue) throws -> MessageValue {
      id += 1
      return try connection.call(id, method, params)
    }
    let job: MessageValue = ["task": "t", "payload": .binary([UInt8](repeating: 7, count: 1_000))]
    let jobs: MessageValue = ["jobs": .array(Array(repeating: job, count: 100))]

    var accepted = 0
    var refusal: MessageValue?
    while refusal == nil, accepted < 1_000_000 {
      let response = try call("enqueue", jobs)
      if response[2] == .null {
        accepted += 100
      } else {
        refusal = response[2]
      }
    }
    #expect(refusal?["code"] == .string(code))
    #expect(refusal?["retry_after_ms"] != nil)
    #expect(accepted > 1_000)

    var acked = 0
    while true {
      let taken = try call("dequeue", ["max": 500])
      guard case .array(let deliveries)? = taken[3]?["jobs"], !deliveries.isEmpty else { break }
      let settlements = deliveries.map { delivery -> MessageValue in
        [
          "id": delivery["id"] ?? .null, "token": delivery["token"] ?? .null,
          "result": .binary([UInt8](repeating: 8, count: 1_000)),
        ]
      }
      let response = try call("ack", ["jobs": .array(settlements)])
      #expect(response[3] == [:], "an ack was refused by a full broker")
      acked += deliveries.count
    }
    #expect(acked == accepted)
    let response = try call("enqueue", jobs)
    #expect(response[2] == .null, "there is room again when the jobs are done")
  }
}
