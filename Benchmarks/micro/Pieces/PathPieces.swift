import MessagePack
import NuvomEngine
import NuvomModel
import NuvomWAL
import NuvomWire

extension Piece {
  static let path = [
    Piece("path-enqueue", "a turn from an enqueue's bytes to its answer's and a sealed batch; 1,000 jobs are there") {
      let path = Path(try Core(jobs: 1_000))
      let frame = Bytes(Frames.enqueue(jobs: 1))
      var done = 0
      return { count in
        for _ in 0..<count {
          try path.turn(frame)
          path.forget()
        }
        done += count
        try expect(path.core.engine.statistics().ready == 1_000 + done, "jobs were refused")
      }
    },
    Piece("path-dequeue-ack", "the same for a dequeue that brings the ack of the job before") {
      let path = Path(try Core(jobs: 10_000))
      // As wide as an id and a token can be, so that each fits in place.
      let widest = Settlement(kind: .ack, id: JobID(rawValue: .max), token: LeaseToken(rawValue: .max))
      let frame = Bytes(Frames.dequeue(acking: widest))
      // They lie where `load/nuvom.c` has them: behind `token` and `id`, as the last of the frame.
      let token = frame.borrowed.count - 8
      let id = token - 1 - 6 - 8
      try path.turn(Bytes(Frames.dequeue()))
      var done = 0
      return { count in
        for _ in 0..<count {
          guard let delivery = path.core.outcome.pointer.pointee.deliveries.first else {
            throw WrongWork("there was no job")
          }
          frame.mutable.storeBytes(of: delivery.id.rawValue.bigEndian, toByteOffset: id, as: UInt64.self)
          frame.mutable.storeBytes(of: delivery.token.rawValue.bigEndian, toByteOffset: token, as: UInt64.self)
          path.forget()
          try path.turn(frame)
        }
        done += count
        let statistics = path.core.engine.statistics()
        try expect(statistics.leased == 1 && statistics.ready == 9_999 - done, "the acks were refused")
      }
    },
  ]
}

/// A turn's way through the core with one request: frame, request, decision, events, answer, batch. The broker's own bookkeeping of connections
/// is not in it, nor are storage and transport.
private final class Path {
  let core: Core
  private let decoder = Place(RequestDecoder())
  private let request = Place(Request())
  private let told = Place(MessageWriter())
  private let batch = Place(BatchBuffer())
  private let sequence = Place<UInt64>(1)
  private let seed = ChecksumSeed(logID: 0xABCD, partition: 0, segment: 1)

  init(_ core: Core) { self.core = core }

  @inline(__always)
  func turn(_ bytes: Bytes) throws(WrongWork) {
    core.beginTurn()
    guard
      case .frame(let frame, _) = FrameScanner.next(in: bytes.borrowed, maximumBytes: ProtocolLimits.frameBytes),
      case .request = decoder.pointer.pointee.decode(frame, into: &request.pointer.pointee)
    else { throw WrongWork("the frame was refused") }
    core.handle(request)
    told.pointer.pointee.removeAll()
    let outcome = core.outcome.pointer
    for index in outcome.pointee.responses.indices {
      ResponseEncoder.encode(
        outcome.pointee.responses[index].answer, to: outcome.pointee.responses[index].address.request,
        outcome: outcome.pointee, into: &told.pointer.pointee)
    }
    batch.pointer.pointee.removeAll()
    batch.pointer.pointee.append(core.engine.eventBytes)
    core.endTurn()
    sequence.pointer.pointee += 1
    let sealed = batch.pointer.pointee.seal(
      kind: .events, sequence: sequence.pointer.pointee, durable: sequence.pointer.pointee - 1, time: core.time,
      seed: seed)
    try expect(sealed.count > 64, "the batch is empty")
  }

  @inline(__always)
  func forget() { core.forgetOutcome() }
}
