import MessagePack
import NuvomModel

/// Requests as clients send them: what `load/nuvom.c` sends, with a payload of 100 bytes.
enum Frames {
  static let queue = "bench"
  static let payload = (0..<100).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }

  static func enqueue(jobs: Int) -> [UInt8] {
    frame("enqueue", parameters: 1) { writer in
      writer.literal("jobs")
      writer.arrayHeader(jobs)
      for _ in 0..<jobs {
        writer.mapHeader(3)
        writer.literal("queue")
        writer.string(queue)
        writer.literal("task")
        writer.string(queue)
        writer.literal("payload")
        writer.binary(payload)
      }
    }
  }

  /// A dequeue; one that brings an ack if there is a settlement.
  static func dequeue(acking settlement: Settlement? = nil) -> [UInt8] {
    frame("dequeue", parameters: settlement == nil ? 3 : 4) { writer in
      writer.literal("queues")
      writer.arrayHeader(1)
      writer.string(queue)
      writer.literal("max")
      writer.uint(1)
      writer.literal("wait_ms")
      writer.uint(30_000)
      if let settlement {
        writer.literal("ack")
        write(settlement, to: &writer)
      }
    }
  }

  static func ack(_ settlement: Settlement) -> [UInt8] {
    frame("ack", parameters: 1) { writer in
      writer.literal("jobs")
      write(settlement, to: &writer)
    }
  }

  /// With id and token as wide as those of a broker that has worked for a while.
  static var settlement: Settlement {
    Settlement(
      kind: .ack, id: JobID(partition: 0, generation: 1_000, slot: 70_000), token: LeaseToken(rawValue: 70_000_000))
  }

  private static func write(_ settlement: Settlement, to writer: inout MessageWriter) {
    writer.arrayHeader(1)
    writer.mapHeader(2)
    writer.literal("id")
    writer.uint(settlement.id.rawValue)
    writer.literal("token")
    writer.uint(settlement.token.rawValue)
  }

  private static func frame(
    _ method: String, parameters: Int, _ body: (inout MessageWriter) -> Void
  ) -> [UInt8] {
    var writer = MessageWriter()
    let frame = writer.beginFrame()
    writer.arrayHeader(4)
    writer.uint(0)
    writer.uint(1_000_000)
    writer.string(method)
    writer.mapHeader(parameters)
    body(&writer)
    writer.endFrame(frame)
    return writer.bytes
  }
}
